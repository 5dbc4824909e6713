"""What ``close_calendar.yml`` says, checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from pipeline_ops.calendar.moments import Moment
    from pipeline_ops.calendar.periods_setting import PeriodSource
    from pipeline_ops.calendar.workdays import WorkingDays


@dataclass(frozen=True, slots=True)
class EventRule:
    """What starts when, and how late it may still start.

    Attributes:
        blocks: Arguments of ``meltano run``.
        max_lateness: A start later than this is no longer wanted.
        catches_up_all: After downtime each due event runs; else only the latest of those of a
            group that run the same blocks.
    """

    name: str
    at: Moment
    blocks: tuple[str, ...]
    max_lateness: timedelta
    catches_up_all: bool


@dataclass(frozen=True, slots=True)
class Group:
    """Companies that close together.

    Attributes:
        companies: Their ids; empty stands for all.
        reads_only_these: The tap reads these companies alone. Else it reads what it is set to: a
            whole reading of some companies would remove the others' rows from a data source that
            all of them share.
        environment: Meltano's environment; None leaves the project's default.
        env: Further variables for the runs.
    """

    name: str
    companies: tuple[str, ...]
    zone: ZoneInfo
    days: WorkingDays
    events: tuple[EventRule, ...]
    environment: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    reads_only_these: bool = False


@dataclass(frozen=True, slots=True)
class DriverRules:
    """How the driver deals with failure.

    Attributes:
        attempts: Starts of one event at most.
        backoff: Wait before the second; each further one is twice as long.
        longest_backoff: Its limit.
        timeout: A run that takes longer is stopped, and has failed.
        rerun_after_crash: A run whose end nobody saw is started again; else it has failed.
    """

    attempts: int = 3
    backoff: timedelta = timedelta(minutes=5)
    longest_backoff: timedelta = timedelta(hours=1)
    timeout: timedelta = timedelta(hours=6)
    rerun_after_crash: bool = True

    def wait_after(self, attempts: int) -> timedelta:
        """How long to wait after so many failed attempts."""
        doubled = self.backoff * (1 << min(attempts - 1, 20))
        return min(doubled, max(self.longest_backoff, self.backoff))


@dataclass(frozen=True, slots=True)
class CloseCalendar:
    """The whole file.

    Attributes:
        starts: Nothing that falls on an earlier day is ever started by the driver.
        path: The file.
    """

    name: str
    starts: date | None
    source: PeriodSource
    groups: tuple[Group, ...]
    driver: DriverRules
    path: Path
