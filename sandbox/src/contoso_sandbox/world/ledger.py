"""The general ledger: every staged voucher becomes a header and its account entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contoso_sandbox.world.posting import FIRST_REC_ID

if TYPE_CHECKING:
    from contoso_sandbox.world.posting import Posting

#: Journal numbers count in each company, so that the same number occurs in several ledgers.
_NUMBER_VOUCHERS = """
CREATE OR REPLACE TEMP TABLE numbered_voucher AS
SELECT v.*, c.ledger, p.period, p.year, p.period_name, p.year_name,
    concat('GJ', lpad(CAST(j.next + row_number() OVER (
        PARTITION BY v.company ORDER BY v.posted_at, v.voucher) AS VARCHAR), 9, '0'))
        AS journal_number,
    row_number() OVER (ORDER BY v.posted_at, v.company, v.voucher) - 1 AS nth
FROM voucher AS v
JOIN books.company AS c ON c.company = v.company
JOIN books.journal_number AS j ON j.company = v.company
JOIN books.period AS p
    ON p.company = v.company AND v.accounting_date BETWEEN p.starts AND p.ends
"""

_NUMBER_LINES = """
CREATE OR REPLACE TEMP TABLE numbered_line AS
SELECT l.*, v.nth AS voucher_nth,
    CASE WHEN l.amount < 0 OR l.amount = 0 AND l.accounting < 0 THEN 'Yes' ELSE 'No' END
        AS is_credit,
    rtrim(concat(l.main_account, '-', l.department, '-', l.cost_center), '-') AS ledger_account,
    row_number() OVER (ORDER BY v.nth, l.line) - 1 AS nth
FROM voucher_line AS l JOIN numbered_voucher AS v USING (voucher, company)
"""

_HEADERS = """
SELECT journal_number AS JournalNumber, year AS FiscalCalendarYear, ledger AS Ledger,
    voucher AS SubledgerVoucher, company AS SubledgerVoucherDataAreaId,
    period AS FiscalCalendarPeriod, books.noon(accounting_date) AS AccountingDate,
    books.noon(document_date) AS DocumentDate, document_number AS DocumentNumber,
    category AS JournalCategory, 'Current' AS PostingLayer,
    posted_at AS CreatedOn, created_by AS SysCreatedBy,
    5637200000 + nth AS SysCreatedTransactionId, 5637300000 + nth AS LedgerEntryJournal,
    books.noon(accounting_date) AS AcknowledgementDate, nth
FROM numbered_voucher ORDER BY nth
"""

_ACCOUNT_ENTRIES = """
SELECT books.rec_id($header_base, $header_first + l.voucher_nth) AS GeneralJournalEntry,
    a.rec_id AS MainAccount, l.ledger_account AS LedgerAccount, l.posting_type AS PostingType,
    l.amount AS TransactionCurrencyAmount, l.accounting AS AccountingCurrencyAmount,
    l.reporting AS ReportingCurrencyAmount, l.currency AS TransactionCurrencyCode,
    l.is_credit AS IsCredit, CASE WHEN l.is_correction THEN 'Yes' ELSE 'No' END AS IsCorrection,
    l.text AS "Text", l.quantity AS Quantity, l.payment_reference AS PaymentReference,
    concat('{"MainAccount":"', l.main_account, '","Department":"', replace(l.department, '\\', ''),
        '","CostCenter":"', l.cost_center, '"}') AS LedgerDimensionValuesJson,
    5637200000 + l.voucher_nth AS CreatedByTransactionId,
    NULL AS AssetLeasePostingTypes, l.nth
FROM numbered_line AS l JOIN books.account AS a ON a.main_account = l.main_account
ORDER BY l.nth
"""

_CUSTOM_ENTRIES = """
SELECT l.company AS dataAreaId,
    books.rec_id($line_base, $line_first + l.nth) AS GeneralJournalAccountEntryRecId,
    v.journal_number AS JournalNumber, l.voucher AS Voucher,
    books.noon(v.accounting_date) AS AccountingDate, books.noon(v.document_date) AS DocumentDate,
    v.document_number AS DocumentNumber, v.category AS JournalCategory,
    l.posting_type AS PostingType, l.main_account AS MainAccountId, a.name AS MainAccountName,
    l.ledger_account AS LedgerAccount,
    concat(l.department, '-', l.cost_center) AS DimensionDisplayValue, l.text AS "Text",
    l.quantity AS Quantity, l.is_credit AS IsCredit,
    CASE WHEN l.is_correction THEN 'Yes' ELSE 'No' END AS IsCorrection,
    l.currency AS TransactionCurrencyCode, l.amount AS TransactionCurrencyAmount,
    c.accounting_currency AS AccountingCurrency, l.accounting AS AccountingCurrencyAmount,
    c.reporting_currency AS ReportingCurrency, l.reporting AS ReportingCurrencyAmount,
    v.year_name AS FiscalYear, v.period_name AS FiscalPeriod,
    l.payment_reference AS PaymentReference, v.created_by AS CreatedBy,
    v.posted_at AS CreatedDateTime, v.posted_at AS ModifiedDateTime,
    concat(';1,', books.rec_id($header_base, $header_first + v.nth)) AS __etag_tail, l.nth
FROM numbered_line AS l
JOIN numbered_voucher AS v ON v.nth = l.voucher_nth
JOIN books.company AS c ON c.company = l.company
JOIN books.account AS a ON a.main_account = l.main_account
ORDER BY l.nth
"""


def write_vouchers(posting: Posting) -> None:
    """Write all staged vouchers to the ledger, in the order in which they were posted."""
    posting.execute(_NUMBER_VOUCHERS)
    posting.execute(_NUMBER_LINES)
    headers = {
        "header_base": FIRST_REC_ID["GeneralJournalEntryBiEntities"],
        "header_first": posting.insert("GeneralJournalEntryBiEntities", _HEADERS),
    }
    first_line = posting.insert("GeneralJournalAccountEntryBiEntities", _ACCOUNT_ENTRIES, **headers)
    posting.insert(
        "GeneralJournalAccountEntries",
        _CUSTOM_ENTRIES,
        line_base=FIRST_REC_ID["GeneralJournalAccountEntryBiEntities"],
        line_first=first_line,
        **headers,
    )
    posting.execute(
        """
        UPDATE books.journal_number AS j SET next = j.next + made.count
        FROM (SELECT company, count(*) AS count FROM voucher GROUP BY company) AS made
        WHERE made.company = j.company
        """
    )
    posting.execute("DELETE FROM voucher")
    posting.execute("DELETE FROM voucher_line")
