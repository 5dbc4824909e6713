"""What ``etag_scan`` keeps on disk: whole or not at all, for each state its own."""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_core.errors import ConfigError, TransientError
from tap_d365fo.reading.snapshots import (
    Link,
    Remembered,
    SnapshotFile,
    SnapshotFolder,
    as_state,
    links_of,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tap_d365fo.reading.snapshots import SnapshotFile as File

ROWS = [Remembered(b'["usmf","a"]', "1"), Remembered('["usmf","ü\\n"]'.encode(), 'W/"x"')]
GONE = Remembered(b'["usmf","a"]', None)


def test_what_is_written_is_read_in_its_order(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path)
    file = folder.begin()
    file.append(ROWS)
    link = file.append([GONE])
    other = folder.begin().append(ROWS)
    assert list(folder.read([link, other])) == [*ROWS, GONE, *ROWS]


def test_an_older_state_sees_what_it_knew(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path)
    file = folder.begin()
    earlier = file.append(ROWS[:1])
    file.append(ROWS[1:])
    assert folder.is_intact([earlier])
    assert list(folder.read([earlier])) == ROWS[:1]


def test_nothing_is_a_snapshot_too(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path)
    link = folder.begin().append([])
    assert folder.is_intact([link])
    assert list(folder.read([link])) == []


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_changed_byte_and_any_cut_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("snapshots")
    folder = SnapshotFolder(path)
    link = folder.begin().append(ROWS)
    whole = (path / link.name).read_bytes()
    position = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        broken = whole[:position]
    else:
        flipped = whole[position] ^ data.draw(st.integers(1, 255))
        broken = whole[:position] + bytes([flipped]) + whole[position + 1 :]
    (path / link.name).write_bytes(broken)
    assert not folder.is_intact([link])
    (path / link.name).write_bytes(whole + b"more of a later run")
    assert folder.is_intact([link])
    assert list(folder.read([link])) == ROWS


def test_a_file_that_is_gone_is_noticed(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path)
    links = [folder.begin().append(ROWS), folder.begin().append(ROWS)]
    (tmp_path / links[1].name).unlink()
    assert not folder.is_intact(links)
    assert not folder.is_intact([])


def test_a_state_comes_back_as_it_went() -> None:
    chain = (Link("a.snapshot", 7, "00ff"), Link("b.snapshot", 0, ""))
    assert links_of(as_state(chain)) == chain


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(None, id="absent"),
        pytest.param([{"name": "a"}], id="incomplete"),
        pytest.param("a.snapshot", id="of another make"),
        pytest.param([{"name": "../a", "length": 1, "digest": ""}], id="outside the folder"),
        pytest.param([{"name": "/etc/passwd", "length": 1, "digest": ""}], id="anywhere"),
    ],
)
def test_a_state_that_names_no_snapshot_is_none(state: object) -> None:
    assert links_of(state) == ()


def test_only_files_that_nobody_used_for_months_go(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path)
    used, unused, recent = (folder.begin().append(ROWS) for _ in range(3))
    long_ago = time.time() - 200 * 86400
    for link in (used, unused):
        os.utime(tmp_path / link.name, (long_ago, long_ago))
    folder.tidy([used])
    folder.tidy([])  # another pipeline, whose state names nothing here
    assert {path.name for path in tmp_path.iterdir()} == {used.name, recent.name}


def test_house_keeping_in_a_folder_that_is_not_there_is_nothing(tmp_path: Path) -> None:
    SnapshotFolder(tmp_path / "none").tidy([])
    assert not (tmp_path / "none").exists()


def test_nobody_else_can_read_them(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path / "new")
    link = folder.begin().append(ROWS)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "new" / link.name).stat().st_mode) == 0o600


def test_what_could_not_be_written_is_no_part_of_what_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk breaks a member off; the next one takes its place."""
    folder = SnapshotFolder(tmp_path)
    file: File = folder.begin()
    file.append(ROWS[:1])

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(TransientError, match=r"snapshot_path.*No space left"):
            file.append(ROWS * 50)
    link = file.append(ROWS[1:])
    assert folder.is_intact([link])
    assert list(folder.read([link])) == ROWS


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"snapshot_path.*Not a directory"):
        SnapshotFolder(tmp_path / "file" / "below").begin()
    with pytest.raises(ConfigError, match=r"snapshot_path.*Not a directory"):
        SnapshotFolder(tmp_path / "file" / "below").check_writable()


def test_a_file_is_never_taken_over(tmp_path: Path) -> None:
    SnapshotFile(tmp_path / "x.snapshot")
    with pytest.raises(FileExistsError):
        SnapshotFile(tmp_path / "x.snapshot")


def test_the_files_of_a_run_have_the_names_of_the_run(tmp_path: Path) -> None:
    """So has its replay, elsewhere; and two runs of one id in one place do not meet."""
    names = []
    for place in ("a", "b", "a"):
        folder = SnapshotFolder(tmp_path / place, run_id="run-1")
        names.append([folder.begin().append(ROWS).name for _ in range(2)])
    assert names[0] == names[1]
    assert len({*names[0], *names[2]}) == 4
