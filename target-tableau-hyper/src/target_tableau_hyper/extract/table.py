"""Make the copy's table one that can hold what it has and what the run brings.

A table is created, gets columns added in place, or is copied into a new file where types widen, a
key changes or another file format is wanted: Hyper cannot change the type of a column.
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
from target_tableau_hyper.extract.engine import SCHEMA_NAME, TABLE, TABLE_NAME, quote
from target_tableau_hyper.extract.layout import (
    Layout,
    TableColumn,
    common_kind,
    fits,
    incoming_columns,
    max_digits,
    plan_layout,
)
from target_tableau_hyper.extract.schema import Kind
from target_tableau_hyper.extract.values import digits_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from target_tableau_hyper.extract.engine import Database, Engine
    from target_tableau_hyper.extract.staged import StagedStream

_KINDS = {
    TypeTag.TEXT: Kind.TEXT,
    TypeTag.BIG_INT: Kind.INTEGER,
    TypeTag.NUMERIC: Kind.NUMERIC,
    TypeTag.DOUBLE: Kind.DOUBLE,
    TypeTag.BOOL: Kind.BOOLEAN,
    TypeTag.DATE: Kind.DATE,
    TypeTag.TIME: Kind.TIME,
    TypeTag.TIMESTAMP_TZ: Kind.TIMESTAMP,
}


@dataclass(frozen=True, slots=True)
class Table:
    """The copy's table, ready for rows.

    Attributes:
        path: The copy.
        columns: What it has.
        is_new: Whether it holds no row of the extract.
        changed: Whether it differs from the extract's table, the file format included.
        is_dense: Whether all its rows have just been written together.
        added: Names of columns that the extract's table did not have.
    """

    path: Path
    columns: tuple[TableColumn, ...]
    is_new: bool
    changed: bool
    added: frozenset[str]
    is_dense: bool


def prepare_table(
    engine: Engine,
    staged: StagedStream,
    *,
    base: Path | None,
    directory: Path,
    hyper_version: int,
    keep_columns: bool,
) -> Table:
    """Copy the extract into ``directory`` and give its table the columns that the run needs.

    Args:
        engine: Running hyperd, started with ``hyper_version``.
        staged: What was received.
        base: The extract; ``None`` where there is none yet.
        directory: Where the copy shall lie, on the file system of ``base``.
        hyper_version: File format to have.
        keep_columns: Whether columns that the run no longer sends stay; without it such a table is
            begun anew, without its rows.

    Raises:
        DataError: types or keys of extract and run do not go together.
    """
    incoming = incoming_columns(
        staged.stream, staged.segments, staged.columns, digits=max_digits(hyper_version)
    )
    # A path is never used twice: hyperd could still have the former file of that name.
    copy, fresh = directory / "copy.hyper", directory / "fresh.hyper"
    found = None if base is None else _found(engine, base, copy, staged, incoming)
    if found is not None and not keep_columns:
        names = {column.name for column in found.columns}
        found = found if names == set(staged.columns) else None
    layout = plan_layout(
        staged.stream,
        None if found is None else found.columns,
        incoming,
        keys=staged.keys,
        digits=max_digits(hyper_version),
    )
    reformat = found is not None and found.version != hyper_version
    if found is None:
        _create(engine, fresh, layout)
    elif layout.rewrite or reformat:
        rewrite(engine, copy, fresh, layout)
    elif layout.added:
        with engine.open(copy) as database:
            for column in layout.added:
                database.run(f"ALTER TABLE {TABLE} ADD COLUMN {column.definition}")
    return Table(
        path=fresh if fresh.exists() else copy,
        columns=layout.columns,
        is_new=layout.is_new,
        changed=layout.changed or reformat,
        added=frozenset(column.name for column in layout.added),
        is_dense=fresh.exists(),
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """The extract's table as it is."""

    columns: tuple[TableColumn, ...]
    version: int


def _found(
    engine: Engine,
    base: Path,
    copy: Path,
    staged: StagedStream,
    incoming: Sequence[TableColumn],
) -> _Found:
    shutil.copyfile(base, copy)
    with engine.open(copy) as database:
        columns = _read_columns(database)
        _check_keys(database, staged, columns)
        return _Found(_measured(database, columns, incoming), _version(database))


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


def _create(engine: Engine, fresh: Path, layout: Layout) -> None:
    with engine.open(fresh, create=True) as database:
        database.run(f"CREATE SCHEMA {quote(SCHEMA_NAME)}")
        _create_table(database, TABLE, layout.columns)


def _create_table(database: Database, table: str, columns: Sequence[TableColumn]) -> None:
    definitions = ", ".join(column.definition for column in columns)
    database.run(f"CREATE TABLE {table} ({definitions})")


def rewrite(engine: Engine, copy: Path, fresh: Path, layout: Layout) -> None:
    """Copy all rows into a new file with the wanted types; also gives back unused space."""
    new_names = {column.name for column in layout.added}
    with engine.open(fresh, create=True) as database:
        database.catalog.attach_database(copy, alias="old")
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


def _three_part(database: str) -> str:
    return f"{quote(database)}.{TABLE}"
