"""Journals that the accountants key in: payroll, depreciation, accruals, corrections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contoso_sandbox.world.accounts import ROUNDING
from contoso_sandbox.world.amounts import JOURNALS

if TYPE_CHECKING:
    from contoso_sandbox.world.posting import Posting

_STAGE = """
CREATE OR REPLACE TEMP TABLE journal AS
WITH document AS (
    SELECT number, day, books.company_of('journal company', number) AS company,
        books.below('journal kind', number, 4) AS kind,
        books.stamp(day, 'journal', number) AS posted_at
    FROM numbered($first, $count)
), priced AS (
    SELECT d.*, c.vendor_prefix, c.accounting_currency, c.reporting_currency,
        CASE WHEN books.percent('journal foreign', number, 15)
            THEN books.one_of('journal currency', number, ['USD', 'EUR', 'GBP', 'CHF', 'SEK'])
            ELSE c.accounting_currency END AS currency
    FROM document AS d JOIN books.company AS c USING (company)
)
SELECT p.*, a.rate AS accounting_rate, r.rate AS reporting_rate,
    concat(vendor_prefix, '-GNJL-', lpad(CAST(number AS VARCHAR), 7, '0')) AS voucher,
    ['Payroll', 'Depreciation', 'Accrual', 'Correction'][1 + kind] AS name,
    ['210300', '180150', '210200', '618900'][1 + kind] AS balancing_account,
    kind = 3 AS is_correction
FROM priced AS p
ASOF JOIN books.unit_rate AS a ON a.from_currency = p.currency
    AND a.to_currency = p.accounting_currency AND p.day >= a.starts
ASOF JOIN books.unit_rate AS r ON r.from_currency = p.currency
    AND r.to_currency = p.reporting_currency AND p.day >= r.starts
"""

_VOUCHERS = """
INSERT INTO voucher
SELECT voucher, company, day, day, '', 'GeneralJournal', posted_at,
    books.user_of('journal', number)
FROM journal
"""

_LINES = """
INSERT INTO voucher_line
WITH line AS (
    SELECT j.*, l.line, concat(j.number, '.', l.line) AS id,
        books.amount('journal amount', concat(j.number, '.', l.line))
            * CASE WHEN is_correction THEN -1 ELSE 1 END AS amount
    FROM journal AS j, unnest(range(1, 2 + books.below('journal lines', j.number, 5))) AS l(line)
), converted AS (
    SELECT *, books.times(amount, accounting_rate) AS accounting,
        books.times(amount, reporting_rate) AS reporting
    FROM line
)
SELECT voucher, company, line,
    CASE kind
        WHEN 0 THEN books.one_of('payroll', id, ['602100', '602200'])
        WHEN 1 THEN '607200'
        ELSE books.one_of('cost', id, ['600150', '601500', '603200', '605150', '606300', '608100'])
        END,
    books.department('journal', id), books.cost_center('journal', id), 'LedgerJournal',
    concat(name, ' ', strftime(day, '%Y-%m'),
        CASE WHEN books.percent('text', id, 2) THEN '\nsee "file" \U0001f4ce' ELSE '' END),
    currency, amount, accounting, reporting, 0, '', is_correction
FROM converted
UNION ALL
-- The other side takes what is left, in each currency.
SELECT voucher, company, 99, balancing_account, '', '', 'LedgerJournal',
    concat(name, ' ', strftime(day, '%Y-%m')),
    currency, -sum(amount), -sum(accounting), -sum(reporting), 0, '', is_correction
FROM converted
GROUP BY voucher, company, balancing_account, name, day, currency, is_correction
"""

_STAGE_HANDMADE = """
CREATE OR REPLACE TEMP TABLE handmade_journal AS
WITH line AS (
    SELECT h.*, c.accounting_currency AS currency, c.reporting_currency,
        concat(c.vendor_prefix, '-GNJL-HURTS') AS voucher, work.day
    FROM handmade_journal_line AS h JOIN books.company AS c USING (company),
        (SELECT quantile_disc(day, 0.5) AS day FROM work_day) AS work
)
SELECT line.* EXCLUDE (reporting_currency),
    line.amount AS accounting, books.times(line.amount, r.rate) AS reporting
FROM line
ASOF JOIN books.unit_rate AS r ON r.from_currency = line.currency
    AND r.to_currency = line.reporting_currency AND line.day >= r.starts
"""

_HANDMADE_VOUCHERS = """
INSERT INTO voucher
SELECT DISTINCT voucher, company, day, day, '', 'GeneralJournal', day + INTERVAL 11 HOUR, 'Admin'
FROM handmade_journal
"""

_HANDMADE_LINES = """
INSERT INTO voucher_line
SELECT voucher, company, line, main_account, '001', '007', 'LedgerJournal',
    'Amounts that hurt \U0001f4b8', currency, amount, accounting, reporting, 0, '', false
FROM handmade_journal
UNION ALL
SELECT voucher, company, 99, $balancing_account, '', '', 'LedgerJournal', 'What is left', currency,
    -sum(amount), -sum(accounting), -sum(reporting), 0, '', false
FROM handmade_journal GROUP BY voucher, company, currency
"""


def post_journals(posting: Posting, count: int) -> None:
    """Stage ``count`` balanced journals, spread over the work days."""
    posting.execute(_STAGE, first=posting.take("journal", count), count=count)
    posting.execute(_VOUCHERS)
    posting.execute(_LINES)


def post_handmade_journals(posting: Posting) -> None:
    """Stage the journals whose amounts hurt, all on the middle work day."""
    posting.keep(
        "handmade_journal_line",
        [
            {"company": company, "line": line, "main_account": account, "amount": amount}
            for company, lines in JOURNALS
            for line, (account, amount) in enumerate(lines, start=1)
        ],
    )
    posting.execute(_STAGE_HANDMADE)
    posting.execute(_HANDMADE_VOUCHERS)
    posting.execute(_HANDMADE_LINES, balancing_account=ROUNDING)
