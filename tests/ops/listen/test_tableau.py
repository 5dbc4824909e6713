"""Failed refreshes, from the webhook that Tableau sends to the refresh that succeeds again."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from contextlib import closing, nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
import tableauserverclient as TSC  # noqa: N812 - its own documentation's name
import yaml
from tests.ops.listen.listening import TABLEAU_SECRET, refresh_event, until
from tests.ops.listen.tableau_site import (
    TOKEN_VALUE,
    AlertReceiver,
    MailServer,
    Site,
)
from tests.target.faults import Fault

from pipeline_core.errors import TransientError
from pipeline_ops.listen.alerts import Outbox
from pipeline_ops.listen.care import Care
from pipeline_ops.listen.dispatch import Dispatch
from pipeline_ops.listen.events import receive
from pipeline_ops.listen.inbox import Inbox
from pipeline_ops.listen.settings import load
from pipeline_ops.listen.store import Store
from pipeline_ops.listen.truth import Truth

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.ops.listen.listening import Listener

    from pipeline_ops.listen.settings import ListenSettings
    from target_tableau_hyper.tableau.session import TableauSession

_SEED = 20261124


@pytest.fixture
def listener(
    site: Site, alerts: tuple[AlertReceiver, str], new_listener: Callable[..., Listener]
) -> Listener:
    """The service over HTTPS, with its webhooks made at the server."""
    listener = new_listener(
        tableau=site.settings(),
        tls={"certificate": str(site.tls.server_chain), "key": str(site.tls.server_chain)},
        alerts=[{"kind": "webhook", "url": alerts[1], "ca_bundle": str(site.tls.ca_bundle)}],
    )
    listener.https = str(site.tls.ca_bundle)
    listener.start()
    register(listener, site)
    return listener


def register(listener: Listener, site: Site) -> None:
    with site.client() as client:
        for event in ("datasource-refresh-failed", "datasource-refresh-succeeded"):
            item = TSC.WebhookItem()  # type: ignore[no-untyped-call]
            item.name, item.event = event, event
            item.url = f"{listener.url}/tableau/{TABLEAU_SECRET}"
            client.webhooks.create(item)


def incidents(listener: Listener) -> list[str]:
    return [row[0] for row in listener.inbox("SELECT state FROM incident ORDER BY seq")]


def closed(listener: Listener) -> bool:
    states = incidents(listener)
    return bool(states) and set(states) == {"closed"}


def endings(listener: Listener) -> list[str]:
    return [
        one.event.removeprefix("listen.incident.")
        for one in listener.ledger()
        if one.event.startswith("listen.incident.")
    ]


def test_a_failed_refresh_is_confirmed_repeated_and_told(
    listener: Listener, site: Site, alerts: tuple[AlertReceiver, str]
) -> None:
    name, luid = site.extract()
    site.server.refreshes.fail(name, "no route to the database", times=2)
    site.refresh(luid)
    until(lambda: closed(listener), "the incident's end")
    assert site.refreshes(luid) == [1, 1, 0]
    until(lambda: len(alerts[0].alerts) == 2, "two alerts")
    first, last = alerts[0].alerts
    assert (first["kind"], last["kind"]) == ("refresh_failed", "refresh_recovered")
    assert "no route to the database" in first["text"]
    assert name in first["subject"]
    ledger = [one for one in listener.ledger() if one.run_id == first["run_id"]]
    assert [one.event for one in ledger] == [
        "listen.refresh_failed",
        "listen.refresh.intent",
        "listen.refresh.failed",
        "listen.refresh.intent",
        "listen.refresh.verified",
        "listen.incident.recovered",
        "run.finished",
    ]
    assert ledger[0].body["events"][0].startswith("tableau:")
    assert "canary-alert-path" not in listener.log


def test_what_fails_again_and_again_is_given_up(
    listener: Listener, site: Site, alerts: tuple[AlertReceiver, str]
) -> None:
    name, luid = site.extract()
    site.server.refreshes.fail(name, times=10)
    site.refresh(luid)
    until(lambda: closed(listener), "the incident's end")
    until(lambda: len(alerts[0].alerts) == 2, "two alerts")
    assert alerts[0].kinds() == ["refresh_failed", "refresh_gave_up"]
    assert "not refreshed after 2 more attempts" in alerts[0].alerts[1]["subject"]
    time.sleep(1)
    assert site.refreshes(luid) == [1, 1, 1]
    assert endings(listener) == ["gave_up"]


@pytest.mark.parametrize("kind", ["DatasourceRefreshFailed", "DatasourceRefreshSucceeded"])
def test_l12_a_forged_event_changes_nothing(
    listener: Listener, site: Site, alerts: tuple[AlertReceiver, str], kind: str
) -> None:
    """Whoever has the address may say what he likes; the REST API is asked."""
    name, luid = site.extract()
    site.refresh(luid)
    until(lambda: listener.states() == ["done"], "the real event")
    forged = refresh_event(
        kind, site=site.server.site_id, datasource=luid, name=name, at="2099-01-01T00:00:00Z"
    )
    assert listener.post(f"/tableau/{TABLEAU_SECRET}", forged).status_code == 204
    if kind.endswith("Failed"):
        until(lambda: closed(listener), "the incident's end")
        assert endings(listener) == ["not_confirmed"]
    until(lambda: listener.states() == ["done", "done"], "settled")
    assert site.refreshes(luid) == [0]
    assert alerts[0].alerts == []


@pytest.mark.parametrize("what", ["another site", "no such data source"])
def test_an_event_of_what_is_not_there_is_closed(listener: Listener, site: Site, what: str) -> None:
    nowhere = "00000000-0000-4000-8000-000000000000"
    place = nowhere if what == "another site" else site.server.site_id
    event = refresh_event("DatasourceRefreshFailed", site=place, datasource=nowhere)
    assert listener.post(f"/tableau/{TABLEAU_SECRET}", event).status_code == 204
    until(lambda: closed(listener), "the incident's end")
    assert endings(listener) == ["not_confirmed" if what == "another site" else "gone"]


def test_l12_events_in_the_wrong_order_and_several_times_are_one_incident(
    listener: Listener, site: Site
) -> None:
    """Doubled, with both spellings, and a success that comes before the failure."""
    site.server.deliveries.copies = 3
    name, luid = site.extract()
    site.server.refreshes.fail(name)
    early = refresh_event(
        "DatasourceRefreshSucceeded", site=site.server.site_id, datasource=luid, name=name
    )
    assert listener.post(f"/tableau/{TABLEAU_SECRET}", early).status_code == 204
    site.refresh(luid)
    until(lambda: closed(listener), "the incident's end")
    assert len(incidents(listener)) == 1
    assert site.refreshes(luid) == [1, 0]
    until(lambda: len(site.server.deliveries.made) == 6, "three of each")
    assert listener.inbox("SELECT max(copies) FROM event") == [(3,)]


def test_l12_a_success_that_is_never_told_is_seen(listener: Listener, site: Site) -> None:
    """The state follows the API, not the webhook."""
    name, luid = site.extract()
    site.server.refreshes.fail(name)
    site.refresh(luid)
    until(lambda: incidents(listener), "an incident")
    site.server.deliveries.losses = 1
    until(lambda: closed(listener), "the incident's end")
    assert endings(listener) == ["recovered"]


def test_somebody_who_refreshes_by_hand_is_faster(
    new_listener: Callable[..., Listener], site: Site
) -> None:
    slow = {"attempts": 3, "first_wait": 2, "longest_wait": 2}
    listener = new_listener(tableau=site.settings(refresh=slow)).start()
    name, luid = site.extract()
    site.server.refreshes.fail(name)
    site.refresh(luid)
    event = refresh_event(
        "DatasourceRefreshFailed", site=site.server.site_id, datasource=luid, name=name
    )
    assert listener.post(f"/tableau/{TABLEAU_SECRET}", event).status_code == 204
    until(lambda: incidents(listener) == ["waiting"], "a pause")
    site.refresh(luid)
    until(lambda: closed(listener), "the incident's end")
    assert endings(listener) == ["recovered"]
    assert site.refreshes(luid) == [1, 0], "none of ours"


def test_without_the_right_to_list_jobs_the_time_of_change_tells(
    listener: Listener, site: Site
) -> None:
    name, luid = site.extract()
    site.server.refreshes.fail(name)
    site.forbid_job_list()
    site.refresh(luid)
    until(lambda: closed(listener), "the incident's end")
    assert endings(listener) == ["recovered"]
    assert site.refreshes(luid) == [1, 0]
    (noted,) = listener.ledger("listen.refresh_failed")
    assert noted.body["by"] == "updatedAt"


def test_what_cannot_be_refreshed_is_told_at_once(
    new_listener: Callable[..., Listener], site: Site, alerts: tuple[AlertReceiver, str]
) -> None:
    """A plain .hyper file has nothing behind it: Tableau answers 409090."""
    listener = new_listener(
        tableau=site.settings(),
        alerts=[{"kind": "webhook", "url": alerts[1], "ca_bundle": str(site.tls.ca_bundle)}],
    ).start()
    name, luid = site.extract(live=True)
    site.forbid_job_list()
    event = refresh_event(
        "DatasourceRefreshFailed",
        site=site.server.site_id,
        datasource=luid,
        name=name,
        at="2099-01-01T00:00:00Z",
    )
    assert listener.post(f"/tableau/{TABLEAU_SECRET}", event).status_code == 204
    until(lambda: closed(listener), "the incident's end")
    until(lambda: "refresh_gave_up" in alerts[0].kinds(), "the alert")
    assert "cannot be refreshed" in alerts[0].alerts[-1]["subject"]


def test_a_server_that_answers_503_is_asked_again(listener: Listener, site: Site) -> None:
    name, luid = site.extract()
    site.server.refreshes.fail(name)
    site.refresh(luid)
    site.faulty.faults.append(Fault("GET", "/datasources/", times=2, status=503))
    until(lambda: closed(listener), "the incident's end")
    assert site.refreshes(luid) == [1, 0]


@pytest.fixture
def unanswered(tmp_path: Path) -> ListenSettings:
    """Settings of a service whose Tableau does not matter."""
    settings_path = tmp_path / "listen.yml"
    settings_path.write_text(
        yaml.safe_dump(
            {
                "tableau": {
                    "url_secrets": [TABLEAU_SECRET],
                    "server_url": "https://127.0.0.1:1",
                    "token_name": "x",
                    "token_value": TOKEN_VALUE,
                },
                "alerts": [{"kind": "command", "command": ["true"]}],
            }
        )
    )
    settings_path.chmod(0o600)
    return load(settings_path)


def care_of(
    store: Store, settings: ListenSettings, server: Callable[[], TableauSession], now: list[float]
) -> Care:
    """Looks after one failed refresh that an event told of."""
    event = refresh_event("DatasourceRefreshFailed", site="s", datasource="d")
    events = receive("tableau", json.dumps(event).encode())
    assert isinstance(events, list)
    assert settings.tableau is not None
    Inbox(store).put(events)
    Dispatch(store, settings).step(now[0])
    return Care(
        store, settings, settings.tableau, Outbox(settings.alerts), server, clock=lambda: now[0]
    )


def test_a_server_that_stays_away_is_told_of_once_and_asked_on(unanswered: ListenSettings) -> None:
    """With ever longer pauses, and the incident stays open."""
    now = [1_000_000.0]

    def away() -> TableauSession:
        message = "signing in failed"
        raise TransientError(message)

    with Store(unanswered.inbox_path) as store:
        care = care_of(store, unanswered, away, now)
        pauses = []
        for _ in range(10):
            next_at = care.step(now[0])
            assert next_at is not None
            pauses.append(next_at - now[0])
            now[0] = next_at
        assert pauses == [30, 60, 120, 240, 480, 900, 900, 900, 900, 900]
        ((kind, text),) = store.rows("SELECT kind, text FROM alert")
        assert (kind, text) == (
            "refresh_failed",
            "signing in failed. It is asked again until it answers.",
        )


@pytest.mark.parametrize("away_for", [2, 4])
def test_a_server_that_was_away_is_still_looked_at_three_times(
    unanswered: ListenSettings, monkeypatch: pytest.MonkeyPatch, away_for: int
) -> None:
    """Calls that failed say nothing about the refresh: its job may come into sight later."""
    now, calls = [1_000_000.0], [0]

    def server() -> TableauSession:
        calls[0] += 1
        if calls[0] <= away_for:
            message = "signing in failed"
            raise TransientError(message)
        return cast(
            "TableauSession", nullcontext(SimpleNamespace(server=SimpleNamespace(site_id="s")))
        )

    def knows_of_nothing(*_: object) -> Truth:
        return Truth(exists=True, jobs_known=True)

    monkeypatch.setattr("pipeline_ops.listen.care.look", knows_of_nothing)
    with Store(unanswered.inbox_path) as store:
        care = care_of(store, unanswered, server, now)
        states = []
        for _ in range(away_for + 3):
            next_at = care.step(now[0])
            states += [row[0] for row in store.rows("SELECT state FROM incident")]
            now[0] = next_at or now[0]
        assert states == [*["check"] * (away_for + 2), "closed"]


def test_an_inbox_of_an_earlier_version_is_gone_on_with(unanswered: ListenSettings) -> None:
    with Store(unanswered.inbox_path) as store:
        store.run("ALTER TABLE incident DROP COLUMN troubles")
    with Store(unanswered.inbox_path) as store:
        assert store.rows("SELECT troubles FROM incident") == []


def test_events_during_a_downtime_are_repeated_by_tableau(listener: Listener, site: Site) -> None:
    site.server.deliveries.retry_seconds = (1.0, 3.0, 6.0)
    port = listener.port
    name, luid = site.extract()
    listener.kill()
    site.server.refreshes.fail(name)
    site.refresh(luid)
    listener.settings["port"] = port
    listener.start()
    until(lambda: closed(listener), "the incident's end")
    assert site.refreshes(luid) == [1, 0]


def test_r01_killed_after_the_refresh_was_asked_for_and_before_that_was_noted(
    new_listener: Callable[..., Listener], site: Site
) -> None:
    """The answer that died with the process: Tableau queues no second one, and its job is found."""
    listener = new_listener(tableau=site.settings())
    name, luid = site.extract()
    listener.start()
    listener.stop()
    site.server.refreshes.hold(name)
    site.refresh(luid, wait=False)
    until(lambda: site.server.jobs()[-1].started_at, "the refresh that the dead process began")
    path = listener.folder / "var/listen/inbox.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(
            "INSERT INTO incident (datasource, name, run_id, state, event_at, attempts, next_at,"
            " asked_at, intent, told, note) VALUES (?, ?, 'r-1', 'asking', ?, 1, 0, ?, 1, 1, ?)",
            (luid, name, time.time() - 60, time.time(), site.server.site_id),
        )
    listener.start()
    until(lambda: incidents(listener) == ["running"], "the job")
    assert listener.inbox("SELECT job_id, attempts FROM incident") == [
        (site.server.jobs()[-1].id, 1)
    ]
    site.server.refreshes.let_go(name)
    until(lambda: closed(listener), "the incident's end")
    assert site.refreshes(luid) == [0]
    assert endings(listener) == ["recovered"]


@pytest.mark.parametrize("trial", range(6))
def test_r01_killed_at_any_moment_of_an_incident_the_next_start_goes_on(
    new_listener: Callable[..., Listener], site: Site, trial: int
) -> None:
    chance = random.Random(_SEED + trial)  # noqa: S311 - repeatable
    listener = new_listener(tableau=site.settings())
    name, luid = site.extract()
    site.server.refreshes.fail(name)
    site.refresh(luid)
    event = refresh_event(
        "DatasourceRefreshFailed", site=site.server.site_id, datasource=luid, name=name
    )
    listener.start()
    assert listener.post(f"/tableau/{TABLEAU_SECRET}", event).status_code == 204
    time.sleep(chance.uniform(0.0, 1.5))
    listener.kill()
    listener.start()
    until(lambda: closed(listener), "the incident's end")
    ended = site.refreshes(luid)
    assert ended[0] == 1
    assert ended[-1] == 0
    assert len(ended) <= 3, "a kill costs one more refresh at most"
    assert endings(listener) == ["recovered"]


def test_alerts_go_by_mail_and_come_through_when_the_receiver_is_back(
    new_listener: Callable[..., Listener], site: Site, alerts: tuple[AlertReceiver, str]
) -> None:
    mail = MailServer()
    with mail.start() as server:
        listener = new_listener(
            tableau=site.settings(refresh={"attempts": 0}),
            alerts=[
                {
                    "kind": "email",
                    "host": "127.0.0.1",
                    "port": server.server_address[1],
                    "security": "none",
                    "from": "pipeline@contoso.com",
                    "to": ["finance@contoso.com", "ops@contoso.com"],
                    "about": ["refresh_gave_up"],
                },
            ],
        ).start()
        name, luid = site.extract()
        site.server.refreshes.fail(name, "Ünreachable")
        site.refresh(luid)
        event = refresh_event(
            "DatasourceRefreshFailed", site=site.server.site_id, datasource=luid, name=name
        )
        assert listener.post(f"/tableau/{TABLEAU_SECRET}", event).status_code == 204
        until(lambda: mail.mails, "a mail")
        server.shutdown()
    (text,) = mail.mails
    assert f"Subject: [d365fo-tableau] data source {name} is not refreshed" in text
    assert "To: finance@contoso.com, ops@contoso.com" in text
    assert "Message-ID: <" in text
    assert "d365fo-tableau runs show" in text.replace("=\r\n", "").replace("\r\n", " ")
    assert [word for word in mail.said if word.startswith("rcpt")] == [
        "rcpt TO:<finance@contoso.com>",
        "rcpt TO:<ops@contoso.com>",
    ]
    assert alerts[0].alerts == []
