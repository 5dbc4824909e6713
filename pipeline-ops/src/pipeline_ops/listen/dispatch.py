"""From the inbox to where an event leads: a pipeline, an incident, or nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline_core.run_id import uuid7
from pipeline_ops.listen.coalesce import wants
from pipeline_ops.listen.doors import TABLEAU
from pipeline_ops.listen.events import (
    REFRESH_FAILED,
    REFRESH_SUCCEEDED,
    TEST,
    UNREADABLE,
    read_business,
    read_tableau,
)
from pipeline_ops.listen.inbox import ASIDE, DONE, IGNORED, WAITING, Inbox
from pipeline_ops.listen.log import LOG, fields

if TYPE_CHECKING:
    from pipeline_ops.listen.inbox import Kept
    from pipeline_ops.listen.settings import ListenSettings
    from pipeline_ops.listen.store import Store


class Dispatch:
    """Decides about new events, each in one transaction with what it leads to."""

    def __init__(self, store: Store, settings: ListenSettings) -> None:
        """Use ``store``."""
        self._store = store
        self._inbox = Inbox(store)
        self._settings = settings

    def step(self, now: float) -> None:
        """Look at every new event."""
        while events := self._inbox.new():
            for event in events:
                with self._store.writing():
                    state, note = self._decide(event, now)
                    self._inbox.mark([event.seq], state, note)
                LOG.info(
                    "event", extra=fields(seq=event.seq, kind=event.kind, state=state, note=note)
                )

    def _decide(self, event: Kept, now: float) -> tuple[str, str]:
        if event.kind == TEST:
            return DONE, "a test: nothing to do"
        if event.kind == UNREADABLE:
            return ASIDE, f"no event of {event.sender} that is known"
        if event.sender == TABLEAU:
            return self._tableau(event, now)
        business = read_business(event.body)
        if business is None:  # it was one when it came in
            return ASIDE, "cannot be read any more"
        started = [one for one in self._settings.pipelines if wants(one, business)]
        for pipeline in started:
            self._store.run(
                "INSERT OR IGNORE INTO due (pipeline, seq) VALUES (?, ?)", pipeline.name, event.seq
            )
        if started:
            return WAITING, f"for {', '.join(one.name for one in started)}"
        company = f" in company {business.company}" if business.company else ""
        return IGNORED, f"no pipeline has {business.kind}{company} among its events"

    def _tableau(self, event: Kept, now: float) -> tuple[str, str]:
        found, tableau = read_tableau(event.body), self._settings.tableau
        if found is None or tableau is None:
            return ASIDE, "cannot be read any more"
        if found.kind not in (REFRESH_FAILED, REFRESH_SUCCEEDED):
            return IGNORED, "only refreshes of data sources are looked after"
        if tableau.datasources and not tableau.datasources & {found.resource, found.name.lower()}:
            return IGNORED, f"{found.name} is not among tableau.datasources"
        happened_at = found.created_at.timestamp()
        row = self._store.row(
            "SELECT run_id FROM incident WHERE datasource = ? AND state != 'closed'", found.resource
        )
        if found.kind == REFRESH_SUCCEEDED:
            # It may be forged, too: it only lets the server be asked sooner.
            self._store.run(
                "UPDATE incident SET next_at = min(next_at, ?)"
                " WHERE datasource = ? AND state IN ('check', 'running')",
                now,
                found.resource,
            )
            return DONE, f"incident {row[0]}" if row else "nothing was amiss"
        if row:
            self._store.run(
                "UPDATE incident SET event_at = max(event_at, ?)"
                " WHERE datasource = ? AND state != 'closed'",
                happened_at,
                found.resource,
            )
            return DONE, f"incident {row[0]}"
        run_id = str(uuid7())
        self._store.run(
            "INSERT INTO incident (datasource, name, run_id, state, event_at, next_at, note)"
            " VALUES (?, ?, ?, 'check', ?, ?, ?)",
            found.resource,
            found.name,
            run_id,
            happened_at,
            now,
            found.site,
        )
        return DONE, f"incident {run_id}"
