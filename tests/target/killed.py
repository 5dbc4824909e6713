"""The target's command in processes that a test may let die."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.target.messages import dump

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@dataclass
class Zygote:
    """The target's command, many times."""

    process: subprocess.Popen[str]
    directory: Path

    def run(
        self,
        config: dict[str, Any],
        messages: Sequence[dict[str, Any]] = (),
        failpoint: str = "",
        *,
        command: Sequence[str] = (),
    ) -> tuple[int, list[Any]]:
        """One run: its exit status, and the STATEs that it wrote; a ``command`` writes none."""
        files = {name: self.directory / name for name in ("input", "output", "errors", "config")}
        files["input"].write_text("".join(f"{dump(message)}\n" for message in messages))
        files["config"].write_text(json.dumps(config))
        job = {
            "env": {"TARGET_TABLEAU_HYPER_FAILPOINT": failpoint},
            "arguments": [*command, "--config", str(files["config"])],
            **{name: str(files[name]) for name in ("input", "output", "errors")},
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{json.dumps(job)}\n")
        self.process.stdin.flush()
        status = int(self.process.stdout.readline())
        states = [] if command else files["output"].read_text().splitlines()
        return status, [json.loads(state) for state in states]

    @property
    def said(self) -> str:
        """The last run's log."""
        return (self.directory / "errors").read_text()


@contextmanager
def hatched(directory: Path) -> Iterator[Zygote]:
    """Start it, with a directory for the files of its runs."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.target.zygote"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Zygote(process, directory)
        assert process.stdin is not None
        process.stdin.close()
