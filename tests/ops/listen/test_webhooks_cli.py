"""``d365fo-tableau webhooks``, as a person uses it, on a Tableau Server and a running service."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
import tableauserverclient as TSC  # noqa: N812 - its own documentation's name
import yaml
from tests.ops.listen.listening import COMMAND, TABLEAU_FORMER, TABLEAU_SECRET, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ops.listen.listening import Listener
    from tests.ops.listen.tableau_site import Site

NEXT_SECRET = "canaryTableauUrlSecretAAAAAAAAAAAAAAAAAAA02"
_CANARIES = (TABLEAU_SECRET, TABLEAU_FORMER, NEXT_SECRET)


@pytest.fixture
def listener(site: Site, new_listener: Callable[..., Listener]) -> Listener:
    listener = new_listener(
        tableau=site.settings(url_secrets=[TABLEAU_SECRET]),
        tls={"certificate": str(site.tls.server_chain), "key": str(site.tls.server_chain)},
    )
    listener.https = str(site.tls.ca_bundle)
    listener.start()
    listener.settings["public_url"] = listener.url
    listener.write()
    return listener


def webhooks(
    listener: Listener, *arguments: str, code: int = 0
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [COMMAND, "webhooks", *arguments],
        cwd=listener.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert not [one for one in _CANARIES if one in done.stdout + done.stderr]
    return done


def listed(listener: Listener, code: int = 0) -> list[tuple[str, str | None, bool]]:
    found = json.loads(webhooks(listener, "list", "--format", "json", code=code).stdout)
    return sorted((one["event"], one["ours"], one["enabled"]) for one in found)


BOTH = [
    ("DatasourceRefreshFailed", "current", True),
    ("DatasourceRefreshSucceeded", "current", True),
]


def test_from_none_to_tested_to_none(listener: Listener, site: Site) -> None:
    assert "the site has no webhooks" in webhooks(listener, "list").stdout
    assert "run d365fo-tableau webhooks register" in webhooks(listener, "test", code=78).stderr
    made = webhooks(listener, "register").stdout
    assert made.count(": made (https://127.0.0.1:") == 2
    assert [one.url for one in site.server.webhooks()] == [
        f"{listener.url}/tableau/{TABLEAU_SECRET}"
    ] * 2
    assert webhooks(listener, "register").stdout.count(": there (") == 2
    assert listed(listener) == BOTH
    assert "/tableau/***  ours, current secret  on" in webhooks(listener, "list").stdout
    tested = webhooks(listener, "test").stdout
    assert tested.count("answered 204") == 2
    until(lambda: listener.states() == ["done", "done"], "two tests in the inbox")
    assert webhooks(listener, "remove", "--ours", "--yes").stdout.count("removed") == 2
    assert listed(listener) == []


def test_the_secret_is_changed_without_a_gap(listener: Listener, site: Site) -> None:
    webhooks(listener, "register")
    listener.settings["tableau"]["url_secrets"] = [NEXT_SECRET, TABLEAU_SECRET]
    listener.settings["port"] = listener.port
    listener.stop()
    listener.start()
    assert [one[1] for one in listed(listener)] == ["former", "former"]
    assert webhooks(listener, "register").stdout.count("former secret is removed") == 2
    assert listed(listener) == BOTH
    assert {one.url.rpartition("/")[2] for one in site.server.webhooks()} == {NEXT_SECRET}
    listener.settings["tableau"]["url_secrets"] = [NEXT_SECRET]
    listener.stop()
    listener.start()
    assert webhooks(listener, "test").stdout.count("answered 204") == 2
    assert listener.post(f"/tableau/{TABLEAU_SECRET}").status_code == 404


def test_a_webhook_that_was_switched_off_is_noticed_and_switched_on(
    listener: Listener, site: Site
) -> None:
    webhooks(listener, "register")
    site.server.deliveries.retry_seconds = (0.01, 0.01, 0.01)
    port = listener.port
    listener.stop()
    name, luid = site.extract()
    site.server.refreshes.fail(name)
    site.refresh(luid)
    until(lambda: not all(one.enabled for one in site.server.webhooks()), "it is off")
    shown = webhooks(listener, "list", code=75)
    assert "OFF: Webhook disabled after four failed re-tries" in shown.stdout
    assert "1 of our webhooks are off" in shown.stderr
    refused = webhooks(listener, "test", code=75)
    assert "Tableau could not connect" in refused.stderr
    listener.settings["port"] = port
    listener.start()
    assert "switched on again; it was off" in webhooks(listener, "register").stdout
    assert listed(listener) == BOTH


def test_webhooks_of_others_are_left_alone_and_their_addresses_are_masked(
    listener: Listener, site: Site
) -> None:
    with site.client() as client:
        item = TSC.WebhookItem()  # type: ignore[no-untyped-call]
        item.name, item.event = "slack", "datasource-refresh-failed"
        item.url = "https://hooks.slack.example/services/T0/B0/canarySlackPath"
        client.webhooks.create(item)
    webhooks(listener, "register")
    shown = webhooks(listener, "list").stdout
    assert "https://hooks.slack.example/***  another's  on" in shown
    assert "canarySlackPath" not in shown
    webhooks(listener, "remove", "--ours", "--yes")
    assert [one.name for one in site.server.webhooks()] == ["slack"]
    missing = webhooks(listener, "remove", "no-such-id", "--yes", code=78)
    assert "nothing was removed" in missing.stderr


@pytest.mark.parametrize(
    ("change", "arguments", "code", "message"),
    [
        ({"public_url": None}, ("register",), 78, "public_url is not set"),
        ({"public_url": "http://h"}, ("register",), 78, "public_url does not satisfy pattern"),
        ({"tableau": None}, ("list",), 78, "no tableau section"),
        ({}, ("remove", "--yes"), 2, "name what to remove"),
    ],
)
def test_mistakes_are_told(
    listener: Listener,
    change: dict[str, object],
    arguments: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    settings = {name: value for name, value in {**listener.settings, **change}.items() if value}
    (listener.folder / "listen.yml").write_text(yaml.safe_dump(settings))
    assert message in webhooks(listener, *arguments, code=code).stderr


def test_a_wrong_token_is_told_and_its_value_is_not(listener: Listener) -> None:
    listener.settings["tableau"]["token_value"] = "canary-wrong-token-value"
    listener.write()
    refused = webhooks(listener, "list", code=77).stderr
    assert "was refused for token 'listen'" in refused
    assert "canary-wrong" not in refused
