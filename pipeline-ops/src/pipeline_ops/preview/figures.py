"""What the charts show, worked out of a few grouped rows: exact, and without I/O.

Amounts of different currencies are never added up: every result holds one figure a currency.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from pipeline_ops.pages.numbers import total

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Vendors that are shown by name.
TOP = 15

#: Buckets of the ageing: the last day overdue that belongs in it, and its name.
_BUCKETS = (
    (0, "Not due"),
    (30, "1\N{EN DASH}30 days"),
    (60, "31\N{EN DASH}60 days"),
    (90, "61\N{EN DASH}90 days"),
)
_OLDEST = "Over 90 days"
_UNDATED = "No due date"

BUCKETS = (*(name for _, name in _BUCKETS), _OLDEST)


@dataclass(frozen=True, slots=True)
class Vendor:
    """A vendor of one company, and what was invoiced."""

    name: str
    company: str
    invoices: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Spend:
    """What was spent in one currency.

    Attributes:
        top: The vendors with the most, the largest first.
        rest: All others together; ``None`` where there are none.
        others: How many vendors these are.
    """

    currency: str
    top: list[Vendor]
    rest: Vendor | None
    others: int

    @property
    def rows(self) -> list[Vendor]:
        """The vendors by name, and the rest as one more."""
        return [*self.top, *([self.rest] if self.rest else [])]

    @property
    def total(self) -> Decimal:
        """Of all vendors."""
        return total(vendor.amount for vendor in self.rows)

    @property
    def invoices(self) -> int:
        """Of all vendors."""
        return sum(vendor.invoices for vendor in self.rows)


def spend_by_vendor(
    rows: Iterable[tuple[str, str, str, int, Decimal]], names: Mapping[tuple[str, str], str]
) -> list[Spend]:
    """The vendors with the largest spend, and the rest, a currency.

    Args:
        rows: Company, account, currency, number of invoices, amount.
        names: Company and account -> the vendor's name.
    """
    by_currency: dict[str, list[Vendor]] = defaultdict(list)
    for company, account, currency, invoices, amount in rows:
        name = names.get((company, account)) or account
        by_currency[currency].append(Vendor(name, company, invoices, amount))
    found = []
    for currency, vendors in sorted(by_currency.items()):
        vendors.sort(key=lambda v: (v.name, v.company))
        vendors.sort(key=lambda v: v.amount, reverse=True)
        top, others = vendors[:TOP], vendors[TOP:]
        rest = None
        if others:
            rest = Vendor(
                f"{len(others)} other vendor{'s' if len(others) > 1 else ''}",
                "",
                sum(v.invoices for v in others),
                total(v.amount for v in others),
            )
        found.append(Spend(currency, top, rest, len(others)))
    return sorted(found, key=lambda s: -s.invoices)


@dataclass(frozen=True, slots=True)
class Ageing:
    """What is owed in one currency, by how late it is.

    Attributes:
        buckets: Name -> amount, in order.
        companies: Company -> bucket -> amount.
    """

    currency: str
    buckets: dict[str, Decimal]
    companies: dict[str, dict[str, Decimal]]

    @property
    def total(self) -> Decimal:
        """All that is owed."""
        return total(self.buckets.values())

    def of_company(self, company: str) -> Decimal:
        """All that one company owes."""
        return total(self.companies[company].values())


def bucket_of(days_overdue: int | None) -> str:
    """The bucket of a transaction that was due so many days ago; negative: due later."""
    if days_overdue is None:
        return _UNDATED
    return next((name for last, name in _BUCKETS if days_overdue <= last), _OLDEST)


def age(rows: Iterable[tuple[str, str, int | None, Decimal]]) -> list[Ageing]:
    """Open amounts in buckets, a currency.

    Args:
        rows: Company, currency, days overdue, amount owed.
    """
    found: dict[str, dict[str, dict[str, Decimal]]] = defaultdict(dict)
    undated: set[str] = set()
    for company, currency, days, amount in rows:
        name = bucket_of(days)
        if name == _UNDATED:
            undated.add(currency)
        of_company = found[currency].setdefault(company, defaultdict(Decimal))
        of_company[name] = total((of_company[name], amount))
    result = []
    for currency, companies in found.items():
        names = (*BUCKETS, *([_UNDATED] if currency in undated else []))
        whole = {
            company: {name: amounts.get(name, Decimal(0)) for name in names}
            for company, amounts in sorted(companies.items())
        }
        sums = {name: total(c[name] for c in whole.values()) for name in names}
        result.append(Ageing(currency, sums, whole))
    return sorted(result, key=lambda a: (-len(a.companies), a.currency))


@dataclass(frozen=True, slots=True)
class Month:
    """What one company posted in a month."""

    debits: Decimal
    credits: Decimal
    entries: int

    @property
    def balance(self) -> Decimal:
        """Zero, where every entry balances."""
        return total((self.debits, self.credits))


#: In place of a month; sorts behind all of them.
UNDATED = "without a date"


@dataclass(frozen=True, slots=True)
class LedgerPeriods:
    """The general ledger of the companies that keep one currency.

    Attributes:
        months: All months from the first to the last, as ``2026-03``.
        companies: Company -> month -> what was posted; a month without postings is missing, and
            what has no date stands under :data:`UNDATED`.
    """

    currency: str
    months: list[str]
    companies: dict[str, dict[str, Month]]

    @property
    def rows(self) -> list[tuple[str, str, Month]]:
        """Company, month and what was posted, in order."""
        return [
            (company, name, months[name])
            for company, months in self.companies.items()
            for name in sorted(months)
        ]


def ledger_by_period(
    rows: Iterable[tuple[str, str, int | None, Decimal, Decimal, int]],
) -> list[LedgerPeriods]:
    """Postings by month and company, a currency.

    Args:
        rows: Company, currency, month as 202603 or ``None``, debits, credits (negative), entries.
    """
    found: dict[str, dict[str, dict[str, Month]]] = defaultdict(lambda: defaultdict(dict))
    for company, currency, month, debits, credits_, entries in rows:
        label = UNDATED if month is None else f"{month // 100:04d}-{month % 100:02d}"
        found[currency][company][label] = Month(debits, credits_, entries)
    result = []
    for currency, companies in found.items():
        posted = {month for of_company in companies.values() for month in of_company}
        months = sorted(posted - {UNDATED})
        result.append(
            LedgerPeriods(
                currency,
                _months_between(months[0], months[-1]) if months else [],
                dict(sorted(companies.items())),
            )
        )
    return sorted(result, key=lambda p: (-len(p.companies), p.currency))


def _months_between(first: str, last: str) -> list[str]:
    (year, month), end = map(int, first.split("-")), last
    months = []
    while (label := f"{year:04d}-{month:02d}") <= end:
        months.append(label)
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)  # noqa: PLR2004
    return months
