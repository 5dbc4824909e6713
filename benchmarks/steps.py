"""Processor time of each step of a record's way, in microseconds a row: where the time goes.

    python -m benchmarks.steps

Each step works on the same rows, in memory, alone in its process: no network, no disk but the
segment's, nobody else's lock. Arrow's reader works in threads of its own, whose time counts.
"""

from __future__ import annotations

import sys
import tempfile
import time
import zlib
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
from benchmarks.data import records
from benchmarks.data.pages import Pages
from benchmarks.figures.tap_commands import SOURCE

from contoso_sandbox.entities import contoso_environment
from contoso_sandbox.model import AxType
from tap_d365fo.audit import StreamFigures
from tap_d365fo.metadata.model import Entity, Property
from tap_d365fo.reading.rows import RowDecoder
from target_tableau_hyper.extract.digits import Digits
from target_tableau_hyper.extract.json_lines import JsonLines
from target_tableau_hyper.extract.record_columns import RecordColumns, Waiting
from target_tableau_hyper.extract.schema import columns_of
from target_tableau_hyper.extract.segment_file import SegmentFile
from target_tableau_hyper.extract.staged import StagedStream
from target_tableau_hyper.extract.whole_columns import WholeColumns
from target_tableau_hyper.reader import _ENVELOPES

if TYPE_CHECKING:
    from collections.abc import Callable

    from contoso_sandbox.model import Environment

_EDM = {
    AxType.INT32: "Edm.Int32",
    AxType.INT64: "Edm.Int64",
    AxType.REAL: "Edm.Decimal",
    AxType.DATE: "Edm.DateTimeOffset",
    AxType.UTC_DATE_TIME: "Edm.DateTimeOffset",
}

_ROWS = 60_000
_GROUP = 10_000
_REPETITIONS = 3


def step(name: str, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the step gives
    """Tell the least processor time of a step, and return what it gave."""
    times = []
    for _ in range(_REPETITIONS):
        begun = time.process_time()
        made = work()
        times.append(time.process_time() - begun)
    sys.stdout.write(f"  {name:44} {1e6 * min(times) / _ROWS:6.2f}\n")
    return made


def tap_steps() -> None:
    """A page of the posted ledger, from the wire to RECORD lines."""
    environment = contoso_environment()
    pages = Pages(environment.entity_sets[SOURCE], environment.enums)
    page = b'{"value":[' + pages.rows(0, _ROWS) + b"]}"
    sys.stdout.write(f"tap, {len(page) // _ROWS} bytes a row, microseconds a row\n")
    packed = zlib.compress(page, 6)
    step("unpack", lambda: zlib.decompress(packed))
    step("decode, decimals as floats (the floor does)", lambda: msgspec.json.decode(page))
    entity = _entity(environment)
    decoder = RowDecoder(entity, frozenset(p.name for p in entity.properties), null_sentinels=True)
    reader = decoder.reader(whole=True, etags=False)
    assert reader is not None  # noqa: S101 - nothing is expanded
    step("decode into typed rows, types checked", lambda: reader.read(page))
    # Rows become their own records, once.
    fresh = iter([(reader.read(page) or {})["value"] for _ in range(_REPETITIONS)])
    made = step("typed rows to records", lambda: decoder.sendable(next(fresh)))
    figures = StreamFigures()
    figures.totals.update(
        (p.name, Decimal(0)) for p in entity.properties if p.edm_type == "Edm.Decimal"
    )
    step("add up the amounts", lambda: figures.add_all(made))
    encoder = msgspec.json.Encoder(decimal_format="number")
    step("encode", lambda: encoder.encode_lines(made))
    exact = msgspec.json.Decoder(float_hook=Decimal)
    rows = step("as dictionaries: decode", lambda: exact.decode(page))["value"]
    step("as dictionaries: rows to records", lambda: list(decoder.records(rows)))


def _entity(environment: Environment) -> Entity:
    """What discovery would find."""
    source = environment.entity_sets[SOURCE]
    return Entity(
        SOURCE,
        tuple(
            Property(
                p.name, _EDM.get(p.ax_type, "Edm.String"), p.ax_type.value, p.name in source.key
            )
            for p in source.properties
        ),
    )


def target_steps(folder: Path) -> None:
    """RECORD lines to a segment: as columns, and one by one."""
    records.write_lines(folder / "records.singer", _ROWS)
    lines = (folder / "records.singer").read_bytes().splitlines()[1:-1]
    size = sum(map(len, lines)) // _ROWS
    sys.stdout.write(f"target, {size} bytes a row, microseconds a row\n")
    schema, keys = records.schema(), [records.KEY]
    columns = columns_of(records.STREAM, schema)
    digits = Digits(columns, 38)
    reader = JsonLines(columns, strict=True)
    whole = WholeColumns(schema, columns, keys, digits, strict=True, leftover=None)
    found = step("envelope", lambda: [_ENVELOPES.decode(line).record for line in lines])
    groups = [found[at : at + _GROUP] for at in range(0, _ROWS, _GROUP)]
    batches = step(
        "JSON to Arrow, risks looked for",
        lambda: [reader.read(group, digits.scales) for group in groups],
    )
    arrays = step(
        "to the segment's types",
        lambda: [whole.of(batch, nulls_may_be_absent=False) for batch in batches],
    )
    none = pa.array([None] * _GROUP, pa.int64())
    kept = pa.array([False] * _GROUP)

    def write() -> None:
        staged = StagedStream(records.STREAM, folder / "staged")
        file = SegmentFile(staged)
        for group in arrays:
            file.write(group, digits.columns(), versions=none, deleted=kept)
        file.close()

    step("write the segment", write)
    singly = RecordColumns(
        StagedStream(records.STREAM, folder / "none"),
        columns,
        keys,
        Digits(columns, 38),
        strict=True,
        leftover=None,
    )
    decoder = msgspec.json.Decoder(float_hook=Decimal)
    read = step("one by one: decode", lambda: [decoder.decode(line)["record"] for line in lines])
    step(
        "one by one: to the segment's types",
        lambda: [
            singly.of(Waiting(read[at : at + _GROUP], [None] * _GROUP, [False] * _GROUP))
            for at in range(0, _ROWS, _GROUP)
        ],
    )


def main() -> None:
    """Both ends."""
    tap_steps()
    with tempfile.TemporaryDirectory() as folder:
        target_steps(Path(folder))


if __name__ == "__main__":
    main()
