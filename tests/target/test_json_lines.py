"""Groups of lines give what their records give one by one, or are not taken as columns."""

from __future__ import annotations

import json
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.target.messages import record, schema

from pipeline_core.errors import DataError
from target_tableau_hyper.audit import Tally
from target_tableau_hyper.extract.schema import DELETED_AT, columns_of
from target_tableau_hyper.extract.staged import StagedStream
from target_tableau_hyper.extract.staging import Budget, SegmentWriter
from target_tableau_hyper.reader import Lines, MessageReader

if TYPE_CHECKING:
    from tests.target.harness import Extracts, Rows

PROPERTIES: dict[str, Any] = {
    "id": {"type": "integer"},
    "text": {"type": ["null", "string"], "maxLength": 4},
    "must": {"type": "string"},
    "day": {"type": ["null", "string"], "format": "date"},
    "hour": {"type": ["null", "string"], "format": "time"},
    "moment": {"type": ["null", "string"], "format": "date-time"},
    "whole": {"type": ["null", "integer"]},
    "amount": {"type": ["null", "number"]},
    "exact": {"type": ["null", "string"], "format": "x-singer.decimal"},
    "flag": {"type": ["null", "boolean"]},
}

#: JSON texts of values that fit somewhere, and of values that no column takes as they are.
VALUES = st.one_of(
    st.just("null"),
    st.text(max_size=4).map(json.dumps),
    st.text(max_size=4).map(lambda text: json.dumps(text, ensure_ascii=False)),
    st.dates().map(lambda day: f'"{day}"'),
    st.times().map(lambda hour: f'"{hour}"'),
    st.datetimes().map(lambda moment: f'"{moment.isoformat()}Z"'),
    st.sampled_from(
        [
            *("1", "-0", "1.50", "1.500", "0.12345", "-12.5e1", "1e3", "1E-2", "1e36", "1.0"),
            *("9223372036854775808", "9" * 38, "9" * 36, "9" * 25, f"0.{'0' * 40}1"),
            *("true", "false", "{}", "[1]", '{"a":1.5}', "NaN", "01", "1.", "-", ""),
            *('"1.50"', '" 1"', '"1e2"', '"1_0"', '"NaN"', '""', '"+1"', '"٣"', f'"{"9" * 38}"'),
            *('"2024-03-31"', '"2024-03-31 12:00"', '"2024-03-31T12:00:00+05:30"', '"24:00"'),
            *('"0001-01-01T00:00:00+14:00"', '"9999-12-31T23:59:59-12:00"'),
            *('"12:00:00.1234567"', '"\\ud83d"', '"\\ud83d\\ude00"', '"\\u0000"'),
            *('"open', '"a\\', '"a\tb"', '1,"id":2', '"x"}{"id":3'),
        ]
    ),
)  # fmt: skip


@st.composite
def groups(draw: st.DrawFn) -> list[bytes]:
    """Lines of which a few hold something odd."""
    lines = []
    odd = draw(st.sampled_from([*PROPERTIES, "unknown", DELETED_AT]))
    for number in range(4):
        values = {
            "id": str(number), "text": '"a"', "must": '"b"', "day": '"2024-03-31"',
            "hour": '"12:00:00"', "moment": '"2024-03-31T12:00:00Z"', "whole": "7",
            "amount": "12.50", "exact": '"1.5"', "flag": "true",
        }  # fmt: skip
        for name in draw(st.sets(st.sampled_from(sorted(values)), max_size=2)) - {"id"}:
            del values[name]
        if draw(st.booleans()):
            values[odd] = draw(VALUES)
        blank = draw(st.sampled_from(["", " ", "\t"]))
        inner = ",".join(f'"{name}"{blank}:{blank}{value}' for name, value in values.items())
        lines.append(f"{{{inner}}}".encode("utf-8", "surrogatepass"))
    return lines


def written(
    folder: Path, lines: list[bytes], rules: dict[str, Any], *, whole: bool, lax: bool
) -> object:
    """Segments, their columns and the figures; a text where the lines are refused."""
    definition = {"type": "object", "properties": PROPERTIES, **rules}
    columns = columns_of("s", definition)
    staged, tally = StagedStream("s", folder), Tally()
    staged.adopt(columns, ["id"])
    tally.know(columns)
    writer = SegmentWriter(
        staged, definition, columns, ["id"], validate=not lax, max_digits=38, budget=Budget()
    )  # fmt: skip
    decoder = msgspec.json.Decoder(float_hook=Decimal)
    try:
        for group in (lines[:2], lines[2:], lines):
            read = writer.reading(group) if whole else None
            sums = writer.add_lines(read(), version=7) if read else None
            if sums is not None:
                tally.add_batch(len(group), sums)
                continue
            for line in group:
                row = decoder.decode(line)
                if not isinstance(row, dict) or "id" not in row:
                    return "refused"  # as reader and sink have it
                tally.add(row)
                deleted = row.get(DELETED_AT) is not None
                writer.add(row, version=7, deleted=deleted, size=1)
        writer.close()
    except (DataError, msgspec.DecodeError, UnicodeDecodeError):
        writer.abandon()
        return "refused"
    tables = [pq.read_table(segment.path) for segment in staged.segments]
    found = pa.concat_tables(tables, promote_options="permissive")
    figures = (tally.records, tally.deletes, dict(tally.totals()), sorted(writer.unknown))
    return found.to_pylist(), [segment.columns for segment in staged.segments][-1], figures


def _line(**values: str) -> bytes:
    inner = {"id": "1", "must": '"b"', **values}
    return ("{" + ",".join(f'"{name}":{value}' for name, value in inner.items()) + "}").encode()


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    groups(),
    st.booleans(),
    st.sampled_from([{}, {"required": ["id", "flag"]}, {"additionalProperties": False}]),
)
@example([_line(amount="9" * 38)] * 4, False, {})  # noqa: FBT003 - Arrow would wrap it around
@example([_line(exact='"' + "9" * 38 + '"')] * 4, True, {})  # noqa: FBT003 - likewise
@example([_line(amount="1e36")] * 4, False, {})  # noqa: FBT003 - likewise
@example([_line(amount='"1.50"')] * 4, False, {})  # noqa: FBT003 - Arrow would take it
@example([_line(text='"a"', unknown='{"b":[1]}')] * 4, False, {})  # noqa: FBT003
@example([b'{"id":1,"must":"b","text":"\xff"}'] * 4, False, {})  # noqa: FBT003
def test_both_ways_store_the_same(
    lines: list[bytes],
    lax: bool,  # noqa: FBT001
    rules: dict[str, Any],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        singly = written(Path(folder) / "one", lines, rules, whole=False, lax=lax)
        together = written(Path(folder) / "other", lines, rules, whole=True, lax=lax)
    assert together == singly


ROWS: list[dict[str, Any]] = [
    {
        "id": number, "text": f"t{number}", "must": "b", "day": "2024-03-31", "hour": "12:00:00",
        "moment": "2024-03-31T12:00:00Z", "whole": number, "amount": Decimal(number) / 4,
        "exact": "1.25", "flag": None,
    }
    for number in range(1000)
]  # fmt: skip


@pytest.fixture(params=[500, 20_000], ids=["two groups", "one group"])
def group_lines(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many lines are read together."""
    monkeypatch.setattr("target_tableau_hyper.reader._GROUP_LINES", request.param)


@pytest.mark.usefixtures("group_lines")
def test_ordinary_records_are_taken_as_columns(extracts: Extracts, rows: Rows) -> None:
    """The way by records is not taken at all, and gives the same rows."""
    start = schema("s", {**PROPERTIES, "text": {"type": "string", "maxLength": 4}}, keys=["id"])
    start["schema"] |= {"required": ["id", "text"], "additionalProperties": False}
    messages = [start, *(record("s", row) for row in ROWS)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("target_tableau_hyper.reader.MessageReader.messages_of", None)
        extracts.run(messages)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("target_tableau_hyper.target._WORTH_COLUMNS", 10**9)
        extracts.run(messages, datasources={"s": {"file": "singly"}})
    assert len(rows(extracts.path("s"))) == len(ROWS)
    assert rows(extracts.path("s")) == rows(extracts.path("singly"))


@pytest.mark.usefixtures("group_lines")
def test_the_record_that_does_not_fit_is_named(extracts: Extracts) -> None:
    bad = {**ROWS[0], "id": 7777, "amount": "12.50"}
    messages = [record("s", row) for row in [*ROWS[:700], bad, *ROWS[700:]]]
    with pytest.raises(DataError, match=r'column \'amount\', key \{"id":7777\}: expected number'):
        extracts.run([schema("s", PROPERTIES, keys=["id"]), *messages])


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(b'{"type":"RECORD","stream":"s","record":{"id":1e}}', id="number"),
        pytest.param(b'{"type":"RECORD","stream":"s","record":{"id":"\xff"}}', id="no UTF-8"),
        pytest.param(b'{"type":"RECORD","stream":"\xff","record":{"id":1}}', id="envelope"),
        pytest.param(b'{"type":"RECORD","stream":"s","record":{"id":1}', id="cut off"),
    ],
)
def test_a_line_that_is_no_json_is_named_by_its_number(broken: bytes) -> None:
    lines = [b'{"type":"RECORD","stream":"s","record":{"id":%d}}\n' % n for n in range(3)]
    lines[1] = broken + b"\n"
    reader = MessageReader()

    def take(group: Lines) -> None:
        list(reader.messages_of(group))

    reader.take_together("s", take)
    with pytest.raises(DataError, match="line 2 of the input is no JSON"):
        reader.process_lines(lines, {})  # type: ignore[arg-type]


def test_a_group_ends_with_its_version_and_at_any_other_message() -> None:
    def line(number: int, version: int, stream: str = "s") -> bytes:
        message = {"type": "RECORD", "stream": stream, "version": version, "record": {"n": number}}
        return json.dumps(message).encode() + b"\n"

    seen: list[object] = []

    class Kind:
        def __init__(self, value: str) -> None:
            self.value = value

    reader = MessageReader()
    for stream in ("s", "t"):
        reader.take_together(
            stream,
            lambda group: seen.append((group.stream, group.version, [*group.numbers])),
            lambda: seen.append("settled"),
        )
    state = b'{"type":"STATE","value":{}}\n'
    singly = line(9, 1, "u")
    lines = [line(1, 1), line(2, 1), line(3, 2), singly, line(4, 2, "t"), state, line(5, 2), b"\n"]
    counts = reader.process_lines(
        lines,  # type: ignore[arg-type]
        {Kind("STATE"): lambda _: seen.append("STATE"), Kind("RECORD"): lambda _: seen.append("u")},
    )
    before = [("s", 1, [1, 2]), "u", ("s", 2, [3]), ("t", 2, [5]), "settled", "STATE"]
    assert seen == [*before, ("s", 2, [7]), "settled"]
    assert counts == {"RECORD": 6, "STATE": 1}
