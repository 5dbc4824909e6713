"""Read the body of an answer: whole, unpacked, within its limits; or not at all.

``requests`` lets a gzip body that was cut short pass as whole, unpacks without limit, and counts
its timeout from receive to receive. Here the end mark of the compression must have come, the
unpacked length is capped while unpacking, and the deadline is looked at after every receive.
"""

from __future__ import annotations

import zlib
from collections import deque
from typing import TYPE_CHECKING, TypeAlias

import urllib3

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: An unpacked body. A page of the widest entity is 90 MB, and is not copied once more.
Body: TypeAlias = bytes | bytearray

_RECEIVE_BYTES = 256 * 1024

#: What is unpacked before the next look at the limits.
_UNPACK_BYTES = 8 * 1024 * 1024

#: gzip packs a page of F&O to a tenth or a thirtieth; a bomb is a thousand times as large unpacked.
_LARGEST_RATIO = 250

#: So much may come out of any body, however well it is packed.
_HARMLESS_BYTES = 32 * 1024 * 1024

#: What zlib calls "gzip header and trailer".
_GZIP_WINDOW = 31


class BrokenBodyError(Exception):
    """The body did not come whole; the text says how, without any of it."""


class OversizeError(Exception):
    """The body unpacks to more than is allowed."""


def read_body(
    raw: urllib3.BaseHTTPResponse, *, largest_bytes: int, check_deadline: Callable[[], None]
) -> Body:
    """The unpacked body; see :func:`unpacked`."""
    return collect(raw, largest_bytes=largest_bytes, check_deadline=check_deadline).unpack()


class Packed:
    """A whole body as it came, for those who unpack it later."""

    def __init__(self, raw: urllib3.BaseHTTPResponse, largest_bytes: int) -> None:
        """Look at how it is packed.

        Raises:
            BrokenBodyError: not as was asked for.
        """
        self._unpacker = _unpacker(raw)
        self._largest_bytes = largest_bytes
        self._length = 0
        self._received: deque[bytes] = deque()

    def __len__(self) -> int:
        """Bytes that came."""
        return self._length

    def add(self, piece: bytes) -> None:
        """Take what came.

        Raises:
            OversizeError: it is longer than what it may unpack to.
        """
        self._received.append(piece)
        self._length += len(piece)
        if self._length > self._largest_bytes:
            raise OversizeError

    def unpack(self) -> Body:
        """What was sent; can be had once.

        Raises:
            BrokenBodyError: the compression broke.
            OversizeError: it is too long.
        """
        body = bytearray()
        while self._received:
            piece = self._received.popleft()
            if self._unpacker is not None:
                piece = self._unpacker.feed(piece, self._largest_bytes - len(body))
            body += piece
        if self._unpacker is not None:
            self._unpacker.check_end()
        return body


def collect(
    raw: urllib3.BaseHTTPResponse, *, largest_bytes: int, check_deadline: Callable[[], None]
) -> Packed:
    """The whole body, still packed.

    Raises:
        BrokenBodyError: the connection broke.
        OversizeError: more than ``largest_bytes``.
    """
    packed = Packed(raw, largest_bytes)
    while received := _receive(raw):
        check_deadline()
        packed.add(received)
    return packed


def unpacked(
    raw: urllib3.BaseHTTPResponse, *, largest_bytes: int, check_deadline: Callable[[], None]
) -> Iterator[bytes]:
    """The unpacked body in pieces; it was whole when the last one has been given.

    Args:
        raw: Answer whose headers have come.
        largest_bytes: Limit of the unpacked length.
        check_deadline: Called after every receive; raises when time is up.

    Raises:
        BrokenBodyError: the connection or the compression broke.
        OversizeError: more than ``largest_bytes``.
    """
    unpacker = _unpacker(raw)
    length = 0
    while received := _receive(raw):
        check_deadline()
        room = largest_bytes - length
        piece = received if unpacker is None else unpacker.feed(received, room)
        length += len(piece)
        if length > largest_bytes:
            raise OversizeError
        yield piece
    if unpacker is not None:
        unpacker.check_end()


def _unpacker(raw: urllib3.BaseHTTPResponse) -> _Gunzip | None:
    """What unpacks the body; None where it is not packed."""
    encoding = raw.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"gzip", "x-gzip", "identity", ""}:
        reason = f"a body in the encoding {encoding[:20]!r}, which was not asked for"
        raise BrokenBodyError(reason)
    return _Gunzip() if "gzip" in encoding else None


def _receive(raw: urllib3.BaseHTTPResponse) -> bytes:
    try:
        return raw.read1(_RECEIVE_BYTES, decode_content=False) or b""
    except urllib3.exceptions.ReadTimeoutError as error:
        reason = "silence on the line"
        raise BrokenBodyError(reason) from error
    except urllib3.exceptions.HTTPError as error:
        reason = "the connection broke within the answer"
        raise BrokenBodyError(reason) from error


class _Gunzip:
    """Unpacks members of gzip data, never far beyond a limit."""

    def __init__(self) -> None:
        self._packed_bytes = 0
        self._unpacked_bytes = 0
        self._stream = zlib.decompressobj(_GZIP_WINDOW)
        self._begun = False

    def feed(self, packed: bytes, room: int) -> bytes:
        """What ``packed`` unpacks to.

        Raises:
            OversizeError: more than ``room`` bytes, or more than anything honest unpacks to.
        """
        self._packed_bytes += len(packed)
        pieces: list[bytes] = []
        try:
            while packed:
                if self._stream.eof:  # RFC 1952 lets members follow each other
                    self._stream = zlib.decompressobj(_GZIP_WINDOW)
                self._begun = True
                pieces.append(self._stream.decompress(packed, _UNPACK_BYTES))
                room -= len(pieces[-1])
                self._unpacked_bytes += len(pieces[-1])
                honest = max(_HARMLESS_BYTES, _LARGEST_RATIO * self._packed_bytes)
                if room < 0 or self._unpacked_bytes > honest:
                    raise OversizeError
                packed = self._stream.unconsumed_tail or self._stream.unused_data
        except zlib.error as error:
            reason = "a compressed body that does not unpack"
            raise BrokenBodyError(reason) from error
        return b"".join(pieces)

    def check_end(self) -> None:
        """Refuse a body that ended before its own end mark."""
        if self._begun and not self._stream.eof:
            reason = "a compressed body that was cut short"
            raise BrokenBodyError(reason)
