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
        outcome: ``complete`` once the tap said so, ``failed`` where an effect failed after its
            intent, ``incomplete`` otherwise.
        open_intents: Effects that were begun and of which nothing more is known.
    """

    run_id: str
    first_ts: str
    last_ts: str
    events: int = 0
    rows: int = 0
    outcome: str = "incomplete"
    open_intents: dict[int, str] = field(default_factory=dict)


def summarise(events: Iterable[Event]) -> list[RunSummary]:
    """One summary a run, in the order in which the runs began."""
    runs: dict[str, RunSummary] = {}
    for event in events:
        run = runs.setdefault(event.run_id, RunSummary(event.run_id, event.ts, event.ts))
        run.last_ts = event.ts
        run.events += 1
        body = event.body
        if event.event == "partition.read":
            run.rows += int(body["rows"])
        elif event.event == "run.finished" and run.outcome != "failed":
            run.outcome = "complete"
        elif event.event.endswith(".intent"):
            run.open_intents[event.seq] = event.event.removesuffix(".intent")
        elif event.event.endswith((".verified", ".failed")):
            run.open_intents.pop(int(body["intent"]), None)
            if event.event.endswith(".failed"):
                run.outcome = "failed"
    return list(runs.values())
