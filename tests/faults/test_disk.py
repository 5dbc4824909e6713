"""A disk that is full, read-only or broken under the snapshots (T21)."""

from __future__ import annotations

import errno
import json
import os
import resource
import sqlite3
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.faults.books import Keeper
from tests.faults.test_processes import COMMAND
from tests.faults.ways import RESCAN, SCAN
from tests.tap.conftest import Output, settings_for

from pipeline_core.errors import ConfigError, TransientError

if TYPE_CHECKING:
    from tests.faults.conftest import Bench
    from tests.faults.ways import Way

FAILURES = pytest.mark.parametrize(
    "code",
    [
        pytest.param(errno.ENOSPC, id="T21 ENOSPC"),
        pytest.param(errno.EIO, id="T21 EIO"),
        pytest.param(errno.EROFS, id="T21 EROFS"),
        pytest.param(errno.EDQUOT, id="T21 EDQUOT"),
    ],
)


def failing_from(call: int, code: int) -> object:
    """An fsync that fails from a call on; a full disk is often first noticed there."""
    calls = 0
    real = os.fsync

    def fsync(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls >= call:
            raise OSError(code, os.strerror(code))
        real(descriptor)

    return fsync


@pytest.mark.parametrize(
    ("code", "call"),
    [
        pytest.param(errno.ENOSPC, 1, id="T21 ENOSPC at the first sync"),
        pytest.param(errno.EIO, 2, id="T21 EIO at the second sync"),
        pytest.param(errno.ENOSPC, 3, id="T21 ENOSPC at the third sync"),
        pytest.param(errno.EDQUOT, 5, id="T21 EDQUOT at the fifth sync"),
    ],
)
def test_t21_what_is_not_on_disk_is_not_claimed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, code: int, call: int
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", failing_from(call, code))
        keeper = Keeper(bench.contoso)
        run = bench.run({**SCAN.settings(bench.tmp_path), "max_concurrency": 1})
        keeper.take(run.output.messages)
    assert isinstance(run.error, TransientError), repr(run.error)
    assert run.exit_code == 75
    assert "snapshot_path" in str(run.error)
    again = bench.run(SCAN.settings(bench.tmp_path), run.state or None)
    assert again.error is None
    keeper.take(again.output.messages)
    bench.check_books(SCAN, keeper)


@FAILURES
def test_t21_changes_that_cannot_be_remembered_come_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    first = bench.run(RESCAN.settings(bench.tmp_path))
    RESCAN.touch(bench.contoso)
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", failing_from(1, code))
        run = bench.run(RESCAN.settings(bench.tmp_path), first.state)
    assert isinstance(run.error, TransientError)
    assert run.output.of("RECORD") == []
    check_next_run(bench, first.output, run.state)


def check_next_run(bench: Bench, before: Output, state: dict[str, object]) -> None:
    """The run after the failed one brings what changed."""
    keeper = Keeper(bench.contoso)
    keeper.take(before.messages)
    again = bench.run(RESCAN.settings(bench.tmp_path), state)
    assert len(again.output.of("RECORD")) == 20
    keeper.take(again.output.messages)
    bench.check_books(RESCAN, keeper)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        pytest.param(errno.EROFS, TransientError, id="EROFS"),
        pytest.param(errno.ENOSPC, TransientError, id="ENOSPC"),
        pytest.param(errno.EACCES, ConfigError, id="EACCES: somebody must change it"),
    ],
)
def test_t21_a_directory_that_cannot_be_made_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[Exception]
) -> None:
    def mkdir(path: Path, *_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code), str(path))

    with monkeypatch.context() as broken:
        broken.setattr(Path, "mkdir", mkdir)
        run = bench.run(SCAN.settings(bench.tmp_path))
    assert isinstance(run.error, kind)
    assert os.strerror(code) in str(run.error)
    assert run.output.of("RECORD") == []
    bench.survives(SCAN)


def test_t21_no_room_to_compare_in(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows of a scan are compared in a temporary file, and that disk may be full, too."""
    first = bench.run(RESCAN.settings(bench.tmp_path))
    RESCAN.touch(bench.contoso)
    real = sqlite3.connect

    def cramped(*arguments: object, **options: object) -> sqlite3.Connection:
        database: sqlite3.Connection = real(*arguments, **options)  # type: ignore[call-overload]  # as given
        database.execute("PRAGMA max_page_count = 5")
        return database

    with monkeypatch.context() as full:
        full.setattr("tap_d365fo.reading.differences.sqlite3.connect", cramped)
        run = bench.run(RESCAN.settings(bench.tmp_path), first.state)
    assert isinstance(run.error, TransientError), repr(run.error)
    assert run.output.of("RECORD") == []
    check_next_run(bench, first.output, run.state)


@pytest.mark.parametrize("way", [pytest.param(SCAN, id="T21 etag_scan")])
def test_t21_a_file_that_may_not_grow_ends_the_command(bench: Bench, way: Way) -> None:
    """The system's own limit, as a quota sets it: the second page does not fit any more."""
    config = settings_for(bench.contoso, **way.settings(bench.tmp_path))
    path = bench.tmp_path / "config.json"
    path.write_text(json.dumps(config))

    assert bench.run(way.settings(bench.tmp_path / "roomy"), None).error is None
    files = [f for f in (bench.tmp_path / "roomy").rglob("*") if f.is_file()]
    # How much a page takes depends on how well its etags pack.
    most = max(file.stat().st_size for file in files) * 2 // 3

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    done = subprocess.run(
        [COMMAND, "--config", str(path)],
        capture_output=True,
        check=False,
        env={"PATH": "", "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=limit,
        timeout=60,
    )
    errors = done.stderr.decode()
    assert done.returncode == 75, errors[-500:]
    assert "snapshot_path" in errors.rstrip().splitlines()[-1]
    assert "File too large" in errors.rstrip().splitlines()[-1]
    output = Output(done.stdout.decode())
    assert output.states
    keeper = Keeper(bench.contoso)
    keeper.take(output.messages)
    again = bench.run(config, output.states[-1])
    assert again.error is None
    keeper.take(again.output.messages)
    bench.check_books(way, keeper)
