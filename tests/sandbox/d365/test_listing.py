"""Remembered orders: right whatever is remembered, and actually remembered."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tests.sandbox.d365.small import ACCOUNT_ENTRIES, create_database

from contoso_sandbox.d365.filters.sql import Condition
from contoso_sandbox.d365.listing import Listings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duckdb import DuckDBPyConnection

UP, DOWN = 't."SourceKey"', 't."SourceKey" DESC'


@pytest.fixture
def database() -> Iterator[DuckDBPyConnection]:
    with create_database(account_entries=100) as database:
        yield database


@pytest.mark.parametrize(
    "capacity",
    [
        pytest.param(1, id="room for the latest only"),
        pytest.param(150, id="room for one and a half"),
        pytest.param(1000, id="room for all"),
    ],
)
def test_orders_are_right_however_little_is_kept(
    database: DuckDBPyConnection, capacity: int
) -> None:
    listings = Listings(capacity)
    half = Condition('t."SourceKey" < ?', (5637144576 + 50,))
    for _ in range(3):
        for condition, size in ((Condition(), 100), (half, 50)):
            up = listings.rows(database, ACCOUNT_ENTRIES, condition, UP)
            down = listings.rows(database, ACCOUNT_ENTRIES, condition, DOWN)
            assert list(up) == list(range(size))
            assert list(down) == list(reversed(up))


def test_an_order_is_built_once_until_the_table_changes(database: DuckDBPyConnection) -> None:
    listings = Listings()
    first = listings.rows(database, ACCOUNT_ENTRIES, Condition(), UP)
    assert listings.rows(database, ACCOUNT_ENTRIES, Condition(), UP) is first
    database.execute(
        "UPDATE GeneralJournalAccountEntryBiEntities SET __rec_version = 2 WHERE SourceKey % 7 = 0"
    )
    assert listings.rows(database, ACCOUNT_ENTRIES, Condition(), UP) is not first


def test_an_empty_table_has_an_empty_order(database: DuckDBPyConnection) -> None:
    database.execute("DELETE FROM GeneralJournalAccountEntryBiEntities")
    assert not Listings().rows(database, ACCOUNT_ENTRIES, Condition(), UP)


def test_threads_that_want_the_same_order_share_one(database: DuckDBPyConnection) -> None:
    listings = Listings()

    def rows(_: int) -> int:
        with database.cursor() as cursor:
            return id(listings.rows(cursor, ACCOUNT_ENTRIES, Condition(), UP))

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(rows, range(16)))) == 1
