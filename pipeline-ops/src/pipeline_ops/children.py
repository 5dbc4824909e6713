"""Stay with a process that runs in a session of its own, and stop it with all that it started."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import time
from contextlib import suppress
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

#: Meltano stops its plugins when told to; the target needs up to 10 s for hyperd.
_GRACE_S = 60.0

#: Shell convention for a process that ended by SIGTERM.
STOPPED = 128 + 15


class Ending(Enum):
    """Why a process is over."""

    BY_ITSELF = auto()
    STOPPED = auto()
    TIMED_OUT = auto()


def catch_signals() -> list[int]:
    """From now on, those that tell this process to stop are only collected in the list."""
    told: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        told.append(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    return told


def wait_for(run: subprocess.Popen[bytes], told: list[int], *, ends: float = math.inf) -> Ending:
    """Wait for its end; stop it once this process is told to stop, or when its time is over.

    Args:
        run: Leads a session of its own.
        told: What :func:`catch_signals` gave.
        ends: By the monotonic clock.
    """
    while True:
        with suppress(subprocess.TimeoutExpired):
            run.wait(timeout=0.2)
            return Ending.BY_ITSELF
        if told:
            _stop(run)
            return Ending.STOPPED
        if time.monotonic() > ends:
            _stop(run)
            return Ending.TIMED_OUT


def shell_code(code: int) -> int:
    """An exit code as shells have it, where Python says a signal by a negative one."""
    return code if code >= 0 else 128 - code


def _stop(run: subprocess.Popen[bytes]) -> None:
    run.terminate()
    with suppress(subprocess.TimeoutExpired):
        run.wait(timeout=_GRACE_S)
    with suppress(ProcessLookupError):  # plugins that have outlived Meltano, or all of it
        os.killpg(run.pid, signal.SIGKILL)
    run.wait()
