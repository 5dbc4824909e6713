"""What the ledger tells about past runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline_core.ledger import Event


@dataclass(slots=True)
class RunSummary:
    """One run, as its events tell it.

    Attributes:
        actors: Who wrote events: the tap, the target.
        finished: Those of them that came to their end.
        failed: Whether an effect failed after its intent.
        open_intents: Effects that were begun and of which nothing more is known.
    """

    run_id: str
    first_ts: str
    last_ts: str
    events: int = 0
    rows: int = 0
    actors: set[str] = field(default_factory=set)
    finished: set[str] = field(default_factory=set)
    failed: bool = False
    open_intents: dict[int, str] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """``failed``, ``complete`` when all who took part came to their end, or ``incomplete``."""
        if self.failed:
            return "failed"
        return "complete" if self.actors == self.finished else "incomplete"


def summarise(events: Iterable[Event]) -> list[RunSummary]:
    """One summary a run, in the order in which the runs began."""
    runs: dict[str, RunSummary] = {}
    for event in events:
        run = runs.setdefault(event.run_id, RunSummary(event.run_id, event.ts, event.ts))
        run.last_ts = event.ts
        run.events += 1
        run.actors.add(event.actor)
        body = event.body
        if event.event == "partition.read":
            run.rows += int(body["rows"])
        elif event.event == "run.finished":
            run.finished.add(event.actor)
        elif event.event.endswith(".intent"):
            run.open_intents[event.seq] = event.event.removesuffix(".intent")
        elif event.event.endswith((".verified", ".failed")):
            if "intent" in body:  # the run itself, and a partition, fail without one
                run.open_intents.pop(int(body["intent"]), None)
            run.failed = run.failed or event.event.endswith(".failed")
    return list(runs.values())
