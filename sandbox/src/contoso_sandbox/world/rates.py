"""Exchange rates: one per month of history and pair of currencies, then one a day."""

from __future__ import annotations

import random
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contoso_sandbox.world.posting import Posting

#: Middle value of one unit in US dollars; documents are made in all but JPY.
_DOLLARS = {
    "USD": Decimal("1.0"),
    "EUR": Decimal("1.0842"),
    "GBP": Decimal("1.2695"),
    "CHF": Decimal("1.1317"),
    "CAD": Decimal("0.7324"),
    "SEK": Decimal("0.0957"),
    "JPY": Decimal("0.0067"),
}

#: ``Rate`` is the price of this many units, by the published ``ConversionFactor``.
_FACTORS = {"Hundred": 100, "TenThousand": 10_000}
#: Digits of the price of one unit, with which documents are converted. A hundred units have 16, as
#: many as ``Rate`` can hold.
_PRECISION = Decimal("1e-18")
_OPEN_END = "2154-12-31 12:00:00"


def publish_history(posting: Posting, seed: int, first: date) -> None:
    """Write the rates of the first of every month from ``first`` to the posting's day."""
    starts = [
        date(first.year + month // 12, month % 12 + 1, 1)
        for month in range(
            first.month - 1, (posting.day.year - first.year) * 12 + posting.day.month
        )
    ]
    posting.keep(
        "books.unit_rate",
        [{"from_currency": c, "to_currency": c, "starts": date.min, "rate": 1} for c in _DOLLARS],
    )
    _publish(posting, starts, seed)
    _close_previous(posting)


def publish_today(posting: Posting, seed: int) -> None:
    """Write the rates of the posting's day; those of the day before get an end date."""
    _publish(posting, [posting.day], seed)
    _close_previous(posting)


def _publish(posting: Posting, starts: list[date], seed: int) -> None:
    posting.insert_rows("ExchangeRates", [r for day in starts for r in _rates_on(day, seed)])
    posting.execute(
        """
        INSERT INTO books.unit_rate
        SELECT FromCurrency, ToCurrency, CAST(StartDate AS DATE),
            CASE ConversionFactor
                WHEN 'Hundred' THEN CAST(Rate AS DECIMAL(30, 16)) * CAST(0.01 AS DECIMAL(2, 2))
                ELSE CAST(Rate AS DECIMAL(30, 16)) * CAST(0.0001 AS DECIMAL(4, 4)) END
        FROM ExchangeRates WHERE CAST(StartDate AS DATE) IN (SELECT unnest($starts))
        """,
        starts=starts,
    )


def _close_previous(posting: Posting) -> None:
    posting.update(
        "ExchangeRates",
        "EndDate = following.starts - INTERVAL 1 DAY",
        """
        FROM (
            SELECT __rec_id AS changed, lead(StartDate) OVER (
                PARTITION BY RateTypeName, FromCurrency, ToCurrency ORDER BY StartDate) AS starts
            FROM ExchangeRates
        ) AS following
        WHERE following.changed = t.__rec_id AND following.starts IS NOT NULL
            AND t.EndDate > following.starts
        """,
    )


def _rates_on(day: date, seed: int) -> Iterator[dict[str, object]]:
    chance = random.Random(f"{seed} rates {day}")  # noqa: S311 - repeatable, not secret
    value = {
        currency: dollars * (10_000 + (chance.randint(-400, 400) if currency != "USD" else 0))
        for currency, dollars in _DOLLARS.items()
    }
    for source, worth in value.items():
        factor = "TenThousand" if source == "JPY" else "Hundred"
        for target, other in value.items():
            if source == target:
                continue
            rate = (worth / other).quantize(_PRECISION) * _FACTORS[factor]
            yield {
                "RateTypeName": "Default",
                "RateTypeDescription": "Default exchange rate",
                "FromCurrency": source,
                "ToCurrency": target,
                "StartDate": f"{day} 12:00:00",
                "EndDate": _OPEN_END,
                "Rate": str(rate),
                "ConversionFactor": factor,
            }
