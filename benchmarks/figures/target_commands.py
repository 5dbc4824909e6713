"""How the target is started: nothing published unless a configuration says where to."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from benchmarks.measuring.meter import Cost, run
from benchmarks.measuring.workshop import program, written

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def target_command(
    home: Path, output: Path, config: Mapping[str, Any] | None = None
) -> list[str | Path]:
    """The command that loads what it reads into extracts in ``output``."""
    settings = {**(config or {}), "output_dir": str(output)}
    return [program("target-tableau-hyper"), "--config", written(home / "target.json", settings)]


def load(home: Path, messages: Path, *, anew: bool = True) -> Cost:
    """Load a file of messages into ``home``'s extracts: new ones, or those that are there."""
    output = home / "output"
    if anew:
        shutil.rmtree(output, ignore_errors=True)
    return run(target_command(home, output), stdin=messages)
