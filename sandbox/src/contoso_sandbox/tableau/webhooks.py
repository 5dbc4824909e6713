"""Webhooks of the site: who wants to be told of what.

The event is named by the attribute ``event`` (REST API 3.8 and later), by the element below
``webhook-source`` (all that tableauserverclient sends), or by both. A webhook has no secret and its
messages no signature; that the address is the secret is the receiver's business.

Source: Tableau's developer pages "Webhooks" and ``webhooks-docs``.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from contoso_sandbox.tableau.errors import (
    bad_webhook,
    webhook_reason_refused,
    webhook_unknown,
)
from contoso_sandbox.tableau.responses import Element
from contoso_sandbox.tableau.times import from_rest, to_rest

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from contoso_sandbox.tableau.payloads import Node
    from contoso_sandbox.tableau.store import Database
    from contoso_sandbox.tableau.times import Clock

#: Events that can be asked for; the simulator sends those of refreshes.
EVENTS = (
    *("DatasourceCreated", "DatasourceUpdated", "DatasourceDeleted"),
    *("DatasourceRefreshStarted", "DatasourceRefreshSucceeded", "DatasourceRefreshFailed"),
    *("WorkbookCreated", "WorkbookUpdated", "WorkbookDeleted"),
    *("WorkbookRefreshStarted", "WorkbookRefreshSucceeded", "WorkbookRefreshFailed"),
    *("ViewDeleted", "SiteCreated", "SiteUpdated", "SiteDeleted"),
)

_SOURCE = "webhook-source-event-"

#: What a webhook says that its owner has switched off.
_BY_USER = "Webhook disabled by user"


def _element_name(event: str) -> str:
    return _SOURCE + re.sub(r"(?<!^)(?=[A-Z])", "-", event).lower()


_BY_ELEMENT = {_element_name(event): event for event in EVENTS}


@dataclass(frozen=True, slots=True)
class Webhook:
    """One webhook.

    Attributes:
        event: As the attribute names it.
        enabled: Whether it is told; off after four failed deliveries of one event.
        reason: Why it is off.
    """

    id: str
    name: str
    event: str
    url: str
    owner_id: str
    created_at: datetime
    enabled: bool = True
    reason: str = ""

    def element(self) -> Element:
        """The ``webhook`` element."""
        return Element(
            "webhook",
            {
                "id": self.id,
                "name": self.name,
                "event": self.event,
                "isEnabled": self.enabled,
                "statusChangeReason": self.reason,
                "createdAt": self.created_at,
            },
            (
                Element("webhook-source", {}, (Element(_element_name(self.event)),)),
                Element(
                    "webhook-destination",
                    {},
                    (Element("webhook-destination-http", {"method": "POST", "url": self.url}),),
                ),
                Element("owner", {"id": self.owner_id}),
            ),
        )


class Webhooks:
    """The webhooks of the site."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Create the table where it is missing."""
        self._database = database
        self._clock = clock
        database.create(
            "CREATE TABLE IF NOT EXISTS webhook (id TEXT PRIMARY KEY, name TEXT, event TEXT,"
            " url TEXT, owner_id TEXT, created_at TEXT, enabled INTEGER, reason TEXT)"
        )

    def all(self) -> list[Webhook]:
        """All webhooks, oldest first."""
        return [
            _webhook(row) for row in self._database.rows("SELECT * FROM webhook ORDER BY rowid")
        ]

    def get(self, webhook_id: str) -> Webhook:
        """The webhook with that LUID.

        Raises:
            RestError: 400113, there is none.
        """
        row = self._database.row("SELECT * FROM webhook WHERE id = ?", (webhook_id,))
        if row is None:
            raise webhook_unknown(webhook_id)
        return _webhook(row)

    def create(self, request: Node, owner_id: str) -> Webhook:
        """Add one, enabled.

        Raises:
            RestError: 400000, the request lacks something or its address is not https.
        """
        made = Webhook(
            str(uuid.uuid4()),
            _needed(request.get("name")),
            _needed(_event(request)),
            _https(_needed(_url(request))),
            owner_id,
            self._clock(),
        )
        self._save(made)
        return made

    def update(self, webhook_id: str, request: Node) -> Webhook:
        """Change what the request names.

        Raises:
            RestError: 400113 unknown, 400127 a reason for one that is on, 400000 anything else.
        """
        found = self.get(webhook_id)
        enabled = request.flag("isEnabled")
        enabled = found.enabled if enabled is None else enabled
        reason = request.get("statusChangeReason")
        if enabled and reason:
            raise webhook_reason_refused()
        url = _url(request)
        changed = replace(
            found,
            name=request.get("name") or found.name,
            event=_event(request) or found.event,
            url=_https(url) if url else found.url,
            enabled=enabled,
            reason="" if enabled else reason or found.reason or _BY_USER,
        )
        self._save(changed)
        return changed

    def disable(self, webhook_id: str, reason: str) -> None:
        """Switch one off, if it is still there."""
        self._database.execute(
            "UPDATE webhook SET enabled = 0, reason = ? WHERE id = ?", (reason, webhook_id)
        )

    def delete(self, webhook_id: str) -> None:
        """Remove one.

        Raises:
            RestError: 400113, there is none.
        """
        self.get(webhook_id)
        self._database.execute("DELETE FROM webhook WHERE id = ?", (webhook_id,))

    def _save(self, webhook: Webhook) -> None:
        self._database.execute(
            "INSERT INTO webhook VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
            " name = excluded.name, event = excluded.event, url = excluded.url,"
            " enabled = excluded.enabled, reason = excluded.reason",
            (
                webhook.id,
                webhook.name,
                webhook.event,
                webhook.url,
                webhook.owner_id,
                to_rest(webhook.created_at),
                int(webhook.enabled),
                webhook.reason,
            ),
        )


def _event(request: Node) -> str | None:
    """The event that a request names.

    Raises:
        RestError: 400000, there is no such event.
    """
    named = request.get("event")
    source = request.child("webhook-source")
    if source is not None and source.children:
        named = _BY_ELEMENT.get(source.children[0].name, "")
    if named is not None and named not in EVENTS:
        raise bad_webhook()
    return named


def _url(request: Node) -> str | None:
    destination = request.child("webhook-destination")
    http = destination and destination.child("webhook-destination-http")
    return http.get("url") if http else None


def _needed(value: str | None) -> str:
    if not value:
        raise bad_webhook()
    return value


def _https(url: str) -> str:
    if not url.startswith("https://"):
        raise bad_webhook()
    return url


def _webhook(row: sqlite3.Row) -> Webhook:
    return Webhook(
        row["id"],
        row["name"],
        row["event"],
        row["url"],
        row["owner_id"],
        from_rest(row["created_at"]),
        bool(row["enabled"]),
        row["reason"],
    )
