"""A run of Meltano as a process, and the lease that says whether it is in flight.

The lease is a lock of the operating system on a file, held by the Meltano process itself. The
service may die and start again: as long as the run lives the lock is held, and when the run ends,
however it ends, the lock is free. No clock and no process id has to be trusted.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline_ops.listen.settings import Pipeline


@dataclass(slots=True)
class Child:
    """A run that this process started."""

    process: subprocess.Popen[bytes]
    log: Path
    told_to_stop_at: float | None = None

    def terminate(self, now: float) -> None:
        """Tell Meltano to stop; it tells its plugins."""
        if self.told_to_stop_at is None:
            self.told_to_stop_at = now
            self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and all that it started."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


class Leases:
    """Locks by pipeline."""

    def __init__(self, directory: Path) -> None:
        """Keep lock files in ``directory``."""
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    @contextmanager
    def take(self, pipeline: str) -> Iterator[int | None]:
        """Try to take a lease.

        Yields:
            A descriptor to hand to the process that holds it from then on; ``None`` where another
            holds it. It is closed at the end of the block, and free again unless a process has it.
        """
        path = self._directory / f"{pipeline}.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
            else:
                yield descriptor
        finally:
            os.close(descriptor)

    def is_free(self, pipeline: str) -> bool:
        """Whether nobody holds it at this moment."""
        with self.take(pipeline) as lease:
            return lease is not None


def find_meltano() -> str:
    """The meltano command beside this one, else on PATH.

    Raises:
        ConfigError: there is none.
    """
    beside = Path(sys.executable).with_name("meltano")
    found = str(beside) if beside.is_file() else shutil.which("meltano")
    if found is None:
        message = (
            "there is no meltano beside this command or on PATH; install it there, or set meltano"
        )
        raise ConfigError(message)
    return found


def start(
    pipeline: Pipeline,
    *,
    run_id: str,
    meltano: Path | None,
    project: Path,
    lease: int,
    log: Path,
    trigger: str,
) -> Child:
    """Start a run; it holds ``lease`` until it ends.

    Raises:
        OSError: it cannot be started.
    """
    environment = [] if pipeline.environment is None else ["--environment", pipeline.environment]
    program = find_meltano() if meltano is None else str(meltano)
    command = [program, "--cwd", str(project), *environment, "run", *pipeline.blocks]
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        process = subprocess.Popen(  # noqa: S603 - the operator's own settings, no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=subprocess.STDOUT,
            pass_fds=(lease,),
            # Ctrl-C at a terminal is for the service, which then tells the run.
            start_new_session=True,
            env={**os.environ, "MELTANO_RUN_ID": run_id, "MELTANO_JOB_TRIGGER": trigger},
        )
    finally:
        os.close(descriptor)
    return Child(process, log)
