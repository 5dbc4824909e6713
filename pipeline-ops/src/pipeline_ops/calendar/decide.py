"""What to do now, from the plan and what became of each event so far. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline_ops.calendar.store import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime, timedelta

    from pipeline_ops.calendar.plan import Key, Planned
    from pipeline_ops.calendar.store import Record


@dataclass(frozen=True, slots=True)
class Mark:
    """An event that is not started (any more), and why."""

    planned: Planned
    state: State
    note: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The next steps of a driver.

    Attributes:
        reopened: Rows to forget: the clock was set back, or the event was put off.
        marks: Rows to write.
        start: What to start now; the earliest due first.
        wake_at: When something is due or to be repeated next; None where nothing is known.
    """

    reopened: tuple[Key, ...]
    marks: tuple[Mark, ...]
    start: Planned | None
    wake_at: datetime | None


def decide(
    plan: Iterable[Planned],
    records: Mapping[Key, Record],
    now: datetime,
    longest_backoff: timedelta,
) -> Decision:
    """Judge every event of ``plan``, which reaches from the past into the future.

    Rules, in this order: what was given up and now lies ahead is open again; what is open and too
    late is missed (or failed, when it was tried); of open events of one group that run the same
    blocks only the latest is wanted, unless an event says ``catch_up: all``; the rest starts in the
    order in which it was due, unless it waits for its next attempt.
    """
    reopened: list[Key] = []
    marks: list[Mark] = []
    open_ones: list[Planned] = []
    wakes: list[datetime] = []
    for planned in sorted(plan, key=lambda each: each.order):
        record = records.get(planned.key)
        if planned.due > now:
            if record is not None and _is_open_again(record, planned):
                reopened.append(planned.key)
                record = None
            if record is None or record.state is State.WAITING:
                wakes.append(planned.due)
        elif record is None or record.state is State.WAITING:
            late = _too_late(planned, record, now)
            if late is None:
                open_ones.append(planned)
            else:
                marks.append(late)
    superseded = _superseded(open_ones)
    marks += superseded
    gone = {mark.planned.key for mark in superseded}
    ready: list[Planned] = []
    for planned in open_ones:
        if planned.key in gone:
            continue
        wait_until = _wait_until(records.get(planned.key), now, longest_backoff)
        if wait_until is None:
            ready.append(planned)
        else:
            wakes.append(wait_until)
    return Decision(
        tuple(reopened), tuple(marks), ready[0] if ready else None, min(wakes, default=None)
    )


def _is_open_again(record: Record, planned: Planned) -> bool:
    """Given up, and yet ahead: the clock was wrong then, or the file now names a later time."""
    if record.state in {State.MISSED, State.SUPERSEDED}:
        return True
    return record.state is State.FAILED and record.due != planned.due


def _too_late(planned: Planned, record: Record | None, now: datetime) -> Mark | None:
    limit = planned.rule.max_lateness
    if now - planned.due <= limit:
        return None
    if record is None:
        note = f"no driver looked within {limit} of the time it was due"
        return Mark(planned, State.MISSED, note)
    note = f"failed, and a further attempt would be later than max_lateness ({limit})"
    return Mark(planned, State.FAILED, note)


def _superseded(open_ones: list[Planned]) -> list[Mark]:
    latest: dict[tuple[str, tuple[str, ...]], Planned] = {}
    for planned in open_ones:
        latest[planned.key.group, planned.rule.blocks] = planned
    marks = []
    for planned in open_ones:
        last = latest[planned.key.group, planned.rule.blocks]
        if planned is not last and not planned.rule.catches_up_all:
            note = f"{last.key.event} of {last.key.period} was due as well and does the same"
            marks.append(Mark(planned, State.SUPERSEDED, note))
    return marks


def _wait_until(
    record: Record | None, now: datetime, longest_backoff: timedelta
) -> datetime | None:
    if record is None or record.retry_at is None or record.retry_at <= now:
        return None
    # Farther ahead than any wait: it was written under a clock that has been set back since.
    return record.retry_at if record.retry_at - now <= longest_backoff else None
