"""Control ``references``: lines whose header, vendor or account is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError
from target_tableau_hyper.controls.finding import Finding
from target_tableau_hyper.extract.engine import listing, quote

if TYPE_CHECKING:
    from target_tableau_hyper.controls.look import Look

_EXAMPLES = 5

#: Types that compare with one another, by the first word of their names; the others do with none.
_SORTS = {
    "BIGINT": "number",
    "NUMERIC": "number",
    "DOUBLE": "number",
    "DATE": "day",
    "TIMESTAMP": "day",
}


@dataclass(frozen=True, slots=True)
class References:
    """What rows refer to is there.

    Attributes:
        stream: Rows that refer.
        columns: The reference in them.
        refers_to: Stream that is referred to.
        refers_to_columns: Its columns, in the same order.
        required: Whether a row must refer; otherwise NULL, and ``''`` as F&O writes it, are none.
        ignore_case: Whether ``v-1`` refers to ``V-1``, as in F&O's own database.
    """

    stream: str
    columns: tuple[str, ...]
    refers_to: str
    refers_to_columns: tuple[str, ...]
    required: bool = False
    ignore_case: bool = True

    @property
    def streams(self) -> tuple[str, ...]:
        """What it looks at."""
        return tuple(dict.fromkeys((self.stream, self.refers_to)))

    @property
    def about(self) -> tuple[str, ...]:
        """What must have been loaded."""
        return (self.stream,)

    def check(self, look: Look) -> Finding:
        """Look up every reference.

        Raises:
            ConfigError: a column does not exist, or is of a type that cannot refer to the other's.
        """
        look.columns(self.stream, self.columns)
        look.columns(self.refers_to, self.refers_to_columns)
        types, other = look.book(self.stream).types, look.book(self.refers_to).types
        present, same = [], []
        for column, target in zip(self.columns, self.refers_to_columns, strict=True):
            is_text = types[column] == "TEXT"
            if _sort(types[column]) != _sort(other[target]):
                message = (
                    f"column {column!r} of stream {self.stream!r} holds {types[column]} and "
                    f"{target!r} of {self.refers_to!r} {other[target]}, which never are the same"
                )
                raise ConfigError(message)
            present.append(f"l.{quote(column)} IS NOT NULL")
            if is_text:
                present.append(f"l.{quote(column)} <> ''")
            fold = self.ignore_case and is_text
            one, two = f"l.{quote(column)}", f"r.{quote(target)}"
            same.append(f"lower({one}) = lower({two})" if fold else f"{one} = {two}")
        refers = " AND ".join(present)
        with look.tables(*self.streams) as (database, names):
            lines = f"FROM {names[self.stream]} l"
            there = f"EXISTS (SELECT 1 FROM {names[self.refers_to]} r WHERE {' AND '.join(same)})"  # noqa: S608 - quoted
            wrong = f"NOT {there}" if self.required else f"{refers} AND NOT {there}"
            looked_at = "TRUE" if self.required else refers
            checked = database.row(f"SELECT count(*) {lines} WHERE {looked_at}")[0]
            found = database.row(f"SELECT count(*) {lines} WHERE {wrong}")[0]
            keys = listing(self.columns, "l.")
            rows = database.rows(
                f"SELECT {keys}, count(*) {lines} WHERE {wrong} GROUP BY {keys} ORDER BY {keys} "
                f"LIMIT {_EXAMPLES}"
            )
        examples = [
            {"rows": row[-1], **dict(zip(self.columns, map(str, row[:-1]), strict=True))}
            for row in rows
        ]
        return Finding(checked, found, self._saying(checked, found, examples), examples)

    def _saying(self, checked: int, found: int, examples: list[dict[str, object]]) -> str:
        looked = f"{checked:,} rows of {self.stream}"
        if not found:
            return f"{looked} refer to rows of {self.refers_to}"
        first = "; ".join(", ".join(str(each[key]) for key in self.columns) for each in examples)
        return (
            f"{found:,} of {looked} refer by {', '.join(self.columns)} to rows that "
            f"{self.refers_to} does not have (the first: {first})"
        )


def _sort(sql_type: str) -> str:
    """What a type holds; hyperd compares values of one sort and no others."""
    word = sql_type.partition("(")[0].split()[0]
    return _SORTS.get(word, word)
