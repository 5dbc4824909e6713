"""The server's own Hyper database process: opens files, reads their schema, runs statements.

One process serves all requests. It is started by the first file and stopped with the server.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tableauhyperapi import (
    Connection,
    HyperException,
    HyperProcess,
    SchemaName,
    TableName,
    Telemetry,
)

from contoso_sandbox.tableau.hyper_schema import Column, HyperContent, Link, Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: An empty ``log_config`` is what keeps hyperd.log out of the working directory.
_PARAMETERS = {"log_config": ""}

_FOREIGN_KEYS = """
SELECT n.nspname, c.relname, fn.nspname, fc.relname
FROM {db}.pg_catalog.pg_constraint AS k
JOIN {db}.pg_catalog.pg_class AS c ON c.oid = k.conrelid
JOIN {db}.pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN {db}.pg_catalog.pg_class AS fc ON fc.oid = k.confrelid
JOIN {db}.pg_catalog.pg_namespace AS fn ON fn.oid = fc.relnamespace
WHERE k.contype = 'f'
"""


class HyperError(Exception):
    """hyperd refused; the message is its own first line."""


class OpenFiles:
    """A connection with some files attached."""

    def __init__(self, connection: Connection) -> None:
        """Wrap ``connection``."""
        self._connection = connection

    def run(self, sql: str) -> None:
        """Run a statement and commit it.

        Raises:
            HyperError: hyperd refuses it.
        """
        with _named_errors():
            self._connection.execute_command(sql)

    def has_rows(self, query: str) -> bool:
        """Whether a query returns any row.

        Raises:
            HyperError: hyperd refuses it.
        """
        with _named_errors(), self._connection.execute_query(query) as result:
            return bool(result.next_row())

    def content(self, alias: str) -> HyperContent:
        """Tables and foreign keys of the file attached as ``alias``.

        Raises:
            HyperError: hyperd cannot read its catalog.
        """
        with _named_errors():
            catalog = self._connection.catalog
            names = [
                (schema.name.unescaped, table.name.unescaped)
                for schema in catalog.get_schema_names(alias)
                for table in catalog.get_table_names(SchemaName(alias, schema.name.unescaped))
            ]
            tables = tuple(
                Table(
                    schema,
                    table,
                    tuple(
                        Column(column.name.unescaped, str(column.type))
                        for column in catalog.get_table_definition(
                            TableName(alias, schema, table)
                        ).columns
                    ),
                )
                for schema, table in names
            )
            query = _FOREIGN_KEYS.format(db=f'"{alias}"')
            links = tuple(
                Link(names.index((schema, table)), names.index((to_schema, to_table)))
                for schema, table, to_schema, to_table in self._connection.execute_list_query(query)
            )
        return HyperContent(tables, links)


class Hyperd:
    """The process, and what it does with files."""

    def __init__(self) -> None:
        """Prepare; nothing is started yet."""
        self._lock = threading.Lock()
        self._process: HyperProcess | None = None

    @contextmanager
    def open(self, **files: Path) -> Iterator[OpenFiles]:
        """Attach ``files`` under their keyword's name, and flush and detach them at the end.

        hyperd writes to every file that it opens, even where nothing changes: attach copies.

        Raises:
            HyperError: a file is no database, cut, too new, or opened by another process.
        """
        with _named_errors():
            connection = self._connect()
        try:
            with _named_errors():
                for alias, path in files.items():
                    connection.catalog.attach_database(str(path), alias)
            yield OpenFiles(connection)
            with _named_errors():
                for alias in files:
                    connection.catalog.detach_database(alias)
        finally:
            connection.close()

    def close(self) -> None:
        """Stop the process."""
        with self._lock:
            if self._process is not None:
                self._process.close()
                self._process = None

    def _connect(self) -> Connection:
        with self._lock:
            if self._process is not None:
                try:
                    return Connection(self._process.endpoint)
                except HyperException:
                    # Killed from outside, or crashed by a statement: a server restarts its hyperd.
                    self._process.close()
                    self._process = None
            self._process = HyperProcess(
                Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters=_PARAMETERS
            )
            return Connection(self._process.endpoint)


@contextmanager
def _named_errors() -> Iterator[None]:
    try:
        yield
    except HyperException as error:
        raise HyperError(str(error).partition("\n")[0]) from error
