"""Whole columns of a Parquet file give what their rows give one by one, or are not taken whole."""

from __future__ import annotations

import tempfile
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.target.messages import record, schema

from pipeline_core.errors import DataError
from target_tableau_hyper.audit import Tally
from target_tableau_hyper.batches import rows_of
from target_tableau_hyper.extract.schema import columns_of
from target_tableau_hyper.extract.staged import StagedStream
from target_tableau_hyper.extract.staging import Budget, SegmentWriter

if TYPE_CHECKING:
    from tests.target.harness import Extracts, Rows

TEXTS: dict[str, Any] = {
    "text": {"type": ["null", "string"]},
    "any": {},
    "mixed": {"type": ["null", "string", "number"]},
    "object": {"type": ["null", "object"]},
    "list": {"type": ["null", "array"]},
    "day": {"type": ["null", "string"], "format": "date"},
    "hour": {"type": ["null", "string"], "format": "time"},
    "moment": {"type": ["null", "string"], "format": "date-time"},
    "whole": {"type": ["null", "integer"]},
    "amount": {"type": ["null", "number"]},
    "exact": {"type": ["null", "string"], "format": "x-singer.decimal"},
    "flag": {"type": ["null", "boolean"]},
    "must": {"type": "string"},
}

texts = st.text(max_size=5)
days = st.dates()
hours = st.times()
moments = st.datetimes()
numbers = st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9))
zones = st.sampled_from([UTC, timezone(timedelta(hours=-5, minutes=-30)), None])


def _of(kind: pa.DataType, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Columns of five rows."""
    cells = st.lists(st.none() | values, min_size=5, max_size=5)
    return cells.map(lambda found: pa.array(found, kind))


def _decimals(digits: int, places: int) -> st.SearchStrategy[Any]:
    whole = st.integers(-(10**digits) + 1, 10**digits - 1)
    return whole.map(lambda number: Decimal(f"{number}E-{places}"))


#: What a file may hold, whatever the schema says.
ARRAYS = st.one_of(
    _of(pa.string(), texts),
    _of(pa.large_string(), texts),
    _of(pa.string(), texts).map(lambda array: array.dictionary_encode()),
    _of(pa.string(), st.sampled_from(['{"a":1.50}', "[1, null]", "no JSON", "12.5", "null"])),
    _of(pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    _of(pa.int16(), st.integers(-(2**15), 2**15 - 1)),
    _of(pa.uint64(), st.integers(0, 2**64 - 1)),
    _of(pa.float64(), st.floats()),
    _of(pa.float64(), st.floats(-1e6, 1e6).map(lambda number: round(number, 3))),
    _of(pa.bool_(), st.booleans()),
    _of(pa.date32(), days),
    _of(pa.date64(), days),
    _of(pa.time64("us"), hours),
    _of(pa.time32("s"), hours.map(lambda hour: hour.replace(microsecond=0))),
    _of(pa.timestamp("us"), moments),
    _of(pa.timestamp("us", "UTC"), moments),
    _of(pa.timestamp("ms", "+05:30"), moments.map(lambda m: m.replace(microsecond=7000))),
    _of(pa.timestamp("ns", "UTC"), st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1))),  # noqa: DTZ001
    _of(pa.decimal128(38, 16), _decimals(20, 16)),
    _of(pa.decimal128(38, 16), _decimals(5, 2)),
    _of(pa.decimal128(38, 2), _decimals(38, 2)),
    _of(pa.decimal128(10, 0), _decimals(10, 0)),
    _of(pa.decimal256(76, 39), _decimals(76, 39)),
    _of(pa.list_(pa.int32()), st.lists(st.none() | st.integers(0, 9), max_size=3)),
    _of(pa.struct([("a", pa.float32())]), st.fixed_dictionaries({"a": st.none() | st.just(0.5)})),
    _of(pa.null(), st.none()),
)  # fmt: skip


@st.composite
def batches(draw: st.DrawFn) -> tuple[dict[str, Any], pa.RecordBatch]:
    """A schema and rows that may or may not fit it."""
    names = draw(st.lists(st.sampled_from(sorted(TEXTS)), min_size=1, max_size=3, unique=True))
    columns = {name: draw(ARRAYS) for name in names}
    if draw(st.booleans()):
        columns["not in the schema"] = draw(ARRAYS)
    columns["id"] = draw(
        st.sampled_from([pa.array(range(5), pa.int32()), pa.array([1, 1, None, 2, 3])])
        if draw(st.integers(0, 9)) == 0
        else st.just(pa.array(range(5), pa.int32()))
    )
    properties = {"id": {"type": "integer"}, **{name: TEXTS[name] for name in names}}
    return properties, pa.RecordBatch.from_pydict(columns)


def written(
    folder: Path, properties: dict[str, Any], found: list[pa.RecordBatch], *, whole: bool, lax: bool
) -> tuple[list[Any], list[Any], Any] | None:
    """Segments, their columns and the figures; ``None`` where the rows are refused."""
    definition = {"type": "object", "properties": properties}
    columns = columns_of("s", definition)
    staged, tally = StagedStream("s", folder), Tally()
    staged.adopt(columns, ["id"])
    tally.know(columns)
    writer = SegmentWriter(
        staged, definition, columns, ["id"], validate=not lax, max_digits=38, budget=Budget()
    )  # fmt: skip
    try:
        for batch in found:
            sums = writer.add_batch(batch, version=7) if whole else None
            if sums is not None:
                tally.add_batch(batch.num_rows, sums)
                continue
            for row, _ in rows_of(batch, "s", definition, "file"):
                tally.add(row)
                if "id" not in row:
                    return None  # as the sink has it
                writer.add(row, version=7, deleted=False, size=1)
        writer.close()
    except DataError:
        writer.abandon()
        return None
    tables = [pq.read_table(segment.path) for segment in staged.segments]
    shapes = [segment.columns for segment in staged.segments]
    figures = (tally.records, dict(tally.totals()), sorted(writer.unknown), staged.rows)
    rows = pa.concat_tables(tables, promote_options="permissive") if tables else None
    return [shapes[-1] if shapes else None, rows.to_pylist() if rows else []], shapes[-1:], figures


@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(batches(), st.booleans())
def test_both_ways_store_the_same(case: tuple[dict[str, Any], pa.RecordBatch], lax: bool) -> None:  # noqa: FBT001
    properties, batch = case
    found = [batch, batch.slice(2), batch.slice(0, 1)]
    with tempfile.TemporaryDirectory() as folder:
        one = written(Path(folder) / "one", properties, found, whole=False, lax=lax)
        other = written(Path(folder) / "other", properties, found, whole=True, lax=lax)
    assert one == other


PLAIN = pa.RecordBatch.from_pydict(
    {
        "id": pa.array([1, 2], pa.int64()),
        "text": pa.array(["a", None]),
        "day": pa.array([date(2024, 1, 1), None], pa.date32()),
        "hour": pa.array([time(1), None], pa.time64("us")),
        "moment": pa.array([datetime(2024, 1, 1, tzinfo=UTC), None], pa.timestamp("us", "UTC")),
        "amount": pa.array([Decimal("1.50"), None], pa.decimal128(38, 16)),
        "flag": pa.array([True, None]),
    }
)
PROPERTIES = {"id": {"type": "integer"}, **{n: TEXTS[n] for n in PLAIN.schema.names[1:]}}


def test_ordinary_files_are_taken_whole(extracts: Extracts, rows: Rows, tmp_path: Path) -> None:
    """The way by rows is not taken at all; the values are those of RECORD messages."""
    pq.write_table(pa.Table.from_batches([PLAIN]), tmp_path / "x.parquet")
    message = {
        "type": "BATCH", "stream": "s", "version": 7, "manifest": [f"file://{tmp_path}/x.parquet"],
        "encoding": {"format": "parquet", "compression": "none"},
    }  # fmt: skip
    start = schema("s", PROPERTIES, keys=["id"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("target_tableau_hyper.target.rows_of", None)
        extracts.run([start, message, {"type": "ACTIVATE_VERSION", "stream": "s", "version": 7}])
    first = {
        "id": 1, "text": "a", "day": "2024-01-01", "hour": "01:00:00",
        "moment": "2024-01-01T00:00:00Z", "amount": Decimal("1.5"), "flag": True,
    }  # fmt: skip
    extracts.run(
        [start, record("s", first), record("s", {"id": 2})], datasources={"s": {"file": "records"}}
    )
    assert rows(extracts.path("s")) == rows(extracts.path("records"))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"enum": ["a", None]}, id="a rule that columns do not see"),
        pytest.param({"pattern": "a"}, id="a pattern"),
    ],
)
def test_rules_that_columns_do_not_see_are_checked_all_the_same(
    extracts: Extracts, tmp_path: Path, change: dict[str, Any]
) -> None:
    pq.write_table(pa.table({"id": [1], "text": ["b"]}), tmp_path / "x.parquet")
    message = {
        "type": "BATCH", "stream": "s", "manifest": [f"file://{tmp_path}/x.parquet"],
        "encoding": {"format": "parquet", "compression": "none"},
    }  # fmt: skip
    properties = {"id": {"type": "integer"}, "text": {**TEXTS["text"], **change}}
    with pytest.raises(DataError, match=r'key \{"id":1\}: text breaks the schema'):
        extracts.run([schema("s", properties, keys=["id"]), message])


def test_text_that_is_no_utf8_is_refused(extracts: Extracts, tmp_path: Path) -> None:
    bad = pa.array([b"\xff"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"id": [1], "text": bad}), tmp_path / "x.parquet")
    message = {
        "type": "BATCH", "stream": "s", "manifest": [f"file://{tmp_path}/x.parquet"],
        "encoding": {"format": "parquet", "compression": "none"},
    }  # fmt: skip
    start = schema("s", {"id": {"type": "integer"}, "text": TEXTS["text"]}, keys=["id"])
    with pytest.raises(DataError, match=r"stream 's': BATCH file .*x\.parquet"):
        extracts.run([start, message])
