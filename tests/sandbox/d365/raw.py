"""A client that hides nothing: what came over one TLS connection, byte by byte."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.sandbox.d365.site import TOKEN

if TYPE_CHECKING:
    from typing import Self

    from contoso_sandbox.tls import Tls


@dataclass
class Received:
    """All bytes of an answer and how the connection ended.

    ``farewell`` is TLS's own, ``eof`` a FIN without one, ``reset`` an RST, ``open`` none.
    """

    head: bytes
    body: bytes
    ended: str

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


class RawClient:
    """One request on a connection of its own.

    TLS runs over buffers in memory: on a socket, OpenSSL tells a reset as an end of file.
    """

    def __init__(self, tls: Tls, port: int, path: str, accept_encoding: str = "identity") -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._farewell = False
        self._tls = tls.client_context().wrap_bio(
            self._incoming, self._outgoing, server_hostname="127.0.0.1"
        )
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        while not self._shaken():
            self._incoming.write(self.socket.recv(65536))
        headers = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Accept-Encoding: {accept_encoding}\r\nConnection: close\r\n\r\n"
        )
        self._tls.write(headers.encode())
        self._flush()

    def receive(self, enough: int | None = None) -> Received:
        """Read to the connection's end, or until ``enough`` bytes of the body have come."""
        data, ended = b"", "open"
        while ended == "open" and (enough is None or len(data.partition(b"\r\n\r\n")[2]) < enough):
            try:
                piece = self.socket.recv(65536)
            except ConnectionResetError:
                ended = "reset"
                break
            self._incoming.write(piece)
            data += self._decrypted()
            if not piece or self._farewell:
                ended = "farewell" if self._farewell else "eof"
        head, _, body = data.partition(b"\r\n\r\n")
        return Received(head, body, ended)

    def _decrypted(self) -> bytes:
        data = b""
        while True:
            try:
                piece = self._tls.read(1 << 20)
            except ssl.SSLWantReadError:
                return data
            if not piece:
                self._farewell = True
                return data
            data += piece

    def _shaken(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        finally:
            self._flush()
        return True

    def _flush(self) -> None:
        self.socket.sendall(self._outgoing.read())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
