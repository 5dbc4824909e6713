"""Answers that break on their way: compression, framing, connection, time."""

from __future__ import annotations

import itertools
import zlib
from functools import cache
from typing import TYPE_CHECKING

from contoso_sandbox.compression import GZIP_WINDOW, gzipped
from contoso_sandbox.faults.rules import Action

if TYPE_CHECKING:
    from collections.abc import Callable

    from contoso_sandbox.faults.hold import Hold
    from contoso_sandbox.faults.request import Answer
    from contoso_sandbox.faults.wire import Wire


_GZIP = {"content-encoding": "gzip", "vary": "accept-encoding"}
#: CRC and length at the end of a gzip stream (RFC 1952).
_TRAILER_BYTES = 8
_MEGABYTE = 1 << 20


def gzip_cut_short(cut_bytes: int = 64) -> Action:
    """Lose the end of the gzip stream; the length is that of what is sent.

    urllib3 hands the shortened text out without a word.
    """
    return _gzip_body(lambda stream: stream[:-cut_bytes], "gzip cut short")


def gzip_bad_crc() -> Action:
    """Claim another checksum than the content has."""

    def flipped(stream: bytes) -> bytes:
        crc = bytes(byte ^ 0xFF for byte in stream[-_TRAILER_BYTES:-4])
        return stream[:-_TRAILER_BYTES] + crc + stream[-4:]

    return _gzip_body(flipped, "gzip with a bad CRC")


def gzip_corrupt() -> Action:
    """Break the deflate stream in its middle, by a block of a type that does not exist."""

    async def deliver(answer: Answer, wire: Wire) -> None:
        stream = zlib.compressobj(wbits=GZIP_WINDOW)
        half = answer.body[: len(answer.body) // 2]
        # A full flush ends on a whole byte; what follows is read as the next block's head.
        sound = stream.compress(half) + stream.flush(zlib.Z_FULL_FLUSH)
        await _send(wire, answer, _GZIP, sound + b"\xff" * 64)

    return Action("corrupt gzip", deliver=deliver)


def gzip_only_claimed() -> Action:
    """Send plain text under ``Content-Encoding: gzip``."""

    async def deliver(answer: Answer, wire: Wire) -> None:
        await _send(wire, answer, _GZIP, answer.body)

    return Action("gzip only claimed", deliver=deliver)


def gzip_bomb(unpacked_megabytes: int = 200) -> Action:
    """Send a valid, empty page of about a thousandth of its unpacked size."""

    async def deliver(answer: Answer, wire: Wire) -> None:
        await _send(wire, answer, _GZIP, _bomb(unpacked_megabytes))

    return Action("gzip bomb", deliver=deliver)


def shorter_than_promised(missing_bytes: int = 100, *, by_reset: bool = False) -> Action:
    """Promise a ``Content-Length`` and close the connection before it is reached."""

    async def deliver(answer: Answer, wire: Wire) -> None:
        headers, body = wire.encoded(answer)
        length = {"content-length": str(len(body))}
        await wire.start(answer.status, {**headers, **length}, len(body), whole=False)
        await wire.body(body[: max(0, len(body) - missing_bytes)])
        await (wire.reset() if by_reset else wire.hang_up())

    return Action("reset in the body" if by_reset else "closed in the body", deliver=deliver)


def reset_in_the_body(missing_bytes: int = 100) -> Action:
    """Send a part of the promised body, then RST."""
    return shorter_than_promised(missing_bytes, by_reset=True)


def chunks_broken_off(missing_bytes: int = 100, *, by_reset: bool = False) -> Action:
    """Send the body in chunks and close the connection before the last one."""

    async def deliver(answer: Answer, wire: Wire) -> None:
        headers, body = wire.encoded(answer)
        await wire.start(answer.status, headers, len(body), whole=False)
        await wire.body(body[: max(1, len(body) - missing_bytes)])
        await (wire.reset() if by_reset else wire.hang_up())

    return Action("chunks broken off", deliver=deliver)


def chunked() -> Action:
    """Send the whole body in chunks, without a length."""

    async def deliver(answer: Answer, wire: Wire) -> None:
        headers, body = wire.encoded(answer)
        await wire.start(answer.status, headers, len(body))
        for start in range(0, len(body), 4096):
            await wire.body(body[start : start + 4096])
        await wire.end()

    return Action("chunked", deliver=deliver)


def reset_before_headers() -> Action:
    """RST instead of an answer; the real application has done its work."""

    async def deliver(_answer: Answer, wire: Wire) -> None:
        await wire.vanish(by_reset=True)

    return Action("reset before headers", deliver=deliver)


def closed_before_headers() -> Action:
    """FIN instead of an answer, as of a kept connection that the server gave up."""

    async def deliver(_answer: Answer, wire: Wire) -> None:
        await wire.vanish(by_reset=False)

    return Action("closed before headers", deliver=deliver)


def stalled_after_headers(hold: Hold, *, sent_bytes: int = 0) -> Action:
    """Send the headers and ``sent_bytes`` of the body, and the rest when ``hold`` is released."""

    async def deliver(answer: Answer, wire: Wire) -> None:
        headers, body = wire.encoded(answer)
        await wire.start(answer.status, {**headers, "content-length": str(len(body))}, len(body))
        await wire.body(body[:sent_bytes])
        if await wire.until(hold.passed()):
            await wire.body(body[sent_bytes:])
            await wire.end()

    return Action("stalled after headers", deliver=deliver)


def dripping(every_s: float = 2.0, piece_bytes: int = 1) -> Action:
    """Send ``piece_bytes`` every ``every_s`` seconds, by the layer's ``pause``."""

    async def deliver(answer: Answer, wire: Wire) -> None:
        headers, body = wire.encoded(answer)
        await wire.start(answer.status, {**headers, "content-length": str(len(body))}, len(body))

        async def pieces() -> None:
            for start in range(0, len(body), piece_bytes):
                await wire.body(body[start : start + piece_bytes])
                await wire.pause(every_s)
            await wire.end()

        await wire.until(pieces())

    return Action("dripping", deliver=deliver)


def dripping_headers(every_s: float = 2.0) -> Action:
    """Send the status line and one header after the other, byte by byte, and never a body."""

    async def deliver(answer: Answer, wire: Wire) -> None:
        wire.takes_over(answer.status)

        async def pieces() -> None:
            for number in itertools.count():
                line = f"x-filler-{number}: {'.' * 1000}\r\n" if number else "HTTP/1.1 200 OK\r\n"
                for byte in line.encode():
                    wire.raw(bytes([byte]))
                    await wire.pause(every_s)

        await wire.until(pieces())

    return Action("dripping headers", deliver=deliver)


def _gzip_body(change: Callable[[bytes], bytes], name: str) -> Action:
    async def deliver(answer: Answer, wire: Wire) -> None:
        stream = b"".join(gzipped([answer.body]))
        await _send(wire, answer, _GZIP, change(stream))

    return Action(name, deliver=deliver)


async def _send(wire: Wire, answer: Answer, headers: dict[str, str], body: bytes) -> None:
    framed = {**answer.headers, **headers, "content-length": str(len(body))}
    await wire.start(answer.status, framed, len(body), whole=False)
    await wire.body(body)
    await wire.end()


@cache
def _bomb(unpacked_megabytes: int) -> bytes:
    stream = zlib.compressobj(9, wbits=GZIP_WINDOW)
    pieces = [stream.compress(b'{"value":[')]
    blank = b" " * _MEGABYTE
    pieces += [stream.compress(blank) for _ in range(unpacked_megabytes)]
    pieces += [stream.compress(b"]}"), stream.flush()]
    return b"".join(pieces)
