"""Read several partitions at a time, hand their portions over in an order that never changes.

Workers walk partitions ahead of whoever emits the rows. What they have fetched waits in memory
only up to a budget; the partition that is being waited for may always go on, so nothing can lock.

Partitions are begun in the order in which they were given, and as many as there are workers are
emitted in turns, a portion each: so the order of the rows depends on the rows alone, not on which
answer came first.
"""

from __future__ import annotations

import ctypes
import threading
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tap_d365fo.reading.portion import Portion

#: Unpacked JSON that may wait for its turn. A page of 10,000 rows takes 7 MB with 26 columns and
#: 90 MB with 290; as typed rows about as much, as dictionaries three times that.
_BUDGET_BYTES = 48 * 1024 * 1024

#: Portions of one partition that may wait.
_AHEAD = 2

#: Packed bodies that are longer wait packed: they unpack to some ten times as much.
_LARGE_BYTES = 3 * 1024 * 1024


@dataclass(eq=False, slots=True)
class Feed:
    """The portions of one partition, as they come.

    All but ``name`` and ``open`` belongs to the pool, under its lock.

    Attributes:
        name: How the partition is called.
        open: Begins to read it.
        waiting: Fetched and not yet taken.
        error: What ended it early.
        ended: Nothing follows what waits.
        awaited: Somebody waits for the next portion.
        abandoned: Nobody wants the rest.
    """

    name: str
    open: Callable[[], Iterator[Portion]]
    waiting: deque[Portion] = field(default_factory=deque)
    error: BaseException | None = None
    ended: bool = False
    awaited: bool = False
    abandoned: bool = False


class NobodyWaitsError(Exception):
    """Ends the reading of a partition that was given up."""


class FetchPool:
    """Worker threads for the partitions of a run."""

    def __init__(self, workers: int, *, budget_bytes: int = _BUDGET_BYTES) -> None:
        """Start no more than ``workers`` threads, each when it is first needed."""
        self._workers = workers
        self._budget_bytes = budget_bytes
        self._changed = threading.Condition()
        self._queue: deque[Feed] = deque()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._waiting_bytes = 0
        self._closed = False
        self._mine = threading.local()

    @property
    def queued(self) -> int:
        """Partitions that no worker has begun."""
        return len(self._queue)

    def submit(self, name: str, open_: Callable[[], Iterator[Portion]]) -> Feed:
        """Let a worker read what ``open_`` gives; partitions are begun in the order of calls."""
        feed = Feed(name, open_)
        with self._changed:
            self._queue.append(feed)
            # An idle worker counts as idle until it has woken up and taken its feed.
            if len(self._queue) > self._idle and len(self._threads) < self._workers:
                # Daemons: told to stop, the process leaves without waiting for a slow answer.
                thread = threading.Thread(target=self._work, daemon=True, name="tap-d365fo-reader")
                self._threads.append(thread)
                thread.start()
            self._changed.notify_all()
        return feed

    def take(self, feed: Feed) -> Portion | None:
        """The next portion of ``feed``; None at its end.

        Raises:
            BaseException: what ended the reading of this partition.
        """
        with self._changed:
            feed.awaited = True
            self._changed.notify_all()
            while not feed.waiting and not feed.ended:
                self._changed.wait()
            feed.awaited = False
            if feed.waiting:
                portion = feed.waiting.popleft()
                self._waiting_bytes -= portion.size_bytes
                self._changed.notify_all()
                return portion
            if feed.error is not None:
                raise feed.error
            return None

    def in_turns(self, feeds: Iterable[Feed]) -> Iterator[tuple[Feed, Turn]]:
        """Portions of ``feeds``, as many in turns as there are workers; see the module's head."""
        left = deque(feeds)
        window: deque[Feed] = deque()
        while left or window:
            while left and len(window) < self._workers:
                window.append(left.popleft())
            feed = window.popleft()
            if feed.abandoned:
                continue
            turn = self._turn(feed)
            if turn.portion is not None:
                window.append(feed)
            yield feed, turn

    def abandon(self, feed: Feed) -> None:
        """Read no more of a partition whose rows cannot be emitted."""
        with self._changed:
            feed.abandoned = True
            self._waiting_bytes -= sum(portion.size_bytes for portion in feed.waiting)
            feed.waiting.clear()
            self._changed.notify_all()

    def await_turn(self, packed_bytes: int) -> None:
        """Wait with a large page, where a worker has one, until its rows are wanted.

        So the rows of one such page are in memory at a time (of two with ``cursor``, which holds
        one back), whatever ``max_concurrency`` is; the pages of the others have come and are
        packed. What is decoded and sent is decoded and sent by one interpreter anyway.

        Raises:
            NobodyWaitsError: the rows will not be wanted any more.
        """
        feed: Feed | None = getattr(self._mine, "feed", None)
        if feed is None or packed_bytes < _LARGE_BYTES:
            return
        with self._changed:
            while not (self._closed or feed.abandoned or self._is_wanted(feed)):
                self._changed.wait()
            if self._closed or feed.abandoned:
                raise NobodyWaitsError
        _give_back_memory()

    @contextmanager
    def out_of_turn(self) -> Iterator[None]:
        """Within it, the calling worker's pages are for others, who may be waiting for them."""
        feed = getattr(self._mine, "feed", None)
        self._mine.feed = None
        try:
            yield
        finally:
            self._mine.feed = feed

    def close(self) -> None:
        """Begin nothing more, drop what waits, and let each worker end at its next portion."""
        with self._changed:
            self._closed = True
            self._queue.clear()
            self._changed.notify_all()

    def _turn(self, feed: Feed) -> Turn:
        try:
            return Turn(self.take(feed))
        except Exception as error:  # noqa: BLE001 - the emitter decides what it means
            return Turn(None, error)

    def _work(self) -> None:
        while (feed := self._next_feed()) is not None:
            self._read(feed)

    def _next_feed(self) -> Feed | None:
        with self._changed:
            self._idle += 1
            while not self._queue and not self._closed:
                self._changed.wait()
            self._idle -= 1
            return None if self._closed else self._queue.popleft()

    def _read(self, feed: Feed) -> None:
        error: BaseException | None = None
        self._mine.feed = feed
        try:
            portions = feed.open()
            while self._may_fetch(feed) and (portion := next(portions, None)) is not None:
                with self._changed:
                    if feed.abandoned:
                        break
                    feed.waiting.append(portion)
                    self._waiting_bytes += portion.size_bytes
                    self._changed.notify_all()
        except BaseException as failure:  # noqa: BLE001 - raised where the portions are taken
            error = failure
        with self._changed:
            feed.error, feed.ended = error, True
            self._changed.notify_all()

    def _may_fetch(self, feed: Feed) -> bool:
        """Wait until there is room for another portion of ``feed``; False when the pool closed."""
        with self._changed:
            while not (self._closed or feed.abandoned or self._has_room(feed)):
                self._changed.wait()
            return not (self._closed or feed.abandoned)

    @staticmethod
    def _is_wanted(feed: Feed) -> bool:
        return feed.awaited and not feed.waiting

    def _has_room(self, feed: Feed) -> bool:
        if self._is_wanted(feed):
            return True
        return len(feed.waiting) < _AHEAD and self._waiting_bytes < self._budget_bytes


def _give_back_memory() -> None:
    """Let the C library return what the rows of the last page left behind; only glibc can."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


@dataclass(frozen=True, slots=True)
class Turn:
    """A portion; or the end of a partition, with the error that ended it, if one did."""

    portion: Portion | None
    error: Exception | None = None
