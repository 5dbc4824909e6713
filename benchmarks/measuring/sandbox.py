"""Contoso in a process of its own, so that it does not share the interpreter's lock."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from benchmarks.measuring.workshop import program

from contoso_sandbox.state import Credentials, RunningBox, meltano_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

TAP = "TAP_D365FO_"
TARGET = "TARGET_TABLEAU_HYPER_"


@contextmanager
def contoso(directory: Path, scale: float) -> Iterator[dict[str, str]]:
    """Serve D365, Entra ID and Tableau while the block runs.

    Yields:
        The environment variables that point both plugins at it.

    Raises:
        SystemExit: it did not start.
    """
    command = [str(program("contoso-sandbox")), "serve", "--any-port", f"--scale={scale}"]
    process = subprocess.Popen(  # noqa: S603 - our own command
        [*command, "--dir", str(directory)], stdout=subprocess.DEVNULL
    )
    try:
        while (running := RunningBox.of(directory)) is None:
            if process.poll() is not None:
                message = "the sandbox did not start"
                raise SystemExit(message)
            time.sleep(0.05)
        yield meltano_settings(running, Credentials.kept_in(directory))
    finally:
        process.terminate()
        process.wait()


def settings_of(variables: Mapping[str, str], prefix: str) -> dict[str, Any]:
    """One plugin's configuration out of environment variables."""
    return {
        name.removeprefix(prefix).lower(): value
        for name, value in variables.items()
        if name.startswith(prefix)
    }
