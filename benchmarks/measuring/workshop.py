"""Where the benchmarks work: programs, scratch folders, and data that is made once and kept."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.measuring.sizes import Sizes

PROJECT = Path(__file__).parents[2]
FLOORS = PROJECT / "benchmarks" / "floors"
_PROGRAMS = Path(sys.executable).parent

#: Data made by another version of the generator is made anew.
_DATA_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Workshop:
    """One run's place.

    Attributes:
        data: Folder of what stays from run to run.
        run: Folder of this run.
        sizes: How much is measured.
    """

    data: Path
    run: Path
    sizes: Sizes

    @property
    def repetitions(self) -> int:
        """How often a figure is measured."""
        return self.sizes.repetitions

    def scratch(self, name: str) -> Path:
        """A new, empty folder."""
        folder = self.run / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def kept(self, name: str, make: Callable[[Path], None]) -> Path:
        """A file or folder that ``make`` writes at the path it is given, unless it is there."""
        path = self.data / _DATA_VERSION / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            half = path.with_name(f"{path.name}.half")
            shutil.rmtree(half, ignore_errors=True)
            make(half)
            half.rename(path)
        return path


def program(name: str) -> Path:
    """A command of the project's environment."""
    return _PROGRAMS / name


def floor(name: str, *arguments: object) -> list[str]:
    """The command line of a program in ``benchmarks/floors``."""
    return [sys.executable, "-m", f"benchmarks.floors.{name}", *map(str, arguments)]


def written(path: Path, content: Mapping[str, Any]) -> Path:
    """Write a JSON document and return its path."""
    path.write_text(json.dumps(content, indent=2))
    return path
