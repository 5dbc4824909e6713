"""Exit codes of plugins, for whoever started the runner between: it ends with 1 whatever they did.

Whoever wants to know names an empty folder in ``D365FO_TABLEAU_EXIT_NOTES``. Each of our commands
leaves a note there as its last act, before its pipes close. So the first note of a failure is the
cause, and the later ones are what it led to: a tap that fails lets the target miss its end, and a
target that fails takes away the tap's reader.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: Names the folder.
VARIABLE = "D365FO_TABLEAU_EXIT_NOTES"

_NOTE = re.compile(r"(\d{20})\.(\d{1,3})\.([\w.-]+)")


@dataclass(frozen=True, slots=True)
class ExitNote:
    """How a command ended."""

    command: str
    code: int


def leave_note(command: str, code: int) -> None:
    """Say how this process ends, where somebody wants to know; a note is no reason to fail."""
    folder = os.environ.get(VARIABLE)
    if folder:
        # One clock for all processes of a machine, which nobody sets.
        with suppress(OSError):
            (Path(folder) / f"{time.monotonic_ns():020d}.{code}.{command}").touch()


def first_failure(folder: Path) -> ExitNote | None:
    """The first command that failed; ``None`` where none of those that left a note did."""
    for name in sorted(path.name for path in folder.iterdir()):
        note = _NOTE.fullmatch(name)
        if note is not None and int(note[2]):
            return ExitNote(note[3], int(note[2]))
    return None
