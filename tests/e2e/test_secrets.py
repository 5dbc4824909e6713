"""With references in the settings, no secret is anywhere but in its vault.

Both credentials go through a whole `meltano run`, and through one that is killed. Then every file
that the run left, its output, its ledger, and the environments and arguments of all its processes
are searched for either value, plain and in the forms that programs write values in.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import psutil
import pytest
from tests.e2e.meltano import PROJECT, RUN, Meltano

from pipeline_core.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    from contoso_sandbox.contoso import Contoso

#: Settings that hold a secret, and where the vault has it.
REFERENCES = {
    "TAP_D365FO_CLIENT_SECRET": "secret://vault/d365fo#client_secret",
    "TARGET_TABLEAU_HYPER_TABLEAU_TOKEN_VALUE": "secret://vault/tableau#token_value",
}

A_FEW = ("MainAccounts", "VendTransBiEntities", "VendorsV2")


def forms(value: str) -> set[bytes]:
    """A value as it is, in JSON, in a URL and in base64 at each of the three alignments."""
    plain = value.encode()
    aligned = {base64.b64encode(b"x" * n + plain)[4:-4] for n in range(3)}
    return {plain, json.dumps(value)[1:-1].encode(), quote(value, safe="").encode(), *aligned}


@dataclass
class Watch:
    """Looks at a process and its descendants, over and over, until they are gone."""

    needles: set[bytes]
    seen: dict[str, int] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)

    def follow(self, process: subprocess.Popen[str]) -> threading.Thread:
        thread = threading.Thread(target=self._look, args=(psutil.Process(process.pid),))
        thread.start()
        return thread

    def _look(self, root: psutil.Process) -> None:
        while family := _family(root):
            for process in family:
                for name in ("environ", "cmdline"):
                    try:
                        content = Path(f"/proc/{process.pid}/{name}").read_bytes()
                    except OSError:  # gone meanwhile
                        continue
                    program = Path(content.split(b"\0")[0].decode(errors="replace")).name
                    if name == "cmdline" and program:
                        self.seen[program] = self.seen.get(program, 0) + 1
                    self.found += [f"{name} of {program}" for n in self.needles if n in content]
            time.sleep(0.02)


def _family(root: psutil.Process) -> list[psutil.Process]:
    """The process and what it has started; nothing once it has ended."""
    try:
        if root.is_running() and root.status() != psutil.STATUS_ZOMBIE:
            return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:  # between two of these questions
        pass
    return []


@dataclass
class Run:
    """A pipeline whose settings hold references only."""

    meltano: Meltano
    places: list[Path]
    needles: set[bytes]

    def hits(self) -> list[str]:
        """Files that hold a secret."""
        files = [p for place in self.places for p in place.rglob("*") if p.is_file()]
        assert len(files) > 5
        return [str(p) for p in files if any(n in p.read_bytes() for n in self.needles)]


@pytest.fixture
def run(new_contoso: Callable[..., Contoso], tmp_path: Path) -> Run:
    contoso = new_contoso(page_size=20)
    values = {name: contoso.settings()[name] for name in REFERENCES}
    assert all(len(value) >= 20 for value in values.values())
    home = tmp_path / "home"
    (home / "tmp").mkdir(parents=True)
    vault = {
        "D365FO_TABLEAU_VAULT": str(home / "vault.json"),
        "D365FO_TABLEAU_KEY_FILE": str(tmp_path / "elsewhere" / "vault.key"),
    }
    command = Path(sys.executable).with_name("d365fo-tableau")
    environment = {**os.environ, **vault}
    subprocess.run([command, "secrets", "init"], env=environment, check=True)
    for name, reference in REFERENCES.items():
        place, _, name_there = reference.rpartition("/")[2].partition("#")
        subprocess.run(
            [command, "secrets", "set", place, name_there],
            env=environment,
            input=values[name].encode(),
            check=True,
        )
    meltano = Meltano(
        contoso, home, A_FEW, variables={**vault, **REFERENCES, "TMPDIR": str(home / "tmp")}
    )
    needles = {form for value in values.values() for form in forms(value)}
    return Run(meltano, [home, PROJECT / ".meltano"], needles)


def test_s02_no_secret_is_left_anywhere_by_a_run(run: Run) -> None:
    watch = Watch(run.needles)
    process = run.meltano.start(*RUN)
    following = watch.follow(process)
    output, _ = process.communicate(timeout=300)
    following.join()
    assert process.returncode == 0, output
    assert len(run.meltano.contoso.tableau.datasources()) >= len(A_FEW)
    # The search meets what the plugins start, too.
    assert "hyperd" in watch.seen
    assert sum(watch.seen.values()) > 20
    assert watch.found == []
    assert run.hits() == []
    assert not any(needle in output.encode() for needle in run.needles)
    with Ledger(run.meltano.ledger, run_id="x", actor="x") as ledger:
        told = [e.body["secrets"] for e in ledger.events() if e.event == "run.started"]
    assert {r for one in told for r in one.values()} == {
        f"{reference} revision 1" for reference in REFERENCES.values()
    }


def test_s02_no_secret_is_left_by_the_calendar_a_check_or_a_replay(run: Run) -> None:
    """What starts the same plugins, or resolves the same references itself."""
    home = run.meltano.home
    today = datetime.now(UTC).date()
    later = f"{today + timedelta(days=60)}"
    calendar = {
        "zone": "UTC",
        "starts": f"{today}",
        "periods": [
            {"period": "now", "start": f"{today}", "end": f"{today}"},
            {"period": "later", "start": later, "end": later},
        ],
        "events": {"flash": {"at": "D0 00:00", "run": "tap-d365fo target-tableau-hyper"}},
        "driver": {"max_lateness": "2d", "attempts": 1},
    }
    (home / "close_calendar.yml").write_text(json.dumps(calendar))
    environment = {
        **run.meltano.environment(),
        "D365FO_TABLEAU_CALENDAR": str(home / "close_calendar.yml"),
        "D365FO_TABLEAU_CALENDAR_STORE": str(home / "calendar.db"),
        "TAP_D365FO_ARCHIVE_PATH": str(home / "archive"),
        "TAP_D365FO_ENTITIES": json.dumps(A_FEW[:1]),
    }
    watch, outputs = Watch(run.needles), []
    for words in (("calendar", "run"), ("check", "--no-counts"), ("replay", "latest")):
        process = subprocess.Popen(
            [Path(sys.executable).with_name("d365fo-tableau"), *words],
            cwd=PROJECT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        following = watch.follow(process)
        outputs.append(process.communicate(timeout=300)[0])
        following.join()
        assert process.returncode == 0, outputs[-1]
    assert "replayed from pages" in outputs[-1]
    assert "hyperd" in watch.seen
    assert watch.found == []
    assert run.hits() == []
    assert not any(needle in output.encode() for output in outputs for needle in run.needles)


def test_s02_no_secret_is_left_by_a_run_that_is_killed(run: Run) -> None:
    watch = Watch(run.needles)
    process = run.meltano.start(*RUN)
    following = watch.follow(process)
    deadline = time.monotonic() + 120
    requests = run.meltano.contoso.d365.requests
    while sum(r.entity_set == "VendTransBiEntities" for r in requests) < 3:
        assert time.monotonic() < deadline, "the moment to kill never came"
        time.sleep(0.005)
    doomed = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    for one in doomed:
        one.send_signal(signal.SIGKILL)
    output, _ = process.communicate(timeout=60)
    following.join()
    assert process.returncode == -signal.SIGKILL
    assert watch.found == []
    assert run.hits() == []
    assert not any(needle in output.encode() for needle in run.needles)


def test_the_search_finds_what_plain_values_leave(run: Run) -> None:
    """With plain values they are in the environment at least: the search is no blind one."""
    plain = Meltano(run.meltano.contoso, run.meltano.home, A_FEW)
    watch = Watch(run.needles)
    process = plain.start("invoke", "tap-d365fo", "--version")
    following = watch.follow(process)
    output, _ = process.communicate(timeout=120)
    following.join()
    assert process.returncode == 0, output
    assert watch.found
    (run.meltano.home / "leak.json").write_text(json.dumps(plain.contoso.settings()))
    assert [Path(hit).name for hit in run.hits()] == ["leak.json"]
