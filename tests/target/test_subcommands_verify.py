"""``verify``: every extract is what was sealed, and reading it changes no byte."""

from __future__ import annotations

import json
import os
import shutil
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from tests.target.messages import record, schema

from target_tableau_hyper.extract.engine import TABLE
from target_tableau_hyper.lock import hold_directory

if TYPE_CHECKING:
    from pathlib import Path

    from tests.target.commands import Commands
    from tests.target.harness import Extracts, Tableau

    from target_tableau_hyper.extract.engine import Engine

COLUMNS = {"id": {"type": "integer"}, "amount": {"type": ["null", "number"]}}


@pytest.fixture
def sealed(extracts: Extracts) -> Extracts:
    """Two extracts: with rows, and one that was emptied."""
    rows = [record("gl", {"id": i, "amount": Decimal("-0.05")}) for i in range(3)]
    gone = {"id": 1, "_sdc_deleted_at": "2024-01-01T00:00:00Z"}
    extracts.run([schema("gl", COLUMNS), *rows, schema("ap", COLUMNS), record("ap", {"id": 1})])
    extracts.run([schema("ap", COLUMNS), record("ap", gone)])
    return extracts


@pytest.fixture
def config(extracts: Extracts) -> dict[str, Any]:
    return {"output_dir": str(extracts.directory)}


def snapshot(directory: Path) -> dict[str, tuple[bytes, int]]:
    files = [path for path in directory.iterdir() if path.is_file() and path.name != ".lock"]
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def change_manifest(extracts: Extracts, name: str, **changes: object) -> None:
    path = extracts.directory / f"{name}.manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_all_hold_and_no_byte_changes(
    command: Commands, sealed: Extracts, config: dict[str, Any]
) -> None:
    before = snapshot(sealed.directory)
    done = command("verify", "--totals", **config)
    assert (done.code, done.err) == (0, "")
    lines = [line.split() for line in done.out.splitlines()]
    assert lines[0] == ["FILE", "STREAM", "ROWS", "AS", "OF", "SEAL"]
    assert [line[:3] + line[4:] for line in lines[1:3]] == [
        ["ap.hyper", "ap", "0", "holds"],
        ["gl.hyper", "gl", "3", "holds"],
    ]
    assert ["gl.hyper", "amount", "-0.15"] in lines
    assert snapshot(sealed.directory) == before
    assert sealed.left_over() == []


def test_json_has_everything(command: Commands, sealed: Extracts, config: dict[str, Any]) -> None:
    (found,) = command("verify", "gl", "--format", "json", **config).json
    manifest = sealed.manifest("gl")
    assert found == {
        "file": "gl.hyper",
        "holds": True,
        "problems": [],
        "stream": "gl",
        "datasource": "gl",
        "rows": 3,
        "totals": {"amount": "-0.15"},
        "sha256": manifest["sha256"],
        "as_of": manifest["as_of"],
        "run_id": manifest["run_id"],
    }


def test_flipped_bit_is_found(command: Commands, sealed: Extracts, config: dict[str, Any]) -> None:
    path = sealed.path("gl")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    done = command("verify", **config)
    assert done.code == 70
    assert "1 of 2 extracts do not hold: gl.hyper (it was altered since run" in done.last_line
    assert "does not hold" in done.out
    assert command("verify", "ap", **config).code == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"rows": 4}, "sealed were 4 rows against 3 found", id="rows"),
        pytest.param(
            {"totals": {"amount": "-0.16"}},
            "sealed were sum of 'amount' -0.16 against -0.15 found",
            id="sums",
        ),
        pytest.param({"format": 0}, "gl.manifest.json is no manifest", id="manifest"),
        pytest.param({"format": 9}, "gl.manifest.json was written by a newer", id="newer"),
        pytest.param(
            {"columns": [{"name": "nowhere", "type": "NUMERIC(18,2)", "nullable": True}]},
            "it cannot be read",
            id="columns",
        ),
    ],
)
def test_what_the_hash_cannot_tell_is_counted_again(
    command: Commands,
    sealed: Extracts,
    config: dict[str, Any],
    changes: dict[str, object],
    said: str,
) -> None:
    change_manifest(sealed, "gl", **changes)
    done = command("verify", "gl.hyper", **config)
    assert done.code == 70
    assert said in done.last_line


def test_files_that_are_gone_or_foreign_are_named(
    command: Commands, sealed: Extracts, config: dict[str, Any]
) -> None:
    shutil.copyfile(sealed.path("ap"), sealed.path("foreign"))
    sealed.path("gl").unlink()
    done = command("verify", "--format", "json", **config)
    assert done.code == 70
    assert {one["file"]: one["problems"] for one in done.json} == {
        "ap.hyper": [],
        "foreign.hyper": ["it has no manifest, so this target did not write it"],
        "gl.hyper": ["the file is gone"],
    }
    assert "2 of 3 extracts do not hold: foreign.hyper" in done.last_line


def test_an_emptied_extract_that_hyperd_touched_holds_and_one_with_rows_does_not(
    command: Commands, sealed: Extracts, config: dict[str, Any], engines: dict[int, Engine]
) -> None:
    """hyperd rewrites an emptied table's space when it opens the file."""
    path = sealed.path("ap")
    with engines[3].open(path) as database:
        database.run(f"DELETE FROM {TABLE}")  # noqa: S608 - constant
    change_manifest(sealed, "ap", sha256="0" * 64)
    assert command("verify", "ap", **config).code == 0
    with engines[3].open(path) as database:
        database.run(f"INSERT INTO {TABLE} VALUES (1, NULL)")  # noqa: S608 - constant
    assert "0 rows against 1" in command("verify", "ap", **config).last_line


def test_what_a_run_that_died_left_behind_the_others_is_told(
    command: Commands, sealed: Extracts, config: dict[str, Any]
) -> None:
    """One extract is the new one with its manifest still on its way, one is all on its way."""
    waiting = sealed.directory / ".commit"
    waiting.mkdir()
    shutil.copyfile(sealed.directory / "gl.manifest.json", waiting / "gl.manifest.json")
    change_manifest(sealed, "gl", sha256="0" * 64, rows=1)
    for name in ("ap.manifest.json", "ap.hyper"):
        shutil.move(sealed.directory / name, waiting)
    before = snapshot(sealed.directory)
    done = command("verify", "--format", "json", **config)
    assert done.code == 70
    said = (
        "a run died while its extracts took their places, and this one has not yet; the next run "
        "or `publish` finishes that"
    )
    found = {one["file"]: one["problems"][:1] for one in done.json}
    assert found == {"ap.hyper": [said], "gl.hyper": [said]}
    assert "it was altered" not in done.out
    assert snapshot(sealed.directory) == before


def test_published_data_sources_are_compared(
    command: Commands, extracts: Extracts, tableau: Tableau
) -> None:
    names = ("current", "changed", "missing")
    for stream in names:
        extracts.run([schema(stream, COLUMNS), record(stream, {"id": 1})], **tableau.config)
    extracts.run([schema("pending", COLUMNS), record("pending", {"id": 1})])
    config = {**tableau.config, "output_dir": str(extracts.directory)}
    done = command("verify", "--published", *names, **config)
    assert done.code == 0, done.out
    assert [line.split()[4] for line in done.out.splitlines()[1:]] == ["current"] * 3
    with tableau.client() as client:
        found = {one.name: one for one in client.datasources.get()[0]}
        client.datasources.delete(str(found["missing"].id))
        found["changed"].description = "by hand"
        client.datasources.update(found["changed"])
        # As if somebody else had published a data source of that name.
        client.datasources.publish(_named(found["changed"]), extracts.path("pending"), "Overwrite")
    done = command("verify", "--published", "--format", "json", **config)
    assert done.code == 70
    assert {one["stream"]: one["published"] for one in done.json} == {
        "current": "current",
        "changed": "changed by somebody else",
        "missing": "missing",
        "pending": "missing",
    }
    assert "3 of 4 extracts do not hold" in done.last_line
    assert command("verify", **config).code == 0, "without --published nobody asks"
    extracts.run([schema("current", COLUMNS), record("current", {"id": 2})])
    done = command("verify", "--published", "current", **config)
    assert (done.code, "published data source default/current: pending" in done.out) == (70, True)


def _named(item: Any) -> Any:  # noqa: ANN401
    item.project_id = str(item.project_id)
    return item


@pytest.mark.usefixtures("sealed")
def test_published_needs_tableau_and_nothing_else_does(
    command: Commands, config: dict[str, Any]
) -> None:
    assert command("verify", "--published", **config).code == 78
    assert command("verify", **config, tableau_server_url="https://x.contoso.com").code == 0


def test_locked_missing_and_empty_directories(
    command: Commands, sealed: Extracts, tmp_path: Path
) -> None:
    with hold_directory(sealed.directory, wait_s=0):
        assert command("verify", output_dir=str(sealed.directory), lock_timeout=0).code == 73
    missing = tmp_path / "nowhere"
    assert command("verify", output_dir=str(missing)).code == 78
    assert not missing.exists()
    empty = tmp_path / "empty"
    os.mkdir(empty)  # noqa: PTH102
    done = command("verify", "--format", "json", output_dir=str(empty))
    assert (done.code, done.json) == (0, [])
