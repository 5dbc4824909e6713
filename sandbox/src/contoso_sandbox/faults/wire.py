"""The way of an answer to its client, down to the socket."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if sys.platform == "linux":
    import fcntl
    import termios

from contoso_sandbox.compression import GZIP_FROM_BYTES, gzipped, takes_gzip

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.types import Receive, Send

    from contoso_sandbox.faults.request import Answer

    Pause = Callable[[float], Awaitable[object]]

#: Where ``contoso_sandbox.serving`` leaves a connection's transport in the ASGI scope.
TRANSPORT = "contoso_sandbox.transport"
#: Close at once and with a reset: linger on, for 0 seconds.
_NO_LINGER = struct.pack("ii", 1, 0)
_POLL_S = 0.001


@dataclass(frozen=True, slots=True)
class Sent:
    """What left the server.

    Attributes:
        status: 0 where the connection broke before a status line.
        bytes: Length of the body as framed, after compression.
        whole: Whether the client could read it to its end.
        rows: Rows in the body; ``None`` for as many as the real answer had.
    """

    status: int
    bytes: int
    whole: bool
    rows: int | None = None


class Wire:
    """One request's connection.

    Attributes:
        pause: Waits for a number of seconds; the layer's, so that tests may replace it.
    """

    def __init__(
        self,
        *,
        accept_encoding: str,
        transport: Any,  # noqa: ANN401 - asyncio's TLS transport, whose inside is needed too
        receive: Receive,
        send: Send,
        record: Callable[[Sent], None],
        pause: Pause,
    ) -> None:
        """Take over the connection that ``send`` writes to."""
        self._takes_gzip = takes_gzip(accept_encoding)
        self._transport = transport
        self._receive = receive
        self._send = send
        self._record = record
        self.pause = pause

    async def whole(self, answer: Answer) -> None:
        """Send the answer as the real server would: compressed where that pays, with its length."""
        headers, body = self.encoded(answer)
        await self.start(answer.status, {**headers, "content-length": str(len(body))}, len(body))
        await self.body(body)
        await self.end()

    def encoded(self, answer: Answer) -> tuple[dict[str, str], bytes]:
        """Return headers and body after the compression that the client asked for."""
        if not self._takes_gzip or len(answer.body) < GZIP_FROM_BYTES:
            return dict(answer.headers), answer.body
        headers = {**answer.headers, "content-encoding": "gzip", "vary": "accept-encoding"}
        return headers, b"".join(gzipped([answer.body]))

    async def start(
        self, status: int, headers: Mapping[str, str], size: int, *, whole: bool = True
    ) -> None:
        """Log the request, then send status line and headers.

        Without ``content-length`` among the headers the body is sent in chunks.
        """
        self._record(Sent(status, size, whole))
        encoded = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})

    async def body(self, piece: bytes) -> None:
        """Send a piece of the body."""
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    async def end(self) -> None:
        """End the body."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    def takes_over(self, status: int) -> None:
        """Log a request whose answer is written byte for byte, past the HTTP server."""
        self._record(Sent(status, 0, whole=False))

    def raw(self, piece: bytes) -> None:
        """Write to the connection what the HTTP server would write, headers and all."""
        self._transport.write(piece)

    async def gone(self) -> None:
        """Wait until the client, or this server's stop, has closed the connection."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def until(self, moment: Awaitable[None]) -> bool:
        """Wait for ``moment``; returns whether the client is still there."""
        waiting = asyncio.ensure_future(moment)
        gone = asyncio.ensure_future(self.gone())
        await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
        there = not gone.done()
        for task in (waiting, gone):
            task.cancel()
        return there

    async def hang_up(self) -> None:
        """Close the connection with a plain FIN, without TLS's own farewell."""
        await self._arrived()
        self._transport.abort()
        await self.gone()

    async def reset(self) -> None:
        """Break the connection with an RST."""
        await self._arrived()
        sock = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._transport.abort()
        await self.gone()

    async def vanish(self, *, by_reset: bool) -> None:
        """Log a request that gets no answer, and break its connection."""
        self._record(Sent(0, 0, whole=False))
        await (self.reset() if by_reset else self.hang_up())

    async def _arrived(self) -> None:
        """Wait until what was written is with the client's kernel: an abort drops the rest."""
        while self._on_its_way() and not self._transport.is_closing():  # noqa: ASYNC110 - no event
            await asyncio.sleep(_POLL_S)

    def _on_its_way(self) -> int:
        # The TLS layer reports only its own buffer; the socket's transport below has another.
        below = self._transport._ssl_protocol._transport  # noqa: SLF001 - there is no public way
        if below is None:
            return 0
        written: int = self._transport.get_write_buffer_size() + below.get_write_buffer_size()
        if sys.platform != "linux":
            return written
        unacknowledged = array("i", [0])
        fcntl.ioctl(below.get_extra_info("socket").fileno(), termios.TIOCOUTQ, unacknowledged)
        return written + unacknowledged[0]
