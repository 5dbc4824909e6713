"""What a newcomer sees, and that it leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.e2e.meltano import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COMMAND = str(Path(sys.executable).with_name("contoso-sandbox"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The repository's Meltano project in a folder of its own, as in a fresh clone.

    It lies deeper than the address of a socket can be long.
    """
    folder = tmp_path / ("deep" * 27)
    folder.mkdir()
    shutil.copy(PROJECT / "meltano.yml", folder)
    (folder / ".venv").symlink_to(PROJECT / ".venv")
    return folder


@pytest.fixture(autouse=True)
def _heard_signals() -> Iterator[None]:
    """A shell starts its background jobs deaf to SIGINT, and they would pass that on."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def start(project: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [COMMAND, "demo", "--scale", "0.02", "--project", str(project)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "COLUMNS": "160"},
    )


def test_the_demonstration_ends_equal_twice_and_keeps_the_extracts(project: Path) -> None:
    process = start(project)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "DIFFERENT" not in output
    story = output.partition("runs --ledger var/demo/ledger.db show ")[2]
    assert "sent and received agree; complete, as the tap says" in story
    assert "Traceback" not in output
    for page in ("preview", "status"):
        path = project / f"output/demo/{page}.html"
        assert f"file://{path}" in output
        assert path.read_text().rstrip().endswith("</html>")
    assert output.count(" equal") == 2 * (16 + 4), "16 entity sets, 4 of them again as tables"
    assert "What travelled in the second run" in output
    assert "update" in output
    extracts = sorted(p.stem for p in (project / "output/demo").glob("*.hyper"))
    assert len(extracts) == 16
    manifest = json.loads((project / "output/demo/VendorsV2.manifest.json").read_text())
    assert manifest["delivered"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_it_leaves_no_process(project: Path, number: signal.Signals) -> None:
    process = start(project)
    family = wait_for(lambda: running_plugins(process.pid))
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0, output
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []


def running_plugins(pid: int) -> list[psutil.Process]:
    """All descendants, once a tap is among them."""
    family = psutil.Process(pid).children(recursive=True)
    commands = [" ".join(child.cmdline()) for child in family]
    return family if any("tap-d365fo" in command for command in commands) else []


def wait_for(condition: Callable[[], list[psutil.Process]]) -> list[psutil.Process]:
    deadline = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < deadline, "the plugins never started"
        time.sleep(0.05)
    return found
