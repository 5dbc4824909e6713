"""Looks after refreshes that failed: confirm, tell, refresh again with pauses, tell how it ended.

An incident is one data source's trouble, from the first event until a refresh has succeeded or all
attempts are used up. It is a row whose state says what to do next; whoever finds it goes on:

    check    ask the server whether the event is true
    waiting  a pause before the next attempt, then check and ask for a refresh
    asking   a refresh is asked for, with what end is not known: ask again (Tableau queues one only)
    running  its job is followed
    closed   over
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipeline_core.errors import AuthError, ConfigError, PipelineError
from pipeline_core.ledger import Ledger
from pipeline_ops.listen.judge import Finding, Verdict, judge
from pipeline_ops.listen.log import LOG, fields
from pipeline_ops.listen.pipelines import ACTOR
from pipeline_ops.listen.truth import look, look_at_job
from target_tableau_hyper.refresh.ask import ask
from target_tableau_hyper.refresh.find import Refreshable
from target_tableau_hyper.refresh.settings import Entry, Kind
from target_tableau_hyper.tableau.jobs import Ending

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline_ops.listen.alerts import Outbox
    from pipeline_ops.listen.settings import ListenSettings, TableauSide
    from pipeline_ops.listen.store import Store
    from pipeline_ops.listen.truth import Truth
    from target_tableau_hyper.tableau.jobs import JobResult
    from target_tableau_hyper.tableau.session import TableauSession

#: An event that the server does not know yet is looked at again sooner than a job that runs.
_SOONER = 3

#: An event that the server does not bear out after so many looks is not true.
_LOOKS = 3

#: After so many failures to ask the server somebody is told.
_TELL_AFTER = 5

_TROUBLE_S, _LONGEST_TROUBLE_S = 30.0, 900.0


@dataclass(frozen=True, slots=True)
class Incident:
    """One row."""

    seq: int
    datasource: str
    name: str
    run_id: str
    state: str
    event_at: float
    looks: int
    attempts: int
    next_at: float
    job_id: str | None
    asked_at: float | None
    intent: int | None
    told: int
    site: str

    @property
    def happened(self) -> datetime:
        """When the last event of it says that it happened."""
        return datetime.fromtimestamp(self.event_at, UTC)


class Care:
    """Looks after incidents, in one thread."""

    def __init__(
        self,
        store: Store,
        settings: ListenSettings,
        tableau: TableauSide,
        outbox: Outbox,
        open_session: Callable[[], TableauSession],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Use ``store``; ``open_session`` gives a session to be entered."""
        self._store = store
        self._settings = settings
        self._tableau = tableau
        self._outbox = outbox
        self._open_session = open_session
        self._clock = clock
        # Tableau Cloud answers 20,000 questions about jobs a day for a whole site.
        self._job_look_s = tableau.poll_s
        self._look_again_s = tableau.poll_s / _SOONER

    def step(self, now: float) -> float | None:
        """Do what is due; returns the instant at which to look again."""
        due = [
            Incident(*row)
            for row in self._store.rows(
                "SELECT seq, datasource, name, run_id, state, event_at, looks, attempts, next_at,"
                " job_id, asked_at, intent, told, note FROM incident"
                " WHERE state != 'closed' AND (next_at <= ? OR next_at > ?) ORDER BY next_at",
                now,
                # Further off than any pause: the clock was set back.
                now + max(self._tableau.refresh.longest_wait_s, _LONGEST_TROUBLE_S) + 60.0,
            )
        ]
        if due:
            try:
                with self._open_session() as session:
                    for incident in due:
                        self._take(session, incident)
            except PipelineError as error:
                for incident in due:
                    self._trouble(incident, error)
        row = self._store.row("SELECT min(next_at) FROM incident WHERE state != 'closed'")
        return row[0] if row else None

    def _take(self, session: TableauSession, incident: Incident) -> None:
        try:
            if str(session.server.site_id).lower() != incident.site:
                self._close(incident, "not_confirmed", why="the event is of another site")
            elif incident.state == "running":
                self._follow(session, incident)
            elif incident.state == "asking":
                self._ask(session, incident)
            else:
                truth = look(session, incident.datasource, incident.happened)
                self._judged(session, incident, truth)
            self._store.run(
                "UPDATE incident SET troubles = 0 WHERE seq = ? AND troubles > 0", incident.seq
            )
        except PipelineError as error:
            self._trouble(incident, error)

    def _judged(self, session: TableauSession, incident: Incident, truth: Truth) -> None:
        verdict = judge(truth, incident.happened)
        finding = verdict.finding
        if finding is Finding.RUNNING:
            self._set(incident, next_at=self._clock() + self._job_look_s)
        elif finding is Finding.CURRENT:
            self._recovered(incident, verdict.job_id)
        elif finding is Finding.NOT_SEEN and incident.looks + 1 < _LOOKS:
            self._set(
                incident, looks=incident.looks + 1, next_at=self._clock() + self._look_again_s
            )
        elif finding is Finding.NOT_SEEN:
            self._close(incident, "not_confirmed", why="the server knows of no failed refresh")
        elif finding is Finding.CANCELLED:
            self._close(incident, "cancelled", why="the refresh was cancelled by somebody")
        elif finding is Finding.GONE:
            self._close(incident, "gone", why="the data source is not there (any more)")
        elif incident.state == "waiting":
            self._ask(session, incident)
        else:
            self._failed(incident, verdict, truth)

    def _failed(self, incident: Incident, verdict: Verdict, truth: Truth | None = None) -> None:
        """A refresh has failed, by the server's own word: the first one, or one of ours."""
        now, limits = self._clock(), self._tableau.refresh
        with self._ledger(incident) as ledger:
            if incident.intent is not None:
                ledger.append(
                    "listen.refresh.failed",
                    intent=incident.intent,
                    job=verdict.job_id,
                    error=verdict.notes,
                )
            else:
                ledger.append(
                    "listen.refresh_failed",
                    datasource=truth.name if truth else incident.name,
                    luid=incident.datasource,
                    job=verdict.job_id,
                    notes=verdict.notes,
                    by="jobs" if truth is None or truth.jobs_known else "updatedAt",
                    events=self._event_keys(incident),
                )
        name = (truth.name if truth else "") or incident.name
        reason = f": {verdict.notes}" if verdict.notes else " (Tableau gives no reason)"
        if incident.attempts >= limits.attempts:
            tried = f" after {incident.attempts} more attempts" if incident.attempts else ""
            self._close(
                incident,
                "gave_up",
                alert="refresh_gave_up",
                subject=f"data source {name} is not refreshed{tried}",
                why=f"the refresh failed{reason}; it shows its last good data; refresh it by hand",
            )
            return
        wait_s = limits.wait_s(incident.attempts + 1)
        with self._store.writing() as store:
            self._set(
                incident,
                state="waiting",
                next_at=now + wait_s,
                job_id=None,
                intent=None,
                looks=0,
                told=1,
            )
            if not incident.told:
                self._outbox.put(
                    store,
                    kind="refresh_failed",
                    subject=f"refresh of data source {name} failed",
                    text=(
                        f"The refresh failed{reason}. It is repeated in {wait_s:.0f} s, "
                        f"{limits.attempts} times at most."
                    ),
                    run_id=incident.run_id,
                    now=now,
                )
        LOG.warning(
            "refresh failed",
            extra=fields(datasource=name, run=incident.run_id, again_in_s=round(wait_s)),
        )

    def _ask(self, session: TableauSession, incident: Incident) -> None:
        now = self._clock()
        if incident.state != "asking":
            with self._ledger(incident) as ledger:
                intent = ledger.append(
                    "listen.refresh.intent",
                    datasource=incident.name,
                    luid=incident.datasource,
                    attempt=incident.attempts + 1,
                ).seq
            self._set(
                incident,
                state="asking",
                attempts=incident.attempts + 1,
                intent=intent,
                asked_at=now,
            )
        entry = Entry(Kind.DATASOURCE, incident.name)
        item = Refreshable(entry, incident.datasource, incident.name, incident.name, None)
        try:
            job_id = ask(session, item)
        except (ConfigError, AuthError) as error:
            self._close(
                incident,
                "gave_up",
                alert="refresh_gave_up",
                subject=f"data source {incident.name} cannot be refreshed",
                why=str(error),
            )
            return
        if job_id is None:
            job_id = look(session, incident.datasource, incident.happened).running
        if job_id is None:  # queued, but not to be found: the data source itself will tell
            self._set(incident, state="check", next_at=now + self._job_look_s)
            return
        self._set(incident, state="running", job_id=job_id, next_at=now + self._look_again_s)
        LOG.info("refresh asked for", extra=fields(datasource=incident.name, job=job_id))

    def _follow(self, session: TableauSession, incident: Incident) -> None:
        now = self._clock()
        result = look_at_job(session, str(incident.job_id))
        if result is None:
            if now - (incident.asked_at or now) < self._tableau.job_timeout_s:
                self._set(incident, next_at=now + self._job_look_s)
                return
            late = f"not over after {self._tableau.job_timeout_s:.0f} s"
            self._failed(incident, Verdict(Finding.FAILED, str(incident.job_id), late))
        elif self._succeeded(session, incident, result):
            self._recovered(incident, result.job_id)
        elif result.ending is Ending.CANCELLED:
            self._close(incident, "cancelled", why="the refresh was cancelled by somebody")
        else:
            self._failed(incident, Verdict(Finding.FAILED, result.job_id, result.notes))

    def _succeeded(self, session: TableauSession, incident: Incident, result: JobResult) -> bool:
        """Whether a job did its work; of a purged one the data source tells."""
        if result.ending is not Ending.UNKNOWN:
            return result.ending is Ending.SUCCESS
        asked = datetime.fromtimestamp(incident.asked_at or incident.event_at, UTC)
        truth = look(session, incident.datasource, asked)
        return truth.updated_at is not None and truth.updated_at >= asked.replace(microsecond=0)

    def _recovered(self, incident: Incident, job_id: str) -> None:
        if incident.intent is not None:
            with self._ledger(incident) as ledger:
                ledger.append("listen.refresh.verified", intent=incident.intent, job=job_id)
        self._close(
            incident,
            "recovered",
            alert="refresh_recovered" if incident.told else None,
            subject=f"data source {incident.name} is refreshed again",
            why=f"a refresh succeeded (job {job_id})" if job_id else "it was refreshed since",
        )

    def _close(
        self, incident: Incident, how: str, *, why: str, alert: str | None = None, subject: str = ""
    ) -> None:
        with self._ledger(incident) as ledger:
            ledger.append(
                f"listen.incident.{how}",
                datasource=incident.name,
                luid=incident.datasource,
                attempts=incident.attempts,
                why=why,
            )
            ledger.append("run.finished")
        with self._store.writing() as store:
            self._set(incident, state="closed")
            if alert is not None:
                self._outbox.put(
                    store,
                    kind=alert,
                    subject=subject,
                    text=f"{why[:1].upper()}{why[1:]}.",
                    run_id=incident.run_id,
                    now=self._clock(),
                )
        LOG.info(
            "incident closed",
            extra=fields(datasource=incident.name, run=incident.run_id, how=how, why=why),
        )

    def _trouble(self, incident: Incident, error: PipelineError) -> None:
        """The server could not be asked: later again, for as long as it takes."""
        row = self._store.row("SELECT state, troubles FROM incident WHERE seq = ?", incident.seq)
        if row is None or row[0] == "closed":
            return
        # Not `looks`: a server that did not answer has not said that it knows of nothing.
        troubles = row[1] + 1
        wait_s = min(_LONGEST_TROUBLE_S, _TROUBLE_S * 2.0 ** min(troubles - 1, 30))
        with self._store.writing() as store:
            self._set(incident, troubles=troubles, next_at=self._clock() + wait_s)
            if troubles == _TELL_AFTER:
                self._outbox.put(
                    store,
                    kind="refresh_failed",
                    subject=f"an event says that {incident.name} failed; Tableau cannot be asked",
                    text=f"{error}. It is asked again until it answers.",
                    run_id=incident.run_id,
                    now=self._clock(),
                )
        LOG.error(
            "Tableau cannot be asked",
            extra=fields(datasource=incident.name, why=error, again_in_s=round(wait_s)),
        )

    def _set(self, incident: Incident, **values: object) -> None:
        columns = ", ".join(f"{name} = ?" for name in values)
        self._store.run(
            f"UPDATE incident SET {columns} WHERE seq = ?",  # noqa: S608 - our own names
            *values.values(),
            incident.seq,
        )

    def _event_keys(self, incident: Incident) -> list[str]:
        rows = self._store.rows(
            "SELECT dedupe FROM event WHERE note = ? ORDER BY seq LIMIT 50",
            f"incident {incident.run_id}",
        )
        return [row[0] for row in rows]

    def _ledger(self, incident: Incident) -> closing[Ledger]:
        return closing(Ledger(self._settings.ledger_path, run_id=incident.run_id, actor=ACTOR))
