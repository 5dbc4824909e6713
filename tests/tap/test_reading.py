"""Walks over rows that move while they are read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tap.moving_table import HOME, MovingTable

from pipeline_core.errors import DataError, TransientError
from tap_d365fo.reading.cursor import read_since, start_of_window
from tap_d365fo.reading.full import read_full
from tap_d365fo.reading.pages import overlapping
from tap_d365fo.reading.query import Query, text_literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_d365fo.reading.typed_rows import Row

KEY = ("Key",)
UNTIL = datetime(2026, 11, 1, tzinfo=UTC)
QUERY = Query("Things", order=("Modified", "Key"))
ZERO = datetime(2026, 10, 1, tzinfo=UTC).timestamp()


def at(second: int) -> str:
    return (datetime(2026, 10, 1, tzinfo=UTC) + timedelta(seconds=second)).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )


def since(
    table: MovingTable, start: datetime | None = None
) -> Iterator[tuple[Sequence[Row], datetime]]:
    walk = read_since(table, QUERY, HOME, KEY, cursor="Modified", since=start, until=UNTIL)
    return ((page.rows, reached) for page, reached in walk)


def keys_since(table: MovingTable, start: datetime | None = None) -> list[int]:
    return [row["Key"] for rows, _ in since(table, start) for row in rows]


def test_a_row_that_changes_meanwhile_does_not_hide_another() -> None:
    """By position, the row behind the page edge would slip into the page already read."""
    table = MovingTable(page_size=3)
    for key in range(9):
        table.put(key, at(key))
    table.before_page = lambda n: table.put(0, at(100_000_000), version=2) if n == 1 else None
    assert sorted(keys_since(table)) == list(range(9))


def test_a_row_that_is_deleted_meanwhile_does_not_hide_another() -> None:
    table = MovingTable(page_size=3)
    for key in range(9):
        table.put(key, at(key))
    table.before_page = lambda n: table.remove(1) if n == 1 else None
    assert sorted(keys_since(table)) == list(range(9))


@given(
    st.lists(st.integers(0, 6), min_size=0, max_size=40),
    st.integers(1, 7),
    st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_every_row_comes_exactly_once_whatever_the_times(
    seconds: list[int],
    page_size: int,
    repeat_edge: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    """Equal times at page edges, pages of one single time, and rows repeated at an edge."""
    table = MovingTable(page_size=page_size, repeat_edge=repeat_edge)
    for key, second in enumerate(seconds):
        table.put(key, at(second))
    assert sorted(keys_since(table)) == list(range(len(seconds)))


class Forgetful(MovingTable):
    """Leaves the first row out of its n-th answer."""

    forgets_at = 0

    def page(self, url: str) -> Any:  # noqa: ANN401
        page = super().page(url)
        short = len(self.requests) == self.forgets_at + 1 and "$top" not in url
        return replace(page, rows=page.rows[1:]) if short else page


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=30),
    st.integers(1, 7),
    st.integers(0, 9),
    st.sampled_from([None, 0, 3]),
)
@settings(max_examples=300, deadline=None)
def test_a_row_that_one_answer_leaves_out_comes_all_the_same(
    seconds: list[int], page_size: int, forgets_at: int, start: int | None
) -> None:
    table = Forgetful(page_size=page_size)
    table.forgets_at = forgets_at
    for key, second in enumerate(seconds):
        table.put(key, at(second))
    begin = None if start is None else datetime.fromisoformat(at(start))
    wanted = {key for key, second in enumerate(seconds) if second >= (start or 0)}
    came, reached = set(), None
    for rows, mark in since(table, begin):
        came |= {row["Key"] for row in rows}
        # Whoever begins again at the bookmark gets what has not come.
        reached = mark
        missing = {key for key in wanted - came if seconds[key] < (mark.timestamp() - ZERO)}
        assert not missing
    assert came == wanted
    assert reached is not None or not wanted


def test_the_bookmark_is_the_time_that_was_reached() -> None:
    table = MovingTable(page_size=2)
    for key, second in enumerate([0, 5, 5, 9]):
        table.put(key, at(second))
    marks = [reached for _, reached in since(table)]
    assert [m.strftime("%Y-%m-%dT%H:%M:%SZ") for m in marks] == [at(5), at(5), at(9)]


def test_what_changes_after_the_run_began_waits_for_the_next() -> None:
    table = MovingTable(page_size=2)
    table.put(1, at(0))
    table.put(2, "2026-11-01T00:00:00Z")
    assert keys_since(table) == [1]


def test_an_interrupted_walk_goes_on_at_its_bookmark() -> None:
    table = MovingTable(page_size=2)
    for key in range(7):
        table.put(key, at(key))
    walk = since(table)
    first, mark = next(walk)
    rest = keys_since(table, mark)
    assert {row["Key"] for row in first} | set(rest) == set(range(7))
    assert 0 not in rest


def test_a_nextlink_that_leads_back_is_fatal() -> None:
    table = MovingTable(page_size=1)
    for key in range(3):
        table.put(key, at(0))
    answer = MovingTable.page

    class Looping(MovingTable):
        def page(self, url: str) -> Any:  # noqa: ANN401
            page = answer(self, url)
            if "$skip=1" in url:
                return replace(page, count=None, next_url=url)
            return page

    looping = Looping(page_size=1, rows=table.rows)
    with pytest.raises(DataError, match="already read"):
        keys_since(looping)


@pytest.mark.parametrize(
    ("bookmark", "start_date", "expected"),
    [
        pytest.param(None, None, None, id="first run"),
        pytest.param(None, 100, 100, id="first run with a start date"),
        pytest.param(1000, None, 700, id="bookmark less look-back"),
        pytest.param(1000, 100, 700, id="the start date lies far back"),
        pytest.param(1000, 900, 900, id="never before the start date"),
    ],
)
def test_the_window(bookmark: int | None, start_date: int | None, expected: int | None) -> None:
    def instant(second: int | None) -> datetime | None:
        return None if second is None else datetime.fromtimestamp(second, UTC)

    window = start_of_window(
        instant(bookmark), lookback=timedelta(seconds=300), start_date=instant(start_date)
    )
    assert window == instant(expected)


def test_full_reads_everything_once() -> None:
    table = MovingTable(page_size=3)
    for key in range(10):
        table.put(key, at(key))
    keys = [row["Key"] for page in read_full(table, QUERY, HOME, KEY) for row in page.rows]
    assert keys == list(range(10))


def test_full_notices_that_rows_moved_and_walks_again() -> None:
    table = MovingTable(page_size=3)
    for key in range(9):
        table.put(key, at(key))
    table.before_page = lambda n: table.remove(0) if n == 1 else None
    keys = [row["Key"] for page in read_full(table, QUERY, HOME, KEY) for row in page.rows]
    assert set(keys) == set(range(9))
    assert len(table.requests) > 3


def test_full_notices_a_loss_that_an_insert_hides() -> None:
    """One row gone and one row new: the number of rows is the same, and row 3 slipped by."""
    table = MovingTable(page_size=3)
    for key in range(9):
        table.put(key, at(key))

    def swap(ordinal: int) -> None:
        if ordinal == 1:
            table.remove(0)
            table.put(100, at(100))

    table.before_page = swap
    keys = [row["Key"] for page in read_full(table, QUERY, HOME, KEY) for row in page.rows]
    assert set(range(1, 9)) <= set(keys)


def test_rows_of_one_instant_that_move_are_not_lost() -> None:
    """A bulk import stamps more rows than a page holds with one second; then one changes."""
    table = MovingTable(page_size=3)
    for key in range(9):
        table.put(key, at(0))
    table.before_page = lambda n: table.put(0, at(50), version=2) if n == 1 else None
    assert set(keys_since(table)) == set(range(9))


def test_keyless_rows_are_counted() -> None:
    table = MovingTable(page_size=3)
    for key in range(9):
        table.put(key, at(key))
    table.before_page = lambda n: table.remove(0) if n == 1 else None
    with pytest.raises(TransientError, match="rows move faster"):
        list(read_full(table, QUERY, HOME, ()))


@pytest.mark.parametrize(
    ("link", "current", "expected"),
    [
        pytest.param("/d?$skip=10&$top=10", "/d?x=1", "/d?$skip=8&$top=10", id="from the start"),
        pytest.param("/d?a&$skip=20", "/d?$skip=10", "/d?a&$skip=18", id="in the middle"),
        pytest.param("/d?%24skip=20", "/d?%24skip=10", "/d?%24skip=18", id="encoded"),
        pytest.param("/d?$skip=11", "/d?$skip=10", "/d?$skip=11", id="no way forward otherwise"),
        pytest.param("/d?$skiptoken=20", "/d", "/d?$skiptoken=20", id="opaque"),
    ],
)
def test_pages_overlap_where_the_link_tells_its_position(
    link: str, current: str, expected: str
) -> None:
    assert overlapping(link, 2, current=current) == expected


def test_full_gives_up_on_rows_that_never_rest() -> None:
    table = MovingTable(page_size=3)
    for key in range(30):
        table.put(key, at(key))
    table.before_page = lambda n: table.remove(n) if n % 10 else None
    with pytest.raises(TransientError, match="rows move faster"):
        list(read_full(table, QUERY, HOME, KEY))


def test_full_drops_rows_that_come_twice() -> None:
    table = MovingTable(page_size=3, repeat_edge=True)
    for key in range(9):
        table.put(key, at(key))
    keys = [row["Key"] for page in read_full(table, QUERY, HOME, KEY) for row in page.rows]
    assert keys == list(range(9))


def test_an_address_holds_everything_that_must_not_be_forgotten() -> None:
    query = Query(
        "VendorsV2",
        conditions=("OnHoldStatus eq 'No' or x eq 1", "dataAreaId eq " + text_literal("o'b")),
        order=("dataAreaId", "VendorAccountNumber"),
        select=("dataAreaId", "VendorAccountNumber"),
        count=True,
    )
    assert query.url(HOME) == (
        "https://contoso.example/data/VendorsV2?cross-company=true&$count=true"
        "&$filter=(OnHoldStatus%20eq%20'No'%20or%20x%20eq%201)%20and%20(dataAreaId%20eq%20'o''b')"
        "&$orderby=dataAreaId,VendorAccountNumber&$select=dataAreaId,VendorAccountNumber"
    )


def test_a_selection_too_long_for_an_address_is_left_out() -> None:
    wide = tuple(f"LocalisationColumn{n:04}" for n in range(290))
    assert "$select" not in Query("VendorsV2", select=wide).url(HOME)
