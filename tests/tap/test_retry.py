"""Decisions after a failed attempt."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_d365fo.access.retry import Backoff, Verdict, judge, parse_retry_after

NOW = datetime(2026, 11, 23, 7, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        pytest.param("7", 7.0, id="seconds"),
        pytest.param(" 7 ", 7.0, id="blanks around"),
        pytest.param("0", 0.0, id="zero means at once"),
        pytest.param("86400", 86400.0, id="a day is not cut short"),
        pytest.param("Mon, 23 Nov 2026 07:00:30 GMT", 30.0, id="HTTP date ahead"),
        pytest.param("Mon, 23 Nov 2026 06:59:00 GMT", 0.0, id="HTTP date in the past"),
        pytest.param("soon", None, id="unreadable"),
        pytest.param("-5", None, id="negative"),
        pytest.param("³", None, id="a digit that is no number"),
        pytest.param(None, None, id="absent"),
    ],
)
def test_retry_after_is_read_in_both_forms(header: str | None, wait_s: float | None) -> None:
    assert parse_retry_after(header, now=NOW) == wait_s


@given(st.text(max_size=40))
def test_no_header_breaks_the_parser(header: str) -> None:
    wait = parse_retry_after(header, now=NOW)
    assert wait is None or wait >= 0


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.ACCEPT),
        (204, Verdict.FATAL),
        (302, Verdict.FATAL),
        (400, Verdict.FATAL),
        (401, Verdict.RENEW_TOKEN),
        (403, Verdict.REFUSED),
        (404, Verdict.FATAL),
        (408, Verdict.RETRY),
        (429, Verdict.RETRY),
        (500, Verdict.RETRY),
        (503, Verdict.RETRY),
        (504, Verdict.RETRY),
    ],
)
def test_a_status_has_one_meaning(status: int, verdict: Verdict) -> None:
    assert judge(status) is verdict


@given(st.integers(min_value=1, max_value=40), st.integers())
def test_waits_are_spread_below_a_bound_that_doubles(failures: int, seed: int) -> None:
    backoff = Backoff(base_s=1.0, cap_s=60.0)
    wait = backoff.wait_s(failures, chance=random.Random(seed))  # noqa: S311 - repeatable
    assert 0 <= wait <= min(60.0, 2.0 ** (failures - 1))
