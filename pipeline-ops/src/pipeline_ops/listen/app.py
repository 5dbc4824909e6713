"""The application that senders reach: secret addresses, and two for whoever watches.

The order is what keeps it safe: the address is checked before a byte of the body is read, the body
has an upper size and a deadline, and the answer is 2xx only once the inbox has the event on disk.
Whatever is not one of the addresses is 404 with an empty body, by the same steps, be it a guess, a
former secret or a stray crawler.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from pipeline_core.errors import PipelineError
from pipeline_ops.listen.doors import EVENT_GRID, STATUS
from pipeline_ops.listen.events import Handshake, receive
from pipeline_ops.listen.log import LOG, fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.types import Message, Receive, Scope, Send

    from pipeline_ops.listen.doors import Doors, Sender
    from pipeline_ops.listen.inbox import Inbox

#: Seconds between two lines about requests to unknown addresses: a scan must not fill the disk.
_STRANGERS_LINE_S = 60.0

#: Senders open a connection for each event; one that is kept open is only one to hold on to.
_CLOSE = {"connection": "close"}


_PRIVATE = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex",
    **_CLOSE,
}


class _TooLargeError(Exception):
    """The body is larger than its sender may send."""


class _GoneError(Exception):
    """The sender has hung up; nobody is there to be answered."""


def create_app(
    doors: Doors,
    inbox: Inbox,
    *,
    wake: Callable[[], None],
    ready: Callable[[], str],
    body_timeout_s: float = 10.0,
    status: Callable[[], str] | None = None,
) -> Starlette:
    """Build the application.

    Args:
        doors: Tells whose address a path is.
        inbox: Keeps events; used from several threads.
        wake: Called after events were kept.
        ready: What keeps the service from being ready; empty where nothing does.
        body_timeout_s: How long a body may take to come.
        status: Makes the status page, for those who know the address of :data:`doors.STATUS`.
    """

    async def alive(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def is_ready(_request: Request) -> Response:
        trouble = await run_in_threadpool(ready)
        if trouble:
            return JSONResponse({"ready": False, "why": trouble}, 503)
        return JSONResponse({"ready": True})

    gate = _Gate(doors, inbox, wake, body_timeout_s, status)
    app = Starlette(
        routes=[
            Route("/healthz", alive),
            Route("/readyz", is_ready),
            Route("/{rest:path}", gate),
        ]
    )
    app.router.redirect_slashes = False
    return app


class _Gate:
    """Takes events; an ASGI application, so that no framework reads a body before it."""

    def __init__(
        self,
        doors: Doors,
        inbox: Inbox,
        wake: Callable[[], None],
        body_timeout_s: float,
        status: Callable[[], str] | None,
    ) -> None:
        self._doors = doors
        self._inbox = inbox
        self._wake = wake
        self._body_timeout_s = body_timeout_s
        self._status = status
        self._strangers = 0
        self._told_at = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        began = time.monotonic()
        sender = self._doors.open(scope["path"])
        if sender is None:
            self._count_stranger()
            await Response(status_code=404, headers=_CLOSE)(scope, receive, send)
            return
        try:
            response, told = await self._answer(scope, receive, sender)
        except _GoneError:
            LOG.info("request broken off", extra=fields(sender=sender.name))
            return
        await response(scope, receive, send)
        took_ms = round((time.monotonic() - began) * 1000, 1)
        LOG.info(
            "request",
            extra=fields(sender=sender.name, status=response.status_code, ms=took_ms, **told),
        )

    async def _answer(
        self, scope: Scope, receive_message: Receive, sender: Sender
    ) -> tuple[Response, dict[str, Any]]:
        """The answer to a known sender, and what the log tells of it."""
        if sender.name == STATUS:
            return await self._show(scope["method"]), {}
        if scope["method"] == "OPTIONS" and sender.name == EVENT_GRID:
            return _cloud_events_handshake(scope), {"handshake": "CloudEvents"}
        if scope["method"] != "POST":
            return Response(status_code=405, headers={"allow": "POST", **_CLOSE}), {}
        try:
            body = await asyncio.wait_for(
                _body(receive_message, sender.max_body_bytes), self._body_timeout_s
            )
        except _TooLargeError:
            return Response(status_code=413, headers=_CLOSE), {"most": sender.max_body_bytes}
        except TimeoutError:
            return Response(status_code=408, headers=_CLOSE), {"seconds": self._body_timeout_s}
        return await self._keep(sender, body)

    async def _show(self, method: str) -> Response:
        """The status page, which no cache keeps and whose address no link gives away."""
        if method not in {"GET", "HEAD"}:
            return Response(status_code=405, headers={"allow": "GET, HEAD", **_CLOSE})
        assert self._status is not None  # noqa: S101 - its door is only there with it
        try:
            page = await run_in_threadpool(self._status)
        except PipelineError as error:
            return PlainTextResponse(f"The status cannot be told: {error}\n", 503, _PRIVATE)
        return HTMLResponse(page, headers=_PRIVATE)

    async def _keep(self, sender: Sender, body: bytes) -> tuple[Response, dict[str, Any]]:
        # Reading what strangers wrote takes time in proportion to its size: not in the loop.
        events = await run_in_threadpool(receive, sender.name, body)
        if isinstance(events, Handshake):
            answer = JSONResponse({"validationResponse": events.code}, headers=_CLOSE)
            return answer, {"handshake": "Event Grid"}
        try:
            new = await run_in_threadpool(self._inbox.put, events)
        except sqlite3.Error as error:
            LOG.error("event not kept", extra=fields(sender=sender.name, why=error))
            return Response(status_code=503, headers={"retry-after": "60", **_CLOSE}), {}
        self._wake()
        kinds = ",".join(dict.fromkeys(event.kind for event in events))
        told = {"bytes": len(body), "events": len(events), "new": new, "kind": kinds}
        return Response(status_code=204, headers=_CLOSE), told

    def _count_stranger(self) -> None:
        self._strangers += 1
        now = time.monotonic()
        if self._told_at == 0.0 or now - self._told_at >= _STRANGERS_LINE_S:
            LOG.info("requests to unknown addresses", extra=fields(count=self._strangers))
            self._strangers, self._told_at = 0, now


async def _body(receive_message: Receive, most: int) -> bytes:
    """The whole body.

    Raises:
        _TooLargeError: it is larger than ``most`` bytes.
        _GoneError: it broke off.
    """
    body = bytearray()
    too_large = False
    while True:
        message: Message = await receive_message()
        if message["type"] == "http.disconnect":
            raise _GoneError
        # A sender that is still sending would see a broken connection instead of the answer: what
        # is too much is read and thrown away, within the same deadline.
        if not too_large:
            body += message.get("body", b"")
            too_large = len(body) > most
        if not message.get("more_body", False):
            break
    if too_large:
        raise _TooLargeError
    return bytes(body)


def _cloud_events_handshake(scope: Scope) -> Response:
    """Answer ``OPTIONS`` of the CloudEvents abuse protection (HTTP webhook specification, 1.0)."""
    headers = dict(scope["headers"])
    origin = headers.get(b"webhook-request-origin", b"").decode("latin-1")
    if not origin:
        return Response(status_code=405, headers={"allow": "POST", **_CLOSE})
    allowed = {"webhook-allowed-origin": origin, "allow": "POST", **_CLOSE}
    rate = headers.get(b"webhook-request-rate", b"").decode("latin-1")
    if rate:
        allowed["webhook-allowed-rate"] = rate
    return Response(status_code=200, headers=allowed)
