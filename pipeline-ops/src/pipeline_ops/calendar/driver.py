"""Start what is due, once, and keep the record of it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from pipeline_core.errors import TerminatedError
from pipeline_core.ledger import Ledger
from pipeline_core.run_id import uuid7
from pipeline_ops.calendar.decide import Mark, decide
from pipeline_ops.calendar.plan import REACH, plan_between
from pipeline_ops.calendar.store import Record, State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline_core.ledger import Event
    from pipeline_ops.calendar.launch import Outcome
    from pipeline_ops.calendar.periods import Periods
    from pipeline_ops.calendar.plan import Planned
    from pipeline_ops.calendar.settings import CloseCalendar
    from pipeline_ops.calendar.store import Store

#: Who writes the driver's rows in the ledger.
ACTOR = "calendar"

_INTENT = "calendar.run.intent"

#: What is older is far beyond any max_lateness (60 days at most).
_LOOK_BACK = timedelta(days=400)


class Runs(Protocol):
    """What starts runs: a :class:`~pipeline_ops.calendar.launch.Launcher`, or a test's own."""

    def run(self, planned: Planned, run_id: str) -> Outcome | None:
        """Run to the end."""

    def outcome(self, run_id: str) -> Outcome | None:
        """How an earlier run ended."""

    def forget(self, run_id: str) -> None:
        """That it is recorded."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of the driver did and found.

    Attributes:
        records: Rows that it changed, in order.
        wake_at: When something is due, or due again; None where nothing lies ahead.
    """

    records: tuple[Record, ...]
    wake_at: datetime | None

    @property
    def failures(self) -> tuple[Record, ...]:
        """The last word on each event that did not come to its end."""
        last = {record.key: record for record in self.records}
        bad = {State.WAITING, State.FAILED, State.MISSED}
        return tuple(record for record in last.values() if record.state in bad)


class Driver:
    """Works on one calendar; the caller holds the lease for as long as it is used."""

    def __init__(
        self,
        calendar: CloseCalendar,
        periods: Periods,
        store: Store,
        runs: Runs,
        *,
        ledger_path: Path,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Prepare; nothing is started yet."""
        self._calendar = calendar
        self._periods = periods
        self._store = store
        self._runs = runs
        self._ledger_path = ledger_path
        self._now = now
        self._tell = tell
        self._changed: list[Record] = []

    def round(self) -> Round:
        """Find out about abandoned claims, then start what is due, one run after the other.

        Raises:
            ConfigError: a day cannot be found.
            IntegrityError: the ledger was tampered with.
            PipelineError: the ledger cannot be kept; of the kind that the reason is.
            TerminatedError, KeyboardInterrupt: told to stop; what ran will be started again.
        """
        self._changed = []
        self._settle_abandoned()
        while True:
            now = self._now()
            records = self._store.records(self._calendar.name)
            rules = self._calendar.driver
            longest_wait = max(rules.longest_backoff, rules.backoff)
            decision = decide(self._plan(now), records, now, longest_wait)
            for key in decision.reopened:
                self._tell(f"{key}: open again, it lies ahead")
                self._store.forget(key)
            for mark in decision.marks:
                self._mark(mark, records.get(mark.planned.key))
            if decision.start is None:
                return Round(tuple(self._changed), decision.wake_at)
            self._start(decision.start, records.get(decision.start.key))

    def _plan(self, now: datetime) -> list[Planned]:
        """All that a driver may still care for, past and to come."""
        first, starts = now - _LOOK_BACK, self._calendar.starts
        if starts is None:
            first = max(first, self._store.since(self._calendar.name, now))
        plan = plan_between(self._calendar, self._periods, first, now + REACH)
        return [p for p in plan if starts is None or p.local.date() >= starts]

    def _mark(self, mark: Mark, before: Record | None) -> None:
        record = replace(
            before or Record(mark.planned.key, mark.planned.due, mark.state),
            state=mark.state,
            retry_at=None,
            note=mark.note,
        )
        with self._ledger(str(uuid7())) as ledger:
            ledger.append(f"calendar.{mark.state}", **_facts(record))
        self._put(record)

    def _start(self, planned: Planned, before: Record | None) -> None:
        """Claim, announce, run, record: a death between any two leaves the claim behind."""
        claim = Record(
            planned.key,
            planned.due,
            State.RUNNING,
            attempts=(before.attempts if before else 0) + 1,
            run_id=str(uuid7()),
            driver=f"{os.uname().nodename}:{os.getpid()}",
        )
        with self._ledger(claim.run_id or "") as ledger:
            ledger.verify()  # nothing is started on a record that was tampered with
            self._store.put(claim, self._now())
            ledger.append(
                _INTENT,
                **_facts(claim),
                attempt=claim.attempts,
                blocks=list(planned.rule.blocks),
            )
        self._tell(f"{claim.key}: attempt {claim.attempts}, run {claim.run_id}")
        try:
            outcome = self._runs.run(planned, claim.run_id or "")
        except (TerminatedError, KeyboardInterrupt):
            self._finish(claim, self._runs.outcome(claim.run_id or ""))
            raise
        self._finish(claim, outcome)

    def _settle_abandoned(self) -> None:
        """End the claims of drivers that died. We hold the lease: nothing of theirs still runs."""
        for record in self._store.records(self._calendar.name).values():
            if record.state is State.RUNNING:
                self._finish(record, self._runs.outcome(record.run_id or ""))

    def _finish(self, claim: Record, outcome: Outcome | None) -> None:
        ended = self._ended(claim, outcome)
        with self._ledger(claim.run_id or "") as ledger:
            intent = next(
                (e.seq for e in ledger.events(run_id=claim.run_id) if _announces(e)), None
            )
            if intent is None:  # killed between the claim and its announcement
                ledger.append("calendar.abandoned", **_facts(ended), error=ended.note)
            elif ended.state is State.DONE:
                ledger.append("calendar.run.verified", **_facts(ended), intent=intent)
                ledger.append("run.finished")
            else:
                ledger.append(
                    "calendar.run.failed", **_facts(ended), intent=intent, error=ended.note
                )
        self._put(ended)
        self._runs.forget(claim.run_id or "")

    def _ended(self, claim: Record, outcome: Outcome | None) -> Record:
        rules, now = self._calendar.driver, self._now()
        if outcome is None:
            note = "driver and attendant died before its end was recorded"
            if not rules.rerun_after_crash:
                return replace(claim, state=State.FAILED, note=f"{note}; see after_crash")
        elif outcome.exit_code == 0:
            return replace(claim, state=State.DONE, exit_code=0, note=outcome.note)
        else:
            note = outcome.note or f"meltano ended with exit code {outcome.exit_code}"
            claim = replace(claim, exit_code=outcome.exit_code)
            if outcome.stopped:  # because its driver was: not its own failure
                kept = replace(claim, attempts=claim.attempts - 1, retry_at=now, note=note)
                return replace(kept, state=State.WAITING)
        if claim.attempts >= rules.attempts:
            return replace(claim, state=State.FAILED, note=note)
        retry_at = now + rules.wait_after(claim.attempts)
        return replace(claim, state=State.WAITING, retry_at=retry_at, note=note)

    def _put(self, record: Record) -> None:
        self._store.put(record, self._now())
        self._changed.append(record)
        self._tell(describe(record))

    def _ledger(self, run_id: str) -> Ledger:
        return Ledger(self._ledger_path, run_id=run_id, actor=ACTOR)


def describe(record: Record) -> str:
    """A row as one line for an operator."""
    again = f"; again at {record.retry_at:%Y-%m-%d %H:%M:%S} UTC" if record.retry_at else ""
    note = f": {record.note}" if record.note else ""
    return f"{record.key}: {record.state}{note}{again}"


def _announces(event: Event) -> bool:
    return event.event == _INTENT


def _facts(record: Record) -> dict[str, object]:
    return {
        "calendar": record.key.calendar,
        "group": record.key.group,
        "period": record.key.period,
        "calendar_event": record.key.event,
        "due": record.due.isoformat(),
        "state": record.state.value,
        **({} if record.exit_code is None else {"exit_code": record.exit_code}),
    }
