"""One target per output directory: two of them would each replace what the other had merged."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline_core.errors import BusyError
from pipeline_core.files import sync_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_RETRY_S = 0.1


@contextmanager
def hold_directory(
    directory: Path,
    *,
    wait_s: float,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[None]:
    """Hold the directory's lock; the system gives it back even when the process is killed.

    Args:
        directory: Made when missing.
        wait_s: How long another holder is waited for.
        sleep: Waits.
        clock: Tells how long it has been.

    Raises:
        BusyError: another process holds it.
    """
    if not directory.is_dir():
        directory.mkdir(parents=True, exist_ok=True)
        sync_directory(directory.parent)
    descriptor = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        deadline = clock() + wait_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if clock() >= deadline:
                    message = (
                        f"another target-tableau-hyper is writing to {directory}; wait for it, or "
                        "give this run an output_dir of its own"
                    )
                    raise BusyError(message) from None
                sleep(_RETRY_S)
        yield
    finally:
        os.close(descriptor)
