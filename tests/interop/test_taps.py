"""Taps that others wrote feed our target, and every cell is read back and compared.

meltanolabs-tap-postgres on a real PostgreSQL and tap-jsonl, both unmodified, by RECORD messages and
by the SDK's own BATCH files. psycopg reads both sides: PostgreSQL, and hyperd through its socket.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg
import pytest
from tests.hyper_reader import hyper_reader
from tests.interop.peers import TAP_JSONL, TAP_POSTGRES, scripts_of, shell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.hyper_reader import HyperReader
    from tests.interop.peers import Peer
    from tests.interop.postgres import Postgres

TARGET = Path(sys.executable).with_name("target-tableau-hyper")

TABLE = """
CREATE SCHEMA erp;
CREATE TABLE erp.everything (
  id bigint PRIMARY KEY, exact numeric(38, 10), money numeric, small smallint, whole integer,
  double double precision, flag boolean, label text, code varchar(10), day date,
  moment timestamptz, local timestamp, hour time, unique_id uuid, document jsonb, numbers integer[],
  "Odd ""name"" 💡" text
);
"""

ROWS: list[tuple[Any, ...]] = [
    (
        1,
        Decimal("-0.0500000000"),
        Decimal("123456789012345678.90"),
        -32768,
        2147483647,
        0.1,
        True,
        "NUL is not to be had, tabs\tand 'quotes' are",
        "10 letters",
        date(2024, 2, 29),
        datetime(2024, 2, 29, 23, 59, 59, 999999, UTC),
        datetime(1999, 12, 31, 1, 2, 3),  # noqa: DTZ001 - a column without a zone
        time(23, 59, 59),
        "6f1c9f0e-5d0e-4a5b-9d55-7a0f6c0f2c11",
        '{"a": [1, {"b": null}], "c": 1.5}',
        [1, 2, 3],
        "=cmd()",
    ),
    (2, *[None] * 16),
    (9007199254740993, Decimal("9" * 27 + ".1234567890"), Decimal("1e-20"), 0, -1, -1e15, False,
     "", "", date(1900, 1, 1), datetime(1, 1, 2, tzinfo=UTC), None, time(0), None, "{}", [], None),
]  # fmt: skip


@pytest.fixture(scope="module")
def source(postgres: Postgres) -> Iterator[Postgres]:
    with psycopg.connect(
        host=str(postgres.socket), user=postgres.user, dbname="postgres", autocommit=True
    ) as connection:
        connection.execute(TABLE.encode())
        marks = ", ".join(["%s"] * 17)
        for row in ROWS:
            connection.execute(f"INSERT INTO erp.everything VALUES ({marks})".encode(), row)  # noqa: S608 - marks
        yield postgres
        connection.execute("DROP SCHEMA erp CASCADE")


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HyperReader]:
    with hyper_reader(tmp_path_factory.mktemp("copies")) as made:
        yield made


def piped(
    peer: Peer,
    script: str,
    config: dict[str, Any],
    target: dict[str, Any],
    scratch: Path,
    *,
    refused: str = "",
) -> Path:
    """Run a tap into our target, which takes all or says ``refused``; returns its output_dir."""
    tap = scripts_of(peer) / script
    (scratch / "tap.json").write_text(json.dumps(config))
    output = scratch / "output"
    (scratch / "target.json").write_text(json.dumps({"output_dir": str(output), **target}))
    discovered = subprocess.run(
        [tap, "--config", "tap.json", "--discover"], cwd=scratch, capture_output=True, env=shell(),
        timeout=120, check=False,
    )  # fmt: skip
    assert discovered.returncode == 0, discovered.stderr.decode()
    catalog = json.loads(discovered.stdout)
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            entry["metadata"]["selected"] = True
    (scratch / "catalog.json").write_text(json.dumps(catalog))
    messages = subprocess.run(
        [tap, "--config", "tap.json", "--catalog", "catalog.json"], cwd=scratch,
        capture_output=True, env=shell(), timeout=120, check=False,
    )  # fmt: skip
    assert messages.returncode == 0, messages.stderr.decode()
    done = subprocess.run(
        [TARGET, "--config", "target.json"], cwd=scratch, input=messages.stdout,
        capture_output=True, env=shell(), timeout=120, check=False,
    )  # fmt: skip
    if refused:
        assert (done.returncode, refused in done.stderr.decode()) == (65, True), (
            done.stderr.decode()
        )
        return output
    assert done.returncode == 0, done.stderr.decode()
    if "batch_config" in config:
        assert b'"BATCH"' in messages.stdout
    return output


def settings(source: Postgres, scratch: Path, **options: Any) -> dict[str, Any]:  # noqa: ANN401
    """Of the tap: every table of the schema ``erp``, whole."""
    if "batch_config" in options:
        options["batch_config"] = {
            "encoding": {"format": "jsonl", "compression": "gzip"},
            "storage": {"root": f"file://{scratch}/batches"},
        }
    return {
        # The tap asks for a host and a password; libpq takes the folder of the socket.
        "sqlalchemy_url": f"postgresql+psycopg2://{source.user}:x@localhost:5432/postgres"
        f"?host={quote(str(source.socket), safe='')}",
        "filter_schemas": ["erp"],
        "default_replication_method": "FULL_TABLE",
        **options,
    }


def exact(value: Any, like: Any) -> Any:  # noqa: ANN401
    """A stored value as PostgreSQL has it: JSON is compared as what it means."""
    if isinstance(like, list | dict) and isinstance(value, str):
        return json.loads(value)
    if isinstance(like, datetime) and like.tzinfo is None:
        return value.replace(tzinfo=None)
    if isinstance(like, float):
        return float(value)
    return str(value) if isinstance(like, str) else value


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="records"),
        pytest.param({"use_singer_decimal": True}, id="x-singer.decimal"),
        pytest.param({"json_as_object": True}, id="JSON as object"),
        pytest.param({"batch_config": "jsonl"}, id="batches of json lines"),
    ],
)
def test_every_type_of_postgresql_comes_through(
    source: Postgres,
    reader: HyperReader,
    tmp_path: Path,
    options: dict[str, Any],
) -> None:
    config = settings(source, tmp_path, **options)
    output = piped(TAP_POSTGRES, "tap-postgres", config, {}, tmp_path)
    names, found = reader.table(output / "erp-everything.hyper")
    with psycopg.connect(
        host=str(source.socket), user=source.user, dbname="postgres"
    ) as connection:
        there = connection.execute("SELECT * FROM erp.everything ORDER BY id")
        columns = [column.name for column in there.description or ()]
        expected = there.fetchall()
    assert set(names) == set(columns)
    places = [names.index(column) for column in columns]
    for row, wanted in zip(found, expected, strict=True):
        cells = [str(w) if hasattr(w, "hex") and not isinstance(w, float) else w for w in wanted]
        assert [exact(row[p], w) for p, w in zip(places, cells, strict=True)] == cells


def test_a_tap_that_breaks_its_own_schema_is_refused_or_taken(
    source: Postgres,
    reader: HyperReader,
    tmp_path: Path,
) -> None:
    """tap-postgres says that the members of an array are never null; PostgreSQL lets them be."""
    with psycopg.connect(
        host=str(source.socket), user=source.user, dbname="postgres", autocommit=True
    ) as connection:
        connection.execute("CREATE TABLE erp.holes (id int PRIMARY KEY, numbers integer[])")
        connection.execute("INSERT INTO erp.holes VALUES (1, ARRAY[1, NULL, 3])")
        try:
            config = settings(source, tmp_path)
            told = "stream 'erp-holes', key {\"id\":1}: numbers.1 breaks the schema's 'type'"
            output = piped(TAP_POSTGRES, "tap-postgres", config, {}, tmp_path, refused=told)
            assert not list(output.glob("*.hyper"))
            lenient = {"validate_records": False}
            output = piped(TAP_POSTGRES, "tap-postgres", config, lenient, tmp_path)
        finally:
            connection.execute("DROP TABLE erp.holes")
    names, found = reader.table(output / "erp-holes.hyper")
    assert [dict(zip(names, row, strict=True))["numbers"] for row in found] == ["[1,null,3]"]


def test_json_lines_of_any_shape_come_through(reader: HyperReader, tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [
        {"id": 1, "name": "Contoso", "amount": 0.1, "tags": ["a", "b"], "inside": {"x": 1}},
        {"id": 2, "name": None, "amount": 1e15, "extra": True},
    ]
    (tmp_path / "in.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    config = {"path": str(tmp_path / "in.jsonl"), "stream_name": "lines", "primary_keys": ["id"]}
    output = piped(TAP_JSONL, "tap-jsonl", config, {"validate_records": False}, tmp_path)
    names, found = reader.table(output / "lines.hyper")
    rows = [dict(zip(names, row, strict=True)) for row in found]
    for row, line in zip(rows, lines, strict=True):
        for name, value in line.items():
            assert exact(row[name], value) == value, name
