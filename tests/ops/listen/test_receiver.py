"""The receiver on a real socket: who is heard, what is kept, what is refused (R01, R02, R03)."""

from __future__ import annotations

import json
import os
import random
import resource
import statistics
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import requests
from tests.ops import shelf
from tests.ops.listen.conftest import finance
from tests.ops.listen.listening import (
    COMMAND,
    D365_SECRET,
    GRID_SECRET,
    TABLEAU_FORMER,
    TABLEAU_SECRET,
    Listener,
    refresh_event,
    until,
    vendor_invoice,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SEED = 20261124
_SITE, _SOURCE = "9a8b7c6d-0000-4000-8000-000000000001", "9a8b7c6d-0000-4000-8000-000000000002"


@pytest.fixture
def listener(new_listener: Callable[..., Listener]) -> Listener:
    return new_listener().start()


STATUS_SECRET = "canary-status-" + "s" * 40


def test_the_status_page_is_shown_to_who_knows_its_address(
    new_listener: Callable[..., Listener], tmp_path: Path
) -> None:
    output = tmp_path / "extracts"
    output.mkdir()
    shelf.put(output, "VendorsV2")
    listener = new_listener(
        status={"url_secrets": [STATUS_SECRET], "output_dir": str(output)}
    ).start()
    address = f"{listener.url}/status/{STATUS_SECRET}"
    answer = requests.get(address, timeout=10)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.headers["content-type"].startswith("text/html")
    assert "VendorsV2" in answer.text
    assert STATUS_SECRET not in answer.text
    assert requests.post(address, json={}, timeout=10).status_code == 405
    wrong = requests.get(f"{listener.url}/status/{D365_SECRET}", timeout=10)
    unknown = requests.get(f"{listener.url}/nothing", timeout=10)
    assert (
        (wrong.status_code, wrong.content) == (unknown.status_code, unknown.content) == (404, b"")
    )
    assert (
        requests.post(f"{listener.url}/tableau/{STATUS_SECRET}", json={}, timeout=10).status_code
        == 404
    )
    assert STATUS_SECRET not in listener.log
    assert listener.inbox("SELECT * FROM event") == []


def test_a_status_that_cannot_be_told_says_why(new_listener: Callable[..., Listener]) -> None:
    listener = new_listener(status={"url_secrets": [STATUS_SECRET], "output_dir": "none"}).start()
    answer = requests.get(f"{listener.url}/status/{STATUS_SECRET}", timeout=10)
    assert (answer.status_code, "is no directory" in answer.text) == (503, True)


def test_without_the_setting_there_is_no_page(listener: Listener) -> None:
    assert requests.get(f"{listener.url}/status/x", timeout=10).status_code == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param(f"/tableau/{TABLEAU_SECRET}", 204, id="current secret"),
        pytest.param(f"/tableau/{TABLEAU_FORMER}", 204, id="former secret, while both are set"),
        pytest.param(f"/d365/{D365_SECRET}", 204, id="another sender's"),
        pytest.param(f"/tableau/{D365_SECRET}", 404, id="D365's secret does not speak for Tableau"),
        pytest.param(f"/tableau/{TABLEAU_SECRET[:-1]}", 404, id="cut short"),
        pytest.param(f"/tableau/{TABLEAU_SECRET}0", 404, id="too long"),
        pytest.param(f"/tableau/{TABLEAU_SECRET}/", 404, id="another path below"),
        pytest.param(f"/tableau/{TABLEAU_SECRET.lower()}", 404, id="another case"),
        pytest.param("/tableau/", 404, id="none"),
        pytest.param("/tableau", 404, id="the sender alone"),
        pytest.param("/", 404, id="root"),
        pytest.param("/%ff%00/../tableau/x", 404, id="no text"),
        pytest.param(f"/{TABLEAU_SECRET}", 404, id="without its sender"),
    ],
)
def test_r02_the_secret_in_the_path_decides(shared: Listener, path: str, status: int) -> None:
    before = shared.inbox("SELECT coalesce(sum(copies), 0) FROM event")[0][0]
    answer = shared.post(path, vendor_invoice("e-1"))
    assert (answer.status_code, answer.content) == (status, b"")
    after = shared.inbox("SELECT coalesce(sum(copies), 0) FROM event")[0][0]
    assert after - before == (1 if status == 204 else 0)


def test_r02_a_forgery_is_answered_like_any_unknown_address(listener: Listener) -> None:
    """Same status, headers, body; and times that cannot be told apart."""
    nearly = f"/tableau/{TABLEAU_SECRET[:-1]}X"
    paths = {"forged": nearly, "unknown": "/wp-admin/" + "x" * (len(nearly) - 10)}
    times: dict[str, list[float]] = {name: [] for name in paths}
    seen = set()
    body = json.dumps(vendor_invoice("e-1")).encode()
    for _ in range(150):
        for name, path in paths.items():
            request = (
                f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            ).encode()
            began = time.perf_counter()
            with listener.raw(request + body) as connection:
                answer = b""
                while chunk := connection.recv(65536):
                    answer += chunk
            times[name].append(time.perf_counter() - began)
            head = answer.split(b"\r\n\r\n")[0]
            lines = [line for line in head.split(b"\r\n") if not line.startswith(b"date")]
            seen.add((tuple(lines), answer.partition(b"\r\n\r\n")[2]))
    assert len(seen) == 1
    forged, unknown = (statistics.median(times[name]) for name in paths)
    # A string comparison that ends early differs by nanoseconds; what this would notice is a body
    # that is read, a table that is asked, or an answer that is made in another way.
    assert abs(forged - unknown) < 0.25 * unknown, (forged, unknown)


def test_r02_an_empty_test_is_answered_2xx_and_is_no_event(listener: Listener) -> None:
    for body in (b"", b"{}"):
        assert listener.post(f"/tableau/{TABLEAU_SECRET}", body).status_code == 204
    until(lambda: listener.states() == ["done", "done"], "tests settled")
    assert listener.inbox("SELECT DISTINCT kind, note FROM event") == [
        ("test", "a test: nothing to do")
    ]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_r02_other_methods_are_refused_at_the_right_address_and_unknown_elsewhere(
    shared: Listener, method: str
) -> None:
    assert shared.post(f"/tableau/{TABLEAU_SECRET}", method=method).status_code == 405
    assert shared.post("/tableau/none", method=method).status_code == 404


@pytest.mark.parametrize("framing", ["content-length", "chunked"])
def test_r02_a_body_of_ten_megabytes_is_413_and_takes_no_memory(
    listener: Listener, framing: str
) -> None:
    assert listener.process is not None
    process = psutil.Process(listener.process.pid)
    listener.post(f"/d365/{D365_SECRET}", b"x" * 70_000)
    before = process.memory_info().rss
    for _ in range(5):
        body: Any = b"x" * 10_000_000
        if framing == "chunked":
            body = iter([b"x" * 100_000] * 100)
        with requests.Session() as session:
            session.trust_env = False
            answer = session.post(listener.url + f"/d365/{D365_SECRET}", data=body, timeout=30)
        assert answer.status_code == 413
    assert process.memory_info().rss - before < 8_000_000
    assert listener.states() == []


def test_r02_a_slow_body_is_408_and_slow_headers_are_hung_up_on(listener: Listener) -> None:
    head = f"POST /d365/{D365_SECRET} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".encode()
    began = time.monotonic()
    with listener.raw(head + b"{") as connection:
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 408")
    assert 0.9 < time.monotonic() - began < 5
    with listener.raw(b"POST /d365/") as connection:
        connection.settimeout(30)
        assert connection.recv(65536) in (b"", b"HTTP/1.1 400 Bad Request\r\n")
    assert time.monotonic() - began < 25
    assert listener.states() == []


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"<html>hello</html>", id="HTML"),
        pytest.param(b'{"BusinessEventId": ', id="cut short"),
        pytest.param(b'"text"', id="JSON of another kind"),
        pytest.param(b"[]", id="an empty array"),
        pytest.param(b"[" * 60_000, id="nested deeply"),
        pytest.param(b"\xff\xfe\x00{}", id="no UTF-8"),
        pytest.param(b'{"a": ' + b"9" * 10_000 + b"}", id="a huge number"),
        pytest.param(b"\x00", id="a NUL"),
        pytest.param(b'{"BusinessEventId": 7}', id="fields of other types"),
    ],
)
@pytest.mark.parametrize(
    "path", [f"/tableau/{TABLEAU_SECRET}", f"/d365/{D365_SECRET}", f"/event-grid/{GRID_SECRET}"]
)
def test_r02_what_is_no_event_is_kept_as_it_is(shared: Listener, path: str, body: bytes) -> None:
    """A refusal would disable Tableau's webhook and make Event Grid drop what it has."""
    assert shared.post(path, body).status_code == 204
    ((seq, kind, kept),) = shared.inbox("SELECT max(seq), kind, body FROM event")
    assert (kind, kept) == ("unreadable", body)

    def settled() -> bool:
        return shared.inbox("SELECT state FROM event WHERE seq = ?", seq) == [("set aside",)]

    until(settled, "set aside")


def test_r02_a_body_can_be_looked_at(shared: Listener) -> None:
    body = b"<p>caf\xe9</p>"
    assert shared.post(f"/d365/{D365_SECRET}", body).status_code == 204
    ((seq,),) = shared.inbox("SELECT max(seq) FROM event")
    command = [str(COMMAND), "listen", "events"]
    shown = subprocess.run(
        [*command, "--body", str(seq)], cwd=shared.folder, capture_output=True, check=True
    )
    assert shown.stdout == body + b"\n"
    listed = subprocess.run(
        [*command, "--format", "json", "--last", "1"],
        cwd=shared.folder,
        capture_output=True,
        check=True,
    )
    told = json.loads(listed.stdout)
    assert (told["seq"], told["sender"], told["kind"]) == (seq, "d365", "unreadable")


def test_r02_a_thousand_at_once_are_all_kept(new_listener: Callable[..., Listener]) -> None:
    """A thousand open connections, each with half a body; then the other halves."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(4096, hard)), hard))
    listener = new_listener(body_timeout=60).start()
    assert listener.process is not None
    process = psutil.Process(listener.process.pid)
    listener.tell_d365(vendor_invoice("before"))
    before = process.memory_info().rss
    bodies = [json.dumps(vendor_invoice(f"e-{n}", Text="x" * 500)).encode() for n in range(1000)]
    connections = [
        listener.raw(
            f"POST /d365/{D365_SECRET} HTTP/1.1\r\nHost: x\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body[:300]
        )
        for body in bodies
    ]
    assert listener.states() in (["new"], ["ignored"])
    for connection, body in zip(connections, bodies, strict=True):
        connection.sendall(body[300:])
    for connection in connections:
        assert connection.recv(65536).startswith(b"HTTP/1.1 204")
        connection.close()
    assert listener.inbox("SELECT count(*) FROM event") == [(1001,)]
    assert process.memory_info().rss - before < 60_000_000


def test_r02_the_log_tells_of_requests_without_their_paths(listener: Listener) -> None:
    listener.post(f"/tableau/{TABLEAU_SECRET}", b"")
    listener.post(f"/tableau/{TABLEAU_SECRET[:-1]}X?code={GRID_SECRET}", b"")
    listener.raw(b"POST /tableau/" + TABLEAU_SECRET.encode() + b" HTTP/9\r\n\r\n", close=True)
    until(lambda: "sender=tableau status=204" in listener.log, "the request's line")
    until(lambda: "requests to unknown addresses count=1" in listener.log, "the stranger's line")
    assert TABLEAU_SECRET[:-1] not in listener.log
    assert "/tableau/" not in listener.log


@pytest.mark.parametrize("spelling", ["sample", "developer page", "extracts"])
def test_r02_tableaus_spellings_are_one_event(listener: Listener, spelling: str) -> None:
    sample = refresh_event("DatasourceRefreshFailed", site=_SITE, datasource=_SOURCE)
    event = sample
    if spelling == "developer page":
        event = {
            "resource": "DATASOURCE",
            "event-type": sample["event_type"],
            "resource-name": sample["resource_name"],
            "site-id": sample["site_luid"],
            "resource-id": sample["resource_luid"],
            "createdAt": sample["created_at"],
        }
    elif spelling == "extracts":
        event = {**sample, "resource": "EXTRACTS", "something": "new"}
    for body in (sample, event):
        assert listener.post(f"/tableau/{TABLEAU_SECRET}", body).status_code == 204
    assert listener.inbox("SELECT kind, copies FROM event") == [("DatasourceRefreshFailed", 2)]


@pytest.mark.parametrize("times", [5])
def test_r03_repetitions_and_late_events_make_one_run(
    new_listener: Callable[..., Listener], times: int
) -> None:
    """Five times by two ways, braces and case apart, and once more 30 hours late."""
    listener = new_listener(pipelines=[finance()])
    listener.use_stand_in()
    listener.start()
    event_id = "55A81094-A14E-46A6-A12C-07ED5C5990C6"
    late = [
        {
            "id": event_id,
            "eventType": "VendorInvoiceJournalPostedBusinessEvent",
            "subject": "x",
            "eventTime": "2026-11-23T00:00:00Z",
            "data": vendor_invoice("{" + event_id.lower() + "}"),
            "dataVersion": "",
        }
    ]
    for _ in range(times):
        listener.tell_d365(vendor_invoice(event_id))
        assert listener.post(f"/event-grid/{GRID_SECRET}", late).status_code == 204
    until(lambda: listener.states() == ["done"], "one run")
    assert listener.post(f"/event-grid/{GRID_SECRET}", late).status_code == 204
    assert listener.inbox("SELECT copies, sender FROM event") == [(2 * times + 1, "d365")]
    time.sleep(0.6)
    assert len(listener.begun()) == 1
    (intent,) = listener.ledger("listen.run.intent")
    assert intent.body["events"] == [f"d365:{event_id.lower()}"]


def test_r03_event_grid_is_answered_when_it_asks(listener: Listener) -> None:
    path = f"/event-grid/{GRID_SECRET}"
    ask = [
        {
            "id": "2d1781af-3a4c-4d7c-bd0c-e34b19da4e66",
            "topic": "/subscriptions/xxx",
            "subject": "",
            "data": {
                "validationCode": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6",
                "validationUrl": "https://rp-eastus2.eventgrid.azure.net:553/validate?id=x",
            },
            "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
            "eventTime": "2026-01-25T22:12:19.4556811Z",
            "metadataVersion": "1",
            "dataVersion": "1",
        }
    ]
    answer = listener.post(path, ask)
    assert answer.status_code == 200
    assert answer.json() == {"validationResponse": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"}
    hello = {"WebHook-Request-Origin": "eventgrid.azure.net", "WebHook-Request-Rate": "120"}
    answer = listener.post(path, method="OPTIONS", headers=hello)
    assert answer.status_code == 200
    assert answer.headers["WebHook-Allowed-Origin"] == "eventgrid.azure.net"
    assert answer.headers["WebHook-Allowed-Rate"] == "120"
    assert listener.post("/event-grid/none", method="OPTIONS", headers=hello).status_code == 404
    assert listener.post("/event-grid/none", ask).status_code == 404
    assert listener.states() == []


def test_r03_a_batch_is_kept_event_by_event_as_it_was_written(listener: Listener) -> None:
    first = '{"id": "1", "eventType": "A", "data": {"EventId": "e1", "Amount": 90055.60}}'
    second = '{"id":"2","eventType":"B","data":{}}'
    body = f"[ {first} ,\n{second}]".encode()
    assert listener.post(f"/event-grid/{GRID_SECRET}", body).status_code == 204
    assert listener.inbox("SELECT dedupe, kind, body FROM event ORDER BY seq") == [
        ("d365:e1", "A", first.encode()),
        ("d365:2", "B", second.encode()),
    ]


def test_r03_the_power_platforms_envelope_is_understood(listener: Listener) -> None:
    context = {
        "MessageName": "mserp_VendorInvoiceJournalPostedBusinessEvent",
        "InputParameters": [
            {"key": "mserp_EventId", "value": "{E-7}"},
            {"key": "mserp_LegalEntity", "value": "USMF"},
        ],
    }
    listener.tell_d365(context)
    assert listener.inbox("SELECT dedupe, kind FROM event") == [
        ("d365:e-7", "VendorInvoiceJournalPostedBusinessEvent")
    ]


def test_r01_nothing_acknowledged_is_lost_by_kill_9(new_listener: Callable[..., Listener]) -> None:
    """25 kills at random moments: between accept and commit, between commit and answer, anywhere.

    Senders repeat what was not acknowledged, as real ones do.
    """
    listener = new_listener(pipelines=[finance(coalesce={"quiet": 0.3, "longest": 1})])
    del listener.settings["tableau"]  # starts sooner
    listener.use_stand_in()
    chance = random.Random(_SEED)  # noqa: S311 - repeatable
    acknowledged: set[str] = set()
    sent: set[str] = set()
    numbers = iter(range(1_000_000))
    lock = threading.Lock()

    def send_until_killed(killed: threading.Event) -> None:
        while not killed.is_set():
            with lock:
                event_id = f"e-{next(numbers)}"
                sent.add(event_id)
            try:
                answer = listener.post(f"/d365/{D365_SECRET}", vendor_invoice(event_id))
            except requests.RequestException:
                continue
            if answer.status_code == 204:
                with lock:
                    acknowledged.add(event_id)

    for _ in range(int(os.environ.get("KILL_TRIALS", "25"))):
        listener.start()
        killed = threading.Event()
        senders = [threading.Thread(target=send_until_killed, args=(killed,)) for _ in range(4)]
        for sender in senders:
            sender.start()
        time.sleep(chance.uniform(0.02, 0.4))
        listener.kill()
        killed.set()
        for sender in senders:
            sender.join()
    assert len(acknowledged) > 100
    kept = {row[0].removeprefix("d365:") for row in listener.inbox("SELECT dedupe FROM event")}
    assert acknowledged <= kept <= sent
    assert listener.inbox("PRAGMA integrity_check") == [("ok",)]
    listener.start()
    for event_id in sorted(acknowledged)[:50]:  # repetitions after the kills are known
        listener.tell_d365(vendor_invoice(event_id))
    until(lambda: set(listener.states()) == {"done"}, "all of them worked off", within_s=60)
    assert listener.inbox("SELECT count(*) FROM event") == [(len(kept),)]
    finished = {one.run_id for one in listener.ledger("listen.run.verified")}
    told = [one for one in listener.ledger("listen.run.intent") if one.run_id in finished]
    assert sum(one.body["event_count"] for one in told) >= len(kept)
