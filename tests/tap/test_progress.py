"""What an operator reads while rows flow."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from itertools import count

import pytest

from tap_d365fo.reading.portion import Portion
from tap_d365fo.reading.progress import Progress

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def portion(rows: int, *, gone: int = 0, expected: int | None = None) -> Portion:
    return Portion([{}] * rows, {}, NOW, deleted=[{}] * gone, expected=expected)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="tap-d365fo.progress")
    return caplog


def test_it_tells_rate_companies_and_what_is_left(lines: pytest.LogCaptureFixture) -> None:
    seconds = count(0, 10)
    progress = Progress("VendorsV2", 2, monotonic=lambda: next(seconds))
    progress.portion("VendorsV2 [usmf]", portion(600, expected=600))
    assert lines.messages == ["VendorsV2: 600 rows, 1 pages, 60 rows/s, 0 of 2 companies done"]
    progress.ended()
    progress.portion("VendorsV2 [demf]", portion(600, expected=2600))
    assert lines.messages[-1] == (
        "VendorsV2: 1200 rows, 2 pages, 60 rows/s, 1 of 2 companies done, about 33 s left"
    )


def test_it_does_not_tell_every_page(lines: pytest.LogCaptureFixture) -> None:
    progress = Progress("VendorsV2", 1, monotonic=lambda: 0.0)
    for _ in range(100):
        progress.portion("VendorsV2", portion(10))
    assert lines.messages == []


@pytest.mark.parametrize(
    ("portions", "said"),
    [
        pytest.param([portion(3)], "VendorsV2: 3 rows, 1 page, 0.0 s", id="one page"),
        pytest.param([portion(0, gone=2), portion(1)], "1 rows, 2 gone, 2 pages", id="deletions"),
        pytest.param([], "VendorsV2: 0 rows, 0 pages", id="nothing changed"),
    ],
)
def test_it_tells_what_a_stream_came_to(
    lines: pytest.LogCaptureFixture, portions: list[Portion], said: str
) -> None:
    progress = Progress("VendorsV2", 1, monotonic=lambda: 0.0)
    for each in portions:
        progress.portion("VendorsV2", each)
    progress.finished()
    assert said in lines.messages[-1]
