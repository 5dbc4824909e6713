"""The SQL that finds and applies what really changed between the extract and a run's rows.

Hyper has no MERGE and no unique keys, so an upsert is: the last record of each key, compared with
the row that is there, NULL-safe; then one transaction that deletes the old rows and inserts the new
ones. A full re-read of unchanged rows therefore changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError, IntegrityError
from target_tableau_hyper.extract.engine import TABLE, listing, literal, quote
from target_tableau_hyper.extract.figures import Figures, measure, numerics, quoted
from target_tableau_hyper.extract.payload import write_payload
from target_tableau_hyper.extract.schema import DELETED_AT
from target_tableau_hyper.extract.stage import (
    arrivals,
    is_metadata,
    last_per_key,
    matching,
    positions,
)
from target_tableau_hyper.failpoints import reach

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from target_tableau_hyper.extract.engine import Database
    from target_tableau_hyper.extract.layout import TableColumn
    from target_tableau_hyper.extract.staged import StagedStream


@dataclass(frozen=True, slots=True)
class Policy:
    """How received rows meet the rows that are there.

    Attributes:
        load_method: ``upsert``, ``append-only`` or ``overwrite``.
        hard_delete: Whether deletions remove rows, or set ``_sdc_deleted_at``.
        now: ISO instant for rows that an ACTIVATE_VERSION deletes softly.
    """

    load_method: str
    hard_delete: bool
    now: str

    @property
    def replaces_all(self) -> bool:
        """Whether rows that this run does not bring are removed."""
        return self.load_method == "overwrite"


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to the table, with the figures of what came and went."""

    inserted: int
    updated: int
    deleted: int
    replaced: bool
    added: Figures
    removed: Figures


def apply(
    database: Database,
    staged: StagedStream,
    columns: Sequence[TableColumn],
    policy: Policy,
    *,
    rows_before: int,
    payload: Path | None,
) -> Change:
    """Bring the staged rows into the table, which has ``columns`` already.

    Returns:
        The change; with nothing to do, all its counts are zero and the table is untouched.
    """
    if policy.load_method == "append-only":
        return _append(database, staged, columns, payload)
    if staged.keys:
        if rows_before:
            return _upsert(database, staged, columns, policy, payload)
        return _first_load(database, staged, columns, policy)
    if policy.replaces_all or staged.activated is not None:
        return _replace(database, staged, columns, policy)
    return _append(database, staged, columns, payload)


def _append(
    database: Database,
    staged: StagedStream,
    columns: Sequence[TableColumn],
    payload: Path | None,
) -> Change:
    """Add every row; a deletion is only worth a row where the table can show that it is one."""
    source = f"({arrivals(staged, columns)}) s"
    if DELETED_AT not in staged.columns:
        source += " WHERE NOT deleted"
    added = measure(database, source, _by_position(columns))
    listed = ", ".join(positions(columns))
    with database.transaction():
        inserted = database.run(f"INSERT INTO {TABLE} SELECT {listed} FROM {source}")  # noqa: S608 - quoted
    _agree(inserted, added.rows, "inserted")
    if payload is not None and inserted:
        database.run(f"CREATE TEMPORARY TABLE upserts AS SELECT {listed} FROM {source}")  # noqa: S608 - quoted
        write_payload(database, payload, columns, keys=())
    return Change(inserted, 0, 0, replaced=False, added=added, removed=Figures.empty())


def _first_load(
    database: Database, staged: StagedStream, columns: Sequence[TableColumn], policy: Policy
) -> Change:
    """Fill an empty table straight from the segments, the last record of each key."""
    if _is_all_kept(staged, policy) and _has_each_key_once(database, staged, columns):
        source = f"({arrivals(staged, columns)}) s"
        # Counted when the rows were received: then the proof does not rest on hyperd's reading.
        added = Figures(staged.rows, staged.totals).with_columns(columns)
    else:
        last = last_per_key(staged, columns, purge=_purges(staged, policy))
        source = f"({last}) s WHERE kept"
        added = measure(database, source, _by_position(columns))
    with database.transaction():
        inserted = database.run(
            f"INSERT INTO {TABLE} SELECT {', '.join(positions(columns))} FROM {source}"  # noqa: S608 - quoted
        )
    _agree(inserted, added.rows, "inserted")
    return Change(inserted, 0, 0, replaced=False, added=added, removed=Figures.empty())


def _is_all_kept(staged: StagedStream, policy: Policy) -> bool:
    """Whether no record is a deletion, or belongs to a version that was not activated."""
    if staged.deletions:
        return False
    if policy.replaces_all or staged.activated is None:
        return True
    return staged.unversioned == 0 and staged.seen_versions == {staged.activated}


def _has_each_key_once(
    database: Database, staged: StagedStream, columns: Sequence[TableColumn]
) -> bool:
    """Whether no key came twice; only the key columns of the segments are read for it."""
    index = {column.name: i for i, column in enumerate(columns)}
    keys = ", ".join(f"c{index[key]}" for key in staged.keys)
    found = database.row(
        f"SELECT count(*) FROM (SELECT {keys} FROM ({arrivals(staged, columns)}) a "  # noqa: S608 - quoted
        f"GROUP BY {keys}) q"
    )
    return bool(found[0] == staged.rows)


def _upsert(
    database: Database,
    staged: StagedStream,
    columns: Sequence[TableColumn],
    policy: Policy,
    payload: Path | None,
) -> Change:
    """Apply the difference by key."""
    purge = _purges(staged, policy)
    keys = matching(columns, staged.keys, "l", "t")
    database.run(f"CREATE TEMPORARY TABLE last AS {last_per_key(staged, columns, purge=purge)}")
    _check_unique(database, staged, keys)
    _find_upserts(database, staged, columns, keys)
    _find_removals(database, staged, columns, keys, hard=policy.hard_delete, purge=purge)
    if not policy.hard_delete:
        _soften_removals(database, staged, columns, policy)
    new, updated = _count(database, "upserts", "is_new"), _count(database, "upserts", "NOT is_new")
    gone = _count(database, "removed", "NOT updated")
    added = measure(database, "upserts", _by_position(columns))
    same = matching(columns, staged.keys, "removed", TABLE)
    doomed = f"EXISTS (SELECT 1 FROM removed WHERE {same})"  # noqa: S608 - quoted
    removed = measure(database, f"{TABLE} WHERE {doomed}", quoted(columns))
    _agree(removed.rows, updated + gone, "found for removal")
    if new or updated or gone:
        listed = ", ".join(positions(columns))
        with database.transaction():
            deleted = database.run(f"DELETE FROM {TABLE} WHERE {doomed}")  # noqa: S608 - quoted
            reach("merge.deleted")
            inserted = database.run(f"INSERT INTO {TABLE} SELECT {listed} FROM upserts")  # noqa: S608 - quoted
        _agree(deleted, updated + gone, "deleted")
        _agree(inserted, new + updated, "inserted")
        if payload is not None:
            write_payload(database, payload, columns, keys=staged.keys)
    return Change(new, updated, gone, replaced=False, added=added, removed=removed)


def _replace(
    database: Database, staged: StagedStream, columns: Sequence[TableColumn], policy: Policy
) -> Change:
    """Without a key: the rows of this run, or of the activated version, are the table."""
    listed = ", ".join(positions(columns))
    where = "NOT deleted"
    if staged.activated is not None and not policy.replaces_all:
        where += f" AND version = {staged.activated}"
    database.run(
        f"CREATE TEMPORARY TABLE fresh AS SELECT {listed} FROM ({arrivals(staged, columns)}) s "  # noqa: S608 - quoted
        f"WHERE {where}"
    )
    names = _by_position(columns)
    added = measure(database, "fresh", names)
    removed = measure(database, TABLE, quoted(columns))
    compared = [i for i, column in enumerate(columns) if not is_metadata(column.name)]
    fresh = f"SELECT {', '.join(f'c{i}' for i in compared)} FROM fresh"  # noqa: S608 - positions
    there = f"SELECT {listing([columns[i].name for i in compared])} FROM {TABLE}"  # noqa: S608 - quoted
    if added.rows == removed.rows and not database.rows(f"{fresh} EXCEPT ALL {there} LIMIT 1"):
        nothing = Figures.empty()
        return Change(0, 0, 0, replaced=False, added=nothing, removed=nothing)
    with database.transaction():
        deleted = database.run(f"DELETE FROM {TABLE}")  # noqa: S608 - constant
        inserted = database.run(f"INSERT INTO {TABLE} SELECT {listed} FROM fresh")  # noqa: S608 - quoted
    _agree(deleted, removed.rows, "deleted")
    _agree(inserted, added.rows, "inserted")
    return Change(inserted, 0, deleted, replaced=True, added=added, removed=removed)


def _find_upserts(
    database: Database, staged: StagedStream, columns: Sequence[TableColumn], keys: str
) -> None:
    """Temporary table ``upserts``: full rows that are new or differ, and whether they are new.

    A column that the tap no longer sends keeps the value that the row had.
    """
    values, differences = [], []
    for i, column in enumerate(columns):
        there = f"t.{quote(column.name)}"
        sent = column.name in staged.columns
        values.append(f"{f'l.c{i}' if sent else there} AS c{i}")
        if sent and column.name not in staged.keys and not is_metadata(column.name):
            differences.append(f"l.c{i} IS DISTINCT FROM {there}")
    absent = f"t.{quote(staged.keys[0])} IS NULL"
    changed = " OR ".join([absent, *differences])
    database.run(
        f"CREATE TEMPORARY TABLE upserts AS SELECT {', '.join(values)}, {absent} AS is_new "  # noqa: S608 - quoted
        f"FROM last l LEFT JOIN {TABLE} t ON {keys} WHERE l.kept AND ({changed})"
    )


def _find_removals(
    database: Database,
    staged: StagedStream,
    columns: Sequence[TableColumn],
    keys: str,
    *,
    hard: bool,
    purge: str | None,
) -> None:
    """Temporary table ``removed``: keys of rows to take away, and whether a new row follows."""
    index = {column.name: i for i, column in enumerate(columns)}
    own = ", ".join(f"c{index[key]} AS k{n}" for n, key in enumerate(staged.keys))
    there = ", ".join(f"t.{quote(key)}" for key in staged.keys)
    gone = "EXISTS (SELECT 1 FROM last l WHERE l.deleted AND {})"
    if staged.quarantine and staged.quarantine.strays:
        purge = None  # whatever is absent may be one of them
    if purge is not None:
        gone = "NOT EXISTS (SELECT 1 FROM last l WHERE l.kept AND {})"
    gone = gone.format(keys) + (_but_spared(staged) if purge is not None else "")
    alive = "" if hard else f" AND t.{quote(DELETED_AT)} IS NULL"
    database.run(
        f"CREATE TEMPORARY TABLE removed AS SELECT {own}, TRUE AS updated FROM upserts "  # noqa: S608 - quoted
        f"WHERE NOT is_new UNION ALL SELECT {there}, FALSE FROM {TABLE} t "
        f"WHERE {gone}{alive}"
    )


def _but_spared(staged: StagedStream) -> str:
    """Rows whose newer version was set aside are not absent: the older one stays."""
    file = staged.quarantine.write_keys() if staged.quarantine else None
    if file is None:
        return ""
    same = " AND ".join(f"s.k{n} = t.{quote(key)}" for n, key in enumerate(staged.keys))
    return (
        f" AND NOT EXISTS (SELECT 1 FROM external({literal(str(file))}, FORMAT => 'parquet') s "  # noqa: S608 - quoted
        f"WHERE {same})"
    )


def _soften_removals(
    database: Database, staged: StagedStream, columns: Sequence[TableColumn], policy: Policy
) -> None:
    """Turn removals into updates that keep the row and say when it was deleted."""
    index = {column.name: i for i, column in enumerate(columns)}
    keys = matching(columns, staged.keys, "l", "t")
    same = " AND ".join(f"r.k{n} = t.{quote(key)}" for n, key in enumerate(staged.keys))
    when = f"COALESCE(l.c{index[DELETED_AT]}, TIMESTAMPTZ {literal(policy.now)})"
    values = ", ".join(
        f"{when if column.name == DELETED_AT else f't.{quote(column.name)}'}" for column in columns
    )
    database.run(
        f"INSERT INTO upserts SELECT {values}, FALSE FROM {TABLE} t JOIN removed r ON {same} "  # noqa: S608 - quoted
        f"LEFT JOIN last l ON {keys} AND l.deleted WHERE NOT r.updated"
    )
    database.run("UPDATE removed SET updated = TRUE")


def _purges(staged: StagedStream, policy: Policy) -> str | None:
    """SQL for "this arrival belongs to what stays", or ``None`` where absent rows stay."""
    if policy.replaces_all:
        return "TRUE"
    return None if staged.activated is None else f"version = {staged.activated}"


def _check_unique(database: Database, staged: StagedStream, keys: str) -> None:
    """Refuse to merge by a key that does not tell rows apart.

    Only keys that came are looked at: the time goes with the run's rows, not with the table's.
    """
    listed = ", ".join(map(quote, staged.keys))
    several = database.row(
        f"SELECT count(*) FROM (SELECT {listed} FROM {TABLE} t "  # noqa: S608 - quoted
        f"WHERE EXISTS (SELECT 1 FROM last l WHERE {keys}) "
        f"GROUP BY {listed} HAVING count(*) > 1) q"
    )[0]
    if several:
        message = (
            f"the extract of stream {staged.stream!r} holds several rows for {several} of its keys "
            "(was it loaded with append-only?); remove the extract with its manifest and load it "
            "anew (meltano run --full-refresh)"
        )
        raise ConfigError(message)


def _count(database: Database, table: str, where: str) -> int:
    return int(database.row(f"SELECT count(*) FROM {table} WHERE {where}")[0])  # noqa: S608 - constants


def _by_position(columns: Sequence[TableColumn]) -> dict[str, str]:
    index = {column.name: i for i, column in enumerate(columns)}
    return {name: f"c{index[name]}" for name in numerics(columns)}


def _agree(found: int, expected: int, what: str) -> None:
    if found != expected:
        message = (
            f"a merge {what} {found} rows instead of {expected}; nothing was replaced, run again"
        )
        raise IntegrityError(message)
