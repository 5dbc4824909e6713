"""Whether a run may be repeated, and what a repetition concerns: from the ledger alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError
from pipeline_ops.audit.story import effects, tell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline_ops.audit.choose import Runs
    from pipeline_ops.audit.story import Story


class Way(StrEnum):
    """From which step on a run is repeated.

    Attributes:
        PAGES: From the archived answers of D365.
        EXTRACT: From the sealed extracts: they are delivered again.
        DELIVERY: From a delivery that was begun, or due, and never confirmed.
    """

    PAGES = "pages"
    EXTRACT = "extract"
    DELIVERY = "delivery"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is repeated.

    Attributes:
        run_id: The run.
        recorded_as: The run whose pages it emitted: its own id, or that of the run it replayed.
        story: What the ledger knows of it.
        later: Streams of it that a later run changed, and the last such run.
        gaps: Streams whose extract stands where an earlier replay left it, before what this run
            started from; and the run that was replayed.
    """

    run_id: str
    recorded_as: str
    story: Story
    later: dict[str, str]
    gaps: dict[str, str]

    @property
    def streams(self) -> list[str]:
        """What it loaded."""
        return [extract.stream for extract in self.story.extracts]


def plan_replay(runs: Runs, run_id: str) -> Plan:
    """Look at a run and at what came after it."""
    events = runs.events(run_id)
    story = tell(events, all_deliveries=runs.ledger.events(prefix="delivery."))
    streams = {extract.stream for extract in story.extracts} | {part.stream for part in story.read}
    last = events[-1].seq
    later = {
        str(event.body["stream"]): runs.joined.get(event.run_id, event.run_id)
        for event in runs.seals(beside=run_id)
        if event.seq > last and event.body["stream"] in streams
    }
    recorded_as = story.replay_of or run_id
    return Plan(run_id, recorded_as, story, later, _gaps(runs, recorded_as, streams))


def _gaps(runs: Runs, run_id: str, streams: Iterable[str]) -> dict[str, str]:
    """Streams to which the run cannot be added, because what it built upon is not there.

    A run brings what changed since the one before. Where a replay has put an extract back, only the
    next run's changes join on; those of a later one would leave out all in between, for good: the
    state would say that everything has been read.
    """
    replays = runs.replays()
    began = {
        runs.joined.get(event.run_id, event.run_id): event.seq
        for event in reversed(list(runs.ledger.events(prefix="run.started")))
    }
    own_start = began.get(run_id, 0)
    loads = runs.loads(beside=run_id)
    gaps = {}
    for stream in streams:
        of_stream = [
            runs.joined.get(event.run_id, event.run_id)
            for event in loads
            if event.body["stream"] == stream
        ]
        ordinary = [run for run in dict.fromkeys(of_stream) if run not in replays]
        if not of_stream or of_stream[-1] not in replays:
            continue
        stands_at = replays[of_stream[-1]]
        built_upon = [run for run in ordinary if began.get(run, 0) < own_start]
        there = [run for run in ordinary if began.get(run, 0) <= began.get(stands_at, 0)]
        if len(built_upon) > len(there):
            gaps[stream] = stands_at
    return gaps


def check_order(plan: Plan, way: Way, *, force: bool, reason: str | None) -> None:
    """Refuse to go back in time without a word of why.

    Raises:
        ConfigError: a later run changed the same streams, and nobody forces it; or no reason; or
            the run does not join on to what is there, whoever forces it.
    """
    if force and not (reason or "").strip():
        message = "--force needs --reason: it goes into the ledger, with your name"
        raise ConfigError(message)
    if way is Way.PAGES and plan.gaps:
        stream, stands_at = next(iter(plan.gaps.items()))
        message = (
            f"{stream} stands where a replay of run {stands_at} left it, and what came between "
            f"that run and {plan.recorded_as} would be left out for good; start an ordinary run "
            "first, or replay the runs in their order"
        )
        raise ConfigError(message)
    # Extracts and deliveries of which there is something newer are not there any more, see replay.
    if way is Way.PAGES and plan.later and not force:
        named = ", ".join(f"{stream} (run {run})" for stream, run in list(plan.later.items())[:3])
        more = f" and {len(plan.later) - 3} more" if len(plan.later) > 3 else ""  # noqa: PLR2004
        message = (
            f"later runs have changed {named}{more}: a replay would bring old values back until "
            "the next ordinary run; replay the latest run, or say --force --reason TEXT"
        )
        raise ConfigError(message)


def unconfirmed(runs: Runs, plan: Plan) -> list[str]:
    """Streams whose delivery by this run was begun and never confirmed, by it or a later run."""
    everything = effects(runs.ledger.events(prefix="delivery."))
    done = {d.facts.get("sha256") for d in everything if d.outcome in {"done", "skipped"}}
    streams = [
        stream
        for effect in plan.story.outside
        if effect.kind == "delivery"
        and effect.outcome in {"failed", "unknown"}
        and effect.facts.get("sha256") not in done
        for stream in effect.facts.get("streams") or []
    ]
    return list(dict.fromkeys(streams))
