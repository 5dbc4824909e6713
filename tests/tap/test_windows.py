"""``window_days``: the same rows, in requests that each span so many days at most."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tap.conftest import Output, settings_for
from tests.tap.moving_table import HOME, MovingTable

from tap_d365fo.reading.cursor import read_since
from tap_d365fo.reading.query import Query

if TYPE_CHECKING:
    from collections.abc import Callable

    from contoso_sandbox.contoso import Contoso

TRANSACTIONS = "VendTransBiEntities"
QUERY = Query("Things", order=("Modified", "Key"))
START = datetime(2026, 1, 1, tzinfo=UTC)
UNTIL = datetime(2026, 11, 1, tzinfo=UTC)

_FROM = re.compile(r"Modified%20ge%20(\S+?Z)")
_TO = re.compile(r"Modified%20lt%20(\S+?Z)")


def day(number: float) -> str:
    return (START + timedelta(days=number)).strftime("%Y-%m-%dT%H:%M:%SZ")


def read(table: MovingTable, since: datetime | None = None, days: int = 7) -> list[Any]:
    walk = read_since(
        table,
        QUERY,
        HOME,
        ("Key",),
        cursor="Modified",
        since=since,
        until=UNTIL,
        window=timedelta(days=days),
    )
    return [row["Key"] for page, _ in walk for row in page.rows]


@given(
    st.lists(st.integers(-200, 290), max_size=25),
    st.integers(1, 40),
    st.integers(1, 4),
    st.none() | st.integers(-300, 280),
)
@settings(max_examples=150, deadline=None)
def test_windows_bring_the_same_rows(
    days: list[int], window: int, page_size: int, since: int | None
) -> None:
    table = MovingTable(page_size=page_size)
    for key, number in enumerate(days):
        table.put(key, day(number))
    start = None if since is None else START + timedelta(days=since)
    keys = read(table, start, window)
    assert sorted(keys) == [k for k, n in enumerate(days) if since is None or n >= since]
    for url in table.requests:
        begins, ends = _FROM.findall(url), _TO.findall(url)
        if begins and ends:
            span = datetime.fromisoformat(ends[0]) - datetime.fromisoformat(begins[0])
            assert span <= timedelta(days=window)


def test_empty_windows_cost_one_request_together() -> None:
    """A row that was never stamped carries the sentinel of 1900."""
    table = MovingTable(page_size=10)
    table.put(1, "1900-01-01T00:00:00Z")
    table.put(2, day(0))
    assert read(table) == [1, 2]
    assert len(table.requests) <= 7


def test_a_start_date_long_ago_costs_no_more() -> None:
    table = MovingTable(page_size=10)
    table.put(1, day(0))
    assert read(table, datetime(1990, 1, 1, tzinfo=UTC), days=1) == [1]
    assert len(table.requests) <= 5


def test_nothing_to_read_is_found_out_at_once() -> None:
    table = MovingTable(page_size=10)
    assert read(table) == []
    assert read(table, START) == []
    assert len(table.requests) == 3


def test_a_window_longer_than_time_itself_is_one_span() -> None:
    table = MovingTable(page_size=10)
    table.put(1, day(0))
    assert read(table, days=900_000) == [1]


def test_rows_of_one_second_are_told_apart_by_their_key() -> None:
    """The address holds whole seconds; finer times must not lead back to a page already read."""

    class Exact(MovingTable):
        def _matching(self, condition: str) -> list[dict[str, Any]]:
            for row in self.rows:  # compared as text: whole seconds need their fraction, too
                row["Modified"] = row["Modified"].replace("00Z", "00.0Z")
            return super()._matching(condition.replace("00Z", "00.0Z"))

    table = Exact(page_size=2)
    for key in range(9):
        table.put(key, f"2026-01-01T00:00:00.{key}Z")
    assert sorted(read(table)) == list(range(9))


def test_contoso_reads_the_same_in_windows(
    contoso: Contoso, run_tap: Callable[..., Output]
) -> None:
    plain = settings_for(contoso, entities=[TRANSACTIONS])
    windowed = {**plain, "entity_settings": {TRANSACTIONS: {"window_days": 30}}}

    def content(config: dict[str, Any]) -> set[tuple[Any, ...]]:
        records = run_tap(config).records(TRANSACTIONS)
        keys = [(r["dataAreaId"], r["SourceKey"]) for r in records]
        assert len(set(keys)) == len(keys)
        return set(keys)

    assert content(windowed) == content(plain)
    since = {"start_date": "2026-09-01T00:00:00Z"}
    narrowed = content({**windowed, **since})
    assert narrowed == content({**plain, **since})
    assert narrowed < content(plain)
