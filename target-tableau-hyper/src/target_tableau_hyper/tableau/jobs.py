"""Wait for a job on the server, and say how it ended.

``finishCode`` is 1 ("failed") while a job is pending: only ``completedAt`` says that it is over. A
finished job may be purged at any time; what it did must then be seen at the data source itself.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from tableauserverclient.server.endpoint.exceptions import ServerResponseError

from pipeline_core.errors import PipelineError, TransientError
from target_tableau_hyper.tableau.failures import job_purged

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from datetime import datetime

    import tableauserverclient as TSC  # noqa: N812 - its own documentation's name

    from target_tableau_hyper.tableau.session import TableauSession

#: The whole site may ask for jobs about once in four seconds over a day, so long jobs are looked at
#: ever more seldom.
FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 15.0
_GROWTH = 1.5

#: Seconds between two lines about a job that takes long.
_PROGRESS_S = 30.0


class Ending(StrEnum):
    """How a job ended."""

    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"
    #: Purged: it is over, but only its effect can tell how.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class JobResult:
    """A job that is over.

    Attributes:
        job_id: Its LUID.
        ending: How it ended.
        notes: What the server said about it; often nothing.
        completed_at: When it was over, by the server's clock.
    """

    job_id: str
    ending: Ending
    notes: str = ""
    completed_at: datetime | None = None


#: Codes of the REST API, "Query Job"; 3 is what Tableau Bridge reports.
_ENDINGS = {0: Ending.SUCCESS, 1: Ending.FAILED, 2: Ending.CANCELLED, 3: Ending.SUCCESS}


def classify(job: TSC.JobItem) -> JobResult | None:
    """How a job ended; ``None`` while it has not."""
    if job.completed_at is None:
        return None
    statuses = job.status_notes or []
    notes = [
        *(note for note in job.notes or [] if note),
        *(n["text"] for n in statuses if n["text"]),
    ]
    ending = _ENDINGS.get(job.finish_code, Ending.FAILED)
    if ending is Ending.SUCCESS and any(note["type"] == "errorCode" for note in statuses):
        ending = Ending.FAILED  # seen in the field: code 0 and an error in the notes
    return JobResult(str(job.id), ending, "; ".join(notes)[:500], job.completed_at)


def wait_for_job(
    session: TableauSession,
    job_id: str,
    *,
    what: str,
    timeout_s: float,
    logger: logging.Logger,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> JobResult:
    """Ask until the job is over; failures of the asking itself are waited through.

    A job that takes longer than ``timeout_s`` is cancelled: nobody would know of its end.

    Raises:
        TransientError: it is not over by then.
    """
    started, told_at, wait_s = clock(), clock(), FIRST_WAIT_S
    trouble: TransientError | None = None
    while clock() - started < timeout_s:
        try:
            found = session.call(
                lambda server: _look(server, job_id), doing=f"asking for job {job_id}", tries=1
            )
            if isinstance(found, JobResult):
                return found
            trouble = None
        except TransientError as error:
            trouble = error
        if clock() - told_at >= _PROGRESS_S:
            told_at = clock()
            logger.info("%s: job %s is running, %.0f s so far", what, job_id, clock() - started)
        sleep(min(wait_s, max(0.0, timeout_s - (clock() - started))))
        wait_s = min(wait_s * _GROWTH, _LONGEST_WAIT_S)
    cancelled = cancel_job(session, job_id, logger)
    if isinstance(cancelled, JobResult):
        return cancelled
    reason = f" (last answer: {trouble})" if trouble else ""
    message = (
        f"{what}: job {job_id} is not over after {timeout_s:.0f} s{reason} and "
        f"{'was cancelled' if cancelled else 'could not be cancelled'}; look at the server's "
        "background tasks, or raise job_timeout; the next run delivers again"
    )
    raise TransientError(message)


def cancel_job(session: TableauSession, job_id: str, logger: logging.Logger) -> JobResult | bool:
    """Cancel a job; one that has come to its end meanwhile counts as it ended.

    Returns:
        How it ended, else whether it was cancelled. Tableau cancels refreshes, and not everything
        else (REST API, "Cancel Job").
    """
    try:
        session.call(
            lambda server: server.jobs.cancel(job_id), doing=f"cancelling job {job_id}", tries=1
        )
    except PipelineError as error:
        logger.warning("%s", error)
        accepted = False
    else:
        accepted = True
    try:
        found = session.call(
            lambda server: _look(server, job_id), doing=f"asking for job {job_id}", tries=1
        )
    except PipelineError:
        return accepted
    done = isinstance(found, JobResult) and found.ending is not Ending.CANCELLED
    return found if found is not None and done else accepted


def _look(server: TSC.Server, job_id: str) -> JobResult | None:
    try:
        return classify(server.jobs.get_by_id(job_id))
    except ServerResponseError as error:
        if job_purged(str(error.code)):
            return JobResult(job_id, Ending.UNKNOWN)
        raise
