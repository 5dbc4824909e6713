"""Drafts of vendor invoices: from purchase orders, without one, and made by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contoso_sandbox.world.accounts import ROUNDING
from contoso_sandbox.world.amounts import BILLS

if TYPE_CHECKING:
    from contoso_sandbox.world.posting import Posting

#: How vendors number their invoices.
_INVOICE_NUMBER = """
    CASE books.below('invoice style', {id}, 40)
        WHEN 0 THEN concat('INV*', {id})
        WHEN 1 THEN concat('R/', {id}, ' #', books.below('invoice number', {id}, 900))
        WHEN 2 THEN concat(books.below('invoice number', {id}, 900), chr(8203), '-', {id})
        ELSE concat('INV-', 10000 + books.below('invoice number', {id}, 89999), '-', {id}) END
"""

_FROM_ORDERS = """
INSERT INTO draft
WITH billed AS MATERIALIZED (
    SELECT b.*, h.__rec_id AS id, h.OrderVendorAccountNumber AS account, h.CurrencyCode
    FROM billing AS b
    JOIN PurchaseOrderHeadersV2 AS h
        ON h.PurchaseOrderNumber = b.purchase_order AND lower(h.dataAreaId) = b.company
)
SELECT concat('O', b.id), b.company, b.account,
    {invoice_number}, b.billed_on, b.billed_on + v.term_days, b.CurrencyCode, b.purchase_order,
    concat('Order ', b.purchase_order), books.stamp(b.billed_on, 'invoice', b.id)
FROM billed AS b JOIN books.vendor AS v USING (company, account)
""".replace("{invoice_number}", _INVOICE_NUMBER.replace("{id}", "b.id"))

_LINES_FROM_ORDERS = """
INSERT INTO draft_line
SELECT d.id, l.LineNumber, split_part(l.MainAccountIdDisplayValue, '-', 1),
    books.department('invoice', l.__rec_id), books.cost_center('invoice', l.__rec_id),
    l.ItemNumber, l.LineDescription, l.PurchaseUnitSymbol, l.OrderedPurchaseQuantity,
    l.PurchasePrice, l.LineAmount, l.LineNumber
FROM draft AS d
JOIN PurchaseOrderLinesV2 AS l
    ON l.PurchaseOrderNumber = d.purchase_order AND lower(l.dataAreaId) = d.company
"""

_DIRECT = """
INSERT INTO draft
WITH document AS MATERIALIZED (
    SELECT made.*, books.mostly_low('direct vendor', number, vendors) AS slot
    FROM (SELECT *, books.company_of('direct company', number) AS company
        FROM numbered($first, $count)) AS made
    JOIN books.company USING (company)
)
SELECT concat('D', document.number), document.company, v.account,
    {invoice_number}, document.day, document.day + v.term_days, v.currency, '',
    books.one_of('description', document.number, ['Energy', 'Consulting', 'Rent', 'Phone, mobile',
        'Fees Q1 & Q2', 'Maintenance "A"', '']),
    books.stamp(document.day, 'direct', document.number)
FROM document JOIN books.vendor AS v USING (company, slot)
""".replace("{invoice_number}", _INVOICE_NUMBER.replace("{id}", "document.number"))

_DIRECT_LINES = """
INSERT INTO draft_line
SELECT id, line,
    books.one_of('direct account', key, ['600150', '601500', '602300', '603100', '603200', '604100',
        '604200', '605150', '605200', '606300', '608100']),
    books.department('direct', key), books.cost_center('direct', key), '', description, '', 1,
    amount, amount, 0
FROM (
    SELECT d.id, l.line, d.description, concat(d.id, '.', l.line) AS key,
        books.amount('direct amount', concat(d.id, '.', l.line))
            -- Credit notes.
            * CASE WHEN books.percent('credit', d.id, 4) THEN -1 ELSE 1 END AS amount
    FROM draft AS d, unnest(range(1, 2 + books.below('direct lines', d.id, 2))) AS l(line)
    WHERE left(d.id, 1) = 'D'
)
"""


def draft_from_orders(posting: Posting) -> None:
    """Draft the invoices of the orders that are queued for billing."""
    posting.execute(_FROM_ORDERS)
    posting.execute(_LINES_FROM_ORDERS)
    posting.execute("DELETE FROM billing")


def draft_direct(posting: Posting, count: int) -> None:
    """Draft ``count`` invoices that have no order, spread over the work days."""
    posting.execute(_DIRECT, first=posting.take("direct invoice", count), count=count)
    posting.execute(_DIRECT_LINES)


def draft_handmade(posting: Posting) -> None:
    """Draft the invoices whose amounts hurt, all on the middle work day."""
    posting.keep(
        "handmade_draft",
        [
            {"id": f"H{number}", "company": company, "account": vendor}
            for number, (company, vendor, _) in enumerate(BILLS)
        ],
    )
    posting.execute(
        """
        INSERT INTO draft
        SELECT h.id, v.company, v.account, concat('HURTS-', h.id), day, day + v.term_days,
            c.accounting_currency, '', 'Amounts that hurt 💸', day + INTERVAL 11 HOUR
        FROM handmade_draft AS h
        JOIN books.vendor AS v USING (company, account)
        JOIN books.company AS c USING (company),
        (SELECT quantile_disc(day, 0.5) AS day FROM work_day)
        """
    )
    posting.keep(
        "draft_line",
        [
            {
                "id": f"H{number}",
                "line": line,
                "main_account": ROUNDING,
                "department": "001",
                "cost_center": "007",
                "item": "",
                "description": "Rounding",
                "unit": "",
                "quantity": 1,
                "price": amount,
                "amount": amount,
                "order_line": 0,
            }
            for number, (_, _, amounts) in enumerate(BILLS)
            for line, amount in enumerate(amounts, start=1)
        ],
    )


def clear(posting: Posting) -> None:
    """Forget the drafts: they are posted or parked."""
    posting.execute("DELETE FROM draft")
    posting.execute("DELETE FROM draft_line")
