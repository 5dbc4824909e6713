"""How many digits the decimal columns of a schema have needed so far."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from target_tableau_hyper.extract.schema import Kind
from target_tableau_hyper.extract.staged import SegmentColumn
from target_tableau_hyper.extract.values import MIN_SCALE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_tableau_hyper.extract.schema import Column


class Digits:
    """Grows with the values; a column's place is its position in the schema.

    Attributes:
        most: Digits of the widest NUMERIC of the file format.
        whole: Digits before the point.
        scales: Digits behind it.
        wide: Integer columns that have had values of more than 64 bits, and are decimals since.
    """

    def __init__(self, columns: Sequence[Column], most: int) -> None:
        """Start with none before the point, and those of money behind it."""
        self._columns = tuple(columns)
        self.most = most
        self.whole = [0] * len(self._columns)
        self.scales = [MIN_SCALE] * len(self._columns)
        self.wide: set[int] = set()

    def is_decimal(self, index: int) -> bool:
        """Whether a column holds decimals by now."""
        return index in self.wide or self._columns[index].kind is Kind.NUMERIC

    def columns(self) -> tuple[SegmentColumn, ...]:
        """The columns with the digits that the rows so far need."""
        return tuple(
            SegmentColumn(replace(column, kind=Kind.NUMERIC), self.whole[i], self.scales[i])
            if self.is_decimal(i)
            else SegmentColumn(column)
            for i, column in enumerate(self._columns)
        )
