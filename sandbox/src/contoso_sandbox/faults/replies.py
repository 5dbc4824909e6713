"""Answers that take the real one's place, and what happens before it is made."""

from __future__ import annotations

import json as jsonlib
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from contoso_sandbox.faults.request import Answer, Asked
from contoso_sandbox.faults.rules import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from contoso_sandbox.faults.hold import Hold
    from contoso_sandbox.faults.wire import Wire

    Headers = Mapping[str, str]

#: Texts of F&O's 429 (MicrosoftDocs, ``service-protection-api-limits.md``).
TOO_BUSY = (
    "This request could not be processed at this time due to system experiencing high resource "
    "utilization. Please retry the request after {0} seconds"
)


def answer(
    status: int,
    body: bytes | str = b"",
    *,
    json: object = None,
    headers: Headers | None = None,
    retry_after: float | str | datetime | None = None,
    date: datetime | str | None = None,
) -> Action:
    """Answer with ``status`` instead of asking the real application.

    Args:
        status: HTTP status.
        body: The body as it is.
        json: A document, in place of ``body``.
        headers: Further headers.
        retry_after: Seconds, an instant (written as an HTTP date), or the header's very text.
        date: The server's idea of now, as its ``Date`` header; the true time if absent.
    """
    content = body.encode() if isinstance(body, str) else body
    sent = {name.lower(): value for name, value in (headers or {}).items()}
    if json is not None:
        content = jsonlib.dumps(json).encode()
        sent.setdefault("content-type", "application/json; charset=utf-8")
    if retry_after is not None:
        sent["retry-after"] = _header_text(retry_after)
    if date is not None:
        sent["date"] = _header_text(date)
    return Action(f"answer {status}", instead=lambda _: Answer(status, sent, content))


def throttled(
    retry_after: float | str | datetime | None = None, *, date: datetime | str | None = None
) -> Action:
    """Answer 429 as an overloaded F&O does; without ``retry_after`` the header is missing."""
    message = TOO_BUSY.format(60 if retry_after is None else retry_after)
    return answer(429, json={"Message": message}, retry_after=retry_after, date=date)


def server_error(status: int = 500, *, retry_after: float | str | None = None) -> Action:
    """Answer 5xx: 500 with OData's envelope, the others with the gateway's HTML."""
    if status == 500:  # noqa: PLR2004 - the one that F&O itself writes
        inner = {"message": "Timeout expired.", "type": "System.Exception", "stacktrace": "   at X"}
        error = {"code": "", "message": "An error has occurred.", "innererror": inner}
        return answer(status, json={"error": error}, retry_after=retry_after)
    html = f"<html><head><title>{status}</title></head><body>Service unavailable</body></html>"
    return answer(status, html, headers={"content-type": "text/html"}, retry_after=retry_after)


def unauthorized() -> Action:
    """Answer 401, as for a token that has expired or was revoked."""
    return answer(401, headers={"www-authenticate": "Bearer"})


def token_refused(error: str, code: int, text: str = "refused", *, status: int = 401) -> Action:
    """Answer as Entra ID's token endpoint refuses: ``invalid_client``, 7000215, and so on."""
    description = f"AADSTS{code}: {text}"
    document = {"error": error, "error_description": description, "error_codes": [code]}
    return answer(status, json=document)


def redirect(to: str | Callable[[Asked], str], status: int = 302) -> Action:
    """Send the client elsewhere: to a URL, or to what a function makes of the request."""

    def instead(asked: Asked) -> Answer:
        return Answer(status, {"location": to if isinstance(to, str) else to(asked)})

    return Action(f"redirect {status}", instead=instead)


def before(callback: Callable[[Asked], object]) -> Action:
    """Call ``callback`` before the request is answered: how rows move while a client pages.

    It runs in a thread of its own; the answer waits for its end.
    """

    async def run(asked: Asked, _wire: Wire) -> None:
        await run_in_threadpool(callback, asked)

    return Action("before", before=run)


def delay(seconds: float) -> Action:
    """Answer later. Waits by the layer's ``pause``."""

    async def wait(_asked: Asked, wire: Wire) -> None:
        await wire.pause(seconds)

    return Action(f"delay {seconds:g} s", before=wait)


def held(hold: Hold) -> Action:
    """Answer only after the test has called ``hold.release()``, or never."""

    async def wait(_asked: Asked, wire: Wire) -> None:
        await wire.until(hold.passed())

    return Action("held", before=wait)


def expires_in(seconds: object) -> Action:
    """Let the token endpoint claim another life of its token than it has."""

    def change(real: Answer, _asked: Asked) -> Answer:
        document = jsonlib.loads(real.body) | {"expires_in": seconds}
        return Answer(real.status, real.headers, jsonlib.dumps(document).encode())

    return Action("expires_in", change=change)


def _header_text(value: float | str | datetime) -> str:
    if isinstance(value, datetime):
        return format_datetime(value.astimezone(UTC), usegmt=True)
    return value if isinstance(value, str) else f"{value:g}"
