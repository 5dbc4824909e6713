"""Bodies that are no page: asked for again, then a failure of the data; never "no rows" (T10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.faults.ways import CURSOR, FIRST, FULL, HIGH_WATER, LAST, MIDDLE, WAYS

from contoso_sandbox.faults import (
    Fault,
    answer,
    body,
    byte_order_mark,
    duplicate_key,
    empty_body,
    garbage,
    invalid_utf8,
    login_page,
    no_value,
    pages_of,
    recoded,
    second_value,
    token_for,
    truncated_json,
)
from pipeline_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.conftest import Bench
    from tests.faults.ways import Spot, Way

    from contoso_sandbox.faults import Action

    Kind = Callable[[Way], Action]

UNREADABLE: dict[str, Kind] = {
    "T10 truncated JSON": lambda _: truncated_json(),
    "T10 all but the last brace": lambda _: body(lambda text: text[:-1]),
    "T10 invalid UTF-8": lambda _: invalid_utf8(),
    "T10 UTF-16": lambda _: recoded("utf-16"),
    "T10 Latin-1": lambda _: body(lambda text: text.replace(b"canary", b"canary\xe9", 1)),
    "T10 random bytes": lambda _: garbage(),
    "T10 login page with 200": lambda _: login_page(),
    "T10 empty body with 200": lambda _: empty_body(),
    "T10 NaN": lambda way: token_for(way.amount, "NaN"),
    "T10 Infinity": lambda way: token_for(way.amount, "-Infinity"),
    "T10 two documents": lambda _: body(lambda text: text + text),
    "T10 rows named twice": lambda _: second_value(),
}

#: Whole JSON, and yet no page: asking again would bring the same.
NO_PAGE: dict[str, Action] = {
    "T10 no rows array": no_value(),
    "T10 null": answer(200, json=None, body=b"null"),
    "T10 a number": answer(200, json=7),
    "T10 an array": answer(200, json=[]),
    "T10 rows are an object": answer(200, json={"value": {"a": 1}}),
    "T10 rows are numbers": answer(200, json={"value": [1, 2]}),
    "T10 an error in a success": answer(200, json={"error": {"code": "", "message": "stacktrace"}}),
}


@pytest.mark.parametrize(
    ("way", "spot", "kind"),
    [
        pytest.param(
            WAYS[n % 4], (FIRST, MIDDLE, LAST)[n % 3], kind, id=f"{name}, {WAYS[n % 4].name}"
        )
        for n, (name, kind) in enumerate(UNREADABLE.items())
    ],
)
def test_t10_an_unreadable_body_is_fetched_again(
    bench: Bench, way: Way, spot: Spot, kind: Kind
) -> None:
    action = kind(way)
    bench.survives(way, spot.fault(action, way))
    assert bench.after(action.name)[1].asked.url == bench.after(action.name)[0].asked.url


@pytest.mark.parametrize(
    ("way", "kind", "spot"),
    [
        pytest.param((CURSOR, HIGH_WATER, FULL)[n % 3], kind, (FIRST, LAST)[n % 2], id=name)
        for n, (name, kind) in enumerate(UNREADABLE.items())
    ],
)
def test_t10_a_body_that_stays_unreadable_is_a_failure_of_the_data(
    bench: Bench, way: Way, kind: Kind, spot: Spot
) -> None:
    run = bench.converges(way, spot.fault(kind(way), way, times=99))
    assert isinstance(run.error, DataError), repr(run.error)
    assert run.exit_code == 65
    assert len(bench.clock.slept) == 7


@pytest.mark.parametrize(
    ("way", "action"),
    [
        pytest.param(WAYS[n % len(WAYS)], action, id=name)
        for n, (name, action) in enumerate(NO_PAGE.items())
    ],
)
def test_t10_json_that_is_no_page_is_no_empty_page(bench: Bench, way: Way, action: Action) -> None:
    run = bench.converges(way, LAST.fault(action, way, times=99))
    assert isinstance(run.error, DataError), repr(run.error)
    assert run.exit_code == 65


def test_t10_a_byte_order_mark_is_read_over(bench: Bench) -> None:
    bench.survives(FULL, Fault(byte_order_mark(), on=pages_of(FULL.entity_set)))
    assert bench.clock.slept == []


def test_t10_a_value_that_is_named_twice_is_the_last_one(bench: Bench) -> None:
    """As RFC 8259 leaves it to the reader, and as nearly all readers do."""
    bench.survives(FULL, Fault(duplicate_key(FULL.amount), on=pages_of(FULL.entity_set)))
