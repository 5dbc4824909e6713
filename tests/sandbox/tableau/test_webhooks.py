"""Webhooks with the unmodified tableauserverclient, and a receiver that may refuse."""

# tableauserverclient is typed in part only.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
import tableauserverclient as TSC  # noqa: N812 - as in its documentation
from tests.sandbox.tableau.conftest import NS, unique

from contoso_sandbox.serving import HttpsServer
from contoso_sandbox.tls import create_tls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from starlette.types import Receive, Scope, Send
    from tests.sandbox.tableau.conftest import Client, Running

    from contoso_sandbox.tls import Tls


class Receiver:
    """Notes what it gets; answers with the statuses that a test wrote, then 200."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.statuses: list[int] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["method"] == "POST"
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.bodies.append(body)
        status = self.statuses.pop(0) if self.statuses else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"seen"})


@pytest.fixture(scope="module")
def receiver(tls: Tls) -> Iterator[tuple[Receiver, str]]:
    receiver = Receiver()
    web = HttpsServer(receiver, tls).start()
    yield receiver, web.url
    web.stop()


@pytest.fixture
def client(running: Running, tls: Tls, receiver: tuple[Receiver, str]) -> Iterator[Client]:
    running.server.trust_receivers(tls.ca_bundle)
    receiver[0].bodies.clear()
    receiver[0].statuses.clear()
    client = running.sign_in()
    yield client
    for webhook in running.server.webhooks():
        client.webhooks.delete(webhook.id)
    script = running.server.deliveries
    script.copies, script.losses, script.resource = 1, 0, "DATASOURCE"
    script.made.clear()
    running.server.refreshes.clear()


def webhook(url: str, event: str = "datasource-refresh-failed") -> TSC.WebhookItem:
    item = TSC.WebhookItem()
    item.name, item.url, item.event = unique("hook"), url, event
    return item


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_webhooks_are_made_listed_and_removed(client: Client) -> None:
    made = client.webhooks.create(webhook("https://127.0.0.1:1/x"))
    (listed,), _ = client.webhooks.get()
    assert (listed.id, listed.name, listed.url) == (made.id, made.name, "https://127.0.0.1:1/x")
    assert listed.event == "datasource-refresh-failed"
    assert client.webhooks.get_by_id(made.id).owner_id == made.owner_id
    client.webhooks.delete(made.id)
    assert client.webhooks.get()[0] == []
    with pytest.raises(TSC.ServerResponseError) as refusal:
        client.webhooks.get_by_id(made.id)
    assert refusal.value.code == "400113"


@pytest.mark.parametrize(
    ("url", "event"),
    [("http://127.0.0.1/x", "datasource-refresh-failed"), ("https://h/x", "no-such-event")],
)
def test_what_is_no_webhook_is_refused(client: Client, url: str, event: str) -> None:
    with pytest.raises(TSC.ServerResponseError, match="malformed or incomplete"):
        client.webhooks.create(webhook(url, event))


def test_a_test_sends_an_empty_body_and_tells_of_the_answer(
    client: Client, receiver: tuple[Receiver, str]
) -> None:
    made = client.webhooks.create(webhook(receiver[1] + "/x"))
    answer = client.webhooks.test(made.id)
    result = ET.fromstring(answer.content).find("t:webhookTestResult", NS)  # noqa: S314
    assert result is not None
    assert result.attrib == {"id": made.id, "status": "200"}
    assert receiver[0].bodies == [b""]


@pytest.mark.parametrize("fails", [False, True])
def test_refreshes_are_told_of_after_they_are_over(
    running: Running, client: Client, receiver: tuple[Receiver, str], *, fails: bool
) -> None:
    for outcome in ("succeeded", "failed"):
        client.webhooks.create(webhook(receiver[1] + "/x", f"workbook-refresh-{outcome}"))
    book = running.server.add_workbook(unique("Book"))
    if fails:
        running.server.refreshes.fail(book.name)
    job = client.workbooks.refresh(book.id)
    until(lambda: receiver[0].bodies)
    (body,) = receiver[0].bodies
    told = json.loads(body)
    assert told == {
        "resource": "WORKBOOK",
        "event_type": f"WorkbookRefresh{'Failed' if fails else 'Succeeded'}",
        "resource_name": book.name,
        "site_luid": running.server.site_id,
        "resource_luid": book.id,
        "created_at": told["created_at"],
    }
    assert client.jobs.get_by_id(job.id).completed_at is not None


def test_a_receiver_that_refuses_is_tried_four_times_and_then_not_told_any_more(
    running: Running, client: Client, receiver: tuple[Receiver, str]
) -> None:
    made = client.webhooks.create(webhook(receiver[1] + "/x", "workbook-refresh-succeeded"))
    running.server.deliveries.retry_seconds = (0.01, 0.02, 0.04)
    receiver[0].statuses += [500, 302, 404, 503]
    book = running.server.add_workbook(unique("Book"))
    client.workbooks.refresh(book.id)
    until(lambda: not running.server.webhooks()[0].enabled)
    assert [one.status for one in running.server.deliveries.made] == [500, 302, 404, 503]
    assert len(set(receiver[0].bodies)) == 1
    again = "<tsRequest><webhook isEnabled='true'{}><webhook-source/></webhook></tsRequest>"
    bare = running.rest()
    path = f"/sites/{{site}}/webhooks/{made.id}"
    refused = bare.call("PUT", path, data=again.format(" statusChangeReason='x'"))
    assert bare.error(refused) == "400127"
    assert bare.call("PUT", path, data=again.format("")).ok
    client.workbooks.refresh(book.id)
    until(lambda: len(receiver[0].bodies) == 5)


def test_a_passing_trouble_costs_a_repetition_and_copies_are_alike(
    running: Running, client: Client, receiver: tuple[Receiver, str]
) -> None:
    client.webhooks.create(webhook(receiver[1] + "/x", "workbook-refresh-succeeded"))
    running.server.deliveries.copies = 2
    running.server.deliveries.retry_seconds = (0.01, 0.02, 0.04)
    receiver[0].statuses += [503]
    client.workbooks.refresh(running.server.add_workbook(unique("Book")).id)
    until(lambda: len(receiver[0].bodies) == 3)
    assert len(set(receiver[0].bodies)) == 1
    assert running.server.webhooks()[0].enabled


def test_a_receiver_without_a_trusted_certificate_gets_nothing(
    client: Client, tmp_path: Path
) -> None:
    stranger = Receiver()
    web = HttpsServer(stranger, create_tls(tmp_path)).start()
    made = client.webhooks.create(webhook(web.url + "/x"))
    answer = client.webhooks.test(made.id)
    assert b'status="0"' in answer.content
    assert stranger.bodies == []
    web.stop()
