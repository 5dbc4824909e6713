"""Refresh data sources and workbooks: ask for all, follow all together, tell of each."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

from pipeline_core.errors import AuthError, PipelineError, TransientError
from target_tableau_hyper.failures import worst
from target_tableau_hyper.refresh.ask import ask, queued_job
from target_tableau_hyper.refresh.find import look_again
from target_tableau_hyper.refresh.poll import Poller
from target_tableau_hyper.tableau.jobs import Ending

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Generator, Sequence

    from pipeline_core.ledger import Effect, Ledger, NoLedger
    from target_tableau_hyper.refresh.find import Refreshable
    from target_tableau_hyper.refresh.poll import Work
    from target_tableau_hyper.tableau.jobs import JobResult
    from target_tableau_hyper.tableau.session import TableauSession


class RefreshFailedError(TransientError):
    """The server took the request and did not get the refresh done."""


class Refresher:
    """Refreshes items through one session."""

    def __init__(
        self,
        session: TableauSession,
        ledger: Ledger | NoLedger,
        logger: logging.Logger,
        *,
        wait: bool,
        timeout_s: float,
        settled: Callable[[Refreshable], None] = lambda _: None,
    ) -> None:
        """Use a session that is signed in.

        Args:
            session: Asks.
            ledger: Gets an intent and an end for each refresh.
            logger: Gets a line for each.
            wait: Whether jobs are followed to their end.
            timeout_s: For all jobs together.
            settled: Called for each item that needs no refresh any more.
        """
        self._session = session
        self._ledger = ledger
        self._logger = logger
        self._wait = wait
        self._timeout_s = timeout_s
        self._settled = settled
        #: Jobs that we have asked for; others that are followed are somebody else's.
        self._ours: set[str] = set()

    def refresh(self, items: Sequence[Refreshable]) -> None:
        """Refresh all of them; one failure does not hold up the others.

        Raises:
            PipelineError: the first failure that a person must see to, else the first; after all
                others have ended. After a refused identity, or a server that asks for a pause,
                nothing more is begun.
        """
        poller = Poller(
            self._session,
            self._logger,
            timeout_s=self._timeout_s,
            ours=self._ours.__contains__,
        )
        asked = 0
        with closing(poller):
            for item in items:
                poller.begin(self._one(item))
                asked += 1
                if any(_hopeless(error) for error in poller.failures):
                    break
            poller.finish()
        if poller.failures:
            raise _summary(poller.failures, len(items), left=len(items) - asked)

    def _one(self, item: Refreshable) -> Work:
        """One refresh; yields the job that it waits for."""
        started = time.monotonic()
        kind = item.entry.kind
        try:
            with self._ledger.effect(
                "refresh", kind=kind, item=item.path, item_id=item.id
            ) as effect:
                job_id = self._ask(item)
                if job_id is None:
                    job_id = yield from self._already_queued(item, effect)
                if job_id is None:
                    return
                if not self._wait:
                    effect.verified(job_id=job_id, followed=False)
                    self._logger.info("%s: refresh asked for, job %s", item.path, job_id)
                    self._settled(item)
                    return
                result = yield job_id
                self._judge(item, result)
                effect.verified(job_id=job_id, followed=True)
        except PipelineError as error:
            self._logger.warning("%s was not refreshed: %s", item.path, error)
            raise
        self._logger.info(
            "%s: %s refreshed in %.1f s", item.path, kind.words, time.monotonic() - started
        )
        self._settled(item)

    def _ask(self, item: Refreshable) -> str | None:
        """Ask for a refresh; ``None`` where one is queued already."""
        job_id = ask(self._session, item)
        if job_id is not None:
            self._ours.add(job_id)
        return job_id

    def _already_queued(
        self, item: Refreshable, effect: Effect
    ) -> Generator[str, JobResult, str | None]:
        """Make sure that the refresh that is queued reads after the delivery, as far as one can.

        Returns:
            The job to follow; ``None`` where the item is settled without.
        """
        other = queued_job(self._session, item)
        if other is not None and other.running and self._wait:
            self._logger.info(
                "%s: a refresh has begun before (job %s) and may have read the former data; "
                "asking again when it is over",
                item.path,
                other.id,
            )
            yield other.id
            job_id = self._ask(item)
            if job_id is not None:
                return job_id
            other = queued_job(self._session, item)
        if other is not None and self._wait:
            self._logger.info("%s: a refresh is queued already, job %s", item.path, other.id)
            return other.id
        running = other is not None and other.running
        effect.verified(already_queued=True, followed=False)
        if running:
            self._logger.info(
                "%s: a refresh has begun before and may have read the former data; the next run "
                "asks again",
                item.path,
            )
        else:
            self._logger.info(
                "%s: a refresh is queued already (409093); it reads its source when it begins, so "
                "it will see what is there now; its end is not followed",
                item.path,
            )
            self._settled(item)
        return None

    def _judge(self, item: Refreshable, result: JobResult) -> None:
        """Pass over a job that ended well.

        Raises:
            RefreshFailedError: it did not, or nobody can tell.
        """
        if result.ending is Ending.SUCCESS:
            return
        if result.ending is Ending.UNKNOWN:
            # A purged job: only the item itself can tell.
            now = look_again(self._session, item)
            if now is not None and (item.updated_at is None or now > item.updated_at):
                return
            reason = f"job {result.job_id} was purged before it could be seen to succeed"
        else:
            notes = result.notes or "the server gives no reason"
            reason = f"job {result.job_id} {result.ending.value} on the server ({notes})"
        message = f"refresh of {item.entry.kind.words} {item.path!r}: {reason}"
        raise RefreshFailedError(message)


def _hopeless(error: PipelineError) -> bool:
    """Whether the next request would fail like this one."""
    pause = isinstance(error, TransientError) and error.retry_at is not None
    return pause or isinstance(error, AuthError)


def _summary(failures: Sequence[PipelineError], total: int, *, left: int) -> PipelineError:
    """One failure for all."""
    told = worst(failures)
    if total == 1:
        return told
    rest = f", {left} not asked for" if left else ""
    message = f"{len(failures)} of {total} refreshes failed{rest}: {told}"
    if isinstance(told, TransientError):
        return TransientError(message, retry_at=told.retry_at)
    return type(told)(message)
