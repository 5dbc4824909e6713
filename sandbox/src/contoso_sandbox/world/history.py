"""The world's first day: everything that has happened from January 2025 until it opens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from contoso_sandbox.world import (
    accounts,
    calendars,
    companies,
    drafts,
    journals,
    ledger,
    payables,
    payments,
    pending,
    purchasing,
    rates,
    staging,
    vendors,
)

if TYPE_CHECKING:
    from contoso_sandbox.world.posting import Posting

#: Contoso's date when the world opens. Well in the past of any real clock, so that days can be
#: advanced without time stamps from the future.
OPENING_DAY = date(2026, 6, 30)
FIRST_DAY = calendars.FIRST_DAY


@dataclass(frozen=True, slots=True)
class Volume:
    """Documents of all history."""

    orders: int
    direct_invoices: int
    parked_invoices: int
    journals: int


def volume_at(scale: float) -> Volume:
    """Size of the world: at scale 1 about 3,000 invoices and 19,000 journal account entries."""
    return Volume(
        orders=max(60, round(2000 * scale)),
        direct_invoices=max(40, round(1400 * scale)),
        parked_invoices=max(30, round(100 * scale)),
        journals=max(8, round(250 * scale)),
    )


def write_history(posting: Posting, *, seed: int, scale: float) -> None:
    """Fill an empty world."""
    _write_masters(posting, seed=seed, scale=scale)
    volume = volume_at(scale)
    staging.prepare(posting, FIRST_DAY)
    # Before the others, whose staging is looked at again at the end.
    purchasing.write_handmade_order(posting)
    purchasing.write_orders(posting, volume.orders)
    drafts.draft_from_orders(posting)
    drafts.draft_direct(posting, volume.direct_invoices)
    drafts.draft_handmade(posting)
    payables.post_drafts(posting)
    drafts.clear(posting)
    payments.pay_vendors(posting, history=True)
    journals.post_journals(posting, volume.journals)
    journals.post_handmade_journals(posting)
    ledger.write_vouchers(posting)
    _park_latest(posting, volume.parked_invoices)


def _write_masters(posting: Posting, *, seed: int, scale: float) -> None:
    companies.found_companies(posting)
    accounts.open_accounts(posting)
    calendars.open_calendars(posting)
    rates.publish_history(posting, seed, FIRST_DAY)
    vendors.open_vendor_master(posting, scale)
    posting.execute("INSERT INTO books.journal_number SELECT company, 0 FROM books.company")


def _park_latest(posting: Posting, count: int) -> None:
    """Park invoices of the last fortnight, and those of the orders that were received lately."""
    posting.execute(
        "DELETE FROM work_day WHERE ordinal < (SELECT max(ordinal) - 9 FROM work_day);"
        "UPDATE work_day SET ordinal = ordinal - (SELECT min(ordinal) FROM work_day)"
    )
    posting.execute(
        """
        INSERT INTO billing
        SELECT company, purchase_order, $day::DATE FROM purchase_order
        WHERE status = 'Received' ORDER BY number DESC LIMIT $count
        """,
        count=count,
    )
    drafts.draft_from_orders(posting)
    drafts.draft_direct(posting, count)
    pending.park_drafts(posting)
    drafts.clear(posting)
