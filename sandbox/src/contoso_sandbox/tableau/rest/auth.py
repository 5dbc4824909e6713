"""Server information, sign-in, sign-out, the site and its users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contoso_sandbox.tableau import errors
from contoso_sandbox.tableau.listing import select
from contoso_sandbox.tableau.responses import Answer, Element
from contoso_sandbox.tableau.rest.call import Endpoint

if TYPE_CHECKING:
    from contoso_sandbox.tableau.listing import Fields
    from contoso_sandbox.tableau.rest.call import Call
    from contoso_sandbox.tableau.site import User

_USER_FIELDS: Fields[User] = {"name": lambda user: user.name}


def server_info(call: Call) -> Answer:
    """``GET /serverInfo``, spelled in any case by the clients."""
    if call.path["resource"].lower() != "serverinfo":
        raise errors.endpoint_unknown(call.path["resource"])
    version = call.rooms.product_version
    build = f"{version.replace('.', '')}.26.1101.1200"
    children = (
        Element("productVersion", {"build": build}, text=version),
        Element("restApiVersion", text=call.rooms.rest_api_version),
    )
    return Answer(200, (Element("serverInfo", {}, children),))


def sign_in(call: Call) -> Answer:
    """``POST /auth/signin``."""
    session = call.rooms.sessions.sign_in(call.document().require("credentials"))
    return Answer(200, (call.rooms.sessions.element(session),))


def sign_out(call: Call) -> Answer:
    """``POST /auth/signout``."""
    call.rooms.sessions.sign_out(call.session)
    return Answer(204)


def current_session(call: Call) -> Answer:
    """``GET /sessions/current``."""
    children = (call.rooms.site.element(), call.session.user.element())
    return Answer(200, (Element("session", {}, children),))


def query_site(call: Call) -> Answer:
    """``GET /sites/{site_id}``."""
    return Answer(200, (call.rooms.site.element(),))


def query_user(call: Call) -> Answer:
    """``GET /sites/{site_id}/users/{user_id}``."""
    return Answer(200, (call.rooms.accounts.user(call.path["user_id"]).element(),))


def list_users(call: Call) -> Answer:
    """``GET /sites/{site_id}/users``."""
    users, page = select(call.rooms.accounts.users(), call.query, _USER_FIELDS)
    listed = Element("users", items=tuple(user.element() for user in users))
    return Answer(200, (page.element(), listed))


ENDPOINTS = (
    Endpoint("GET", "/{resource}", server_info, open=True),
    Endpoint("POST", "/auth/signin", sign_in, open=True),
    Endpoint("POST", "/auth/signout", sign_out),
    Endpoint("GET", "/sessions/current", current_session),
    Endpoint("GET", "/sites/{site_id}", query_site),
    Endpoint("GET", "/sites/{site_id}/users", list_users),
    Endpoint("GET", "/sites/{site_id}/users/{user_id}", query_user),
)
