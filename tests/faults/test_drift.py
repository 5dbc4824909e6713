"""An entity that changes while a run reads it (T18)."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from tests.faults.ways import CURSOR, FULL, HIGH_WATER, LAST, MIDDLE, SCAN, WAYS, Way

from contoso_sandbox.faults import (
    Fault,
    added_column,
    changed_value,
    dropped_column,
    pages_of,
    renamed_column,
)
from pipeline_core.errors import DataError
from pipeline_core.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.conftest import Bench

    from contoso_sandbox.faults import Action


#: Int64 parts of the keys, and properties of the type Date.
KEYS = {
    "full": "LineNumber",
    "etag_scan": "LineNumber",
    "cursor": "SourceKey",
    "high_water": "SourceKey",
}
DATES = {
    "full": "RequestedDeliveryDate",
    "etag_scan": "RequestedDeliveryDate",
    "cursor": "TransDate",
    "high_water": "HistoricalExchangeRateDate",
}


@pytest.mark.parametrize("way", [pytest.param(w, id=f"T18 {w.name}") for w in WAYS])
def test_t18_a_new_column_waits_for_the_next_discovery(bench: Bench, way: Way) -> None:
    """It has no schema yet; the records stay as they were announced."""
    added = added_column("NewInThisUpdate", "canary-in-a-row-3307")
    ledger = bench.tmp_path / "ledger.db"
    bench.survives(
        way, Fault(added, on=pages_of(way.entity_set), nth=range(2, 99)), ledger_path=str(ledger)
    )
    told = [r.getMessage() for r in bench.caplog.records if "discovery again" in r.getMessage()]
    assert len(told) == 1
    assert f"{way.entity_set}: the environment has columns that are not read" in told[0]
    assert "NewInThisUpdate" in told[0]
    with Ledger.reading(ledger) as book:
        (event,) = book.events(prefix="columns.new")
    assert event.body == {"stream": way.entity_set, "columns": ["NewInThisUpdate"]}


CHANGES: dict[str, Callable[[Way], Action]] = {
    "T18 a column is gone": lambda w: dropped_column(w.text),
    "T18 a column is renamed": lambda w: renamed_column(w.text, "Renamed"),
    "T18 an amount becomes text": lambda w: changed_value(w.amount, "12.50"),
    "T18 an amount becomes a boolean": lambda w: changed_value(w.amount, change=True),
    "T18 an amount becomes an array": lambda w: changed_value(w.amount, [1]),
    "T18 a text becomes a number": lambda w: changed_value(w.text, 7),
    "T18 a text becomes an object": lambda w: changed_value(w.text, {"a": 1}),
    "T18 a part of a key is null": lambda w: changed_value(KEYS[w.name], None, index=-1),
    "T18 a number in a key is text": lambda w: changed_value(KEYS[w.name], "x", index=-1),
    "T18 a whole number gets a fraction": lambda w: changed_value(
        KEYS[w.name], Decimal("1.5"), index=-1
    ),
    "T18 a date gets a time": lambda w: changed_value(DATES[w.name], "2026-03-31T17:30:00Z"),
    "T18 a date becomes a number": lambda w: changed_value(DATES[w.name], 0),
}


@pytest.mark.parametrize(
    ("way", "change"),
    [
        pytest.param(way, change, id=f"{name}, {way.name}")
        for n, (name, change) in enumerate(CHANGES.items())
        for way in ((FULL, HIGH_WATER), (CURSOR, SCAN))[n % 2]
    ],
)
def test_t18_a_column_that_is_no_longer_what_was_announced_is_fatal(
    bench: Bench, way: Way, change: Callable[[Way], Action]
) -> None:
    action = change(way)
    run = bench.converges(way, MIDDLE.fault(action, way, times=99))
    assert isinstance(run.error, DataError), repr(run.error)
    assert run.exit_code == 65
    assert run.output.of("ACTIVATE_VERSION") == []


def test_t18_an_enum_may_get_a_new_member(bench: Bench) -> None:
    """Partners and later versions add members: an enum is open text."""
    member = changed_value("PurchaseOrderLineStatus", "MemberOfNextYear", index=-1)
    run, _ = bench.run_way(FULL, LAST.fault(member, FULL))
    assert run.error is None
    statuses = [r["PurchaseOrderLineStatus"] for r in run.output.records(FULL.entity_set)]
    assert statuses.count("MemberOfNextYear") == 1


def test_t18_the_failure_names_the_column_and_what_to_do(bench: Bench) -> None:
    run, _ = bench.run_way(FULL, MIDDLE.fault(changed_value("LineAmount", "12.50"), FULL))
    assert "LineAmount" in str(run.error)
    assert "run discovery again" in str(run.error)
    assert "12.50" not in str(run.error)
