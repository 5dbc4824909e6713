"""What is asked of which extract: SQL that groups and adds up within hyperd, in exact numbers."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from pipeline_ops.pages.numbers import total
from pipeline_ops.preview.extracts import CannotDrawError, Extracts, Needs
from pipeline_ops.preview.figures import (
    Ageing,
    LedgerPeriods,
    Spend,
    age,
    ledger_by_period,
    spend_by_vendor,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date
    from decimal import Decimal

TRANSACTIONS = "VendTransBiEntities"
VENDORS = ("VendorsV2", "VendorsV3", "Vendors")
LEDGERS = "Ledgers"
ENTRIES = "GeneralJournalAccountEntries"
LINES, HEADERS = "GeneralJournalAccountEntryBiEntities", "GeneralJournalEntryBiEntities"

#: F&O has no empty date; where `null_sentinels` is off, this one stands for it.
_NO_DATE = "DATE '1900-01-01'"

_SPEND = """
SELECT lower("dataAreaId"), "AccountNum", "CurrencyCode", count(*),
  -sum("ReportingCurrencyAmount"), -sum("AmountCur")
FROM {0} WHERE "TransType" IN ('Purch', 'Vend')
GROUP BY 1, 2, 3
"""

_NAMES = """
SELECT lower("dataAreaId"), "VendorAccountNumber", "VendorOrganizationName" FROM {0}
"""

_AGEING = """
SELECT lower("dataAreaId"), "CurrencyCode",
  CASE WHEN CAST("DueDate" AS DATE) > %(none)s
    THEN DATE '%(day)s' - CAST("DueDate" AS DATE) END,
  -sum("ReportingCurrencyAmount" - "SettleAmountReporting"),
  -sum("AmountCur" - "SettleAmountCur")
FROM {0} WHERE "Closed" IS NULL OR CAST("Closed" AS DATE) <= %(none)s
GROUP BY 1, 2, 3
"""

_BY_MONTH = """
  CAST(EXTRACT(YEAR FROM "AccountingDate") * 100 + EXTRACT(MONTH FROM "AccountingDate") AS BIGINT)
    AS month,
  sum(CASE WHEN "ReportingCurrencyAmount" > 0 THEN "ReportingCurrencyAmount" ELSE 0 END),
  sum(CASE WHEN "ReportingCurrencyAmount" < 0 THEN "ReportingCurrencyAmount" ELSE 0 END),
  count(*)
"""

_LEDGER = f"""
SELECT lower("dataAreaId"), "ReportingCurrency", {_BY_MONTH}
FROM {{0}} GROUP BY 1, 2, 3
"""  # noqa: S608 - fixed texts

_LEDGER_OF_LINES = f"""
SELECT coalesce(lower("SubledgerVoucherDataAreaId"), 'unknown'), {_BY_MONTH}
FROM {{0}} AS lines LEFT JOIN {{1}} AS headers ON lines."GeneralJournalEntry" = headers."SourceKey"
GROUP BY 1, 2
"""  # noqa: S608 - fixed texts


def spend(extracts: Extracts) -> list[Spend]:
    """Invoices and credit notes by vendor.

    Raises:
        CannotDrawError: the extract is not there, lacks a column, or is empty.
    """
    currencies = reporting_currencies(extracts)
    rows = extracts.ask(
        _SPEND,
        Needs(
            TRANSACTIONS,
            amounts=("ReportingCurrencyAmount", "AmountCur"),
            others=("dataAreaId", "AccountNum", "CurrencyCode", "TransType"),
        ),
    )
    _demand(rows, "invoices")
    return spend_by_vendor(
        _merged(
            (company, account, *_money(company, currencies, currency, reporting, amount), count)
            for company, account, currency, count, reporting, amount in rows
        ),
        _vendor_names(extracts),
    )


def ageing(extracts: Extracts, day: date) -> list[Ageing]:
    """What is open, by the days since it was due.

    Raises:
        CannotDrawError: the extract is not there, lacks a column, or is empty.
    """
    currencies = reporting_currencies(extracts)
    rows = extracts.ask(
        _AGEING % {"day": day.isoformat(), "none": _NO_DATE},
        Needs(
            TRANSACTIONS,
            amounts=(
                "ReportingCurrencyAmount",
                "SettleAmountReporting",
                "AmountCur",
                "SettleAmountCur",
            ),
            others=("dataAreaId", "CurrencyCode", "DueDate", "Closed"),
        ),
    )
    _demand(rows, "open transactions")
    found = []
    for company, currency, days, reporting, amount in rows:
        money = _money(company, currencies, currency, reporting, amount)
        found.append((company, money[0], days, money[1]))
    return age(found)


def ledger(extracts: Extracts) -> list[LedgerPeriods]:
    """Posted entries by company and month.

    Of the standard product's entities, the lines have the amounts and their headers company and
    date; many environments also publish lines that have all of it.

    Raises:
        CannotDrawError: an extract is not there, lacks a column, or is empty.
    """
    if extracts.has(LINES, HEADERS) and not extracts.has(ENTRIES):
        currencies = reporting_currencies(extracts)
        rows = [
            [company, currencies.get(company, "reporting currency"), *rest]
            for company, *rest in extracts.ask(
                _LEDGER_OF_LINES,
                Needs(LINES, ("ReportingCurrencyAmount",), ("GeneralJournalEntry",)),
                Needs(HEADERS, (), ("SourceKey", "AccountingDate", "SubledgerVoucherDataAreaId")),
            )
        ]
    else:
        rows = extracts.ask(
            _LEDGER,
            Needs(
                ENTRIES,
                amounts=("ReportingCurrencyAmount",),
                others=("dataAreaId", "ReportingCurrency", "AccountingDate"),
            ),
        )
    _demand([row for row in rows if row[2] is not None], "entries with a date")
    return ledger_by_period((c, cur, m, d, k, n) for c, cur, m, d, k, n in rows)


def reporting_currencies(extracts: Extracts) -> dict[str, str]:
    """Company -> reporting currency; empty where the extract of ledgers does not tell."""
    try:
        rows = extracts.ask(
            'SELECT lower("LegalEntityId"), "ReportingCurrency" FROM {0}',
            Needs(LEDGERS, amounts=(), others=("LegalEntityId", "ReportingCurrency")),
        )
    except CannotDrawError:
        return {}
    return {company: currency for company, currency in rows if currency}


def _vendor_names(extracts: Extracts) -> dict[tuple[str, str], str]:
    """Company and account -> name; without an extract of vendors, accounts stand for names."""
    for stream in VENDORS:
        needs = Needs(stream, (), ("dataAreaId", "VendorAccountNumber", "VendorOrganizationName"))
        try:
            rows = extracts.ask(_NAMES, needs)
        except CannotDrawError:
            continue
        return {(company, account): name for company, account, name in rows if name}
    return {}


def _money(
    company: str,
    currencies: Mapping[str, str],
    currency: str,
    reporting: Decimal,
    transaction: Decimal,
) -> tuple[str, Decimal]:
    """The amount in the company's reporting currency; where that is unknown, in its own."""
    known = currencies.get(company)
    return (known, reporting) if known else (currency, transaction)


def _merged(
    rows: Iterable[tuple[str, str, str, Decimal, int]],
) -> list[tuple[str, str, str, int, Decimal]]:
    """One row a company, account and currency: several transaction currencies become one."""
    amounts: dict[tuple[str, str, str], list[Decimal]] = defaultdict(list)
    invoices: dict[tuple[str, str, str], int] = defaultdict(int)
    for company, account, currency, amount, count in rows:
        amounts[company, account, currency].append(amount)
        invoices[company, account, currency] += count
    return [(*key, invoices[key], total(values)) for key, values in amounts.items()]


def _demand(rows: list[list[Any]], what: str) -> None:
    if not rows:
        message = f"the extract holds no {what}"
        raise CannotDrawError(message)
