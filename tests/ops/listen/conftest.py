"""The listening service for tests; after each of them, no secret may be anywhere (S02)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.ops.listen.listening import (
    CANARIES,
    D365_SECRET,
    GRID_SECRET,
    TABLEAU_FORMER,
    TABLEAU_SECRET,
    Listener,
    sweep,
)
from tests.ops.listen.tableau_site import (
    LISTEN_TOKEN,
    TEST_TOKEN,
    TOKEN_VALUE,
    AlertReceiver,
    Site,
    write_hyper,
)
from tests.target.faults import Faulty

from contoso_sandbox.serving import HttpsServer
from contoso_sandbox.tableau import TableauServer
from contoso_sandbox.tls import create_tls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def new_listener(tmp_path: Path) -> Iterator[Callable[..., Listener]]:
    """Makes services with three senders; settings may be added."""
    yield from _listeners(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listener]:
    """Run one service for tests of a module that only look at what they send themselves."""
    for new in _listeners(tmp_path_factory.mktemp("shared")):
        yield new().start()


def _listeners(directory: Path) -> Iterator[Callable[..., Listener]]:
    made: list[Listener] = []

    def new(**settings: Any) -> Listener:  # noqa: ANN401
        folder = directory / f"service{len(made)}"
        folder.mkdir()
        listener = Listener(
            folder,
            {
                "port": 0,
                "body_timeout": 1,
                "stop_timeout": 10,
                "d365": {"url_secrets": [D365_SECRET]},
                "event_grid": {"url_secrets": [GRID_SECRET]},
                "tableau": {
                    "url_secrets": [TABLEAU_SECRET, TABLEAU_FORMER],
                    "server_url": "https://127.0.0.1:1",
                    "token_name": "listen",
                    "token_value": "canary-listen-token-value",
                },
                **settings,
            },
        )
        made.append(listener)
        return listener

    yield new
    for listener in made:
        (listener.folder / "hold").unlink(missing_ok=True)
        if listener.running:
            listener.stop()
        canaries = (*CANARIES, "canary-listen-token-value")
        sweep(listener.folder, canaries)
        assert not [line for line in listener.lines if any(one in line for one in canaries)]
        assert not [line for line in listener.lines if " defect " in line], listener.log


@pytest.fixture(scope="module")
def running_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    tls = create_tls(tmp_path_factory.mktemp("tls"))
    faulty = Faulty()
    server = TableauServer(tmp_path_factory.mktemp("tableau"), job_seconds=0.05, middleware=faulty)
    server.add_token(LISTEN_TOKEN, TOKEN_VALUE)
    server.add_token(TEST_TOKEN, TOKEN_VALUE)
    server.trust_receivers(tls.ca_bundle)
    web = HttpsServer(server.app, tls).start()
    yield Site(server, web, tls, faulty, write_hyper(tmp_path_factory.mktemp("hyper") / "x.hyper"))
    web.stop()
    server.close()


@pytest.fixture
def site(running_site: Site) -> Iterator[Site]:
    yield running_site
    running_site.faulty.faults.clear()
    running_site.server.refreshes.clear()
    script = running_site.server.deliveries
    script.copies, script.losses, script.resource = 1, 0, "DATASOURCE"
    script.made.clear()
    with running_site.client() as client:
        for webhook in running_site.server.webhooks():
            client.webhooks.delete(webhook.id)


@pytest.fixture
def alerts(running_site: Site) -> Iterator[tuple[AlertReceiver, str]]:
    receiver = AlertReceiver()
    web = HttpsServer(receiver, running_site.tls).start()
    yield receiver, f"{web.url}/hook/canary-alert-path"
    web.stop()


def finance(**more: object) -> dict[str, Any]:
    """A pipeline that starts at once."""
    return {
        "name": "finance",
        "environment": "prod",
        "events": [{"event": "VendorInvoice*Posted*"}],
        "coalesce": {"quiet": 0.2, "longest": 2},
        "retry": {"attempts": 2, "first_wait": 0.2, "longest_wait": 1},
        **more,
    }
