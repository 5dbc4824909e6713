"""``inspect``: any .hyper file, shown from a copy."""

from __future__ import annotations

import os
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from tests.target.messages import record, schema

if TYPE_CHECKING:
    from pathlib import Path

    from tests.target.commands import Commands
    from tests.target.harness import Extracts

    from target_tableau_hyper.extract.engine import Engine


@pytest.fixture
def extract(extracts: Extracts) -> Path:
    properties = {
        "id": {"type": "integer"},
        "amount": {"type": ["null", "number"], "title": "Amount in EUR"},
        "text": {"type": ["null", "string"]},
        "posted": {"type": ["null", "boolean"]},
    }
    rows: list[dict[str, Any]] = [
        {"id": 1, "amount": Decimal("-0.05"), "text": "x" * 100, "posted": True},
        {"id": 2, "amount": None, "text": "a\tb\u001b[31m", "posted": None},
        {"id": 3, "amount": Decimal("12345678901234567890.123456"), "text": "", "posted": False},
    ]
    extracts.run([schema("gl", properties), *(record("gl", row) for row in rows)])
    return extracts.path("gl")


@pytest.fixture
def foreign(engines: dict[int, Engine], tmp_path: Path) -> Path:
    """A file with two schemas, odd names and odd types, of another program."""
    path = tmp_path / "foreign.hyper"
    with engines[2].open(path, create=True) as database:
        for statement in (
            'CREATE SCHEMA "Extract"',
            'CREATE TABLE "Extract"."fact" (k BIGINT NOT NULL, d DATE, t TIMESTAMP, b BYTES)',
            """INSERT INTO "Extract"."fact"
               VALUES (1, '2024-02-29', '2024-02-29 01:02:03.4', '\\xff')""",
            'CREATE TABLE "we ""quote"""  ("a.b" DOUBLE PRECISION, i INTERVAL)',
        ):
            database.run(statement)
    return path


def state(path: Path) -> tuple[bytes, int]:
    return path.read_bytes(), path.stat().st_mtime_ns


def test_an_extract_by_its_file(command: Commands, extract: Path) -> None:
    before = state(extract)
    done = command.bare("inspect", str(extract))
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == f"{extract}: {extract.stat().st_size:,} bytes, file format 3"
    assert lines[2] == "Extract.Extract: 3 rows"
    assert [line.split(maxsplit=3) for line in lines[3:6]] == [
        ["COLUMN", "TYPE", "NULL", "CAPTION"],
        ["id", "BIG_INT", "no"],
        ["amount", "NUMERIC(38,", "6)", "yes   Amount in EUR"],
    ]
    assert "-0.050000" in done.out
    assert "12345678901234567890.123456" in done.out
    assert "NULL" in done.out
    assert "x" * 60 not in done.out, "long texts are cut"
    assert "\u001b" not in done.out, "control characters stay out of the terminal"
    assert state(extract) == before


def test_an_extract_by_its_name_as_json(command: Commands, extract: Path) -> None:
    done = command("inspect", "gl", "--format", "json", output_dir=str(extract.parent))
    assert done.code == 0
    shown = done.json
    (table,) = shown.pop("tables")
    assert shown == {"file": str(extract), "size": extract.stat().st_size, "hyper_version": 3}
    assert (table["schema"], table["name"], table["rows"]) == ("Extract", "Extract", 3)
    assert table["columns"][:2] == [
        {"name": "id", "type": "BIG_INT", "nullable": False, "caption": None},
        {
            "name": "amount",
            "type": "NUMERIC(38, 6)",
            "nullable": True,
            "caption": "Amount in EUR",
        },
    ]
    assert sorted(table["first_rows"]) == [
        [1, "-0.050000", "x" * 100, True],
        [2, None, "a\tb\u001b[31m", None],
        [3, "12345678901234567890.123456", "", False],
    ]


def test_rows_are_as_many_as_asked_for(command: Commands, extract: Path) -> None:
    for number in (0, 2):
        done = command.bare("inspect", str(extract), "--rows", str(number), "--format=json")
        assert len(done.json["tables"][0]["first_rows"]) == number
    assert "12345678901234567890" not in command.bare("inspect", str(extract), "--rows=0").out


def test_a_foreign_file_of_several_tables_is_shown_and_not_touched(
    command: Commands, foreign: Path
) -> None:
    before = state(foreign)
    found = command.bare("inspect", str(foreign), "--format", "json").json
    assert found["hyper_version"] == 2
    tables = {(one["schema"], one["name"]): one for one in found["tables"]}
    assert tables.keys() == {("Extract", "fact"), ("public", 'we "quote"')}
    fact = tables["Extract", "fact"]
    assert fact["first_rows"] == [[1, "2024-02-29", "2024-02-29 01:02:03.400000", "ff"]]
    assert [(c["name"], c["type"], c["nullable"]) for c in fact["columns"]] == [
        ("k", "BIG_INT", False),
        ("d", "DATE", True),
        ("t", "TIMESTAMP", True),
        ("b", "BYTES", True),
    ]
    odd = tables["public", 'we "quote"']
    assert (odd["rows"], odd["first_rows"]) == (0, [])
    assert state(foreign) == before
    assert {path.name for path in foreign.parent.iterdir()} == {"foreign.hyper"}


@pytest.mark.parametrize("wanted", ["fact", "Extract.fact"])
def test_one_table(command: Commands, foreign: Path, wanted: str) -> None:
    done = command.bare("inspect", str(foreign), "--table", wanted)
    assert "Extract.fact: 1 rows" in done.out
    assert "quote" not in done.out


def test_a_table_that_is_not_there(command: Commands, foreign: Path) -> None:
    done = command.bare("inspect", str(foreign), "--table", "facts")
    assert done.code == 78
    assert "has no table 'facts'; its tables are Extract.fact, public.we" in done.last_line


def test_read_only_files_are_read(command: Commands, foreign: Path) -> None:
    foreign.chmod(0o440)
    assert command.bare("inspect", str(foreign)).code == 0


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"PK\x03\x04 not hyper" * 500, id="another format"),
    ],
)
def test_a_file_that_is_none_is_65(command: Commands, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.hyper"
    path.write_bytes(content)
    done = command.bare("inspect", str(path))
    assert done.code == 65
    assert "cannot be opened as a .hyper file" in done.last_line


def test_a_truncated_file_is_65(command: Commands, extract: Path) -> None:
    os.truncate(extract, extract.stat().st_size // 2)
    done = command.bare("inspect", str(extract))
    assert done.code == 65
    assert "truncated" in done.last_line


def test_unknown_names_and_files_that_are_gone(command: Commands, extract: Path) -> None:
    config: dict[str, Any] = {"output_dir": str(extract.parent)}
    done = command("inspect", "gll", **config)
    assert done.code == 78
    assert "'gll' is no file" in done.last_line
    assert "the closest are 'gl'" in done.last_line
    extract.unlink()
    done = command("inspect", "gl", **config)
    assert (done.code, "gl.hyper is gone" in done.last_line) == (78, True)


def test_a_broken_manifest_only_costs_the_captions(command: Commands, extract: Path) -> None:
    (extract.parent / "gl.manifest.json").write_text("{}")
    done = command.bare("inspect", str(extract))
    assert done.code == 0
    assert "Amount in EUR" not in done.out
