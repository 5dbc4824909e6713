"""The command as a process: how it ends, and what it says then."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.tap.conftest import settings_for

if TYPE_CHECKING:
    from contoso_sandbox.contoso import Contoso

COMMAND = str(Path(sys.executable).with_name("tap-d365fo"))


@pytest.fixture
def config_file(contoso: Contoso, tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(settings_for(contoso)))
    return path


def start(config_file: Path, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [COMMAND, "--config", str(config_file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": "", **environment},
    )


def last_line(errors: bytes) -> str:
    return errors.decode().rstrip().splitlines()[-1]


def test_a_reader_that_goes_away_is_told(config_file: Path) -> None:
    process = start(config_file)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 74, errors.decode()
    assert "has gone away" in last_line(errors)


def test_being_told_to_stop_is_no_success(config_file: Path) -> None:
    process = start(config_file)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors.decode()
    assert "told to stop" in last_line(errors)
    assert b'"complete":true' not in output


def test_no_query_and_no_secret_in_the_log_however_talkative(
    config_file: Path, contoso: Contoso
) -> None:
    process = start(config_file, TAP_D365FO_LOGLEVEL="DEBUG", LOGLEVEL="DEBUG")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0
    text = errors.decode()
    assert "$filter=" not in text
    assert "dataAreaId%20eq" not in text
    assert contoso.credentials.client_secret not in text


def test_mistakes_end_with_a_sentence(config_file: Path, tmp_path: Path) -> None:
    settings = json.loads(config_file.read_text())
    (tmp_path / "file").write_text("")
    settings["ledger_path"] = str(tmp_path / "file/ledger.db")
    config_file.write_text(json.dumps(settings))
    begun = time.monotonic()
    process = start(config_file)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 78
    assert last_line(errors).startswith("tap-d365fo: ledger_path ")
    assert time.monotonic() - begun < 60


def test_the_log_says_which_strategy_each_stream_uses_and_why(
    contoso: Contoso, tmp_path: Path
) -> None:
    """One line a stream, at the level that an operator has without asking."""
    config = tmp_path / "config.json"
    names = ["GeneralJournalEntryBiEntities", "VendTransBiEntities", "VendorGroups", "MainAccounts"]
    own = {"MainAccounts": {"replication": "full"}}
    given = settings_for(contoso, entities=names, entity_settings=own, companies=["usmf"])
    config.write_text(json.dumps({**given, "snapshot_path": str(tmp_path / "snapshots")}))
    ended = subprocess.run(
        [COMMAND, "--config", str(config)],
        capture_output=True,
        check=True,
        text=True,
        env={"PATH": ""},
    )
    for line in (
        "GeneralJournalEntryBiEntities: high_water, because posted entries are only ever added",
        "VendTransBiEntities: cursor, because SysModifiedDateTime tells when a row changed",
        "VendorGroups: etag_scan, because it publishes no time of change, and etags tell what",
        "MainAccounts: full, because entity_settings ask for it",
    ):
        assert ended.stderr.count(line) == 1, ended.stderr


def test_a_state_that_is_none_is_told_in_one_sentence(contoso: Contoso, tmp_path: Path) -> None:
    config, state = tmp_path / "config.json", tmp_path / "state.json"
    config.write_text(json.dumps(settings_for(contoso, entities=["MainAccounts"])))
    state.write_text('{"bookmarks": ')
    ended = subprocess.run(
        [COMMAND, "--config", str(config), "--state", str(state)],
        capture_output=True,
        check=False,
        text=True,
    )
    assert ended.returncode == 78
    assert "holds no JSON object" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_the_connection_test_asks_for_a_row_and_no_more(contoso: Contoso, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(settings_for(contoso, entities=["VendorsV2", "MainAccounts"])))
    contoso.d365.requests.clear()
    ended = subprocess.run(
        [COMMAND, "--config", str(config), "--test"], capture_output=True, check=False, text=True
    )
    assert ended.returncode == 0
    assert "error" not in ended.stderr.lower()
    rows = [r.rows for r in contoso.d365.requests if r.entity_set in {"VendorsV2", "MainAccounts"}]
    assert sum(rows) == 2
