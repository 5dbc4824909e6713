"""The user's Meltano project: the directory that holds ``meltano.yml``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def find_project(start: Path) -> Path:
    """The nearest directory from ``start`` upwards that holds a ``meltano.yml``.

    Raises:
        ConfigError: there is none.
    """
    for directory in (start.resolve(), *start.resolve().parents):
        if (directory / "meltano.yml").is_file():
            return directory
    message = f"there is no meltano.yml in {start.resolve()} or above; go to the Meltano project"
    raise ConfigError(message)
