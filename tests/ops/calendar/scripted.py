"""A calendar of periods around a chosen day, and runs that end as a test says."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

from pipeline_ops.calendar.driver import Driver
from pipeline_ops.calendar.launch import Outcome
from pipeline_ops.calendar.made_periods import Months
from pipeline_ops.calendar.moments import Moment
from pipeline_ops.calendar.periods_setting import GivenPeriods
from pipeline_ops.calendar.settings import CloseCalendar, DriverRules, EventRule, Group
from pipeline_ops.calendar.workdays import WorkingDays

if TYPE_CHECKING:
    from pipeline_ops.calendar.plan import Key, Planned
    from pipeline_ops.calendar.store import Store

#: How a scripted run ends; ``killed`` takes driver and attendant with it, ``driver killed`` lets
#: the attendant write down a success, ``unborn`` strikes between the claim and the start.
Ending = Literal["ok", "fails", "killed", "driver killed", "unborn"]

RULES = DriverRules(attempts=3, backoff=timedelta(minutes=5), longest_backoff=timedelta(hours=1))


#: So that the first working day of January 2027 is Monday the 4th.
NEW_YEAR = WorkingDays(off={date(2027, 1, 1): "New Year"})


class Killed(BaseException):
    """The driver is gone; nothing of it runs any further."""


@dataclass
class Clock:
    """A wall clock that anybody may set."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


@dataclass
class ScriptedRuns:
    """Runs that take some time and end as scripted; past the script they end well."""

    clock: Clock
    script: list[Ending] = field(default_factory=list)
    takes: timedelta = timedelta(minutes=10)
    started: list[tuple[Key, datetime]] = field(default_factory=list)
    succeeded: list[Key] = field(default_factory=list)
    left: dict[str, Outcome] = field(default_factory=dict)

    def run(self, planned: Planned, run_id: str) -> Outcome | None:
        ending = self.script.pop(0) if self.script else "ok"
        if ending == "unborn":
            raise Killed
        self.started.append((planned.key, self.clock.now))
        self.clock.now += self.takes
        if ending == "killed":
            raise Killed
        if ending == "fails":
            return Outcome(1)
        self.succeeded.append(planned.key)
        self.left[run_id] = Outcome(0)
        if ending == "driver killed":
            raise Killed
        return self.left[run_id]

    def outcome(self, run_id: str) -> Outcome | None:
        return self.left.get(run_id)

    def forget(self, run_id: str) -> None:
        self.left.pop(run_id, None)


def event(
    name: str, at: str, *blocks: str, late: timedelta = timedelta(hours=12), every: bool = False
) -> EventRule:
    """An event that runs blocks of its own unless told which."""
    return EventRule(name, Moment.parse(at), blocks or (name,), late, every)


def calendar(
    *events: EventRule, zone: str = "UTC", rules: DriverRules = RULES, starts: date | None = None
) -> CloseCalendar:
    """Calendar months, one group."""
    group = Group("all", (), ZoneInfo(zone), NEW_YEAR, events)
    path = Path("close_calendar.yml")
    return CloseCalendar("close", starts, GivenPeriods(Months()), (group,), rules, path)


def driver_of(
    plan: CloseCalendar, store: Store, runs: ScriptedRuns, ledger: Path = Path(":memory:")
) -> Driver:
    """A driver on a scripted world."""
    return Driver(plan, plan.source.read(), store, runs, ledger_path=ledger, now=runs.clock)


def utc(text: str) -> datetime:
    """``2027-01-04 06:00``."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
