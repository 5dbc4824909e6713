"""Broken compression, broken frames, broken connections: seen by a bare socket and by requests."""

from __future__ import annotations

import gzip
import json
import zlib
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
import requests
from tests.sandbox.d365.raw import RawClient

from contoso_sandbox.faults import (
    Fault,
    Hold,
    Page,
    chunked,
    chunks_broken_off,
    closed_before_headers,
    dripping,
    dropped_row,
    gzip_bad_crc,
    gzip_bomb,
    gzip_corrupt,
    gzip_cut_short,
    gzip_only_claimed,
    reset_before_headers,
    reset_in_the_body,
    shorter_than_promised,
    stalled_after_headers,
)

if TYPE_CHECKING:
    from tests.sandbox.d365.raw import Received
    from tests.sandbox.d365.site import Site

    from contoso_sandbox.faults import Action
    from contoso_sandbox.tls import Tls

TABLE = "GeneralJournalAccountEntryBiEntities"
ENTRIES = f"/data/{TABLE}"


def port_of(site: Site) -> int:
    return int(site.url.rpartition(":")[2])


def struck(site: Site, tls: Tls, action: Action, accept_encoding: str = "identity") -> Received:
    site.d365.faults.add(Fault(action, on=TABLE, nth=1))
    with RawClient(tls, port_of(site), ENTRIES, accept_encoding) as client:
        return client.receive()


def real_body(site: Site) -> bytes:
    return site.request("GET", ENTRIES, {"Accept-Encoding": "identity"}).sent_bytes


@pytest.mark.parametrize(
    ("action", "ended"),
    [
        pytest.param(reset_before_headers(), "reset", id="RST"),
        pytest.param(closed_before_headers(), "eof", id="FIN"),
    ],
)
def test_a_connection_breaks_before_the_headers(
    faulty: Site, tls: Tls, action: Action, ended: str
) -> None:
    answered = struck(faulty, tls, action)
    assert (answered.head, answered.body, answered.ended) == (b"", b"", ended)


@pytest.mark.parametrize(
    ("action", "ended"),
    [
        pytest.param(reset_in_the_body(200), "reset", id="RST"),
        pytest.param(shorter_than_promised(200), "eof", id="FIN"),
    ],
)
def test_a_connection_breaks_in_a_body_of_known_length(
    faulty: Site, tls: Tls, action: Action, ended: str
) -> None:
    answered = struck(faulty, tls, action)
    real = real_body(faulty)
    assert answered.body == real[:-200]
    assert int(answered.headers["content-length"]) == len(real)
    assert answered.ended == ended


@pytest.mark.parametrize("by_reset", [True, False], ids=["RST", "FIN"])
def test_a_connection_breaks_between_chunks(faulty: Site, tls: Tls, by_reset: bool) -> None:  # noqa: FBT001 - a case
    answered = struck(faulty, tls, chunks_broken_off(200, by_reset=by_reset))
    assert answered.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in answered.headers
    size, _, rest = answered.body.partition(b"\r\n")
    real = real_body(faulty)
    assert int(size, 16) == len(real) - 200
    assert rest == real[:-200] + b"\r\n"  # and no last chunk of size 0
    assert answered.ended == ("reset" if by_reset else "eof")


@pytest.mark.parametrize(
    "action",
    [
        pytest.param(reset_in_the_body(), id="reset"),
        pytest.param(shorter_than_promised(), id="closed"),
        pytest.param(chunks_broken_off(), id="chunks"),
    ],
)
def test_requests_sees_a_broken_body_and_then_a_whole_one(faulty: Site, action: Action) -> None:
    faulty.d365.faults.add(Fault(action, on=TABLE, nth=1))
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
        faulty.get(ENTRIES)
    assert len(faulty.get(ENTRIES).rows) == 10
    logged = [(r.status, r.rows) for r in faulty.d365.requests]
    assert logged == [(200, 0), (200, 10)]


def test_a_body_in_chunks_is_whole(faulty: Site) -> None:
    faulty.d365.faults.add(Fault(chunked(), on=TABLE))
    answered = faulty.get(ENTRIES)
    assert answered.headers["transfer-encoding"] == "chunked"
    assert len(answered.rows) == 10


def test_a_large_body_is_cut_where_it_is_said(own_site: Site, tls: Tls) -> None:
    """More than any buffer on the way holds: nothing of what was promised may be lost."""
    with own_site.database.cursor() as cursor:
        cursor.execute(f"UPDATE {TABLE} SET \"Text\" = repeat('x', 1000000)")  # noqa: S608
    real = real_body(own_site)
    assert len(real) > 10_000_000
    for action in (reset_in_the_body(7), shorter_than_promised(7)):
        own_site.d365.faults.clear()
        body = struck(own_site, tls, action).body
        assert len(body) == len(real) - 7
        assert sha256(body).digest() == sha256(real[:-7]).digest()  # no diff of ten megabytes


def gunzip(stream: bytes) -> bytes:
    return gzip.decompress(stream)


def test_a_cut_gzip_stream_has_the_length_of_what_is_sent(faulty: Site, tls: Tls) -> None:
    answered = struck(faulty, tls, gzip_cut_short(20), "gzip")
    assert len(answered.body) == int(answered.headers["content-length"])
    with pytest.raises(EOFError):
        gunzip(answered.body)
    partial = zlib.decompressobj(wbits=31).decompress(answered.body)
    assert real_body(faulty).startswith(partial)


def test_a_cut_gzip_stream_is_silent_in_requests(faulty: Site) -> None:
    faulty.d365.faults.add(Fault(gzip_cut_short(20), on=TABLE, nth=1))
    answered = faulty.get(ENTRIES)
    assert answered.status == 200
    assert len(answered.sent_bytes) < len(real_body(faulty))


@pytest.mark.parametrize(
    ("action", "error"),
    [
        pytest.param(gzip_bad_crc(), "CRC check failed", id="bad CRC"),
        pytest.param(gzip_corrupt(), "Error -3 while decompressing", id="corrupt deflate"),
        pytest.param(gzip_only_claimed(), "Not a gzipped file", id="plain text"),
    ],
)
def test_a_gzip_stream_is_no_gzip_stream(
    faulty: Site, tls: Tls, action: Action, error: str
) -> None:
    answered = struck(faulty, tls, action, "gzip")
    assert answered.headers["content-encoding"] == "gzip"
    with pytest.raises((OSError, zlib.error), match=error):
        gunzip(answered.body)


def test_a_plain_body_under_a_gzip_header_is_the_real_one(faulty: Site, tls: Tls) -> None:
    answered = struck(faulty, tls, gzip_only_claimed(), "gzip")
    assert answered.body == real_body(faulty)


def test_a_bomb_is_small_on_the_wire_and_a_valid_page(faulty: Site, tls: Tls) -> None:
    answered = struck(faulty, tls, gzip_bomb(200), "gzip")
    assert len(answered.body) < 250_000
    unpacked, stream = 0, zlib.decompressobj(wbits=31)
    piece = stream.decompress(answered.body, 1 << 20)
    start = piece[:10]
    while piece:
        unpacked += len(piece)
        end = piece[-2:]
        piece = stream.decompress(stream.unconsumed_tail, 1 << 20)
    assert unpacked > 200_000_000
    assert (start, end) == (b'{"value":[', b"]}")
    assert stream.eof


def test_an_answer_stalls_after_its_headers_until_released(faulty: Site, tls: Tls) -> None:
    hold = Hold()
    faulty.d365.faults.add(Fault(stalled_after_headers(hold, sent_bytes=5), on=TABLE))
    with RawClient(tls, port_of(faulty), ENTRIES) as client:
        hold.wait_until_reached()
        begun = client.receive(enough=5)
        assert len(begun.body) == 5
        client.socket.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.receive()
        client.socket.settimeout(30)
        hold.release()
        rest = client.receive()
    assert begun.body + rest.head == real_body(faulty)


def test_a_client_that_leaves_a_stalled_answer_frees_the_server(faulty: Site, tls: Tls) -> None:
    hold = Hold()
    faulty.d365.faults.add(Fault(stalled_after_headers(hold), on=TABLE, nth=1))
    with RawClient(tls, port_of(faulty), ENTRIES):
        hold.wait_until_reached()
    assert len(faulty.get(ENTRIES).rows) == 10


def test_bytes_drip_by_the_layers_own_pause(own_site: Site, tls: Tls) -> None:
    waited: list[float] = []

    async def pause(seconds: float) -> None:
        waited.append(seconds)

    own_site.d365.faults.pause = pause
    answered = struck(own_site, tls, dripping(2, piece_bytes=100))
    real = real_body(own_site)
    assert answered.body == real
    assert waited == [2] * (len(real) // 100 + (len(real) % 100 > 0))


def test_a_broken_page_can_be_any_page_of_the_walk_and_changed_as_well(faulty: Site) -> None:
    faulty.d365.faults.add(
        Fault(dropped_row(), on=TABLE),
        Fault(chunked(), on=TABLE, page=Page.LAST),
    )
    pages = faulty.walk(ENTRIES)
    assert [len(page.rows) for page in pages] == [9, 9, 4]
    framings = [page.headers.get("transfer-encoding") for page in pages]
    assert framings == [None, None, "chunked"]


def test_a_body_that_is_only_compressed_is_the_same(faulty: Site) -> None:
    """The layer compresses anew what it has rewritten, as the environment does."""
    plain = json.loads(real_body(faulty))
    faulty.d365.faults.add(Fault(dropped_row(), on=TABLE))
    answered = faulty.request("GET", ENTRIES, {"Accept-Encoding": "gzip"})
    assert answered.headers["content-encoding"] == "gzip"
    assert json.loads(answered.text)["value"] == plain["value"][:-1]
