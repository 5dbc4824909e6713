"""What the ledger tells about past runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pipeline_core.ledger import Event

#: Who writes one of these takes part in a run, and must come to an end.
_TAKING_PART = frozenset({"run.started", "partition.read", "partition.failed", "run.finished"})


@dataclass(slots=True)
class RunSummary:
    """One run, as its events tell it.

    Attributes:
        run_id: The tap's, where tap and target have two.
        also: Further ids of it.
        actors: Who took part: the tap, the target.
        finished: Those of them that came to their end.
        failed: Those of which something failed that they did not get done after all.
        open_intents: Effects that were begun and of which nothing more is known.
        streams: What was read.
        datasources: What was sent to Tableau, or would have been.
        delivered: Those of them that Tableau confirmed.
        replay_of: The run that this one repeats.
    """

    run_id: str
    first_ts: str
    last_ts: str
    also: set[str] = field(default_factory=set)
    events: int = 0
    rows: int = 0
    actors: set[str] = field(default_factory=set)
    finished: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    open_intents: dict[int, str] = field(default_factory=dict)
    streams: set[str] = field(default_factory=set)
    datasources: set[str] = field(default_factory=set)
    delivered: set[str] = field(default_factory=set)
    replay_of: str | None = None

    @property
    def outcome(self) -> str:
        """``failed``, ``complete`` when all who took part came to their end, or ``incomplete``."""
        if self.failed:
            return "failed"
        if self.open_intents or self.actors != self.finished:
            return "incomplete"
        return "complete"


def joined_runs(links: Iterable[Event]) -> dict[str, str]:
    """Ids of target runs, and the tap's run that each took in.

    Where nobody set ``MELTANO_RUN_ID``, tap and target of one ``meltano run`` have an id each.

    Args:
        links: Events ``input.from``.
    """
    return {
        event.run_id: str(event.body["source_run"])
        for event in links
        if event.event == "input.from"
    }


def summarise(events: Iterable[Event], joined: Mapping[str, str] | None = None) -> list[RunSummary]:
    """One summary a run, in the order in which the runs began; ``joined`` ones are one."""
    runs: dict[str, RunSummary] = {}
    intents: dict[int, str] = {}
    for event in events:
        run_id = (joined or {}).get(event.run_id, event.run_id)
        run = runs.setdefault(run_id, RunSummary(run_id, event.ts, event.ts))
        if event.run_id != run_id:
            run.also.add(event.run_id)
        run.last_ts = event.ts
        run.events += 1
        if event.event in _TAKING_PART:
            run.actors.add(event.actor)
        if event.event == "run.finished":
            run.finished.add(event.actor)
            # An effect that failed and was then brought about in another way is no failure.
            run.failed.discard(event.actor)
        elif event.event == "run.failed":
            run.failed.add(event.actor)
        elif event.event.endswith((".intent", ".verified", ".failed")):
            _take_effect(run, event, intents)
        elif event.event in {"partition.read", "delivery.skipped", "run.started"}:
            _take_facts(run, event)
    return list(runs.values())


def _take_facts(run: RunSummary, event: Event) -> None:
    body = event.body
    if event.event == "partition.read":
        run.rows += int(body["rows"])
        run.streams.add(str(body["stream"]))
    elif event.event == "delivery.skipped":
        run.datasources.add(str(body["datasource"]))
    else:
        run.replay_of = body.get("replay_of") or run.replay_of


def _take_effect(run: RunSummary, event: Event, intents: dict[int, str]) -> None:
    kind, _, step = event.event.rpartition(".")
    body = event.body
    if step != "intent" and "intent" not in body:  # a partition fails without one
        if step == "failed":
            run.failed.add(event.actor)
        return
    if step == "intent":
        run.open_intents[event.seq] = kind
        if kind == "replay":
            run.replay_of = body.get("replay_of") or run.replay_of
        if "datasource" in body:
            intents[event.seq] = str(body["datasource"])
            run.datasources.add(intents[event.seq])
        return
    intent = int(body["intent"])
    run.open_intents.pop(intent, None)
    if step == "failed":
        run.failed.add(event.actor)
    elif intent in intents:
        run.delivered.add(intents[intent])
