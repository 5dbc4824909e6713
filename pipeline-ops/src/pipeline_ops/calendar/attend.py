"""Stay with one run until its end and write down how it ended, even if the driver is killed.

``python -m pipeline_ops.calendar.attend OUTCOME TIMEOUT_S LOCK_FD COMMAND...``: a process of its
own between the driver and Meltano. It keeps the driver's lease open, stops a run that takes too
long, and leaves the exit code in a file that appears whole or not at all. With it a driver that
dies leaves no doubt whether a run has ended, unless the attendant was killed, too.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_core.files import write_atomically

if TYPE_CHECKING:
    from types import FrameType

#: Meltano stops its plugins when told to; the target needs up to 10 s for hyperd.
_GRACE_S = 60.0

#: What `timeout` of coreutils returns.
_TIMED_OUT = 124
#: Shell convention for a process that ended by SIGTERM.
_STOPPED = 128 + 15
_TOLD = "it was told to stop"
#: What a shell returns for a command that cannot be started.
_NOT_STARTED = 127


def attend(outcome: Path, timeout_s: float, lock: int, command: list[str]) -> int:
    """Run ``command``, write exit code, note and whether it was stopped; return the exit code."""
    told: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        told.append(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        # In a session of its own: Ctrl-C at the driver reaches it through us, once.
        run = subprocess.Popen(  # noqa: S603 - the operator's own blocks
            command, pass_fds=(lock,), start_new_session=True
        )
    except OSError as error:
        return _write(outcome, _NOT_STARTED, f"{command[0]} cannot be started: {error.strerror}")
    code, note = _wait(run, time.monotonic() + timeout_s, told)
    return _write(outcome, code, note, stopped=note == _TOLD)


def _wait(run: subprocess.Popen[bytes], ends: float, told: list[int]) -> tuple[int, str]:
    while True:
        with suppress(subprocess.TimeoutExpired):
            return _shell_code(run.wait(timeout=0.2)), ""
        if told:
            _stop(run)
            return _STOPPED, _TOLD
        if time.monotonic() > ends:
            _stop(run)
            return _TIMED_OUT, "it took longer than `timeout` and was stopped"


def _stop(run: subprocess.Popen[bytes]) -> None:
    run.terminate()
    with suppress(subprocess.TimeoutExpired):
        run.wait(timeout=_GRACE_S)
    with suppress(ProcessLookupError):  # plugins that have outlived Meltano, or all of it
        os.killpg(run.pid, signal.SIGKILL)
    run.wait()


def _shell_code(code: int) -> int:
    return code if code >= 0 else 128 - code


def _write(outcome: Path, code: int, note: str, *, stopped: bool = False) -> int:
    told = {"exit_code": code, "note": note, "stopped": stopped}
    write_atomically(outcome, json.dumps(told).encode())
    return code


if __name__ == "__main__":
    sys.exit(attend(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]))
