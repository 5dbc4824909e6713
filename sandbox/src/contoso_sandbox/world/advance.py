"""One business day: what a day of work adds, changes and removes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

from contoso_sandbox.world import (
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
from contoso_sandbox.world.history import FIRST_DAY, OPENING_DAY, volume_at

if TYPE_CHECKING:
    from contoso_sandbox.world.posting import Posting, Tally

#: Business days of the history, by which a day's share is found: five of seven.
_HISTORY_DAYS = (OPENING_DAY - FIRST_DAY).days * 5 // 7
_WEEKEND = 5


@dataclass(slots=True)
class AdvanceSummary:
    """What advancing changed, by entity set.

    Attributes:
        days: The business days that were posted.
        inserted: Rows added.
        updated: Rows changed; a row changed on two days counts twice.
        deleted: Rows removed.
    """

    days: list[date] = field(default_factory=list)
    inserted: dict[str, int] = field(default_factory=dict)
    updated: dict[str, int] = field(default_factory=dict)
    deleted: dict[str, int] = field(default_factory=dict)

    def add(self, day: date, tally: Tally) -> None:
        """Count one more day."""
        self.days.append(day)
        for mine, more in (
            (self.inserted, tally.inserted),
            (self.updated, tally.updated),
            (self.deleted, tally.deleted),
        ):
            for name, count in more.items():
                mine[name] = mine.get(name, 0) + count


def next_business_day(day: date) -> date:
    """The weekday after ``day``."""
    following = day + timedelta(days=1)
    while following.weekday() >= _WEEKEND:
        following += timedelta(days=1)
    return following


def post_day(posting: Posting, *, seed: int, scale: float) -> None:
    """Post the posting's day; the caller commits it as one transaction."""
    year = volume_at(scale)
    staging.prepare(posting, posting.day)
    rates.publish_today(posting, seed)
    vendors.add_vendors(posting, {"usmf": 1})
    vendors.change_vendors(posting, _share(year.orders, 2))
    _trade(posting, _share(year.orders))
    _invoice(posting, _share(year.direct_invoices))
    payments.pay_vendors(posting, history=False)
    journals.post_journals(posting, _share(year.journals, 2))
    ledger.write_vouchers(posting)


def _trade(posting: Posting, count: int) -> None:
    purchasing.delete_orders(posting, max(1, count // 3))
    purchasing.cancel_orders(posting, max(1, count // 4))
    purchasing.receive_orders(posting, max(1, count // 2))
    purchasing.write_orders(posting, count)


def _invoice(posting: Posting, count: int) -> None:
    """Post what was pending, and park what came in today."""
    pending.release(posting)
    purchasing.mark_invoiced(posting)
    payables.post_drafts(posting)
    drafts.clear(posting)
    drafts.draft_from_orders(posting)
    drafts.draft_direct(posting, count)
    pending.park_drafts(posting)
    drafts.clear(posting)


def _share(documents: int, at_least: int = 3) -> int:
    return max(at_least, documents // _HISTORY_DAYS)
