"""Files come to be whole or not at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pipeline_core.files import replace_durably, write_atomically

if TYPE_CHECKING:
    from pathlib import Path


def test_content_and_mode_are_those_asked_for(tmp_path: Path) -> None:
    target = tmp_path / "state.json"
    write_atomically(target, b"old", mode=0o600)
    write_atomically(target, b"new", mode=0o600)
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "state.json"
    write_atomically(target, b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_finished_file_takes_its_name(tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"extract")
    (tmp_path / "final").write_bytes(b"older extract")
    replace_durably(tmp_path / "new", tmp_path / "final")
    assert (tmp_path / "final").read_bytes() == b"extract"
    assert not (tmp_path / "new").exists()
