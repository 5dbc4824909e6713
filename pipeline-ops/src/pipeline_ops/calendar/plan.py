"""From the calendar to explicit instants: which event of which period is due when."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError
from pipeline_ops.calendar.local_time import instant_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline_ops.calendar.periods import Period, Periods
    from pipeline_ops.calendar.settings import CloseCalendar, EventRule, Group

#: No event lies farther from its period's end (60 working days with long holidays, 120 days).
REACH = timedelta(days=200)


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What a run is for; there is one run for each."""

    calendar: str
    group: str
    period: str
    event: str

    def __str__(self) -> str:
        """``2027-01 flash`` and the group, as an operator reads it."""
        return f"{self.event} of {self.period} ({self.group})"


@dataclass(frozen=True, slots=True)
class Planned:
    """One event of one period.

    Attributes:
        due: The instant, in UTC.
        local: The same on the wall of the group's zone.
    """

    key: Key
    due: datetime
    local: datetime
    period: Period
    group: Group
    rule: EventRule

    @property
    def order(self) -> tuple[datetime, Key]:
        """By time, then by name, so that every driver sees one order."""
        return self.due, self.key


def plan_periods(calendar: CloseCalendar, periods: Iterable[Period]) -> list[Planned]:
    """Every event of ``periods``, in order.

    Raises:
        ConfigError: a working day does not exist, or holidays of that year are not known.
    """
    found = [
        _planned(calendar, group, period, rule)
        for period in periods
        for group in calendar.groups
        for rule in group.events
    ]
    return sorted(found, key=lambda planned: planned.order)


def plan_between(
    calendar: CloseCalendar, periods: Periods, after: datetime, until: datetime
) -> list[Planned]:
    """Events that are due later than ``after`` and not later than ``until``.

    Raises:
        ConfigError: as :func:`plan_periods`.
    """
    near = periods.ending(_shifted(after.date(), -REACH), _shifted(until.date(), REACH))
    return [p for p in plan_periods(calendar, near) if after < p.due <= until]


def coming_periods(
    calendar: CloseCalendar, periods: Periods, now: datetime, count: int
) -> list[Period]:
    """The next ``count`` periods of which an event still lies ahead; fewer where none are known."""
    near = periods.ending(
        _shifted(now.date(), -REACH), _shifted(now.date(), REACH + timedelta(days=40 * count))
    )
    ahead = {p.period for p in plan_periods(calendar, near) if p.due > now}
    return [period for period in near if period in ahead][:count]


def fingerprint(planned: Iterable[Planned]) -> str:
    """SHA-256 over names and instants: two equal ones stand for the same plan."""
    digest = hashlib.sha256()
    for each in planned:
        parts = (each.key.group, each.key.period, each.key.event, each.due.isoformat())
        digest.update("\t".join((*parts, *each.rule.blocks)).encode() + b"\n")
    return digest.hexdigest()


def _planned(calendar: CloseCalendar, group: Group, period: Period, rule: EventRule) -> Planned:
    key = Key(calendar.name, group.name, period.name, rule.name)
    try:
        due = instant_of(rule.at.day(period.end, group.days), rule.at.at, group.zone)
    except (ValueError, OverflowError) as error:
        message = f"{calendar.path.name}: {key} has no day: {error}"
        raise ConfigError(message) from error
    return Planned(key, due, due.astimezone(group.zone), period, group, rule)


def _shifted(day: date, by: timedelta) -> date:
    try:
        return day + by
    except OverflowError:
        return date.max if by > timedelta() else date.min
