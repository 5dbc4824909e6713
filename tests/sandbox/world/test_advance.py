"""What business days do to the world."""

# ruff: noqa: S608 - SQL of names in this repository

from __future__ import annotations

import shutil
import threading
from contextlib import closing
from datetime import date
from typing import TYPE_CHECKING

import pytest
from tests.sandbox.world.conftest import digest

from contoso_sandbox.world import AdvanceSummary, World
from contoso_sandbox.world.advance import next_business_day

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb


def keep(cursor: duckdb.DuckDBPyConnection, world: World) -> None:
    """Copy all sets aside, to compare with later."""
    for name in world.environment.entity_sets:
        cursor.execute(f"CREATE TEMP TABLE old_{name} AS FROM {name}")


@pytest.mark.parametrize(
    ("day", "following"),
    [
        pytest.param(date(2026, 6, 30), date(2026, 7, 1), id="next day"),
        pytest.param(date(2026, 7, 3), date(2026, 7, 6), id="over the weekend"),
        pytest.param(date(2026, 7, 4), date(2026, 7, 6), id="from a Saturday"),
    ],
)
def test_business_days_are_weekdays(day: date, following: date) -> None:
    assert next_business_day(day) == following


def test_the_date_moves_by_business_days(moved: tuple[World, AdvanceSummary]) -> None:
    world, summary = moved
    assert world.today == date(2026, 7, 8)
    assert summary.days == [date(2026, 7, d) for d in (1, 2, 3, 6, 7, 8)]


def test_every_day_adds_changes_and_deletes(own_world: World) -> None:
    for _ in range(3):
        summary = own_world.advance(1)
        assert set(summary.inserted) >= {
            "GeneralJournalEntryBiEntities",
            "GeneralJournalAccountEntryBiEntities",
            "GeneralJournalAccountEntries",
            "VendInvoiceJourBiEntities",
            "VendTransBiEntities",
            "VendorInvoiceHeaders",
            "VendorInvoiceLines",
            "PurchaseOrderHeadersV2",
            "PurchaseOrderLinesV2",
            "ExchangeRates",
            "VendorsV2",
        }
        assert set(summary.updated) >= {
            "VendTransBiEntities",
            "VendorsV2",
            "PurchaseOrderHeadersV2",
            "PurchaseOrderLinesV2",
        }
        assert set(summary.deleted) == {
            "PurchaseOrderHeadersV2",
            "PurchaseOrderLinesV2",
            "VendorInvoiceHeaders",
            "VendorInvoiceLines",
        }


def test_the_summary_says_what_happened(own_world: World) -> None:
    with own_world.cursor() as cursor:
        keep(cursor, own_world)
        summary = own_world.advance(1)
        for name in own_world.environment.entity_sets:
            new, gone, changed = cursor.execute(
                f"SELECT count(*) FILTER (o.__rec_id IS NULL),"
                f" count(*) FILTER (n.__rec_id IS NULL),"
                f" count(*) FILTER (o.__rec_id = n.__rec_id AND o <> n)"
                f" FROM {name} AS n FULL JOIN old_{name} AS o ON o.__rec_id = n.__rec_id"
            ).fetchone() or (0, 0, 0)
            assert new == summary.inserted.get(name, 0), name
            assert gone == summary.deleted.get(name, 0), name
            # A row may be changed into what it was.
            assert changed <= summary.updated.get(name, 0), name


def test_no_row_changes_behind_its_etag(own_world: World) -> None:
    with own_world.cursor() as cursor:
        keep(cursor, own_world)
        own_world.advance(2)
        for name, entity_set in own_world.environment.entity_sets.items():
            tail = "AND n.__etag_tail = o.__etag_tail" if entity_set.sources > 1 else ""
            silent = cursor.execute(
                f"SELECT n.__rec_id FROM {name} AS n JOIN old_{name} AS o USING (__rec_id)"
                f" WHERE n <> o AND n.__rec_version = o.__rec_version {tail}"
            ).fetchall()
            assert not silent, name


def test_a_changed_telephone_shows_in_the_second_pair_only(own_world: World) -> None:
    with own_world.cursor() as cursor:
        keep(cursor, own_world)
        own_world.advance(1)
        telephones = cursor.execute(
            "SELECT n.__rec_version = o.__rec_version, n.__etag_tail <> o.__etag_tail"
            " FROM VendorsV2 AS n JOIN old_VendorsV2 AS o USING (__rec_id)"
            " WHERE n.PrimaryPhoneNumber <> o.PrimaryPhoneNumber"
        ).fetchall()
    assert telephones
    assert set(telephones) == {(True, True)}


@pytest.mark.parametrize("name", ["VendTransBiEntities", "VendInvoiceJourBiEntities"])
def test_changes_are_stamped_later_than_all_before(own_world: World, name: str) -> None:
    with own_world.cursor() as cursor:
        keep(cursor, own_world)
        own_world.advance(1)
        ((changes, all_later),) = cursor.execute(
            f"SELECT count(*), bool_and(n.SysModifiedDateTime >"
            f" (SELECT max(SysModifiedDateTime) FROM old_{name}))"
            f" FROM {name} AS n LEFT JOIN old_{name} AS o USING (__rec_id)"
            f" WHERE o.__rec_id IS NULL OR n <> o"
        ).fetchall()
    assert changes > 0
    assert all_later


def test_posting_takes_the_invoice_from_the_pending_ones(own_world: World) -> None:
    with own_world.cursor() as cursor:
        keep(cursor, own_world)
        own_world.advance(1)
        posted = cursor.execute(
            """
            SELECT o.InvoiceNumber, i.InvoiceId, o.PurchaseOrderNumber, p.PurchaseOrderStatus
            FROM old_VendorInvoiceHeaders AS o
            ANTI JOIN VendorInvoiceHeaders USING (HeaderReference)
            JOIN VendInvoiceJourBiEntities AS i ON i.InvoiceId = o.InvoiceNumber
                AND lower(i.dataAreaId) = lower(o.dataAreaId) AND i.InvoiceAccount = o.VendorAccount
            LEFT JOIN PurchaseOrderHeadersV2 AS p ON p.PurchaseOrderNumber = o.PurchaseOrderNumber
                AND o.PurchaseOrderNumber <> ''
            """
        ).fetchall()
    assert posted
    assert all(status == "Invoiced" for *_, order, status in posted if order)


def test_a_day_removes_less_than_a_fifth_of_any_company(own_world: World) -> None:
    with own_world.cursor() as cursor:
        for _ in range(3):
            before = _parked(cursor)
            own_world.advance(1)
            gone = {c: before[c] - _kept(cursor, c) for c in before}
            assert all(gone[c] <= before[c] / 5 for c in before)


def _parked(cursor: duckdb.DuckDBPyConnection) -> dict[str, int]:
    cursor.execute("CREATE OR REPLACE TEMP TABLE parked AS FROM VendorInvoiceHeaders")
    return dict(
        cursor.execute("SELECT lower(dataAreaId), count(*) FROM parked GROUP BY 1").fetchall()
    )


def _kept(cursor: duckdb.DuckDBPyConnection, company: str) -> int:
    row = cursor.execute(
        "SELECT count(*) FROM parked SEMI JOIN VendorInvoiceHeaders USING (__rec_id)"
        " WHERE lower(parked.dataAreaId) = $company",
        {"company": company},
    ).fetchone()
    return int(row[0]) if row else 0


def test_days_advanced_at_once_or_one_by_one_are_the_same_days(
    own_world: World, small_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("one by one")
    shutil.copy(small_file, directory)
    own_world.advance(3)
    with closing(World.open(directory)) as one_by_one:
        for _ in range(3):
            one_by_one.advance(1)
        assert digest(own_world) == digest(one_by_one)


def test_threads_take_turns_and_readers_see_whole_days(own_world: World) -> None:
    sums: set[object] = set()
    done = threading.Event()

    def read() -> None:
        with own_world.cursor() as cursor:
            while not done.is_set():
                sums.update(
                    cursor.execute(
                        "SELECT sum(AccountingCurrencyAmount)"
                        " FROM GeneralJournalAccountEntryBiEntities"
                    ).fetchone()
                    or ()
                )

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=own_world.advance, args=(2,)) for _ in range(2)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert own_world.today == date(2026, 7, 6)
    assert sums == {0}


def test_a_day_that_fails_leaves_nothing_behind(
    own_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digest(own_world)

    def fail(*_: object) -> None:
        message = "the ledger is on fire"
        raise RuntimeError(message)

    with monkeypatch.context() as patch:
        patch.setattr("contoso_sandbox.world.ledger.write_vouchers", fail)
        with pytest.raises(RuntimeError, match="on fire"):
            own_world.advance(1)
    assert digest(own_world) == before
    assert own_world.today == date(2026, 6, 30)
    own_world.advance(1)
    assert own_world.today == date(2026, 7, 1)
