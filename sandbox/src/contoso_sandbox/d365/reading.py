"""Read rows: one page of a listing, one row by its key, or a count."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from contoso_sandbox.d365.filters.nodes import Binary, Literal, Name
from contoso_sandbox.d365.filters.sql import Condition, compile_filter
from contoso_sandbox.d365.rows import Rows, Selection, count_rows, first_rows, rows_at
from contoso_sandbox.d365.sqltext import identifier
from contoso_sandbox.d365.wire import expansion_json, row_json
from contoso_sandbox.model import REC_ID, AxType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from duckdb import DuckDBPyConnection

    from contoso_sandbox.d365.filters.nodes import Node
    from contoso_sandbox.d365.listing import Listings
    from contoso_sandbox.d365.options import Options
    from contoso_sandbox.d365.wire import RowForm
    from contoso_sandbox.model import EntitySet, Environment


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one answer.

    Attributes:
        rows: The rows as JSON objects; ``rows.more`` tells whether a nextLink is due.
        total: The count that ``$count=true`` asked for.
    """

    rows: Rows
    total: int | None


@dataclass(frozen=True, slots=True)
class Reader:
    """Answers reads of one environment from its database.

    Attributes:
        cursor: Makes a DuckDB cursor for one request, which closes it.
        default_company: The company that a read without ``cross-company=true`` is confined to.
    """

    environment: Environment
    cursor: Callable[[], DuckDBPyConnection]
    listings: Listings
    default_company: str
    page_size: int

    def page(self, entity_set: EntitySet, options: Options, form: RowForm) -> Page:
        """Read the page that ``options`` ask for."""
        condition = self._condition(entity_set, options.filter, cross_company=options.cross_company)
        json = self._json(entity_set, options, form)
        selection = Selection(entity_set, json, condition, _order_by(entity_set, options))
        wanted = self.page_size if options.limit is None else min(options.limit, self.page_size)
        with self._snapshot() as cursor:
            total = count_rows(cursor, entity_set, condition) if options.count else None
            if options.skip == 0:
                rows = first_rows(cursor, selection, wanted)
            else:
                listing = self.listings.rows(cursor, entity_set, condition, selection.order)
                end = options.skip + wanted
                rows = rows_at(cursor, selection, listing[options.skip : end])
                rows = replace(rows, more=len(listing) > end)
        if options.limit is not None and options.limit <= self.page_size:
            # A client's $top that fits a page ends the walk, whatever rows are left.
            rows = replace(rows, more=False)
        return Page(rows, total)

    def row(
        self, entity_set: EntitySet, key: Node, options: Options, form: RowForm
    ) -> bytes | None:
        """Read the row with ``key``, or ``None`` where there is none in the companies allowed."""
        condition = self._condition(entity_set, key, cross_company=options.cross_company)
        json = self._json(entity_set, options, form)
        selection = Selection(entity_set, json, condition, f"t.{identifier(REC_ID)}")
        with self._snapshot() as cursor:
            rows = first_rows(cursor, selection, 1)
        return rows.chunks[0] if rows.chunks else None

    def count(self, entity_set: EntitySet, options: Options) -> int:
        """Count the rows that match, whatever ``$top`` says."""
        condition = self._condition(entity_set, options.filter, cross_company=options.cross_company)
        with self._snapshot() as cursor:
            return count_rows(cursor, entity_set, condition)

    def _condition(
        self, entity_set: EntitySet, node: Node | None, *, cross_company: bool
    ) -> Condition:
        condition = Condition()
        if entity_set.per_company and not cross_company:
            own = Binary("eq", Name("dataAreaId"), Literal(self.default_company))
            condition = compile_filter(own, entity_set, self.environment.enums)
        if node is not None:
            asked = compile_filter(node, entity_set, self.environment.enums)
            condition = condition.and_also(asked)
        return condition

    def _json(self, entity_set: EntitySet, options: Options, form: RowForm) -> str:
        sets = self.environment.entity_sets
        nested = [
            (
                expansion.navigation.name,
                expansion_json(entity_set, expansion, sets[expansion.navigation.related_set], form),
            )
            for expansion in options.expand
        ]
        return row_json(entity_set, "t", form, nested)

    @contextmanager
    def _snapshot(self) -> Iterator[DuckDBPyConnection]:
        """Open a transaction, so that count, order and rows are of one state of the data."""
        with closing(self.cursor()) as cursor:
            cursor.execute("BEGIN TRANSACTION READ ONLY")
            try:
                yield cursor
            finally:
                cursor.execute("ROLLBACK")


@dataclass(frozen=True, slots=True)
class EmptyReader:
    """Answers reads of an environment whose sets are all empty; it needs no database."""

    environment: Environment
    page_size: int

    def page(self, entity_set: EntitySet, options: Options, _form: RowForm) -> Page:
        """Check what is asked for, as if there were rows."""
        total = self.count(entity_set, options)
        return Page(Rows(), total if options.count else None)

    def row(self, entity_set: EntitySet, key: Node, _options: Options, _form: RowForm) -> None:
        """Find nothing."""
        compile_filter(key, entity_set, self.environment.enums)

    def count(self, entity_set: EntitySet, options: Options) -> int:
        """Count nothing."""
        if options.filter is not None:
            compile_filter(options.filter, entity_set, self.environment.enums)
        return 0


def _order_by(entity_set: EntitySet, options: Options) -> str:
    """Write the ORDER BY: what was asked for, then RecId (F&O's order without ``$orderby``).

    Strings that differ in case alone are equal to SQL Server's collation, so the next part of the
    order decides; what is equal in all parts then sorts by its characters, so that the order is
    the same each time. Nulls are lowest, as there.
    """
    columns = {p.name: p for p in entity_set.properties}
    parts, ties = [], []
    for part in options.order:
        direction = "DESC NULLS LAST" if part.descending else "ASC NULLS FIRST"
        column = f"t.{identifier(columns[part.name].column)}"
        if columns[part.name].ax_type in {AxType.STRING, AxType.GUID}:
            parts.append(f"lower({column}) {direction}")
            ties.append(f"{column} {direction}")
        else:
            parts.append(f"{column} {direction}")
    return ", ".join([*parts, *ties, f"t.{identifier(REC_ID)}"])
