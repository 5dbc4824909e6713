"""The HTTP shell around ``Service``: tokens, compression, diagnostic headers, the request log."""

from __future__ import annotations

import asyncio
import time
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from contoso_sandbox.d365.request_log import LoggedRequest, RequestLog
from contoso_sandbox.d365.service import Call, Reply, Service

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from contoso_sandbox.d365.bearer import Gate

#: Requests that read at the same time; each holds a DuckDB cursor and up to a page of JSON.
_READERS = 8
#: Compressing a shorter body costs more than it saves.
_GZIP_FROM_BYTES = 1024
#: Fastest level: 37 ms for a page of 6.5 MB (level 6: 97 ms), to a seventh of its size.
_GZIP_LEVEL = 1


class Shell:
    """The environment as an ASGI application."""

    def __init__(self, service: Service, gate: Gate, log: RequestLog, url: str) -> None:
        """Serve ``service`` at ``url``, the environment's one true URL (the audience of tokens)."""
        self._service = service
        self._gate = gate
        self._log = log
        self._readers = asyncio.Semaphore(_READERS)
        self.url = url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        body = await request.body()
        async with self._readers:
            response = await run_in_threadpool(self._respond, request, body)
        await response(scope, receive, send)

    def _respond(self, request: Request, body: bytes) -> Response:
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
        headers = {"ms-dyn-aid": str(uuid4()), **reply.headers}
        content = reply.body
        if _takes_gzip(request) and len(content) >= _GZIP_FROM_BYTES:
            content = zlib.compress(content, _GZIP_LEVEL, wbits=31)
            headers |= {"content-encoding": "gzip", "vary": "accept-encoding"}
        duration_ms = (time.perf_counter() - started) * 1000
        headers["server-timing"] = f"dur={duration_ms:.0f}"
        # Before the answer leaves: whoever has received it finds it in the log.
        self._log.add(
            LoggedRequest(
                at=datetime.now(UTC),
                method=call.method,
                path=call.path,
                query=call.query,
                entity_set=reply.entity_set,
                status=reply.status,
                rows=reply.rows,
                bytes=len(content),
                duration_ms=round(duration_ms, 1),
            )
        )
        return Response(content, reply.status, headers)

    def _reply(self, call: Call, authorization: str) -> Reply:
        if not self._gate.admits(authorization, audience=self.url):
            return Reply(401, b"", headers={"www-authenticate": "Bearer"})
        return self._service.answer(call)


def _takes_gzip(request: Request) -> bool:
    return "gzip" in request.headers.get("accept-encoding", "").lower()
