"""Points of a close as finance names them: ``WD1 06:00``, ``WD-2 18:00``, ``D+5 08:00``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline_ops.calendar.workdays import WorkingDays

#: Farther from a period's end, an event belongs to another period.
LARGEST_WD = 60
LARGEST_D = 120

_FORM = re.compile(
    r"(?P<unit>WD|D)(?P<number>[+-]?\d{1,3})\s+(?P<hour>\d{1,2}):(?P<minute>\d{2})", re.IGNORECASE
)
_WANTED = "write WD1 06:00 (working day), WD-2 18:00 (before the end) or D+5 08:00 (calendar day)"


@dataclass(frozen=True, slots=True)
class Moment:
    """A local time of day on a day counted from the end of a period.

    Attributes:
        counts_working_days: ``WD``: working days; else ``D``: calendar days.
        number: ``WD1`` is the first working day after the period's last day, ``WD-1`` the last one
            within the period (its last day included); there is no ``WD0``. ``D0`` is the period's
            last day, ``D+1`` the day after.
        at: Local time of day.
    """

    counts_working_days: bool
    number: int
    at: time

    @classmethod
    def parse(cls, text: str) -> Moment:
        """Read what ``str`` writes; a sign before a positive number and lower case are fine.

        Raises:
            ValueError: says what is wanted.
        """
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise ValueError(_WANTED)
        hour, minute = int(match["hour"]), int(match["minute"])
        if hour > 23 or minute > 59:  # noqa: PLR2004 - a clock
            message = "there is no such time of day; use 00:00 to 23:59"
            raise ValueError(message)
        working, number = match["unit"].upper() == "WD", int(match["number"])
        if working and number == 0:
            message = (
                "there is no WD0: WD-1 is the last working day of the period, WD1 the first after"
            )
            raise ValueError(message)
        largest = LARGEST_WD if working else LARGEST_D
        if abs(number) > largest:
            message = f"too far from the period's end; at most {largest} days"
            raise ValueError(message)
        return cls(working, number, time(hour, minute))

    @property
    def day_label(self) -> str:
        """``WD1``, ``WD-2``, ``D+5``, ``D0``."""
        if self.counts_working_days:
            return f"WD{self.number}"
        return f"D{self.number:+d}" if self.number else "D0"

    def __str__(self) -> str:
        """``WD1 06:00``."""
        return f"{self.day_label} {self.at:%H:%M}"

    def day(self, period_end: date, days: WorkingDays) -> date:
        """The calendar day on which it falls for a period that ends on ``period_end``.

        Raises:
            ValueError: the calendar has too few working days there.
        """
        if self.counts_working_days:
            return days.nth_from(period_end, self.number)
        return period_end + timedelta(days=self.number)
