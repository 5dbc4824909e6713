"""Segments are written beside the rest: the disk's faults come out, a stop finds no open end."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from target_tableau_hyper.extract import segment_file
from target_tableau_hyper.extract.behind import Behind
from target_tableau_hyper.extract.segment_file import SegmentFile
from target_tableau_hyper.extract.staged import StagedStream

if TYPE_CHECKING:
    from pathlib import Path

#: Told to stop while it waits for a group that is being written, it lets go of the file.
STOPPED = """
import os, signal, sys, threading
from pathlib import Path
import pyarrow as pa
from pipeline_core.errors import TerminatedError
from target_tableau_hyper.extract.segment_file import SegmentFile
from target_tableau_hyper.extract.staged import StagedStream

def stop(number, frame):
    raise TerminatedError("told to stop")

signal.signal(signal.SIGTERM, stop)
rows = 20_000
texts = [pa.array([f"{n * 7919 % 100003}-{c}" * 3 for n in range(rows)]) for c in range(4)]
arrays, versions = texts * 40, pa.nulls(rows, pa.int64())
deleted = pa.array([False] * rows)
file = SegmentFile(StagedStream("s", Path(sys.argv[1])))
try:
    file.write(arrays, (), versions=versions, deleted=deleted)
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
    for _ in range(100):
        file.write(arrays, (), versions=versions, deleted=deleted)
except TerminatedError:
    file.abandon()
    print("let go")
"""


def test_a_stop_while_a_group_is_written_ends_in_order(tmp_path: Path) -> None:
    for trial in range(3):
        done = subprocess.run(
            [sys.executable, "-c", STOPPED, str(tmp_path / str(trial))],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (0, "let go\n"), done.stderr


def test_no_more_than_one_group_waits_for_all_streams() -> None:
    behind, gate, begun = Behind(), threading.Event(), []
    behind.submit(gate.wait)
    second = threading.Thread(target=lambda: begun.append(behind.submit(int)))
    second.start()
    second.join(0.05)
    assert not begun
    gate.set()
    second.join(20)
    assert begun[0].result(20) == 0


class Full(SegmentFile):
    """On a disk that takes nothing."""

    def _open(self, schema: pa.Schema) -> None:
        super()._open(schema)
        assert self._file is not None
        self._file.close()

        def refuse(_batch: pa.RecordBatch) -> None:
            raise OSError(28, "No space left on device")

        self._file.write_batch = refuse


def group(file: SegmentFile) -> None:
    file.write([pa.array([1])], (), versions=pa.nulls(1, pa.int64()), deleted=pa.array([False]))


def test_a_fault_of_the_disk_comes_with_the_next_group_or_at_the_end(tmp_path: Path) -> None:
    for end in (SegmentFile.close, group):
        file = Full(StagedStream("s", tmp_path / end.__name__))
        group(file)
        with pytest.raises(OSError, match="No space left"):
            end(file)
        file.abandon()


def test_a_fault_of_the_disk_is_told_before_the_next_rows_are_looked_at(tmp_path: Path) -> None:
    staged = StagedStream("s", tmp_path)
    file = Full(staged)
    file.check()
    group(file)
    segment_file._WRITER.finish(int)  # noqa: SLF001 - all that was given is done
    with pytest.raises(OSError, match="No space left"):
        file.check()
    file.abandon()
    assert not staged.segments
