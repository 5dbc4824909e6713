"""The small file that an update of a published data source carries: changed rows, deleted keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_tableau_hyper.extract.engine import SCHEMA_NAME, quote
from target_tableau_hyper.extract.stage import positions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from target_tableau_hyper.extract.engine import Database
    from target_tableau_hyper.extract.layout import TableColumn

#: Tables of the payload, in schema ``Extract``; columns are named as in the extract.
UPSERTS = "upserts"
DELETES = "deletes"

_ALIAS = "payload"


def write_payload(
    database: Database, path: Path, columns: Sequence[TableColumn], *, keys: Sequence[str]
) -> None:
    """Copy the temporary tables ``upserts`` and ``removed`` into a new file.

    Args:
        database: The connection that holds the temporary tables.
        path: The file to create.
        columns: The extract's columns.
        keys: Key properties; without one there is nothing to delete by.
    """
    path.unlink(missing_ok=True)
    database.catalog.create_database(path)
    database.catalog.attach_database(path, alias=_ALIAS)
    try:
        schema = f"{quote(_ALIAS)}.{quote(SCHEMA_NAME)}"
        database.run(f"CREATE SCHEMA {schema}")
        _fill(database, f"{schema}.{quote(UPSERTS)}", columns, positions(columns), "upserts")
        if keys:
            by_name = {column.name: column for column in columns}
            _fill(
                database,
                f"{schema}.{quote(DELETES)}",
                [by_name[key] for key in keys],
                [f"k{n}" for n in range(len(keys))],
                "removed WHERE NOT updated",
            )
    finally:
        database.catalog.detach_database(_ALIAS)


def _fill(
    database: Database, table: str, columns: Sequence[TableColumn], values: list[str], source: str
) -> None:
    definitions = ", ".join(column.definition for column in columns)
    database.run(f"CREATE TABLE {table} ({definitions})")
    database.run(f"INSERT INTO {table} SELECT {', '.join(values)} FROM {source}")  # noqa: S608 - quoted
