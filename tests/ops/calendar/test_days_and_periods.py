"""Working days, fiscal periods and wall clocks, as properties and by known dates."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_core.errors import ConfigError
from pipeline_ops.calendar.local_time import instant_of
from pipeline_ops.calendar.made_periods import PATTERNS, Months, Weeks, YearStart
from pipeline_ops.calendar.moments import Moment
from pipeline_ops.calendar.periods import Period, in_order, read_periods, write_periods
from pipeline_ops.calendar.public_holidays import country_holidays, market_holidays
from pipeline_ops.calendar.workdays import WorkingDays

if TYPE_CHECKING:
    from pathlib import Path

DAY = timedelta(days=1)
DATES = st.dates(date(2020, 1, 1), date(2040, 12, 31))
US = country_holidays("US")
BAVARIA = country_holidays("DE", "BY")

RULES = st.builds(
    WorkingDays,
    weekend=st.sampled_from([frozenset({5, 6}), frozenset({4, 5}), frozenset({6}), frozenset()]),
    holiday=st.sampled_from([US, BAVARIA]),
    off=st.dictionaries(DATES, st.just("own"), max_size=5),
    worked=st.frozensets(DATES, max_size=5),
)


@given(RULES, DATES)
def test_every_working_day_is_counted_once(days: WorkingDays, end: date) -> None:
    after = [days.nth_from(end, number) for number in range(1, 31)]
    before = [days.nth_from(end, -number) for number in range(1, 31)]
    span = [end - 80 * DAY + n * DAY for n in range(160)]
    working = [day for day in span if days.is_working(day)]
    assert after == [day for day in working if day > end][:30]
    assert before == [day for day in reversed(working) if day <= end][:30]


@pytest.mark.parametrize(
    ("end", "moment", "day"),
    [
        pytest.param("2026-12-31", "WD1 06:00", "2027-01-04", id="New Year and a weekend"),
        pytest.param("2027-06-30", "WD3 18:00", "2027-07-06", id="4 July is observed on the 5th"),
        pytest.param(
            "2027-01-31", "WD-1 18:00", "2027-01-29", id="last working day before a Sunday end"
        ),
        pytest.param("2026-11-30", "WD-1 18:00", "2026-11-30", id="the end itself is worked"),
        pytest.param("2026-11-30", "WD-2 18:00", "2026-11-27", id="one before, over a weekend"),
        pytest.param("2028-01-31", "D+29 08:00", "2028-02-29", id="leap day"),
        pytest.param("2026-12-31", "D0 23:59", "2026-12-31", id="the last day"),
        pytest.param("2026-12-31", "D-1 23:59", "2026-12-30", id="the day before"),
    ],
)
def test_c01_days_of_the_united_states(end: str, moment: str, day: str) -> None:
    found = Moment.parse(moment).day(date.fromisoformat(end), WorkingDays(holiday=US))
    assert found == date.fromisoformat(day)


@given(st.booleans(), st.integers(-60, 60).filter(bool), st.times())
def test_a_moment_is_read_as_it_is_written(working: bool, number: int, at: time) -> None:  # noqa: FBT001
    moment = Moment(working, number, at.replace(second=0, microsecond=0))
    assert Moment.parse(str(moment)) == moment
    assert Moment.parse(str(moment).lower()) == moment


def test_a_calendar_without_working_days_is_told() -> None:
    days = WorkingDays(weekend=frozenset(range(7)))
    with pytest.raises(ValueError, match="no 1 working days within 400 days"):
        days.nth_from(date(2027, 1, 1), 1)


def test_years_beyond_the_holiday_library_are_told() -> None:
    with pytest.raises(ValueError, match=r"knows .* to .* only, not 2200"):
        US(date(2200, 1, 1))
    assert market_holidays("NYSE")(date(2027, 3, 26)) == "Good Friday"


ZONES = [
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",  # half an hour
    "America/Sao_Paulo",  # at midnight, until 2019
    "Africa/Casablanca",  # backwards in Ramadan
    "Asia/Kathmandu",
    "Pacific/Apia",  # left out 30 December 2011
    "UTC",
]
WALLS = st.datetimes(datetime(2005, 1, 1), datetime(2035, 12, 31))  # noqa: DTZ001 - wall clocks


@given(st.sampled_from(ZONES), WALLS, st.timedeltas(timedelta(), timedelta(hours=30)))
def test_c01_later_on_the_wall_is_never_earlier(
    zone: str, wall: datetime, later: timedelta
) -> None:
    here = ZoneInfo(zone)
    second = wall + later
    first_at = instant_of(wall.date(), wall.time(), here)
    second_at = instant_of(second.date(), second.time(), here)
    assert first_at <= second_at


@given(st.sampled_from(ZONES), WALLS)
def test_c01_an_instant_shows_the_wall_time_or_the_end_of_a_gap(zone: str, wall: datetime) -> None:
    here = ZoneInfo(zone)
    instant = instant_of(wall.date(), wall.time(), here)
    shown = instant.astimezone(here)
    if shown.replace(tzinfo=None) != wall:
        before = (instant - timedelta(microseconds=1)).astimezone(here).replace(tzinfo=None)
        assert before < wall < shown.replace(tzinfo=None)
    else:
        assert shown.fold == 0


@pytest.mark.parametrize(
    ("zone", "wall", "utc"),
    [
        pytest.param(
            "America/New_York", "2027-03-14 02:30", "2027-03-14 07:00", id="gap: when clocks jump"
        ),
        pytest.param(
            "America/New_York", "2026-11-01 01:30", "2026-11-01 05:30", id="overlap: the first"
        ),
        pytest.param(
            "Europe/Berlin", "2027-03-28 02:00", "2027-03-28 01:00", id="gap: its first minute"
        ),
        pytest.param(
            "Australia/Lord_Howe", "2026-10-04 02:15", "2026-10-03 15:30", id="gap of half an hour"
        ),
        pytest.param("Pacific/Apia", "2011-12-30 12:00", "2011-12-30 10:00", id="a day left out"),
    ],
)
def test_c01_days_on_which_clocks_are_changed(zone: str, wall: str, utc: str) -> None:
    local = datetime.fromisoformat(wall)
    expected = datetime.fromisoformat(utc).replace(tzinfo=UTC)
    assert instant_of(local.date(), local.time(), ZoneInfo(zone)) == expected


STARTS = st.sampled_from(
    [
        "first Sunday of February",
        "last Sunday of January",
        "Sunday nearest 1 February",
        "last Monday of December",
        "Monday nearest 1 January",
        "first Saturday of July",
    ]
)
MADE = st.one_of(
    st.builds(Months, st.one_of(st.none(), st.integers(1, 12))),
    st.builds(
        Weeks,
        st.sampled_from(list(PATTERNS.values())),
        STARTS.map(YearStart.parse),
        st.integers(1, 12),
        st.booleans(),
    ),
)


@given(MADE, DATES)
def test_made_periods_cover_every_day_once(made: Months | Weeks, first: date) -> None:
    periods = made.ending(first, first + timedelta(days=1500))
    assert all(a.end + DAY == b.start for a, b in pairwise(periods))
    assert len({period.name for period in periods}) == len(periods)
    assert list(in_order(periods).listed) == list(periods)
    assert all(first <= period.end for period in periods)
    assert made.ending(periods[3].end, periods[3].end) == [periods[3]]


@pytest.mark.parametrize("named_by_end", [False, True])
def test_years_of_53_weeks_of_retail(*, named_by_end: bool) -> None:
    """The National Retail Federation's 4-5-4 years: 2017 and 2023 had 53 weeks."""
    weeks = Weeks(
        PATTERNS["4-5-4"], YearStart.parse("Sunday nearest 1 February"), named_by_end=named_by_end
    )
    periods = weeks.ending(date(2017, 1, 1), date(2026, 12, 31))
    named = {period.name[2:6]: period for period in periods if period.name.endswith("P12")}
    shift = int(named_by_end)
    assert named[str(2023 + shift)].end == date(2024, 2, 3)
    assert named[str(2024 + shift)].end == date(2025, 2, 1)
    long = [year for year, period in named.items() if (period.end - period.start).days == 34]
    assert long == [str(2017 + shift), str(2023 + shift)]


def test_fiscal_years_of_months_are_called_after_their_end() -> None:
    names = [p.name for p in Months(4).ending(date(2027, 3, 1), date(2027, 4, 30))]
    assert names == ["FY2027-P12", "FY2028-P01"]
    assert [p.name for p in Months(1).ending(date(2027, 1, 1), date(2027, 1, 31))] == ["FY2027-P01"]
    assert [p.name for p in Months().ending(date(2027, 1, 1), date(2027, 2, 27))] == ["2027-01"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Sunday", "write `first Sunday of February`"),
        ("first Sunnday of May", "did you mean 'Sunday'?"),
        ("first Sunday of Mai", "did you mean 'May'?"),
        ("Sunday nearest 31 June", "day is out of range"),
    ],
)
def test_a_start_of_the_year_that_cannot_be_read_is_told(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        YearStart.parse(text)
    assert complaint in str(refused.value)


def test_periods_survive_their_file(tmp_path: Path) -> None:
    periods = in_order(
        [
            Period('2027 "P1", x', date(2027, 1, 1), date(2027, 1, 31)),
            Period("2027 P2", date(2027, 2, 1), date(2027, 2, 28)),
        ]
    )
    path = tmp_path / "periods.csv"
    path.write_bytes(b"\xef\xbb\xbf" + write_periods(periods.listed))  # as a spreadsheet saves it
    assert read_periods(path) == periods


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a,b,c\n", "line 1: the columns must be period,start,end"),
        ("period,start,end\n", "there is no period"),
        ("period,start,end\nP1,2027-01-01\n", "line 2: there must be"),
        ("period,start,end\n\nP1,1.1.2027,31.1.2027\n", "line 3: write days as"),
        ("period,start,end\nP1,2027-01-31,2027-01-01\n", "before it starts"),
        ("period,start,end\nP1,2027-01-01,2027-01-31\nP2,2027-01-31,2027-02-28\n", "overlap"),
        (
            "period,start,end\nP1,2027-01-01,2027-01-31\nP1,2027-02-01,2027-02-28\n",
            "two periods are called P1",
        ),
        ('period,start,end\n"P\n1",2027-01-01,2027-01-31\n', "visible characters"),
    ],
)
def test_a_file_of_periods_with_a_mistake_is_told(
    tmp_path: Path, text: str, complaint: str
) -> None:
    path = tmp_path / "periods.csv"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        read_periods(path)
    assert complaint in str(refused.value)
