"""Bring a run's segments into a copy of the extract, touching only rows that really differ.

Everything is hyperd's SQL over the segment files. The work is done on a copy, because changes of a
table's columns cannot be rolled back; the caller replaces the real file once the copy is proved.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from tableauhyperapi import (  # type: ignore[import-untyped, unused-ignore]
    Nullability,
    TableName,
    TypeTag,
)

from pipeline_core.errors import DataError, IntegrityError
from target_tableau_hyper.extract import rows as row_changes
from target_tableau_hyper.extract.engine import SCHEMA_NAME, TABLE, TABLE_NAME, quote
from target_tableau_hyper.extract.figures import Figures, measure, quoted
from target_tableau_hyper.extract.layout import (
    NARROW_DIGITS,
    Layout,
    TableColumn,
    common_kind,
    fits,
    incoming_columns,
    plan_layout,
)
from target_tableau_hyper.extract.schema import Kind
from target_tableau_hyper.extract.values import MAX_DIGITS, digits_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from target_tableau_hyper.extract.engine import Database, Engine
    from target_tableau_hyper.extract.rows import Policy
    from target_tableau_hyper.extract.staging import StagedStream

_KINDS = {
    TypeTag.TEXT: Kind.TEXT,
    TypeTag.BIG_INT: Kind.INTEGER,
    TypeTag.NUMERIC: Kind.NUMERIC,
    TypeTag.BOOL: Kind.BOOLEAN,
    TypeTag.DATE: Kind.DATE,
    TypeTag.TIME: Kind.TIME,
    TypeTag.TIMESTAMP_TZ: Kind.TIMESTAMP,
}


@dataclass(frozen=True, slots=True)
class Delta:
    """What a run changed.

    Attributes:
        inserted: Rows whose key is new.
        updated: Rows with a known key and at least one other value.
        deleted: Rows that are gone (or, with soft deletes, nothing: those count as updated).
        replaced: The table was replaced as a whole, so the counts say nothing about single rows.
        schema_changed: Columns were added, widened, or the table is new.
    """

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    replaced: bool = False
    schema_changed: bool = False

    @property
    def rows(self) -> int:
        """Rows that differ from before."""
        return self.inserted + self.updated + self.deleted

    @property
    def changed(self) -> bool:
        """Whether the extract differs from before at all."""
        return bool(self.rows or self.replaced or self.schema_changed)


@dataclass(frozen=True, slots=True)
class Merged:
    """The finished copy, not yet proved.

    Attributes:
        path: The copy; closed by hyperd.
        columns: Its columns.
        expected: Rows and sums it must hold, computed as "before plus what was added minus what
            was taken away", not read from the result.
        delta: What changed.
        payload: A small file with the changed rows and deleted keys, where one was asked for.
    """

    path: Path
    columns: tuple[TableColumn, ...]
    expected: Figures
    delta: Delta
    payload: Path | None


def merge(
    engine: Engine,
    staged: StagedStream,
    *,
    base: Path | None,
    before: Figures | None,
    work: Path,
    policy: Policy,
    hyper_version: int,
    payload: Path | None = None,
) -> Merged:
    """Apply what was received to a copy of the extract.

    Args:
        engine: Running hyperd, started with the same ``hyper_version``.
        staged: What was received; its segments are finished.
        base: The extract as it is; ``None`` for a new one.
        before: Rows and sums of ``base`` as sealed; ``None`` for a new one.
        work: Where the copy shall lie, on the file system of ``base``.
        policy: How rows meet.
        hyper_version: File format to have.
        payload: Where to write the changed rows for an update of a published data source; ``None``
            when none will be sent.

    Raises:
        DataError: types or keys of extract and run do not go together.
        IntegrityError: the table does not hold what the statements should have left.
    """
    max_digits = NARROW_DIGITS if hyper_version < 3 else MAX_DIGITS  # noqa: PLR2004 - format version
    incoming = incoming_columns(
        staged.stream, staged.segments, staged.columns, max_digits=max_digits
    )
    if base is not None:
        shutil.copyfile(base, work)
        with engine.open(work) as database:
            existing, version = _read_columns(database), _version(database)
            if policy.replaces_all and {c.name for c in existing} != set(staged.columns):
                base = None
            else:
                existing = _measured(database, existing, incoming)
                _check_keys(database, staged, existing)
                layout = plan_layout(
                    staged.stream, existing, incoming, keys=staged.keys, max_digits=max_digits
                )
    if base is None:
        work.unlink(missing_ok=True)
        layout = plan_layout(staged.stream, None, incoming, keys=staged.keys, max_digits=max_digits)
        with engine.open(work, create=True) as database:
            _create(database, layout)
        before = None
    reformatted = base is not None and version != hyper_version
    if base is not None and (layout.rewrite or reformatted):
        _rewrite(engine, work, layout)
    with engine.open(work) as database:
        if layout.added and not layout.rewrite:
            for column in layout.added:
                database.run(f"ALTER TABLE {TABLE} ADD COLUMN {column.definition}")
        if before is None:
            before = Figures.empty()
        before = _summed(database, before, layout)
        change = row_changes.apply(
            database, staged, layout.columns, policy, rows_before=before.rows, payload=payload
        )
        expected = before + change.added - change.removed
        _prove_count(database, staged.stream, expected.rows)
    return Merged(
        path=work,
        columns=layout.columns,
        expected=expected,
        delta=Delta(
            inserted=change.inserted,
            updated=change.updated,
            deleted=change.deleted,
            replaced=change.replaced,
            schema_changed=layout.changed or reformatted,
        ),
        payload=payload if payload is not None and payload.exists() else None,
    )


def _read_columns(database: Database) -> tuple[TableColumn, ...]:
    definition = database.catalog.get_table_definition(TableName(SCHEMA_NAME, TABLE_NAME))
    columns = []
    for column in definition.columns:
        kind = _KINDS.get(column.type.tag)
        if kind is None:
            message = (
                f"the extract has a column {column.name.unescaped!r} of type {column.type}, which "
                "this target does not write; move the file away and load it anew"
            )
            raise IntegrityError(message)
        precision, scale = (
            (column.type.precision, column.type.scale) if kind is Kind.NUMERIC else (0, 0)
        )
        columns.append(
            TableColumn(
                name=column.name.unescaped,
                kind=kind,
                precision=precision,
                scale=scale,
                nullable=column.nullability is Nullability.NULLABLE,
                whole=precision - scale if kind is Kind.NUMERIC else 19,
            )
        )
    return tuple(columns)


def _version(database: Database) -> int:
    return int(database.row("SELECT database_version FROM pg_catalog.hyper_database")[0])


def _measured(
    database: Database, existing: Sequence[TableColumn], incoming: Sequence[TableColumn]
) -> tuple[TableColumn, ...]:
    """Look at the values of decimals that must widen: their type may promise more than they use."""
    new = {column.name: column for column in incoming}
    measured = []
    for column in existing:
        other = new.get(column.name)
        numeric = other is not None and common_kind(column.kind, other.kind) is Kind.NUMERIC
        if other is not None and numeric and not fits(other, column):
            name = quote(column.name)
            high, low = database.row(f"SELECT max({name}), min({name}) FROM {TABLE}")  # noqa: S608 - quoted
            whole = max(digits_of(Decimal(value or 0))[0] for value in (high, low))
            measured.append(replace(column, whole=whole))
        else:
            measured.append(column)
    return tuple(measured)


def _check_keys(database: Database, staged: StagedStream, existing: Sequence[TableColumn]) -> None:
    """Rows that are there must have a key if rows are to be found by it."""
    nullable = [c.name for c in existing if c.nullable and c.name in staged.keys]
    missing = set(staged.keys) - {column.name for column in existing}
    rows = database.row(f"SELECT count(*) FROM {TABLE}")[0]  # noqa: S608 - constant
    for name in nullable:
        nulls = database.row(f"SELECT count(*) FROM {TABLE} WHERE {quote(name)} IS NULL")[0]  # noqa: S608 - quoted
        if nulls:
            missing.add(name)
    if missing and rows:
        message = (
            f"stream {staged.stream!r} is now keyed by {', '.join(map(repr, sorted(missing)))}, "
            "but rows of its extract have no value there; remove the extract with its manifest and "
            "load it anew (meltano run --full-refresh)"
        )
        raise DataError(message)


def _summed(database: Database, before: Figures, layout: Layout) -> Figures:
    """The sealed figures, with sums of columns that have only now become NUMERIC."""
    new = {column.name for column in layout.added}
    unknown = {
        name: expression
        for name, expression in quoted(layout.columns).items()
        if name not in before.totals and name not in new
    }
    totals = dict(before.totals)
    if unknown and before.rows:
        totals |= measure(database, TABLE, unknown).totals
    return Figures(before.rows, totals).with_columns(layout.columns)


def _create(database: Database, layout: Layout) -> None:
    database.run(f"CREATE SCHEMA {quote(SCHEMA_NAME)}")
    _create_table(database, TABLE, layout.columns)


def _create_table(database: Database, table: str, columns: Sequence[TableColumn]) -> None:
    definitions = ", ".join(column.definition for column in columns)
    database.run(f"CREATE TABLE {table} ({definitions})")


def _rewrite(engine: Engine, work: Path, layout: Layout) -> None:
    """Copy all rows into a new file with the wanted types; also gives back unused space."""
    fresh = work.with_name(f"rewritten-{work.name}")
    fresh.unlink(missing_ok=True)
    new_names = {column.name for column in layout.added}
    with engine.open(fresh, create=True) as database:
        database.catalog.attach_database(work, alias="old")
        target, source = _three_part(fresh.stem), _three_part("old")
        database.run(f"CREATE SCHEMA {quote(fresh.stem)}.{quote(SCHEMA_NAME)}")
        _create_table(database, target, layout.columns)
        values = ", ".join(
            f"CAST({'NULL' if column.name in new_names else quote(column.name)} AS "
            f"{column.sql_type})"
            for column in layout.columns
        )
        copied = database.run(f"INSERT INTO {target} SELECT {values} FROM {source}")  # noqa: S608 - quoted
        rows = database.row(f"SELECT count(*) FROM {source}")[0]  # noqa: S608 - quoted
        database.catalog.detach_database("old")
        if copied != rows:
            message = f"a rewrite copied {copied} of {rows} rows; nothing was replaced, run again"
            raise IntegrityError(message)
    fresh.replace(work)


def _three_part(database: str) -> str:
    return f"{quote(database)}.{TABLE}"


def _prove_count(database: Database, stream: str, expected: int) -> None:
    """COMMIT reports success even when it kept nothing: count what is there."""
    rows = database.row(f"SELECT count(*) FROM {TABLE}")[0]  # noqa: S608 - constant
    if rows != expected:
        message = (
            f"the extract of stream {stream!r} holds {rows} rows after the merge instead of "
            f"{expected}; nothing was replaced, run again"
        )
        raise IntegrityError(message)
