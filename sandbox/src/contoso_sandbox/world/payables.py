"""Accounts payable: drafts become posted invoices, vendor transactions and vouchers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contoso_sandbox.world.accounts import INPUT_TAX, VENDOR_BALANCE

if TYPE_CHECKING:
    from contoso_sandbox.world.posting import Posting

#: Voucher number and the rates of the invoice date, per unit.
_BILLS = """
CREATE OR REPLACE TEMP TABLE bill AS
WITH numbered_draft AS (
    SELECT *, row_number() OVER (ORDER BY posted_at, id) - 1 AS nth FROM draft
)
SELECT d.*, concat(c.vendor_prefix, '-APIN-', lpad(CAST($first + d.nth AS VARCHAR), 8, '0'))
        AS voucher,
    c.tax_percent, c.tax_code, a.rate AS accounting_rate, r.rate AS reporting_rate,
    v.vendor_group, v.term, v.payment_method, v.name AS vendor_name, c.country, c.language,
    books.user_of('invoice', d.id) AS created_by
FROM numbered_draft AS d
JOIN books.company AS c USING (company)
JOIN books.vendor AS v ON v.company = d.company AND v.account = d.vendor
ASOF JOIN books.unit_rate AS a ON a.from_currency = d.currency
    AND a.to_currency = c.accounting_currency AND d.invoice_date >= a.starts
ASOF JOIN books.unit_rate AS r ON r.from_currency = d.currency
    AND r.to_currency = c.reporting_currency AND d.invoice_date >= r.starts
"""

#: Expense and tax lines, each rounded in each currency; the vendor's line is minus their sum.
_BILL_LINES = """
CREATE OR REPLACE TEMP TABLE bill_line AS
WITH line AS (
    SELECT id, line, main_account, department, cost_center, description, quantity, amount
    FROM draft_line
    UNION ALL
    SELECT b.id, 10000, $input_tax, '', '', b.tax_code, 0,
        books.percent_of(sum(l.amount), b.tax_percent)
    FROM bill AS b JOIN draft_line AS l USING (id)
    WHERE b.tax_percent > 0
    GROUP BY b.id, b.tax_code, b.tax_percent
)
SELECT l.*, books.times(l.amount, b.accounting_rate) AS accounting,
    books.times(l.amount, b.reporting_rate) AS reporting
FROM line AS l JOIN bill AS b USING (id)
"""

_TOTALS = """
CREATE OR REPLACE TEMP TABLE bill_total AS
SELECT id,
    CAST(sum(amount) AS DECIMAL(32, 6)) AS amount,
    CAST(sum(accounting) AS DECIMAL(32, 6)) AS accounting,
    CAST(sum(reporting) AS DECIMAL(32, 6)) AS reporting,
    CAST(coalesce(sum(amount) FILTER (line = 10000), 0) AS DECIMAL(32, 6)) AS tax,
    CAST(sum(quantity) AS DECIMAL(32, 6)) AS quantity
FROM bill_line GROUP BY id
"""

_INVOICE_JOURNAL = """
SELECT books.as_typed(company, 'invoice', b.id) AS dataAreaId,
    b.company AS SysDataAreaId,
    b.invoice AS InvoiceId,
    concat('I', b.voucher) AS InternalInvoiceId,
    b.voucher AS LedgerVoucher,
    b.voucher AS CostLedgerVoucher,
    b.vendor AS InvoiceAccount,
    b.vendor AS OrderAccount,
    b.vendor_group AS VendGroup,
    b.purchase_order AS PurchId,
    CASE WHEN b.purchase_order = '' THEN 'Journal' ELSE 'Purch' END AS PurchaseType,
    CASE WHEN b.purchase_order = '' THEN 'Service' ELSE 'Manual' END AS DocumentOrigin,
    books.noon(b.invoice_date) AS InvoiceDate,
    books.noon(b.invoice_date - 1) AS DocumentDate,
    books.noon(b.invoice_date) AS ReceivedDate,
    books.noon(b.due_date) AS DueDate,
    CASE WHEN b.term = 'Net10' THEN books.noon(b.invoice_date + 7)
        ELSE TIMESTAMP '1900-01-01 12:00:00' END AS CashDiscDate,
    CASE WHEN b.term = 'Net10' THEN '1%D07' ELSE '' END AS CashDiscCode,
    CASE WHEN b.term = 'Net10' THEN 1 ELSE 0 END AS CashDiscPercent,
    b.term AS Payment,
    b.currency AS CurrencyCode,
    b.accounting_rate * 100 AS ExchRate,
    b.reporting_rate * 100 AS ReportingCurrencyExchangeRate,
    t.amount AS InvoiceAmount,
    t.accounting AS InvoiceAmountMST,
    t.amount - t.tax AS SalesBalance,
    t.tax AS SumTax,
    t.quantity AS Qty,
    b.tax_code AS TaxGroup,
    b.description AS Description,
    b.invoice AS DocumentNum,
    b.language AS LanguageId,
    b.country AS CountryRegionId,
    b.vendor_name AS DeliveryName,
    'GEN' AS PostingProfile,
    5637500000 + b.nth AS SourceDocumentHeader,
    5637600000 + b.nth AS SourceDocumentLine,
    b.posted_at AS CreatedOn,
    b.posted_at AS SysModifiedDateTime,
    b.created_by AS SysCreatedBy,
    b.nth
FROM bill AS b JOIN bill_total AS t USING (id)
"""

_TRANSACTIONS = """
SELECT books.as_typed(company, 'transaction', b.id) AS dataAreaId,
    b.company AS SysDataAreaId,
    b.vendor AS AccountNum,
    b.voucher AS Voucher,
    b.invoice AS Invoice,
    CASE WHEN b.purchase_order = '' THEN 'Vend' ELSE 'Purch' END AS TransType,
    books.noon(b.invoice_date) AS TransDate,
    books.noon(b.invoice_date - 1) AS DocumentDate,
    books.noon(b.due_date) AS DueDate,
    b.currency AS CurrencyCode,
    b.accounting_rate * 100 AS ExchRate,
    b.reporting_rate * 100 AS ReportingCurrencyExchRate,
    -- A debt is negative.
    -t.amount AS AmountCur,
    -t.accounting AS AmountMST,
    -t.reporting AS ReportingCurrencyAmount,
    b.description AS Txt,
    b.term AS PaymTermId,
    b.payment_method AS PaymMode,
    'GEN' AS PostingProfile,
    b.invoice AS DocumentNum,
    'Yes' AS Approved,
    books.noon(b.invoice_date) AS ApprovedDate,
    5637700000 + b.nth AS AccountingEvent,
    5637200000 + b.nth AS SysCreatedTransactionId,
    5637200000 + b.nth AS SysModifiedTransactionId,
    b.posted_at AS CreatedOn,
    b.posted_at AS SysModifiedDateTime,
    b.created_by AS SysCreatedBy,
    b.created_by AS SysModifiedBy,
    b.nth
FROM bill AS b JOIN bill_total AS t USING (id)
"""

_VOUCHERS = """
INSERT INTO voucher
SELECT voucher, company, invoice_date, invoice_date - 1, invoice,
    CASE WHEN purchase_order = '' THEN 'Vend' ELSE 'Purch' END, posted_at, created_by
FROM bill
"""

_VOUCHER_LINES = """
INSERT INTO voucher_line
SELECT b.voucher, b.company, l.line, l.main_account, l.department, l.cost_center,
    CASE WHEN l.line = 10000 THEN 'Tax' WHEN b.purchase_order = '' THEN 'LedgerJournal'
        ELSE 'PurchReceipt' END,
    l.description, b.currency, l.amount, l.accounting, l.reporting, l.quantity, '', false
FROM bill_line AS l JOIN bill AS b USING (id)
UNION ALL
SELECT b.voucher, b.company, 20000, $vendor_balance, '', '', 'VendBalance',
    concat(b.vendor_name, ', ', b.invoice), b.currency, -t.amount, -t.accounting, -t.reporting, 0,
    '', false
FROM bill AS b JOIN bill_total AS t USING (id)
"""


def post_drafts(posting: Posting) -> None:
    """Post all drafts; their vouchers are staged for the general ledger."""
    count = posting.execute("SELECT count(*) FROM draft")
    posting.execute(_BILLS, first=posting.take("invoice voucher", count))
    posting.execute(_BILL_LINES, input_tax=INPUT_TAX)
    posting.execute(_TOTALS)
    posting.insert("VendInvoiceJourBiEntities", _INVOICE_JOURNAL)
    posting.insert("VendTransBiEntities", _TRANSACTIONS)
    posting.execute(_VOUCHERS)
    posting.execute(_VOUCHER_LINES, vendor_balance=VENDOR_BALANCE)
