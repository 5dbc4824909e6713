"""Whether a run may be repeated, and what a repetition concerns: from the ledger alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError
from pipeline_ops.audit.story import effects, tell

if TYPE_CHECKING:
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
    """

    run_id: str
    recorded_as: str
    story: Story
    later: dict[str, str]

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
    return Plan(run_id, story.replay_of or run_id, story, later)


def check_order(plan: Plan, way: Way, *, force: bool, reason: str | None) -> None:
    """Refuse to go back in time without a word of why.

    Raises:
        ConfigError: a later run changed the same streams, and nobody forces it; or no reason.
    """
    if force and not (reason or "").strip():
        message = "--force needs --reason: it goes into the ledger, with your name"
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
