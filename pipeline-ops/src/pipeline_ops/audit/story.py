"""The story of one run: its events, put together by what they are about.

Events of older releases lack some fields. What is not known is ``None`` or empty, never guessed.
"""

from __future__ import annotations

import decimal
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pipeline_ops.runs import joined_runs, summarise

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pipeline_core.ledger import Event

#: As the tap adds up: nothing is rounded.
_EXACT = decimal.Context(prec=120, traps=[decimal.Inexact, decimal.InvalidOperation])


@dataclass(frozen=True, slots=True)
class PartRead:
    """One company's part of a stream, or all of a shared one.

    Attributes:
        totals: Exact sum of each decimal column over the rows.
        first_page_at, last_page_at: When these had arrived.
        requests: With repeated ones.
        waited_s: Before requests that were repeated.
        error: Why it was not read to its end.
    """

    stream: str
    company: str | None
    strategy: str | None = None
    rows: int = 0
    deletes: int = 0
    pages: int = 0
    totals: dict[str, str] = field(default_factory=dict)
    seconds: float | None = None
    size_bytes: int | None = None
    first_page_at: str | None = None
    last_page_at: str | None = None
    requests: int | None = None
    retries: int = 0
    waited_s: float = 0.0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """A control and how it came out."""

    name: str
    kind: str
    outcome: str
    saying: str
    streams: list[str]


@dataclass(frozen=True, slots=True)
class Extract:
    """One stream's extract after the run.

    Attributes:
        delta: Rows inserted, updated, deleted by this run.
        sealed_by: An earlier run, where this one brought nothing new.
        columns: Name and type, where they differ from the seal before.
    """

    stream: str
    file: str
    rows: int
    totals: dict[str, str]
    sha256: str
    delta: dict[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    sealed_by: str | None = None
    columns: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Outside:
    """Something that was done on a server: a delivery, a refresh.

    Attributes:
        kind: ``delivery``, ``refresh``.
        what: Name of the data source or workbook.
        outcome: ``done``, ``failed``, ``unknown`` (the process died in between), ``skipped``.
        facts: What else was known before.
        confirmed: What the server confirmed.
        why: Of a failure, or of nothing being sent.
        run_id: Who did it; a later run may deliver what an earlier one sealed.
    """

    kind: str
    what: str
    outcome: str
    began: str
    run_id: str
    ended: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    confirmed: dict[str, Any] = field(default_factory=dict)
    why: str | None = None

    @property
    def seconds(self) -> float | None:
        """From intent to end."""
        return _seconds(self.began, self.ended) if self.ended else None


@dataclass(frozen=True, slots=True)
class Actor:
    """One process of the run.

    Attributes:
        outcome: ``finished``, ``failed`` or ``no end known``.
    """

    name: str
    began: str
    ended: str
    outcome: str
    error: str | None = None

    @property
    def seconds(self) -> float:
        """From its first to its last event."""
        return _seconds(self.began, self.ended)


@dataclass(slots=True)
class Story:
    """Everything that the ledger knows of one run.

    Attributes:
        also: Further ids: the target's, where it has one of its own.
        environment: Host of D365.
        output_dir: Where the extracts lie, as the target was set.
        sent, received: Figures by stream, as the tap sent and the target got them.
        proved: Whether the target could prove that it received everything.
        archived: Pages and digest of the index, where the pages were kept.
        quarantined: Records set aside, by stream.
        later: Deliveries by later runs of what this one sealed.
        states: When the STATE went out, and after which step.
        replay: What a replay was asked for, and what it found.
    """

    run_id: str
    outcome: str
    began: str
    ended: str
    also: list[str] = field(default_factory=list)
    environment: str | None = None
    output_dir: str | None = None
    version: str | None = None
    companies: list[str] = field(default_factory=list)
    streams: list[str] = field(default_factory=list)
    replay_of: str | None = None
    actors: list[Actor] = field(default_factory=list)
    read: list[PartRead] = field(default_factory=list)
    archived: dict[str, Any] | None = None
    sent: dict[str, Any] | None = None
    received: dict[str, Any] | None = None
    proved: bool | None = None
    checked: list[Checked] = field(default_factory=list)
    extracts: list[Extract] = field(default_factory=list)
    quarantined: dict[str, int] = field(default_factory=dict)
    outside: list[Outside] = field(default_factory=list)
    later: list[Outside] = field(default_factory=list)
    states: list[dict[str, str]] = field(default_factory=list)
    replay: list[dict[str, Any]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """From the first to the last event."""
        return _seconds(self.began, self.ended)

    @property
    def figures_agree(self) -> bool | None:
        """Whether what was sent is what arrived; ``None`` where one side does not tell."""
        if self.sent is None or self.received is None:
            return None
        return all(
            _same_figures(self.sent.get(stream), self.received.get(stream))
            for stream in {*self.sent, *self.received}
        )


def tell(events: Sequence[Event], *, all_deliveries: Iterable[Event] = ()) -> Story:
    """Put the events of one run together.

    Args:
        events: All of one run, in order; at least one.
        all_deliveries: Events of deliveries of any run, to find later ones of the same extracts.
    """
    (summary,) = summarise(events, joined_runs(events))
    story = Story(summary.run_id, summary.outcome, summary.first_ts, summary.last_ts)
    story.also = sorted(summary.also)
    story.actors = _actors(events)
    for event in events:
        _take(story, event)
    story.outside = effects(events)
    sealed = {extract.sha256 for extract in story.extracts}
    story.later = [
        done
        for done in effects(all_deliveries)
        if done.run_id not in {story.run_id, *story.also}
        and done.began > story.began
        and done.outcome != "skipped"
        and done.facts.get("sha256") in sealed
    ]
    return story


def effects(events: Iterable[Event]) -> list[Outside]:
    """Effects on servers, in the order in which they were begun."""
    begun: dict[int, Event] = {}
    found: dict[int, Outside] = {}
    for event in events:
        kind, _, step = event.event.rpartition(".")
        if kind not in {"delivery", "refresh"}:
            continue
        body = event.body
        if step == "intent":
            begun[event.seq] = event
            found[event.seq] = _outside(event, "unknown")
        elif step == "skipped":
            found[event.seq] = _outside(event, "skipped", ended=event.ts, why=str(body["why"]))
        elif (intent := begun.get(int(body["intent"]))) is not None:
            confirmed = {name: value for name, value in body.items() if name != "intent"}
            failed = step == "failed"
            found[intent.seq] = _outside(
                intent,
                "failed" if failed else "done",
                ended=event.ts,
                why=str(body.get("error")) if failed else None,
                confirmed={} if failed else confirmed,
            )
    return list(found.values())


def totals_of(parts: Iterable[PartRead]) -> dict[str, str]:
    """Sums over several companies."""
    sums: dict[str, Decimal] = {}
    for part in parts:
        for column, total in part.totals.items():
            sums[column] = _EXACT.add(sums.get(column, Decimal(0)), Decimal(total))
    return {column: format(total, "f") for column, total in sums.items()}


def _outside(
    intent: Event,
    outcome: str,
    *,
    ended: str | None = None,
    why: str | None = None,
    confirmed: Mapping[str, Any] | None = None,
) -> Outside:
    facts = intent.body
    what = str(facts.get("datasource") or facts.get("item") or "?")
    kind = intent.event.rpartition(".")[0]
    return Outside(
        kind, what, outcome, intent.ts, intent.run_id, ended, facts, dict(confirmed or {}), why
    )


def _actors(events: Sequence[Event]) -> list[Actor]:
    actors: dict[str, Actor] = {}
    for event in events:
        known = actors.get(event.actor)
        began = known.began if known else event.ts
        outcome = known.outcome if known else "no end known"
        error = known.error if known else None
        if event.event == "run.finished":
            outcome, error = "finished", None
        elif event.event == "run.failed":
            outcome, error = "failed", str(event.body.get("error") or "") or None
        actors[event.actor] = Actor(event.actor, began, event.ts, outcome, error)
    return list(actors.values())


def _take(story: Story, event: Event) -> None:  # noqa: C901 - a table of events
    body = event.body
    match event.event:
        case "run.started":
            story.streams = list(body.get("streams") or story.streams)
            story.companies = list(body.get("companies") or story.companies)
            story.environment = body.get("environment") or story.environment
            story.output_dir = body.get("output_dir") or story.output_dir
            story.version = body.get("version") or story.version
            story.replay_of = body.get("replay_of") or story.replay_of
        case "partition.read" | "partition.failed":
            story.read.append(_part(body, failed=event.event == "partition.failed"))
        case "run.archived":
            story.archived = body
        case "run.finished" if "figures" in body:
            story.sent = body["figures"]
        case "input.received":
            story.received, story.proved = body["streams"], bool(body["proved"])
        case "control.checked":
            names = ("name", "kind", "outcome", "saying")
            told = {name: str(body[name]) for name in names}
            story.checked.append(Checked(**told, streams=list(body["streams"])))
        case "extract.sealed" | "extract.unchanged":
            story.extracts.append(_extract(body))
        case "records.quarantined":
            story.quarantined[str(body["stream"])] = int(body["records"])
        case "state.written":
            story.states.append({"at": event.ts, "after": str(body["after"])})
        case name if name.startswith("replay."):
            story.replay.append({"event": name, "at": event.ts, **body})
            story.replay_of = body.get("replay_of") or story.replay_of


def _part(body: Mapping[str, Any], *, failed: bool) -> PartRead:
    error = None
    if failed:
        error = ": ".join(str(body[name]) for name in ("error", "reason") if body.get(name))
    return PartRead(
        stream=str(body["stream"]),
        company=body.get("company"),
        strategy=body.get("strategy"),
        rows=int(body.get("rows", 0)),
        deletes=int(body.get("deletes", 0)),
        pages=int(body.get("pages", 0)),
        totals=dict(body.get("totals") or {}),
        seconds=body.get("seconds"),
        size_bytes=body.get("bytes"),
        first_page_at=body.get("first_page_at"),
        last_page_at=body.get("last_page_at"),
        requests=body.get("requests"),
        retries=int(body.get("retries", 0)),
        waited_s=float(body.get("waited_s", 0)),
        error=error,
    )


def _extract(body: Mapping[str, Any]) -> Extract:
    return Extract(
        stream=str(body["stream"]),
        file=str(body["file"]),
        rows=int(body["rows"]),
        totals=dict(body["totals"]),
        sha256=str(body["sha256"]),
        delta=dict(body.get("delta") or {}),
        seconds=body.get("seconds"),
        sealed_by=body.get("sealed_by"),
        columns=body.get("columns"),
    )


def _same_figures(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """Whether records, deletions and the sender's sums are those of the receiver."""
    sent, received = one or {}, other or {}
    if any(sent.get(n, 0) != received.get(n, 0) for n in ("records", "deletes")):
        return False
    there = received.get("totals") or {}
    return all(
        Decimal(total) == Decimal(there.get(column) or 0)
        for column, total in (sent.get("totals") or {}).items()
    )


def _seconds(began: str, ended: str) -> float:
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()
