"""Any stream name becomes one safe file name of its own (fault L14)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.target.messages import record, schema

from pipeline_core.errors import ConfigError
from target_tableau_hyper.extract.store import file_stem, free_stem, stem_of_setting

if TYPE_CHECKING:
    from tests.target.harness import Extracts, Rows


@pytest.mark.parametrize("name", ["VendorsV2", "gl_entries", "a", "2", "a.b-c d", "x" * 100])
def test_plain_names_are_kept(name: str) -> None:
    assert file_stem(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("../../etc/passwd", "/abs", "a/b", "..", "CON", "nul.txt", ".hidden", "a.", " a", ""),
        *("a\0b", "a\nb", "é", "🚚", "\u0430", "x" * 300),
    ],
)
def test_l14_other_names_are_cleaned(name: str) -> None:
    stem = file_stem(name)
    assert stem != name
    assert Path(stem).name == stem
    assert stem.isascii()
    assert len(stem) <= 70


@given(st.text(st.characters(), max_size=300))
def test_l14_every_name_stays_in_its_directory(name: str) -> None:
    directory = Path("/output")
    path = directory / f"{file_stem(name)}.hyper"
    assert path.parent == directory
    assert "\0" not in str(path)
    assert len(path.name.encode()) <= 200


@given(st.lists(st.text(st.characters(), max_size=30), unique=True, min_size=2, max_size=6))
def test_l14_different_names_get_different_files(names: list[str]) -> None:
    assert len({file_stem(name) for name in names}) == len(names)


@given(st.lists(st.text("aAbB.- é", max_size=4), unique=True, min_size=2, max_size=8))
def test_l14_names_that_differ_in_case_get_different_files_everywhere(names: list[str]) -> None:
    taken: list[str] = []
    for name in names:
        taken.append(free_stem(name, taken))
    assert len({stem.casefold() for stem in taken}) == len(names)


def test_l14_a_name_that_is_there_is_kept() -> None:
    """Extracts of earlier releases on Linux may differ in case only."""
    assert [free_stem(name, {"GL", "gl"}) for name in ("GL", "gl")] == ["GL", "gl"]
    other = free_stem("gl", {"GL"})
    assert free_stem("gl", {other}) == other, "also when GL has gone"


def test_l14_streams_that_differ_in_case_keep_their_files(extracts: Extracts, rows: Rows) -> None:
    number = {"id": {"type": "integer"}}
    for run, streams in enumerate([("GL", "gl"), ("gl", "GL"), ("gl",)]):
        extracts.run(
            [
                message
                for place, stream in enumerate(streams)
                for message in (schema(stream, number), record(stream, {"id": 10 * run + place}))
            ]
        )
    files = {path.stem for path in extracts.directory.glob("*.hyper")}
    assert len({name.casefold() for name in files}) == 2
    (other,) = files - {"GL"}
    assert other.startswith("gl-")
    assert rows(extracts.path("GL")) == [(0,), (11,)]
    assert rows(extracts.path(other)) == [(1,), (10,), (20,)]


def test_l14_files_of_the_settings_that_differ_in_case_are_refused(extracts: Extracts) -> None:
    number = {"id": {"type": "integer"}}
    names = {"a": {"file": "same"}, "b": {"file": "SAME"}}
    with pytest.raises(ConfigError, match=r"'a' and 'b' would both be stored in SAME\.hyper"):
        extracts.run([schema("a", number), schema("b", number)], datasources=names)


@pytest.mark.parametrize(("file", "stem"), [("gl", "gl"), ("gl.hyper", "gl"), ("a b.c", "a b.c")])
def test_file_setting_may_have_the_extension(file: str, stem: str) -> None:
    assert stem_of_setting("s", file) == stem


@pytest.mark.parametrize("file", ["../x", "a/b", "", ".hyper", "con", "x\0"])
def test_file_setting_is_a_plain_file_name(file: str) -> None:
    with pytest.raises(ConfigError, match=r"datasources\.s\.file"):
        stem_of_setting("s", file)
