"""Values that have broken integrations: they must be there, or the tests of others prove little."""

# ruff: noqa: S608 - SQL of names in this repository

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from contoso_sandbox.world import World


def found(world: World, sql: str) -> bool:
    with world.cursor() as cursor:
        return cursor.execute(sql).fetchone() is not None


@pytest.mark.parametrize(
    "amount",
    [
        *("-0.05", "0.01", "999999999999.99", "-999999999999.99", "-0.000001", "0.000001"),
        *("12345678901234.567891", "-12345678901234.567891"),
    ],
)
@pytest.mark.parametrize(
    "column",
    ["AccountingCurrencyAmount", "TransactionCurrencyAmount", "ReportingCurrencyAmount"],
)
def test_amounts_that_hurt_are_in_the_ledger(world: World, column: str, amount: str) -> None:
    with world.cursor() as cursor:
        row = cursor.execute(
            f"SELECT 1 FROM GeneralJournalAccountEntryBiEntities WHERE {column} = $amount",
            {"amount": Decimal(amount)},
        ).fetchone()
    assert row


@pytest.mark.parametrize(
    "condition",
    [
        pytest.param("FROM VendorsV2 WHERE VendorAccountNumber LIKE '%''%'", id="quote in a key"),
        pytest.param("FROM VendorsV2 WHERE VendorAccountNumber LIKE '%*%'", id="wildcard in a key"),
        pytest.param("FROM VendorsV2 WHERE VendorAccountNumber LIKE '%/%'", id="slash in a key"),
        pytest.param("FROM VendorsV2 WHERE VendorOrganizationName LIKE '%\"%'", id="double quote"),
        pytest.param("FROM VendorsV2 WHERE VendorOrganizationName LIKE '%\U0001f355%'", id="emoji"),
        pytest.param("FROM VendorsV2 WHERE contains(VendorOrganizationName, '\\')", id="backslash"),
        pytest.param("FROM VendorsV2 WHERE contains(AddressStreet, chr(10))", id="line feed"),
        pytest.param("FROM VendorsV2 WHERE Notes LIKE '%' || chr(13) || '%'", id="return"),
        pytest.param("FROM VendorsV2 WHERE contains(Notes, chr(9))", id="tabulator"),
        pytest.param(
            "FROM VendorsV2 WHERE DefaultOffsetLedgerAccountDisplayValue = 'DAT\\-0001'",
            id="escaped dimension value",
        ),
        pytest.param("FROM VendorsV2 WHERE VendorPartyNumber LIKE '{%}'", id="party is a GUID"),
        pytest.param("FROM PurchaseOrderLinesV2 WHERE ItemNumber LIKE ' %'", id="leading blank"),
        pytest.param(
            "FROM PurchaseOrderHeadersV2 WHERE PurchaseOrderNumber LIKE ' %'",
            id="leading blank in a key",
        ),
        pytest.param(
            "FROM VendInvoiceJourBiEntities WHERE contains(InvoiceId, chr(8203))", id="zero width"
        ),
        pytest.param(
            "FROM VendTransBiEntities WHERE length(SourceKey::VARCHAR) = 19", id="19 digits"
        ),
        pytest.param("FROM VendorsV2 WHERE AddressTimeZone IS NULL", id="null enum"),
        pytest.param(
            "FROM PurchaseOrderHeadersV2 WHERE DeliveryAddressTimeZone IS NULL", id="null 2"
        ),
        pytest.param("FROM LegalEntities WHERE LegalNature IS NULL", id="null enum, master"),
        pytest.param("FROM VendTransBiEntities WHERE Closed = '1900-01-01 12:00:00'", id="no date"),
        pytest.param(
            "FROM VendorsV2 WHERE VendorHoldReleaseDate = '1900-01-01 00:00:00'", id="no instant"
        ),
        pytest.param(
            "FROM VendorsV2 WHERE AddressValidTo = '2154-12-31 23:59:59'", id="last instant"
        ),
        pytest.param("FROM ExchangeRates WHERE EndDate = '2154-12-31 12:00:00'", id="last date"),
        pytest.param(
            "FROM VendorInvoiceHeaders WHERE BusinessDocumentSubmissionId_W"
            " = '00000000-0000-0000-0000-000000000000'",
            id="empty GUID",
        ),
        pytest.param("FROM VendorInvoiceHeaders WHERE Recalculation", id="true boolean"),
        pytest.param("FROM PurchaseOrderLinesV2 WHERE PurchasePrice = 0.01", id="price of a cent"),
        pytest.param(
            "FROM PurchaseOrderLinesV2 WHERE OrderedPurchaseQuantity % 1 <> 0",
            id="fraction of a unit",
        ),
        pytest.param("FROM ExchangeRates WHERE ConversionFactor <> 'Hundred'", id="other factor"),
        pytest.param(
            "FROM VendTransBiEntities WHERE ExchAdjustment <> 0", id="exchange difference"
        ),
        pytest.param(
            "FROM VendTransBiEntities WHERE SettleAmountCur NOT IN (0, AmountCur)", id="half paid"
        ),
    ],
)
def test_the_trap_is_set(world: World, condition: str) -> None:
    assert found(world, f"SELECT 1 {condition}")


@pytest.mark.parametrize(
    "name", ["VendorsV2", "PurchaseOrderHeadersV2", "VendTransBiEntities", "VendorInvoiceLines"]
)
def test_one_company_is_written_in_two_ways(world: World, name: str) -> None:
    assert found(world, f"SELECT 1 FROM {name} WHERE dataAreaId = 'USMF'")
    assert found(world, f"SELECT 1 FROM {name} WHERE dataAreaId = 'usmf'")


@pytest.mark.parametrize("name", ["VendTransBiEntities", "VendInvoiceJourBiEntities"])
def test_many_rows_share_a_second(world: World, name: str) -> None:
    assert found(
        world,
        f"SELECT SysModifiedDateTime FROM {name} GROUP BY 1 HAVING count(*) > 2",
    )


def test_rec_ids_jump_and_run_against_the_order_of_posting(world: World) -> None:
    steps = """
        SELECT SourceKey - lag(SourceKey) OVER (ORDER BY CreatedOn, SourceKey) AS step
        FROM GeneralJournalEntryBiEntities
    """
    assert found(world, f"SELECT 1 FROM ({steps}) WHERE step > 700")
    assert found(world, f"SELECT 1 FROM ({steps}) WHERE step < 0")


def test_rec_id_order_is_not_key_order(world: World) -> None:
    with world.cursor() as cursor:
        accounts = [
            account
            for (account,) in cursor.execute(
                "SELECT MainAccountId FROM MainAccounts ORDER BY __rec_id"
            ).fetchall()
        ]
    assert accounts[:3] == ["200100", "600100", "110110"]


def test_versions_are_one_until_a_row_changes_and_random_after(world: World) -> None:
    with world.cursor() as cursor:
        untouched, touched, highest = cursor.execute(
            "SELECT count(*) FILTER (__rec_version = 1), count(DISTINCT __rec_version),"
            " max(__rec_version) FROM VendTransBiEntities"
        ).fetchone() or (0, 0, 0)
    assert untouched > 1000
    assert touched > 1000
    assert highest > 1_000_000


def test_one_journal_number_occurs_in_several_ledgers(world: World) -> None:
    assert found(
        world,
        "SELECT JournalNumber FROM GeneralJournalEntryBiEntities GROUP BY 1"
        " HAVING count(DISTINCT Ledger) = 4",
    )
