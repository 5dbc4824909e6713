"""Connections on which status line and headers have a deadline as a whole.

``requests`` and ``urllib3`` count their read timeout from receive to receive, so a server that
sends its headers byte by byte holds a request for as long as it likes. Here somebody is asked
before every receive. Bodies have such a check of their own (:mod:`tap_d365fo.access.body`).
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from contextvars import ContextVar
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

_check: ContextVar[Callable[[], None] | None] = ContextVar("check of the headers", default=None)


@contextmanager
def watched_headers(check_deadline: Callable[[], None]) -> Iterator[None]:
    """Call ``check_deadline`` before every receive of headers by this thread; it may raise."""
    token = _check.set(check_deadline)
    try:
        yield
    finally:
        _check.reset(token)


class WatchedAdapter(HTTPAdapter):
    """HTTPS whose answers begin under the eyes of :func:`watched_headers`."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as in requests
        """Make the pools that use our connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"https": _WatchedPool}


class _Receiving(io.RawIOBase):
    """The receiving side of a socket, with somebody asked before every receive."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self.in_headers = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:  # noqa: ANN401 - any buffer
        check = _check.get() if self.in_headers else None
        if check is not None:
            check()
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _WatchedResponse(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as there
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self._receiving = _Receiving(sock.makefile("rb", buffering=0))
        self.fp = io.BufferedReader(self._receiving)

    def begin(self) -> None:
        super().begin()
        self._receiving.in_headers = False


class _WatchedConnection(HTTPSConnection):
    response_class = _WatchedResponse


class _WatchedPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedConnection
