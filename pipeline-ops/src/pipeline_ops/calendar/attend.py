"""Stay with one run until its end and write down how it ended, even if the driver is killed.

``python -m pipeline_ops.calendar.attend OUTCOME TIMEOUT_S LOCK_FD COMMAND...``: a process of its
own between the driver and Meltano. It keeps the driver's lease open, stops a run that takes too
long, and leaves the exit code in a file that appears whole or not at all. With it a driver that
dies leaves no doubt whether a run has ended, unless the attendant was killed, too.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from pipeline_core.files import write_atomically
from pipeline_ops.children import STOPPED, Ending, catch_signals, shell_code, wait_for

#: What `timeout` of coreutils returns.
_TIMED_OUT = 124
_TOLD = "it was told to stop"
#: What a shell returns for a command that cannot be started.
_NOT_STARTED = 127


def attend(outcome: Path, timeout_s: float, lock: int, command: list[str]) -> int:
    """Run ``command``, write exit code, note and whether it was stopped; return the exit code."""
    told = catch_signals()
    try:
        # In a session of its own: Ctrl-C at the driver reaches it through us, once.
        run = subprocess.Popen(  # noqa: S603 - the operator's own blocks
            command, pass_fds=(lock,), start_new_session=True
        )
    except OSError as error:
        return _write(outcome, _NOT_STARTED, f"{command[0]} cannot be started: {error.strerror}")
    ending = wait_for(run, told, ends=time.monotonic() + timeout_s)
    if ending is Ending.STOPPED:
        return _write(outcome, STOPPED, _TOLD, stopped=True)
    if ending is Ending.TIMED_OUT:
        return _write(outcome, _TIMED_OUT, "it took longer than `timeout` and was stopped")
    return _write(outcome, shell_code(run.returncode), "")


def _write(outcome: Path, code: int, note: str, *, stopped: bool = False) -> int:
    told = {"exit_code": code, "note": note, "stopped": stopped}
    write_atomically(outcome, json.dumps(told).encode())
    return code


if __name__ == "__main__":
    sys.exit(attend(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]))
