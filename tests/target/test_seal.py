"""An extract counts only as it was sealed: proofs, alterations, crashes between two files."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from tests.target.messages import record, schema

from pipeline_core.errors import IntegrityError
from pipeline_core.ledger import Ledger
from target_tableau_hyper.extract.engine import TABLE, start_engine
from target_tableau_hyper.extract.figures import Figures, measure, text
from target_tableau_hyper.extract.layout import TableColumn
from target_tableau_hyper.extract.manifest import Manifest
from target_tableau_hyper.extract.schema import Kind
from target_tableau_hyper.extract.seal import prove, read_back
from target_tableau_hyper.extract.store import ExtractStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.target.harness import Extracts, Rows


SCHEMA = schema("gl", {"id": {"type": "integer"}, "amount": {"type": ["null", "number"]}})
COLUMNS = (TableColumn("id", Kind.INTEGER), TableColumn("amount", Kind.NUMERIC, 38, 2))
LARGEST = Decimal("9" * 36 + ".99")


def amounts(*values: str | Decimal) -> list[dict[str, Any]]:
    return [SCHEMA, *(record("gl", {"id": i, "amount": Decimal(v)}) for i, v in enumerate(values))]


@pytest.fixture
def sealed(extracts: Extracts) -> Extracts:
    extracts.run(amounts("-0.05", "7.25"))
    return extracts


def test_manifest_tells_rows_sums_and_hash(sealed: Extracts) -> None:
    manifest = sealed.manifest("gl")
    assert manifest["rows"] == 2
    assert manifest["totals"] == {"amount": "7.20"}
    assert manifest["size"] == sealed.path("gl").stat().st_size
    assert manifest["previous_sha256"] is None
    assert manifest["keys"] == ["id"]
    assert manifest["hyper_version"] == 3
    assert manifest["delivered"] is None


def test_reading_an_extract_does_not_break_its_seal(sealed: Extracts, tmp_path: Path) -> None:
    """Tableau's own hyperd leaves a file that it reads alone; pantab's older one at times not."""
    with start_engine(hyper_version=3) as engine, engine.open(sealed.path("gl")) as database:
        assert database.row(f"SELECT count(*) FROM {TABLE}") == [2]  # noqa: S608
    copy = tmp_path / "copy.hyper"
    shutil.copyfile(sealed.path("gl"), copy)
    assert read_back(copy, COLUMNS) == Figures(2, {"amount": Decimal("7.20")})
    sealed.run(amounts("1"))
    assert sealed.manifest("gl")["rows"] == 2


def flip_bytes(path: Path) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4] = bytes(255 - byte for byte in content[middle : middle + 4])
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def change_a_row(path: Path) -> None:
    with start_engine(hyper_version=3) as engine, engine.open(path) as database:
        database.run(f'UPDATE {TABLE} SET "amount" = 0 WHERE "id" = 0')  # noqa: S608


@pytest.mark.parametrize("alter", [flip_bytes, truncate, change_a_row])
def test_l05_altered_extract_is_refused(sealed: Extracts, alter: Callable[[Path], None]) -> None:
    alter(sealed.path("gl"))
    before = sealed.path("gl").read_bytes()
    with pytest.raises(IntegrityError, match=r"gl\.hyper was altered since run .* sealed it"):
        sealed.run(amounts("1"))
    assert sealed.path("gl").read_bytes() == before


def test_l05_rows_put_into_an_empty_extract_are_noticed(extracts: Extracts) -> None:
    extracts.run([SCHEMA])
    with start_engine(hyper_version=3) as engine, engine.open(extracts.path("gl")) as database:
        database.run(f"INSERT INTO {TABLE} VALUES (1, 5)")  # noqa: S608
    with pytest.raises(IntegrityError, match="was altered"):
        extracts.run(amounts("1"))


def test_foreign_hyper_file_is_not_overwritten(sealed: Extracts) -> None:
    (sealed.directory / "gl.manifest.json").unlink()
    with pytest.raises(IntegrityError, match="has no manifest, so it was not written by this"):
        sealed.run(amounts("1"))


def test_missing_extract_is_not_begun_anew_in_silence(sealed: Extracts) -> None:
    sealed.path("gl").unlink()
    with pytest.raises(IntegrityError, match="rows of earlier runs would be missing"):
        sealed.run(amounts("1"))


@pytest.mark.parametrize("content", ["", "{}", '{"format": 0}', "[]", '{"format": 1, "x": 2}'])
def test_broken_manifest_is_refused(sealed: Extracts, content: str) -> None:
    (sealed.directory / "gl.manifest.json").write_text(content)
    with pytest.raises(IntegrityError, match="no manifest of this target"):
        sealed.run(amounts("1"))


def test_manifest_of_a_newer_release_is_left_alone(sealed: Extracts, rows: Rows) -> None:
    path = sealed.directory / "gl.manifest.json"
    before = path.read_bytes()
    path.write_text(json.dumps({**json.loads(before), "format": 2, "news": True}))
    with pytest.raises(IntegrityError, match=r"by a newer release .* leave both files as they are"):
        sealed.run(amounts("1"))
    assert json.loads(path.read_text())["news"] is True
    path.write_bytes(before)
    sealed.run(amounts("1", "2"))
    assert len(rows(sealed.path("gl"))) == 2


@pytest.mark.parametrize("step", ["before the extract", "before the manifest"])
def test_crash_between_extract_and_manifest_is_made_good(
    sealed: Extracts, rows: Rows, tmp_path: Path, step: str
) -> None:
    """What the run that died had put ready counts, and takes its place before the next merge."""
    old = tmp_path / "old"
    shutil.copytree(sealed.directory, old)
    sealed.run(amounts("1", "2"))
    waiting = sealed.directory / ".commit"
    waiting.mkdir()
    shutil.move(sealed.directory / "gl.manifest.json", waiting)
    shutil.copyfile(old / "gl.manifest.json", sealed.directory / "gl.manifest.json")
    if step == "before the extract":
        shutil.move(sealed.path("gl"), waiting)
        shutil.copyfile(old / "gl.hyper", sealed.path("gl"))
    ledger = tmp_path / "ledger.db"
    sealed.run([SCHEMA, record("gl", {"id": 5, "amount": 5})], ledger_path=str(ledger))
    assert rows(sealed.path("gl")) == [(0, Decimal(1)), (1, Decimal(2)), (5, Decimal(5))]
    assert not waiting.exists()
    with Ledger(ledger, run_id="x", actor="x") as book:
        told = [e.body for e in book.events() if e.event == "replacement.finished"]
    assert told == [{"extracts": ["gl"]}]


def test_what_was_not_all_ready_is_forgotten(extracts: Extracts, rows: Rows) -> None:
    preparing = extracts.directory / ".commit.new"
    preparing.mkdir(parents=True)
    (preparing / "gl.manifest.json").write_text("{}")
    (preparing / "gl.hyper").write_bytes(b"half")
    extracts.run(amounts("1"))
    assert rows(extracts.path("gl")) == [(0, Decimal(1))]
    assert not preparing.exists()


@pytest.mark.parametrize(
    ("expected", "why"),
    [
        pytest.param(Figures(3, {"amount": Decimal("7.20")}), "3 rows against 2", id="rows"),
        pytest.param(
            Figures(2, {"amount": Decimal("7.21")}), "7.21 against 7.20", id="sum by a cent"
        ),
    ],
)
def test_copy_that_does_not_hold_what_was_merged_is_refused(
    sealed: Extracts, expected: Figures, why: str
) -> None:
    with pytest.raises(IntegrityError, match=why):
        prove("gl", sealed.path("gl"), COLUMNS, expected)


def test_sums_beyond_38_digits_are_exact(extracts: Extracts) -> None:
    """hyperd overflows there and decimal128 wraps around."""
    extracts.run(amounts(LARGEST, LARGEST, LARGEST))
    total = "2" + "9" * 36 + ".97"
    assert extracts.manifest("gl")["totals"] == {"amount": total}
    with start_engine(hyper_version=3) as engine, engine.open(extracts.path("gl")) as database:
        assert text(measure(database, TABLE, {"a": '"amount"'}).totals["a"]) == total


def test_merge_that_loses_a_row_is_noticed(
    extracts: Extracts, monkeypatch: pytest.MonkeyPatch
) -> None:
    extracts.run(amounts("1", "2"))
    before = extracts.path("gl").read_bytes()
    monkeypatch.setattr(
        "target_tableau_hyper.loading.prove",
        lambda stream, path, columns, expected: prove(
            stream, path, columns, Figures(expected.rows + 1, expected.totals)
        ),
    )
    with pytest.raises(IntegrityError, match="does not hold what was merged"):
        extracts.run(amounts("5"))
    assert extracts.path("gl").read_bytes() == before


def test_one_bad_stream_keeps_all_extracts_as_they_are(extracts: Extracts) -> None:
    second = schema("ap", {"id": {"type": "integer"}})
    extracts.run([*amounts("1"), second, record("ap", {"id": 1})])
    before = extracts.path("gl").read_bytes()
    flip_bytes(extracts.path("ap"))
    with pytest.raises(IntegrityError, match=r"ap\.hyper was altered"):
        extracts.run([*amounts("2"), second, record("ap", {"id": 1})])
    assert extracts.path("gl").read_bytes() == before


def test_manifest_survives_its_own_file(sealed: Extracts, tmp_path: Path) -> None:
    store = ExtractStore(sealed.directory, "gl", "gl")
    manifest = store.load()
    assert manifest is not None
    manifest.write(tmp_path / "copy.json")
    assert Manifest.read(tmp_path / "copy.json") == manifest
    assert manifest.figures == Figures(2, {"amount": Decimal("7.20")})
