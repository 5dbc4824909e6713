"""Paging by key: the same rows as by position, or a walk by position after all."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tap.conftest import Output, settings_for
from tests.tap.odata_table import HOME, ODataTable

from pipeline_core.errors import TransientError
from tap_d365fo.metadata.model import Entity, Property
from tap_d365fo.reading.full import read_full
from tap_d365fo.reading.keys import KeyForm, behind
from tap_d365fo.reading.query import LONGEST_QUERY, Query

if TYPE_CHECKING:
    from collections.abc import Callable

    from contoso_sandbox.contoso import Contoso

THREE_PARTS = Entity(
    "Lines",
    (
        Property("Journal", "Edm.String", "String", is_key=True),
        Property("Line", "Edm.Decimal", "Real", is_key=True),
        Property("Name", "Edm.String", "String", is_key=True),
    ),
)

TEXTS = ["", "a", "B", "b*", "*", "c", "D", "o'b", " x", "ü", "&+#"]
LINES: list[Any] = [1, 2, Decimal("2.5"), 10]


def table_of(*rows: tuple[str, Any, str], page_size: int = 2, **traits: bool) -> ODataTable:
    table = ODataTable(THREE_PARTS.key, page_size, **traits)  # type: ignore[arg-type]
    for journal, line, name in rows:
        table.insert({"Journal": journal, "Line": line, "Name": name})
    return table


def read(table: ODataTable, *, keyset: bool = True) -> list[tuple[Any, ...]]:
    query = Query("Lines", order=THREE_PARTS.key)
    form = KeyForm(THREE_PARTS) if keyset else None
    pages = read_full(table, query, HOME, THREE_PARTS.key, by_key=form)
    return [table.exact_key(row) for page in pages for row in page.rows]


ROW = st.tuples(st.sampled_from(TEXTS), st.sampled_from(LINES), st.sampled_from(TEXTS))
ROWS = st.lists(ROW, max_size=20)


@given(ROWS, st.integers(1, 4))
@settings(max_examples=150, deadline=None)
def test_by_key_comes_what_comes_by_position(
    rows: list[tuple[str, Any, str]], page_size: int
) -> None:
    table = table_of(*rows, page_size=page_size)
    keys = read(table)
    assert keys == read(table, keyset=False)
    assert sorted(map(str, keys)) == sorted(map(str, table.by_key()))


@given(ROWS, st.integers(1, 4))
@settings(max_examples=150, deadline=None)
def test_a_server_whose_gt_is_not_its_order_is_walked_by_position(
    rows: list[tuple[str, Any, str]], page_size: int
) -> None:
    """It compares by code point and sorts without case."""
    table = table_of(*rows, page_size=page_size, gt_by_code=True)
    assert set(read(table)) == set(table.by_key())


@given(st.data(), ROWS, st.integers(2, 4))
@settings(max_examples=150, deadline=None)
def test_rows_that_stay_come_while_others_move(
    data: st.DataObject, rows: list[tuple[str, Any, str]], page_size: int
) -> None:
    table = table_of(*rows, page_size=page_size)
    stayed = set(table.by_key())
    left = [8]

    def move(_ordinal: int) -> None:
        if left[0] and data.draw(st.booleans()):
            left[0] -= 1
            if bool(table.rows) and data.draw(st.booleans()):
                del table.rows[data.draw(st.integers(0, len(table.rows) - 1))]
            else:
                journal, line, name = data.draw(ROW)
                table.insert({"Journal": journal, "Line": line, "Name": name})
            stayed.intersection_update(table.by_key())

    table.before_page = move
    try:
        keys = read(table)
    except TransientError:  # rows that move faster than they can be read: said, not guessed
        return
    assert stayed <= set(keys)


def remove_at(table: ODataTable, ordinal: int, index: int) -> None:
    """Let a row go before the request with this ordinal is answered."""

    def remove(asked: int) -> None:
        if asked == ordinal:
            del table.rows[index]

    table.before_page = remove


def test_rows_deleted_ahead_of_the_walk_are_no_loss() -> None:
    """Every page joined on, and the server has no more rows by the end: one walk is enough."""
    for keyset in (False, True):
        table = table_of(*[("a", n, "x") for n in range(60)], page_size=20)
        remove_at(table, 1, -1)
        assert len(read(table, keyset=keyset)) == 59
        pages = 3 if keyset else 4  # by position they overlap
        assert len(table.asked) == pages + 1, "one walk and one count"


def test_pages_that_are_not_known_to_join_on_are_walked_again() -> None:
    """A page of one row leaves no room for an overlap: a row may have slipped by."""
    table = table_of(*[("a", n, "x") for n in range(4)], page_size=1)
    remove_at(table, 1, 0)
    assert set(read(table, keyset=False)) >= {("a", n, "x") for n in (1, 2, 3)}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        pytest.param(("'a'", "1"), None, id="too few parts"),
        pytest.param(("'a*'", "1", "'x'"), None, id="a wildcard would match its neighbours"),
        pytest.param(
            ("'a'", "1", "'x*'"),
            "(Journal gt 'a') or (Journal eq 'a' and Line gt 1) or "
            "(Journal eq 'a' and Line eq 1 and Name gt 'x*')",
            id="in the last part it is compared, not matched",
        ),
    ],
)
def test_what_lies_behind_a_key(key: tuple[str, ...], expected: str | None) -> None:
    assert KeyForm(THREE_PARTS).behind(key) == expected


def test_a_key_that_makes_too_long_an_address_is_not_paged_by() -> None:
    long = "'" + "x" * 900 + "'"
    query = Query("Lines", order=THREE_PARTS.key)
    assert behind(query, KeyForm(THREE_PARTS), (long, "1", "'a'")) is None
    rest = behind(query, KeyForm(THREE_PARTS), ("'a'", "1", "'a'"))
    assert rest is not None
    assert len(rest.query_string()) <= LONGEST_QUERY
    table = table_of(*[("x" * 900, n, "a") for n in range(5)])
    assert len(read(table)) == 5


def test_every_set_of_contoso_comes_the_same_by_key(
    contoso: Contoso, run_tap: Callable[..., Output]
) -> None:
    names = list(contoso.world.environment.entity_sets)
    outputs = [
        run_tap(
            settings_for(
                contoso,
                entities=names,
                entity_settings={n: {"replication": "full", "paging": paging} for n in names},
            )
        )
        for paging in ("position", "keyset")
    ]
    contents = [
        {n: sorted(str(sorted(r.items())) for r in output.records(n)) for n in names}
        for output in outputs
    ]
    assert contents[0] == contents[1]
    assert all(contents[0].values())
    by_key = {r.entity_set for r in contoso.d365.requests if "%20gt%20" in r.query}
    assert len(by_key) >= 5
