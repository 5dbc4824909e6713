"""Run the pipeline as a user would, and follow what it says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_PATIENCE_S = 10


@dataclass(frozen=True, slots=True)
class Line:
    """One log line.

    Attributes:
        logger: The plugin's own logger; empty for a line of Meltano itself.
    """

    level: str
    logger: str
    text: str


@dataclass(slots=True)
class MeltanoRun:
    """One ``meltano run`` in a process group of its own.

    The group is ended with the demonstration, however that ends: no plugin stays behind.
    """

    project: Path
    environment: Mapping[str, str]
    log_path: Path
    on_line: Callable[[Line], None]
    _process: subprocess.Popen[str] | None = field(default=None, init=False)

    def run(self, *arguments: str) -> int:
        """Run to the end.

        Returns:
            Meltano's exit code.
        """
        command = [
            str(self.project / ".venv/bin/meltano"),
            "--log-format=json",
            f"--cwd={self.project}",
            *arguments,
        ]
        self._process = subprocess.Popen(  # noqa: S603 - our own project's command
            command,
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            assert self._process.stdout is not None  # noqa: S101 - PIPE was asked for
            self._follow(self._process.stdout)
            return self._process.wait()
        finally:
            self._end_group(self._process)

    def _follow(self, output: IO[str]) -> None:
        with self.log_path.open("a", encoding="utf-8") as log:
            for raw in output:
                log.write(raw)
                self.on_line(_parse(raw))

    @staticmethod
    def _end_group(process: subprocess.Popen[str]) -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        reaper = threading.Timer(_PATIENCE_S, _kill_group, (process.pid,))
        reaper.start()
        process.wait()
        reaper.cancel()


def _kill_group(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _parse(raw: str) -> Line:
    """A line as Meltano's JSON formatter writes it; anything else is taken as it stands."""
    try:
        fields = json.loads(raw)
    except ValueError:
        return Line("info", "", raw.rstrip())
    if not isinstance(fields, dict):
        return Line("info", "", raw.rstrip())
    return Line(
        level=str(fields.get("level", "info")),
        logger=str(fields.get("plugin_logger") or ""),
        text=str(fields.get("event", "")).strip(),
    )
