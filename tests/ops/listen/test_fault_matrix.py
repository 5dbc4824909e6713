"""Ledger, replay and secrets of the fault matrix: A01, A02, S01, S02."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from cryptography.fernet import Fernet
from tableauhyperapi import Connection, HyperProcess, Telemetry
from tests.ops.listen.conftest import finance
from tests.ops.listen.listening import (
    CANARIES,
    COMMAND,
    D365_SECRET,
    MELTANO,
    TABLEAU_SECRET,
    refresh_event,
    sweep,
    until,
    vendor_invoice,
)

from pipeline_core.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.ops.listen.listening import Listener

    from contoso_sandbox.contoso import Contoso

_SEED = 20261124
_BIN = Path(sys.executable).parent

_EDIT = "UPDATE ledger SET body_json = '{}' WHERE seq = 3"
_FORK = (
    "INSERT INTO ledger SELECT 7, ts, run_id, actor, event, '{}', prev_hash, hash FROM ledger"
    " WHERE seq = 6"
)


def some_ledger(path: Path, rows: int = 6) -> None:
    with Ledger(path, run_id="run-1", actor="test") as ledger:
        for number in range(rows):
            ledger.append("event", number=number)


@pytest.mark.parametrize(
    ("statements", "row"),
    [
        pytest.param([_EDIT], 3, id="edited"),
        pytest.param(["DELETE FROM ledger WHERE seq = 3"], 4, id="deleted"),
        pytest.param(["DELETE FROM ledger WHERE seq < 4"], 4, id="beginning cut off"),
        pytest.param(
            [
                "UPDATE ledger SET seq = -1 WHERE seq = 3",
                "UPDATE ledger SET seq = 3 WHERE seq = 4",
                "UPDATE ledger SET seq = 4 WHERE seq = -1",
            ],
            3,
            id="reordered",
        ),
        pytest.param([_FORK], 7, id="forked"),
        pytest.param(
            ["DELETE FROM ledger WHERE seq = 6", "UPDATE ledger SET ts = 'x' WHERE seq = 5"],
            5,
            id="end cut off and patched",
        ),
    ],
)
def test_a01_tampering_is_named_by_its_row_and_nothing_is_begun(
    tmp_path: Path, statements: list[str], row: int
) -> None:
    path = tmp_path / "var/ledger.db"
    some_ledger(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("DROP TRIGGER ledger_no_update")
        database.execute("DROP TRIGGER ledger_no_delete")
        for statement in statements:
            database.execute(statement)
    (tmp_path / "listen.yml").write_text(f"d365: {{url_secrets: [{D365_SECRET}]}}\n")
    (tmp_path / "listen.yml").chmod(0o600)
    for command in (["runs", "verify"], ["listen"]):
        done = subprocess.run(
            [COMMAND, *command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 70
        assert f"row {row} " in done.stderr.splitlines()[-1]


def test_a01_a_full_disk_acknowledges_nothing_and_loses_nothing(
    new_listener: Callable[..., Listener],
) -> None:
    """No file may grow any more: 503, not ready; with room again the same service goes on."""
    listener = new_listener(pipelines=[finance()])
    listener.use_stand_in()
    listener.start()
    listener.tell_d365(vendor_invoice("e-1"))
    until(lambda: listener.states() == ["done"], "a first run")
    assert listener.process is not None
    size = max(p.stat().st_size for p in (listener.folder / "var").rglob("*") if p.is_file())
    everything = resource.RLIM_INFINITY
    resource.prlimit(listener.process.pid, resource.RLIMIT_FSIZE, (4096, everything))
    refused = 0
    big = vendor_invoice("e-2", Text="x" * 60_000)
    for _ in range(3):
        refused += listener.post(f"/d365/{D365_SECRET}", big).status_code == 503
    assert refused == 3, size
    until(lambda: "event not kept" in listener.log, "the reason in the log")
    resource.prlimit(listener.process.pid, resource.RLIMIT_FSIZE, (everything, everything))
    until(lambda: requests.get(f"{listener.url}/readyz", timeout=30).ok, "ready again")
    listener.tell_d365(big)
    until(lambda: listener.states() == ["done", "done"], "the repetition's run")
    listener.ledger()


def test_a01_killed_while_it_appends_the_chain_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    program = (
        "import sys; from pathlib import Path; from pipeline_core.ledger import Ledger\n"
        "with Ledger(Path(sys.argv[1]), run_id='r', actor='a') as ledger:\n"
        "    while True: print(ledger.append('event').seq, flush=True)\n"
    )
    chance = random.Random(_SEED)  # noqa: S311 - repeatable
    told = 0
    for _ in range(10):
        with subprocess.Popen(
            [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(chance.uniform(0, 0.05))
            process.kill()
            lines = process.stdout.read().split()
        told = int(lines[-1]) if lines and lines[-1].isdigit() else told
        with Ledger(path, run_id="r", actor="a") as ledger:
            assert ledger.verify() >= told, "what was told to be written is there"


def pipe(folder: Path, environment: Mapping[str, str], **more: str) -> dict[str, Any]:
    """tap-d365fo | target-tableau-hyper; returns the extract's manifest."""
    folder.mkdir()
    settings = {
        **os.environ,
        **environment,
        "TARGET_TABLEAU_HYPER_OUTPUT_DIR": str(folder),
        "TARGET_TABLEAU_HYPER_ADD_RECORD_METADATA": "true",
        **more,
    }
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [_BIN / "tap-d365fo", "--config=ENV"], env=settings, stdout=subprocess.PIPE, stderr=log
        ) as tap,
        subprocess.Popen(
            [_BIN / "target-tableau-hyper", "--config=ENV"],
            env=settings,
            stdin=tap.stdout,
            stdout=subprocess.DEVNULL,
            stderr=log,
        ) as target,
    ):
        assert tap.stdout is not None
        tap.stdout.close()
        codes = tap.wait(300), target.wait(300)
    assert codes == (0, 0), (folder / "log").read_text()[-3000:]
    (manifest,) = folder.glob("*.manifest.json")
    found: dict[str, Any] = json.loads(manifest.read_text())
    return found


def rows(path: Path, columns: str) -> list[list[object]]:
    """Of a copy: hyperd may write into a file that it only reads, and a seal would be broken."""
    copy = path.parent / "copies" / path.name
    copy.parent.mkdir(exist_ok=True)
    shutil.copyfile(path, copy)
    with (
        HyperProcess(
            Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters={"log_config": ""}
        ) as process,
        Connection(process.endpoint, copy) as connection,
    ):
        found: list[list[object]] = connection.execute_list_query(
            f'SELECT {columns} FROM "Extract"."Extract" ORDER BY "_audit_row_hash"'  # noqa: S608 - our own columns
        )
        return found


#: Entity and a column whose values, with the row hashes, must come again.
_ENTITIES = (
    ("VendorsV2", '"VendorAccountNumber"'),
    ("MainAccounts", '"MainAccountId"'),
    ("GeneralJournalAccountEntryBiEntities", '"AccountingCurrencyAmount"'),
    ("VendTransBiEntities", '"AmountCur"'),
    ("PurchaseOrderHeadersV2", '"PurchaseOrderNumber"'),
)


@pytest.mark.parametrize(("entity", "column"), _ENTITIES)
def test_a02_a_replay_has_the_same_totals_and_row_hashes(
    new_contoso: Callable[..., Contoso], tmp_path: Path, entity: str, column: str
) -> None:
    """From the raw pages, after the books have moved on; then published once more from its file."""
    contoso = new_contoso()
    run_id = "0199f1a0-0000-7000-8000-000000000001"
    environment = {
        **contoso.settings(),
        "TAP_D365FO_ENTITIES": json.dumps([entity]),
        "TAP_D365FO_ARCHIVE_PATH": str(tmp_path / "archive"),
        "TAP_D365FO_SNAPSHOT_PATH": str(tmp_path / "snapshots"),
        "TAP_D365FO_LEDGER_PATH": str(tmp_path / "ledger.db"),
        "TARGET_TABLEAU_HYPER_LEDGER_PATH": str(tmp_path / "ledger.db"),
        "TARGET_TABLEAU_HYPER_TABLEAU_PROJECT": "default",
    }
    first = pipe(tmp_path / "first", environment, MELTANO_RUN_ID=run_id)
    contoso.world.advance(2)
    shutil.rmtree(tmp_path / "snapshots", ignore_errors=True)
    again = pipe(
        tmp_path / "again",
        {**environment, "TARGET_TABLEAU_HYPER_PUBLISH": "none"},
        TAP_D365FO_REPLAY_RUN_ID=run_id,
        MELTANO_RUN_ID="0199f1a0-0000-7000-8000-000000000002",
    )
    assert first["rows"] == again["rows"] > 10
    assert first["totals"] == again["totals"]
    wanted = f'"_audit_row_hash", CAST({column} AS TEXT)'
    extract = rows(tmp_path / "first" / f"{entity}.hyper", wanted)
    assert len(extract) > 10
    assert rows(tmp_path / "again" / f"{entity}.hyper", wanted) == extract
    assert rows(contoso.tableau.hyper_file(entity), wanted) == extract
    published = subprocess.run(
        [_BIN / "target-tableau-hyper", "publish", "--config=ENV", "--force", entity],
        env={
            **os.environ,
            **environment,
            "TARGET_TABLEAU_HYPER_OUTPUT_DIR": str(tmp_path / "first"),
            "TARGET_TABLEAU_HYPER_ADD_RECORD_METADATA": "true",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert published.returncode == 0, published.stderr[-2000:]
    assert rows(contoso.tableau.hyper_file(entity), wanted) == extract


@pytest.fixture
def vault_home(tmp_path: Path) -> dict[str, str]:
    """An environment with a vault that holds the url secret of D365."""
    places = {
        "D365FO_TABLEAU_VAULT": str(tmp_path / "vault/vault.json"),
        "D365FO_TABLEAU_KEY_FILE": str(tmp_path / "key/vault.key"),
    }
    (tmp_path / "vault").mkdir()
    (tmp_path / "key").mkdir()
    secrets(places, "init")
    secrets(places, "set", "listen", "d365", given=D365_SECRET)
    return places


def secrets(places: Mapping[str, str], *arguments: str, given: str = "") -> None:
    subprocess.run(
        [COMMAND, "secrets", *arguments],
        env={**os.environ, **places},
        input=given,
        capture_output=True,
        text=True,
        check=True,
    )


def with_reference(new_listener: Callable[..., Listener], home: dict[str, str]) -> Listener:
    listener = new_listener()
    listener.environment = home
    listener.settings = {"port": 0, "d365": {"url_secrets": ["secret://vault/listen#d365"]}}
    return listener


def swap_sets(vault: Path, _key: Path, listener: Listener) -> None:
    secrets(listener.environment, "set", "other", "d365", given="canary-other-value-0001")
    content = json.loads(vault.read_text())
    sets = content["sets"]
    sets["listen"], sets["other"] = sets["other"], sets["listen"]
    vault.write_text(json.dumps(content))


def use_null_keyring(_vault: Path, _key: Path, listener: Listener) -> None:
    listener.settings["d365"]["url_secrets"] = ["secret://keyring/listen#d365"]
    listener.environment["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"


def name_another(_vault: Path, _key: Path, listener: Listener) -> None:
    listener.settings["d365"]["url_secrets"] = ["secret://vault/listen#tableau"]


_TROUBLES: dict[str, Callable[[Path, Path, Listener], object]] = {
    "wrong key": lambda _, key, __: key.write_text(Fernet.generate_key().decode() + "\n"),
    "key missing": lambda _, key, __: key.unlink(),
    "truncated vault": lambda vault, _, __: vault.write_bytes(vault.read_bytes()[:-40]),
    "empty vault": lambda vault, _, __: vault.write_bytes(b""),
    "vault for everybody": lambda vault, _, __: vault.chmod(0o644),
    "key for everybody": lambda _, key, __: key.chmod(0o644),
    "swapped sets": swap_sets,
    "no such field": name_another,
    "keyring in clear": use_null_keyring,
}


@pytest.mark.parametrize(
    "trouble",
    _TROUBLES,
)
def test_s01_a_vault_in_trouble_fails_closed_and_says_no_value(
    new_listener: Callable[..., Listener], vault_home: dict[str, str], trouble: str
) -> None:
    vault = Path(vault_home["D365FO_TABLEAU_VAULT"])
    key = Path(vault_home["D365FO_TABLEAU_KEY_FILE"])
    listener = with_reference(new_listener, vault_home)
    _TROUBLES[trouble](vault, key, listener)
    with pytest.raises(AssertionError):
        listener.start()
    assert listener.process is not None
    said = listener.lines[-1]
    assert said.startswith("d365fo-tableau: ")
    assert "unexpected" not in said
    assert listener.process.returncode in (70, 78)
    for canary in (D365_SECRET, "canary-other-value-0001"):
        assert canary not in listener.log


def test_s01_keys_and_secrets_are_rotated_while_it_runs(
    new_listener: Callable[..., Listener], vault_home: dict[str, str]
) -> None:
    listener = with_reference(new_listener, vault_home).start()
    assert "secret://vault/listen#d365 revision 1" in listener.log
    secrets(vault_home, "rotate")
    listener.tell_d365(vendor_invoice("e-1"))
    secrets(
        vault_home, "set", "listen", "next", given="canaryD365UrlSecretBBBBBBBBBBBBBBBBBBBBBBB02"
    )
    listener.settings["d365"]["url_secrets"].insert(0, "secret://vault/listen#next")
    listener.stop()
    listener.start()
    for last in "12":
        path = f"/d365/canaryD365UrlSecretBBBBBBBBBBBBBBBBBBBBBBB0{last}"
        assert listener.post(path, vendor_invoice(f"e-{last}")).status_code == 204
    sweep(listener.folder, ["canaryD365UrlSecretBBBBBBBBBBBBBBBBBBBBBBB02"])


def test_s02_no_secret_in_logs_files_processes_or_what_meltano_is_given(
    new_listener: Callable[..., Listener],
) -> None:
    """Everything that can happen at once; then every place is looked into."""
    canary_url = "https://127.0.0.1:1/canary-alert-webhook-path"
    listener = new_listener(
        pipelines=[finance(retry={"attempts": 0})],
        alerts=[
            {"kind": "webhook", "url": canary_url},
            {
                "kind": "email",
                "host": "127.0.0.1",
                "port": 1,
                "from": "a@x",
                "to": ["b@x"],
                "username": "u",
                "password": "canary-mail-password",
            },
        ],
    )
    listener.use_stand_in()
    (listener.folder / "meltano-stand-in").write_text(
        "#!/bin/sh\nenv > seen-environment\ntr '\\0' ' ' < /proc/$PPID/cmdline > seen-parent\n"
        f"sleep 1\nexit 1\n# {MELTANO[:9]}\n"
    )
    listener.start()
    threads = [
        threading.Thread(target=listener.post, args=(path, body))
        for path, body in (
            (f"/d365/{D365_SECRET}", json.dumps(vendor_invoice("e-1")).encode()),
            (f"/tableau/{TABLEAU_SECRET}", b""),
            (f"/tableau/{TABLEAU_SECRET}?{D365_SECRET}", b"<html>"),
            (f"/d365/{D365_SECRET}/x", b"x"),
            (f"/tableau/{D365_SECRET}", b"x"),
            (f"/d365/{D365_SECRET}", b"x" * 100_000),
            (
                f"/tableau/{TABLEAU_SECRET}",
                json.dumps(
                    refresh_event("DatasourceRefreshFailed", site="s", datasource="d")
                ).encode(),
            ),
        )
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: "alert not sent" in listener.log, "alerts that cannot be sent")
    until(lambda: "Tableau cannot be asked" in listener.log, "a Tableau that is away")
    canaries = (*CANARIES, "canary-listen-token-value", "canary-mail-password", canary_url)
    assert listener.process is not None
    pid = listener.process.pid
    seen = listener.log
    for name in ("cmdline", "environ"):
        seen += Path(f"/proc/{pid}/{name}").read_text(errors="replace")
    listener.stop()
    seen += listener.log
    for canary in (*canaries, "canary-alert-webhook-path"):
        assert canary not in seen
    sweep(listener.folder, canaries)
    assert (listener.folder / "seen-environment").exists()
    events = subprocess.run(
        [COMMAND, "listen", "events"],
        cwd=listener.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not [canary for canary in canaries if canary in events.stdout]
