"""Programs of the system that some tests need.

Where one is missing, its tests are left out and say so at the end of the run. Where everything is
to be tested (``make test-all``, which continuous integration runs), that is a failure; root on
Debian gets the program installed first.
"""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


def needed(program: str, *, package: str) -> str:
    """The program's path; ends the test where there is none."""
    found = shutil.which(program)
    if found is not None:
        return found
    message = f"NOT TESTED: {program} is not installed (apt install {package})"
    if not os.environ.get("REQUIRE_TOOLS"):
        pytest.skip(message)
    if os.geteuid() == 0 and shutil.which("apt-get"):
        _install(package)
        found = shutil.which(program)
    if found is None:
        pytest.fail(message)
    return found


def _install(package: str) -> None:
    for arguments in (("update",), ("install", "--yes", package)):
        subprocess.run(
            ["/usr/bin/apt-get", "--quiet", *arguments],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            check=False,
            capture_output=True,
            timeout=300,
        )
