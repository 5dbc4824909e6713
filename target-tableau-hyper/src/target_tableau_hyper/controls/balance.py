"""Control ``balance``: double entry as a checksum.

In accounting currency every journal entry sums to zero. A line that is missing, doubled or wrong
by a cent shows in its entry, however the line was lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tableauhyperapi import HyperException

from target_tableau_hyper.controls.finding import Finding
from target_tableau_hyper.extract.engine import listing, quote
from target_tableau_hyper.extract.figures import EXACT, ZERO, text

if TYPE_CHECKING:
    from target_tableau_hyper.controls.look import Look
    from target_tableau_hyper.extract.engine import Database

    #: Key of an entry and its sum.
    _Entry = tuple[tuple[Any, ...], Decimal]

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

    @property
    def about(self) -> tuple[str, ...]:
        """What must have been loaded."""
        return (self.stream,)

    def check(self, look: Look) -> Finding:
        """Sum up every entry.

        Raises:
            ConfigError: a column does not exist or holds no amounts.
        """
        look.columns(self.stream, self.by)
        look.columns(self.stream, [self.amount], numbers=True)
        with look.tables(self.stream) as (database, names):
            try:
                checked, found, wrong = self._sums(database, names[self.stream])
            except HyperException as error:
                if "overflow" not in str(error):
                    raise
                checked, found, wrong = self._sums_slowly(database, names[self.stream])
        examples = [
            {**dict(zip(self.by, map(str, key), strict=True)), "difference": text(total)}
            for key, total in wrong
        ]
        return Finding(checked, found, self._saying(checked, found, examples), examples)

    def _sums(self, database: Database, lines: str) -> tuple[int, int, list[_Entry]]:
        """Entries, those of them that do not balance, and the first of these.

        Raises:
            HyperException: a sum has more than the 38 digits that hyperd adds up in.
        """
        keys = listing(self.by)
        entries = (
            f"SELECT {keys}, sum({quote(self.amount)}) AS total FROM {lines} lines GROUP BY {keys}"  # noqa: S608 - quoted
        )
        checked = database.row(f"SELECT count(*) FROM ({entries}) e")[0]  # noqa: S608 - as above
        wrong = f"FROM ({entries}) e WHERE abs(total) > {self.tolerance:f}"
        found = database.row(f"SELECT count(*) {wrong}")[0]
        rows = database.rows(f"SELECT {keys}, total {wrong} ORDER BY {keys} LIMIT {_EXAMPLES}")
        return checked, found, [(tuple(row[:-1]), row[-1]) for row in rows]

    def _sums_slowly(self, database: Database, lines: str) -> tuple[int, int, list[_Entry]]:
        """The same, whatever the sums; one total an entry is in memory."""
        keys = listing(self.by)
        totals: dict[tuple[Any, ...], Decimal] = {}
        for *key, amount in database.stream(f"SELECT {keys}, {quote(self.amount)} FROM {lines}"):  # noqa: S608 - quoted
            totals[tuple(key)] = EXACT.add(totals.get(tuple(key), ZERO), amount or ZERO)
        wrong = {key: total for key, total in totals.items() if abs(total) > self.tolerance}
        first = sorted(wrong.items(), key=lambda entry: tuple(map(str, entry[0])))
        return len(totals), len(wrong), first[:_EXAMPLES]

    def _saying(self, checked: int, found: int, examples: list[dict[str, str]]) -> str:
        looked = f"{checked:,} entries of {self.stream} by {', '.join(self.by)}"
        if not found:
            return f"{looked} balance"
        first = "; ".join(", ".join(str(each[key]) for key in self.by) for each in examples)
        return (
            f"{found:,} of {looked} do not balance (the first: {first}); lines are missing, "
            "doubled or wrong"
        )
