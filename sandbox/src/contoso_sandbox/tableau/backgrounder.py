"""The threads that do the jobs of the server."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from contoso_sandbox.tableau.errors import RestError
from contoso_sandbox.tableau.jobs import CANCELLED, FAILED, SUCCESS, Job, JobFailedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from contoso_sandbox.tableau.jobs import Jobs, JobType
    from contoso_sandbox.tableau.store import Database

_LOG = logging.getLogger(__name__)
#: Share of its time that a job waits before it starts.
_PENDING_SHARE = 0.3
_LOOK_EVERY_S = 0.1


#: Does the long part of a job without effect on what clients see, and returns the short part that
#: makes it count.
Work = Callable[[Job], Callable[[], object]]


class Backgrounder:
    """A thread that does jobs of some kinds, one after the other, in the order of their creation.

    A job is done no sooner than ``seconds`` after its creation, on the machine's own clock: a test
    that holds the simulated clock still sees jobs end nevertheless.
    """

    def __init__(
        self,
        jobs: Jobs,
        work: Mapping[JobType, Work],
        *,
        database: Database,
        content: threading.RLock,
        seconds: float,
        longer: Callable[[Job], float] = lambda _: 0.0,
        held: Callable[[Job], bool] = lambda _: False,
        ended: Callable[[Job], None] = lambda _: None,
    ) -> None:
        """Start the thread; jobs that an earlier server left undone are done first.

        Args:
            jobs: The list of jobs.
            work: How each kind is done; jobs of other kinds are left to another thread.
            database: Where the short part and the end of a job become one transaction.
            content: Held while published data change.
            seconds: Least time from the creation of a job to its end.
            longer: How much more than that a job takes; may change its mind while the job lasts.
            held: Whether a job that runs must go on running.
            ended: Told of each job that was done, well or not; cancelled ones are not told of.
        """
        self._jobs = jobs
        self._work = work
        self._database = database
        self._content = content
        self._seconds = seconds
        self._longer = longer
        self._held = held
        self._ended = ended
        self._changed = threading.Condition()
        self._stopping = False
        self._queue = deque(
            (job.id, time.monotonic())
            for job in jobs.all()
            if not job.completed_at and job.type in work
        )
        self._thread = threading.Thread(target=self._run, name="tableau-jobs", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Add a job to the list and to the queue."""
        self._jobs.add(job)
        with self._changed:
            self._queue.append((job.id, time.monotonic()))
            self._changed.notify_all()

    def cancel(self, job_id: str) -> Job:
        """Cancel a job that is not done; one that is done stays as it is.

        Raises:
            RestError: 404031, there is no such job.
        """
        self._jobs.get(job_id)
        self._jobs.finish(job_id, CANCELLED)
        with self._changed:
            self._changed.notify_all()
        return self._jobs.get(job_id)

    def close(self) -> None:
        """Stop after the job at hand; what waits is done after a restart."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._stopping)
                if self._stopping:
                    return
                job_id, created = self._queue.popleft()
            job = self._jobs.get(job_id)
            self._wait(job_id, partial(self._left, job, created, _PENDING_SHARE))
            if not self._stopping and self._jobs.start(job_id):
                self._wait(job_id, partial(self._left, job, created))
                if not self._stopping:
                    self._do(job_id)

    def _left(self, job: Job, created: float, share: float = 1.0) -> float:
        """Seconds until a job has spent a share of its time."""
        if share == 1.0 and self._held(job):
            return _LOOK_EVERY_S
        return created + (self._seconds + self._longer(job)) * share - time.monotonic()

    def _wait(self, job_id: str, seconds_left: Callable[[], float]) -> None:
        """Let time pass; less of it when the job is cancelled or the server stops.

        The database is not asked while ``_changed`` is held (request threads take the two locks in
        the other order), so a cancellation may come unnoticed in between: hence the short waits.
        """
        while not self._stopping and self._jobs.get(job_id).completed_at is None:
            with self._changed:
                left = seconds_left()
                if left <= 0:
                    return
                self._changed.wait(min(left, _LOOK_EVERY_S))

    def _do(self, job_id: str) -> None:
        job = self._jobs.get(job_id)
        if job.completed_at is not None:
            return
        with self._content:
            try:
                commit = self._work[job.type](job)
                with self._database.transaction():
                    if self._jobs.finish(job_id, SUCCESS):
                        commit()
            except JobFailedError as failure:
                self._jobs.finish(job_id, FAILED, failure.note, failure.code)
            except RestError as refusal:
                self._jobs.finish(job_id, FAILED, refusal.detail, refusal.code)
            except Exception:  # noqa: BLE001 - outermost edge: one broken job must not stop the rest
                _LOG.exception("job %s (%s) broke", job_id, job.type)
                self._jobs.finish(job_id, FAILED)
        done = self._jobs.get(job_id)
        if done.finish_code != CANCELLED:
            self._ended(done)
