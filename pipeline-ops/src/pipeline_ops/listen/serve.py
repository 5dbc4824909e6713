"""uvicorn, with what an address on the internet needs besides: no log of paths, no slow headers."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from pipeline_core.errors import BusyError, ConfigError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from pathlib import Path

    from starlette.types import ASGIApp

#: Connections at one time; further ones are answered 503 at once. Tableau sends one an event.
_MOST_CONNECTIONS = 2000

#: A request whose head has not come after this time is nobody's that we wait for.
_HEAD_TIMEOUT_S = 10.0

_MOST_HEAD_BYTES = 16 * 1024


class _Connection(H11Protocol):
    """A connection that must bring the head of a request in time.

    uvicorn itself lets a client that sends one byte an hour keep its connection for ever.
    """

    _watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to watch."""
        super().connection_made(transport)
        self._watch = self.loop.call_later(_HEAD_TIMEOUT_S, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Watch no longer."""
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        idle = self.cycle is None or self.cycle.response_complete
        if idle and not self.transport.is_closing():
            self.transport.close()
        self._watch = self.loop.call_later(_HEAD_TIMEOUT_S, self._look)


class Server(uvicorn.Server):
    """A server that says when it answers, and when it was told to stop."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        certificate: tuple[Path, Path] | None,
        stop_timeout_s: float,
        started: Callable[[], None],
        stopping: Callable[[], None],
    ) -> None:
        """Prepare; :meth:`run` serves."""
        super().__init__(
            uvicorn.Config(
                app,
                # Its own handlers would write every path, secret and all.
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                http=_Connection,
                ws="none",
                lifespan="off",
                limit_concurrency=_MOST_CONNECTIONS,
                h11_max_incomplete_event_size=_MOST_HEAD_BYTES,
                timeout_keep_alive=5,
                timeout_graceful_shutdown=max(1, int(stop_timeout_s)),
                ssl_certfile=certificate[0] if certificate else None,
                ssl_keyfile=certificate[1] if certificate else None,
            )
        )
        self._on_start = started
        self._on_stop = stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, and say so."""
        await super().startup(sockets)
        if self.started:
            self._on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take nothing more, finish what is being answered."""
        self._on_stop()
        await super().shutdown(sockets)


def listening_socket(host: str, port: int) -> socket.socket:
    """A bound socket, so that a port that is taken is told before anything begins.

    Raises:
        BusyError: another process has the port.
        ConfigError: the address is none of this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, protocol)
    except OSError as error:
        message = f"bind: {host!r} is no address of this machine"
        raise ConfigError(message) from error
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind(address)
    except OSError as error:
        found.close()
        if isinstance(error, PermissionError) or error.errno == 99:  # noqa: PLR2004 - EADDRNOTAVAIL
            message = f"bind: {host} port {port} cannot be used: {error.strerror}"
            raise ConfigError(message) from error
        message = f"port {port} on {host} is taken by another process; is the service running?"
        raise BusyError(message) from error
    return found
