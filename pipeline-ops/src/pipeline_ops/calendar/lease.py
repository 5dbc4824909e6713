"""One driver at a time for a calendar, and no second one while a run of the first still lives.

The lease is a lock of the operating system on a file: no clock decides when it has run out. Every
process that was handed the open file keeps it, so it ends when the driver, the attendant that it
started and Meltano beneath it are all gone, however they went.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline_core.errors import BusyError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def lease(path: Path) -> Iterator[int]:
    """Hold the lease at ``path``; yields the descriptor that keeps it.

    Raises:
        BusyError: another driver or a run that it started holds it.
        ConfigError: the file cannot be opened.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        message = f"the calendar's lock {path} cannot be opened: {error.strerror}"
        raise ConfigError(message) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
            message = f"another driver is at work ({holder or 'unknown'})"
            raise BusyError(message) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} of {os.uname().nodename}\n".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)  # never LOCK_UN: that would end it for a run that is still alive
