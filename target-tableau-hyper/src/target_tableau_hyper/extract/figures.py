"""Rows and exact sums of a table: what the seal compares."""

from __future__ import annotations

import decimal
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from tableauhyperapi import HyperException  # type: ignore[import-untyped, unused-ignore]

from target_tableau_hyper.extract.engine import quote
from target_tableau_hyper.extract.schema import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from target_tableau_hyper.extract.engine import Database
    from target_tableau_hyper.extract.layout import TableColumn

#: Sums of any number of 38-digit values; a sum that would be rounded raises instead.
EXACT = decimal.Context(prec=120, traps=[decimal.Inexact, decimal.InvalidOperation])

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Figures:
    """How many rows, and the sum of every NUMERIC column over them."""

    rows: int
    totals: Mapping[str, Decimal]

    @classmethod
    def empty(cls) -> Figures:
        """Figures of nothing."""
        return cls(0, {})

    def with_columns(self, columns: Sequence[TableColumn]) -> Figures:
        """The same figures with exactly the NUMERIC columns of a table; new ones sum to zero."""
        return Figures(self.rows, {name: self.totals.get(name, ZERO) for name in numerics(columns)})

    def __add__(self, other: Figures) -> Figures:
        """Figures of both together."""
        return Figures(
            self.rows + other.rows,
            {n: EXACT.add(t, other.totals.get(n, ZERO)) for n, t in self.totals.items()},
        )

    def __sub__(self, other: Figures) -> Figures:
        """Figures without the rows of ``other``."""
        return Figures(
            self.rows - other.rows,
            {n: EXACT.subtract(t, other.totals.get(n, ZERO)) for n, t in self.totals.items()},
        )

    def differences(self, other: Figures) -> list[str]:
        """Where two figures disagree, as readable pieces."""
        found = [f"{self.rows} rows against {other.rows}"] if self.rows != other.rows else []
        for name, total in self.totals.items():
            there = other.totals.get(name)
            if there != total:
                found.append(f"sum of {name!r} {text(total)} against {text(there)}")
        return found


def numerics(columns: Iterable[TableColumn]) -> list[str]:
    """Names of the columns that are summed."""
    return [column.name for column in columns if column.kind is Kind.NUMERIC]


def text(total: Decimal | None) -> str:
    """A sum as plain digits, without an exponent and without trailing zeros beyond two places."""
    if total is None:
        return "nothing"
    plain = format(total, "f")
    if "." not in plain:
        return plain
    whole, places = plain.split(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}"


def measure(database: Database, source: str, names: Mapping[str, str]) -> Figures:
    """Rows and sums of a FROM clause.

    Args:
        database: Open file.
        source: What stands behind FROM, WHERE included.
        names: Column name -> SQL expression of its value.
    """
    sums = "".join(f", sum({expression})" for expression in names.values())
    try:
        count, *totals = database.row(f"SELECT count(*){sums} FROM {source}")  # noqa: S608 - built from quoted parts
    except HyperException as error:
        if "overflow" not in str(error):
            raise
        return _measure_slowly(database, source, names)
    return Figures(
        count, {n: t if t is not None else ZERO for n, t in zip(names, totals, strict=True)}
    )


def _measure_slowly(database: Database, source: str, names: Mapping[str, str]) -> Figures:
    """The same where a sum has more than the 38 digits that hyperd adds up in."""
    count, totals = 0, [ZERO] * len(names)
    for values in database.stream(f"SELECT {', '.join(names.values())} FROM {source}"):  # noqa: S608 - built from quoted parts
        count += 1
        totals = [t if v is None else EXACT.add(t, v) for t, v in zip(totals, values, strict=True)]
    return Figures(count, dict(zip(names, totals, strict=True)))


def quoted(columns: Iterable[TableColumn], prefix: str = "") -> dict[str, str]:
    """NUMERIC columns as ``measure`` wants them, each behind a table alias."""
    return {name: prefix + quote(name) for name in numerics(columns)}
