"""The HTTP shell around ``Service``: tokens, compression, diagnostic headers."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from contoso_sandbox.compression import GZIP_FROM_BYTES, gzipped, takes_gzip
from contoso_sandbox.d365.request_log import LoggedRequest
from contoso_sandbox.d365.service import Call, Reply, Service

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.types import Receive, Scope, Send

    from contoso_sandbox.d365.bearer import Gate

#: Requests that read at the same time; each holds a DuckDB cursor and up to a page of JSON.
_READERS = 8
#: IIS's request filtering, substatus 404.15 (learn.microsoft.com, "HTTP status codes in IIS").
_QUERY_TOO_LONG = (
    b"<html><head><title>404 - File or directory not found.</title></head><body>"
    b"<h2>404 - File or directory not found.</h2></body></html>"
)
#: Where the shell leaves, in the ASGI scope, what the request log is to say of the request.
LOGGED = "contoso_sandbox.logged"


class Shell:
    """The environment as an ASGI application."""

    def __init__(self, service: Service, gate: Gate, url: str) -> None:
        """Serve ``service`` at ``url``, the environment's one true URL (the audience of tokens)."""
        self.service = service
        self._gate = gate
        self._readers = asyncio.Semaphore(_READERS)
        self.url = url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        body = await request.body()
        async with self._readers:
            reply = await run_in_threadpool(self._respond, request, body)
        headers = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in reply.headers.items()]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        for chunk in reply.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _respond(self, request: Request, body: bytes) -> _Framed:
        started = time.perf_counter()
        call = Call(
            method=request.method,
            path=request.scope["path"],
            query=request.scope["query_string"].decode("latin-1"),
            accept=request.headers.get("accept", ""),
            origin=self.url,
            content_type=request.headers.get("content-type", ""),
            body=body,
        )
        reply = self._reply(call, request.headers.get("authorization", ""))
        framed = _framed(reply, wants_gzip=takes_gzip(request.headers.get("accept-encoding", "")))
        duration_ms = (time.perf_counter() - started) * 1000
        headers = {
            "ms-dyn-aid": str(uuid4()),
            **framed.headers,
            "content-length": str(framed.length),
            "server-timing": f"dur={duration_ms:.0f}",
        }
        request.scope[LOGGED] = LoggedRequest(
            at=datetime.now(UTC),
            method=call.method,
            path=call.path,
            query=call.query,
            entity_set=reply.entity_set,
            status=reply.status,
            rows=reply.rows,
            bytes=framed.length,
            duration_ms=round(duration_ms, 1),
        )
        return replace(framed, headers=headers)

    def _reply(self, call: Call, authorization: str) -> Reply:
        limit = self.service.traits.max_query_chars
        if limit is not None and len(call.query) > limit:
            return Reply(404, [_QUERY_TOO_LONG], headers={"content-type": "text/html"})
        if not self._gate.admits(authorization, audience=self.url):
            return Reply(401, (), headers={"www-authenticate": "Bearer"})
        return self.service.answer(call)


@dataclass(frozen=True, slots=True)
class _Framed:
    """An answer as it travels: its body in pieces, and the length of all of them."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterable[bytes]
    length: int


def _framed(reply: Reply, *, wants_gzip: bool) -> _Framed:
    status, headers, prepared = reply.status, reply.headers, reply.prepared
    packed = {**headers, "content-encoding": "gzip", "vary": "accept-encoding"}
    if prepared is not None:
        if wants_gzip:
            return _Framed(status, packed, prepared.packed(), len(prepared.gzip))
        return _Framed(status, headers, prepared.plain(), prepared.plain_bytes)
    chunks, length = reply.chunks, sum(map(len, reply.chunks))
    if wants_gzip and length >= GZIP_FROM_BYTES:
        chunks = list(gzipped(chunks))
        return _Framed(status, packed, chunks, sum(map(len, chunks)))
    return _Framed(status, headers, chunks, length)
