"""`d365fo-tableau run` ends as the plugin that failed first, and not with Meltano's 1."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.e2e.meltano import PROJECT, Meltano

from pipeline_core.exit_notes import VARIABLE, ExitNote, first_failure, leave_note
from pipeline_core.ledger import Ledger

if TYPE_CHECKING:
    from contoso_sandbox.pytest_plugin import NewContoso

COMMAND = Path(sys.executable).with_name("d365fo-tableau")

#: Stands for Meltano and two plugins in a pipe: each ends with an error of a kind, or well.
MELTANO = f"""\
#!{sys.executable}
import json, os, subprocess, sys, time
with open("called", "w") as called:
    json.dump([sys.argv[1:], os.environ["MELTANO_RUN_ID"]], called)
if os.path.exists("slow"):
    time.sleep(60)
plugin = '''
import sys
from pipeline_core import errors
from pipeline_core.edge import run_guarded
def work():
    if sys.argv[2] == "reads": sys.stdin.read()
    if sys.argv[3]: raise getattr(errors, sys.argv[3])("it did not work")
run_guarded(work, name=sys.argv[1])
'''
tap, target = json.load(open("plugins"))
first = subprocess.Popen(
    [sys.executable, "-c", plugin, "tap-d365fo", "", tap], stdout=subprocess.PIPE
)
how = "refuses" if target == "ConfigError" else "reads"
last = subprocess.Popen(
    [sys.executable, "-c", plugin, "target-tableau-hyper", how, target], stdin=first.stdout
)
first.stdout.close()
codes = [first.wait(), last.wait()]
sys.exit(1 if any(codes) or os.path.exists("broken") else 0)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "meltano.yml").write_text("{}")
    (tmp_path / "meltano").write_text(MELTANO)
    (tmp_path / "meltano").chmod(0o755)
    (tmp_path / "plugins").write_text('["", ""]')
    return tmp_path


def start(project: Path, *words: str) -> subprocess.Popen[str]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("TARGET_") and name != "MELTANO_RUN_ID"
    }
    return subprocess.Popen(
        [COMMAND, "run", "--meltano", str(project / "meltano"), *words],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(project: Path, *words: str) -> tuple[int, str]:
    process = start(project, *words)
    _, told = process.communicate(timeout=60)
    return process.returncode, told.splitlines()[-1]


@pytest.mark.parametrize(
    ("plugins", "code", "told"),
    [
        pytest.param(["", ""], 0, "run ", id="all is well"),
        pytest.param(
            ["AuthError", "IntegrityError"], 77, "tap-d365fo ended with", id="the tap is the cause"
        ),
        pytest.param(["", "DataError"], 65, "target-tableau-hyper ended with", id="the target"),
        pytest.param(["TransientError", "IntegrityError"], 75, "tap-d365fo ended", id="away"),
    ],
)
def test_the_plugin_that_failed_first_says_how_a_run_ends(
    project: Path, plugins: list[str], code: int, told: str
) -> None:
    (project / "plugins").write_text(json.dumps(plugins))
    ended, last = run(project, "--full-refresh", "finance", "--dry-run")
    assert ended == code
    assert last.removeprefix("d365fo-tableau: ").startswith(told)
    arguments, run_id = json.loads((project / "called").read_text())
    assert arguments == [f"--cwd={project}", "run", "--full-refresh", "finance", "--dry-run"]
    assert len(run_id) == 36


def test_a_failure_of_somebody_else_keeps_meltanos_code(project: Path) -> None:
    (project / "broken").touch()
    ended, last = run(project, "finance")
    assert ended == 1
    assert "no plugin of ours failed" in last


def test_a01_nothing_is_run_on_a_ledger_that_was_tampered_with(project: Path) -> None:
    path = project / "var/ledger.db"
    with Ledger(path, run_id="r", actor="tap") as ledger:
        ledger.append("partition.read", amount="1.00")
    assert run(project, "finance")[0] == 0
    (project / "called").unlink()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("DROP TRIGGER ledger_no_update")
        db.execute("UPDATE ledger SET body_json = '{}'")
    ended, last = run(project, "finance")
    assert ended == 70
    assert "broken at row 1 " in last
    assert not (project / "called").exists()


def test_told_to_stop_it_stops_the_run(project: Path) -> None:
    (project / "slow").touch()
    process = start(project, "finance")
    ends = time.monotonic() + 30
    while not (project / "called").exists():
        assert time.monotonic() < ends
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 143
    assert "told to stop" in told.splitlines()[-1]


def test_what_cannot_be_run_is_told(project: Path) -> None:
    assert run(project)[0] == 78
    (project / "meltano").chmod(0o644)
    ended, last = run(project, "finance")
    assert ended == 78
    assert "cannot be started: Permission denied" in last


def test_notes_are_left_where_somebody_asks_and_only_failures_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_note("tap-d365fo", 75)
    assert first_failure(tmp_path) is None
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    leave_note("tap-d365fo", 0)
    assert first_failure(tmp_path) is None
    (tmp_path / "something else").touch()
    leave_note("target-tableau-hyper", 78)
    leave_note("tap-d365fo", 74)
    assert first_failure(tmp_path) == ExitNote("target-tableau-hyper", 78)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "gone"))
    leave_note("tap-d365fo", 1)


def test_the_real_meltano_and_plugins_end_with_the_cause(
    new_contoso: NewContoso, tmp_path: Path
) -> None:
    """Meltano says 1, the target misses the tap's end; the identity was refused."""
    wrong = {"TAP_D365FO_CLIENT_SECRET": "not-the-secret-of-contoso"}
    meltano = Meltano(new_contoso(), tmp_path, entities=("VendorsV2",), variables=wrong)
    done = subprocess.run(
        [COMMAND, "run", "tap-d365fo", "target-tableau-hyper"],
        cwd=PROJECT,
        env=meltano.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 77, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last == "d365fo-tableau: tap-d365fo ended with exit code 77; its last line says why"
