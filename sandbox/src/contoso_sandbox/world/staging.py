"""Documents on their way into the sets: temporary tables of one posting.

A draft is a vendor invoice with its lines, before it is posted or parked; a voucher is what the
general ledger gets, each line in transaction, accounting and reporting currency. What is made in a
posting is spread over its work days: all of history, or the one day of an advance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

    from contoso_sandbox.world.posting import Posting

_TABLES = """
CREATE TEMP TABLE work_day (ordinal BIGINT, day DATE);
CREATE TEMP TABLE billing (company VARCHAR, purchase_order VARCHAR, billed_on DATE);
CREATE TEMP TABLE draft (
    id VARCHAR, company VARCHAR, vendor VARCHAR, invoice VARCHAR, invoice_date DATE,
    due_date DATE, currency VARCHAR, purchase_order VARCHAR, description VARCHAR,
    posted_at TIMESTAMP
);
CREATE TEMP TABLE draft_line (
    id VARCHAR, line BIGINT, main_account VARCHAR, department VARCHAR, cost_center VARCHAR,
    item VARCHAR, description VARCHAR, unit VARCHAR, quantity DECIMAL(32, 6),
    price DECIMAL(32, 6), amount DECIMAL(32, 6), order_line BIGINT
);
CREATE TEMP TABLE handmade_draft (id VARCHAR, company VARCHAR, account VARCHAR);
CREATE TEMP TABLE handmade_order_line (
    line BIGINT, item VARCHAR, quantity DECIMAL(32, 6), price DECIMAL(32, 6), amount DECIMAL(32, 6)
);
CREATE TEMP TABLE handmade_journal_line (
    company VARCHAR, line BIGINT, main_account VARCHAR, amount DECIMAL(32, 6)
);
CREATE TEMP TABLE voucher (
    voucher VARCHAR, company VARCHAR, accounting_date DATE, document_date DATE,
    document_number VARCHAR, category VARCHAR, posted_at TIMESTAMP, created_by VARCHAR
);
CREATE TEMP TABLE voucher_line (
    voucher VARCHAR, company VARCHAR, line BIGINT, main_account VARCHAR, department VARCHAR,
    cost_center VARCHAR, posting_type VARCHAR, text VARCHAR, currency VARCHAR,
    amount DECIMAL(32, 6), accounting DECIMAL(32, 6), reporting DECIMAL(32, 6),
    quantity DECIMAL(32, 6), payment_reference VARCHAR, is_correction BOOLEAN
);
-- Everything made is numbered by ``number`` and dated by ``day``.
CREATE TEMP MACRO numbered(first, amount) AS TABLE
    SELECT first + made.ordinal AS number, work_day.day
    FROM range(amount) AS made(ordinal)
    JOIN work_day
        ON work_day.ordinal = made.ordinal * (SELECT count(*) FROM work_day) // amount;
"""


def prepare(posting: Posting, first_day: date) -> None:
    """Create the staging tables for work days from ``first_day`` to the posting's day."""
    posting.execute(_TABLES)
    posting.execute(
        """
        INSERT INTO work_day
        SELECT row_number() OVER (ORDER BY day) - 1, day
        FROM range($first_day::DATE, $day::DATE + 1, INTERVAL 1 DAY) AS days(day)
        WHERE isodow(day) < 6
        """,
        first_day=first_day,
    )
