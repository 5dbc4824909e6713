"""One request: retries, waits, tokens, bodies. Ids in brackets are those of the fault matrix."""

from __future__ import annotations

import gzip
import logging
import ssl
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import pytest
import requests
from tests.tap.scripted import FakeClock, FakeTokens, Script

from pipeline_core.errors import (
    AuthError,
    ConfigError,
    DataError,
    PipelineError,
    TransientError,
)
from tap_d365fo.access.client import Answer, D365Client

if TYPE_CHECKING:
    from tap_d365fo.access.auth import TokenProvider

URL = "https://contoso.example/data/VendorsV2?cross-company=true&$filter=Secret eq 'x'"
PAGE = b'{"value":[{"Amount":-0.05,"Whole":750,"RecId":5637144576000000001}]}'
OK = (200, PAGE)
UNTRUSTED = requests.exceptions.SSLError(ssl.SSLCertVerificationError("self-signed"))


def fetch(
    *answers: Any,  # noqa: ANN401 - see Script
    clock: FakeClock | None = None,
    tokens: FakeTokens | None = None,
    run_timeout_s: float = 3600,
) -> tuple[Answer, Script]:
    script = Script(list(answers))
    client = D365Client(
        script.session,
        cast("TokenProvider", tokens or FakeTokens()),
        request_timeout_s=300,
        run_timeout_s=run_timeout_s,
        timing=(clock or FakeClock()).timing(),
    )
    return client.get(URL), script


def test_numbers_keep_every_digit() -> None:
    answer, _ = fetch(OK)
    row = answer.document["value"][0]
    assert row == {"Amount": Decimal("-0.05"), "Whole": 750, "RecId": 5637144576000000001}
    assert not any(isinstance(value, float) for value in row.values())


def test_each_attempt_has_its_own_request_id() -> None:
    _, script = fetch((503,), OK)
    ids = [request.headers["x-ms-client-request-id"] for request in script.sent]
    assert len(set(ids)) == 2


@pytest.mark.parametrize(
    ("answer", "at_least_s"),
    [
        pytest.param((429, b"", {"Retry-After": "3"}), 3.0, id="429 with seconds [T01]"),
        pytest.param(
            (
                429,
                b"",
                {
                    "Retry-After": "Mon, 23 Nov 2026 09:00:30 GMT",
                    "Date": "Mon, 23 Nov 2026 09:00:00 GMT",
                },
            ),
            30.0,
            id="429 with a date, by the server's own clock [T02]",
        ),
        pytest.param((503, b"", {"Retry-After": "120"}), 120.0, id="503 with seconds"),
    ],
)
def test_a_named_wait_is_kept(answer: tuple[object, ...], at_least_s: float) -> None:
    clock = FakeClock()
    fetch(answer, answer, OK, clock=clock)
    assert len(clock.slept) == 2
    assert min(clock.slept) >= at_least_s


def test_a_wait_beyond_the_run_is_not_begun() -> None:
    """A retry before the named time would be refused again; a sleep of a day helps nobody [T02]."""
    clock = FakeClock()
    with pytest.raises(TransientError) as failed:
        fetch((429, b"", {"Retry-After": "86400"}), clock=clock)
    assert clock.slept == []
    assert failed.value.retry_at is not None
    assert failed.value.retry_at.isoformat() == "2026-11-24T07:00:00+00:00"


def test_waits_without_a_name_are_bounded_and_end() -> None:
    """[T03]"""
    clock = FakeClock()
    with pytest.raises(TransientError, match="failed 8 times, last with HTTP 429"):
        fetch(*[(429,)] * 8, clock=clock)
    assert len(clock.slept) == 7
    assert all(wait <= 60 for wait in clock.slept)


def test_a_wait_of_zero_is_no_licence_to_hammer() -> None:
    clock = FakeClock()
    with pytest.raises(TransientError, match="failed 8 times"):
        fetch(*[(429, b"", {"Retry-After": "0"})] * 8, clock=clock)
    assert sum(clock.slept) > 0


def test_named_waits_cost_no_attempt() -> None:
    named = (429, b"", {"Retry-After": "1"})
    _, script = fetch(*[named] * 12, (503,), OK)
    assert len(script.sent) == 14


def test_a_wait_of_ages_is_told_as_such() -> None:
    with pytest.raises(TransientError) as failed:
        fetch((429, b"", {"Retry-After": "9" * 14}))
    assert failed.value.retry_at is not None


def test_a_date_without_a_zone_is_read_as_utc() -> None:
    headers = {
        "Retry-After": "Mon, 23 Nov 2026 09:00:30 GMT",
        "Date": "Mon, 23 Nov 2026 09:00:00 -0000",
    }
    clock = FakeClock()
    fetch((429, b"", headers), OK, clock=clock)
    assert clock.slept == [30.0]


def test_a_body_that_never_parses_is_a_failure_of_the_data() -> None:
    """[T10]"""
    with pytest.raises(DataError, match="failed 8 times"):
        fetch(*[(200, b"<html>sign in</html>")] * 8)


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(status: int) -> None:
    """[T04]"""
    _, script = fetch((status,), (status, b"<html>gateway</html>"), OK)
    assert len(script.sent) == 3


def test_a_refused_token_is_renewed_once() -> None:
    """[T05]"""
    _, script = fetch((401,), OK)
    assert [r.headers["Authorization"] for r in script.sent] == ["Bearer token-1", "Bearer token-2"]


def test_a_refused_new_token_is_the_end() -> None:
    """[T05]"""
    with pytest.raises(AuthError, match="Microsoft Entra ID applications"):
        fetch((401,), (401,))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(requests.ConnectionError("reset"), id="reset before headers [T07]"),
        pytest.param(requests.ReadTimeout("silence"), id="silence [T11]"),
        pytest.param(requests.exceptions.SSLError("EOF in handshake"), id="TLS cut short"),
        pytest.param((200, PAGE[:-10]), id="cut short [T07]"),
        pytest.param(
            (200, gzip.compress(PAGE)[:-12], {"Content-Encoding": "gzip"}),
            id="gzip cut short, which raises nothing in requests [T08]",
        ),
        pytest.param((200, b"no gzip at all", {"Content-Encoding": "gzip"}), id="not gzip [T08]"),
        pytest.param((200, b""), id="empty 200 [T10]"),
        pytest.param((200, b"<html>sign in</html>"), id="login page with 200 [T10]"),
        pytest.param((200, b'{"value":[{"x":NaN}]}'), id="NaN [T10]"),
        pytest.param((200, b'{"value":["\xff"]}'), id="not UTF-8 [T10]"),
    ],
)
def test_a_broken_answer_is_fetched_again(answer: Any) -> None:  # noqa: ANN401
    answer_read, script = fetch(answer, OK)
    assert len(answer_read.document["value"]) == 1
    assert len(script.sent) == 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param((400,), ConfigError, id="bad query"),
        pytest.param((404, b'{"Message":"No HTTP resource"}'), ConfigError, id="unknown path"),
        pytest.param((302, b"", {"Location": "https://evil.example"}), ConfigError, id="redirect"),
        pytest.param((403,), AuthError, id="denied"),
        pytest.param((200, b"[]"), DataError, id="JSON of another shape"),
        pytest.param(UNTRUSTED, ConfigError, id="untrusted certificate [T22]"),
    ],
)
def test_what_waiting_cannot_mend_ends_at_once(
    answer: Any,  # noqa: ANN401
    error: type[PipelineError],
) -> None:
    with pytest.raises(error):
        fetch(answer)


def test_a_slow_answer_ends_at_the_request_timeout() -> None:
    """``requests`` counts per receive; one byte now and then would keep it waiting [T11]."""
    clock = FakeClock(each_look_s=301)
    with pytest.raises(TransientError, match="no whole answer within request_timeout"):
        fetch(*[OK] * 8, clock=clock, run_timeout_s=10 * 8 * 301)


def test_messages_hold_no_query_no_token_and_no_body(caplog: pytest.LogCaptureFixture) -> None:
    headers = {"ms-dyn-aid": "activity-1"}
    with caplog.at_level(logging.DEBUG), pytest.raises(ConfigError) as failed:
        fetch((500, b"Secret body", headers), (400, b"Secret body", headers))
    text = caplog.text + str(failed.value)
    assert "Secret" not in text
    assert "token-1" not in text
    assert "activity-1" in caplog.text
    assert "GET /data/VendorsV2 (ms-dyn-aid activity-1)" in str(failed.value)
