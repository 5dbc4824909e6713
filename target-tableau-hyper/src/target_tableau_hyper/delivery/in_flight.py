"""Jobs that the server was given and whose end nobody has seen, in a small file.

A run that dies leaves its job in the server's queue. Appended rows that come late would stand there
twice, once the next run has sent them again; so the next delivery to the same data source waits for
``<output_dir>/.in_flight.json`` first.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pipeline_core.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class InFlight:
    """The last job of each data source, while it is not known to be over."""

    def __init__(self, directory: Path) -> None:
        """Keep them in ``directory``, which is there."""
        self._path = directory / ".in_flight.json"

    def job(self, place: Sequence[str]) -> str | None:
        """The job at a place (server, site, project, name), if there is one."""
        return self._read().get(_key(place))

    def began(self, place: Sequence[str], job_id: str) -> None:
        """Note a job, durably."""
        self._write(self._read() | {_key(place): job_id})

    def ended(self, place: Sequence[str]) -> None:
        """Its job is over, well or not."""
        jobs = self._read()
        if jobs.pop(_key(place), None) is not None:
            self._write(jobs)

    def _read(self) -> dict[str, str]:
        try:
            jobs: dict[str, str] = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        return jobs

    def _write(self, jobs: dict[str, str]) -> None:
        if jobs:
            write_atomically(self._path, (json.dumps(jobs, indent=2) + "\n").encode())
        else:
            self._path.unlink(missing_ok=True)


def _key(place: Sequence[str]) -> str:
    return json.dumps(list(place))
