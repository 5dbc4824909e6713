"""What an operator types after a run: the story of it, and two pages."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_COMMAND = "d365fo-tableau"


@dataclass(frozen=True, slots=True)
class Said:
    """A command and what came of it.

    Attributes:
        line: As a person would type it, in the project's folder.
        output: What it printed, errors included.
        code: Its exit code.
    """

    line: str
    output: str
    code: int


def type_in(project: Path, *arguments: str | Path) -> Said:
    """Run ``d365fo-tableau`` with arguments; paths below the project are shown without it."""
    shown = [str(_short(a, project)) if isinstance(a, Path) else a for a in arguments]
    done = subprocess.run(  # noqa: S603 - our own command
        [Path(sys.executable).with_name(_COMMAND), *shown],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Said(f".venv/bin/{_COMMAND} {' '.join(shown)}", done.stdout, done.returncode)


def _short(path: Path, project: Path) -> Path:
    return path.relative_to(project) if path.is_relative_to(project) else path
