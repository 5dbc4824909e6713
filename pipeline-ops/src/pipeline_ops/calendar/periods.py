"""Fiscal periods: what is closed. From a file, from the calendar itself, or made by a rule."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Protocol

from pipeline_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

#: Columns of a file of periods.
COLUMNS = ("period", "start", "end")


@dataclass(frozen=True, slots=True)
class Period:
    """One fiscal period; both days belong to it.

    Attributes:
        name: What the record of past runs knows it by: never rename one that is closed.
    """

    name: str
    start: date
    end: date


class Periods(Protocol):
    """Where periods come from."""

    def ending(self, first: date, last: date) -> Sequence[Period]:
        """Those that end on or between two days, in order."""


@dataclass(frozen=True, slots=True)
class ListedPeriods:
    """Periods that were given one by one."""

    listed: tuple[Period, ...]

    def ending(self, first: date, last: date) -> Sequence[Period]:
        """Those that end on or between two days, in order."""
        return [period for period in self.listed if first <= period.end <= last]


def in_order(periods: Iterable[Period]) -> ListedPeriods:
    """Periods sorted by time.

    Raises:
        ValueError: there are none, one ends before it starts, two overlap or share a name. Gaps are
            allowed: a ledger may have been opened late.
    """
    ordered = sorted(periods, key=lambda period: (period.start, period.end))
    if not ordered:
        message = "there is no period"
        raise ValueError(message)
    names: set[str] = set()
    before: Period | None = None
    for period in ordered:
        if not period.name.isprintable():
            message = f"a period's name may only have visible characters: {period.name!r}"
            raise ValueError(message)
        if period.end < period.start:
            message = f"period {period.name} ends ({period.end}) before it starts ({period.start})"
            raise ValueError(message)
        if before is not None and period.start <= before.end:
            message = f"periods {before.name} and {period.name} overlap on {period.start}"
            raise ValueError(message)
        if period.name in names:
            message = f"two periods are called {period.name}"
            raise ValueError(message)
        names.add(period.name)
        before = period
    return ListedPeriods(tuple(ordered))


def read_periods(path: Path) -> ListedPeriods:
    """Periods from a CSV file with the columns ``period,start,end``; dates as ``2027-01-31``.

    Raises:
        ConfigError: the file is missing or a line of it is wrong; it is named.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        message = f"the periods in {path} cannot be read: {error}"
        raise ConfigError(message) from error
    rows = csv.reader(io.StringIO(text))
    found: list[Period] = []
    for row in rows:
        if rows.line_num == 1:
            if tuple(cell.strip().lower() for cell in row) != COLUMNS:
                message = f"{path}, line 1: the columns must be {','.join(COLUMNS)}"
                raise ConfigError(message)
        elif any(cell.strip() for cell in row):
            found.append(_period(row, f"{path}, line {rows.line_num}"))
    try:
        return in_order(found)
    except ValueError as error:
        message = f"{path}: {error}"
        raise ConfigError(message) from error


def _period(row: list[str], place: str) -> Period:
    cells = [cell.strip() for cell in row]
    if len(cells) != len(COLUMNS) or not cells[0]:
        message = f"{place}: there must be a period's name, its first and its last day"
        raise ConfigError(message)
    try:
        return Period(cells[0], date.fromisoformat(cells[1]), date.fromisoformat(cells[2]))
    except ValueError as error:
        message = f"{place}: write days as 2027-01-31"
        raise ConfigError(message) from error


def write_periods(periods: Iterable[Period]) -> bytes:
    """The content of a file that :func:`read_periods` reads."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((p.name, p.start.isoformat(), p.end.isoformat()) for p in periods)
    return out.getvalue().encode()
