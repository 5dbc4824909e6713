"""The ASGI application: routes, authentication, reading of bodies, rendering of answers."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from contoso_sandbox.tableau import errors
from contoso_sandbox.tableau.multipart import MultipartReader
from contoso_sandbox.tableau.responses import (
    JSON_TYPE,
    XML_TYPE,
    Answer,
    FileAnswer,
    error_element,
    to_json,
    to_xml,
)
from contoso_sandbox.tableau.rest import (
    auth,
    changes,
    datasources,
    jobs,
    projects,
    uploads,
    webhooks,
    workbooks,
)
from contoso_sandbox.tableau.rest.call import BodyKind, Call
from contoso_sandbox.tableau.scopes import allows
from contoso_sandbox.tableau.uploads import MAX_BLOCK_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.requests import Request

    from contoso_sandbox.tableau.rest.call import Endpoint
    from contoso_sandbox.tableau.rooms import Rooms
    from contoso_sandbox.tableau.session import Session

_ENDPOINTS = (
    *auth.ENDPOINTS,
    *projects.ENDPOINTS,
    *uploads.ENDPOINTS,
    *datasources.ENDPOINTS,
    *changes.ENDPOINTS,
    *workbooks.ENDPOINTS,
    *jobs.ENDPOINTS,
    *webhooks.ENDPOINTS,
)
_VERSION = re.compile(r"([0-9])\.([0-9]{1,2})")
_OLDEST_VERSION = (2, 0)
_MAX_DOCUMENT_BYTES = 8 * 1024 * 1024
_NOT_ALLOWED = 405
#: Nobody reads it; it only shows in the request log.
_CLIENT_GONE = 499


def create_app(rooms: Rooms) -> Starlette:
    """The REST API of the server made of ``rooms``."""
    gate = _Gate(rooms)
    return Starlette(
        routes=[
            Route(
                f"/api/{{version}}{endpoint.path}", gate.serve(endpoint), methods=[endpoint.method]
            )
            for endpoint in _ENDPOINTS
        ],
        exception_handlers={HTTPException: gate.unrouted, Exception: gate.broken},
    )


class _Gate:
    """What all endpoints share."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def serve(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        """The ASGI side of an endpoint."""

        async def serve(request: Request) -> Response:
            body = request.stream()
            try:
                return await self._serve(request, endpoint, body)
            except errors.RestError as refusal:
                # A client that is still sending would see a broken connection, not the answer.
                async for _ in body:
                    pass
                return self._refuse(request, refusal)
            except ClientDisconnect:
                return Response(status_code=_CLIENT_GONE)

        return serve

    async def unrouted(self, request: Request, error: Exception) -> Response:
        """No route: an unknown resource, or an unknown method of a known one."""
        status = error.status_code if isinstance(error, HTTPException) else 0
        if status == _NOT_ALLOWED:
            return self._refuse(request, errors.method_not_allowed(request.method))
        return self._refuse(request, errors.endpoint_unknown(request.url.path))

    async def broken(self, request: Request, _error: Exception) -> Response:
        """A defect; Starlette logs it after the answer."""
        return self._refuse(request, errors.server_failed())

    async def _serve(
        self, request: Request, endpoint: Endpoint, body: AsyncIterator[bytes]
    ) -> Response:
        self._check_version(request)
        session = None if endpoint.open else await run_in_threadpool(self._admit, request)
        reader: MultipartReader | None = None
        content = b""
        try:
            if endpoint.body is BodyKind.MULTIPART:
                reader = MultipartReader(
                    request.headers.get("content-type", ""),
                    self._rooms.scratch,
                    str(uuid.uuid4()),
                    MAX_BLOCK_BYTES,
                )
                async for chunk in body:
                    reader.feed(chunk)
                reader.finish()
            else:
                content = await _document(body)
            call = Call(
                rooms=self._rooms,
                path=request.path_params,
                query=request.query_params,
                headers={name.lower(): value for name, value in request.headers.items()},
                base_url=str(request.base_url).rstrip("/"),
                signed_in=session,
                content=content,
                parts=tuple(reader.parts) if reader else (),
            )
            answer = await run_in_threadpool(endpoint.handler, call)
        finally:
            if reader is not None:
                reader.abandon()
        return self._send(request, answer)

    def _check_version(self, request: Request) -> None:
        match = _VERSION.fullmatch(request.path_params["version"])
        newest = _VERSION.fullmatch(self._rooms.rest_api_version)
        if match is None or newest is None:
            raise errors.endpoint_unknown(request.url.path)
        version = (int(match[1]), int(match[2]))
        if not _OLDEST_VERSION <= version <= (int(newest[1]), int(newest[2])):
            raise errors.endpoint_unknown(request.url.path)

    def _admit(self, request: Request) -> Session:
        """The session of a request; its token is good for its own site only."""
        session = self._rooms.sessions.require(request.headers.get("x-tableau-auth"))
        site_id = request.path_params.get("site_id", self._rooms.site.id)
        if site_id != self._rooms.site.id:
            detail = f"The session is not signed in to site '{site_id}'."
            raise errors.forbidden(detail)
        if session.scopes is not None and not allows(
            session.scopes, request.method, request.url.path
        ):
            raise errors.session_over()
        return session

    def _send(self, request: Request, answer: Answer | FileAnswer) -> Response:
        if isinstance(answer, FileAnswer):
            response = FileResponse(
                answer.path,
                media_type="application/octet-stream",
                background=BackgroundTask(answer.path.unlink, missing_ok=True),
            )
            filename = answer.filename.replace('"', "").encode("utf-8").decode("latin-1")
            response.headers["content-disposition"] = (
                f'name="tableau_datasource"; filename="{filename}"'
            )
            return response
        if not answer.elements:
            return Response(status_code=answer.status)
        if "application/json" in request.headers.get("accept", ""):
            return Response(to_json(answer.elements), answer.status, media_type=JSON_TYPE)
        xml = to_xml(answer.elements, api_version=self._rooms.rest_api_version)
        return Response(xml, answer.status, media_type=XML_TYPE)

    def _refuse(self, request: Request, refusal: errors.RestError) -> Response:
        return self._send(request, Answer(refusal.status, (error_element(refusal),)))


async def _document(body: AsyncIterator[bytes]) -> bytes:
    content = bytearray()
    async for chunk in body:
        content += chunk
        if len(content) > _MAX_DOCUMENT_BYTES:
            detail = "The request document is too long."
            raise errors.too_large(detail)
    return bytes(content)
