"""Put a page on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError, TransientError
from pipeline_core.files import is_misconfigured, write_atomically

if TYPE_CHECKING:
    from pathlib import Path

#: As extracts are kept: a page tells of a ledger, and is not for every user of the machine.
_MODE = 0o640


def write_page(file: Path, html: str) -> None:
    """Replace ``file`` by the page, whole.

    Raises:
        ConfigError: nothing can be written there.
        TransientError: the disk is full or broken.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, html.encode(), mode=_MODE)
    except OSError as error:
        message = f"{file} cannot be written: {error.strerror}; choose another --html"
        kind = ConfigError if is_misconfigured(error) else TransientError
        raise kind(message) from error
