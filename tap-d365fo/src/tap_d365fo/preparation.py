"""Before a stream is read: what must be read again, under which version, and who reads it."""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tap_d365fo.access.effort import Effort, measured
from tap_d365fo.reading.plan import Strategy
from tap_d365fo.removals import OWED, REMOVAL, is_due

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal

    from tap_d365fo.partition import Partition
    from tap_d365fo.reading.plan import ReadPlan
    from tap_d365fo.reading.pool import Feed, FetchPool
    from tap_d365fo.reading.portion import Portion


_logger = logging.getLogger("tap-d365fo.preparation")


@dataclass(eq=False, slots=True)
class Job:
    """One partition on its way through the pool.

    Attributes:
        moved: What its state becomes with the rows emitted so far.
        rows: Emitted so far, without deletions.
        totals: Sums of the decimal columns over the rows emitted so far.
        failed: Not everything of it came.
        effort: What reading it took so far.
    """

    partition: Partition
    feed: Feed
    effort: Effort
    moved: dict[str, Any] = field(default_factory=dict)
    rows: int = 0
    deletes: int = 0
    pages: int = 0
    totals: dict[str, Decimal] = field(default_factory=dict)
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Preparation:
    """What one stream reads in this run.

    Attributes:
        anew: Everything is read again although there is a state: it no longer holds.
        version: Tells a target which rows belong to a read of everything; None for one of changes.
    """

    pool: FetchPool
    jobs: tuple[Job, ...]
    anew: bool
    version: int | None

    def in_turns(self) -> Iterator[tuple[Job, Portion | None, Exception | None]]:
        """Portions in an order that depends on nothing but the rows; None ends a partition."""
        of_feed = {job.feed: job for job in self.jobs}
        for feed, turn in self.pool.in_turns(job.feed for job in self.jobs):
            yield of_feed[feed], turn.portion, turn.error

    def abandon(self, job: Job) -> None:
        """Read no more of a partition that cannot be emitted."""
        self.pool.abandon(job.feed)

    def release(self) -> None:
        """Let the workers go, when the stream ends before its partitions."""
        for job in self.jobs:
            self.pool.abandon(job.feed)


def prepare(
    plan: ReadPlan,
    partitions: Sequence[tuple[Partition, Mapping[str, Any]]],
    *,
    pool: FetchPool,
    started_at: datetime,
    sends_versions: bool = True,
    left_out: bool = False,
) -> Preparation:
    """Look at the states of a stream's partitions, and let the pool read them.

    A version is given to a read that brings every row: what does not come with it is gone. A read
    that goes on where another run was interrupted has none, because rows of the first half come
    under no version of this run; the state then says that everything is to be read once more
    (:mod:`tap_d365fo.removals`). Neither has one that leaves companies out whose rows the target
    has: they would pass for gone, and, as their state says that they are unchanged, never come
    back.

    Args:
        plan: How the stream is read.
        partitions: Each with what the state holds of it.
        pool: Begins to read them at once.
        started_at: When the run began.
        sends_versions: Whether a version reaches the target at all (``batch_full_reads``).
        left_out: Whether the target has rows of companies that this run does not read.
    """
    is_full = plan.strategy is Strategy.FULL
    over = any(partition.must_start_over(state) for partition, state in partitions)
    may_remove = sends_versions and not left_out
    due = may_remove and not is_full and _is_due(partitions)
    anew = over or due
    first = all(partition.is_new(state) for partition, state in partitions)
    resumed = any(partition.resumes(state) for partition, state in partitions)
    whole = anew or (not resumed and (first or is_full))
    version = _version(started_at) if whole and not left_out else None
    mark = {REMOVAL: OWED} if whole and not is_full else {}
    jobs = tuple(
        # A copy: the worker reads it while the emitter moves the real one.
        _job(partition, copy.deepcopy(dict(state)), mark, pool, anew=anew)
        for partition, state in partitions
    )
    return Preparation(pool, jobs, anew, version)


def _is_due(partitions: Sequence[tuple[Partition, Mapping[str, Any]]]) -> bool:
    due = is_due(state for _, state in partitions)
    if due:
        _logger.info(
            "%s: everything is read again, because the last such read was interrupted: the target "
            "loses what has gone since",
            partitions[0][0].entity.entity_set,
        )
    return due


def _job(
    partition: Partition,
    known: Mapping[str, Any],
    mark: Mapping[str, Any],
    pool: FetchPool,
    *,
    anew: bool,
) -> Job:
    effort = Effort()

    def portions() -> Iterator[Portion]:
        return _marked(partition.portions({} if anew else known, known=known), mark)

    feed = pool.submit(partition.name, lambda: measured(effort, portions()))
    return Job(partition, feed, effort)


def _marked(portions: Iterator[Portion], mark: Mapping[str, Any]) -> Iterator[Portion]:
    """``portions`` with ``mark`` in each state that is not empty."""
    for portion in portions:
        yield replace(portion, state={**portion.state, **mark}) if portion.state else portion


def _version(started_at: datetime) -> int:
    """Milliseconds since 1970 when the run began: grows from run to run, equal in a replay."""
    return int(started_at.timestamp() * 1000)
