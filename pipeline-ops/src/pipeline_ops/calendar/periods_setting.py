"""The part ``periods:`` of ``close_calendar.yml``: five ways to say where periods come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError
from pipeline_ops.calendar import scalars
from pipeline_ops.calendar.made_periods import PATTERNS, Months, Weeks, YearStart, month_number
from pipeline_ops.calendar.periods import COLUMNS, Period, Periods, in_order, read_periods

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline_ops.calendar.lines import Value

#: Where `calendar fetch` keeps what D365 told, below the folder of close_calendar.yml.
DEFAULT_CACHE = "var/fiscal_periods.csv"

_WAYS = ("month", *PATTERNS, "file", "d365")
_PARTS = {
    "month": ("year_starts",),
    **dict.fromkeys(PATTERNS, ("year_starts", "week_53", "named_by")),
    "file": ("file",),
    "d365": ("calendar", "cache", "extractor"),
}


@dataclass(frozen=True, slots=True)
class GivenPeriods:
    """Periods that the file gives itself, or a rule that makes them."""

    periods: Periods

    def read(self) -> Periods:
        """The periods."""
        return self.periods


@dataclass(frozen=True, slots=True)
class PeriodsFile:
    """Periods in a CSV file that a person keeps."""

    path: Path

    def read(self) -> Periods:
        """Read it.

        Raises:
            ConfigError: see :func:`read_periods`.
        """
        return read_periods(self.path)


@dataclass(frozen=True, slots=True)
class D365Periods:
    """Periods of a fiscal calendar of D365, as fetched last.

    Attributes:
        calendar: Its id in D365.
        cache: CSV file in which they are kept.
        extractor: Name of the tap in ``meltano.yml``.
    """

    calendar: str
    cache: Path
    extractor: str

    def read(self) -> Periods:
        """Read the kept ones.

        Raises:
            ConfigError: nothing was fetched yet.
        """
        if not self.cache.is_file():
            message = (
                f"the fiscal periods of calendar {self.calendar} were never fetched ({self.cache} "
                "is missing); run `d365fo-tableau calendar fetch`"
            )
            raise ConfigError(message)
        return read_periods(self.cache)


PeriodSource = GivenPeriods | PeriodsFile | D365Periods


def read_source(given: Value, folder: Path) -> PeriodSource:
    """What ``periods:`` means; relative paths start at ``folder``.

    Raises:
        ConfigError: names the line.
    """
    if given.is_mapping:
        parts = given.section(("from", *dict.fromkeys(p for ps in _PARTS.values() for p in ps)))
        if "from" not in parts:
            given.fail(f"lacks `from`: one of {', '.join(_WAYS)}")
        way = parts.pop("from").parsed(scalars.one_of(*_WAYS))
        for name, value in parts.items():
            if name not in _PARTS[way]:
                value.fail(f"does not go with `from: {way}`")
        return _from(way, given, parts, folder)
    if given.is_list:
        return GivenPeriods(_inline(given))
    return _from(given.parsed(scalars.one_of(*_WAYS)), given, {}, folder)


def _from(way: str, given: Value, parts: dict[str, Value], folder: Path) -> PeriodSource:
    if way == "month":
        first = parts["year_starts"].parsed(month_number) if "year_starts" in parts else None
        return GivenPeriods(Months(first))
    if way in PATTERNS:
        if "year_starts" not in parts:
            given.fail("lacks `year_starts`, such as `last Sunday of January`")
        return GivenPeriods(
            Weeks(
                PATTERNS[way],
                parts["year_starts"].parsed(YearStart.parse),
                parts["week_53"].parsed(scalars.whole(1, 12)) if "week_53" in parts else 12,
                "named_by" not in parts
                or parts["named_by"].parsed(scalars.one_of("start", "end")) == "end",
            )
        )
    if way == "file":
        if "file" not in parts:
            given.fail(f"lacks `file`: a CSV file with the columns {','.join(COLUMNS)}")
        return PeriodsFile(folder / parts["file"].text())
    if "calendar" not in parts:
        given.fail("lacks `calendar`: the fiscal calendar's id in D365")
    return D365Periods(
        parts["calendar"].text(),
        folder / (parts["cache"].text() if "cache" in parts else DEFAULT_CACHE),
        parts["extractor"].text() if "extractor" in parts else "tap-d365fo",
    )


def _inline(given: Value) -> Periods:
    found = []
    for value in given.items():
        parts = value.section(COLUMNS)
        for column in COLUMNS:
            if column not in parts:
                value.fail(f"lacks `{column}` here")
        found.append(
            Period(
                parts["period"].text(),
                parts["start"].parsed(scalars.day),
                parts["end"].parsed(scalars.day),
            )
        )
    try:
        return in_order(found)
    except ValueError as error:
        given.fail(f"cannot be used: {error}")
