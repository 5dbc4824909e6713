"""The user's Meltano project: where it is, and what its plugins are set to."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from pipeline_core.errors import ConfigError

_FILE = "meltano.yml"

#: Meltano starts in two seconds; its first start in a project migrates a database.
_TIMEOUT_S = 120


def find_project(start: Path) -> Path:
    """The folder of the Meltano project that ``start`` lies in.

    Raises:
        ConfigError: neither ``start`` nor a folder above it is one.
    """
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / _FILE).is_file():
            return folder
    message = f"there is no {_FILE} in {start.resolve()} or above; go to the Meltano project"
    raise ConfigError(message)


def plugin_config(name: str, *, project: Path | None = None) -> dict[str, Any]:
    """The settings of a plugin as Meltano would hand them over, nested.

    References to secrets stay references. The environment is that of ``meltano run``:
    ``MELTANO_ENVIRONMENT``, else the project's ``default_environment`` (which `meltano config`
    itself ignores).

    Args:
        name: As in meltano.yml, such as ``tap-d365fo``.
        project: Folder of the project; found from the working directory unless given.

    Raises:
        ConfigError: there is no project, or Meltano does not know the plugin or environment.
    """
    folder = find_project(project or Path())
    command = [_meltano(), f"--cwd={folder}", "--log-level=error"]
    environment = os.environ.get("MELTANO_ENVIRONMENT") or _default_environment(folder)
    if environment:
        command.append(f"--environment={environment}")
    try:
        done = subprocess.run(  # noqa: S603 - the project's own runner
            [*command, "config", "--unsafe", "print", name, "--format=json"],
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
            env={
                **os.environ,
                "MELTANO_CLI_DISABLE_VERSION_CHECK": "1",
                "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
                "NO_COLOR": "1",
            },
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        message = f"Meltano does not answer in {folder} ({type(error).__name__}); run meltano there"
        raise ConfigError(message) from error
    try:
        config = json.loads(done.stdout)
    except ValueError as error:
        # Its output is not repeated: it may hold settings.
        message = (
            f"Meltano does not tell the settings of {name} in {folder}"
            f"{f', environment {environment}' if environment else ''}; see what "
            f"`meltano config print {name}` says there"
        )
        raise ConfigError(message) from error
    if not isinstance(config, dict):
        message = f"Meltano tells no settings of {name}, but {type(config).__name__}"
        raise ConfigError(message)
    return config


def _meltano() -> str:
    """Meltano of this environment, or the one on the path."""
    beside = Path(sys.executable).with_name("meltano")
    found = str(beside) if beside.is_file() else shutil.which("meltano")
    if found is None:
        message = "meltano is not installed here and not on the path; install it, or pass the files"
        raise ConfigError(message)
    return found


def _default_environment(folder: Path) -> str | None:
    try:
        content = yaml.safe_load((folder / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        message = f"{folder / _FILE} cannot be read as YAML; correct it"
        raise ConfigError(message) from error
    default = content.get("default_environment") if isinstance(content, dict) else None
    return str(default) if default else None
