"""The unmodified tabcmd against the server.

Its ``--use-certificate`` names a client certificate; the authority that it trusts comes from
``REQUESTS_CA_BUNDLE``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.sandbox.tableau.conftest import Hypers, Running

TABCMD = "tabcmd==2.0.21"


@pytest.fixture(scope="module")
def tabcmd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tabcmd in an environment of its own: it wants another tableauserverclient than ours."""
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    environment = tmp_path_factory.mktemp("tabcmd")
    subprocess.run([uv, "venv", "--quiet", "--clear", environment], check=True)
    python = environment / "bin" / "python"
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, TABCMD], check=True)
    return environment / "bin" / "tabcmd"


def run(tabcmd: Path, running: Running, home: Path, *arguments: str) -> str:
    """Run a command with a new token; tabcmd keeps its sign-in below its home."""
    done = subprocess.run(
        [
            tabcmd,
            *arguments,
            "--server",
            running.url,
            "--site",
            "contoso",
            "--token-name",
            running.token(),
            "--token-value",
            "secret",
        ],
        env={
            **os.environ,
            "HOME": str(home),
            "REQUESTS_CA_BUNDLE": str(running.tls.ca_bundle),
            "LC_ALL": "C.UTF-8",
        },
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_tabcmd_publishes_overwrites_and_refreshes(
    tabcmd: Path,
    running: Running,
    hypers: Hypers,
    packed_extract: Path,
    tmp_path: Path,
) -> None:
    first, second = hypers.table('"k" INT', "(1)"), hypers.table('"k" INT', "(2)", "(3)")
    where = ("--name", "GL", "--project", "default")
    run(tabcmd, running, tmp_path, "publish", str(first), *where)
    published = running.server.datasources()[-1]
    with pytest.raises(AssertionError, match="403007"):
        run(tabcmd, running, tmp_path, "publish", str(second), *where)
    run(tabcmd, running, tmp_path, "publish", str(second), *where, "--overwrite")
    overwritten = running.server.datasources()[-1]
    assert (overwritten.name, overwritten.id) == ("GL", published.id)
    assert hypers.rows(running.server.hyper_file("GL")) == [[2], [3]]
    refresh = ("refreshextracts", "--datasource", "GL", "--project", "default", "--synchronous")
    with pytest.raises(AssertionError, match="409090"):
        run(tabcmd, running, tmp_path, *refresh)
    run(tabcmd, running, tmp_path, "publish", str(packed_extract), *where, "--overwrite")
    assert "Job completed" in run(tabcmd, running, tmp_path, *refresh)
    job = running.server.jobs()[-1]
    assert (job.type, job.finish_code, job.datasource_id) == ("RefreshExtract", 0, published.id)
