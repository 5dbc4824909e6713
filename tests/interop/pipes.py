"""The tap's command piped into a target's command, as a shell or Meltano would do it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.interop.peers import shell

if TYPE_CHECKING:
    from collections.abc import Mapping

TAP = str(Path(sys.executable).with_name("tap-d365fo"))
_PATIENCE_S = 120


def run_pipe(
    tap_config: Mapping[str, Any],
    target: Path,
    target_config: Mapping[str, Any],
    scratch: Path,
    *,
    state: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Run both to a good end and return the last STATE that the target printed."""
    scratch.mkdir(parents=True, exist_ok=True)
    config = _written(scratch / "target.json", target_config)
    with (scratch / "tap.log").open("wb") as tap_log, (scratch / "target.log").open("wb") as log:
        tap = subprocess.Popen(
            tap_command(tap_config, scratch, state=state),
            stdout=subprocess.PIPE,
            stderr=tap_log,
            env=shell(),
        )
        assert tap.stdout is not None
        try:
            with tap.stdout:
                sink = subprocess.run(
                    [target, "--config", config],
                    stdin=tap.stdout,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    cwd=scratch,
                    env=shell(),
                    timeout=_PATIENCE_S,
                    check=False,
                )
            tap.wait(timeout=_PATIENCE_S)
        finally:
            tap.kill()
            tap.wait()
    assert tap.returncode == 0, (scratch / "tap.log").read_text()
    assert sink.returncode == 0, (scratch / "target.log").read_text()
    printed: dict[str, Any] = json.loads(sink.stdout.splitlines()[-1])
    return printed


def run_tap(
    config: Mapping[str, Any], scratch: Path, *, state: Mapping[str, Any] | None = None
) -> bytes:
    """Run the tap alone and return what it wrote."""
    done = subprocess.run(
        tap_command(config, scratch, state=state),
        capture_output=True,
        env=shell(),
        timeout=_PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def tap_command(
    config: Mapping[str, Any], scratch: Path, *, state: Mapping[str, Any] | None = None
) -> list[str]:
    """The tap's command line; configuration and state lie in ``scratch``."""
    command = [TAP, "--config", _written(scratch / "tap.json", config)]
    return command if state is None else [*command, "--state", _written(scratch / "state", state)]


def _written(file: Path, content: Mapping[str, Any]) -> str:
    file.write_text(json.dumps(content))
    return str(file)
