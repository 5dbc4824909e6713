"""The posted ledger by its RecIds: growing numbers that do not commit in order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tap.conftest import Output, settings_for
from tests.tap.moving_table import HOME, MovingTable
from tests.tap.test_scope import config

from pipeline_core.errors import DataError
from pipeline_core.ledger import NoLedger
from tap_d365fo.metadata.model import Entity, Property
from tap_d365fo.partition import Partition, Source
from tap_d365fo.reading.high_water import HighWater, Settled, read_above
from tap_d365fo.reading.plan import ReadPlan, Strategy
from tap_d365fo.reading.query import Query
from tap_d365fo.settings import EntitySettings, Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from contoso_sandbox.contoso import Contoso

ENTITY = Entity("Things", (Property("Key", "Edm.Int64", "Int64", is_key=True),))
LEDGER = "GeneralJournalEntryBiEntities"


def partition(table: MovingTable, *, lookback: int = 10) -> Partition:
    settings = Settings.from_config(config(environment_url=HOME))
    return Partition(
        source=Source(settings, table, NoLedger(), (), datetime(2026, 11, 1, tzinfo=UTC)),
        entity=ENTITY,
        plan=ReadPlan(Strategy.HIGH_WATER, "Key", "test"),
        settings=EntitySettings(lookback=lookback),
        company=None,
        select=(),
    )


def read(table: MovingTable, state: dict[str, Any]) -> tuple[list[int], dict[str, Any]]:
    """Keys that one run reads, and the state that it leaves."""
    part = partition(table)
    keys: list[int] = []
    state = {} if part.must_start_over(state) else dict(state)
    for portion in part.portions(state):
        keys += [row["Key"] for row in portion.rows]
        state.update(portion.state)
    return keys, state


def table_of(*keys: int, page_size: int = 3) -> MovingTable:
    table = MovingTable(page_size=page_size)
    for key in keys:
        table.put(key, "2026-10-01T00:00:00Z")
    return table


def test_a_run_reads_what_was_added_and_the_look_back() -> None:
    table = table_of(*range(100, 200, 2))
    first, state = read(table, {})
    assert first == list(range(100, 200, 2))
    for key in (201, 203):
        table.put(key, "2026-10-01T00:00:00Z")
    second, _ = read(table, state)
    assert second == [190, 192, 194, 196, 198, 201, 203]


def test_a_late_commit_with_a_lower_number_is_not_lost() -> None:
    table = table_of(*range(100, 200, 2))
    _, state = read(table, {})
    table.put(195, "2026-10-01T00:00:00Z")
    second, _ = read(table, state)
    assert 195 in second


def test_a_commit_later_than_the_look_back_reaches_is_not_lost() -> None:
    table = table_of(*range(100, 200, 2))
    _, state = read(table, {})
    table.put(131, "2026-10-01T00:00:00Z")
    second, state = read(table, state)
    assert second == sorted([*range(100, 200, 2), 131])
    third, _ = read(table, state)
    assert 131 not in third


def test_rows_that_were_archived_are_noticed() -> None:
    table = table_of(*range(100, 200, 2))
    _, state = read(table, {})
    table.remove(110)
    assert partition(table).must_start_over(state)


def test_a_row_that_is_gone_within_the_look_back_is_noticed() -> None:
    table = table_of(*range(100, 200, 2))
    _, state = read(table, {})
    table.remove(196)
    assert partition(table, lookback=50).must_start_over(state)


def test_a_late_commit_is_noticed_although_an_old_row_was_archived_meanwhile() -> None:
    """The number of rows up to the newest mark is as it was; up to an older one it is not."""
    table = table_of(*range(100, 200, 2))
    _, state = read(table, {})
    for key in range(200, 260, 2):
        table.put(key, "2026-10-01T00:00:00Z")
    _, state = read(table, state)
    table.remove(100)
    table.put(231, "2026-10-01T00:00:00Z")
    second, state = read(table, state)
    assert 231 in second
    assert 100 not in second
    assert not partition(table).must_start_over(state)


def test_the_older_mark_follows_at_a_distance() -> None:
    mark = HighWater(Settled(), lookback=10)
    mark.take([1, 20])
    assert mark.before == Settled()
    mark.take([40])
    assert mark.before == Settled(10, 1)
    mark.take([900])
    assert mark.before == Settled(10, 1)
    mark.take([1200])
    assert mark.before == Settled(10, 1)
    mark.take([2500])
    assert mark.before == Settled(1190, 4)


def test_a_late_commit_within_the_look_back_is_no_reason_to_start_over() -> None:
    table = table_of(*range(100, 200, 2))
    _, state = read(table, {})
    table.put(195, "2026-10-01T00:00:00Z")
    assert not partition(table).must_start_over(state)


def test_a_row_that_is_committed_during_the_run_is_found_by_the_next() -> None:
    """Counting on the server afterwards would count it as read."""
    table = table_of(*range(100, 200, 2), page_size=5)
    table.before_page = lambda n: table.put(101, "2026-10-01T00:00:00Z") if n == 5 else None
    first, state = read(table, {})
    assert 101 not in first
    second, _ = read(table, state)
    assert 101 in second


@given(
    st.lists(st.lists(st.integers(1, 400), unique=True, max_size=30), max_size=6),
    st.integers(1, 7),
)
def test_every_row_comes_whatever_the_order_of_commits(
    commits: list[list[int]], page_size: int
) -> None:
    table = MovingTable(page_size=page_size)
    seen: set[int] = set()
    state: dict[str, Any] = {}
    for commit in commits:
        for key in commit:
            table.put(key, "2026-10-01T00:00:00Z")
        keys, state = read(table, state)
        seen |= set(keys)
        assert seen == {row["Key"] for row in table.rows}


def test_what_settles_lies_below_the_look_back() -> None:
    mark = HighWater(Settled(), lookback=10)
    assert mark.take([]) == Settled()
    assert mark.take([5, 9]) == Settled()
    assert mark.take([15, 18]) == Settled(8, 1)
    assert mark.take([40]) == Settled(30, 4)


def test_numbers_that_do_not_grow_are_no_high_water() -> None:
    class Stuck(MovingTable):
        def page(self, url: str) -> Any:  # noqa: ANN401
            page = super().page(url)
            return replace(page, rows=[*page.rows, page.rows[0]], next_url=None)

    stuck = Stuck(page_size=3, rows=table_of(1, 2).rows)
    with pytest.raises(DataError, match="does not grow"):
        list(read_above(stuck, Query("Things", order=("Key",)), HOME, number="Key", above=None))


def test_the_ledger_of_contoso_is_read_by_its_rec_ids(
    new_contoso: Callable[..., Contoso], run_tap: Callable[..., Output]
) -> None:
    contoso = new_contoso()
    # Contoso's RecIds come in blocks, a later one at most 781 numbers before those given already.
    settings = {LEDGER: {"lookback": 1000}}
    given = settings_for(contoso, entities=[LEDGER], entity_settings=settings)
    first = run_tap(given)
    contoso.world.advance(2)
    second = run_tap(given, state=first.states[-1])
    everything = {r["SourceKey"] for r in run_tap(given).records(LEDGER)}
    rows = {r["SourceKey"] for r in (*first.records(LEDGER), *second.records(LEDGER))}
    assert rows == everything
    assert 0 < len(second.records(LEDGER)) < len(everything) / 2
    assert second.of("ACTIVATE_VERSION") == []


def test_an_archived_ledger_is_read_again_with_a_version(
    new_contoso: Callable[..., Contoso], run_tap: Callable[..., Output]
) -> None:
    contoso = new_contoso()
    settings = {LEDGER: {"lookback": 1000}}  # RecIds come in blocks of 750
    given = settings_for(contoso, entities=[LEDGER], entity_settings=settings)
    first = run_tap(given)
    contoso.world.cursor().execute(
        f'DELETE FROM "{LEDGER}" WHERE "SourceKey" IN '  # noqa: S608
        f'(SELECT "SourceKey" FROM "{LEDGER}" ORDER BY 1 LIMIT 5)'
    )
    second = run_tap(given, state=first.states[-1])
    assert len(second.records(LEDGER)) == len(first.records(LEDGER)) - 5
    assert len(second.of("ACTIVATE_VERSION", LEDGER)) == 1
