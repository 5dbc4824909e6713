"""The runs command over a ledger that a tap and a target wrote."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline_core.errors import TransientError
from pipeline_core.ledger import Ledger

COMMAND = Path(sys.executable).with_name("d365fo-tableau")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    with Ledger(path, run_id="run-1", actor="tap-d365fo") as ledger:
        ledger.append("partition.read", stream="VendorsV2", company="usmf", rows=1200)
        ledger.append("partition.read", stream="VendorsV2", company="demf", rows=34)
        with ledger.effect("publish", datasource="VendorsV2") as effect:
            effect.verified(job="j-1")
        ledger.append("run.finished")
    reason = "server away"
    with Ledger(path, run_id="run-2", actor="target-tableau-hyper") as ledger:
        ledger.append("run.finished")
        with pytest.raises(TransientError), ledger.effect("publish"):
            raise TransientError(reason)
    with Ledger(path, run_id="run-3", actor="target-tableau-hyper") as ledger:
        ledger.append("publish.intent", datasource="VendorsV2")
    return path


def run(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(COMMAND), "runs", "--ledger", str(path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_list_tells_how_each_run_ended(path: Path) -> None:
    lines = run(path, "list").stdout.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["run-1", "run-2", "run-3"]
    assert "complete" in lines[0]
    assert "1,234 rows" in lines[0]
    assert "failed" in lines[1]
    assert "incomplete" in lines[2]
    assert lines[3].strip() == "publish: begun, end unknown; look at the server"


def test_show_lists_the_events_of_one_run(path: Path) -> None:
    shown = run(path, "show", "run-1", "--events")
    assert "partition.read" in shown.stdout
    assert "company=usmf rows=1200" in shown.stdout
    assert "run-2" not in shown.stdout
    missing = run(path, "show", "run-9")
    assert missing.returncode == 78
    assert missing.stderr.splitlines()[-1].startswith("d365fo-tableau: the ledger has no run run-9")


def test_list_takes_failures_that_have_no_intent(path: Path) -> None:
    with Ledger(path, run_id="run-4", actor="tap-d365fo") as ledger:
        ledger.append("partition.failed", stream="VendorsV2", company="demf", error="DeniedError")
        ledger.append("run.failed", partitions=1)
    listed = run(path, "list")
    assert listed.returncode == 0, listed.stderr
    assert "run-4" in listed.stdout
    assert "failed" in listed.stdout.splitlines()[-1]


def test_verify_finds_tampering(path: Path) -> None:
    assert "chain unbroken" in run(path, "verify").stdout
    db = sqlite3.connect(path)
    db.execute("DROP TRIGGER ledger_no_update")
    db.execute("UPDATE ledger SET body_json = replace(body_json, '1200', '1201')")
    db.commit()
    db.close()
    broken = run(path, "verify")
    assert broken.returncode == 70
    assert "row 1" in broken.stderr


def test_without_a_ledger_it_says_so(tmp_path: Path) -> None:
    missing = run(tmp_path / "none.db", "list")
    assert missing.returncode == 78
    assert not (tmp_path / "none.db").exists()


def test_list_for_machines_and_filters(path: Path) -> None:
    runs = json.loads(run(path, "list", "--format", "json").stdout)
    assert [one["outcome"] for one in runs] == ["complete", "failed", "incomplete"]
    assert runs[0]["streams"] == ["VendorsV2"]
    assert runs[0]["delivered"] == ["VendorsV2"]
    assert runs[2]["open_intents"] == ["publish"]
    failed = run(path, "list", "--outcome", "failed").stdout.splitlines()
    assert [line.split()[0] for line in failed] == ["run-2"]
    assert run(path, "list", "--until", "2020-01-01").stdout == ""
    wrong = run(path, "list", "--since", "soon")
    assert wrong.returncode == 78
    assert "no date" in wrong.stderr


def test_show_takes_the_beginning_of_an_id_and_latest(path: Path) -> None:
    assert run(path, "show", "latest").stdout.startswith("Run run-3: incomplete")
    ambiguous = run(path, "show", "run")
    assert ambiguous.returncode == 78
    assert "3 runs begin with run" in ambiguous.stderr
    assert json.loads(run(path, "show", "run-1", "--format", "json").stdout)["run_id"] == "run-1"
    raw = json.loads(run(path, "show", "run-1", "--events", "--format", "json").stdout)
    assert raw[0]["event"] == "partition.read"


def test_verify_finds_an_anchored_head_and_a_chain_that_was_cut_off(path: Path) -> None:
    head = json.loads(run(path, "verify", "--format", "json").stdout)["head"]
    assert "1 anchored head found in it" in run(path, "verify", "--head", head).stdout
    db = sqlite3.connect(path)
    db.execute("DROP TRIGGER ledger_no_delete")
    db.execute("DELETE FROM ledger WHERE seq = (SELECT max(seq) FROM ledger)")
    db.commit()
    db.close()
    assert run(path, "verify").returncode == 0, "a shorter chain is a chain"
    cut = run(path, "verify", "--head", head)
    assert cut.returncode == 70
    assert "before the anchored row" in cut.stderr
    assert run(path, "verify", "--head", "deadbeef@1").returncode == 78


def test_a_file_that_is_no_ledger_is_told(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, and long enough to be looked at by SQLite" * 10)
    told = run(path, "list")
    assert told.returncode == 78
    assert "notes.txt cannot be opened" in told.stderr
    assert path.read_text().startswith("not a database")
