"""What senders say, read; and by which key a repetition is known.

Nothing is refused for its content: a body that came over a secret address and cannot be read is
kept as it is, for a person to look at. A refusal would make Tableau disable its webhook after four
of them and Event Grid drop the event.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pipeline_ops.listen.doors import D365, EVENT_GRID, TABLEAU

#: An empty body: Tableau's webhook test (``GET /webhooks/{id}/test``) sends one.
TEST = "test"

#: A body that is no event of its sender.
UNREADABLE = "unreadable"

REFRESH_SUCCEEDED, REFRESH_FAILED = "DatasourceRefreshSucceeded", "DatasourceRefreshFailed"

_GRID_VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"

#: Names of Tableau's fields: as its samples send them, and as other text of Tableau spells them
#: (developer pages "Webhooks: Events and Payload").
_SPELLINGS = {
    "event": ("event_type", "event-type", "eventType"),
    "name": ("resource_name", "resource-name", "resourceName"),
    "site": ("site_luid", "site-id", "site_id", "siteId"),
    "resource": ("resource_luid", "resource-id", "resource_id", "resourceId"),
    "created": ("created_at", "createdAt", "created-at"),
}


@dataclass(frozen=True, slots=True)
class Incoming:
    """One event as it goes into the inbox.

    Attributes:
        sender: Whose secret it came over.
        key: The same for every repetition of it.
        kind: Name of the event in the sender's own words, or :data:`TEST`, :data:`UNREADABLE`.
        body: As it was sent; of a batch, the element as it was sent.
    """

    sender: str
    key: str
    kind: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Handshake:
    """Event Grid asks whether this address wants its events.

    Attributes:
        code: To be sent back.
    """

    code: str


@dataclass(frozen=True, slots=True)
class TableauEvent:
    """What a webhook of Tableau tells. A hint, no more: whoever has the address can send it.

    Attributes:
        kind: ``DatasourceRefreshFailed`` and so on.
        name: Of the data source.
        site: LUID of the site.
        resource: LUID of the data source.
        created_at: When it happened, by Tableau's clock.
    """

    kind: str
    name: str
    site: str
    resource: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class BusinessEvent:
    """A business event of D365 F&O.

    Attributes:
        kind: ``BusinessEventId``, a class name such as ``VendorInvoiceJournalPostedBusinessEvent``.
        event_id: ``EventId`` without braces, in lower case.
        company: Legal entity in lower case; empty where the event names none.
    """

    kind: str
    event_id: str
    company: str


def receive(sender: str, body: bytes) -> list[Incoming] | Handshake:
    """The events of one request; an empty body or object is one, of kind :data:`TEST`."""
    if body.strip() in (b"", b"{}"):
        # Every test counts, so its key is not that of its (empty) content: the inbox makes one.
        return [Incoming(sender, "", TEST, body)]
    if sender == TABLEAU:
        event = read_tableau(body)
        return [_unreadable(sender, body) if event is None else _tableau(event, body)]
    if sender == D365:
        return [_business(sender, read_business(body), body)]
    return _grid(body)


def read_tableau(body: bytes) -> TableauEvent | None:
    """Tableau's payload; ``None`` where it is not one."""
    found = _object(body)
    values = {
        name: next((found[one] for one in spellings if isinstance(found.get(one), str)), "")
        for name, spellings in _SPELLINGS.items()
    }
    created_at = _instant(values["created"])
    if created_at is None or not all(values[name] for name in ("event", "site", "resource")):
        return None
    return TableauEvent(
        values["event"],
        values["name"],
        values["site"].lower(),
        values["resource"].lower(),
        created_at,
    )


def read_business(body: bytes) -> BusinessEvent | None:
    """A business event: the payload itself, in Event Grid's envelope, or Dataverse's.

    The envelopes: ``data`` of an Event Grid or CloudEvents element; where the Power Platform passes
    events on, a ``RemoteExecutionContext`` with ``MessageName`` ``mserp_<BusinessEventId>`` and the
    payload as ``InputParameters``, a list of keys and values.
    """
    found = _object(body)
    if isinstance(found.get("InputParameters"), list) and isinstance(found.get("MessageName"), str):
        found = _of_dataverse(found)
    elif isinstance(found.get("data"), dict):
        outer, found = found, dict(found["data"])
        found.setdefault("BusinessEventId", outer.get("eventType", outer.get("type")))
        found.setdefault("EventId", outer.get("id"))
    kind = found.get("BusinessEventId")
    if not isinstance(kind, str) or not kind:
        return None
    company = found.get("LegalEntity") or found.get("BusinessEventLegalEntity") or ""
    event_id = found.get("EventId") or ""
    return BusinessEvent(
        kind,
        event_id.strip("{}").lower() if isinstance(event_id, str) else "",
        company.lower() if isinstance(company, str) else "",
    )


def _tableau(event: TableauEvent, body: bytes) -> Incoming:
    parts = (event.site, event.resource, event.kind, event.created_at.isoformat())
    return Incoming(TABLEAU, f"tableau:{_hash('|'.join(parts).encode())}", event.kind, body)


def _business(sender: str, event: BusinessEvent | None, body: bytes) -> Incoming:
    if event is None:
        return _unreadable(sender, body)
    # One key for all ways, so that an event that comes twice over two of them counts once.
    key = f"d365:{event.event_id}" if event.event_id else f"d365:{_hash(body)}"
    return Incoming(sender, key, event.kind, body)


def _unreadable(sender: str, body: bytes) -> Incoming:
    return Incoming(sender, f"{sender}:{_hash(body)}", UNREADABLE, body)


def _grid(body: bytes) -> list[Incoming] | Handshake:
    try:
        elements = list(_elements(body.decode("utf-8-sig")))
    except (ValueError, RecursionError):
        return [_unreadable(EVENT_GRID, body)]
    for element in elements:
        found = _object(element)
        data = found.get("data")
        if found.get("eventType") == _GRID_VALIDATION and isinstance(data, dict):
            # Its validationUrl is never called: an address that a stranger may have written.
            return Handshake(str(data.get("validationCode", "")))
    if not elements:
        return [_unreadable(EVENT_GRID, body)]
    return [_business(EVENT_GRID, read_business(element), element) for element in elements]


def _elements(text: str) -> list[bytes]:
    """Elements of a JSON array, or the one value, each as it was written.

    Raises:
        ValueError: it is no JSON.
    """
    decoder = json.JSONDecoder()
    found: list[bytes] = []
    text = text.strip()
    if not text.startswith("["):
        json.loads(text)
        return [text.encode()]
    json.loads(text)  # the whole must be well-formed before its parts are looked for
    at = 1
    while True:
        while text[at] in " \t\r\n,":
            at += 1
        if text[at] == "]":
            return found
        _, end = decoder.raw_decode(text, at)
        found.append(text[at:end].encode())
        at = end


def _of_dataverse(context: dict[str, Any]) -> dict[str, Any]:
    given = {
        str(pair.get("key", "")).lower().removeprefix("mserp_"): pair.get("value")
        for pair in context["InputParameters"]
        if isinstance(pair, dict)
    }
    return {
        "BusinessEventId": context["MessageName"].removeprefix("mserp_"),
        "EventId": given.get("eventid"),
        "LegalEntity": given.get("legalentity") or given.get("businesseventlegalentity"),
    }


def _object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body; an empty one where it is none."""
    try:
        found = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _instant(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
