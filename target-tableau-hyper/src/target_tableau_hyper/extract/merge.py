"""Bring a run's segments into a copy of the extract, touching only rows that really differ.

Everything is hyperd's SQL over the segment files. The work is done on a copy, because changes of a
table's columns cannot be rolled back; the caller replaces the real file once the copy is proved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline_core.errors import IntegrityError
from target_tableau_hyper.extract import rows as row_changes
from target_tableau_hyper.extract.compaction import Density, compacted
from target_tableau_hyper.extract.engine import TABLE
from target_tableau_hyper.extract.figures import Figures, measure, quoted
from target_tableau_hyper.extract.table import prepare_table

if TYPE_CHECKING:
    from pathlib import Path

    from target_tableau_hyper.extract.engine import Database, Engine
    from target_tableau_hyper.extract.layout import TableColumn
    from target_tableau_hyper.extract.rows import Policy
    from target_tableau_hyper.extract.staged import StagedStream
    from target_tableau_hyper.extract.table import Table


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
        density: What its rows took when they were last written together.
    """

    path: Path
    columns: tuple[TableColumn, ...]
    expected: Figures
    delta: Delta
    payload: Path | None
    density: Density


def merge(
    engine: Engine,
    staged: StagedStream,
    *,
    base: Path | None,
    before: Figures | None,
    directory: Path,
    policy: Policy,
    hyper_version: int,
    payload: Path | None = None,
    density: Density | None = None,
) -> Merged:
    """Apply what was received to a copy of the extract.

    Args:
        engine: Running hyperd, started with the same ``hyper_version``.
        staged: What was received; its segments are finished.
        base: The extract as it is; ``None`` for a new one.
        before: Rows and sums of ``base`` as sealed; ``None`` for a new one.
        directory: Where the copy shall lie, on the file system of ``base``; empty but for
            segments.
        policy: How rows meet.
        hyper_version: File format to have.
        payload: Where to write the changed rows for an update of a published data source; ``None``
            when none will be sent.
        density: Of the extract; ``None`` where it is not known.

    Raises:
        DataError: types or keys of extract and run do not go together.
        IntegrityError: the table does not hold what the statements should have left.
    """
    table = prepare_table(
        engine,
        staged,
        base=base,
        directory=directory,
        hyper_version=hyper_version,
        keep_columns=not policy.replaces_all,
    )
    with engine.open(table.path) as database:
        start = _figures_before(database, table, before)
        change = row_changes.apply(
            database, staged, table.columns, policy, rows_before=start.rows, payload=payload
        )
        expected = start + change.added - change.removed
        _prove_count(database, staged.stream, expected.rows)
    path, size = table.path, table.path.stat().st_size
    if table.is_dense or density is None:
        density = Density(expected.rows, size)
    elif density.is_exceeded(expected.rows, size):
        path = compacted(engine, path, directory / "compact.hyper", table.columns)
        density = Density(expected.rows, path.stat().st_size)
    return Merged(
        path=path,
        columns=table.columns,
        expected=expected,
        delta=Delta(
            inserted=change.inserted,
            updated=change.updated,
            deleted=change.deleted,
            replaced=change.replaced,
            schema_changed=table.changed,
        ),
        payload=payload if payload is not None and payload.exists() else None,
        density=density,
    )


def _figures_before(database: Database, table: Table, sealed: Figures | None) -> Figures:
    """The sealed figures, with sums of columns that have only now become NUMERIC."""
    if table.is_new or sealed is None:
        return Figures.empty().with_columns(table.columns)
    unknown = {
        name: expression
        for name, expression in quoted(table.columns).items()
        if name not in sealed.totals and name not in table.added
    }
    totals = dict(sealed.totals)
    if unknown:
        totals |= measure(database, TABLE, unknown).totals
    return Figures(sealed.rows, totals).with_columns(table.columns)


def _prove_count(database: Database, stream: str, expected: int) -> None:
    """COMMIT reports success even when it kept nothing: count what is there."""
    rows = database.row(f"SELECT count(*) FROM {TABLE}")[0]  # noqa: S608 - constant
    if rows != expected:
        message = (
            f"the extract of stream {stream!r} holds {rows} rows after the merge instead of "
            f"{expected}; nothing was replaced, run again"
        )
        raise IntegrityError(message)
