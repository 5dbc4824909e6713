"""Middleware that makes chosen requests go wrong, before or after the server did its work."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HTML = b"<html><body>503 backend unavailable: s3cret</body></html>"


def xml_error(code: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?><tsResponse xmlns="http://tableau.com/api">'
        f'<error code="{code}"><summary>Scripted</summary><detail>Scripted fault</detail></error>'
        "</tsResponse>"
    ).encode()


@dataclass
class Fault:
    """What happens to the ``at``-th (and following) requests of one kind.

    Attributes:
        method: Of the request.
        ending: How its path ends.
        at: First request that it hits, from 1.
        times: How many it hits.
        status: Answer instead; ``0`` drops the connection.
        body: Body of that answer.
        headers: Headers of that answer.
        after: Whether the server does its work first, so that only its answer is lost.
    """

    method: str
    ending: str
    at: int = 1
    times: int = 1
    status: int = 503
    body: bytes = HTML
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False
    seen: int = 0

    def hits(self, scope: Scope) -> bool:
        path = scope["path"]
        ours = scope["method"] == self.method and self.ending in path
        self.seen += ours
        return ours and self.at <= self.seen < self.at + self.times


class Faulty:
    """ASGI middleware with a list of faults, which tests may change at any time."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = list(faults)
        self.header_names: set[bytes] = set()

    def __call__(self, app: ASGIApp) -> ASGIApp:
        async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
            fault = None
            if scope["type"] == "http":
                self.header_names |= {name for name, _ in scope["headers"]}
                fault = next((f for f in self.faults if f.hits(scope)), None)
            if fault is None:
                await app(scope, receive, send)
                return
            if fault.after:
                await app(scope, receive, _swallow)
            if fault.status == 0:
                await _break_off(send)
            await _answer(fault, send)

        return wrapped


async def _swallow(message: Message) -> None:
    """Keep the real answer from the client."""


async def _break_off(send: Send) -> None:
    """Promise a long answer, begin it, and drop the connection."""
    headers = [(b"content-type", b"application/xml"), (b"content-length", b"100000")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"<?xml", "more_body": True})
    raise ConnectionAbortedError


async def _answer(fault: Fault, send: Send) -> None:
    headers = {"content-type": "text/html", **fault.headers}
    if fault.body.startswith(b"<?xml"):
        headers["content-type"] = "application/xml;charset=utf-8"
    raw: list[Any] = [(k.encode(), v.encode()) for k, v in headers.items()]
    await send({"type": "http.response.start", "status": fault.status, "headers": raw})
    await send({"type": "http.response.body", "body": fault.body})
