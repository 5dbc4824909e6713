"""Rows that come twice, in another order, not at all, or that move while they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.faults.books import DELETED_AT, Keeper, books
from tests.faults.conftest import PAGE_SIZE, plant_canaries
from tests.faults.ways import CURSOR, FIRST, FULL, HIGH_WATER, LAST, MIDDLE, RESCAN, SCAN

from contoso_sandbox.faults import (
    Fault,
    Page,
    before,
    counted_as,
    dropped_row,
    no_link,
    pages_of,
    repeated_at_the_edge,
    repeated_row,
    reversed_rows,
    server_error,
)
from pipeline_core.errors import DataError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.conftest import Bench
    from tests.faults.ways import Spot, Way

    from contoso_sandbox.contoso import Contoso

SPOTS = pytest.mark.parametrize("spot", [FIRST, MIDDLE, LAST], ids=lambda spot: spot.name)


def ways(fault: str, *chosen: Way) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("way", [pytest.param(w, id=f"{fault} {w.name}") for w in chosen])


@ways("T15", FULL, CURSOR, SCAN, RESCAN)
@SPOTS
def test_t15_a_row_that_comes_twice_is_sent_once(bench: Bench, way: Way, spot: Spot) -> None:
    bench.survives(way, spot.fault(repeated_row(), way))


@ways("T15", FULL, CURSOR, HIGH_WATER, SCAN, RESCAN)
def test_t15_rows_repeated_at_page_edges_are_sent_once(bench: Bench, way: Way) -> None:
    bench.survives(way, Fault(repeated_at_the_edge(), on=pages_of(way.entity_set)))


def test_t15_rows_that_came_twice_are_told(bench: Bench) -> None:
    bench.survives(FULL, Fault(repeated_row(), on=pages_of(FULL.entity_set)))
    assert "the server sent 4 rows more than once; each is emitted once" in bench.caplog.text


@SPOTS
def test_t15_a_number_that_comes_twice_is_no_number_to_read_by(bench: Bench, spot: Spot) -> None:
    run = bench.converges(HIGH_WATER, spot.fault(repeated_row(), HIGH_WATER))
    assert isinstance(run.error, DataError)
    assert "does not grow" in str(run.error)


@ways("T15", FULL, SCAN, RESCAN)
@SPOTS
def test_t15_a_page_in_another_order_loses_nothing(bench: Bench, way: Way, spot: Spot) -> None:
    """Where the place is lost the walk is repeated, and rows come again."""
    run, keeper = bench.run_way(way, spot.fault(reversed_rows(), way))
    assert run.error is None
    bench.check_books(way, keeper)


@ways("T15", CURSOR, HIGH_WATER)
@SPOTS
def test_t15_an_order_that_is_not_the_cursors_is_fatal(bench: Bench, way: Way, spot: Spot) -> None:
    run = bench.converges(way, spot.fault(reversed_rows(), way))
    assert isinstance(run.error, DataError)


# -- T16 -----------------------------------------------------------------------------------------


def own_box(new_contoso: Callable[..., Contoso]) -> Contoso:
    contoso = new_contoso(page_size=PAGE_SIZE)
    plant_canaries(contoso)
    return contoso


class Mover:
    """Changes rows of a set each time a page of it is asked for."""

    def __init__(self, contoso: Contoso, way: Way, *statements: str) -> None:
        self._contoso = contoso
        self._way = way
        self._statements = list(statements)

    def fault(self) -> Fault:
        """Strikes every page but the first."""
        pages = range(2, 2 + len(self._statements))
        return Fault(before(self._move), on=pages_of(self._way.entity_set), nth=pages)

    def _move(self, _asked: object) -> None:
        with self._contoso.world.cursor() as cursor:
            cursor.execute(self._statements.pop(0))


def order(way: Way) -> str:
    """The order in which a way walks."""
    if way is CURSOR:
        return '"SysModifiedDateTime", "SourceKey"'
    return '"SourceKey"' if way is HIGH_WATER else '"PurchaseOrderNumber", "LineNumber"'


def delete(way: Way, offset: int, rows: int = 1) -> str:
    """Delete rows by their place in the walk."""
    return (
        f'DELETE FROM "{way.entity_set}" WHERE __rec_id IN (SELECT __rec_id FROM '  # noqa: S608 - names of the sandbox
        f'"{way.entity_set}" WHERE {way.own_rows} ORDER BY {order(way)} '
        f"LIMIT {rows} OFFSET {offset})"
    )


def update(way: Way, offset: int, *, stamp: str | None = "TIMESTAMP '2026-07-15 08:00:00'") -> str:
    """Change a row by its place in the walk; under ``cursor`` it moves to the end."""
    moved = f', "SysModifiedDateTime" = {stamp}' if way is CURSOR else ""
    return (
        f'UPDATE "{way.entity_set}" SET __rec_version = __rec_version + 3, '  # noqa: S608 - names of the sandbox
        f'"{way.amount}" = "{way.amount}" + 0.07{moved} WHERE __rec_id IN (SELECT __rec_id FROM '
        f'"{way.entity_set}" WHERE {way.own_rows} ORDER BY {order(way)} LIMIT 1 OFFSET {offset})'
    )


def insert(way: Way, offset: int, shift: int) -> str:
    """Insert a row like the one at a place, under a key that lies ``shift`` away."""
    key = "LineNumber" if way.entity_set == FULL.entity_set else "SourceKey"
    stamp = ", TIMESTAMP '2026-07-14 08:00:00' AS \"SysModifiedDateTime\"" if way is CURSOR else ""
    return (
        f'INSERT INTO "{way.entity_set}" SELECT * REPLACE (__rec_id + 9000000000 AS __rec_id, '  # noqa: S608 - names of the sandbox
        f'"{key}" + {shift} AS "{key}"{stamp}) FROM "{way.entity_set}" '
        f"WHERE {way.own_rows} ORDER BY {order(way)} LIMIT 1 OFFSET {offset}"
    )


MOVES: dict[str, Callable[[Way], list[str]]] = {
    "T16 deleted before the page edge": lambda w: [delete(w, 3)],
    "T16 deleted at the page edge": lambda w: [delete(w, PAGE_SIZE - 1)],
    "T16 twelve deleted before the page edge": lambda w: [delete(w, 0, 12)],
    "T16 deleted ahead": lambda w: [delete(w, 55)],
    "T16 inserted before the page edge": lambda w: [
        insert(w, 10, 500 if w is not HIGH_WATER else -1)
    ],
    "T16 inserted ahead": lambda w: [insert(w, 60, 500 if w is not HIGH_WATER else 10**9)],
    "T16 changed behind": lambda w: [update(w, 5)],
    "T16 changed ahead": lambda w: [update(w, 60)],
    "T16 one gone and one new": lambda w: [
        delete(w, 3) + ";" + insert(w, 62, 500 if w is not HIGH_WATER else 10**9)
    ],
    "T16 at every page": lambda w: [delete(w, 2), update(w, 30), delete(w, 58)],
}


@ways("T16", FULL, CURSOR, HIGH_WATER, SCAN, RESCAN)
def test_t16_rows_that_were_there_throughout_are_all_there(
    new_contoso: Callable[..., Contoso], new_bench: Callable[[Contoso], Bench], way: Way
) -> None:
    """One box for all moves of a way: each begins with the rows that the one before left."""
    bench = new_bench(own_box(new_contoso))
    for name, moves in MOVES.items():
        check_move(bench, way, name, moves(way))


def check_move(bench: Bench, way: Way, name: str, statements: list[str]) -> None:
    bench.heal()
    config = {**way.settings(bench.tmp_path / name), "max_concurrency": 1}
    keeper, state = Keeper(bench.contoso), None
    if way.later:
        first = bench.run(config)
        keeper.take(first.output.messages)
        state = first.state
        way.touch(bench.contoso, 8)
    held_before = keeper.rows(way.entity_set)
    then = books(bench.contoso, way.entity_set)
    bench.contoso.d365.faults.add(Mover(bench.contoso, way, *statements).fault())
    run = bench.run(config, state)
    assert run.error is None, (name, run.error)
    now = books(bench.contoso, way.entity_set)
    assert then != now, name  # otherwise nothing has moved
    keeper.take(run.output.messages)
    held = keeper.rows(way.entity_set)
    assert (then.keys() & now.keys()) <= held.keys(), name
    assert held.keys() <= (then.keys() | now.keys()), name
    for key, record in held.items():
        # A row that changed before the run and went during it stays as it was, until the next.
        assert record in (then.get(key), now.get(key), held_before.get(key)), name
    # What this run could not know of, the next one brings.
    bench.heal()
    again = bench.run(config, run.state)
    assert again.error is None, (name, again.error)
    keeper.take(again.output.messages)
    held = keeper.rows(way.entity_set)
    unseen = held.keys() - now.keys()
    if way in {FULL, SCAN, RESCAN}:
        assert unseen == set(), name
    assert {key: held[key] for key in now} == now or way is HIGH_WATER, name
    assert now.keys() <= held.keys(), name


def test_t16_rows_that_never_rest_end_the_run(
    new_contoso: Callable[..., Contoso], new_bench: Callable[[Contoso], Bench]
) -> None:
    """Each page loses more rows before it than the overlap of two pages can bridge."""
    bench = new_bench(own_box(new_contoso))
    way = FULL
    statements = [delete(way, 0, 4) for _ in range(12)]
    bench.contoso.d365.faults.add(Mover(bench.contoso, way, *statements).fault())
    run = bench.run({**way.settings(bench.tmp_path), "max_concurrency": 1})
    assert isinstance(run.error, TransientError)
    assert "rows move faster than they can be read" in str(run.error)
    assert run.output.of("ACTIVATE_VERSION") == []


# -- T17 -----------------------------------------------------------------------------------------


@ways("T17", FULL, CURSOR, SCAN, RESCAN)
@SPOTS
def test_t17_a_row_that_is_missing_is_noticed(bench: Bench, way: Way, spot: Spot) -> None:
    """Every page is whole JSON, and one row short."""
    run, keeper = bench.run_way(way, spot.fault(dropped_row(1), way, times=1))
    assert run.error is None
    bench.check_books(way, keeper)


@ways("T17", FULL, CURSOR, SCAN)
def test_t17_a_row_that_stays_missing_is_never_complete(bench: Bench, way: Way) -> None:
    run = bench.converges(way, Fault(dropped_row(7), on=pages_of(way.entity_set), page=Page.FIRST))
    assert isinstance(run.error, TransientError)
    assert run.output.of("ACTIVATE_VERSION") == []


@ways("T17", FULL, SCAN)
def test_t17_a_row_that_was_missing_before_an_interruption_is_not_lost(
    bench: Bench, way: Way
) -> None:
    """The read that goes on behind it would never see it."""
    short = FIRST.fault(dropped_row(7), way)
    bench.converges(way, short, MIDDLE.fault(server_error(503), way, times=99))
    assert "the interrupted read lacks 1 rows" in bench.caplog.text


@ways("T17", FULL, CURSOR, SCAN, RESCAN)
def test_t17_a_count_that_is_never_reached_is_never_complete(bench: Bench, way: Way) -> None:
    more = counted_as(lambda count: count + 1)
    run = bench.converges(way, Fault(more, on=way.entity_set))
    assert isinstance(run.error, TransientError)
    assert run.exit_code == 75
    assert run.output.of("ACTIVATE_VERSION") == []


@ways("T17", FULL, CURSOR, SCAN, RESCAN)
def test_t17_a_walk_that_ends_too_early_is_noticed(bench: Bench, way: Way) -> None:
    run, keeper = bench.run_way(way, MIDDLE.fault(no_link(), way))
    assert run.error is None
    bench.check_books(way, keeper)


def test_t17_a_ledger_that_was_short_once_is_read_again(bench: Bench) -> None:
    """A page without a row looks like one that is whole; the count of the next run tells."""
    first, keeper = bench.run_way(HIGH_WATER, MIDDLE.fault(dropped_row(3), HIGH_WATER))
    assert first.error is None
    bench.heal()
    config = HIGH_WATER.settings(bench.tmp_path)
    second = bench.run(config, first.state)
    keeper.take(second.output.messages)
    bench.check_books(HIGH_WATER, keeper)
    assert "the number of rows up to SourceKey" in bench.caplog.text


def test_t17_deletions_that_a_short_scan_claims_are_asked_about(bench: Bench) -> None:
    """The list lacks rows and says so of itself: they are asked for by key before they go."""
    short = Fault(dropped_row(5), on=pages_of(RESCAN.entity_set), nth=range(1, 5))
    wrong = Fault(counted_as(lambda count: count - 4), on=pages_of(RESCAN.entity_set))
    run, keeper = bench.run_way(RESCAN, short, wrong)
    assert run.error is None
    # What changed of the rows that the list lacked is found by the next run.
    bench.heal()
    keeper.take(bench.run(RESCAN.settings(bench.tmp_path), run.state).output.messages)
    bench.check_books(RESCAN, keeper)
    deleted: list[Any] = [r for r in run.output.records(RESCAN.entity_set) if r.get(DELETED_AT)]
    assert deleted == []
