"""One unit of work on the world: numbered, counted, and every changed row marked as changed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    import duckdb

    from contoso_sandbox.model import Environment

#: First RecId of the table behind each set. Tables count for themselves, so the same RecId occurs
#: in several sets; two sets over one table share its numbers.
FIRST_REC_ID = {
    "LegalEntities": 5_637_144_576,
    "Companies": 5_637_144_576,
    "Ledgers": 5_637_145_326,
    "MainAccounts": 5_637_144_576,
    "FiscalCalendars": 5_637_150_000,
    "FiscalPeriods": 5_637_144_600,
    "ExchangeRates": 5_637_144_826,
    "VendorGroups": 5_637_144_580,
    "VendorsV2": 22_565_421_176,
    "PurchaseOrderHeadersV2": 5_637_145_333,
    "PurchaseOrderLinesV2": 22_565_421_326,
    "VendorInvoiceHeaders": 5_637_144_576,
    "VendorInvoiceLines": 5_637_146_076,
    "VendInvoiceJourBiEntities": 35_637_149_083,
    "VendTransBiEntities": 35_637_150_576,
    "GeneralJournalEntryBiEntities": 68_719_476_736,
    "GeneralJournalAccountEntryBiEntities": 68_719_478_326,
    "GeneralJournalAccountEntries": 68_719_478_326,
}

#: gbsi came from another system with RecIds of its own: 19 digits, beyond any double.
_MIGRATED = "CASE lower(dataAreaId) WHEN 'gbsi' THEN 9100000000000000001 ELSE 0 END"
_REC_ID_OFFSET = {"VendInvoiceJourBiEntities": _MIGRATED, "VendTransBiEntities": _MIGRATED}


@dataclass(slots=True)
class Tally:
    """Rows inserted, updated and deleted so far, by entity set."""

    inserted: Counter[str] = field(default_factory=Counter)
    updated: Counter[str] = field(default_factory=Counter)
    deleted: Counter[str] = field(default_factory=Counter)


class Posting:
    """Writes to the sets' tables on behalf of one business day, or of all history.

    SQL given to the methods is text of this package; ``$day`` in it is Contoso's date.

    Attributes:
        day: Contoso's date, which all that is posted carries or precedes.
        tally: What was changed so far.
    """

    def __init__(
        self, cursor: duckdb.DuckDBPyConnection, environment: Environment, day: date
    ) -> None:
        """Prepare the work; the caller owns the transaction, and calls ``finish`` in it."""
        self._cursor = cursor
        self._numbers: dict[str, int] = dict(
            cursor.execute("SELECT name, next FROM books.counter").fetchall()
        )
        self.day = day
        self.tally = Tally()
        self._columns = {
            name: frozenset(prop.name for prop in entity_set.properties)
            for name, entity_set in environment.entity_sets.items()
        }

    def execute(self, sql: str, **parameters: object) -> int:
        """Run one statement; returns the number of rows that it changed, or the number it found."""
        if "$day" in sql:
            parameters["day"] = self.day
        row = self._cursor.execute(sql, parameters or None).fetchone()
        return row[0] if row and isinstance(row[0], int) else 0

    def insert(self, entity_set: str, select: str, **parameters: object) -> int:
        """Insert what ``select`` yields, columns by name; columns that it does not name are absent.

        The select numbers its rows in a column ``nth``, from 0, in the order of creation: they
        get the set's next RecIds in that order.

        Returns:
            The number, counted over all history, of the row whose ``nth`` is 0.
        """
        columns = self._columns[entity_set]
        first = self._numbers.get(entity_set, 0)
        offset = _REC_ID_OFFSET.get(entity_set, "0")
        rec_id = f"books.rec_id({FIRST_REC_ID[entity_set]}, {first} + nth) + {offset}"
        automatic = [f"{rec_id} AS __rec_id"]
        if "SourceKey" in columns:
            automatic.append(f"{rec_id} AS SourceKey")
        if "SysRecVersion" in columns:
            automatic.append("1 AS SysRecVersion")
        count = self.execute(
            f"INSERT INTO {entity_set} BY NAME"  # noqa: S608 - text of this package
            f" SELECT * EXCLUDE (nth), {', '.join(automatic)} FROM ({select})",
            **parameters,
        )
        self._numbers[entity_set] = first + count
        if count:
            self.tally.inserted[entity_set] += count
        return first

    def insert_rows(self, entity_set: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Insert a few rows made in Python; all have the same columns."""
        self.insert(
            entity_set,
            f"SELECT *, row_number() OVER () - 1 AS nth FROM ({_side_by_side(rows)})",  # noqa: S608
            **_columns(rows),
        )

    def keep(self, table: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Insert a few rows into a table of the books, or a temporary one."""
        self.execute(
            f"INSERT INTO {table} BY NAME {_side_by_side(rows)}",
            **_columns(rows),
        )

    def update(
        self, entity_set: str, assignments: str, tail: str, *, at: str = "", **parameters: object
    ) -> int:
        """Change rows, giving them a new RecVersion and, where published, a modified time.

        Args:
            entity_set: The set; ``t`` in the SQL.
            assignments: ``column = expression, ...``
            tail: The statement's end: ``FROM ... WHERE ...``
            at: SQL of the instant of the change; some second of the day when empty.
            parameters: Named parameters of the SQL.

        Returns:
            Number of changed rows.
        """
        columns = self._columns[entity_set]
        version = "books.version($day, t.__rec_id)"
        changes = [assignments, f"__rec_version = {version}"]
        if "SysRecVersion" in columns:
            changes.append(f"SysRecVersion = {version}")
        if "SysModifiedDateTime" in columns:
            instant = at or "books.stamp($day, 'modified', t.__rec_id)"
            changes.append(f"SysModifiedDateTime = {instant}")
        count = self.execute(
            f"UPDATE {entity_set} AS t SET {', '.join(changes)} {tail}",  # noqa: S608
            **parameters,
        )
        if count:
            self.tally.updated[entity_set] += count
        return count

    def update_joined(
        self, entity_set: str, assignments: str, tail: str, **parameters: object
    ) -> int:
        """Change columns that come from a joined table: the row's own version stays."""
        count = self.execute(
            f"UPDATE {entity_set} AS t SET {assignments} {tail}",  # noqa: S608
            **parameters,
        )
        if count:
            self.tally.updated[entity_set] += count
        return count

    def delete(self, entity_set: str, where: str, **parameters: object) -> int:
        """Delete rows (``t`` in the condition); returns their number."""
        count = self.execute(
            f"DELETE FROM {entity_set} AS t WHERE {where}",  # noqa: S608 - text of this package
            **parameters,
        )
        if count:
            self.tally.deleted[entity_set] += count
        return count

    def take(self, sequence: str, count: int) -> int:
        """Reserve ``count`` consecutive numbers of a number sequence; returns the first."""
        first = self._numbers.get(sequence, 0)
        self._numbers[sequence] = first + count
        return first

    def finish(self) -> None:
        """Write down how far the number sequences got."""
        self.execute("DELETE FROM books.counter")
        self.keep("books.counter", [{"name": n, "next": v} for n, v in self._numbers.items()])


def _side_by_side(rows: Sequence[Mapping[str, object]]) -> str:
    """Select that turns bound lists, one a column, into rows; ``unnest`` keeps their order."""
    return "SELECT " + ", ".join(f'unnest(${name}) AS "{name}"' for name in rows[0])


def _columns(rows: Sequence[Mapping[str, object]]) -> dict[str, list[object]]:
    return {name: [row[name] for row in rows] for name in rows[0]}
