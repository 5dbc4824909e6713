"""Records of 30 fields and about 750 bytes, for the target: lines, Parquet files, changes.

One SQL statement says what the records are; DuckDB writes them as Singer lines, as bare JSON lines
for a floor, and as Parquet, each in constant memory. A record follows from its number and the
version of the data alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import msgspec

if TYPE_CHECKING:
    from pathlib import Path

STREAM = "BenchEntries"
KEY = "entry_id"
#: Rows of one Parquet file.
FILE_ROWS = 250_000

_STRINGS, _DECIMALS, _INTEGERS, _INSTANTS, _BOOLEANS = 11, 8, 4, 4, 2
#: Amounts lie between plus and minus so many cents.
_LARGEST = 10**9
_TEXTS = "['payment', 'invoice', 'Überweisung', 'freight', 'rent', 'accrual', 'licence', 'steel']"


def schema() -> dict[str, Any]:
    """JSON Schema of a record."""
    number = {
        "type": ["number", "null"],
        "x-sql-datatype-properties": {"precision": 18, "scale": 2},
    }
    instant = {"type": ["string", "null"], "format": "date-time"}
    return {
        "type": "object",
        "properties": {
            KEY: {"type": "integer"},
            **{f"text_{n}": {"type": ["string", "null"]} for n in range(_STRINGS)},
            **{f"amount_{n}": number for n in range(_DECIMALS)},
            **{f"number_{n}": {"type": ["integer", "null"]} for n in range(_INTEGERS)},
            **{f"instant_{n}": instant for n in range(_INSTANTS)},
            **{f"flag_{n}": {"type": ["boolean", "null"]} for n in range(_BOOLEANS)},
        },
        "required": [KEY],
    }


def schema_line() -> bytes:
    """The SCHEMA message."""
    message = {"type": "SCHEMA", "stream": STREAM, "schema": schema(), "key_properties": [KEY]}
    return msgspec.json.encode(message) + b"\n"


def write_lines(path: Path, rows: int) -> None:
    """Write SCHEMA, RECORD messages and a STATE."""
    names = ", ".join(f"'{name}': {name}" for name in schema()["properties"])
    records = f"SELECT 'RECORD' AS type, '{STREAM}' AS stream, {{{names}}} AS record"
    _copy(f"{records} FROM ({select(0, rows, texts=True)})", path, "FORMAT json")
    body = path.with_name(f"{path.name}.body")
    path.rename(body)
    with path.open("wb") as out, body.open("rb") as lines:
        out.write(schema_line())
        while piece := lines.read(1 << 24):
            out.write(piece)
        out.write(b'{"type":"STATE","value":{"bookmarks":{}}}\n')
    body.unlink()


def write_bare_records(path: Path, rows: int) -> None:
    """Write the same records without their messages, a line each."""
    _copy(select(0, rows, texts=True), path, "FORMAT json")


def write_types(path: Path) -> None:
    """Write one record as Parquet: its types are those of all files."""
    _copy(select(0, 1), path, "FORMAT parquet")


def write_batches(folder: Path, rows: int) -> None:
    """Write the records into Parquet files and the messages that name them."""
    folder.mkdir(parents=True)
    for start in range(0, rows, FILE_ROWS):
        stop = min(rows, start + FILE_ROWS)
        _copy(select(start, stop), folder / f"{start // FILE_ROWS:04}.parquet", "FORMAT parquet")


def write_changes(path: Path, rows: int, of_rows: int, version: int) -> None:
    """Write new versions of records, evenly out of the first ``of_rows``, into one Parquet file."""
    step = max(1, of_rows // rows)
    statement = select(0, rows * step, version=version)
    _copy(f"SELECT * FROM ({statement}) WHERE {KEY} % {step} = 0", path, "FORMAT parquet")  # noqa: S608 - ours


def batch_messages(path: Path, files: list[Path]) -> Path:
    """Write SCHEMA, BATCH and STATE for Parquet files to ``path``."""
    batch = {
        "type": "BATCH",
        "stream": STREAM,
        "encoding": {"format": "parquet", "compression": "snappy"},
        "manifest": [f"file://{file.absolute()}" for file in files],
    }
    state = {"type": "STATE", "value": {"bookmarks": {}}}
    lines = [msgspec.json.encode(message) + b"\n" for message in (batch, state)]
    path.write_bytes(schema_line() + b"".join(lines))
    return path


def select(start: int, stop: int, *, version: int = 0, texts: bool = False) -> str:
    """SQL of the records from ``start`` to before ``stop``.

    Args:
        start: First number.
        stop: Behind the last one.
        version: Another one gives each record other amounts.
        texts: Instants as JSON has them.
    """
    instants = [
        f"TIMESTAMPTZ '2021-01-01 00:00:00+00' + to_seconds({_draw(20 + n, 157_680_000)})"
        for n in range(_INSTANTS)
    ]
    if texts:
        instants = [
            f"strftime(({instant}) AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%SZ')"
            for instant in instants
        ]
    amounts = [f"({_draw(40 + n, 2 * _LARGEST, version)} - {_LARGEST})" for n in range(_DECIMALS)]
    columns = [
        f"i AS {KEY}",
        *(
            f"{_TEXTS}[1 + {_draw(60 + n, 8)}] || ' ' || {_draw(n, 10**6)} AS text_{n}"
            for n in range(_STRINGS)
        ),
        *(f"({amount} / 100.0)::DECIMAL(18, 2) AS amount_{n}" for n, amount in enumerate(amounts)),
        *(f"{_draw(80 + n, 10**6)} AS number_{n}" for n in range(_INTEGERS)),
        *(f"{instant} AS instant_{n}" for n, instant in enumerate(instants)),
        *(f"{_draw(90 + n, 2)} = 0 AS flag_{n}" for n in range(_BOOLEANS)),
    ]
    return f"SELECT {', '.join(columns)} FROM range({start}, {stop}) AS numbers(i)"  # noqa: S608 - ours


def _draw(column: int, below: int, version: int = 0) -> str:
    """SQL of a number that follows from the record's and the column's."""
    return f"(hash(i + 1, {column + 1}, {version}) % {below})::BIGINT"


def _copy(statement: str, path: Path, options: str) -> None:
    with duckdb.connect() as database:
        database.execute("SET memory_limit = '1GB'; SET TimeZone = 'UTC'")
        database.execute(f"COPY ({statement}) TO '{path}' ({options})")
