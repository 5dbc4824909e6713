"""A log of the requests that the server answered, for tests and the sandbox's own display."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: A long-running sandbox keeps this many of the latest requests at least.
_KEPT = 10_000
_NO_CONTENT = 204


@dataclass(frozen=True, slots=True)
class Request:
    """A request that was answered.

    Attributes:
        path: Without query.
        query: Text behind ``?``.
        status: What the client got; ``0`` when the connection ended without an answer.
        request_bytes: Bytes of the body that were read.
        request_id: Header ``RequestID`` (of update requests), or ``None``.
    """

    method: str
    path: str
    query: str
    status: int
    request_bytes: int
    request_id: str | None


class RequestLog:
    """ASGI middleware that notes every request in a list."""

    def __init__(self, app: ASGIApp, requests: list[Request]) -> None:
        """Wrap ``app``; ``requests`` grows at its end."""
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note how it went."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received = status = 0
        noted = False

        def note() -> None:
            nonlocal noted
            if not noted:
                noted = True
                self._note(scope, status, received)

        async def counting_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message

        async def watching_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if status == _NO_CONTENT:
                    note()  # the client knows that there is no body as soon as it has the head
            elif not message.get("more_body", False):
                note()  # before the client can know the answer, and look into the log
            await send(message)

        try:
            await self._app(scope, counting_receive, watching_send)
        finally:
            note()

    def _note(self, scope: Scope, status: int, received: int) -> None:
        request_id = dict(scope["headers"]).get(b"requestid")
        self._requests.append(
            Request(
                method=scope["method"],
                path=scope["path"],
                query=scope["query_string"].decode("latin-1"),
                status=status,
                request_bytes=received,
                request_id=None if request_id is None else request_id.decode("latin-1"),
            )
        )
        if len(self._requests) > 2 * _KEPT:
            del self._requests[:_KEPT]
