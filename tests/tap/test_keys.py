"""Keys: as they are remembered, as OData writes them, and many of them in one address."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tap.odata_table import HOME, ODataTable

from pipeline_core.errors import DataError
from tap_d365fo.metadata.model import Entity, Property
from tap_d365fo.reading.by_key import fetch_by_key
from tap_d365fo.reading.differences import Differences, KeyCodec, Tally
from tap_d365fo.reading.etag_scan import is_cheaper_by_key
from tap_d365fo.reading.keys import KeyForm
from tap_d365fo.reading.query import LONGEST_QUERY, Query
from tap_d365fo.reading.snapshots import Remembered

NO_YES = "Microsoft.Dynamics.DataEntities.NoYes"
NAMED = Entity("Things", (Property("Name", "Edm.String", "String", is_key=True),))


def form(edm_type: str) -> KeyForm:
    return KeyForm(Entity("Things", (Property("Key", edm_type, "", is_key=True),)))


@pytest.mark.parametrize(
    ("edm_type", "value", "literal"),
    [
        pytest.param("Edm.String", "o'b", "'o''b'", id="a quote"),
        pytest.param("Edm.String", "", "''", id="empty"),
        pytest.param("Edm.String", " x", "' x'", id="a leading blank"),
        pytest.param("Edm.Int64", 5637144576000000001, "5637144576000000001", id="a RecId"),
        pytest.param("Edm.Int32", -1, "-1", id="negative"),
        pytest.param("Edm.Decimal", Decimal("1E+5"), "100000", id="no exponent"),
        pytest.param("Edm.Decimal", Decimal("0.000001"), "0.000001", id="a small fraction"),
        pytest.param("Edm.Decimal", 3, "3", id="a whole amount"),
        pytest.param(
            "Edm.DateTimeOffset", "2026-06-26T12:00:00Z", "2026-06-26T12:00:00Z", id="an instant"
        ),
        pytest.param("Edm.Date", "2026-06-26", "2026-06-26", id="a date"),
        pytest.param("Edm.Boolean", False, "false", id="a truth value"),
        pytest.param(
            "Edm.Guid",
            "00000000-0000-0000-0000-000000000001",
            "00000000-0000-0000-0000-000000000001",
            id="a GUID",
        ),
        pytest.param(NO_YES, "Yes", f"{NO_YES}'Yes'", id="an enum"),
    ],
)
def test_literals(edm_type: str, value: Any, literal: str) -> None:  # noqa: ANN401
    assert form(edm_type).literals({"Key": value}) == (literal,)
    assert form(edm_type).equals((literal,)) == f"Key eq {literal}"


def test_a_part_without_a_value_cannot_be_asked_for() -> None:
    assert form(NO_YES).literals({"Key": None}) is None
    assert form("Edm.String").literals({}) is None


@pytest.mark.parametrize(
    ("edm_type", "ordered"),
    [("Edm.String", True), ("Edm.Decimal", True), (NO_YES, False), ("Edm.Guid", False)],
)
def test_some_types_have_no_order(edm_type: str, ordered: bool) -> None:  # noqa: FBT001
    assert form(edm_type).is_ordered is ordered
    assert (form(edm_type).behind(("x",)) is not None) is ordered


def test_a_company_alone_is_no_key_within_a_company() -> None:
    alone = KeyForm(Entity("P", (Property("dataAreaId", "Edm.String", "String", is_key=True),)))
    assert not alone.is_ordered
    assert alone.literals({"dataAreaId": "usmf"}) is None


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.text(),
    st.integers(-(2**63), 2**63 - 1),
    st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**20)),
)


@given(st.tuples(VALUES, VALUES))
def test_a_key_comes_back_with_every_digit(values: tuple[Any, Any]) -> None:
    codec = KeyCodec(("A", "B"))
    row = {"A": values[0], "B": values[1]}
    again = codec.decode(codec.encode({**row, "C": 1}))
    assert again == row
    assert codec.encode(again) == codec.encode(row)
    assert not any(isinstance(value, float) for value in again.values())


def test_the_company_is_one_in_any_case_and_names_are_not() -> None:
    codec = KeyCodec(("dataAreaId", "Name"))
    assert codec.encode({"dataAreaId": "DAT", "Name": "X"}) == b'["dat","X"]'


def test_half_a_key_is_refused() -> None:
    with pytest.raises(DataError, match="without the whole key"):
        KeyCodec(("A", "B")).encode({"A": 1})


def remembered(*rows: tuple[str, str | None]) -> list[Remembered]:
    return [Remembered(f'["{name}"]'.encode(), etag) for name, etag in rows]


def test_new_changed_and_gone_rows_are_told_apart() -> None:
    differences = Differences()
    differences.remember(remembered(("same", "1"), ("changed", "1"), ("gone", "1"), ("x", "1")))
    differences.remember(remembered(("x", None)))
    differences.scan(remembered(("new", "1"), ("same", "1"), ("changed", "2")))
    assert differences.tally() == Tally(known=3, scanned=3, changed=2, gone=1)
    assert differences.changed() == [b'["new"]', b'["changed"]']
    assert differences.gone() == [b'["gone"]']
    differences.close()


def test_a_key_in_another_case_is_a_new_row_and_the_old_one_gone() -> None:
    differences = Differences()
    differences.remember(remembered(("abc", "1")))
    differences.scan(remembered(("ABC", "1")))
    assert (differences.changed(), differences.gone()) == ([b'["ABC"]'], [b'["abc"]'])
    differences.remember(remembered(("ABC", "1"), ("abc", None)))
    assert (differences.changed(), differences.gone()) == ([], [])
    differences.close()


def test_a_row_that_was_renamed_during_the_scan_counts_as_what_it_is_now() -> None:
    differences = Differences()
    differences.remember(remembered(("abc", "1")))
    differences.scan(remembered(("abc", "1")))
    differences.scan(remembered(("ABC", "1")))
    assert differences.tally().scanned == 1
    assert differences.gone() == [b'["abc"]']
    differences.close()


NAMES = st.text(st.sampled_from("aAbB*' ü&+#%/\u4e00\U0001f600"), max_size=40)


@given(st.lists(NAMES, max_size=60), st.integers(1, 50), st.integers(0, 1100))
@settings(max_examples=80, deadline=None)
def test_all_that_is_asked_for_comes_and_every_address_is_short_enough(
    names: list[str], page_size: int, selected: int
) -> None:
    """The table refuses longer ones than IIS does; ours stay below that."""
    table = ODataTable(("Name",), page_size)
    for name in names:
        table.insert({"Name": name})
    wanted = table.rows[::2]
    query = Query("Things", order=("Name",), select=("Name", "x" * selected))
    pages = list(fetch_by_key(table, query, HOME, wanted, KeyForm(NAMED)))
    came = {row["Name"] for page in pages for row in page.rows}
    assert {row["Name"] for row in wanted} <= came
    assert all(len(asked) <= LONGEST_QUERY for asked in table.asked if "$skip" not in asked)
    assert bool(pages) == bool(wanted)


def test_many_keys_travel_together() -> None:
    table = ODataTable(("Name",), 1000)
    for number in range(300):
        table.insert({"Name": f"V{number:06}"})
    query = Query("Things", order=("Name",))
    list(fetch_by_key(table, query, HOME, table.rows, KeyForm(NAMED)))
    assert len(table.asked) <= 10


def test_a_key_without_a_value_is_a_mistake_of_ours() -> None:
    table = ODataTable(("Name",), 10)
    with pytest.raises(ValueError, match="without a value"):
        list(fetch_by_key(table, Query("Things"), HOME, [{"Name": None}], KeyForm(NAMED)))


@pytest.mark.parametrize(
    ("changed", "total", "by_key"),
    [
        pytest.param(0, 0, True, id="nothing"),
        pytest.param(1, 10, True, id="one of ten"),
        pytest.param(10, 1_000_000, True, id="few of many"),
        pytest.param(1_000_000, 1_000_000, False, id="all"),
        pytest.param(200, 300, False, id="most of few"),
    ],
)
def test_what_is_cheaper(changed: int, total: int, by_key: bool) -> None:  # noqa: FBT001
    assert is_cheaper_by_key(changed, total) is by_key


def test_a_filter_of_the_settings_leaves_room_for_keys() -> None:
    table = ODataTable(("Name",), 10)
    for number in range(30):
        table.insert({"Name": f"V{number}"})
    query = replace(Query("Things", order=("Name",)), conditions=("Name gt ''",))
    pages = fetch_by_key(table, query, HOME, table.rows, KeyForm(NAMED))
    assert len({row["Name"] for page in pages for row in page.rows}) == 30
