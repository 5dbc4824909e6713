"""What an event and the server's own word together mean: decided without asking anybody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from target_tableau_hyper.tableau.jobs import Ending

if TYPE_CHECKING:
    from datetime import datetime

    from pipeline_ops.listen.truth import Truth
    from target_tableau_hyper.tableau.jobs import JobResult


class Finding(StrEnum):
    """What is the case."""

    #: The last refresh failed.
    FAILED = "failed"
    #: A refresh has succeeded since.
    CURRENT = "current"
    #: One is queued or runs: wait for its end.
    RUNNING = "running"
    #: The server knows nothing of what the event says, so far.
    NOT_SEEN = "not seen"
    #: Somebody cancelled the refresh, and knows why.
    CANCELLED = "cancelled"
    #: The data source is not there, or not for our user.
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A finding and what it rests on."""

    finding: Finding
    job_id: str = ""
    notes: str = ""


#: The event's instant and the job's end are written by different parts of Tableau.
_SLACK = timedelta(seconds=5)


def judge(truth: Truth, event_at: datetime) -> Verdict:
    """Whether a data source needs help, given that an event said so.

    The server's word counts, whatever the event says: events may be forged, doubled, late or come
    in the wrong order. Where the server's jobs may not be read, a data source that has not changed
    since the event is taken to be as the event says: a needless refresh does no harm.
    """
    if not truth.exists:
        return Verdict(Finding.GONE)
    if truth.running is not None:
        return Verdict(Finding.RUNNING, truth.running)
    if not truth.jobs_known:
        changed = truth.updated_at is not None and truth.updated_at > event_at
        return Verdict(Finding.CURRENT if changed else Finding.FAILED)
    return _by_last_job(truth.last, event_at)


def _by_last_job(last: JobResult | None, event_at: datetime) -> Verdict:
    if last is None:
        return Verdict(Finding.NOT_SEEN)
    if last.ending is Ending.FAILED:
        return Verdict(Finding.FAILED, last.job_id, last.notes)
    if last.ending is Ending.CANCELLED:
        return Verdict(Finding.CANCELLED, last.job_id)
    earlier = last.completed_at is not None and last.completed_at < event_at - _SLACK
    return Verdict(Finding.NOT_SEEN if earlier else Finding.CURRENT, last.job_id)
