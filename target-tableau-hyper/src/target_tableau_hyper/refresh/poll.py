"""Follow many jobs to their end with one poller.

Tableau Cloud answers 20,000 questions about jobs a day for a whole site, one in 4.3 seconds. So all
jobs are looked at in rounds, and the rounds become rarer until all together ask once in five
seconds.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from tableauserverclient.server.endpoint.exceptions import ServerResponseError

from pipeline_core.errors import PipelineError, TransientError
from target_tableau_hyper.tableau import jobs
from target_tableau_hyper.tableau.failures import job_purged
from target_tableau_hyper.tableau.jobs import Ending, JobResult, cancel_job, classify

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Generator

    import tableauserverclient as TSC  # noqa: N812 - its own documentation's name

    from target_tableau_hyper.tableau.session import TableauSession

#: Seconds between two questions about jobs, over a long time.
_SECONDS_A_QUESTION = 5.0
_LONGEST_ROUND_S = 15.0
_GROWTH = 1.5

#: Seconds between two lines about jobs that take long.
_PROGRESS_S = 30.0

#: Work that hands out the job that it waits for, and is told how that ended.
Work: TypeAlias = "Generator[str, JobResult, None]"


class Poller:
    """Work under way, each waiting for a job on the server."""

    def __init__(
        self,
        session: TableauSession,
        logger: logging.Logger,
        *,
        timeout_s: float,
        ours: Callable[[str], bool] = lambda _: True,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with none.

        Args:
            session: Asks.
            logger: Hears of jobs that take long.
            timeout_s: For all together.
            ours: Whether a job was begun by us, and may be cancelled when the time is over.
            sleep: Waits.
            clock: Tells how long it has been.
        """
        self._session = session
        self._logger = logger
        self._timeout_s = timeout_s
        self._ours = ours
        self._sleep = sleep
        self._clock = clock
        self._waiting: list[tuple[str, Work]] = []
        self.failures: list[PipelineError] = []

    def begin(self, work: Work) -> None:
        """Let work go to its first job, or to its end."""
        self._go_on(work, partial(next, work))

    def finish(self) -> None:
        """Ask until no job is left; failures of the asking itself are waited through."""
        started = told_at = self._clock()
        wait_s, trouble = jobs.FIRST_WAIT_S, ""
        while self._waiting:
            trouble = self._round()
            spent_s = self._clock() - started
            if not self._waiting:
                break
            if spent_s >= self._timeout_s:
                self._give_up(trouble)
                break
            if self._clock() - told_at >= _PROGRESS_S:
                told_at = self._clock()
                self._logger.info(
                    "waiting for %d refresh jobs, %.0f s so far", len(self._waiting), spent_s
                )
            self._sleep(min(wait_s, self._timeout_s - spent_s))
            longest_s = max(_LONGEST_ROUND_S, _SECONDS_A_QUESTION * len(self._waiting))
            wait_s = min(wait_s * _GROWTH, longest_s)

    def close(self) -> None:
        """End what is under way: told to stop, it goes into the ledger while there is one."""
        for _, work in self._waiting:
            work.close()
        self._waiting = []

    def _round(self) -> str:
        """Look at each job once; returns what went wrong with the asking."""
        trouble = ""
        waiting, self._waiting = self._waiting, []
        while waiting:
            job_id, work = waiting.pop(0)
            try:
                result = self._look(job_id)
            except TransientError as error:
                trouble, result = str(error), None
            except BaseException:
                # The identity is refused, or we are told to stop: all end, this one included.
                self._waiting += [(job_id, work), *waiting]
                raise
            if result is None:
                self._waiting.append((job_id, work))
                continue
            self._go_on(work, partial(work.send, result))
        return trouble

    def _look(self, job_id: str) -> JobResult | None:
        def look(server: TSC.Server) -> JobResult | None:
            try:
                return classify(server.jobs.get_by_id(job_id))
            except ServerResponseError as error:
                if job_purged(str(error.code)):
                    return JobResult(job_id, Ending.UNKNOWN)
                raise

        return self._session.call(look, doing=f"asking for job {job_id}", tries=1)

    def _give_up(self, trouble: str) -> None:
        reason = f" (last answer: {trouble})" if trouble else ""
        while self._waiting:
            job_id, work = self._waiting[0]
            # A job that nobody follows any more would read the data of whichever run is on by then.
            ours = self._ours(job_id)
            cancelled = cancel_job(self._session, job_id, self._logger) if ours else False
            del self._waiting[0]
            if isinstance(cancelled, JobResult):
                self._go_on(work, partial(work.send, cancelled))
                continue
            ending = " and could not be cancelled" if ours else ", and is not ours to cancel"
            message = (
                f"job {job_id} is not over after {self._timeout_s:.0f} s{reason}"
                f"{' and was cancelled' if cancelled else ending}; look at the server's background "
                "tasks, or raise the timeout"
            )
            self._go_on(work, partial(work.throw, TransientError(message)))

    def _go_on(self, work: Work, step: Callable[[], str]) -> None:
        """To the next job or the end; the failure of one piece of work does not end the others."""
        try:
            job_id = step()
        except StopIteration:
            return
        except PipelineError as error:
            self.failures.append(error)
        else:
            self._waiting.append((job_id, work))
