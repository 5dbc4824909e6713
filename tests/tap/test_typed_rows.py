"""Pages decoded into typed rows: the same records as through dictionaries, or none at all."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

from pipeline_core.errors import DataError
from tap_d365fo.access.document import UnreadableError, parse_document
from tap_d365fo.audit import StreamFigures
from tap_d365fo.metadata.edm import json_schema
from tap_d365fo.metadata.model import Entity, Navigation, Property
from tap_d365fo.parquet import parquet_bytes
from tap_d365fo.reading.rows import RowDecoder, identities
from tap_d365fo.reading.typed_rows import ETAG, TypedRow, column

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = ("dataAreaId", "Key", "Amount", "Day", "At", "Guid", "Flag", "Kind", "Rate", "class", "get")
TYPES = {
    "Amount": ("Edm.Decimal", "Real"),
    "Day": ("Edm.DateTimeOffset", "Date"),
    "At": ("Edm.DateTimeOffset", "UtcDateTime"),
    "Guid": ("Edm.Guid", "Guid"),
    "Flag": ("Edm.Boolean", "Boolean"),
    "Kind": ("Microsoft.Dynamics.DataEntities.NoYes", "Enum"),
    "Rate": ("Edm.Double", "Real"),
    "class": ("Edm.Int64", "Int64"),
    "get": ("Edm.Int32", "Int32"),
}
ENTITY = Entity(
    "Things",
    tuple(
        Property(name, *TYPES.get(name, ("Edm.String", "String")), name in {"dataAreaId", "Key"})
        for name in NAMES
    ),
)

numbers = (
    st.decimals(-(10**20), 10**20, allow_nan=False, allow_infinity=False, places=6)
    | st.integers(-(10**30), 10**30)
    | st.sampled_from([Decimal("1E+3"), Decimal("-0"), Decimal("0.10")])
)
instants = st.sampled_from(
    [
        "2026-01-31T12:00:00Z",
        "1900-01-01T00:00:00Z",
        "2026-01-31T23:59:59.5+01:00",
        "1900-01-01T12:00:00Z",
    ]
)
as_announced: dict[str, st.SearchStrategy[Any]] = {
    "dataAreaId": st.sampled_from(["USMF", "usmf", "dat"]),
    "Key": st.text(max_size=6),
    "Amount": numbers | st.none(),
    "Day": st.sampled_from(["2026-01-31T12:00:00Z", "1900-01-01T12:00:00Z"]) | st.none(),
    "At": instants | st.none(),
    "Guid": st.uuids().map(str) | st.just("00000000-0000-0000-0000-000000000000") | st.none(),
    "Flag": st.booleans() | st.none(),
    "Kind": st.sampled_from(["Yes", "No"]) | st.none(),
    "Rate": numbers | st.sampled_from(["NaN", "INF"]) | st.none(),
    "class": st.integers(-(2**70), 2**70) | st.none(),
    "get": st.integers(-(2**31), 2**31 - 1) | st.none(),
}
strange = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=4), numbers, numbers.map(str),
    st.sampled_from(["NaN", "Infinity", "1_000", " 1 ", "2026-01-31T12:00:00Z"]),
    st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=2), st.integers()),
)  # fmt: skip
more = st.dictionaries(
    st.sampled_from(["New", "New@odata.type", "@odata.id", "etag", "p0"]), strange, max_size=2
)


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    """Mostly as announced; now and then a value is of another type, missing, or not announced."""
    row = {"@odata.etag": draw(st.text(max_size=5)), **draw(st.fixed_dictionaries(as_announced))}
    if draw(st.integers(0, 9)) == 0:
        row |= draw(more)
    if draw(st.integers(0, 9)) == 0:
        row[draw(st.sampled_from(sorted(row)))] = draw(strange)
    if draw(st.integers(0, 19)) == 0:
        del row[draw(st.sampled_from(sorted(row)))]
    if draw(st.booleans()):
        row = {name: row[name] for name in draw(st.permutations(list(row)))}
    return row


encode = msgspec.json.Encoder(decimal_format="number").encode


def lines(decoder: RowDecoder, found: Any) -> tuple[bytes, dict[str, Decimal]] | str:  # noqa: ANN401
    """What goes out for rows, and its sums; or the error."""
    figures = StreamFigures(totals={"Amount": Decimal(0), "Rate": Decimal(0)})
    try:
        sent = decoder.sendable(found)
        figures.add_all(sent)
    except DataError as error:
        return str(error)
    assert figures.records == len(found)
    return msgspec.json.Encoder(decimal_format="number").encode_lines(sent), figures.totals


@given(
    st.lists(rows(), min_size=1, max_size=4),
    st.sets(st.sampled_from(NAMES)),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_both_ways_give_the_same_lines_and_sums(
    found: list[dict[str, Any]],
    left_out: set[str],
    nulls: bool,  # noqa: FBT001
    whole: bool,  # noqa: FBT001
    etags: bool,  # noqa: FBT001
) -> None:
    selected = frozenset(NAMES) - (left_out - {"dataAreaId", "Key"})
    decoder = RowDecoder(ENTITY, selected, null_sentinels=nulls)
    body = encode({"@odata.count": 7, "value": found, "@odata.nextLink": "/"})
    reader = decoder.reader(whole=whole, etags=etags)
    assert reader is not None
    read = reader.read(body)
    event(f"declined: {read is None}")
    if read is None:
        return
    known = parse_document(body, "test")
    assert {**read, "value": 0} == {**known, "value": 0}
    key = ("dataAreaId", "Key")
    assert identities(read["value"], key) == identities(known["value"], key)
    if etags:
        assert column(read["value"], ETAG) == column(known["value"], ETAG)
    other = RowDecoder(ENTITY, selected, null_sentinels=nulls)
    expected = lines(other, known["value"])
    if not isinstance(expected, str):
        records = other.records(read["value"])
        assert b"".join(encode(record) + b"\n" for record in records) == expected[0]
    assert lines(decoder, read["value"]) == expected


SCHEMA = json_schema(ENTITY)


@given(st.lists(rows(), min_size=1, max_size=4))
def test_both_ways_make_the_same_columns(found: list[dict[str, Any]]) -> None:
    decoder = RowDecoder(ENTITY, frozenset(NAMES), null_sentinels=False)
    reader = decoder.reader(whole=False, etags=True)
    assert reader is not None
    body = encode({"value": found})
    read = reader.read(body)
    assume(read is not None)
    assert read is not None
    known = parse_document(body, "test")["value"]
    expected = columns_of(lambda: list(decoder.records(known)))
    assert columns_of(lambda: decoder.sendable(read["value"])) == expected


def columns_of(records: Callable[[], Any]) -> list[list[Any]] | str:
    """A Parquet file's columns, names first; or the error."""
    try:
        file = parquet_bytes("s", SCHEMA, ["Key"], records(), compression="none")
    except DataError as error:
        return str(error)
    table = pq.read_table(io.BytesIO(file))
    return [[table.schema, *table.columns]]


ROW = {
    ETAG: 'W/"1"', "dataAreaId": "USMF", "Key": "A", "Amount": 1.5, "Day": "2026-01-31T12:00:00Z",
    "At": None, "Guid": None, "Flag": True, "Kind": "Yes", "Rate": 1, "class": 1, "get": 2,
}  # fmt: skip


def reader_of(*, whole: bool = True) -> Any:  # noqa: ANN401
    decoder = RowDecoder(ENTITY, frozenset(NAMES), null_sentinels=True)
    return decoder.reader(whole=whole, etags=True)


def test_a_usual_page_is_typed_and_looks_like_dictionaries() -> None:
    read = reader_of().read(json.dumps({"value": [ROW, ROW]}).encode())
    first = read["value"][0]
    assert isinstance(first, TypedRow)
    assert {name: first[name] for name in ROW} == ROW
    assert first.get("class") == 1
    assert first.get("Nothing") is None
    assert first.get("Nothing", 3) == 3
    with pytest.raises(KeyError, match="Nothing"):
        first["Nothing"]
    assert first.values() == tuple(ROW[name] for name in NAMES)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"Amount": "1.5"}, id="a decimal as text"),
        pytest.param({"class": "1"}, id="an integer as text"),
        pytest.param({"Key": None}, id="no key"),
        pytest.param({"get": 1.0}, id="a fraction for an integer"),
        pytest.param({"Flag": 1}, id="a number for a boolean"),
        pytest.param({"Day": 5}, id="a number for a day"),
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_what_is_not_as_announced_is_declined(change: dict[str, Any], place: int) -> None:
    page = [dict(ROW), dict(ROW)]
    page[place].update(change)
    assert reader_of().read(json.dumps({"value": page}).encode()) is None


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b'{"value":[]}', b'{"value":[1]}', b'{"value":{}}', b'{"value":[{"Key":',
     b'{"value":[{}]}', b'{"error":{"value":[{"Key":1}]}}', b'\xff{"value":[{}]}'],
)  # fmt: skip
def test_what_is_no_page_of_rows_is_declined(body: bytes) -> None:
    assert reader_of().read(body) is None


@pytest.mark.parametrize("place", [0, 300_000])
@pytest.mark.parametrize("broken", [b"\xff", b"\xed\xa0\x80", b"\xc3", b"\xf5\x80\x80\x80"])
def test_text_that_is_no_utf8_is_declined_also_where_nobody_looks(
    place: int, broken: bytes
) -> None:
    more = "\u00e9" * place + "here"
    text = json.dumps({"value": [{**ROW, "New": more}]}, ensure_ascii=False).encode()
    assert reader_of().read(text) is not None
    assert reader_of().read(text.replace(b"here", broken)) is None


def test_a_number_that_no_decimal_can_be_is_declined() -> None:
    body = json.dumps({"value": [ROW]}).replace("1.5", "1e999999999999999999999").encode()
    assert reader_of().read(body) is None
    with pytest.raises(UnreadableError):
        parse_document(body, "test")


def test_a_page_that_breaks_off_is_declined() -> None:
    body = json.dumps({"value": [ROW, ROW]}).encode()
    for end in range(len(body) - 1):
        assert reader_of().read(body[:end]) is None


def test_a_new_column_is_noted_and_passed_over() -> None:
    body = json.dumps({"value": [{**ROW, "New": 1, "New@odata.type": "x"}]}).encode()
    whole, chosen = reader_of(), reader_of(whole=False)
    assert whole.read(body) is not None
    assert whole.news == {"New"}
    assert chosen.read(body) is not None  # who asks for some columns is told of no others
    assert not chosen.news


def test_of_two_wrong_rows_the_first_is_told_whichever_column_it_is() -> None:
    page = [{**ROW, "At": "2026-13-01"}, {**ROW, "Day": "2026-01-31T07:00:00Z"}]
    found = reader_of().read(json.dumps({"value": page}).encode())["value"]
    before = [row.values() for row in found]
    decoder = RowDecoder(ENTITY, frozenset(NAMES), null_sentinels=True)
    with pytest.raises(DataError, match="Things: At is declared an instant") as typed:
        decoder.sendable(found)
    with pytest.raises(DataError) as plain:
        decoder.sendable([{**row, "Amount": Decimal("1.5")} for row in page])
    assert str(typed.value) == str(plain.value)
    assert [row.values() for row in found] == before  # all of them or none


def test_rows_with_what_a_navigation_leads_to_stay_dictionaries() -> None:
    entity = Entity(
        "Things", ENTITY.properties, navigations=(Navigation("Lines", "Line", many=True),)
    )
    decoder = RowDecoder(entity, frozenset(NAMES), null_sentinels=True, expand=("Lines",))
    assert decoder.reader(whole=True, etags=False) is None


def test_rows_of_both_ways_together() -> None:
    """A scan collects what changed from several pages."""
    typed = reader_of().read(json.dumps({"value": [ROW]}).encode())["value"]
    decoder = RowDecoder(ENTITY, frozenset(NAMES), null_sentinels=True)
    plain = [{**ROW, "Amount": Decimal("1.5")}]
    assert decoder.sendable([*typed, *plain]) == [*decoder.records(plain)] * 2
