"""When events start a run: once they have become quiet, and not later than the longest wait."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline_ops.listen.events import BusinessEvent
    from pipeline_ops.listen.settings import Pipeline


@dataclass(frozen=True, slots=True)
class Waiting:
    """Events that wait for one pipeline; instants are seconds since 1970."""

    seqs: tuple[int, ...]
    first_at: float
    last_at: float


#: A clock that was set back by less than this is waited for.
_CLOCK_SLACK_S = 5.0


def starts_at(
    waiting: Waiting, pipeline: Pipeline, *, now: float, paused_until: float = 0.0
) -> float:
    """When the run for these events begins.

    A posting of a hundred invoices is a hundred events within a minute: one run reads them all.
    Events that never become quiet do not put the run off for ever; neither does a clock that was
    set back: an event from the future, or a pause longer than there is, counts as over.
    """
    if waiting.last_at > now + _CLOCK_SLACK_S:
        quiet = now
    else:
        quiet = min(waiting.last_at + pipeline.quiet_s, waiting.first_at + pipeline.longest_s)
    longest_pause = now + pipeline.retry.longest_wait_s + _CLOCK_SLACK_S
    return quiet if paused_until > longest_pause else max(quiet, paused_until)


def wants(pipeline: Pipeline, event: BusinessEvent) -> bool:
    """Whether an event starts a pipeline; an event without a company counts for every one."""
    return any(
        fnmatchcase(event.kind.lower(), trigger.event.lower())
        and (not trigger.companies or not event.company or event.company in trigger.companies)
        for trigger in pipeline.triggers
    )
