"""Health, the loops behind the inbox, alerts that have to wait."""

from __future__ import annotations

import json
import os
import sqlite3
from typing import TYPE_CHECKING

import certifi
import pytest
import requests
from tests.ops.listen.conftest import finance
from tests.ops.listen.listening import D365_SECRET, until, vendor_invoice
from tests.ops.listen.tableau_site import MailServer

from contoso_sandbox.serving import HttpsServer
from contoso_sandbox.tls import create_tls
from pipeline_core.errors import ConfigError
from pipeline_ops.listen.alerts import Alert, Outbox, Sending, send
from pipeline_ops.listen.app import create_app
from pipeline_ops.listen.dispatch import Dispatch
from pipeline_ops.listen.doors import Doors, Sender
from pipeline_ops.listen.events import receive
from pipeline_ops.listen.inbox import Inbox
from pipeline_ops.listen.service import Loop, tidy
from pipeline_ops.listen.settings import Channel, load
from pipeline_ops.listen.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.ops.listen.listening import Listener
    from tests.ops.listen.tableau_site import AlertReceiver, Site


def test_health_tells_whether_the_service_is_ready(tmp_path: Path) -> None:
    tls, troubles = create_tls(tmp_path / "tls"), [""]
    with Store(tmp_path / "inbox.db") as store:
        app = create_app(
            Doors([Sender("d365", (D365_SECRET,))]),
            Inbox(store),
            wake=lambda: None,
            ready=lambda: troubles[0],
        )
        web = HttpsServer(app, tls).start()
        with requests.Session() as session:
            session.trust_env, session.verify = False, str(tls.ca_bundle)
            assert session.get(f"{web.url}/healthz").text == "ok\n"
            assert session.get(f"{web.url}/readyz").json() == {"ready": True}
            troubles[0] = "a loop has a defect"
            not_ready = session.get(f"{web.url}/readyz")
            assert (not_ready.status_code, not_ready.json()["why"]) == (503, "a loop has a defect")
            assert session.get(f"{web.url}/healthz").ok
            assert session.post(f"{web.url}/d365/{D365_SECRET}").status_code == 204
        web.stop()
        assert len(Inbox(store).latest()) == 1


def test_a_defect_is_told_and_does_not_end_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline_ops.listen.service._AFTER_DEFECT_S", 0.05)
    calls: list[float] = []

    def step(now: float) -> float:
        calls.append(now)
        if len(calls) == 1:
            raise ZeroDivisionError
        return now + 100

    loop = Loop("runs", step)
    loop.start()
    until(lambda: loop.trouble == "runs: ZeroDivisionError" or len(calls) > 1, "the defect")
    until(lambda: len(calls) == 2 and not loop.trouble, "the next step")
    loop.wake()
    until(lambda: len(calls) == 3, "a step at once")
    loop.stop()
    assert loop.join(5)


def test_an_alert_waits_for_a_receiver_that_is_away(
    site: Site, alerts: tuple[AlertReceiver, str], tmp_path: Path
) -> None:
    receiver, url = alerts
    receiver.statuses += [503, 302, 400]
    channel = Channel(
        "webhook 1",
        "webhook",
        frozenset({"run_failed"}),
        {"url": url, "ca_bundle": str(site.tls.ca_bundle)},
    )
    with Store(tmp_path / "inbox.db") as store:
        outbox, sending = Outbox([channel]), Sending(store, [channel], tmp_path)
        for kind in ("run_failed", "run_recovered"):
            outbox.put(store, kind=kind, subject="s", text="t", run_id="r", now=1000.0)
        now, pauses = 1000.0, []
        while (next_at := sending.step(now)) is not None:
            pauses.append(next_at - now)
            now = next_at
        assert pauses == [10, 20, 40]
        assert [one["kind"] for one in receiver.alerts] == ["run_failed"]
        assert store.rows("SELECT state FROM alert")[0][0] == "sent"
        outbox.put(store, kind="run_failed", subject="s", text="t", run_id="r", now=now)
        Sending(store, [], tmp_path).step(now)
        assert store.rows("SELECT state FROM alert WHERE seq = 2")[0][0] == "lost"


def test_an_event_that_two_pipelines_want_is_done_when_both_have_run(
    new_listener: Callable[..., Listener],
) -> None:
    listener = new_listener(pipelines=[finance(), finance(name="spend")])
    listener.use_stand_in()
    listener.start()
    listener.tell_d365(vendor_invoice("e-1"))
    until(lambda: listener.states() == ["done"], "both")
    assert sorted(line.split()[-1] for line in listener.begun()) == ["finance", "spend"]


def test_what_was_settled_long_ago_is_forgotten_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "listen.yml").write_text(json.dumps({"d365": {"url_secrets": [D365_SECRET]}}))
    (tmp_path / "listen.yml").chmod(0o600)
    settings = load(tmp_path / "listen.yml")
    with Store(tmp_path / "inbox.db") as store:
        clock = [0.0]
        inbox = Inbox(store, now=lambda: clock[0])
        for number in range(4):
            clock[0] = float(number)
            events = receive("d365", json.dumps(vendor_invoice(f"e-{number}")).encode())
            assert isinstance(events, list)
            inbox.put(events)
        Dispatch(store, settings).step(10.0)
        inbox.mark([2], "waiting")
        for name in ("old", "new"):
            log = tmp_path / f"{name}.log"
            log.touch()
            os.utime(log, times=(2.0, 2.0) if name == "old" else (4.0, 4.0))
        tidy(store, tmp_path, before=3.0)
        assert [one.seq for one in inbox.latest()] == [2, 4]
        assert [path.name for path in tmp_path.glob("*.log")] == ["new.log"]


def test_an_inbox_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "inbox.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(ConfigError, match="cannot be opened"):
        Store(tmp_path / "inbox.db")


def test_a_transaction_that_fails_keeps_nothing(tmp_path: Path) -> None:
    insert = "INSERT INTO run VALUES ('r', 'p', 'running', 0, 0, 0, 0)"
    with Store(tmp_path / "inbox.db") as store:
        with pytest.raises(sqlite3.IntegrityError), store.writing():  # noqa: PT012 - both statements
            store.run(insert)
            store.run(insert)
        assert store.rows("SELECT * FROM run") == []


@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
def test_an_alert_goes_by_mail_and_the_password_only_over_tls(
    tmp_path: Path, security: str
) -> None:
    tls = create_tls(tmp_path / "tls")
    mail = MailServer(security, tls.server_chain)
    with mail.start() as server:
        options = {
            "host": "127.0.0.1",
            "port": server.server_address[1],
            "security": security,
            "ca_bundle": str(tls.ca_bundle),
            "from": "pipeline@contoso.com",
            "to": ["finance@contoso.com"],
        }
        if security != "none":
            options |= {"username": "pipeline", "password": "canary-mail-password"}
        alert = Alert(7, "email 1", "run_failed", "line one\nBcc: x@y", "Ünreachable", "run-1", 0.0)
        assert send(alert, Channel("email 1", "email", frozenset(), options), tmp_path) == ""
        stranger = Channel(
            "email 1", "email", frozenset(), {**options, "ca_bundle": certifi.where()}
        )
        told = send(alert, stranger, tmp_path)
        server.shutdown()
    assert ("CERTIFICATE_VERIFY_FAILED" in told) is (security != "none")
    assert "Subject: [d365fo-tableau] line one Bcc: x@y" in mail.mails[0]
    assert "Message-ID: <run-1-7@d365fo-tableau>" in mail.mails[0]
    said = [line.split()[0].upper() for line in mail.said]
    assert ("AUTH" in said) is (security != "none")
    if security == "starttls":
        assert said.index("STARTTLS") < said.index("AUTH")
