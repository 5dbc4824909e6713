"""The tap feeds targets that others wrote, and every cell they store is Contoso's.

meltanolabs-target-postgres on a real PostgreSQL, meltanolabs-target-csv and target-jsonl, all
unmodified, each fed by the tap's command through a pipe: a first load, two business days, and a
second run from the STATE that the target printed, with snapshots and without. What is stored is
compared with Contoso's own database, value and type: decimals without a float in between (which
would be found, as ``tests/e2e/test_books.py`` shows), dates as dates, empty as empty.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.e2e.books import expected_rows
from tests.interop.cells import SETS, assert_same
from tests.interop.pipes import run_pipe
from tests.interop.stores import CsvFiles, JsonLines, Tables
from tests.tap.conftest import settings_for

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from tests.interop.postgres import Postgres
    from tests.interop.stores import Store

    from contoso_sandbox.contoso import Contoso
    from contoso_sandbox.pytest_plugin import NewContoso

#: What the tap reads by a bookmark: later runs send changes alone.
INCREMENTAL = {"GeneralJournalAccountEntryBiEntities", "VendTransBiEntities"}


@pytest.fixture(params=["postgres", "csv", "jsonl"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "postgres":
        server: Postgres = request.getfixturevalue("postgres")
        return Tables(server)
    return CsvFiles(tmp_path / "csv") if request.param == "csv" else JsonLines(tmp_path / "jsonl")


def assert_stored(store: Store, contoso: Contoso, *, incremental: Collection[str] = ()) -> None:
    for name in SETS:
        entity_set = contoso.world.environment.entity_sets[name]
        books = expected_rows(contoso.world, entity_set)
        stored = store.rows(entity_set, incremental=name in incremental)
        assert_same(name, store.as_it_must_be(books), stored)


def test_what_a_foreign_target_stores_is_what_the_books_hold(
    store: Store, new_contoso: NewContoso, tmp_path: Path
) -> None:
    contoso = new_contoso()
    tap = settings_for(contoso, entities=list(SETS))
    state = run_pipe(tap, store.command, store.config(1), tmp_path / "first")
    assert state["audit"]["complete"]
    assert_stored(store, contoso)

    moved = contoso.world.advance(2)
    assert moved.inserted.keys() >= INCREMENTAL
    assert {"VendTransBiEntities", "VendorsV2"} <= moved.updated.keys()
    assert "PurchaseOrderHeadersV2" in moved.deleted
    contoso.d365.requests.clear()
    state = run_pipe(tap, store.command, store.config(2), tmp_path / "second", state=state)
    assert state["audit"]["complete"]
    assert_stored(store, contoso, incremental=INCREMENTAL)
    read = contoso.d365.requests.rows_by_set()
    for name in INCREMENTAL:
        entity_set = contoso.world.environment.entity_sets[name]
        assert read[name] < len(expected_rows(contoso.world, entity_set)), name


def test_a_foreign_target_learns_what_changed_and_what_is_gone(
    store: Store, new_contoso: NewContoso, tmp_path: Path
) -> None:
    """Of entities without a time of change the second run sends changes and deletions alone."""
    if isinstance(store, CsvFiles):
        store = replace(store, tells_deletions=True)
    contoso = new_contoso()
    names = ("PurchaseOrderHeadersV2", "VendorGroups", "VendorsV2")
    tap = settings_for(contoso, entities=list(names), snapshot_path=str(tmp_path / "snapshots"))
    state = run_pipe(tap, store.command, store.config(1), tmp_path / "first")
    moved = contoso.world.advance(2)
    assert "VendorsV2" in moved.updated
    assert "PurchaseOrderHeadersV2" in moved.deleted
    state = run_pipe(tap, store.command, store.config(2), tmp_path / "second", state=state)
    streams = state["audit"]["streams"]
    assert streams["PurchaseOrderHeadersV2"]["deletes"] > 0
    for name in names:
        entity_set = contoso.world.environment.entity_sets[name]
        books = expected_rows(contoso.world, entity_set)
        assert streams.get(name, {"records": 0})["records"] < len(books) / 2, name
        stored = store.rows(entity_set, incremental=True)
        assert_same(name, store.as_it_must_be(books), stored)
