"""Large files in blocks: byte for byte, in order, within the limits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from contoso_sandbox.tableau.uploads import MAX_BLOCK_BYTES, MAX_BLOCKS, Uploads

if TYPE_CHECKING:
    from pathlib import Path

    import requests
    from tests.sandbox.tableau.conftest import Hypers, Rest, Running

UPLOADS = "/sites/{site}/fileUploads"
SESSION_ID = re.compile(r"[0-9]+:[0-9a-f]{32}-1:0")


def block(rest: Rest, session: str, content: bytes, query: str = "") -> requests.Response:
    return rest.multipart(
        "PUT",
        f"{UPLOADS}/{session}{query}",
        [
            ("request_payload", "", "text/xml", b""),
            ("tableau_file", "file", "application/octet-stream", content),
        ],
    )


def start_session(rest: Rest) -> str:
    answer = rest.call("POST", UPLOADS)
    assert answer.status_code == 201
    upload = answer.json()["fileUpload"]
    assert upload["fileSize"] == "0"
    assert SESSION_ID.fullmatch(upload["uploadSessionId"])
    return str(upload["uploadSessionId"])


def publish(rest: Rest, session: str, name: str) -> requests.Response:
    document = f'<tsRequest><datasource name="{name}"/></tsRequest>'.encode()
    return rest.multipart(
        "POST",
        f"/sites/{{site}}/datasources?datasourceType=hyper&uploadSessionId={session}",
        [("request_payload", "", "text/xml", document)],
    )


def test_the_size_so_far_is_told_in_megabytes(running: Running) -> None:
    rest = running.rest("application/json")
    session = start_session(rest)
    sizes = [block(rest, session, bytes(700_000)).json()["fileUpload"]["fileSize"] for _ in "1234"]
    assert sizes == ["0", "1", "2", "2"]


def test_blocks_sent_in_parallel_are_put_in_their_sequence(
    running: Running, hypers: Hypers
) -> None:
    rest = running.rest("application/json")
    file = hypers.table('"k" INT', "(1)").read_bytes()
    session = start_session(rest)
    pieces = [file[start : start + 20_000] for start in range(0, len(file), 20_000)]
    for number in reversed(range(len(pieces))):
        assert block(rest, session, pieces[number], f"?sequenceID={number + 1}").ok
    answer = publish(rest, session, "In sequence")
    assert answer.status_code == 201
    item = answer.json()["datasource"]["id"]
    assert rest.call("GET", f"/sites/{{site}}/datasources/{item}/content").content == file


def test_a_session_serves_one_publish_request(running: Running, hypers: Hypers) -> None:
    rest = running.rest("application/json")
    session = start_session(rest)
    block(rest, session, hypers.table('"k" INT', "(1)").read_bytes())
    assert publish(rest, session, "Once").status_code == 201
    assert rest.error(publish(rest, session, "Twice")) == "404015"


@pytest.mark.parametrize(
    "session",
    ["1:abc-1:0", "nonsense", "12345:0123456789abcdef0123456789abcdef-1:0", "..%2F..%2Fx"],
)
def test_an_unknown_session_is_404015(running: Running, session: str) -> None:
    rest = running.rest("application/json")
    answer = block(rest, session, b"x")
    assert rest.error(answer) in ("404015", "404003")
    assert rest.error(publish(rest, session, "Nothing")) == "404015"


def test_a_block_above_64_mb_is_refused_and_leaves_no_file(running: Running) -> None:
    rest = running.rest("application/json")
    session = start_session(rest)
    assert rest.error(block(rest, session, bytes(MAX_BLOCK_BYTES + 1))) == "413000"
    assert block(rest, session, b"abc").ok


def test_a_block_without_a_file_is_refused(running: Running) -> None:
    rest = running.rest("application/json")
    session = start_session(rest)
    parts = [("request_payload", "", "text/xml", b"")]
    assert rest.error(rest.multipart("PUT", f"{UPLOADS}/{session}", parts)) == "400020"
    answer = rest.call("PUT", f"{UPLOADS}/{session}", data=b"plain")
    assert rest.error(answer) == "400000"


def test_a_cut_body_is_refused(running: Running) -> None:
    rest = running.rest("application/json")
    session = start_session(rest)
    cut = b'--f\r\nContent-Disposition: name="tableau_file"; filename="file"\r\n\r\nhalf of it'
    answer = rest.call(
        "PUT",
        f"{UPLOADS}/{session}",
        data=cut,
        headers={"Content-Type": "multipart/mixed; boundary=f"},
    )
    assert rest.error(answer) == "400000"
    assert block(rest, session, b"").json()["fileUpload"]["fileSize"] == "0"


def test_a_file_has_at_most_a_thousand_blocks(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path / "uploads")
    session = str(uploads.start().attributes["uploadSessionId"])

    def add() -> None:
        piece = tmp_path / "piece"
        piece.write_bytes(b"x")
        uploads.add(session, piece, None)

    for _ in range(MAX_BLOCKS):
        add()
    with pytest.raises(Exception, match="at most 1000 blocks"):
        add()
    assert uploads.require(session) == MAX_BLOCKS


def test_sessions_survive_a_restart(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path / "uploads")
    session = str(uploads.start().attributes["uploadSessionId"])
    for content in (b"first, ", b"second"):
        piece = tmp_path / "piece"
        piece.write_bytes(content)
        uploads.add(session, piece, None)
    whole = tmp_path / "whole"
    Uploads(tmp_path / "uploads").take(session, whole)
    assert whole.read_bytes() == b"first, second"
    assert list((tmp_path / "uploads").iterdir()) == []
