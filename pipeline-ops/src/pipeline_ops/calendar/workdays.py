"""Which days are worked: weekends, public holidays, own days off, days worked all the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline_ops.calendar.public_holidays import HolidayNames

#: Names in the order of ``date.weekday``.
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

#: Without that many working days in a row of days, something is wrong with the calendar.
_SEARCH_DAYS = 400

_DAY = timedelta(days=1)


def _no_holidays(day: date) -> str | None:  # noqa: ARG001 - the signature of HolidayNames
    return None


@dataclass(frozen=True, slots=True)
class WorkingDays:
    """A rule for every day.

    Attributes:
        weekend: Numbers of ``date.weekday`` that are not worked.
        holiday: The name of the public holiday on a day, or None.
        off: Own days off, with a name.
        worked: Days that are worked whatever the rest says.
    """

    weekend: frozenset[int] = frozenset({5, 6})
    holiday: HolidayNames = _no_holidays
    off: Mapping[date, str] = field(default_factory=dict)
    worked: frozenset[date] = frozenset()

    def why_off(self, day: date) -> str | None:
        """Why nobody works on ``day``; None for a working day."""
        if day in self.worked:
            return None
        if day in self.off:
            return self.off[day]
        name = self.holiday(day)
        if name is not None:
            return name
        return "weekend" if day.weekday() in self.weekend else None

    def is_working(self, day: date) -> bool:
        """Whether ``day`` counts."""
        return self.why_off(day) is None

    def nth_from(self, end: date, number: int) -> date:
        """Working day ``number`` as counted from a period's last day ``end``.

        1 is the first working day after ``end``; -1 the last one up to and including it.

        Raises:
            ValueError: ``number`` is 0, or there are not so many within 400 days.
        """
        if number == 0:
            message = "there is no working day 0"
            raise ValueError(message)
        step = _DAY if number > 0 else -_DAY
        day = end if number > 0 else end + _DAY
        left = abs(number)
        for _ in range(_SEARCH_DAYS):
            day += step
            left -= self.is_working(day)
            if left == 0:
                return day
        message = f"there are no {abs(number)} working days within {_SEARCH_DAYS} days of {end}"
        raise ValueError(message)
