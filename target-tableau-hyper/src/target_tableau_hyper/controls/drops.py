"""Controls on figures: ``max_drop`` and ``not_empty``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError
from target_tableau_hyper.controls.finding import Finding
from target_tableau_hyper.extract.figures import ZERO

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from decimal import Decimal

    from target_tableau_hyper.controls.look import Look
    from target_tableau_hyper.extract.figures import Figures

#: Fewer rows than this may go at once: one of four is no catastrophe.
FEW_ROWS = 100


@dataclass(frozen=True, slots=True)
class MaxDrop:
    """Rows and totals do not fall by more than a share between two runs.

    Attributes:
        stream: Which one.
        rows: Largest share of its rows that may go; ``None`` where they do not matter.
        totals: Largest share by which a column's sum may fall towards zero and past it: one that
            changes its sign has lost more than all of it.
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

    def of_columns(self, columns: Collection[str]) -> MaxDrop | None:
        """Without totals of other columns; ``None`` where there is nothing left to compare."""
        totals = {name: share for name, share in self.totals.items() if name in columns}
        return replace(self, totals=totals) if totals or self.rows is not None else None

    @property
    def about(self) -> tuple[str, ...]:
        """What must have been loaded."""
        return (self.stream,)

    def check(self, look: Look) -> Finding:
        """Compare with the extract before.

        Raises:
            ConfigError: a column of ``totals`` does not exist or has no sum.
        """
        self._check_columns(look)
        earlier = look.earlier()
        was = earlier.figures(self.stream, self.totals) if earlier.knows(self.stream) else None
        if was is None or was.rows < self.min_rows:
            return Finding(0, 0, f"{self.stream} has nothing to be compared with")
        now = look.figures(self.stream, self.totals)
        falls = self.falls(was, now)
        checked = len(self.totals) + (self.rows is not None)
        if falls and self.accepted:
            return Finding(checked, 0, f"{'; '.join(falls)}: accepted by accept_drop")
        if not falls:
            return Finding(checked, 0, f"{self.stream} did not shrink by more than is allowed")
        saying = (
            f"{'; '.join(falls)}; if that is right, name {self.stream} in accept_drop for a run"
        )
        return Finding(checked, len(falls), saying, [{"fall": fall} for fall in falls])

    def falls(self, was: Figures, now: Figures) -> list[str]:
        """What fell by more than is allowed, as readable pieces."""
        return [*self._rows(was, now), *self._totals(was, now)]

    def _check_columns(self, look: Look) -> None:
        look.columns(self.stream, tuple(self.totals))
        sums = look.book(self.stream).totals
        for column in self.totals:
            if column not in sums:
                message = (
                    f"column {column!r} of stream {self.stream!r} has no sum; it has "
                    f"{', '.join(map(repr, sums)) or 'none'}"
                )
                raise ConfigError(message)

    def _rows(self, was: Figures, now: Figures) -> list[str]:
        if self.rows is None or was.rows - now.rows <= self.rows * was.rows:
            return []
        return [f"{self.stream} fell from {was.rows:,} to {now.rows:,} rows"]

    def _totals(self, was: Figures, now: Figures) -> list[str]:
        falls = []
        for column, share in self.totals.items():
            before, after = was.totals.get(column, ZERO), now.totals[column]
            if before < 0:
                before, after = -before, -after  # a debt that shrinks falls, too
            if before and before - after > share * before:
                fall = f"{(before - after) * 100 / before:.1f} %"
                falls.append(f"the sum of {column} of {self.stream} fell by {fall}")
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

    @property
    def about(self) -> tuple[str, ...]:
        """What must have been loaded."""
        return (self.stream,)

    def check(self, look: Look) -> Finding:
        """Count."""
        rows = look.figures(self.stream).rows
        few = rows < self.min_rows
        ending = f", fewer than {self.min_rows:,}" if few else ""
        return Finding(rows, int(few), f"{self.stream} has {rows:,} rows{ending}")
