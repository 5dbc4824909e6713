"""Run an ASGI application over HTTPS on loopback, in a thread of this process."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Self

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from contoso_sandbox.faults.wire import TRANSPORT

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from contoso_sandbox.tls import Tls

_HOST = "127.0.0.1"
_START_DEADLINE_S = 20.0


class PortBusyError(RuntimeError):
    """The wanted port on 127.0.0.1 is taken by another process."""


class _Connection(H11Protocol):
    """A connection that the application can break, and whose ``Date`` it can set."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Hand the transport down to the application, in each request's scope."""
        super().connection_made(transport)
        application = self.app

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            async def dated(message: Message) -> None:
                if message["type"] == "http.response.start":
                    headers = list(message["headers"])
                    if not any(name == b"date" for name, _ in headers):
                        headers.append((b"date", formatdate(usegmt=True).encode()))
                    message = {**message, "headers": headers}
                await send(message)

            scope["extensions"] = {**scope.get("extensions", {}), TRANSPORT: transport}
            await application(scope, receive, dated)

        self.app = with_transport


class _Server(uvicorn.Server):
    """Cuts its connections when it stops.

    Clients keep theirs alive, and TLS would wait for each one's farewell.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Cut what is open, then end as uvicorn does."""
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()
        for _ in range(3):  # an abort takes effect in the loop's next rounds
            await asyncio.sleep(0)
        await super().shutdown(sockets)


class HttpsServer:
    """One application on one loopback port.

    The listening socket is bound in the constructor, so ``port`` and ``url`` are known (and cannot
    be taken by another process) before the first request is served.
    """

    def __init__(self, app: ASGIApp, tls: Tls, *, port: int = 0) -> None:
        """Bind the port; ``0`` lets the system choose a free one.

        Raises:
            PortBusyError: another process listens on ``port``.
        """
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((_HOST, port))
        except OSError as error:
            self._socket.close()
            message = f"port {port} on {_HOST} is taken by another process"
            raise PortBusyError(message) from error
        self.port: int = self._socket.getsockname()[1]
        self.url = f"https://{_HOST}:{self.port}"
        config = uvicorn.Config(
            app,
            ssl_certfile=str(tls.server_chain),
            log_config=None,
            access_log=False,
            http=_Connection,
            date_header=False,  # _Connection's: uvicorn's would stand beside one that a fault sets
            lifespan="off",
            ws="none",
            timeout_keep_alive=120,
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config)
        self._thread = threading.Thread(
            target=self._server.run,
            kwargs={"sockets": [self._socket]},
            name=f"https-{self.port}",
            daemon=True,
        )

    def start(self) -> Self:
        """Serve from now on; returns when the first request can be answered."""
        self._thread.start()
        deadline = time.monotonic() + _START_DEADLINE_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                message = f"the server on {self.url} did not start"
                raise RuntimeError(message)
            time.sleep(0.005)
        return self

    def stop(self) -> None:
        """Stop serving and release the port."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        self._socket.close()
