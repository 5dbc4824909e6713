"""Vendor invoices that wait: parked drafts, gone from their sets once they are posted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contoso_sandbox.world.posting import Posting

_HEADERS = """
SELECT books.as_typed(d.company, 'pending', d.id) AS dataAreaId,
    d.id AS HeaderReference,
    d.invoice AS InvoiceNumber,
    d.vendor AS VendorAccount,
    d.vendor AS InvoiceAccount,
    v.name AS VendorName,
    d.purchase_order AS PurchaseOrderNumber,
    books.noon(d.invoice_date) AS InvoiceDate,
    books.noon(d.invoice_date) AS "Date",
    books.noon(d.invoice_date) AS InvoiceReceivedDate,
    books.noon(d.due_date) AS DueDate,
    d.currency AS Currency,
    d.description AS InvoiceDescription,
    v.term AS TermsOfPayment,
    v.payment_method AS MethodOfPayment,
    c.tax_code AS SalesTaxGroup,
    c.site AS Site,
    'GEN' AS PostingProfile,
    100 AS ExchangeRate,
    CASE WHEN books.percent('approved', d.id, 60) THEN 'Yes' ELSE 'No' END AS IsApproved,
    CASE WHEN books.percent('held', d.id, 10) THEN 'Yes' ELSE 'No' END AS IsOnHold,
    CASE WHEN books.percent('approved', d.id, 60) THEN 'Approved' ELSE 'Draft' END
        AS VendorInvoiceReviewStatus,
    books.percent('recalculate', d.id, 15) AS Recalculation,
    CASE WHEN books.percent('submission', d.id, 30)
        THEN CAST(books.guid('submission', d.id) AS VARCHAR)
        ELSE '00000000-0000-0000-0000-000000000000' END AS BusinessDocumentSubmissionId_W,
    CASE WHEN books.percent('comment', d.id, 15) THEN 'See mail.\nAsk "A. P."' ELSE '' END
        AS Comment,
    row_number() OVER (ORDER BY d.posted_at, d.id) - 1 AS nth
FROM draft AS d
JOIN books.company AS c USING (company)
JOIN books.vendor AS v ON v.company = d.company AND v.account = d.vendor
"""

_LINES = """
SELECT books.as_typed(d.company, 'pending line', concat(d.id, l.line)) AS dataAreaId,
    d.id AS HeaderReference,
    l.line AS InvoiceLineNumber,
    l.line AS LineNumber,
    d.vendor AS VendorAccount,
    d.vendor AS InvoiceAccount,
    d.company AS DataAreaCompany,
    d.currency AS Currency,
    d.purchase_order AS PurchaseOrder,
    l.order_line AS PurchLineNumber,
    l.item AS ItemNumber,
    l.description AS ItemName,
    l.description AS LineDescription,
    l.unit AS Unit,
    l.quantity AS ReceiveNow,
    l.price AS UnitPrice,
    1 AS PriceUnit,
    l.amount AS Amount,
    l.amount AS NetAmount,
    concat(l.main_account, '-', l.department, '-', l.cost_center) AS MainAccountDisplayValue,
    concat(l.department, '-', l.cost_center) AS DimensionDisplayValue,
    CASE WHEN books.percent('1099', concat(d.id, l.line), 20) THEN NULL ELSE 'None' END
        AS Tax1099Type,
    concat(';1,', 5637145000 + l.line) AS __etag_tail,
    row_number() OVER (ORDER BY d.posted_at, d.id, l.line) - 1 AS nth
FROM draft AS d JOIN draft_line AS l USING (id)
"""

#: The oldest twentieth of each company's, and at least one of the largest company's: a day never
#: takes so many that it looks like a fault.
_CHOOSE = """
CREATE OR REPLACE TEMP TABLE released AS
SELECT company, HeaderReference AS id
FROM (
    SELECT *, lower(dataAreaId) AS company,
        row_number() OVER (PARTITION BY lower(dataAreaId) ORDER BY IsOnHold, __rec_id) AS place,
        count(*) OVER (PARTITION BY lower(dataAreaId)) AS parked
    FROM VendorInvoiceHeaders
)
WHERE IsOnHold = 'No' AND InvoiceDate < books.noon($day)
    AND place <= greatest(parked // 20, CASE company WHEN 'usmf' THEN 1 ELSE 0 END)
"""

_DRAFTS = """
INSERT INTO draft
SELECT h.HeaderReference, r.company, h.VendorAccount, h.InvoiceNumber, $day::DATE,
    CAST(h.DueDate AS DATE), h.Currency, h.PurchaseOrderNumber, h.InvoiceDescription,
    books.stamp($day, 'released', h.__rec_id)
FROM VendorInvoiceHeaders AS h
JOIN released AS r ON r.id = h.HeaderReference AND r.company = lower(h.dataAreaId)
"""

_DRAFT_LINES = """
INSERT INTO draft_line
SELECT l.HeaderReference, CAST(l.InvoiceLineNumber AS BIGINT),
    split_part(l.MainAccountDisplayValue, '-', 1),
    books.department('released', l.__rec_id), books.cost_center('released', l.__rec_id),
    l.ItemNumber, l.LineDescription, l.Unit, l.ReceiveNow, l.UnitPrice, l.Amount, l.PurchLineNumber
FROM VendorInvoiceLines AS l
JOIN released AS r ON r.id = l.HeaderReference AND r.company = lower(l.dataAreaId)
"""

_RELEASED = """
EXISTS (FROM released AS r WHERE r.id = t.HeaderReference AND r.company = lower(t.dataAreaId))
"""


def park_drafts(posting: Posting) -> None:
    """Park all drafts as pending invoices."""
    posting.insert("VendorInvoiceHeaders", _HEADERS)
    posting.insert("VendorInvoiceLines", _LINES)


def release(posting: Posting) -> None:
    """Turn some pending invoices of earlier days back into drafts, to be posted today."""
    posting.execute(_CHOOSE)
    posting.execute(_DRAFTS)
    posting.execute(_DRAFT_LINES)
    posting.delete("VendorInvoiceLines", _RELEASED)
    posting.delete("VendorInvoiceHeaders", _RELEASED)
