"""The control endpoint: what the command line asks of a running box.

Loopback only, and behind a token that lies in the box's ``sandbox.json`` (mode 0600), so that
another user of the machine cannot move Contoso's books.
"""

from __future__ import annotations

import hmac
import json
import ssl
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.request import Request as ClientRequest
from urllib.request import urlopen

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

    from contoso_sandbox.contoso import Contoso
    from contoso_sandbox.state import RunningBox

#: A quarter of business days at the largest scale takes seconds, not minutes.
_TIMEOUT_S = 600
_MOST_DAYS = 366


class ControlError(RuntimeError):
    """The running box refused or could not be reached; the text says why."""


def create_control_app(box: Contoso, token: str) -> Starlette:
    """Build the endpoint for ``box``; every request must bear ``token``."""
    started = datetime.now(UTC)

    async def status(_request: Request) -> Response:
        return _json(await run_in_threadpool(_status, box, started))

    async def advance(request: Request) -> Response:
        days = (await request.json()).get("days")
        if not isinstance(days, int) or not 1 <= days <= _MOST_DAYS:
            return JSONResponse({"error": f"days must be between 1 and {_MOST_DAYS}"}, 400)
        return _json(await run_in_threadpool(box.world.advance, days))

    async def requests(_request: Request) -> Response:
        return _json([asdict(request) for request in box.d365.requests])

    async def forget_requests(_request: Request) -> Response:
        box.d365.requests.clear()
        return _json({})

    def guarded(endpoint: Any) -> Any:  # noqa: ANN401 - any async endpoint
        async def checked(request: Request) -> Response:
            given = request.headers.get("authorization", "")
            if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
                return JSONResponse({"error": "the control token is missing or wrong"}, 401)
            answer: Response = await endpoint(request)
            return answer

        return checked

    return Starlette(
        routes=[
            Route("/status", guarded(status)),
            Route("/advance", guarded(advance), methods=["POST"]),
            Route("/requests", guarded(requests)),
            Route("/requests", guarded(forget_requests), methods=["DELETE"]),
        ]
    )


class ControlClient:
    """Talks to the control endpoint of a box in another process."""

    def __init__(self, running: RunningBox) -> None:
        """Address the box that ``running`` describes."""
        self._running = running
        self._tls = ssl.create_default_context(cafile=running.ca_bundle)

    def status(self) -> dict[str, Any]:
        """Return addresses, business date, rows by set and rows that have travelled."""
        answer: dict[str, Any] = self._send("GET", "/status")
        return answer

    def advance(self, days: int) -> dict[str, Any]:
        """Post ``days`` business days; returns the summary of what changed."""
        answer: dict[str, Any] = self._send("POST", "/advance", {"days": days})
        return answer

    def requests(self) -> list[dict[str, Any]]:
        """Return the request log of D365."""
        answer: list[dict[str, Any]] = self._send("GET", "/requests")
        return answer

    def forget_requests(self) -> None:
        """Empty the request log, for example between two runs that are to be compared."""
        self._send("DELETE", "/requests")

    def _send(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        request = ClientRequest(  # noqa: S310 - always https
            self._running.control_url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._running.control_token}"},
            method=method,
        )
        try:
            with urlopen(request, timeout=_TIMEOUT_S, context=self._tls) as answer:  # noqa: S310
                return json.load(answer)
        except HTTPError as error:
            text = json.loads(error.read() or b"{}").get("error", error.reason)
            message = f"the sandbox refused {path}: {text}"
            raise ControlError(message) from error
        except URLError as error:
            message = f"the sandbox at {self._running.control_url} does not answer: {error.reason}"
            raise ControlError(message) from error


def _status(box: Contoso, started: datetime) -> dict[str, object]:
    rows = {}
    with closing(box.world.cursor()) as cursor:
        for name in box.world.environment.entity_sets:
            counted = cursor.execute(f'SELECT count(*) FROM "{name}"').fetchone()  # noqa: S608 - own names
            rows[name] = counted[0] if counted else 0
    return {
        "pid": box.running.pid,
        "started_at": started,
        "directory": str(box.directory.resolve()),
        "control_url": box.control_url,
        "entra_url": box.entra_url,
        "d365_url": box.d365_url,
        "tableau_url": box.tableau_url,
        "business_date": box.world.today,
        "companies": list(box.world.companies),
        "rows": rows,
        "requests": len(box.d365.requests),
        "rows_travelled": box.d365.requests.rows_by_set(),
    }


def _json(value: object) -> Response:
    return Response(json.dumps(_plain(value)), media_type="application/json")


def _plain(value: object) -> object:
    """Turn dataclasses, dates and decimals into what JSON holds (decimals as exact text)."""
    if is_dataclass(value) and not isinstance(value, type):
        value = {name: getattr(value, name) for name in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    return value
