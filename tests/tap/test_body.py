"""The body of an answer: whole, unpacked and within its limits, or not at all."""

from __future__ import annotations

import gzip
import socket
import threading
import tracemalloc
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from tap_d365fo.access.body import Body, BrokenBodyError, OversizeError, read_body

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LARGEST = 100_000
TEXT = b'{"value":[' + b"1," * 5000 + b"1]}"


def no_deadline() -> None:
    """Time never ends."""


def in_memory(body: bytes, encoding: str | None = None, largest: int = LARGEST) -> Body:
    headers = {"Content-Encoding": encoding} if encoding else {}
    raw = urllib3.HTTPResponse(body=BytesIO(body), headers=headers, preload_content=False)
    return read_body(raw, largest_bytes=largest, check_deadline=no_deadline)


@contextmanager
def served(head: Sequence[str], *pieces: bytes) -> Iterator[urllib3.BaseHTTPResponse]:
    """An answer from a socket, which is closed behind its last piece."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall("\r\n".join(["HTTP/1.1 200 OK", *head, "", ""]).encode())
            for piece in pieces:
                connection.sendall(piece)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    pool = urllib3.HTTPConnectionPool("127.0.0.1", listener.getsockname()[1], retries=False)
    try:
        answer = pool.urlopen("GET", "/", preload_content=False, decode_content=False)
        yield answer
        answer.close()
    finally:
        pool.close()
        thread.join(10)
        listener.close()


def received(head: Sequence[str], *pieces: bytes) -> Body:
    with served(head, *pieces) as raw:
        return read_body(raw, largest_bytes=LARGEST, check_deadline=no_deadline)


def chunked(*pieces: bytes, end: bytes = b"0\r\n\r\n") -> list[bytes]:
    return [f"{len(p):x}\r\n".encode() + p + b"\r\n" for p in pieces] + [end]


@pytest.mark.parametrize("encoding", [None, "identity", "Identity", ""])
def test_a_plain_body_comes_as_it_is(encoding: str | None) -> None:
    assert in_memory(TEXT, encoding) == TEXT


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip", " gzip "])
def test_a_packed_body_comes_unpacked(encoding: str) -> None:
    assert in_memory(gzip.compress(TEXT), encoding) == TEXT


def test_members_follow_each_other() -> None:
    members = [gzip.compress(TEXT[:n]) for n in (5, 0, 700)]
    assert in_memory(b"".join(members), "gzip") == TEXT[:5] + TEXT[:700]


@given(st.integers(1, 10_000))
def test_a_packed_body_that_is_cut_anywhere_is_broken(cut: int) -> None:
    packed = gzip.compress(TEXT)
    with pytest.raises(BrokenBodyError, match="cut short"):
        in_memory(packed[: -(1 + cut % (len(packed) - 1))], "gzip")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(gzip.compress(TEXT) + b"<html>", id="something behind it"),
        pytest.param(TEXT, id="only claimed"),
        pytest.param(gzip.compress(TEXT)[:-5] + b"\0\0\0\0\0", id="another check sum"),
    ],
)
def test_a_packed_body_that_is_none_is_broken(body: bytes) -> None:
    with pytest.raises(BrokenBodyError, match="does not unpack"):
        in_memory(body, "gzip")


@given(st.binary(max_size=300), st.integers(0, 400), st.integers(1, 3))
def test_garbage_is_broken_or_whole_but_never_half(text: bytes, position: int, flip: int) -> None:
    """A flipped bit is found by the check sum, if the format does not break on it before."""
    packed = bytearray(gzip.compress(text, mtime=0))
    if position < len(packed):
        packed[position] ^= flip
    try:
        body = in_memory(bytes(packed), "gzip")
    except BrokenBodyError:
        return
    assert body == text


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd"])
def test_what_was_not_asked_for_is_broken(encoding: str) -> None:
    with pytest.raises(BrokenBodyError, match="not asked for"):
        in_memory(TEXT, encoding)


def test_a_body_that_is_just_not_too_large_passes() -> None:
    text = b"x" * LARGEST
    assert in_memory(text) == text
    assert in_memory(gzip.compress(text), "gzip") == text


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        pytest.param(b"x" * (LARGEST + 1), None, id="plain"),
        pytest.param(gzip.compress(b"x" * (LARGEST + 1)), "gzip", id="packed"),
        pytest.param(gzip.compress(b"\0" * 300_000_000, 9), "gzip", id="a bomb"),
        pytest.param(gzip.compress(b"x" * 60_000) * 2, "gzip", id="in two members"),
    ],
)
def test_too_large_a_body_is_refused(body: bytes, encoding: str | None) -> None:
    with pytest.raises(OversizeError):
        in_memory(body, encoding)


def test_a_bomb_is_not_unpacked_beyond_the_limit() -> None:
    """No more than the limit and one step of unpacking is ever held."""
    bomb = gzip.compress(b"\0" * 200_000_000, 9)
    tracemalloc.start()
    try:
        with pytest.raises(OversizeError):
            in_memory(bomb, "gzip")
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 40_000_000


@pytest.mark.parametrize(
    ("head", "pieces"),
    [
        pytest.param([f"Content-Length: {len(TEXT)}"], [TEXT], id="with its length"),
        pytest.param(["Transfer-Encoding: chunked"], chunked(TEXT[:10], TEXT[10:]), id="chunked"),
        pytest.param(
            ["Transfer-Encoding: chunked", "Content-Encoding: gzip"],
            chunked(gzip.compress(TEXT)[:10], gzip.compress(TEXT)[10:]),
            id="chunked and packed",
        ),
    ],
)
def test_a_body_comes_whole_over_a_socket(head: list[str], pieces: list[bytes]) -> None:
    assert received(head, *pieces) == TEXT


@pytest.mark.parametrize(
    ("head", "pieces"),
    [
        pytest.param(["Content-Length: 100"], [b"{}"], id="shorter than promised"),
        pytest.param(
            ["Transfer-Encoding: chunked"], chunked(b"{}", end=b""), id="without the last chunk"
        ),
        pytest.param(["Transfer-Encoding: chunked"], [b"9\r\n{}"], id="within a chunk"),
        pytest.param(["Transfer-Encoding: chunked"], [b"zz\r\n{}\r\n"], id="a length that is none"),
    ],
)
def test_a_connection_that_breaks_is_told(head: list[str], pieces: list[bytes]) -> None:
    with pytest.raises(BrokenBodyError, match="connection broke"):
        received(head, *pieces)


def test_a_whole_answer_lets_its_connection_go_on() -> None:
    """Another page needs no other TLS handshake."""
    with served([f"Content-Length: {len(TEXT)}"], TEXT) as raw:
        assert isinstance(raw, urllib3.HTTPResponse)
        assert raw.connection is not None
        read_body(raw, largest_bytes=LARGEST, check_deadline=no_deadline)
        assert raw.connection is None, "given back to its pool"


class _LateError(Exception):
    pass


def test_a_dripping_answer_ends_with_the_deadline() -> None:
    """Each byte resets the timeout of a receive; the clock is looked at after each."""

    class Dripping(BytesIO):
        def read1(self, _size: int | None = -1, /) -> bytes:
            return super().read1(1)

    looks = 0

    def check_deadline() -> None:
        nonlocal looks
        looks += 1
        if looks == 50:
            raise _LateError

    raw = urllib3.HTTPResponse(body=Dripping(TEXT), preload_content=False)
    with pytest.raises(_LateError):
        read_body(raw, largest_bytes=LARGEST, check_deadline=check_deadline)
    assert looks == 50
