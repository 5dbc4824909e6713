"""The fetch pool: order, memory and an end, whatever the timing."""

from __future__ import annotations

import random
import threading
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_core.errors import DataError
from tap_d365fo.reading.pool import FetchPool
from tap_d365fo.reading.portion import Portion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_d365fo.reading.pool import Feed

AT = datetime(2026, 11, 1, tzinfo=UTC)

#: Packed bytes that a page waits with until its turn.
LARGE = 3 * 1024 * 1024

#: What no run of these tests comes near to; a pool that is locked does.
WATCHDOG_S = 20.0


def portion(name: str, size_bytes: int = 1) -> Portion:
    return Portion([{"name": name}], {}, AT, size_bytes=size_bytes)


def portions(feed: str, count: int, size_bytes: int = 1) -> Iterator[Portion]:
    return (portion(f"{feed}{n}", size_bytes) for n in range(count))


def in_time(work: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the work gives
    """Do ``work``, or fail because the pool has locked."""
    done: Future[Any] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised below
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()  # a daemon: pytest must be able to leave
    return done.result(WATCHDOG_S)


@contextmanager
def pool_of(workers: int, budget_bytes: int = 1000) -> Iterator[FetchPool]:
    pool = FetchPool(workers, budget_bytes=budget_bytes)
    try:
        yield pool
    finally:
        pool.close()


def names(pool: FetchPool, feeds: list[Feed]) -> list[str]:
    """What is emitted: names of rows, ``<end>`` of a feed, or ``!`` and its error."""
    told = []
    for feed, turn in pool.in_turns(feeds):
        if turn.error is not None:
            told.append(f"{feed.name}!{turn.error}")
        elif turn.portion is None:
            told.append(f"{feed.name}.")
        else:
            told.append(str(turn.portion.rows[0]["name"]))
    return told


def expected_order(counts: list[int], workers: int) -> list[str]:
    """As many feeds in turns as there are workers; the next one comes in where one has ended."""
    left = [(str(number), 0, count) for number, count in enumerate(counts)]
    window: list[tuple[str, int, int]] = []
    told = []
    while left or window:
        while left and len(window) < workers:
            window.append(left.pop(0))
        name, done, count = window.pop(0)
        told.append(f"{name}." if done == count else f"{name}-{done}")
        if done < count:
            window.append((name, done + 1, count))
    return told


def test_two_feeds_at_once_do_not_wait_for_one_idle_worker() -> None:
    """A worker that has not yet woken up counts as idle; it can take one feed only."""
    with pool_of(2) as pool:

        def run() -> list[str]:
            first = pool.submit("first", lambda: portions("x", 1))
            assert names(pool, [first]) == ["x0", "first."]
            with pool._changed:  # noqa: SLF001 - the worker is idle and cannot wake up
                assert pool._changed.wait_for(lambda: pool._idle == 1, WATCHDOG_S)  # noqa: SLF001
                feeds = [
                    pool.submit("a", lambda: portions("a", 9)),
                    pool.submit("b", lambda: portions("b", 9)),
                ]
            return names(pool, feeds)

        told = in_time(run)
    assert told[:4] == ["a0", "b0", "a1", "b1"]


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=7),
    st.integers(1, 4),
    st.integers(0, 5),
    st.integers(0, 2**32),
)
@settings(max_examples=80, deadline=None)
def test_the_order_depends_on_the_rows_alone(
    counts: list[int], workers: int, budget_bytes: int, seed: int
) -> None:
    """Portions are let through one at a time, in any order that a scheduler may choose."""
    chance = random.Random(seed)  # noqa: S311 - repeatable
    gates = {(f, p): threading.Event() for f, c in enumerate(counts) for p in range(c)}

    def gated(feed: int) -> Iterator[Portion]:
        for number in range(counts[feed]):
            assert gates[feed, number].wait(WATCHDOG_S)
            yield portion(f"{feed}-{number}")

    def open_gates() -> None:
        order = list(gates)
        chance.shuffle(order)
        for gate in order:
            gates[gate].set()

    with pool_of(workers, budget_bytes) as pool:

        def run() -> list[str]:
            feeds = [
                pool.submit(str(n), lambda n=n: gated(n))  # type: ignore[misc]  # bound by default
                for n in range(len(counts))
            ]
            opener = threading.Thread(target=open_gates)
            opener.start()
            try:
                return names(pool, feeds)
            finally:
                opener.join()

        assert in_time(run) == expected_order(counts, workers)


@given(
    st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=5), min_size=1, max_size=4),
    st.integers(1, 4),
    st.integers(1, 6),
    st.integers(0, 3),
    st.dictionaries(
        st.tuples(st.integers(0, 3), st.integers(0, 4)), st.sampled_from(["broken", "large"])
    ),
)
@settings(max_examples=100, deadline=None)
def test_streams_that_are_prepared_ahead_never_lock(
    streams: list[list[int]],
    workers: int,
    budget_bytes: int,
    ahead: int,
    odd: dict[tuple[int, int], str],
) -> None:
    """Streams of some partitions each, the next ones submitted early.

    Some of them break, some have large pages.
    """

    def read(stream: int, feed: int, count: int) -> Iterator[Portion]:
        for page in portions(f"{stream}-{feed}-", count, size_bytes=2):
            pool.await_turn(LARGE if odd.get((stream, feed)) == "large" else 1)
            yield page
        if odd.get((stream, feed)) == "broken":
            message = "broken"
            raise DataError(message)

    with pool_of(workers, budget_bytes) as pool:

        def run() -> None:
            submitted: dict[int, list[Feed]] = {}

            def submit(stream: int) -> None:
                if stream not in submitted and stream < len(streams):
                    submitted[stream] = [
                        pool.submit(
                            f"{stream}-{n}",
                            lambda n=n, c=c: read(stream, n, c),  # type: ignore[misc]
                        )
                        for n, c in enumerate(streams[stream])
                    ]

            for stream, counts in enumerate(streams):
                for following in range(stream, stream + ahead + 1):
                    submit(following)
                told = names(pool, submitted[stream])
                for n, count in enumerate(counts):
                    of_feed = [t for t in told if t.startswith(f"{stream}-{n}")]
                    end = "!broken" if odd.get((stream, n)) == "broken" else "."
                    rows = [f"{stream}-{n}-{p}" for p in range(count)]
                    assert of_feed == [*rows, f"{stream}-{n}{end}"]

        in_time(run)
        assert pool._waiting_bytes == 0  # noqa: SLF001 - the account must balance


def test_no_more_waits_than_the_budget_and_a_portion_of_each_worker() -> None:
    fetched: list[str] = []
    lock = threading.Lock()

    def read(feed: str) -> Iterator[Portion]:
        for number in range(50):
            with lock:
                fetched.append(f"{feed}{number}")
            yield portion(f"{feed}{number}", size_bytes=10)

    workers, budget_bytes = 3, 25
    most = 0
    with pool_of(workers, budget_bytes) as pool:

        def run() -> None:
            nonlocal most
            feeds = [pool.submit(name, lambda n=name: read(n)) for name in "abc"]  # type: ignore[misc]
            emitted = 0
            for _, turn in pool.in_turns(feeds):
                emitted += turn.portion is not None
                with lock:
                    most = max(most, len(fetched) - emitted)

        in_time(run)
    # Those that fit, one that each worker had begun while they did, one that is awaited.
    assert most <= budget_bytes // 10 + workers + 1


def test_a_partition_that_is_abandoned_gives_its_worker_and_its_room_back() -> None:
    with pool_of(1, budget_bytes=3) as pool:

        def run() -> list[str]:
            feeds = [
                pool.submit("a", lambda: portions("a", 100, size_bytes=2)),
                pool.submit("b", lambda: portions("b", 2, size_bytes=2)),
            ]
            told = []
            for feed, turn in pool.in_turns(feeds):
                told.append(f"{feed.name}{'' if turn.portion else '.'}")
                if feed is feeds[0]:
                    pool.abandon(feed)
            return told

        assert in_time(run) == ["a", "b", "b", "b."]
        assert pool._waiting_bytes == 0  # noqa: SLF001


def test_rows_before_an_error_come_before_it() -> None:
    def read() -> Iterator[Portion]:
        yield portion("good")
        message = "no more"
        raise DataError(message)

    with pool_of(2) as pool:
        feeds = [pool.submit("bad", read), pool.submit("fine", lambda: portions("fine", 2))]
        told = in_time(lambda: names(pool, feeds))
    assert told == ["good", "fine0", "bad!no more", "fine1", "fine."]


def test_what_is_no_ordinary_error_ends_the_run() -> None:
    def read() -> Iterator[Portion]:
        raise KeyboardInterrupt
        yield  # type: ignore[unreachable]  # makes it a generator

    with pool_of(1) as pool:
        feed = pool.submit("bad", read)
        with pytest.raises(KeyboardInterrupt):
            in_time(lambda: names(pool, [feed]))


def test_an_iterator_that_cannot_be_opened_is_an_error_of_its_partition() -> None:
    def refuse() -> Iterator[Portion]:
        message = "no such thing"
        raise DataError(message)

    with pool_of(1) as pool:
        feeds = [pool.submit("bad", refuse), pool.submit("fine", lambda: portions("fine", 1))]
        told = in_time(lambda: names(pool, feeds))
    assert told == ["bad!no such thing", "fine0", "fine."]


def test_large_pages_are_unpacked_when_their_rows_are_wanted_and_one_at_a_time() -> None:
    unpacked: list[str] = []

    def read(name: str) -> Iterator[Portion]:
        for page in portions(name, 2):
            pool.await_turn(LARGE)
            unpacked.append(str(page.rows[0]["name"]))
            yield page

    with pool_of(2) as pool:

        def run() -> None:
            feeds = [pool.submit(name, lambda name=name: read(name)) for name in "ab"]  # type: ignore[misc]
            for expected in ("a0", "b0", "a1", "b1"):
                taken = pool.take(feeds["ab".index(expected[0])])
                assert taken is not None
                assert taken.rows[0]["name"] == expected
                assert unpacked[-1] == expected  # nobody has gone ahead

        in_time(run)


def test_small_pages_and_those_of_nobody_wait_for_nothing() -> None:
    def read() -> Iterator[Portion]:
        pool.await_turn(LARGE // 2)
        done.set()
        yield portion("a")

    done = threading.Event()
    with pool_of(1) as pool:
        pool.submit("a", read)
        assert done.wait(WATCHDOG_S)
        in_time(lambda: pool.await_turn(LARGE))  # by a thread that reads no partition


@pytest.mark.parametrize("end", ["close", "abandon"])
def test_nobody_waits_for_a_turn_that_will_not_come(end: str) -> None:
    """Nor does anybody unpack a page for nobody."""
    unpacked, ended = threading.Event(), threading.Event()

    def read() -> Iterator[Portion]:
        try:
            pool.await_turn(LARGE)
            unpacked.set()
            yield portion("a")
        finally:
            ended.set()

    with pool_of(1) as pool:
        feed = pool.submit("a", read)
        assert not ended.wait(0.05)
        if end == "close":
            pool.close()
        else:
            pool.abandon(feed)
        assert ended.wait(WATCHDOG_S)
    assert not unpacked.is_set()


def test_what_others_may_wait_for_is_read_out_of_turn() -> None:
    def read() -> Iterator[Portion]:
        with pool.out_of_turn():
            pool.await_turn(LARGE)
        looked.set()
        pool.await_turn(LARGE)
        yield portion("a")

    looked = threading.Event()
    with pool_of(1) as pool:
        feed = pool.submit("a", read)
        assert looked.wait(WATCHDOG_S)
        assert in_time(lambda: pool.take(feed)) is not None


def test_a_closed_pool_lets_its_workers_end() -> None:
    began = threading.Event()
    go_on = threading.Event()

    def slow() -> Iterator[Portion]:
        began.set()
        assert go_on.wait(WATCHDOG_S)
        yield from portions("slow", 100)

    pool = FetchPool(2)
    pool.submit("slow", slow)
    pool.submit("never", lambda: portions("never", 1))
    pool.submit("queued", slow)
    assert began.wait(WATCHDOG_S)
    pool.close()
    go_on.set()
    for thread in pool._threads:  # noqa: SLF001 - nobody else can tell
        thread.join(WATCHDOG_S)
        assert not thread.is_alive()
    assert pool.queued == 0


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_there_are_never_more_workers_than_allowed(workers: int) -> None:
    at_once: list[int] = []
    running = 0
    lock = threading.Lock()

    def read() -> Iterator[Portion]:
        nonlocal running
        with lock:
            running += 1
            at_once.append(running)
        yield from portions("x", 3)
        with lock:
            running -= 1

    with pool_of(workers) as pool:
        feeds = [pool.submit(str(n), read) for n in range(12)]
        in_time(lambda: names(pool, feeds))
    assert max(at_once) <= workers
