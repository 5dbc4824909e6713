"""Webhooks over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contoso_sandbox.tableau.responses import Answer, Element
from contoso_sandbox.tableau.rest.call import Endpoint

if TYPE_CHECKING:
    from contoso_sandbox.tableau.rest.call import Call

_ALL = "/sites/{site_id}/webhooks"
_ONE = _ALL + "/{webhook_id}"


def list_webhooks(call: Call) -> Answer:
    """``GET …/webhooks``: all on one page."""
    found = call.rooms.webhooks.all()
    return Answer(200, (Element("webhooks", items=tuple(one.element() for one in found)),))


def create_webhook(call: Call) -> Answer:
    """``POST …/webhooks``."""
    request = call.document().require("webhook")
    made = call.rooms.webhooks.create(request, call.session.user.id)
    return Answer(201, (made.element(),))


def query_webhook(call: Call) -> Answer:
    """``GET …/webhooks/{webhook_id}``."""
    return Answer(200, (call.rooms.webhooks.get(call.path["webhook_id"]).element(),))


def update_webhook(call: Call) -> Answer:
    """``PUT …/webhooks/{webhook_id}``."""
    request = call.document().require("webhook")
    changed = call.rooms.webhooks.update(call.path["webhook_id"], request)
    return Answer(200, (changed.element(),))


def delete_webhook(call: Call) -> Answer:
    """``DELETE …/webhooks/{webhook_id}``."""
    call.rooms.webhooks.delete(call.path["webhook_id"])
    return Answer(204)


def test_webhook(call: Call) -> Answer:
    """``GET …/webhooks/{webhook_id}/test``: sends an empty message, and tells of the answer."""
    webhook = call.rooms.webhooks.get(call.path["webhook_id"])
    status, body = call.rooms.courier.test(webhook)
    result = Element(
        "webhookTestResult", {"id": webhook.id, "status": status}, (Element("body", text=body),)
    )
    return Answer(200, (result,))


ENDPOINTS = (
    Endpoint("GET", _ALL, list_webhooks),
    Endpoint("POST", _ALL, create_webhook),
    Endpoint("GET", _ONE, query_webhook),
    Endpoint("PUT", _ONE, update_webhook),
    Endpoint("DELETE", _ONE, delete_webhook),
    Endpoint("GET", f"{_ONE}/test", test_webhook),
)
