"""The target's records: the same at every run and in every form."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from benchmarks.data.records import (
    FILE_ROWS,
    KEY,
    batch_messages,
    schema,
    write_bare_records,
    write_changes,
    write_lines,
    write_types,
)

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 200


def messages(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_lines_are_singer_messages_of_thirty_fields(tmp_path: Path) -> None:
    write_lines(tmp_path / "lines", ROWS)
    first, *records, last = messages(tmp_path / "lines")
    assert (first["type"], last["type"], len(records)) == ("SCHEMA", "STATE", ROWS)
    assert {len(message["record"]) for message in records} == {30}
    assert all(message["record"].keys() == schema()["properties"].keys() for message in records)
    assert [message["record"][KEY] for message in records] == list(range(ROWS))
    size = (tmp_path / "lines").stat().st_size / ROWS
    assert size == pytest.approx(775, rel=0.05)


def test_bare_records_are_those_of_the_lines(tmp_path: Path) -> None:
    write_lines(tmp_path / "lines", ROWS)
    write_bare_records(tmp_path / "bare", ROWS)
    assert messages(tmp_path / "bare") == [m["record"] for m in messages(tmp_path / "lines")[1:-1]]


def test_the_same_records_are_made_again(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_lines(tmp_path / name, ROWS)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_changes_have_other_amounts_and_are_spread_over_the_table(tmp_path: Path) -> None:
    for version in (0, 1):
        write_changes(tmp_path / str(version), 10, ROWS, version)
    before, after = (pq.read_table(tmp_path / str(version)) for version in (0, 1))
    assert after[KEY].to_pylist() == list(range(0, ROWS, 20))
    differing = {name for name in before.column_names if before[name] != after[name]}
    assert differing == {name for name in before.column_names if name.startswith("amount_")}


def test_the_types_are_those_of_every_file(tmp_path: Path) -> None:
    write_types(tmp_path / "types")
    write_changes(tmp_path / "changes", 10, ROWS, 1)
    assert pq.read_schema(tmp_path / "types") == pq.read_schema(tmp_path / "changes")


def test_a_batch_names_its_files(tmp_path: Path) -> None:
    written = batch_messages(tmp_path / "batch", [tmp_path / "0000.parquet"])
    kinds = [message["type"] for message in messages(written)]
    assert kinds == ["SCHEMA", "BATCH", "STATE"]
    assert messages(written)[1]["manifest"] == [f"file://{tmp_path}/0000.parquet"]
    assert FILE_ROWS > ROWS
