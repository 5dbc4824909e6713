"""The books: what an accountant would check before believing a dashboard."""

# ruff: noqa: S608 - SQL of names in this repository

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import duckdb

ENTRIES = """
SELECT e.*, h.SubledgerVoucher AS voucher, h.SubledgerVoucherDataAreaId AS company, h.AccountingDate
FROM GeneralJournalAccountEntryBiEntities AS e
JOIN GeneralJournalEntryBiEntities AS h ON h.SourceKey = e.GeneralJournalEntry
"""


def rows(cursor: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[object, ...]]:
    return cursor.execute(sql).fetchall()


@pytest.mark.parametrize("currency", ["Accounting", "Reporting", "Transaction"])
def test_every_voucher_balances_to_the_last_digit(
    books: duckdb.DuckDBPyConnection, currency: str
) -> None:
    assert not rows(
        books,
        f"SELECT voucher, company FROM ({ENTRIES}) GROUP BY ALL"
        f" HAVING sum({currency}CurrencyAmount) <> 0",
    )


def test_amounts_are_whole_cents_but_for_those_made_by_hand(
    books: duckdb.DuckDBPyConnection,
) -> None:
    fractions = f"""
        SELECT DISTINCT voucher, company FROM ({ENTRIES})
        WHERE AccountingCurrencyAmount <> round(AccountingCurrencyAmount, 2)
            OR TransactionCurrencyAmount <> round(TransactionCurrencyAmount, 2)
            OR ReportingCurrencyAmount <> round(ReportingCurrencyAmount, 2)
    """
    by_hand = """
        SELECT Voucher AS voucher, lower(dataAreaId) AS company FROM VendTransBiEntities
        WHERE contains(Invoice, 'HURTS') OR contains(Txt, 'HURTS')
        UNION ALL SELECT 'US-GNJL-HURTS', 'usmf'
        UNION ALL SELECT 'DE-GNJL-HURTS', 'demf'
        UNION ALL SELECT 'GB-GNJL-HURTS', 'gbsi'
    """
    assert not rows(books, f"FROM ({fractions}) ANTI JOIN ({by_hand}) USING (voucher, company)")
    assert len(rows(books, fractions)) > 10


def test_every_entry_has_its_header_and_every_header_two_entries(
    books: duckdb.DuckDBPyConnection,
) -> None:
    assert not rows(
        books,
        "SELECT SourceKey FROM GeneralJournalAccountEntryBiEntities"
        " WHERE GeneralJournalEntry NOT IN (SELECT SourceKey FROM GeneralJournalEntryBiEntities)",
    )
    assert not rows(
        books,
        "SELECT h.SourceKey FROM GeneralJournalEntryBiEntities AS h"
        " LEFT JOIN GeneralJournalAccountEntryBiEntities AS e"
        " ON e.GeneralJournalEntry = h.SourceKey GROUP BY ALL HAVING count(e.SourceKey) < 2",
    )


def test_headers_point_to_ledger_company_period_and_year(
    books: duckdb.DuckDBPyConnection,
) -> None:
    assert not rows(
        books,
        """
        SELECT h.SourceKey FROM GeneralJournalEntryBiEntities AS h
        LEFT JOIN Ledgers AS l ON l.LedgerRecId = h.Ledger
            AND lower(l.LegalEntityId) = h.SubledgerVoucherDataAreaId
        LEFT JOIN FiscalCalendars AS d
            ON d.LedgerRecId = h.Ledger AND d.GregorianDate = h.AccountingDate
        WHERE l.LegalEntityId IS NULL OR h.FiscalCalendarPeriod IS DISTINCT FROM d.PeriodRecId
        """,
    )


def test_entries_name_their_account_twice_alike(books: duckdb.DuckDBPyConnection) -> None:
    assert not rows(
        books,
        """
        SELECT e.SourceKey FROM GeneralJournalAccountEntryBiEntities AS e
        LEFT JOIN MainAccounts AS m ON m.MainAccountRecId = e.MainAccount
        WHERE m.MainAccountId IS DISTINCT FROM split_part(e.LedgerAccount, '-', 1)
        """,
    )


def test_the_customised_entity_shows_the_same_entries(books: duckdb.DuckDBPyConnection) -> None:
    shared = """
        {account}.TransactionCurrencyAmount, {account}.AccountingCurrencyAmount,
        {account}.ReportingCurrencyAmount, {account}.LedgerAccount, {account}."Text",
        {header}.JournalNumber, {header}.AccountingDate, {header}.DocumentDate
    """
    standard = shared.format(account="e", header="h")
    custom = shared.format(account="c", header="c")
    plain = f"""
        SELECT e.SourceKey, h.SubledgerVoucherDataAreaId, h.SubledgerVoucher, {standard}
        FROM GeneralJournalAccountEntryBiEntities AS e
        JOIN GeneralJournalEntryBiEntities AS h ON h.SourceKey = e.GeneralJournalEntry
    """
    customised = f"""
        SELECT c.GeneralJournalAccountEntryRecId, c.dataAreaId, c.Voucher, {custom}
        FROM GeneralJournalAccountEntries AS c
    """
    assert not rows(books, f"({plain}) EXCEPT ALL ({customised})")
    assert not rows(books, f"({customised}) EXCEPT ALL ({plain})")


@pytest.mark.parametrize(
    ("ledger", "subledger"),
    [
        ("AccountingCurrencyAmount", "AmountMST + ExchAdjustment"),
        ("ReportingCurrencyAmount", "ReportingCurrencyAmount + ExchAdjustmentReporting"),
    ],
)
def test_accounts_payable_equals_the_vendor_ledger(
    books: duckdb.DuckDBPyConnection, ledger: str, subledger: str
) -> None:
    control = f"""
        SELECT company, sum({ledger}) FROM ({ENTRIES})
        WHERE split_part(LedgerAccount, '-', 1) = '200100' GROUP BY ALL
    """
    vendors = f"SELECT lower(dataAreaId), sum({subledger}) FROM VendTransBiEntities GROUP BY ALL"
    assert sorted(rows(books, control)) == sorted(rows(books, vendors))


def test_every_posted_invoice_is_one_vendor_transaction(
    books: duckdb.DuckDBPyConnection,
) -> None:
    invoices = """
        SELECT lower(dataAreaId), LedgerVoucher, InvoiceId, InvoiceAccount, CurrencyCode,
            InvoiceDate, DueDate, -InvoiceAmount, -InvoiceAmountMST FROM VendInvoiceJourBiEntities
    """
    transactions = """
        SELECT lower(dataAreaId), Voucher, Invoice, AccountNum, CurrencyCode, TransDate, DueDate,
            AmountCur, AmountMST FROM VendTransBiEntities WHERE TransType IN ('Vend', 'Purch')
    """
    assert not rows(books, f"({invoices}) EXCEPT ALL ({transactions})")
    assert not rows(books, f"({transactions}) EXCEPT ALL ({invoices})")


def test_payments_settle_the_invoices_they_name(books: duckdb.DuckDBPyConnection) -> None:
    assert not rows(
        books,
        """
        SELECT i.SourceKey FROM VendTransBiEntities AS i
        LEFT JOIN VendTransBiEntities AS p ON p.OffsetRecid = i.SourceKey
            AND lower(p.dataAreaId) = lower(i.dataAreaId) AND p.AccountNum = i.AccountNum
        WHERE i.TransType IN ('Vend', 'Purch')
        GROUP BY i.SourceKey, i.SettleAmountCur
        HAVING coalesce(sum(p.AmountCur), 0) <> -i.SettleAmountCur
        """,
    )


def test_an_invoice_is_closed_when_it_is_settled_in_full(
    books: duckdb.DuckDBPyConnection,
) -> None:
    closed = "Closed > TIMESTAMP '1900-01-01 12:00:00'"
    assert not rows(
        books,
        f"SELECT SourceKey FROM VendTransBiEntities"
        f" WHERE AmountCur <> 0 AND (({closed}) <> (SettleAmountCur = AmountCur)"
        f" OR ({closed}) AND SettleAmountMST <> AmountMST"
        f" OR abs(SettleAmountCur) > abs(AmountCur))",
    )


def test_foreign_invoices_are_converted_by_a_published_rate(
    books: duckdb.DuckDBPyConnection,
) -> None:
    assert not rows(
        books,
        """
        SELECT v.SourceKey FROM VendTransBiEntities AS v
        JOIN Ledgers AS l ON lower(l.LegalEntityId) = lower(v.dataAreaId)
        LEFT JOIN ExchangeRates AS r ON r.FromCurrency = v.CurrencyCode
            AND r.ToCurrency = l.AccountingCurrency
            AND v.TransDate BETWEEN r.StartDate AND r.EndDate
        WHERE v.CurrencyCode <> l.AccountingCurrency AND v.ExchRate IS DISTINCT FROM r.Rate
        """,
    )


def test_invoiced_orders_have_their_invoice_and_its_amount(
    books: duckdb.DuckDBPyConnection,
) -> None:
    assert not rows(
        books,
        """
        WITH ordered AS (
            SELECT lower(dataAreaId) AS company, PurchaseOrderNumber AS number,
                sum(LineAmount) AS amount
            FROM PurchaseOrderLinesV2 WHERE PurchaseOrderLineStatus = 'Invoiced' GROUP BY ALL
        ), billed AS (
            SELECT lower(dataAreaId) AS company, PurchId AS number, sum(SalesBalance) AS amount
            FROM VendInvoiceJourBiEntities WHERE PurchId <> '' GROUP BY ALL
        )
        SELECT * FROM ordered FULL JOIN billed USING (company, number)
        WHERE ordered.amount IS DISTINCT FROM billed.amount
        """,
    )


@pytest.mark.parametrize(
    ("child", "child_key", "parent", "parent_key"),
    [
        ("PurchaseOrderLinesV2", "PurchaseOrderNumber", "PurchaseOrderHeadersV2", None),
        ("VendorInvoiceLines", "HeaderReference", "VendorInvoiceHeaders", None),
        (
            "PurchaseOrderHeadersV2",
            "OrderVendorAccountNumber",
            "VendorsV2",
            "VendorAccountNumber",
        ),
        ("VendorInvoiceHeaders", "VendorAccount", "VendorsV2", "VendorAccountNumber"),
        ("VendInvoiceJourBiEntities", "InvoiceAccount", "VendorsV2", "VendorAccountNumber"),
        ("VendTransBiEntities", "AccountNum", "VendorsV2", "VendorAccountNumber"),
        ("VendorsV2", "InvoiceVendorAccountNumber", "VendorsV2", "VendorAccountNumber"),
        ("VendorsV2", "VendorGroupId", "VendorGroups", None),
    ],
)
def test_references_lead_to_rows_of_the_same_company(
    books: duckdb.DuckDBPyConnection,
    child: str,
    child_key: str,
    parent: str,
    parent_key: str | None,
) -> None:
    assert not rows(
        books,
        f"SELECT c.__rec_id FROM {child} AS c WHERE NOT EXISTS (FROM {parent} AS p"
        f" WHERE lower(p.dataAreaId) = lower(c.dataAreaId)"
        f" AND p.{parent_key or child_key} = c.{child_key})",
    )


def test_header_and_lines_of_an_order_have_one_status(books: duckdb.DuckDBPyConnection) -> None:
    assert not rows(
        books,
        """
        SELECT l.__rec_id FROM PurchaseOrderLinesV2 AS l
        JOIN PurchaseOrderHeadersV2 AS h USING (PurchaseOrderNumber)
        WHERE l.PurchaseOrderLineStatus <> h.PurchaseOrderStatus
        """,
    )


def test_fiscal_days_and_periods_cover_three_years_without_a_gap(
    books: duckdb.DuckDBPyConnection,
) -> None:
    days = rows(
        books,
        "SELECT count(*), min(GregorianDate)::DATE::VARCHAR, max(GregorianDate)::DATE::VARCHAR"
        " FROM FiscalCalendars GROUP BY LedgerRecId",
    )
    assert days == [(1095, "2025-01-01", "2027-12-31")] * 4
    gaps = """
        SELECT * FROM (
            SELECT StartDate, lag(EndDate) OVER (PARTITION BY Calendar ORDER BY StartDate) AS before
            FROM FiscalPeriods WHERE "Type" = 'Operating')
        WHERE StartDate <> before + INTERVAL 1 DAY
    """
    assert not rows(books, gaps)


def test_rates_of_a_pair_follow_each_other_without_overlap(
    books: duckdb.DuckDBPyConnection,
) -> None:
    assert not rows(
        books,
        """
        SELECT * FROM (
            SELECT EndDate, lead(StartDate) OVER (
                PARTITION BY FromCurrency, ToCurrency ORDER BY StartDate) AS next
            FROM ExchangeRates)
        WHERE EndDate <> coalesce(next - INTERVAL 1 DAY, TIMESTAMP '2154-12-31 12:00:00')
        """,
    )
