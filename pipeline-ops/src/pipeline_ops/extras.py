"""Commands that need more than ``pipeline-ops`` brings by itself."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def needs_extra(name: str) -> Iterator[None]:
    """Around the imports of a command.

    Raises:
        ConfigError: the extra is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        message = (
            f"this command needs the package {error.name}, which is not installed; run "
            f"pip install 'pipeline-ops[{name}]'"
        )
        raise ConfigError(message) from error
