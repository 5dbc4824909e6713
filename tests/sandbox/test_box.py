"""The whole box: MSAL, D365 and Tableau together, its state, its command line."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from threading import Thread
from typing import TYPE_CHECKING, Any

import msal
import pytest
import requests
from click.testing import CliRunner
from tests.sandbox.signed_in import Client

from contoso_sandbox.cli import main
from contoso_sandbox.contoso import AlreadyRunningError, Contoso, Ports
from contoso_sandbox.control import ControlClient, ControlError
from contoso_sandbox.serving import PortBusyError
from contoso_sandbox.state import RunningBox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from contoso_sandbox.pytest_plugin import NewContoso

SCALE = 0.02


@pytest.fixture
def home(contoso_home: Callable[[float, int], Path]) -> Path:
    """Return a state directory whose books are drawn already."""
    return contoso_home(SCALE, 7)


@pytest.fixture(autouse=True)
def _no_foreign_ca(monkeypatch: pytest.MonkeyPatch) -> None:
    # requests lets these variables win over a session's own CA bundle.
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


def session_for(box: Contoso) -> requests.Session:
    """Sign in as the pipeline does: by the settings alone."""
    settings = box.settings()
    application = msal.ConfidentialClientApplication(
        settings["TAP_D365FO_CLIENT_ID"],
        authority=f"{settings['TAP_D365FO_AUTHORITY_HOST']}/{settings['TAP_D365FO_TENANT_ID']}",
        client_credential=settings["TAP_D365FO_CLIENT_SECRET"],
        verify=settings["TAP_D365FO_CA_BUNDLE"],
        instance_discovery=False,
    )
    scope = f"{settings['TAP_D365FO_ENVIRONMENT_URL']}/.default"
    token = application.acquire_token_for_client([scope])["access_token"]
    session = requests.Session()
    session.verify = settings["TAP_D365FO_CA_BUNDLE"]
    session.headers["Authorization"] = f"Bearer {token}"
    return session


@pytest.fixture(scope="module")
def session(contoso: Contoso) -> Iterator[requests.Session]:
    patch = pytest.MonkeyPatch()
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        patch.delenv(name, raising=False)
    with session_for(contoso) as session:
        yield session
    patch.undo()


def walk(session: requests.Session, url: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    while url:
        answer = session.get(url, timeout=60)
        answer.raise_for_status()
        page = json.loads(answer.text, parse_float=str)
        rows += page["value"]
        url = page.get("@odata.nextLink", "")
    return rows


def test_every_set_can_be_walked_to_its_last_row(
    contoso: Contoso, session: requests.Session
) -> None:
    for name, entity_set in contoso.world.environment.entity_sets.items():
        keys = ",".join(entity_set.key)
        url = f"{contoso.d365_url}/data/{name}?cross-company=true&$orderby={keys}"
        rows = walk(session, url)
        with contoso.world.cursor() as cursor:
            counted = cursor.execute(f'SELECT count(*) FROM "{name}"').fetchone()  # noqa: S608
        assert counted == (len(rows),), name
        assert len({tuple(row[key] for key in entity_set.key) for row in rows}) == len(rows), name


def test_a_wide_set_is_the_table_to_the_last_cell(
    contoso: Contoso, session: requests.Session
) -> None:
    entity_set = contoso.world.environment.entity_sets["VendorsV2"]
    rows = walk(session, f"{contoso.d365_url}/data/VendorsV2?cross-company=true")
    columns = ", ".join(
        f"strftime(\"{p.name}\", '%Y-%m-%dT%H:%M:%SZ')"
        if p.sql_type == "TIMESTAMP"
        else f'"{p.name}"'
        for p in entity_set.properties
    )
    with contoso.world.cursor() as cursor:
        stored = cursor.execute(f"SELECT {columns} FROM VendorsV2 ORDER BY __rec_id").fetchall()  # noqa: S608
    assert len(rows) == len(stored)
    for row, cells in zip(rows, stored, strict=True):
        for column, cell in zip(entity_set.properties, cells, strict=True):
            found = row[column.name]
            if "DECIMAL" in column.sql_type:
                assert cell == type(cell)(found), column.name
            else:
                assert cell == found, column.name


def test_a_token_for_another_audience_is_a_401(contoso: Contoso) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_id": contoso.credentials.client_id,
        "client_secret": contoso.credentials.client_secret,
        "scope": f"{contoso.d365_url}//.default",
    }
    url = f"{contoso.entra_url}/{contoso.credentials.tenant_id}/oauth2/v2.0/token"
    ca = str(contoso.ca_bundle)
    token = requests.post(url, data=form, verify=ca, timeout=30).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    answer = requests.get(f"{contoso.d365_url}/data", headers=headers, verify=ca, timeout=30)
    assert (answer.status_code, answer.content) == (401, b"")


def test_the_registered_certificate_signs_in(contoso: Contoso) -> None:
    pem = contoso.credentials.client_certificate.read_text()
    application = msal.ConfidentialClientApplication(
        contoso.credentials.client_id,
        authority=f"{contoso.entra_url}/{contoso.credentials.tenant_id}",
        client_credential={"private_key": pem, "public_certificate": pem},
        verify=str(contoso.ca_bundle),
        instance_discovery=False,
    )
    assert "access_token" in application.acquire_token_for_client([f"{contoso.d365_url}/.default"])


def test_the_tableau_token_of_the_settings_signs_in(contoso: Contoso) -> None:
    settings = contoso.settings()
    body = {
        "credentials": {
            "personalAccessTokenName": settings["TARGET_TABLEAU_HYPER_TABLEAU_TOKEN_NAME"],
            "personalAccessTokenSecret": settings["TARGET_TABLEAU_HYPER_TABLEAU_TOKEN_VALUE"],
            "site": {"contentUrl": settings["TARGET_TABLEAU_HYPER_TABLEAU_SITE"]},
        }
    }
    answer = requests.post(
        f"{settings['TARGET_TABLEAU_HYPER_TABLEAU_SERVER_URL']}/api/3.23/auth/signin",
        json=body,
        headers={"Accept": "application/json"},
        verify=settings["TARGET_TABLEAU_HYPER_CA_BUNDLE"],
        timeout=30,
    )
    assert answer.json()["credentials"]["token"]


def test_advancing_changes_what_is_served(new_contoso: NewContoso) -> None:
    box = new_contoso(scale=SCALE)
    url = f"{box.d365_url}/data/GeneralJournalEntryBiEntities?$orderby=SourceKey&$select=SourceKey"
    with session_for(box) as session:
        before = walk(session, url)
        summary = box.world.advance(2)
        after = walk(session, url)
    assert len(after) - len(before) == summary.inserted["GeneralJournalEntryBiEntities"] > 0
    assert box.d365.requests.rows_by_set() == {
        "GeneralJournalEntryBiEntities": len(before) + len(after)
    }


def test_readers_see_whole_days_while_contoso_advances(new_contoso: NewContoso) -> None:
    """Count and rows of one answer are of one state of the books."""
    box = new_contoso(scale=SCALE, page_size=100_000)
    url = f"{box.d365_url}/data/GeneralJournalAccountEntryBiEntities?$count=true&$select=SourceKey"
    with session_for(box) as session:
        posting = Thread(target=box.world.advance, args=(2,))
        posting.start()
        answers: list[dict[str, Any]] = []
        while posting.is_alive() or not answers:
            answers.append(session.get(url, timeout=60).json())
        posting.join()
    assert all(answer["@odata.count"] == len(answer["value"]) for answer in answers)


def test_a_restarted_box_keeps_books_credentials_and_trust(home: Path) -> None:
    with Contoso.start(home) as box:
        box.world.advance(1)
        today, credentials, ca = box.world.today, box.credentials, box.ca_bundle.read_bytes()
        running = RunningBox.of(home)
        assert running is not None
        assert running.d365_url == box.d365_url
    assert RunningBox.of(home) is None
    with Contoso.start(home) as box:
        assert (box.world.today, box.credentials) == (today, credentials)
        assert box.ca_bundle.read_bytes() == ca
        with session_for(box) as session:
            assert session.get(f"{box.d365_url}/data/Companies", timeout=30).status_code == 200


def test_secrets_are_readable_by_their_owner_alone(contoso: Contoso) -> None:
    for name in ("credentials.json", "client.pem", "sandbox.json", "tls/server.pem"):
        mode = stat.S_IMODE((contoso.directory / name).stat().st_mode)
        assert mode == 0o600, name
    assert stat.S_IMODE(contoso.directory.stat().st_mode) & 0o077 == 0


def test_a_second_box_on_the_same_directory_is_refused(contoso: Contoso) -> None:
    with pytest.raises(AlreadyRunningError, match=str(os.getpid())):
        Contoso.start(contoso.directory)


def test_a_busy_port_is_named_and_nothing_stays_open(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortBusyError, match=str(port)):
            Contoso.start(home, ports=Ports(tableau=port))
    with Contoso.start(home, ports=Ports(tableau=port)) as box:
        assert box.tableau_url.endswith(f":{port}")


def test_a_stopped_box_has_no_addresses(home: Path) -> None:
    box = Contoso.start(home)
    url = box.d365_url
    box.stop()
    box.stop()
    with pytest.raises(RuntimeError, match="not running"):
        _ = box.d365_url
    with pytest.raises(requests.ConnectionError):
        requests.get(url, verify=str(box.ca_bundle), timeout=5)


# The control endpoint


def test_control_needs_its_token(contoso: Contoso) -> None:
    for headers in ({}, {"Authorization": "Bearer guessed"}):
        for method, path in (("GET", "/status"), ("POST", "/advance"), ("GET", "/requests")):
            answer = requests.request(
                method,
                contoso.control_url + path,
                headers=headers,
                verify=str(contoso.ca_bundle),
                timeout=30,
            )
            assert answer.status_code == 401


def test_control_tells_and_clears_the_requests(new_contoso: NewContoso) -> None:
    box = new_contoso(scale=SCALE)
    client = ControlClient(box.running)
    with session_for(box) as session:
        session.get(f"{box.d365_url}/data/Companies?$top=2", timeout=30)
    [request] = client.requests()
    assert (request["entity_set"], request["rows"], request["status"]) == ("Companies", 2, 200)
    assert client.status()["rows_travelled"] == {"Companies": 2}
    client.forget_requests()
    assert client.requests() == []


@pytest.mark.parametrize("days", [0, -1, 367])
def test_control_refuses_an_odd_number_of_days(contoso: Contoso, days: int) -> None:
    with pytest.raises(ControlError, match="between 1 and 366"):
        ControlClient(contoso.running).advance(days)


# The command line


def run(*arguments: str, directory: Path) -> tuple[int, str]:
    result = CliRunner().invoke(main, [*arguments, "--dir", str(directory)])
    return result.exit_code, result.output


def test_env_prints_exports_that_a_shell_takes(contoso: Contoso) -> None:
    code, output = run("env", directory=contoso.directory)
    assert code == 0
    script = output + "\n" + f"{shutil.which('env')} -0"
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True)
    taken = dict(line.split("=", 1) for line in done.stdout.decode().split("\0") if "=" in line)
    assert {name: taken[name] for name in contoso.settings()} == contoso.settings()


def test_status_shows_addresses_and_rows(contoso: Contoso) -> None:
    code, output = run("status", directory=contoso.directory)
    assert code == 0
    assert contoso.d365_url in output
    assert "GeneralJournalAccountEntryBiEntities" in output


def test_advance_prints_what_changed(new_contoso: NewContoso) -> None:
    box = new_contoso(scale=SCALE)
    before = box.world.today
    code, output = run("advance", "--days", "2", directory=box.directory)
    assert code == 0
    assert box.world.today > before
    assert f"{box.world.today.isoformat()}." in output
    assert re.search(r"GeneralJournalEntryBiEntities\W+\d+", output)


@pytest.mark.parametrize("command", ["env", "status", "advance"])
def test_without_a_running_box_a_command_says_how_to_start_one(
    tmp_path: Path, command: str
) -> None:
    code, output = run(command, directory=tmp_path)
    assert code == 69
    assert f"contoso-sandbox serve --dir {tmp_path}" in output


def test_a_box_that_was_killed_counts_as_not_running(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    urls = dict.fromkeys(("control_url", "entra_url", "d365_url", "tableau_url"), "https://x")
    RunningBox(pid=gone.pid, ca_bundle="x", control_token="x", **urls).announce(tmp_path)
    assert run("status", directory=tmp_path)[0] == 69


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_announces_itself_and_stops_on_a_signal(home: Path, number: int) -> None:
    command = [sys.executable, "-m", "contoso_sandbox.cli", "serve", "--any-port"]
    arguments = [*command, "--dir", str(home)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as serving:
        deadline = time.monotonic() + 60
        while RunningBox.of(home) is None:
            assert serving.poll() is None, serving.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        code, output = run("serve", "--any-port", directory=home)
        assert (code, str(serving.pid) in output) == (73, True)
        serving.send_signal(number)
        output_of_it, errors = serving.communicate(timeout=30)
    assert serving.returncode == 0
    assert errors == b""
    assert b"Contoso is open." in output_of_it
    assert f"env --dir {home}".encode() in output_of_it.replace(b"\n", b"")
    assert not (home / "sandbox.json").exists()


@pytest.mark.parametrize(
    ("options", "sets"),
    [
        pytest.param(["--environment", "odd"], 22, id="odd"),
        pytest.param(["--sets", "30"], 30, id="synthetic"),
    ],
)
def test_another_environment_is_served_until_a_signal(
    tmp_path: Path, options: list[str], sets: int
) -> None:
    command = [sys.executable, "-m", "contoso_sandbox.cli", "serve-other", "--dir", str(tmp_path)]
    with subprocess.Popen(
        [*command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as serving:
        assert serving.stdout is not None
        lines = [serving.stdout.readline() for _ in range(6)]
        settings = dict(line.removeprefix("export ").strip().split("=", 1) for line in lines)
        unquoted = {name: value.strip("'") for name, value in settings.items()}
        listed = Client(unquoted).json("/metadata/PublicEntities", select="Name")
        serving.send_signal(signal.SIGTERM)
        _, errors = serving.communicate(timeout=30)
    assert len(listed["value"]) == sets
    assert (serving.returncode, errors) == (0, "")


def test_serve_says_which_port_is_busy_and_exits_with_73(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, output = run("serve", "--port-base", str(port), directory=home)
    assert code == 73
    assert f"port {port}" in output
    assert "--any-port" in output
    assert not (home / "sandbox.json").exists()
