"""Controls on figures that need no query: ``max_drop`` and ``not_empty``."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError
from target_tableau_hyper.controls.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_tableau_hyper.controls.look import Book, Look

#: Fewer rows than this may go at once: one of four is no catastrophe.
FEW_ROWS = 100


@dataclass(frozen=True, slots=True)
class MaxDrop:
    """Rows and totals do not fall by more than a share between two runs.

    Attributes:
        stream: Which one.
        rows: Largest share of its rows that may go; ``None`` where they do not matter.
        totals: Largest share by which the amount of a column's sum may fall.
        min_rows: Smaller tables are left alone.
        accepted: Whether any drop is right this time.
    """

    stream: str
    rows: Decimal | None = None
    totals: Mapping[str, Decimal] = field(default_factory=dict)
    min_rows: int = FEW_ROWS
    accepted: bool = False

    @property
    def streams(self) -> tuple[str, ...]:
        """What it looks at."""
        return (self.stream,)

    def check(self, look: Look) -> Finding:
        """Compare with the seal before.

        Raises:
            ConfigError: a column of ``totals`` has no sum.
        """
        book = look.book(self.stream)
        before = book.before
        if before is None or before.rows < self.min_rows:
            return Finding(0, 0, f"{self.stream} has nothing to be compared with")
        falls = [*self._rows(book, before.rows), *self._totals(book, before.figures.totals)]
        checked = len(self.totals) + (self.rows is not None)
        if falls and self.accepted:
            return Finding(checked, 0, f"{'; '.join(falls)}: accepted by accept_drop")
        if not falls:
            return Finding(checked, 0, f"{self.stream} did not shrink by more than is allowed")
        saying = (
            f"{'; '.join(falls)}; if that is right, name {self.stream} in accept_drop for a run"
        )
        return Finding(checked, len(falls), saying, [{"fall": fall} for fall in falls])

    def _rows(self, book: Book, before: int) -> list[str]:
        if self.rows is None or before - book.rows <= self.rows * before:
            return []
        return [f"{self.stream} fell from {before:,} to {book.rows:,} rows"]

    def _totals(self, book: Book, before: Mapping[str, Decimal]) -> list[str]:
        falls = []
        for column, share in self.totals.items():
            if column not in book.totals:
                message = (
                    f"column {column!r} of stream {self.stream!r} has no sum; it has "
                    f"{', '.join(map(repr, book.totals)) or 'none'}"
                )
                raise ConfigError(message)
            was, now = abs(before.get(column, Decimal(0))), abs(book.totals[column])
            if was - now > share * was:
                falls.append(f"the sum of {column} of {self.stream} fell by {_percent(was, now)}")
        return falls


@dataclass(frozen=True, slots=True)
class NotEmpty:
    """A table has rows.

    Attributes:
        stream: Which one.
        min_rows: How many at least.
    """

    stream: str
    min_rows: int = 1

    @property
    def streams(self) -> tuple[str, ...]:
        """What it looks at."""
        return (self.stream,)

    def check(self, look: Look) -> Finding:
        """Count."""
        rows = look.book(self.stream).rows
        few = rows < self.min_rows
        ending = f", fewer than {self.min_rows:,}" if few else ""
        return Finding(rows, int(few), f"{self.stream} has {rows:,} rows{ending}")


def _percent(was: Decimal, now: Decimal) -> str:
    return f"{(was - now) * 100 / was:.1f} %"
