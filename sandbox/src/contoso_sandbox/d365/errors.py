"""Refusals in the shapes that F&O gives them.

Two stacks answer: the OData layer with ``{"error": ...}`` and, for a path that no route knows,
ASP.NET with ``{"Message": ...}``. Sources: recorded 500 body in ``vglu/doc2ent``
(``content/en/community/d365fo-rest-api-smart-talks.md``); 404 body in ``mafzaal/d365fo-client``
(``docs/COMPOSITE_KEY_SUPPORT_IMPLEMENTATION.md``).
"""

from __future__ import annotations

import json
from typing import NoReturn

_ODATA_EXCEPTION = "Microsoft.OData.Core.ODataException"
_READ_EXCEPTION = "Microsoft.Dynamics.Platform.Integration.Services.OData.AxODataReadException"


class RefusedError(Exception):
    """A request that gets an error answer; carries the status and the body."""

    def __init__(self, status: int, body: bytes) -> None:
        """Keep what the shell sends."""
        super().__init__(f"{status}: {body.decode()}")
        self.status = status
        self.body = body


def envelope(message: str, *, inner: str, kind: str, frames: str) -> bytes:
    """Build the OData error body: empty code, the useful text in ``innererror.message``."""
    return json.dumps(
        {
            "error": {
                "code": "",
                "message": message,
                "innererror": {"message": inner, "type": kind, "stacktrace": frames},
            }
        },
        separators=(",", ":"),
    ).encode()


def bad_request(reason: str) -> RefusedError:
    """Refuse a query that does not parse or names what the type does not have."""
    frames = (
        "   at Microsoft.OData.Core.UriParser.ODataQueryOptionParser.ParseFilter()\r\n"
        "   at System.Web.OData.EnableQueryAttribute.ValidateQuery(HttpRequestMessage request)"
    )
    message = f"The query specified in the URI is not valid. {reason}"
    return RefusedError(400, envelope(message, inner=reason, kind=_ODATA_EXCEPTION, frames=frames))


def reject(reason: str) -> NoReturn:
    """Raise the refusal of ``bad_request``."""
    raise bad_request(reason)


def unknown_property(name: str, entity: str) -> RefusedError:
    """Refuse a property that the entity does not publish (names are case-sensitive)."""
    kind = f"Microsoft.Dynamics.DataEntities.{entity}"
    return bad_request(f"Could not find a property named '{name}' on type '{kind}'.")


def no_such_row(entity_set: str) -> RefusedError:
    """Answer a read by key that finds nothing (in the companies it may see)."""
    frames = (
        "   at Microsoft.Dynamics.Platform.Integration.Services.OData.Query.QueryProcessor"
        ".ReadEntity(ODataPath path)"
    )
    inner = f"No resource of '{entity_set}' was found for the given key."
    body = envelope("An error has occurred.", inner=inner, kind=_READ_EXCEPTION, frames=frames)
    return RefusedError(404, body)


def no_such_route(url: str) -> RefusedError:
    """Answer a path that names no entity set: ASP.NET's body, not OData's."""
    text = (
        f"No HTTP resource was found that matches the request URI '{url}'. "
        "No route data was found for this request."
    )
    return RefusedError(404, json.dumps({"Message": text}, separators=(",", ":")).encode())


def not_allowed(method: str) -> RefusedError:
    """Refuse a write: the sandbox is read only, as the pipeline's application user is."""
    text = f"The requested resource does not support http method '{method}'."
    return RefusedError(405, json.dumps({"Message": text}, separators=(",", ":")).encode())


def server_error(inner: str) -> bytes:
    """Build the body of a 500, with a stack trace as long-winded as the real one."""
    frames = (
        "   at Microsoft.Dynamics.Platform.Integration.Services.OData.Query.QueryProcessor"
        ".ExecuteQuery(ODataQueryContext context)\r\n"
        "   at Microsoft.Dynamics.Platform.Integration.Services.OData.AxODataController.Get()\r\n"
        "   at System.Web.Http.Controllers.ReflectedHttpActionDescriptor.ExecuteAsync()"
    )
    return envelope("An error has occurred.", inner=inner, kind=_READ_EXCEPTION, frames=frames)
