"""Fiscal periods that follow a rule: calendar months, or weeks in the pattern 4-4-5."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from pipeline_ops.calendar.lines import nearest
from pipeline_ops.calendar.periods import Period
from pipeline_ops.calendar.workdays import WEEKDAYS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

#: Weeks of the three periods of a quarter.
PATTERNS = {"4-4-5": (4, 4, 5), "4-5-4": (4, 5, 4), "5-4-4": (5, 4, 4)}

_PERIODS_A_YEAR = 12
_WEEK = timedelta(days=7)
_DAY = timedelta(days=1)
#: A year of weeks starts at most a week beside its nominal day; half a month is beyond that.
_NAMING_MARGIN = timedelta(days=15)

_RULE = re.compile(
    r"(?:(?P<which>first|last) (?P<day>\w+) of (?P<month>\w+)"
    r"|(?P<near>\w+) nearest (?P<number>\d{1,2}) (?P<of>\w+))",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Months:
    """Calendar months.

    Attributes:
        first_month: Where the fiscal year starts, 1 to 12; None names periods by the calendar
            (``2027-01``), a month names them by the fiscal year in which they lie
            (``FY2027-P01``), which is the one in which that year ends.
    """

    first_month: int | None = None

    def ending(self, first: date, last: date) -> Sequence[Period]:
        """Those that end on or between two days, in order."""
        found = []
        start = first.replace(day=1)
        while start <= last:
            following = (start + timedelta(days=32)).replace(day=1)
            end = following - _DAY
            if first <= end <= last:
                found.append(Period(self._name(start), start, end))
            start = following
        return found

    def _name(self, start: date) -> str:
        if self.first_month is None:
            return f"{start:%Y-%m}"
        number = (start.month - self.first_month) % _PERIODS_A_YEAR + 1
        ends_next_year = self.first_month > 1 and start.month >= self.first_month
        return f"FY{start.year + ends_next_year}-P{number:02}"


@dataclass(frozen=True, slots=True)
class YearStart:
    """The day on which a year of weeks starts.

    Attributes:
        weekday: As ``date.weekday`` counts.
        which: ``first`` or ``last`` such day of ``month``, or ``nearest`` to ``day`` of it.
        day: Of the month, for ``nearest``.
    """

    weekday: int
    which: str
    month: int
    day: int = 1

    @classmethod
    def parse(cls, text: str) -> YearStart:
        """Read ``first Sunday of February``, ``last Monday of December``, ``Sunday nearest 1 May``.

        Raises:
            ValueError: says what is wanted.
        """
        match = _RULE.fullmatch(" ".join(text.split()))
        if match is None:
            message = (
                "write `first Sunday of February`, `last Sunday of January` or "
                "`Sunday nearest 1 February`"
            )
            raise ValueError(message)
        if match["which"]:
            which, month = match["which"].lower(), month_number(match["month"])
            return cls(weekday_number(match["day"]), which, month)
        weekday, month = weekday_number(match["near"]), month_number(match["of"])
        day = int(match["number"])
        date(2001, month, day)  # "day is out of range for month"; 2001 has no 29 February
        return cls(weekday, "nearest", month, day)

    def in_year(self, year: int) -> date:
        """The day for the year whose ``month`` is meant; ``nearest`` may lie in another one."""
        if self.which == "first":
            base = date(year, self.month, 1)
            return base + timedelta(days=(self.weekday - base.weekday()) % 7)
        if self.which == "last":
            base = (date(year, self.month, 1) + timedelta(days=32)).replace(day=1) - _DAY
            return base - timedelta(days=(base.weekday() - self.weekday) % 7)
        base = date(year, self.month, self.day)
        ahead = (self.weekday - base.weekday()) % 7
        return base + timedelta(days=ahead if ahead <= 3 else ahead - 7)  # noqa: PLR2004 - of seven


@dataclass(frozen=True, slots=True)
class Weeks:
    """Years of 52 or 53 whole weeks, in quarters such as 4-4-5.

    Attributes:
        pattern: Weeks of each period of a quarter.
        starts: When years start.
        week_53: Number of the period that takes the 53rd week, where a year has one.
        named_by_end: A year is called after the calendar year in which it ends, not starts.
    """

    pattern: tuple[int, int, int]
    starts: YearStart
    week_53: int = _PERIODS_A_YEAR
    named_by_end: bool = True

    def ending(self, first: date, last: date) -> Sequence[Period]:
        """Those that end on or between two days, in order."""
        return [
            period
            for year in range(first.year - 2, last.year + 2)
            for period in self._year(year)
            if first <= period.end <= last
        ]

    def _year(self, year: int) -> Iterator[Period]:
        start, following = self.starts.in_year(year), self.starts.in_year(year + 1)
        has_53 = (following - start) // _WEEK == 53  # noqa: PLR2004 - weeks
        label = (
            (following - _NAMING_MARGIN).year
            if self.named_by_end
            else (start + _NAMING_MARGIN).year
        )
        for number in range(1, _PERIODS_A_YEAR + 1):
            weeks = self.pattern[(number - 1) % 3] + (has_53 and number == self.week_53)
            end = start + weeks * _WEEK - _DAY
            yield Period(f"FY{label}-P{number:02}", start, end)
            start = end + _DAY


def month_number(name: str) -> int:
    """1 to 12.

    Raises:
        ValueError: no month has this name; with the nearest.
    """
    return _position(name, MONTHS, "month") + 1


def weekday_number(name: str) -> int:
    """0 (Monday) to 6.

    Raises:
        ValueError: no day has this name; with the nearest.
    """
    return _position(name, WEEKDAYS, "day of the week")


def _position(name: str, names: Sequence[str], what: str) -> int:
    for position, each in enumerate(names):
        if each.casefold() == name.strip().casefold():
            return position
    message = f"there is no {what} {name!r}{nearest(name, names)}"
    raise ValueError(message)
