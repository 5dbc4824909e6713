"""What the ledger tells of runs, deliveries and refreshes: a pure reading of its events."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from pipeline_ops.status.model import RefreshStatus, RunStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pipeline_core.ledger import Event


@dataclass(frozen=True, slots=True)
class Delivery:
    """The last delivery of a data source.

    Attributes:
        outcome: ``verified``, ``failed`` or ``open``.
    """

    outcome: str
    at: datetime
    error: str = ""


@dataclass(slots=True)
class History:
    """Everything that the status needs of the ledger.

    Attributes:
        runs: In the order in which they began.
        deliveries: Data source -> its last delivery.
        refreshes: Item -> its last refresh.
        troubles: Stream -> what the last run that touched it could not do with it.
        last_events: Events of the run that began last.
    """

    runs: list[RunStatus] = field(default_factory=list)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    refreshes: dict[str, RefreshStatus] = field(default_factory=dict)
    troubles: dict[str, list[str]] = field(default_factory=dict)
    last_events: list[Event] = field(default_factory=list)


def read_history(events: Iterable[Event]) -> History:
    """Read all events, in order."""
    history = History()
    by_run: dict[str, list[Event]] = defaultdict(list)
    intents: dict[int, Event] = {}
    for event in events:
        by_run[event.run_id].append(event)
        if event.event.endswith(".intent"):
            intents[event.seq] = event
            _effect(history, event, event)
        elif (intent := intents.get(event.body.get("intent", -1))) is not None:
            _effect(history, intent, event)
    history.runs = [_run(run_id, of_run) for run_id, of_run in by_run.items()]
    for of_run in by_run.values():
        _note_troubles(history.troubles, of_run)
    if by_run:
        history.last_events = list(by_run.values())[-1]
    return history


def quoted(name: str) -> str:
    """A name within a sentence."""
    return f"\N{LEFT SINGLE QUOTATION MARK}{name}\N{RIGHT SINGLE QUOTATION MARK}"


def _effect(history: History, intent: Event, event: Event) -> None:
    """Note how far a delivery or refresh has come."""
    outcome = event.event.rpartition(".")[2]
    at, error = datetime.fromisoformat(event.ts), str(event.body.get("error", ""))
    body = intent.body
    if intent.event == "delivery.intent":
        name = str(body["datasource"])
        history.deliveries[name] = Delivery("open" if event is intent else outcome, at, error)
    elif intent.event == "refresh.intent":
        words = {"intent": "begun", "failed": "failed"}.get(outcome, "refreshed")
        if outcome == "verified" and event.body.get("followed") is False:
            words = "asked for"
        item = str(body["item"])
        history.refreshes[item] = RefreshStatus(item, str(body.get("kind", "")), words, at, error)


def _run(run_id: str, events: list[Event]) -> RunStatus:
    actors, finished = set(), set()
    rows = deliveries = 0
    errors: list[str] = []
    opened: dict[int, str] = {}
    for event in events:
        body = event.body
        actors.add(event.actor)
        if event.event == "partition.read":
            rows += int(body["rows"])
        elif event.event == "run.finished":
            finished.add(event.actor)
        elif event.event == "run.failed":
            errors.append(_failure(event, body))
        elif event.event.endswith(".intent"):
            opened[event.seq] = _named(event, body)
        elif "intent" in body:
            opened.pop(int(body["intent"]), None)
            deliveries += event.event == "delivery.verified"
            if event.event.endswith(".failed"):
                errors.append(str(body.get("error", event.event)))
    # A run that came to its end made good what failed on the way, as a package that was refused.
    outcome = "complete" if actors == finished else "failed" if errors else "open"
    return RunStatus(
        run_id=run_id,
        actors=sorted(actors),
        began=datetime.fromisoformat(events[0].ts),
        last=datetime.fromisoformat(events[-1].ts),
        outcome=outcome,
        rows=rows,
        deliveries=deliveries,
        error=errors[-1] if outcome == "failed" else "",
        open_effects=list(opened.values()),
    )


def _failure(event: Event, body: Mapping[str, object]) -> str:
    if "error" in body:
        return str(body["error"])
    return f"{event.actor}: {body.get('partitions', 'some')} partitions could not be read"


def _named(event: Event, body: Mapping[str, object]) -> str:
    what = body.get("datasource") or body.get("item") or ""
    return f"{event.event.removesuffix('.intent')} {what}".strip()


def _note_troubles(troubles: dict[str, list[str]], events: list[Event]) -> None:
    """What this run says of a stream takes the place of what earlier runs said."""
    found: dict[str, list[str]] = {}
    for event in events:
        body = event.body
        if event.event in {"partition.read", "extract.sealed"}:
            found.setdefault(str(body["stream"]), [])
        elif event.event == "partition.failed":
            company = f" for company {body['company']}" if body.get("company") else ""
            why = f"It could not be read from D365{company} ({body['error']})."
            found.setdefault(str(body["stream"]), []).append(why)
        elif event.event == "control.checked" and body.get("outcome") == "failed":
            why = f"The control {quoted(str(body['name']))} failed: {body['saying']}."
            for stream in body["streams"]:
                found.setdefault(str(stream), []).append(why)
    troubles.update(found)
