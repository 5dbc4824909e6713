"""Figures as people read them: a Decimal in, text out, no float on the way."""

from __future__ import annotations

import decimal
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Sums of any number of 38-digit values; Python's default of 28 digits would round them silently.
_EXACT = decimal.Context(prec=120, traps=[decimal.Inexact, decimal.InvalidOperation])

#: What amounts are rounded to for display where they have more digits than a currency has.
_CENT = Decimal("0.01")

_SHORT = (
    (Decimal(10) ** 12, "T"),
    (Decimal(10) ** 9, "B"),
    (Decimal(10) ** 6, "M"),
    (Decimal(10) ** 3, "k"),
)

_MINUS = "\N{MINUS SIGN}"


def total(values: Iterable[Decimal]) -> Decimal:
    """The sum with all its digits."""
    with decimal.localcontext(_EXACT):
        return sum(values, Decimal(0))


def grouped(value: int) -> str:
    """A count: ``12,345``."""
    return f"{value:,}".replace("-", _MINUS)


def exact(value: Decimal) -> str:
    """An amount with all its digits, two of them at least behind the point: ``-1,234.50``."""
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)  # noqa: S101 - sums of a column are finite
    text = f"{value:,.{max(0, -exponent)}f}"
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}".replace("-", _MINUS)


def short(value: Decimal) -> str:
    """An amount for a label in a chart: three digits and a unit, ``1.23 M``."""
    for size, unit in _SHORT:
        if abs(value) >= size:
            scaled = value / size
            digits = max(0, 2 - scaled.adjusted())
            return f"{scaled:,.{digits}f} {unit}".replace("-", _MINUS)
    return f"{value.quantize(_CENT, ROUND_HALF_UP):,.2f}".replace("-", _MINUS)


def share(part: Decimal, whole: Decimal) -> str:
    """A percentage with one digit behind the point; a dash where there is no whole."""
    if not whole:
        return "\N{EN DASH}"
    percent = (part * 100 / whole).quantize(Decimal("0.1"), ROUND_HALF_UP)
    return f"{percent} %".replace("-", _MINUS)
