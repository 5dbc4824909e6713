"""Control ``balance``: double entry as a checksum.

In accounting currency every journal entry sums to zero. A line that is missing, doubled or wrong
by a cent shows in its entry, however the line was lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from tableauhyperapi import HyperException

from target_tableau_hyper.controls.finding import Finding
from target_tableau_hyper.extract.engine import listing, quote
from target_tableau_hyper.extract.figures import EXACT, ZERO, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_tableau_hyper.controls.look import Look
    from target_tableau_hyper.extract.engine import Database

    #: Key of an entry, as it is shown, and its sum.
    _Entry = tuple[tuple[Any, ...], Decimal]

_EXAMPLES = 5


class _Key(NamedTuple):
    """A column that tells entries apart, in SQL.

    Attributes:
        same: What lines of one entry have in common.
        shown: What stands for them, one of their values.
    """

    same: str
    shown: str

    @classmethod
    def of(cls, name: str, *, fold: bool) -> _Key:
        quoted = quote(name)
        return cls(f"lower({quoted})", f"min({quoted})") if fold else cls(quoted, quoted)


@dataclass(frozen=True, slots=True)
class Balance:
    """Amounts sum to zero within each entry.

    Attributes:
        stream: Lines.
        amount: Their signed amount.
        by: Columns that tell entries apart.
        tolerance: What a sum may differ from zero.
        ignore_case: Whether ``USMF`` and ``usmf`` are one company, as in F&O's own database.
    """

    stream: str
    amount: str
    by: tuple[str, ...]
    tolerance: Decimal = Decimal(0)
    ignore_case: bool = True

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
        types = look.book(self.stream).types
        keys = [_Key.of(name, fold=self.ignore_case and types[name] == "TEXT") for name in self.by]
        with look.tables(self.stream) as (database, names):
            try:
                checked, found, wrong = self._sums(database, names[self.stream], keys)
            except HyperException as error:
                if "overflow" not in str(error):
                    raise
                checked, found, wrong = self._sums_slowly(database, names[self.stream], keys)
        examples = [
            {"difference": text(total), **dict(zip(self.by, map(str, key), strict=True))}
            for key, total in wrong
        ]
        return Finding(checked, found, self._saying(checked, found, examples), examples)

    def _sums(
        self, database: Database, lines: str, keys: Sequence[_Key]
    ) -> tuple[int, int, list[_Entry]]:
        """Entries, those of them that do not balance, and the first of these.

        Raises:
            HyperException: a sum has more than the 38 digits that hyperd adds up in.
        """
        shown = ", ".join(key.shown for key in keys)
        same = ", ".join(key.same for key in keys)
        # The stream's columns may have any name, those of the entries have none of them.
        names = ", ".join(f"k{number}" for number in range(len(keys)))
        entries = (
            f"(SELECT {shown}, sum({quote(self.amount)}) FROM {lines} lines GROUP BY {same}) "  # noqa: S608 - quoted
            f"e({names}, total)"
        )
        checked = database.row(f"SELECT count(*) FROM {entries}")[0]  # noqa: S608 - as above
        wrong = f"FROM {entries} WHERE abs(total) > {self.tolerance:f}"
        found = database.row(f"SELECT count(*) {wrong}")[0]
        rows = database.rows(f"SELECT {names}, total {wrong} ORDER BY {names} LIMIT {_EXAMPLES}")
        return checked, found, [(tuple(row[:-1]), row[-1]) for row in rows]

    def _sums_slowly(
        self, database: Database, lines: str, keys: Sequence[_Key]
    ) -> tuple[int, int, list[_Entry]]:
        """The same, whatever the sums; one total an entry is in memory."""
        same = ", ".join(key.same for key in keys)
        query = f"SELECT {same}, {listing(self.by)}, {quote(self.amount)} FROM {lines} lines"  # noqa: S608 - quoted
        totals: dict[tuple[Any, ...], Decimal] = {}
        first: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        for row in database.stream(query):
            entry, seen = tuple(row[: len(keys)]), tuple(row[len(keys) : -1])
            totals[entry] = EXACT.add(totals.get(entry, ZERO), row[-1] or ZERO)
            first[entry] = tuple(map(_least, first.get(entry, seen), seen))
        wrong = [(first[entry], t) for entry, t in totals.items() if abs(t) > self.tolerance]
        wrong.sort(key=lambda entry: tuple(map(str, entry[0])))
        return len(totals), len(wrong), wrong[:_EXAMPLES]

    def _saying(self, checked: int, found: int, examples: list[dict[str, str]]) -> str:
        looked = f"{checked:,} entries of {self.stream} by {', '.join(self.by)}"
        if not found:
            return f"{looked} balance"
        first = "; ".join(", ".join(str(each[key]) for key in self.by) for each in examples)
        return (
            f"{found:,} of {looked} do not balance (the first: {first}); lines are missing, "
            "doubled or wrong"
        )


def _least(one: Any, other: Any) -> Any:  # noqa: ANN401 - a value of any column
    """The lesser of two spellings of a value, which may be NULL."""
    return one if other is None or one == other else min(one, other)
