"""``POST /data/$batch``."""

from __future__ import annotations

import json
from email.parser import BytesParser
from email.policy import HTTP
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.sandbox.d365.site import Answer, Site

BOUNDARY = "batch_36522ad7-fc75-4b56-8c71-56071383e77b"


def post(site: Site, *lines: str, boundary: str = BOUNDARY) -> Answer:
    parts = [
        f"--{BOUNDARY}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary"
        f"\r\n\r\n{line}\r\nAccept: application/json\r\n\r\n\r\n"
        for line in lines
    ]
    body = "".join([*parts, f"--{BOUNDARY}--\r\n"]).encode()
    headers = {"Content-Type": f"multipart/mixed; boundary={boundary}"}
    return site.request("POST", "/data/$batch", headers, body)


def inner(answer: Answer) -> list[tuple[int, Any]]:
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + answer.sent_bytes)
    found = []
    for part in message.iter_parts():
        status_line, _, rest = str(part.get_payload()).partition("\r\n")
        found.append((int(status_line.split()[1]), json.loads(rest.partition("\r\n\r\n")[2])))
    return found


def test_each_part_is_answered_in_turn_even_a_failing_one(site: Site) -> None:
    answer = post(
        site,
        "GET VendorGroups?$select=Description HTTP/1.1",
        "GET /data/VendorGroups?$filter=Nmae%20eq%201 HTTP/1.1",
        f"GET {site.url}/data/VendorsV2(dataAreaId='usmf',VendorAccountNumber='%20RFI-1') HTTP/1.1",
        "DELETE VendorGroups HTTP/1.1",
    )
    assert answer.status == 200
    (s1, groups), (s2, refused), (s3, vendor), (s4, _) = inner(answer)
    assert (s1, s2, s3, s4) == (200, 400, 200, 405)
    assert [row["Description"] for row in groups["value"]] == ["Other vendors", "Parts"]
    assert "Nmae" in refused["error"]["message"]
    assert vendor["CreditLimit"] == -0.05


@pytest.mark.parametrize(
    ("line", "boundary"),
    [
        pytest.param("GET VendorGroups HTTP/1.1", "another", id="boundary does not match"),
        pytest.param("nonsense", BOUNDARY, id="no request line"),
        pytest.param("POST $batch HTTP/1.1", BOUNDARY, id="a batch in a batch"),
    ],
)
def test_a_bad_batch_is_refused(site: Site, line: str, boundary: str) -> None:
    assert post(site, line, boundary=boundary).status == 400


def test_more_than_five_thousand_operations_are_refused(site: Site) -> None:
    answer = post(site, *["GET VendorGroups HTTP/1.1"] * 5001)
    assert answer.status == 400
    assert "5000" in answer.reason


def test_the_log_counts_the_rows_of_all_parts(own_site: Site) -> None:
    post(own_site, "GET VendorGroups HTTP/1.1", "GET VendorsV2?$top=1 HTTP/1.1")
    assert [request.rows for request in own_site.d365.requests] == [3]
