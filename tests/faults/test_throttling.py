"""Busy servers: every named wait is kept, every page is asked for again, nobody waits for ever."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from tests.faults.ways import (
    CURSOR,
    FIRST,
    FULL,
    HIGH_WATER,
    LAST,
    MIDDLE,
    SCAN,
    WAYS,
    spots,
    ways,
)

from contoso_sandbox.faults import Fault, before, pages_of, server_error, throttled
from pipeline_core.errors import TransientError
from tap_d365fo.access.deadline import RunDeadline
from tap_d365fo.access.throttle import Throttle

if TYPE_CHECKING:
    from tests.faults.conftest import Bench
    from tests.faults.ways import Spot, Way

    from contoso_sandbox.faults import Action

#: Long enough for the HTTP dates of a test to lie ahead, whatever the machine does meanwhile.
_SERVER_NOW = datetime(2026, 3, 29, 1, 59, 50, tzinfo=UTC)

#: In which a request that was under way is answered, and a worker without manners asks again.
_UNDER_WAY_S = 0.4

_WATCHDOG_S = 20.0


@spots("T01")
def test_t01_a_throttled_page_is_asked_for_again_after_the_named_wait(
    bench: Bench, way: Way, spot: Spot
) -> None:
    bench.survives(way, spot.fault(throttled(3), way))
    struck, again = bench.after("answer 429")[:2]
    assert again.asked.url == struck.asked.url
    assert again.at - struck.at >= 3


def test_t01_all_workers_wait_when_one_is_told_to(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those whose request was under way may still be answered; nobody begins another one.

    The wait of the worker that is told to lasts a moment here, in which the others could ask.
    """
    sets = ["VendorGroups", "VendorsV2", "PurchaseOrderLinesV2", "VendTransBiEntities"]
    begun, skip = threading.Lock(), bench.clock.sleep
    over = threading.Event()
    meanwhile: list[int] = []

    def wait(seconds: float) -> None:
        if begun.acquire(blocking=False):
            time.sleep(_UNDER_WAY_S)
            before = len(bench.data())
            time.sleep(_UNDER_WAY_S)
            meanwhile.append(len(bench.data()) - before)
            over.set()
        assert over.wait(_WATCHDOG_S)
        skip(seconds)

    monkeypatch.setattr(bench.clock, "sleep", wait)
    bench.contoso.d365.faults.add(Fault(throttled(60), on="PurchaseOrderLinesV2", nth=1))
    whole = bench.run({"entities": sets, "max_concurrency": 4})
    assert whole.error is None
    assert meanwhile == [0]


@pytest.mark.parametrize(
    ("action", "wait_s"),
    [
        pytest.param(
            throttled(_SERVER_NOW + timedelta(seconds=30), date=_SERVER_NOW),
            30,
            id="T02 a date ahead, by a server whose clock is months behind",
        ),
        pytest.param(
            throttled(
                _SERVER_NOW + timedelta(days=3650, seconds=90),
                date=_SERVER_NOW + timedelta(days=3650),
            ),
            90,
            id="T02 a date ahead, by a server whose clock is years ahead",
        ),
        pytest.param(
            throttled(_SERVER_NOW - timedelta(seconds=5), date=_SERVER_NOW),
            0,
            id="T02 a date in the past",
        ),
        pytest.param(throttled("soon"), 0, id="T02 no date at all"),
        pytest.param(throttled("-7"), 0, id="T02 a negative number"),
        pytest.param(throttled("3.5"), 0, id="T02 a fraction, which HTTP does not know"),
    ],
)
def test_t02_a_wait_is_read_by_the_servers_own_clock(
    bench: Bench, action: Action, wait_s: float
) -> None:
    bench.survives(FULL, MIDDLE.fault(action, FULL))
    struck, again = bench.after("answer 429")[:2]
    assert again.asked.url == struck.asked.url
    assert again.at - struck.at >= wait_s
    # Without a readable wait the tap's own applies, and it is a short one after one failure.
    assert bench.clock.slept[0] == wait_s if wait_s else 0 < bench.clock.slept[0] <= 1


@ways("T02")
def test_t02_a_wait_of_a_day_is_not_begun_and_not_cut_short(bench: Bench, way: Way) -> None:
    told_at = bench.clock.now()
    run = bench.converges(way, MIDDLE.fault(throttled(86400), way), run_timeout=3600)
    assert isinstance(run.error, TransientError)
    assert run.exit_code == 75
    assert run.error.retry_at is not None
    assert timedelta(seconds=86399) < run.error.retry_at - told_at < timedelta(seconds=86500)
    assert bench.clock.slept == []


def test_t02_nothing_is_asked_after_a_wait_of_a_day(bench: Bench) -> None:
    bench.run_way(FULL, MIDDLE.fault(throttled(86400), FULL))
    assert len(bench.after("answer 429")) == 1


@ways("T03")
def test_t03_a_429_without_a_wait_is_backed_off_from_and_then_given_up(
    bench: Bench, way: Way
) -> None:
    run = bench.converges(way, MIDDLE.fault(throttled(), way, times=10))
    assert isinstance(run.error, TransientError)
    assert "failed 8 times, last with HTTP 429" in str(run.error)
    assert len(bench.clock.slept) == 7
    bounds = [min(60, 2**n) for n in range(7)]
    assert all(0 <= s <= bound for s, bound in zip(bench.clock.slept, bounds, strict=True))


def test_t03_the_waits_are_spread(bench: Bench) -> None:
    """Full jitter: two runs that were refused together do not come back together."""
    bench.run_way(FULL, MIDDLE.fault(throttled(), FULL, times=10))
    first, bench.clock.slept = bench.clock.slept, []
    bench.heal()
    bench.run_way(FULL, MIDDLE.fault(throttled(), FULL, times=10))
    assert len({*first, *bench.clock.slept}) == 14


def test_t03_the_deadline_of_the_run_ends_the_waiting(bench: Bench) -> None:
    run, _ = bench.run_way(
        FULL, Fault(throttled(40), on=pages_of(FULL.entity_set)), run_timeout=100
    )
    assert isinstance(run.error, TransientError)
    assert bench.clock.slept == [40, 40]
    assert "run_timeout leaves no time to wait" in str(run.error)


@pytest.mark.parametrize(
    ("way", "status"),
    [
        pytest.param(way, status, id=f"T04 {way.name}, {status}")
        for way, status in zip(WAYS, (500, 502, 503, 504, 500), strict=True)
    ],
)
def test_t04_a_burst_of_server_errors_is_waited_through(
    bench: Bench, way: Way, status: int
) -> None:
    """At the first request, in the middle, and at the end, in one run."""
    burst = server_error(status)
    pages = pages_of(way.entity_set)
    bench.survives(way, Fault(burst, on=pages, nth=(1, 2, 5, 6, 7, 10)))
    applied = [a.name for a in bench.contoso.d365.faults.applied if a.name != "before"]
    assert len(applied) >= 4
    for earlier, later in pairwise(bench.data()):
        if earlier.asked in [
            a.asked for a in bench.contoso.d365.faults.applied if a.name != "before"
        ]:
            assert later.asked.url == earlier.asked.url


@pytest.mark.parametrize(
    ("way", "spot"),
    [
        pytest.param(way, (FIRST, MIDDLE, LAST)[n % 3], id=f"T04 {way.name}")
        for n, way in enumerate(WAYS)
    ],
)
def test_t04_a_server_error_with_a_wait_is_kept(bench: Bench, way: Way, spot: Spot) -> None:
    bench.survives(way, spot.fault(server_error(503, retry_after=120), way))
    struck, again = bench.after("answer 503")[:2]
    assert again.at - struck.at >= 120


@pytest.mark.parametrize("way", [pytest.param(w, id=f"T04 {w.name}") for w in (CURSOR, HIGH_WATER)])
def test_t04_every_page_may_fail_once(bench: Bench, way: Way) -> None:
    """A page that came at last gives the next one all its attempts."""
    odd = range(1, 200, 2)
    bench.survives(way, Fault(server_error(502), on=pages_of(way.entity_set), nth=odd))


def test_t04_all_partitions_share_the_time_of_the_run(bench: Bench) -> None:
    """Four companies that all fail must not each wait for the whole of run_timeout."""
    down = Fault(server_error(503, retry_after=50), on=pages_of("PurchaseOrderLinesV2"))
    bench.contoso.d365.faults.add(down)
    begun = bench.clock.monotonic()
    run = bench.run(
        {"entities": ["PurchaseOrderLinesV2"], "run_timeout": 120, "max_concurrency": 1}
    )
    assert isinstance(run.error, TransientError)
    assert "3 further partitions failed" in str(run.error)
    assert bench.clock.monotonic() - begun < 125
    assert run.output.of("RECORD") == []


def test_t04_an_answer_that_is_late_is_no_failure(bench: Bench) -> None:
    slow = Fault(before(lambda _: bench.clock.sleep(250)), on=pages_of(FULL.entity_set))
    bench.survives(FULL, slow)


@pytest.mark.parametrize("way", [pytest.param(w, id=f"T04 {w.name}") for w in (FULL, SCAN)])
def test_t04_the_run_ends_at_its_deadline_though_every_page_comes(bench: Bench, way: Way) -> None:
    """Slow pages, none of which fails: the limit is of the run, not of its waits."""
    slow = Fault(before(lambda _: bench.clock.sleep(250)), on=pages_of(way.entity_set))
    begun = bench.clock.monotonic()
    run, _ = bench.run_way(way, slow, run_timeout=700)
    assert isinstance(run.error, TransientError)
    assert "run_timeout (700 s) is over" in str(run.error)
    assert bench.clock.monotonic() - begun < 700 + 250


def test_t01_a_wait_of_all_workers_ends_with_the_run(bench: Bench) -> None:
    """Who finds the others waiting does not wait longer than the run may last."""
    deadline = RunDeadline(60, monotonic=bench.clock.monotonic, now=bench.clock.now)
    throttle = Throttle(
        4, monotonic=bench.clock.monotonic, sleep=bench.clock.sleep, deadline=deadline
    )
    throttle.refused(250)
    with pytest.raises(TransientError, match="no time to wait") as failed, throttle.slot():
        pass
    assert bench.clock.slept == []
    assert failed.value.retry_at is not None
