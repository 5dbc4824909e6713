"""Start Meltano for one event, with an attendant, and wait for the end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError, TerminatedError

if TYPE_CHECKING:
    from datetime import timedelta

    from pipeline_ops.calendar.plan import Planned


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended, as its attendant saw it.

    Attributes:
        note: What the exit code does not tell.
        stopped: The attendant was told to stop it.
    """

    exit_code: int
    note: str = ""
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Launcher:
    """What every start has in common.

    Attributes:
        project: Directory of ``meltano.yml``.
        meltano: The executable.
        outcomes: Where attendants leave what they saw.
        lock: Descriptor of the driver's lease.
    """

    project: Path
    meltano: Path
    outcomes: Path
    lock: int
    timeout: timedelta

    def run(self, planned: Planned, run_id: str) -> Outcome | None:
        """Run to the end; None where the attendant was killed before it could tell.

        Raises:
            TerminatedError, KeyboardInterrupt: this process was told to stop; the run has been
                stopped, too, and its outcome is on the disk.
        """
        self.outcomes.mkdir(parents=True, exist_ok=True)
        command = [
            *(sys.executable, "-P", "-m", "pipeline_ops.calendar.attend"),
            str(self._file(run_id)),
            str(self.timeout.total_seconds()),
            str(self.lock),
            *command_of(planned, meltano=self.meltano),
        ]
        attendant = subprocess.Popen(  # noqa: S603 - our own module
            command,
            cwd=self.project,
            env={**os.environ, **variables_of(planned, run_id)},
            pass_fds=(self.lock,),
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),
        )
        try:
            attendant.wait()
        except (TerminatedError, KeyboardInterrupt):
            attendant.send_signal(signal.SIGTERM)
            attendant.wait()
            raise
        return self.outcome(run_id)

    def outcome(self, run_id: str) -> Outcome | None:
        """What the attendant of a run has left."""
        try:
            told = json.loads(self._file(run_id).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return Outcome(int(told["exit_code"]), str(told["note"]), bool(told["stopped"]))

    def forget(self, run_id: str) -> None:
        """Remove it, once it is recorded."""
        self._file(run_id).unlink(missing_ok=True)

    def _file(self, run_id: str) -> Path:
        return (self.outcomes / f"{run_id}.json").absolute()


def command_of(planned: Planned, *, meltano: Path) -> list[str]:
    """The command line of an event."""
    environment = planned.group.environment
    chosen = [f"--environment={environment}"] if environment else []
    return [str(meltano), *chosen, "run", *planned.rule.blocks]


def variables_of(planned: Planned, run_id: str) -> dict[str, str]:
    """What a run is told through its environment.

    ``MELTANO_RUN_ID`` becomes the id in Meltano's own tables, in the ledger and in every row;
    ``MELTANO_JOB_TRIGGER`` stands in Meltano's table of runs.
    """
    key = planned.key
    variables = {
        "MELTANO_RUN_ID": run_id,
        "MELTANO_JOB_TRIGGER": f"{key.calendar}:{key.group}:{key.period}:{key.event}",
        **planned.group.env,
    }
    if planned.group.reads_only_these and planned.group.companies:
        variables["TAP_D365FO_COMPANIES"] = json.dumps(planned.group.companies)
    return variables


def find_meltano() -> Path:
    """Meltano beside this interpreter, or else the one on the PATH.

    Raises:
        ConfigError: there is none.
    """
    beside = Path(sys.executable).with_name("meltano")
    if beside.is_file():
        return beside
    found = shutil.which("meltano")
    if found is None:
        message = "there is no `meltano` beside this command nor on the PATH; install it"
        raise ConfigError(message)
    return Path(found)
