"""Connections that break, compression that lies, answers that never end."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest
from tests.faults.ways import CURSOR, FIRST, FULL, LAST, MIDDLE, RESCAN, WAYS

from contoso_sandbox.faults import (
    Fault,
    Hold,
    chunked,
    chunks_broken_off,
    closed_before_headers,
    dripping,
    dripping_headers,
    gzip_bad_crc,
    gzip_bomb,
    gzip_corrupt,
    gzip_cut_short,
    gzip_only_claimed,
    held,
    pages_of,
    reset_before_headers,
    reset_in_the_body,
    shorter_than_promised,
    stalled_after_headers,
)
from pipeline_core.errors import DataError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.conftest import Bench
    from tests.faults.ways import Spot, Way

    from contoso_sandbox.faults import Action

BREAKS: dict[str, Callable[[], Action]] = {
    "T07 reset before headers": reset_before_headers,
    "T07 closed before headers": closed_before_headers,
    "T07 reset in the body": lambda: reset_in_the_body(3000),
    "T07 closed in the body": lambda: shorter_than_promised(1),
    "T07 chunks broken off": lambda: chunks_broken_off(10),
    "T07 chunks reset": lambda: chunks_broken_off(2000, by_reset=True),
}

LIES: dict[str, Callable[[], Action]] = {
    "T08 gzip cut short": gzip_cut_short,
    "T08 gzip without its trailer": lambda: gzip_cut_short(8),
    "T08 gzip with a bad CRC": gzip_bad_crc,
    "T08 corrupt gzip": gzip_corrupt,
    "T08 gzip only claimed": gzip_only_claimed,
}

SPOTS = (FIRST, MIDDLE, LAST)


def each_kind_at_each_spot(kinds: dict[str, Callable[[], Action]]) -> pytest.MarkDecorator:
    """Every kind at the first, a middle and the last page, the strategies taking turns."""
    cases = []
    for turn, (name, kind) in enumerate(kinds.items()):
        for place, spot in enumerate(SPOTS):
            way = WAYS[(turn + place) % len(WAYS)]
            cases.append(pytest.param(way, spot, kind, id=f"{name}, {way.name}, {spot.name}"))
    return pytest.mark.parametrize(("way", "spot", "kind"), cases)


@each_kind_at_each_spot(BREAKS)
def test_a_page_whose_connection_broke_is_fetched_again(
    bench: Bench, way: Way, spot: Spot, kind: Callable[[], Action]
) -> None:
    check_fetched_again(bench, way, spot, kind())


@pytest.mark.parametrize(
    ("way", "spot", "kind"),
    [
        pytest.param(WAYS[n], SPOTS[n % 3], kind, id=f"{name}, {WAYS[n].name}")
        for n, (name, kind) in enumerate(LIES.items())
    ],
)
def test_a_page_that_does_not_unpack_is_fetched_again(
    bench: Bench, way: Way, spot: Spot, kind: Callable[[], Action]
) -> None:
    check_fetched_again(bench, way, spot, kind())


def check_fetched_again(bench: Bench, way: Way, spot: Spot, action: Action) -> None:
    bench.survives(way, spot.fault(action, way))
    struck, again = bench.after(action.name)[:2]
    assert again.asked.url == struck.asked.url


@pytest.mark.parametrize("kind", [pytest.param(k, id=name) for name, k in BREAKS.items()])
def test_a_connection_that_always_breaks_is_a_failure_that_may_pass(
    bench: Bench, kind: Callable[[], Action]
) -> None:
    run = bench.converges(CURSOR, MIDDLE.fault(kind(), CURSOR, times=99))
    assert isinstance(run.error, TransientError)
    assert run.exit_code == 75
    assert len(bench.clock.slept) == 7


@pytest.mark.parametrize("kind", [pytest.param(k, id=name) for name, k in LIES.items()])
def test_a_body_that_never_unpacks_is_no_page_without_rows(
    bench: Bench, kind: Callable[[], Action]
) -> None:
    run = bench.converges(RESCAN, FIRST.fault(kind(), RESCAN, times=99))
    assert isinstance(run.error, TransientError | DataError)
    assert run.output.of("RECORD") == []


@pytest.mark.parametrize(
    ("way", "spot"),
    [
        pytest.param(way, SPOTS[n % 3], id=f"T07 {way.name}, {SPOTS[n % 3].name}")
        for n, way in enumerate(WAYS)
    ],
)
def test_t07_three_breaks_in_a_row_cost_nothing_but_time(
    bench: Bench, way: Way, spot: Spot
) -> None:
    bench.survives(way, spot.fault(reset_in_the_body(), way, times=3))


def test_t07_an_answer_without_a_length_is_read(bench: Bench) -> None:
    bench.survives(FULL, Fault(chunked(), on=pages_of(FULL.entity_set)))
    assert bench.clock.slept == []


def test_t07_the_list_of_companies_breaks(bench: Bench) -> None:
    breaks = Fault(reset_in_the_body(20), on="LegalEntities", times=2)
    bench.survives(FULL, breaks, Fault(closed_before_headers(), on="/metadata/.*", times=2))


@pytest.mark.parametrize("spot", [pytest.param(s, id=f"T09 {s.name}") for s in SPOTS])
def test_t09_a_bomb_is_left_unpacked(bench: Bench, spot: Spot) -> None:
    """200 kB on the wire, an empty page of 200 MB in memory: it is refused, and cheaply."""
    tracemalloc.start()
    try:
        run, keeper = bench.run_way(FULL, spot.fault(gzip_bomb(200), FULL, times=99))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(run.error, DataError), repr(run.error)
    assert run.exit_code == 65
    assert peak_bytes < 100e6
    bench.check_nothing_wrong(FULL, keeper)
    assert len(bench.after("gzip bomb")) == 1


def test_t11_an_answer_that_drips_ends_at_the_request_timeout(bench: Bench) -> None:
    """Two seconds a byte: no receive is ever late, and the page would take an hour."""
    drip = MIDDLE.fault(dripping(every_s=2), FULL)
    bench.survives(FULL, drip, request_timeout=300)
    assert "no whole answer within request_timeout (300 s)" in bench.caplog.text


def test_t11_an_answer_that_always_drips_is_given_up(bench: Bench) -> None:
    run = bench.converges(FULL, MIDDLE.fault(dripping(every_s=2), FULL, times=99))
    assert isinstance(run.error, TransientError)
    assert "no whole answer" in str(run.error)


def test_t11_headers_that_drip_end_at_the_request_timeout(bench: Bench) -> None:
    """Nothing of the body has come yet, where the other deadline is looked at."""
    drip = MIDDLE.fault(dripping_headers(every_s=2), FULL)
    bench.survives(FULL, drip, request_timeout=60)
    assert "no whole answer within request_timeout (60 s)" in bench.caplog.text


@pytest.mark.parametrize(
    "sent_bytes", [pytest.param(0, id="T11 nothing"), pytest.param(900, id="T11 a beginning")]
)
def test_t11_silence_after_the_headers_ends(bench: Bench, sent_bytes: int) -> None:
    hold = Hold()
    stall = MIDDLE.fault(stalled_after_headers(hold, sent_bytes=sent_bytes), CURSOR)
    bench.survives(CURSOR, stall, request_timeout=1)
    hold.release()
    assert "silence on the line" in bench.caplog.text


def test_t11_silence_before_the_headers_ends(bench: Bench) -> None:
    hold = Hold()
    bench.survives(CURSOR, MIDDLE.fault(held(hold), CURSOR), request_timeout=1)
    hold.release()
    assert "silence on the line" in bench.caplog.text
