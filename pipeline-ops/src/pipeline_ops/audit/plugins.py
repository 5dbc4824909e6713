"""Start Meltano, or a plugin by itself, as a person in the project's folder would."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline_core.errors import ConfigError, TerminatedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType


#: The program; a plugin that inherits from ours under another name runs the same one.
_TARGET = "target-tableau-hyper"


def command_beside(name: str) -> str:
    """A program of this environment, or of PATH.

    Raises:
        ConfigError: there is none.
    """
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        message = f"{name} is not installed beside this command, nor is it on PATH"
        raise ConfigError(message)
    return found


def variable(plugin: str, setting: str) -> str:
    """The environment variable of a plugin's setting: ``TAP_D365FO_REPLAY_RUN_ID``."""
    return re.sub(r"[^A-Z0-9]", "_", f"{plugin}_{setting}".upper())


def run_meltano(project: Path, arguments: Sequence[str], variables: Mapping[str, str]) -> int:
    """``meltano`` in the project's folder; what it writes goes to stderr.

    Returns:
        Its exit code.
    """
    command = [command_beside("meltano"), f"--cwd={project}", *arguments]
    return _run(command, {**os.environ, **variables}, project)


def run_target(
    project: Path,
    config: Mapping[str, Any],
    arguments: Sequence[str],
    variables: Mapping[str, str],
) -> int:
    """A command of the target, with its settings in variables: no file ever holds them.

    Meltano itself starts only those commands of a plugin that the project's meltano.yml names.

    Returns:
        Its exit code, that of ``pipeline_core.errors``.
    """
    settings = {
        variable(_TARGET, name): value if isinstance(value, str) else json.dumps(value)
        for name, value in config.items()
        if value is not None
    }
    command = [command_beside(_TARGET), *arguments, "--config", "ENV"]
    return _run(command, {**os.environ, **settings, **variables}, project)


def _run(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> int:
    """Run to the end; told to stop, the program is stopped as well, and waited for."""
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        with subprocess.Popen(  # noqa: S603 - our own programs
            list(command), env=dict(environment), cwd=folder, stdout=sys.stderr
        ) as process:
            try:
                return process.wait()
            except BaseException:
                process.terminate()
                raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(_signum: int, _frame: FrameType | None) -> None:
    message = "told to stop (SIGTERM); what was started is stopped, too, and nothing half counts"
    raise TerminatedError(message)
