"""What the run needs of this machine: room, rights, hyperd. Nothing is made or left behind."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError, TransientError
from target_tableau_hyper.extract.engine import start_engine

if TYPE_CHECKING:
    from pipeline_ops.check.findings import Checklist
    from target_tableau_hyper.settings import Settings

AREA = "machine"

#: A run stages what it received, and changes a copy of the extract beside the extract itself.
_COPIES = 3

#: Below this, hyperd and SQLite get into trouble whatever the extracts are.
_LEAST_BYTES = 2**30

_GB = 2**30


def check_machine(checks: Checklist, settings: Settings) -> None:
    """Output directory, its disk, and whether hyperd starts."""
    _directory(checks, "output_dir", settings.output_dir)
    _space(checks, settings.output_dir)
    with checks.trying(AREA, "hyperd"):
        began = time.monotonic()
        with (
            tempfile.TemporaryDirectory(prefix="check-") as scratch,
            start_engine(
                hyper_version=settings.hyper_version, memory_limit=settings.memory_limit
            ) as engine,
            engine.open(Path(scratch) / "check.hyper", create=True) as database,
        ):
            database.row("SELECT 1")
        checks.ok(AREA, "hyperd", f"starts and answers in {time.monotonic() - began:.1f} s")


def check_path(checks: Checklist, setting: str, path: Path | None) -> None:
    """A file or directory of the settings that a run makes or writes."""
    if path is None:
        return
    if path.is_dir():
        _directory(checks, setting, path)
    elif path.exists():
        if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
            checks.ok(AREA, setting, f"{path} can be written")
        else:
            message = f"{path} cannot be written; change its owner or {setting}"
            checks.fail(AREA, setting, ConfigError(message))
    else:
        _directory(checks, setting, path.parent if path.suffix else path)


def run_goes_on(output_dir: Path) -> bool:
    """Whether a target holds the directory's lock now; the lock file is only looked at."""
    try:
        descriptor = os.open(output_dir / ".lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _directory(checks: Checklist, setting: str, directory: Path) -> None:
    there = _nearest(directory)
    if not there.is_dir():
        message = f"{there} is no directory, and {directory} lies below it; correct {setting}"
        checks.fail(AREA, setting, ConfigError(message))
    elif not os.access(there, os.W_OK | os.X_OK):
        message = f"{there} cannot be written; change its owner or {setting}"
        checks.fail(AREA, setting, ConfigError(message))
    elif there == directory.resolve():
        checks.ok(AREA, setting, f"{directory} can be written")
    else:
        checks.ok(AREA, setting, f"{directory} is not there yet and can be made")


def _space(checks: Checklist, directory: Path) -> None:
    free = shutil.disk_usage(_nearest(directory)).free
    extracts = list(directory.glob("*.hyper")) if directory.is_dir() else []
    largest = max((file.stat().st_size for file in extracts), default=0)
    found = f"{free / _GB:,.1f} GB free; the largest extract has {largest / _GB:,.1f} GB"
    needed = max(_LEAST_BYTES, _COPIES * largest)
    if free < largest:
        message = f"{found}, and a run changes a copy of it; free some space"
        checks.fail(AREA, "disk space", TransientError(message))
    elif free < needed:
        todo = f"free some space: a run may need {needed / _GB:,.1f} GB"
        checks.warn(AREA, "disk space", found, todo)
    else:
        checks.ok(AREA, "disk space", found)


def _nearest(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    path = path.resolve()
    return next(p for p in (path, *path.parents) if p.exists())
