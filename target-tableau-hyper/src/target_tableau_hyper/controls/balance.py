"""Control ``balance``: double entry as a checksum.

In accounting currency every journal entry sums to zero. A line that is missing, doubled or wrong
by a cent shows in its entry, however the line was lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from target_tableau_hyper.controls.finding import Finding
from target_tableau_hyper.extract.engine import listing, quote
from target_tableau_hyper.extract.figures import text

if TYPE_CHECKING:
    from target_tableau_hyper.controls.look import Look

_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Balance:
    """Amounts sum to zero within each entry.

    Attributes:
        stream: Lines.
        amount: Their signed amount.
        by: Columns that tell entries apart.
        tolerance: What a sum may differ from zero.
    """

    stream: str
    amount: str
    by: tuple[str, ...]
    tolerance: Decimal = Decimal(0)

    @property
    def streams(self) -> tuple[str, ...]:
        """What it looks at."""
        return (self.stream,)

    def check(self, look: Look) -> Finding:
        """Sum up every entry.

        Raises:
            ConfigError: a column does not exist or holds no amounts.
        """
        look.columns(self.stream, self.by)
        look.columns(self.stream, [self.amount], numbers=True)
        keys = listing(self.by)
        with look.tables(self.stream) as (database, names):
            # Entries of any size add up exactly: NUMERIC of 38 digits with the column's own scale.
            entries = (
                f"SELECT {keys}, sum({quote(self.amount)}) AS total "  # noqa: S608 - quoted
                f"FROM {names[self.stream]} lines GROUP BY {keys}"
            )
            checked = database.row(f"SELECT count(*) FROM ({entries}) e")[0]  # noqa: S608 - as above
            wrong = f"FROM ({entries}) e WHERE abs(total) > {self.tolerance}"
            found = database.row(f"SELECT count(*) {wrong}")[0]
            rows = database.rows(f"SELECT {keys}, total {wrong} ORDER BY {keys} LIMIT {_EXAMPLES}")
        examples = [
            {**dict(zip(self.by, map(str, row[:-1]), strict=True)), "difference": text(row[-1])}
            for row in rows
        ]
        return Finding(checked, found, self._saying(checked, found, examples), examples)

    def _saying(self, checked: int, found: int, examples: list[dict[str, str]]) -> str:
        looked = f"{checked:,} entries of {self.stream} by {', '.join(self.by)}"
        if not found:
            return f"{looked} balance"
        first = "; ".join(", ".join(str(each[key]) for key in self.by) for each in examples)
        return (
            f"{found:,} of {looked} do not balance (the first: {first}); lines are missing, "
            "doubled or wrong"
        )
