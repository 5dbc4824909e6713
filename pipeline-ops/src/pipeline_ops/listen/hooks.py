"""Tableau's webhooks over REST: made, listed, tested, switched on again, removed.

tableauserverclient knows neither whether a webhook is on nor why it is off, and cannot change one;
so the documents are read and written here, over its session.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import tableauserverclient as TSC  # noqa: N812 - its own documentation's name

# `unused-ignore` keeps the line right whether or not stubs are installed.
from defusedxml.ElementTree import (  # type: ignore[import-untyped, unused-ignore]
    fromstring,
)

from pipeline_core.errors import TransientError
from pipeline_ops.listen.events import REFRESH_FAILED, REFRESH_SUCCEEDED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_tableau_hyper.tableau.session import TableauSession

#: What the service listens for, and the element that means it (REST API before 3.8).
EVENTS = {
    REFRESH_FAILED: "webhook-source-event-datasource-refresh-failed",
    REFRESH_SUCCEEDED: "webhook-source-event-datasource-refresh-succeeded",
}

#: Names of the webhooks that we make begin so.
PREFIX = "d365fo-tableau"


@dataclass(frozen=True, slots=True)
class Webhook:
    """One webhook of the site.

    Attributes:
        event: As ``EVENTS`` names it, or as the server does.
        url: Holds a secret, ours or another's.
        enabled: Off after four deliveries that were not answered 2xx.
        reason: Why it is off, in Tableau's words.
    """

    id: str
    name: str
    event: str
    url: str = field(repr=False)
    enabled: bool
    reason: str

    @property
    def shown_url(self) -> str:
        """The address without what may be secret: path and query."""
        parts = urlsplit(self.url)
        host = parts.hostname or "?"
        port = f":{parts.port}" if parts.port else ""
        first = parts.path.split("/")[1] if parts.path.count("/") > 1 else ""
        ours = f"{first}/" if first == "tableau" else ""
        return f"{parts.scheme}://{host}{port}/{ours}***"


def listed(session: TableauSession) -> list[Webhook]:
    """All webhooks of the site.

    Raises:
        AuthError: the token's user is no site administrator.
        PipelineError: the server cannot be asked.
    """

    def read(server: TSC.Server) -> list[Webhook]:
        response = server.webhooks.get_request(server.webhooks.baseurl)  # type: ignore[no-untyped-call]
        return _webhooks(response.content, server.namespace)

    return session.call(read, doing="listing the webhooks")


def create(session: TableauSession, event: str, url: str) -> Webhook:
    """Make a webhook.

    A first try may have been carried out although its answer was lost, so it is looked for before
    it is made again.
    """
    request = ET.Element("tsRequest")
    webhook = ET.SubElement(
        request, "webhook", {"name": f"{PREFIX} {event}", "event": event, "isEnabled": "true"}
    )
    ET.SubElement(ET.SubElement(webhook, "webhook-source"), EVENTS[event])
    ET.SubElement(
        ET.SubElement(webhook, "webhook-destination"),
        "webhook-destination-http",
        {"method": "POST", "url": url},
    )

    def make(server: TSC.Server) -> Webhook:
        base = server.webhooks.baseurl
        response = server.webhooks.get_request(base)  # type: ignore[no-untyped-call]
        for found in _webhooks(response.content, server.namespace):
            if (found.event, found.url) == (event, url):
                return found
        response = server.webhooks.post_request(base, ET.tostring(request))  # type: ignore[no-untyped-call]
        return _webhooks(response.content, server.namespace)[0]

    return session.call(make, doing=f"making the webhook for {event}")


def enable(session: TableauSession, webhook: Webhook) -> None:
    """Switch one on again."""
    request = ET.Element("tsRequest")
    ET.SubElement(request, "webhook", {"isEnabled": "true"})
    session.call(
        lambda server: server.webhooks.put_request(  # type: ignore[no-untyped-call]
            f"{server.webhooks.baseurl}/{webhook.id}", ET.tostring(request)
        ),
        doing=f"switching webhook {webhook.name!r} on",
    )


def remove(session: TableauSession, webhook: Webhook) -> None:
    """Remove one; it may be gone already."""

    def delete(server: TSC.Server) -> None:
        try:
            server.webhooks.delete(webhook.id)
        except TSC.ServerResponseError as error:
            if str(error.code) not in ("400113", "404000"):
                raise

    session.call(delete, doing=f"removing webhook {webhook.name!r}")


def test(session: TableauSession, webhook: Webhook) -> int:
    """Let Tableau send an empty message; returns the status that it got, 0 where it got none."""

    def ask(server: TSC.Server) -> int:
        url = f"{server.webhooks.baseurl}/{webhook.id}/test"
        response = server.webhooks.get_request(url)  # type: ignore[no-untyped-call]
        found = fromstring(response.content).find("t:webhookTestResult", server.namespace)
        if found is None or not found.get("status", "").isdigit():
            message = f"Tableau does not say how the test of webhook {webhook.name!r} went"
            raise TransientError(message)
        return int(found.get("status"))

    # Once: a test that fails is an answer, and each try is a message to the receiver.
    return session.call(ask, doing=f"testing webhook {webhook.name!r}", tries=1)


def _webhooks(content: bytes, namespace: Mapping[str, str]) -> list[Webhook]:
    found = []
    for element in fromstring(content).iterfind(".//t:webhook", namespace):
        source = element.find("t:webhook-source", namespace)
        inner = next(iter(source), None) if source is not None else None
        tag = inner.tag.rpartition("}")[2] if inner is not None else ""
        named = next((name for name, old in EVENTS.items() if old == tag), tag)
        http = element.find(".//t:webhook-destination-http", namespace)
        found.append(
            Webhook(
                element.get("id", ""),
                element.get("name", ""),
                element.get("event") or named,
                http.get("url", "") if http is not None else "",
                element.get("isEnabled", "true") != "false",
                element.get("statusChangeReason", ""),
            )
        )
    return found
