"""Starts the mapped runs and settles how they ended; one in flight per pipeline.

Every step is written before it is done. What a process that dies leaves behind is one of:

* events that wait: they wait on;
* a run noted as running whose lease is held: it is in flight, whoever started it; it is waited for;
* a run noted as running whose lease is free: the ledger tells whether the target finished it.
  Otherwise it is begun again; a run that was cut short has published nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError, IntegrityError
from pipeline_core.ledger import Ledger
from pipeline_core.run_id import uuid7
from pipeline_ops.listen import flight
from pipeline_ops.listen.coalesce import Waiting, starts_at
from pipeline_ops.listen.inbox import ASIDE, DONE, WAITING, Inbox
from pipeline_ops.listen.log import LOG, fields

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipeline_ops.listen.alerts import Outbox
    from pipeline_ops.listen.inbox import Kept
    from pipeline_ops.listen.settings import ListenSettings, Pipeline
    from pipeline_ops.listen.store import Store

#: Who writes into the ledger.
ACTOR = "listen"

_TARGET = "target-tableau-hyper"

#: How long a run that was told to stop is waited for before it is killed.
_PATIENCE_S = 60.0

_LOOK_EVERY_S = 0.5

#: Event ids in one row of the ledger; further ones are in further rows.
_IDS_A_ROW = 200


@dataclass(frozen=True, slots=True)
class _Flight:
    run_id: str
    pipeline: str
    began_at: float
    intent: int | None


class Pipelines:
    """Looks after every pipeline, in one thread."""

    def __init__(
        self, store: Store, settings: ListenSettings, outbox: Outbox, *, project: Path
    ) -> None:
        """Use ``store``; ``project`` is where Meltano works."""
        self._store = store
        self._inbox = Inbox(store)
        self._settings = settings
        self._outbox = outbox
        self._project = project
        self._leases = flight.Leases(settings.state_dir / "leases")
        self._children: dict[str, flight.Child] = {}
        self._waited_for: set[str] = set()
        self._dropped = False

    def step(self, now: float) -> float | None:
        """Settle and start what is due; returns the instant at which to look again."""
        if not self._dropped:
            self._drop_unknown()
            self._dropped = True
        looks = [self._look_after(pipeline, now) for pipeline in self._settings.pipelines]
        return min((at for at in looks if at is not None), default=None)

    def stop(self, *, timeout_s: float) -> None:
        """Tell runs to stop and hand their leases back; one that will not is left in flight."""
        for child in self._children.values():
            child.terminate(time.time())
        deadline = time.monotonic() + timeout_s
        while self._children and time.monotonic() < deadline:
            for pipeline in self._settings.pipelines:
                running = self._children.get(pipeline.name)
                found = self._in_flight(pipeline.name)
                if running is None or found is None or running.process.poll() is None:
                    continue
                del self._children[pipeline.name]
                if running.process.returncode == 0:
                    self._succeeded(pipeline, found, time.time())
                else:
                    self._interrupted(pipeline, found, "the service was told to stop", time.time())
            time.sleep(0.05)
        for name in self._children:
            LOG.warning(
                "run left in flight; the next start waits for it", extra=fields(pipeline=name)
            )

    def _drop_unknown(self) -> None:
        """Set events aside that wait for a pipeline which is not set up any more."""
        known = {pipeline.name for pipeline in self._settings.pipelines}
        rows = self._store.rows("SELECT DISTINCT pipeline FROM due")
        for name in {row[0] for row in rows} - known:
            with self._store.writing() as store:
                seqs = [r[0] for r in store.rows("SELECT seq FROM due WHERE pipeline = ?", name)]
                store.run("DELETE FROM due WHERE pipeline = ?", name)
                store.run(
                    "UPDATE run SET state = 'interrupted' WHERE pipeline = ? AND state = 'running'",
                    name,
                )
                others = {r[0] for r in store.rows("SELECT seq FROM due")}
                left = [seq for seq in seqs if seq not in others]
                self._inbox.mark(left, ASIDE, f"pipeline {name} is not set up any more")
            LOG.warning(
                "events set aside; their pipeline is not set up any more",
                extra=fields(pipeline=name, events=len(left)),
            )

    def _look_after(self, pipeline: Pipeline, now: float) -> float | None:
        found = self._in_flight(pipeline.name)
        if found is not None:
            return self._follow(pipeline, found, now)
        waiting = self._waiting(pipeline.name)
        if waiting is None:
            return None
        row = self._store.row("SELECT until FROM pause WHERE pipeline = ?", pipeline.name)
        paused_until = row[0] if row else 0.0
        begins_at = starts_at(waiting, pipeline, now=now, paused_until=paused_until)
        if begins_at > now:
            return begins_at
        self._begin(pipeline, waiting, now)
        return now + _LOOK_EVERY_S

    def _begin(self, pipeline: Pipeline, waiting: Waiting, now: float) -> None:
        with self._leases.take(pipeline.name) as lease:
            if lease is None:
                return  # a run whose service died before it could be noted
            run_id = str(uuid7())
            with self._store.writing() as store:
                store.run(
                    "INSERT INTO run (run_id, pipeline, state, began_at)"
                    " VALUES (?, ?, 'running', ?)",
                    run_id,
                    pipeline.name,
                    now,
                )
                for seq in waiting.seqs:
                    store.run(
                        "UPDATE due SET run_id = ? WHERE pipeline = ? AND seq = ?",
                        run_id,
                        pipeline.name,
                        seq,
                    )
            intent = self._announce(pipeline, run_id, self._inbox.get(waiting.seqs))
            events = waiting.seqs
            self._store.run("UPDATE run SET intent = ? WHERE run_id = ?", intent, run_id)
            begun = _Flight(run_id, pipeline.name, now, intent)
            try:
                self._check_ledger()
                self._children[pipeline.name] = flight.start(
                    pipeline,
                    run_id=run_id,
                    meltano=self._settings.meltano,
                    project=self._project,
                    lease=lease,
                    log=self._log(run_id),
                    trigger=f"listen:{pipeline.name}",
                )
            except (OSError, ConfigError, IntegrityError) as error:
                self._failed(pipeline, begun, f"it was not begun: {error}", None, now)
                return
        LOG.info("run begun", extra=fields(pipeline=pipeline.name, run=run_id, events=len(events)))

    def _announce(self, pipeline: Pipeline, run_id: str, events: Sequence[Kept]) -> int:
        """Write down what a run is for: every event's id."""
        keys = [event.key for event in events]
        with self._ledger(run_id) as ledger:
            intent = ledger.append(
                "listen.run.intent",
                pipeline=pipeline.name,
                events=keys[:_IDS_A_ROW],
                event_count=len(keys),
                kinds=sorted({event.kind for event in events}),
            ).seq
            for start in range(_IDS_A_ROW, len(keys), _IDS_A_ROW):
                ledger.append(
                    "listen.run.events", intent=intent, events=keys[start : start + _IDS_A_ROW]
                )
        return intent

    def _follow(self, pipeline: Pipeline, found: _Flight, now: float) -> float | None:
        child = self._children.get(pipeline.name)
        if child is None:
            return self._look_at_a_stray(pipeline, found, now)
        code = child.process.poll()
        if code is None:
            if now - found.began_at > pipeline.timeout_s:
                child.terminate(now)
            if child.told_to_stop_at is not None and now - child.told_to_stop_at > _PATIENCE_S:
                child.kill()
            return now + _LOOK_EVERY_S
        del self._children[pipeline.name]
        if code == 0:
            self._succeeded(pipeline, found, now)
        else:
            late = (
                f", after its timeout of {pipeline.timeout_s:.0f} s"
                if child.told_to_stop_at
                else ""
            )
            reason = self._reason(found.run_id)
            told = f"meltano ended with exit code {code}{late}{reason}"
            self._failed(pipeline, found, told, code, now)
        return now

    def _look_at_a_stray(self, pipeline: Pipeline, found: _Flight, now: float) -> float:
        """A run that another process of the service began."""
        if not self._leases.is_free(pipeline.name):
            if found.run_id not in self._waited_for:
                self._waited_for.add(found.run_id)
                LOG.info(
                    "run of an earlier start is in flight; waiting for it",
                    extra=fields(pipeline=pipeline.name, run=found.run_id),
                )
            return now + _LOOK_EVERY_S
        if self._target_finished(found.run_id):
            self._succeeded(pipeline, found, now)
        else:
            self._interrupted(pipeline, found, "the run was cut short", now)
        return now

    def _succeeded(self, pipeline: Pipeline, found: _Flight, now: float) -> None:
        with self._ledger(found.run_id) as ledger:
            ledger.append("listen.run.verified", intent=found.intent or 0, pipeline=pipeline.name)
            ledger.append("run.finished")
        with self._store.writing() as store:
            row = store.row("SELECT failures FROM pause WHERE pipeline = ?", pipeline.name)
            self._end(store, found, "succeeded", 0, now)
            self._settle_events(store, found, DONE, f"run {found.run_id}")
            store.run("DELETE FROM pause WHERE pipeline = ?", pipeline.name)
            if row and row[0] > pipeline.retry.attempts:
                self._outbox.put(
                    store,
                    kind="run_recovered",
                    subject=f"pipeline {pipeline.name} runs again",
                    text=f"Run {found.run_id} succeeded after {row[0]} that had failed.",
                    run_id=found.run_id,
                    now=now,
                )
        LOG.info("run succeeded", extra=fields(pipeline=pipeline.name, run=found.run_id))

    def _failed(
        self, pipeline: Pipeline, found: _Flight, why: str, code: int | None, now: float
    ) -> None:
        self._note_failure(found, why)
        with self._store.writing() as store:
            row = store.row("SELECT failures FROM pause WHERE pipeline = ?", pipeline.name)
            failures = (row[0] if row else 0) + 1
            over = failures > pipeline.retry.attempts
            until = 0.0 if over else now + pipeline.retry.wait_s(failures)
            store.run(
                "INSERT INTO pause VALUES (?, ?, ?) ON CONFLICT (pipeline)"
                " DO UPDATE SET failures = excluded.failures, until = excluded.until",
                pipeline.name,
                failures,
                until,
            )
            self._end(store, found, "failed", code, now)
            if not over:
                store.run("UPDATE due SET run_id = NULL WHERE run_id = ?", found.run_id)
            else:
                self._settle_events(store, found, ASIDE, f"run {found.run_id} failed")
                self._outbox.put(
                    store,
                    kind="run_failed",
                    subject=f"pipeline {pipeline.name} failed {failures} times",
                    text=(
                        f"Last: run {found.run_id}: {why}. Tableau shows the last good data. "
                        "Nothing more is tried until the next event. Log: "
                        f"{self._log(found.run_id)}"
                    ),
                    run_id=found.run_id,
                    now=now,
                )
        LOG.error(
            "run failed",
            extra=fields(
                pipeline=pipeline.name,
                run=found.run_id,
                why=why,
                failures=failures,
                log=self._log(found.run_id),
                **({} if over else {"again_in_s": round(until - now)}),
            ),
        )

    def _interrupted(self, pipeline: Pipeline, found: _Flight, why: str, now: float) -> None:
        """Its events wait again; it is no failure of the pipeline."""
        self._note_failure(found, why)
        with self._store.writing() as store:
            self._end(store, found, "interrupted", None, now)
            store.run("UPDATE due SET run_id = NULL WHERE run_id = ?", found.run_id)
        LOG.warning(
            "run interrupted; its events wait again",
            extra=fields(pipeline=pipeline.name, run=found.run_id, why=why),
        )

    def _note_failure(self, found: _Flight, why: str) -> None:
        with self._ledger(found.run_id) as ledger:
            ledger.append("listen.run.failed", intent=found.intent or 0, error=why)

    def _end(self, store: Store, found: _Flight, state: str, code: int | None, now: float) -> None:
        store.run(
            "UPDATE run SET state = ?, ended_at = ?, code = ? WHERE run_id = ?",
            state,
            now,
            code,
            found.run_id,
        )

    def _settle_events(self, store: Store, found: _Flight, state: str, note: str) -> None:
        """Events of a run are over, unless another pipeline still waits with them."""
        seqs = [row[0] for row in store.rows("SELECT seq FROM due WHERE run_id = ?", found.run_id)]
        store.run("DELETE FROM due WHERE run_id = ?", found.run_id)
        for seq in seqs:
            others = store.row("SELECT count(*) FROM due WHERE seq = ?", seq)
            self._inbox.mark([seq], WAITING if others and others[0] else state, note)

    def _waiting(self, pipeline: str) -> Waiting | None:
        rows = self._store.rows(
            "SELECT due.seq, event.received_at FROM due JOIN event USING (seq)"
            " WHERE due.pipeline = ? AND due.run_id IS NULL ORDER BY due.seq",
            pipeline,
        )
        if not rows:
            return None
        times = [row[1] for row in rows]
        return Waiting(tuple(row[0] for row in rows), min(times), max(times))

    def _in_flight(self, pipeline: str) -> _Flight | None:
        row = self._store.row(
            "SELECT run_id, pipeline, began_at, intent FROM run"
            " WHERE pipeline = ? AND state = 'running'",
            pipeline,
        )
        return _Flight(*row) if row else None

    def _reason(self, run_id: str) -> str:
        """What the tap or the target said of the failure, as far as the ledger has it."""
        with self._ledger(run_id) as ledger:
            told = [
                f"; {event.actor}: {event.body['error']}"
                for event in ledger.events(run_id=run_id)
                if event.event.endswith(".failed")
                and event.actor != ACTOR
                and "error" in event.body
            ]
        return told[-1][:600] if told else ""

    def _target_finished(self, run_id: str) -> bool:
        """Whether the ledger says that everything was delivered."""
        with self._ledger(run_id) as ledger:
            return any(
                event.actor == _TARGET and event.event == "run.finished"
                for event in ledger.events(run_id=run_id)
            )

    def _check_ledger(self) -> None:
        """Refuse to add a run to a ledger that was tampered with.

        Raises:
            IntegrityError: its chain is broken.
        """
        with self._ledger("") as ledger:
            ledger.verify()

    def _ledger(self, run_id: str) -> Ledger:
        return Ledger(self._settings.ledger_path, run_id=run_id, actor=ACTOR)

    def _log(self, run_id: str) -> Path:
        return self._settings.state_dir / "logs" / f"{run_id}.log"
