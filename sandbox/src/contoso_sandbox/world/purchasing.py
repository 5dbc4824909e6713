"""Purchase orders: written with all their lines, received, cancelled, deleted."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from contoso_sandbox.world.amounts import ORDER, ORDER_COMPANY, ORDER_LINES, ORDER_VENDOR

if TYPE_CHECKING:
    from contoso_sandbox.world.posting import Posting

#: What becomes of an order is a matter of its age, so that one statement makes history and today.
_STAGE = """
CREATE OR REPLACE TEMP TABLE purchase_order AS
WITH document AS MATERIALIZED (
    SELECT number, day, company, books.mostly_low('order vendor', number, vendors) AS slot,
        books.weekday_from(day + CAST(5 + books.below('lead', number, 20) AS INTEGER)) AS billed_on,
        CASE WHEN books.percent('lines', number, 30) THEN 1
            ELSE 2 + books.below('lines', number, 5) END AS lines
    FROM (SELECT *, books.company_of('order company', number) AS company
        FROM numbered($first, $count))
    JOIN books.company USING (company)
)
SELECT d.* EXCLUDE (slot), v.account AS vendor, v.name AS vendor_name, v.currency,
    v.term, v.payment_method, c.country, c.language, c.time_zone, c.site, c.tax_code,
    -- A number range of its own in each company; some came with an import.
    CASE number
        WHEN 3 THEN 'PO*0003'
        WHEN 5 THEN 'PO/5 ''A'''
        WHEN 7 THEN ' 0007'
        ELSE concat(c.vendor_prefix, '-PO-', lpad(CAST(number AS VARCHAR), 7, '0'))
        END AS purchase_order,
    CASE
        WHEN books.percent('cancelled', number, 5) AND day < $day THEN 'Canceled'
        WHEN books.percent('billed', number, 85) AND billed_on <= $day THEN 'Invoiced'
        WHEN books.percent('received', number, 40) AND day < $day THEN 'Received'
        ELSE 'Backorder' END AS status
FROM document AS d
JOIN books.company AS c USING (company)
JOIN books.vendor AS v USING (company, slot)
"""

_HEADERS = """
SELECT books.as_typed(company, 'order', number) AS dataAreaId,
    purchase_order AS PurchaseOrderNumber,
    vendor_name AS PurchaseOrderName,
    vendor AS OrderVendorAccountNumber,
    vendor AS InvoiceVendorAccountNumber,
    currency AS CurrencyCode,
    status AS PurchaseOrderStatus,
    CASE WHEN status = 'Backorder' AND books.percent('draft', number, 25) THEN 'Draft'
        ELSE 'Confirmed' END AS DocumentApprovalStatus,
    books.noon(day) AS AccountingDate,
    books.noon(billed_on) AS RequestedDeliveryDate,
    CASE WHEN status IN ('Received', 'Invoiced') THEN books.noon(billed_on - 2)
        ELSE TIMESTAMP '1900-01-01 12:00:00' END AS ConfirmedDeliveryDate,
    term AS PaymentTermsName,
    payment_method AS VendorPaymentMethodName,
    language AS LanguageId,
    tax_code AS SalesTaxGroupCode,
    site AS DefaultReceivingSiteId,
    concat(site, '1') AS DefaultReceivingWarehouseId,
    concat('-', books.department('order', number), '-', books.cost_center('order', number), '--')
        AS DefaultLedgerDimensionDisplayValue,
    lpad(CAST(books.below('orderer', number, 999) AS VARCHAR), 6, '0') AS OrdererPersonnelNumber,
    books.one_of('buyer', number, ['', '1', '2', 'BIKES']) AS BuyerGroupId,
    books.one_of('delivery', number, ['10', '20', '']) AS DeliveryModeId,
    books.one_of('terms', number, ['CIF', 'DDP', 'EXW']) AS DeliveryTermsId,
    concat('Ref ', number, CASE WHEN books.percent('note', number, 3) THEN '\nurgent!' ELSE '' END)
        AS VendorOrderReference,
    country AS DeliveryAddressCountryRegionId,
    left(country, 2) AS DeliveryAddressCountryRegionISOCode,
    concat('Dock ', 1 + books.below('dock', number, 9)) AS DeliveryAddressName,
    concat('Dock ', 1 + books.below('dock', number, 9), '\n', site, '\n', country)
        AS FormattedDeliveryAddress,
    CASE WHEN books.percent('zone', number, 30) THEN NULL ELSE time_zone END
        AS DeliveryAddressTimeZone,
    concat(vendor_name, '\nAccounts receivable') AS FormattedInvoiceAddress,
    CASE WHEN books.percent('total', number, 8) THEN 2.5 ELSE 0 END AS TotalDiscountPercentage,
    'OpenTransact' AS VendorTransactionSettlementType,
    'GEN' AS VendorPostingProfileId,
    concat(';0,0;0,0;1,', 5637144500 + books.below('address', number, 900), ';0,0;0,0')
        AS __etag_tail,
    number - $first AS nth
FROM purchase_order
"""

#: Item, quantity, price, discount and amount of every line, by chance.
_DRAWN = """
WITH line AS (
    SELECT o.*, l.line, concat(o.number, '.', l.line) AS id,
        CAST(1 + books.mostly_low('quantity', concat(o.number, '.', l.line), 120)
            AS DECIMAL(18, 2))
            + CASE WHEN books.percent('half', concat(o.number, '.', l.line), 7)
                THEN CAST(0.25 AS DECIMAL(18, 2)) ELSE 0 END AS quantity
    FROM purchase_order AS o, unnest(range(1, o.lines + 1)) AS l(line)
), discounted AS (
    SELECT *, CASE WHEN books.percent('discount', id, 12) THEN CAST(7.5 AS DECIMAL(5, 2)) ELSE 0 END
        AS discount
    FROM line JOIN books.item
        ON item.slot = books.below('item', id, (SELECT count(*) FROM books.item))
)
SELECT *, books.times(quantity, price)
    - books.percent_of(books.times(quantity, price), discount) AS amount
FROM discounted
"""

#: The same, by hand.
_HANDMADE = """
SELECT o.*, h.line, concat(o.number, '.', h.line) AS id, i.* EXCLUDE (slot, price), h.quantity,
    h.price, h.amount, 0 AS discount
FROM purchase_order AS o, handmade_order_line AS h JOIN books.item AS i USING (item)
"""

_LINES = """
SELECT books.as_typed(company, 'order line', id) AS dataAreaId,
    purchase_order AS PurchaseOrderNumber,
    line AS LineNumber,
    item AS ItemNumber,
    description AS LineDescription,
    category AS ProcurementProductCategoryName,
    unit AS PurchaseUnitSymbol,
    quantity AS OrderedPurchaseQuantity,
    price AS PurchasePrice,
    1 AS PurchasePriceQuantity,
    discount AS LineDiscountPercentage,
    amount AS LineAmount,
    status AS PurchaseOrderLineStatus,
    'Approved' AS WorkflowState,
    concat(main_account, '-', books.department('line', id), '-', books.cost_center('line', id))
        AS MainAccountIdDisplayValue,
    concat('-', books.department('line', id), '-', books.cost_center('line', id), '--')
        AS DefaultLedgerDimensionDisplayValue,
    concat('LOT-', lpad(CAST(number * 10 + line AS VARCHAR), 9, '0')) AS InventoryLotId,
    books.noon(billed_on) AS RequestedDeliveryDate,
    site AS ReceivingSiteId,
    concat(site, '1') AS ReceivingWarehouseId,
    tax_code AS SalesTaxGroupCode,
    CASE WHEN books.percent('external', id, 25) THEN concat('"', upper(item), '"') ELSE '' END
        AS ExternalItemNumber,
    country AS DeliveryAddressCountryRegionId,
    -- Misspelt in the product, and so in the contract.
    concat('Dock ', 1 + books.below('dock', number, 9), '\n', site, '\n', country)
        AS FormattedDelveryAddress,
    CASE WHEN books.percent('zone', id, 30) THEN NULL ELSE time_zone END AS DeliveryAddressTimeZone,
    CASE WHEN books.percent('1099', id, 20) THEN NULL ELSE 'None' END AS Tax1099Type,
    'ThreeWayMatch' AS VendorInvoiceMatchingPolicy,
    'Yes' AS CalculateLineAmount,
    concat(';1,', 22566000000 + number * 10 + line, ';0,0') AS __etag_tail,
    row_number() OVER (ORDER BY number, line) - 1 AS nth
FROM ({lines})
"""

_STAGE_HANDMADE = """
CREATE OR REPLACE TEMP TABLE purchase_order AS
SELECT $number AS number, work.day, c.company, work.day + 7 AS billed_on, 0 AS lines,
    v.account AS vendor, v.name AS vendor_name, c.accounting_currency AS currency, v.term,
    v.payment_method, c.country, c.language, c.time_zone, c.site, c.tax_code,
    $purchase_order AS purchase_order, 'Invoiced' AS status
FROM books.vendor AS v JOIN books.company AS c USING (company),
    (SELECT quantile_disc(day, 0.5) AS day FROM work_day) AS work
WHERE c.company = $company AND v.account = $vendor
"""

#: Orders that may be touched: nothing billed or parked refers to them.
_OPEN = """
t.PurchaseOrderStatus = 'Backorder' AND t.PurchaseOrderNumber NOT IN (
    SELECT PurchaseOrderNumber FROM VendorInvoiceHeaders WHERE PurchaseOrderNumber <> '')
"""


def write_orders(posting: Posting, count: int) -> None:
    """Write ``count`` new orders; those already invoiced are queued for billing."""
    first = posting.take("purchase order", count)
    posting.execute(_STAGE, first=first, count=count)
    _write_staged(posting, first, _DRAWN)


def write_handmade_order(posting: Posting) -> None:
    """Write the order whose amounts hurt; it is queued for billing."""
    number = posting.take("purchase order", 1)
    posting.keep(
        "handmade_order_line",
        [{"line": line, **asdict(made)} for line, made in enumerate(ORDER_LINES, start=1)],
    )
    posting.execute(
        _STAGE_HANDMADE,
        number=number,
        purchase_order=ORDER,
        company=ORDER_COMPANY,
        vendor=ORDER_VENDOR,
    )
    _write_staged(posting, number, _HANDMADE)


def _write_staged(posting: Posting, first: int, lines: str) -> None:
    posting.insert("PurchaseOrderHeadersV2", _HEADERS, first=first)
    posting.insert("PurchaseOrderLinesV2", _LINES.replace("{lines}", lines))
    posting.execute(
        """
        INSERT INTO billing
        SELECT company, purchase_order, billed_on FROM purchase_order WHERE status = 'Invoiced'
        """
    )


def receive_orders(posting: Posting, count: int) -> None:
    """Receive some of the oldest open orders; they are queued for billing."""
    _choose(posting, "received", count)
    posting.execute(
        "INSERT INTO billing SELECT company, purchase_order, $day::DATE FROM chosen_order"
    )
    _set_status(posting, "Received")


def cancel_orders(posting: Posting, count: int) -> None:
    """Cancel some open orders."""
    _choose(posting, "cancelled", count)
    _set_status(posting, "Canceled")


def delete_orders(posting: Posting, count: int) -> None:
    """Delete some open orders with their lines; nothing tells of it but their absence."""
    _choose(posting, "deleted", count)
    gone = """
    EXISTS (FROM chosen_order AS c
        WHERE c.company = lower(t.dataAreaId) AND c.purchase_order = t.PurchaseOrderNumber)
    """
    posting.delete("PurchaseOrderLinesV2", gone)
    posting.delete("PurchaseOrderHeadersV2", gone)


def mark_invoiced(posting: Posting) -> None:
    """Mark the orders of the drafts that are about to be posted."""
    posting.execute(
        """
        CREATE OR REPLACE TEMP TABLE chosen_order AS
        SELECT company, purchase_order FROM draft WHERE purchase_order <> ''
        """
    )
    _set_status(posting, "Invoiced")


def _set_status(posting: Posting, status: str) -> None:
    """Give the chosen orders and their lines a status."""
    these = """
    FROM chosen_order AS c
    WHERE c.company = lower(t.dataAreaId) AND c.purchase_order = t.PurchaseOrderNumber
    """
    delivered = ", ConfirmedDeliveryDate = books.noon($day)" if status == "Received" else ""
    posting.update(
        "PurchaseOrderHeadersV2", f"PurchaseOrderStatus = $status{delivered}", these, status=status
    )
    posting.update(
        "PurchaseOrderLinesV2",
        f"PurchaseOrderLineStatus = $status{delivered}",
        these,
        status=status,
    )


def _choose(posting: Posting, purpose: str, count: int) -> None:
    posting.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE chosen_order AS
        SELECT lower(t.dataAreaId) AS company, t.PurchaseOrderNumber AS purchase_order
        FROM PurchaseOrderHeadersV2 AS t WHERE {_OPEN}
        ORDER BY books.draw($purpose, concat($day, t.__rec_id)) LIMIT $count
        """,  # noqa: S608 - text of this module
        purpose=purpose,
        count=count,
    )
