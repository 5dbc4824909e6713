"""A replay server in a process of its own, so that it does not share the interpreter's lock."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from benchmarks.measuring.workshop import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.replay.plan import Replay


@contextmanager
def replaying(replay: Replay, home: Path) -> Iterator[dict[str, Any]]:
    """Serve ``replay`` while the block runs.

    Yields:
        The tap's configuration: the server, and that one entity set.

    Raises:
        SystemExit: the server did not start.
    """
    command = [sys.executable, "-m", "benchmarks.replay.server", str(home / "replay")]
    process = subprocess.Popen(  # noqa: S603 - our own command
        [*command, json.dumps(asdict(replay))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=PROJECT,
    )
    assert process.stdin is not None  # noqa: S101 - asked for above
    assert process.stdout is not None  # noqa: S101 - asked for above
    try:
        line = process.stdout.readline()
        if not line:
            message = "the replay server did not start"
            raise SystemExit(message)
        config: dict[str, Any] = json.loads(line)
        yield config | {
            "entities": [replay.entity_set],
            "companies": list(replay.companies) or ["all"],
            "metadata_cache_path": str(home / "metadata"),
        }
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait()
