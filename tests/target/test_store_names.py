"""Any stream name becomes one safe file name of its own (fault L14)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_core.errors import ConfigError
from target_tableau_hyper.extract.store import file_stem, stem_of_setting


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


@pytest.mark.parametrize(("file", "stem"), [("gl", "gl"), ("gl.hyper", "gl"), ("a b.c", "a b.c")])
def test_file_setting_may_have_the_extension(file: str, stem: str) -> None:
    assert stem_of_setting("s", file) == stem


@pytest.mark.parametrize("file", ["../x", "a/b", "", ".hyper", "con", "x\0"])
def test_file_setting_is_a_plain_file_name(file: str) -> None:
    with pytest.raises(ConfigError, match=r"datasources\.s\.file"):
        stem_of_setting("s", file)
