"""Workbooks over REST: find, look at their connections, refresh, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contoso_sandbox.tableau.listing import select
from contoso_sandbox.tableau.responses import Answer, Element
from contoso_sandbox.tableau.rest.call import Endpoint
from contoso_sandbox.tableau.workbooks import WORKBOOK_FIELDS, connection

if TYPE_CHECKING:
    from contoso_sandbox.tableau.rest.call import Call
    from contoso_sandbox.tableau.workbooks import Workbook

_ONE = "/sites/{site_id}/workbooks/{workbook_id}"


def list_workbooks(call: Call) -> Answer:
    """``GET …/workbooks``."""
    items, page = select(call.rooms.workbooks.all(), call.query, WORKBOOK_FIELDS)
    listed = Element("workbooks", items=tuple(item.element(call.base_url) for item in items))
    return Answer(200, (page.element(), listed))


def query_workbook(call: Call) -> Answer:
    """``GET …/workbooks/{workbook_id}``."""
    return Answer(200, (_item(call).element(call.base_url),))


def query_connections(call: Call) -> Answer:
    """``GET …/workbooks/{workbook_id}/connections``: one for each of its data sources."""
    connected = [call.rooms.datasources.get(one) for one in _item(call).datasources]
    return Answer(200, (Element("connections", items=tuple(map(connection, connected))),))


def refresh(call: Call) -> Answer:
    """``POST …/workbooks/{workbook_id}/refresh``."""
    return Answer(202, (call.rooms.refreshes.accept_workbook(_item(call)).accepted(),))


def delete_workbook(call: Call) -> Answer:
    """``DELETE …/workbooks/{workbook_id}``."""
    with call.rooms.content:
        call.rooms.workbooks.delete(_item(call))
    return Answer(204)


def _item(call: Call) -> Workbook:
    return call.rooms.workbooks.get(call.path["workbook_id"])


ENDPOINTS = (
    Endpoint("GET", "/sites/{site_id}/workbooks", list_workbooks),
    Endpoint("GET", _ONE, query_workbook),
    Endpoint("GET", f"{_ONE}/connections", query_connections),
    Endpoint("POST", f"{_ONE}/refresh", refresh),
    Endpoint("DELETE", _ONE, delete_workbook),
)
