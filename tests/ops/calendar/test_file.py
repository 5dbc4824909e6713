"""close_calendar.yml: what it means, and what is said of mistakes in it."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from pipeline_core.errors import ConfigError
from pipeline_ops.calendar.load import load_calendar
from pipeline_ops.calendar.periods_setting import D365Periods

EXAMPLE = Path(__file__).parents[3] / "docs" / "close_calendar.yml"

SMALL = """\
zone: Europe/Berlin
periods: month
events:
  flash: {at: WD1 06:00, run: a b}
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "close_calendar.yml"
    path.write_text(text)
    return path


def test_the_documented_example_means_what_it_says() -> None:
    calendar = load_calendar(EXAMPLE)
    assert calendar.name == "close"
    assert isinstance(calendar.source, D365Periods)
    assert calendar.source.cache == EXAMPLE.parent / "var/fiscal_periods.csv"
    americas, europe = calendar.groups
    assert americas.companies == ("usmf",)
    assert europe.companies == ("demf", "frrt")
    assert {event.name: str(event.at) for event in americas.events} == {
        "flash": "WD1 06:00",
        "cutoff": "WD-2 18:00",
        "final": "WD5 18:00",
        "archive": "D+20 08:00",
    }
    assert {event.name: str(event.at) for event in europe.events} == {
        "flash": "WD1 06:00",
        "cutoff": "WD-2 18:00",
        "final": "WD4 18:00",
    }
    final = next(event for event in europe.events if event.name == "final")
    assert final.blocks == ("finance",)
    assert final.max_lateness == timedelta(days=2)
    assert americas.days.why_off(date(2026, 12, 24)) == "Christmas Eve"
    assert americas.days.why_off(date(2026, 11, 26)) == "Thanksgiving Day"
    # A group has another public calendar and keeps the days of its own that all have.
    assert europe.days.why_off(date(2026, 12, 24)) == "Christmas Eve"
    assert europe.days.is_working(date(2026, 11, 26))
    assert europe.days.why_off(date(2027, 1, 6)) == "Epiphany"


def test_without_groups_all_companies_close_together(tmp_path: Path) -> None:
    calendar = load_calendar(written(tmp_path, SMALL))
    (group,) = calendar.groups
    assert (group.name, group.companies, group.zone.key) == ("all", (), "Europe/Berlin")
    assert group.events[0].blocks == ("a", "b")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        pytest.param(
            ("events:", "evnets:"),
            "line 3: close_calendar.yml has no 'evnets'; did you mean 'events'?",
            id="misspelt key",
        ),
        pytest.param(
            ("Europe/Berlin", "Europe/Berln"),
            "line 1: zone is 'Europe/Berln': no such IANA zone; did you mean 'Europe/Berlin'?",
            id="misspelt zone",
        ),
        pytest.param(
            ("at: WD1 06:00", "on: WD1 06:00"),
            "line 4: flash has no 'on'",
            id="misspelt key of an event",
        ),
        pytest.param(
            ("WD1 06:00", "WD0 06:00"),
            "line 4: at is 'WD0 06:00': there is no WD0",
            id="working day zero",
        ),
        pytest.param(
            ("WD1 06:00", "WD1 24:00"),
            "line 4: at is 'WD1 24:00': there is no such time of day",
            id="hour 24",
        ),
        pytest.param(
            ("WD1 06:00", "6 o'clock"),
            'line 4: at is "6 o\'clock": write WD1 06:00',
            id="another form",
        ),
        pytest.param(("WD1 06:00", "D+500 06:00"), "too far from the period's end", id="far away"),
        pytest.param(
            ("run: a b", "run: --force a"), "line 4: run has '--force'", id="an option of meltano"
        ),
        pytest.param(("run: a b", "run: []"), "line 4: run names nothing", id="nothing to run"),
        pytest.param((", run: a b", ""), "line 4: flash lacks `job`", id="no blocks"),
        pytest.param(
            (", run: a b", ", run: a, job: b"), "line 4: flash has both", id="run and job"
        ),
        pytest.param(
            ("periods: month", "periods: moon"), "line 2: periods is 'moon'", id="periods"
        ),
        pytest.param(
            ("periods: month", "periods: 4-4-5"),
            "line 2: periods lacks `year_starts`",
            id="weeks without a start",
        ),
        pytest.param(
            ("periods: month", "periods: {from: month, cache: x}"),
            "line 2: cache does not go with `from: month`",
            id="part of another way",
        ),
        pytest.param(
            ("periods: month", "holidays: {country: U}\nperiods: month"),
            "line 2: country is 'U': no such country",
            id="country",
        ),
        pytest.param(
            ("periods: month", "holidays: {country: DE, subdivision: BX}\nperiods: month"),
            "line 2: subdivision is 'BX': DE has no such subdivision",
            id="subdivision",
        ),
        pytest.param(
            ("periods: month", "holidays: {market: NYS}\nperiods: month"),
            "did you mean 'XNYS'?",
            id="market",
        ),
        pytest.param(
            ("periods: month", "weekend: [Saturday, Sunnday]\nperiods: month"),
            "did you mean 'Sunday'?",
            id="weekday",
        ),
        pytest.param(
            ("periods: month", "holidays: {off: [24.12.2026]}\nperiods: month"),
            "line 2: off is '24.12.2026': write a day as 2027-01-31",
            id="date",
        ),
        pytest.param(
            ("periods: month", "driver: {attempts: 0}\nperiods: month"),
            "line 2: attempts is '0': write a whole number from 1 to 20",
            id="attempts",
        ),
        pytest.param(
            ("periods: month", "driver: {max_lateness: 90d}\nperiods: month"),
            "at most 60d",
            id="lateness",
        ),
        pytest.param(
            ("periods: month", "driver: {backoff: soon}\nperiods: month"),
            "write a duration as 90s",
            id="duration",
        ),
        pytest.param(
            ("periods: month", "periods: month\nperiods: month"),
            "line 3: periods stands a second time (first in line 2)",
            id="twice",
        ),
        pytest.param(
            ("events:", "groups: {a: {companies: [x]}, b: {companies: [X]}}\nevents:"),
            "companies has x, which group a has, too",
            id="company in two groups",
        ),
        pytest.param(
            ("events:", "groups: {a: {companies: [x], events: {flsh: off}}}\nevents:"),
            "did you mean 'flash'?",
            id="no event to be off",
        ),
        pytest.param(
            ("events:", "groups: {a: {companies: [x], events: {flash: off}}}\nevents:"),
            "names no event",
            id="a group without events",
        ),
        pytest.param(
            ("events:", "groups: {a: {companies: [x], read: these}}\nevents:"),
            "needs a Meltano environment of its own",
            id="some companies only, without an environment",
        ),
        pytest.param(
            (
                "events:",
                (
                    "environment: e\n"
                    "groups: {a: {companies: [x], read: these}, b: {companies: [y]}}\nevents:"
                ),
            ),
            "group a with `read: these`",
            id="some companies only, in a shared environment",
        ),
        pytest.param(("zone:", "zone: [:"), "line 1: this is no YAML", id="no YAML"),
    ],
)
def test_a_mistake_is_told_with_its_line(
    tmp_path: Path, change: tuple[str, str], complaint: str
) -> None:
    path = written(tmp_path, SMALL.replace(*change))
    with pytest.raises(ConfigError) as refused:
        load_calendar(path)
    assert complaint in str(refused.value)
    assert "close_calendar.yml" in str(refused.value)


def test_a_missing_and_an_empty_file_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no"):
        load_calendar(tmp_path / "close_calendar.yml")
    with pytest.raises(ConfigError, match="is empty"):
        load_calendar(written(tmp_path, ""))


def test_texts_stay_texts(tmp_path: Path) -> None:
    """YAML 1.1 reads ``no`` as false (Norway) and ``22:30`` as 1350."""
    text = (
        SMALL + "holidays: {country: NO}\ngroups: {no: {companies: [no, on], env: {AT: 22:30}}}\n"
    )
    (group,) = load_calendar(written(tmp_path, text)).groups
    assert group.name == "no"
    assert group.companies == ("no", "on")
    assert group.env == {"AT": "22:30"}
    assert group.days.why_off(date(2027, 5, 17)) is not None
