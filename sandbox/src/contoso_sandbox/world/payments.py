"""Payments to vendors: each settles one invoice, in full or in half."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contoso_sandbox.world.accounts import BANK, EXCHANGE_GAIN, EXCHANGE_LOSS, VENDOR_BALANCE

if TYPE_CHECKING:
    from contoso_sandbox.world.posting import Posting

#: Open invoices with the day on which they are paid: a few days around the due date. One in eight
#: stays open, and one in twelve is paid in halves, the second some other day.
_DUE = """
CREATE OR REPLACE TEMP TABLE remittance AS
WITH due AS (
    SELECT __rec_id AS invoice_rec_id, lower(dataAreaId) AS company, AccountNum AS vendor,
        Invoice AS invoice, CurrencyCode AS currency, AmountCur, AmountMST,
        ReportingCurrencyAmount, SettleAmountCur, SettleAmountMST, SettleAmountReporting, TransDate,
        books.weekday_from(
            greatest(CAST(DueDate AS DATE) + CAST(books.below('pays', __rec_id, 13) AS INTEGER) - 3,
                CAST(TransDate AS DATE) + 1)) AS pays_on
    FROM VendTransBiEntities
    WHERE TransType IN ('Vend', 'Purch') AND Closed = TIMESTAMP '1900-01-01 12:00:00'
        -- Neither credit notes, nor what is less than a cent, nor a hundred billions and more.
        AND AmountCur <= -0.01 AND AmountCur > -100000000000
), payable AS (
    SELECT *, CASE WHEN $history THEN pays_on ELSE $day::DATE END AS paid_on,
        SettleAmountCur <> 0 OR NOT books.percent('half', invoice_rec_id, 8) AS is_full
    FROM due
    WHERE CASE WHEN SettleAmountCur <> 0
            THEN books.percent('rest', concat(invoice_rec_id, $day), 6)
            ELSE books.percent('paid', invoice_rec_id, 88) AND pays_on <= $day END
        -- However small the world, every day somebody is paid.
        OR NOT $history AND invoice_rec_id = (
            SELECT arg_min(invoice_rec_id, (pays_on, invoice_rec_id)) FROM due
            WHERE CAST(TransDate AS DATE) < $day)
), priced AS (
    SELECT p.*, c.vendor_prefix, a.rate AS accounting_rate, r.rate AS reporting_rate,
        v.name AS vendor_name, v.payment_method,
        books.stamp(p.paid_on, 'payment', p.invoice_rec_id) AS posted_at,
        CASE WHEN is_full THEN AmountCur - SettleAmountCur
            ELSE books.half(AmountCur) END AS settled,
        CASE WHEN is_full THEN AmountMST - SettleAmountMST
            ELSE books.half(AmountMST) END AS settled_accounting,
        CASE WHEN is_full THEN ReportingCurrencyAmount - SettleAmountReporting
            ELSE books.half(ReportingCurrencyAmount)
            END AS settled_reporting
    FROM payable AS p
    JOIN books.company AS c USING (company)
    JOIN books.vendor AS v ON v.company = p.company AND v.account = p.vendor
    ASOF JOIN books.unit_rate AS a ON a.from_currency = p.currency
        AND a.to_currency = c.accounting_currency AND p.paid_on >= a.starts
    ASOF JOIN books.unit_rate AS r ON r.from_currency = p.currency
        AND r.to_currency = c.reporting_currency AND p.paid_on >= r.starts
)
SELECT *, books.times(-settled, accounting_rate) AS paid_accounting,
    books.times(-settled, reporting_rate) AS paid_reporting,
    row_number() OVER (ORDER BY posted_at, invoice_rec_id) - 1 AS nth,
    '' AS voucher
FROM priced
"""

_TRANSACTIONS = """
SELECT books.as_typed(company, 'payment', invoice_rec_id) AS dataAreaId,
    company AS SysDataAreaId,
    vendor AS AccountNum,
    voucher AS Voucher,
    'Payment' AS TransType,
    books.noon(paid_on) AS TransDate,
    books.noon(paid_on) AS DocumentDate,
    books.noon(paid_on) AS DueDate,
    books.noon(paid_on) AS Closed,
    books.noon(paid_on) AS LastSettleDate,
    books.noon(paid_on) AS ApprovedDate,
    'Yes' AS Approved,
    voucher AS LastSettleVoucher,
    company AS LastSettleCompany,
    vendor AS LastSettleAccountNum,
    invoice_rec_id AS OffsetRecid,
    currency AS CurrencyCode,
    accounting_rate * 100 AS ExchRate,
    reporting_rate * 100 AS ReportingCurrencyExchRate,
    -settled AS AmountCur,
    paid_accounting AS AmountMST,
    paid_reporting AS ReportingCurrencyAmount,
    -settled AS SettleAmountCur,
    paid_accounting AS SettleAmountMST,
    paid_reporting AS SettleAmountReporting,
    concat('Payment of ', invoice) AS Txt,
    payment_method AS PaymMode,
    concat('RF', invoice_rec_id % 1000000007) AS PaymReference,
    concat('PJ', strftime(paid_on, '%Y%m%d')) AS JournalNum,
    'USMF OPER' AS CompanyBankAccountId,
    'GEN' AS PostingProfile,
    posted_at AS CreatedOn,
    posted_at AS SysModifiedDateTime,
    books.user_of('payment', invoice_rec_id) AS SysCreatedBy,
    books.user_of('payment', invoice_rec_id) AS SysModifiedBy,
    nth
FROM remittance
"""

#: What the invoice was booked at and what its payment cost differ by the exchange difference.
_DIFFERENCE = "-(s.settled_accounting + s.paid_accounting)"
_DIFFERENCE_REPORTING = "-(s.settled_reporting + s.paid_reporting)"

_SETTLE = f"""
SettleAmountCur = t.SettleAmountCur + s.settled,
SettleAmountMST = t.SettleAmountMST + s.settled_accounting,
SettleAmountReporting = t.SettleAmountReporting + s.settled_reporting,
ExchAdjustment = t.ExchAdjustment + {_DIFFERENCE},
ExchAdjustmentReporting = t.ExchAdjustmentReporting + {_DIFFERENCE_REPORTING},
VendExchAdjustmentRealized = t.VendExchAdjustmentRealized + {_DIFFERENCE},
ReportingExchAdjustmentRealized = t.ReportingExchAdjustmentRealized + {_DIFFERENCE_REPORTING},
Closed = CASE WHEN s.is_full THEN books.noon(s.paid_on) ELSE t.Closed END,
LastSettleDate = books.noon(s.paid_on),
LastSettleVoucher = s.voucher,
LastSettleCompany = s.company,
LastSettleAccountNum = s.vendor,
SysModifiedBy = books.user_of('payment', s.invoice_rec_id)
"""

_VOUCHERS = """
INSERT INTO voucher
SELECT voucher, company, paid_on, paid_on, '', 'Payment', posted_at,
    books.user_of('payment', invoice_rec_id)
FROM remittance
"""

_VOUCHER_LINES = f"""
INSERT INTO voucher_line
WITH line AS (
    SELECT s.*, 1 AS line, $vendor_balance AS main_account, 'VendBalance' AS posting_type,
        -settled AS amount, paid_accounting AS accounting, paid_reporting AS reporting
    FROM remittance AS s
    UNION ALL
    SELECT s.*, 2, $bank, 'Bank', settled, -paid_accounting, -paid_reporting FROM remittance AS s
    UNION ALL
    SELECT s.*, 3, $vendor_balance, 'VendBalance', 0, {_DIFFERENCE}, {_DIFFERENCE_REPORTING}
    FROM remittance AS s
    UNION ALL
    SELECT s.*, 4, CASE WHEN {_DIFFERENCE} > 0 THEN $gain ELSE $loss END,
        CASE WHEN {_DIFFERENCE} > 0 THEN 'ExchRateGain' ELSE 'ExchRateLoss' END,
        0, -({_DIFFERENCE}), -({_DIFFERENCE_REPORTING})
    FROM remittance AS s
)
SELECT voucher, company, line, main_account, '', '', posting_type,
    concat(vendor_name, ', ', invoice), currency, amount, accounting, reporting, 0,
    concat('RF', invoice_rec_id % 1000000007), false
FROM line WHERE line < 3 OR accounting <> 0 OR reporting <> 0
"""  # noqa: S608 - text of this module


def pay_vendors(posting: Posting, *, history: bool) -> None:
    """Pay what is due, and settle the invoices paid.

    Args:
        posting: The posting.
        history: Whether to pay all that fell due up to the posting's day, on its proper day;
            otherwise what falls due is paid on the posting's day.
    """
    posting.execute(_DUE, history=history)
    count = posting.execute("SELECT count(*) FROM remittance")
    posting.execute(
        "UPDATE remittance SET voucher ="
        " concat(vendor_prefix, '-APPM-', lpad(CAST($first + nth AS VARCHAR), 8, '0'))",
        first=posting.take("payment voucher", count),
    )
    posting.insert("VendTransBiEntities", _TRANSACTIONS)
    posting.update(
        "VendTransBiEntities",
        _SETTLE,
        "FROM remittance AS s WHERE s.invoice_rec_id = t.__rec_id",
        at="s.posted_at",
    )
    posting.execute(_VOUCHERS)
    posting.execute(
        _VOUCHER_LINES,
        vendor_balance=VENDOR_BALANCE,
        bank=BANK,
        gain=EXCHANGE_GAIN,
        loss=EXCHANGE_LOSS,
    )
