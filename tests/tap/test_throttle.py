"""How many requests are under way: halved when refused, and growing back."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from tests.tap.conftest import Output, settings_for
from tests.tap.scripted import FakeClock

from contoso_sandbox.faults import Fault, Hold, held, pages_of, throttled
from tap_d365fo.access.retry import Backoff
from tap_d365fo.access.throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Callable

    from contoso_sandbox.contoso import Contoso

WATCHDOG_S = 20.0


def throttle(most: int, clock: FakeClock) -> Throttle:
    timing = clock.timing()
    return Throttle(most, monotonic=timing.monotonic, sleep=timing.sleep)


def answers(limit: Throttle, count: int) -> None:
    for _ in range(count):
        with limit.slot():
            pass
        limit.answered()


def test_a_refusal_makes_the_next_request_wait() -> None:
    clock = FakeClock()
    limit = throttle(4, clock)
    limit.refused(30.0)
    with limit.slot():
        assert clock.elapsed_s == 30.0


def test_the_longest_wait_counts() -> None:
    clock = FakeClock()
    limit = throttle(4, clock)
    limit.refused(30.0)
    limit.refused(5.0)
    answers(limit, 1)
    assert clock.elapsed_s == 30.0


def test_refusals_of_one_burst_halve_once_and_those_of_the_next_again() -> None:
    clock = FakeClock()
    limit = throttle(16, clock)
    for _ in range(4):
        limit.refused(10.0)
    assert limit.limit == 8
    answers(limit, 1)
    limit.refused(10.0)
    assert limit.limit == 4


def test_one_request_at_a_time_is_the_least() -> None:
    clock = FakeClock()
    limit = throttle(4, clock)
    for _ in range(5):
        limit.refused(1.0)
        answers(limit, 1)
    assert limit.limit == 1


def test_answers_let_it_grow_back_by_one_and_not_beyond() -> None:
    clock = FakeClock()
    limit = throttle(4, clock)
    limit.refused(1.0)
    assert limit.limit == 2
    answers(limit, 16)
    assert limit.limit == 3
    answers(limit, 24)
    assert limit.limit == 4
    answers(limit, 1000)
    assert limit.limit == 4


def test_a_refusal_after_many_answers_takes_as_many_to_recover() -> None:
    """Answers before the refusal say nothing of how the server feels now."""
    clock = FakeClock()
    limit = throttle(2, clock)
    answers(limit, 1000)
    limit.refused(1.0)
    answers(limit, 7)
    assert limit.limit == 1
    answers(limit, 1)
    assert limit.limit == 2


@pytest.mark.parametrize("most", [1, 3])
def test_no_more_are_under_way_than_allowed_and_none_is_left_behind(most: int) -> None:
    limit = throttle(most, FakeClock())
    lock = threading.Lock()
    under_way = highest = 0

    def ask() -> None:
        nonlocal under_way, highest
        for number in range(40):
            with limit.slot():
                with lock:
                    under_way += 1
                    highest = max(highest, under_way)
                if number % 7 == 0:
                    limit.refused(0.5)
                with lock:
                    under_way -= 1
            limit.answered()

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WATCHDOG_S)
        assert not thread.is_alive()
    assert highest <= most


def test_a_request_that_fails_gives_its_turn_back() -> None:
    limit = throttle(1, FakeClock())
    with pytest.raises(ZeroDivisionError), limit.slot():
        raise ZeroDivisionError
    answers(limit, 1)


def at_once(contoso: Contoso, run_tap: Callable[..., Output], workers: int) -> tuple[int, Output]:
    """Requests that met in the server; each company's first page waits for the others."""
    hold = Hold()
    arrived: set[str] = set()
    companies = len(contoso.world.companies)
    lock = threading.Lock()

    def arrive(query: str) -> bool:
        with lock:
            arrived.add(query)
            if len(arrived) >= min(workers, companies):
                hold.release()
        return True

    contoso.d365.faults.clear()
    contoso.d365.faults.add(
        Fault(
            held(hold),
            on=lambda asked: pages_of("VendTransBiEntities")(asked) and arrive(asked.query),
            times=workers,
        )
    )
    config = settings_for(contoso, entities=["VendTransBiEntities"], max_concurrency=workers)
    output = run_tap(config)
    return contoso.d365.faults.most_at_once, output


def test_companies_are_read_at_the_same_time_but_no_more_than_allowed(
    new_contoso: Callable[..., Contoso], run_tap: Callable[..., Output]
) -> None:
    """The server holds each first page until as many have come as there are workers."""
    contoso = new_contoso()
    assert len(contoso.world.companies) >= 4
    records = []
    for workers in (1, 2, 4):
        most, output = at_once(contoso, run_tap, workers)
        assert most == workers
        records.append(
            sorted(str(sorted(r.items())) for r in output.records("VendTransBiEntities"))
        )
    assert records[0] == records[1] == records[2]


def test_a_throttled_server_is_asked_by_fewer_and_everything_comes(
    new_contoso: Callable[..., Contoso],
    run_tap: Callable[..., Output],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Backoff, "wait_s", lambda *_, **__: 0.0)
    contoso = new_contoso()
    config = settings_for(contoso, entities=["VendTransBiEntities"])
    whole = run_tap(config).records("VendTransBiEntities")
    contoso.d365.faults.add(
        Fault(throttled(retry_after=0), on=pages_of("VendTransBiEntities"), nth={1, 2, 3, 5})
    )
    again = run_tap(config).records("VendTransBiEntities")
    assert again == whole
    assert len(contoso.d365.faults.applied) == 4
