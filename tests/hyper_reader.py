"""Reads extracts as a PostgreSQL client: psycopg on the socket of a hyperd of the tests' own.

hyperd speaks the PostgreSQL protocol there, so this shares nothing with the product's readers.
"""

from __future__ import annotations

import itertools
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from tableauhyperapi import HyperProcess, Telemetry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALL_ROWS = 'SELECT * FROM "Extract"."Extract" ORDER BY 1'


class HyperReader:
    """Asks copies of ``.hyper`` files, so that nothing that is asked changes one."""

    def __init__(self, directory: str, port: int, copies: Path) -> None:
        """Use the socket ``.s.PGSQL.<port>`` in ``directory``; ``copies`` is a scratch folder."""
        self._directory = directory
        self._port = port
        self._copies = copies
        self._numbers = itertools.count()

    def ask(self, path: Path, sql: str = ALL_ROWS) -> list[tuple[Any, ...]]:
        """The rows of the answer."""
        return self.table(path, sql)[1]

    def table(self, path: Path, sql: str = ALL_ROWS) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Names of the answer's columns, and its rows."""
        # A name of its own: hyperd may still hold the former file of a name for a moment.
        copy = self._copies / f"{next(self._numbers)}.hyper"
        shutil.copyfile(path, copy)
        try:
            with psycopg.connect(
                host=self._directory,
                port=self._port,
                user="tableau_internal_user",
                dbname=str(copy),
                autocommit=True,
            ) as connection:
                answer = connection.execute(sql.encode())
                return [column.name for column in answer.description or ()], answer.fetchall()
        finally:
            copy.unlink()


@contextmanager
def hyper_reader(copies: Path) -> Iterator[HyperReader]:
    """A reader with a hyperd that lives as long as the block; ``copies`` must exist."""
    parameters = {"log_config": ""}
    with HyperProcess(Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters=parameters) as hyperd:
        # tab.domain://DIRECTORY/domain/.s.PGSQL.PORT
        address = str(hyperd.endpoint.connection_descriptor).removeprefix("tab.domain://")
        directory, _, socket = address.partition("/domain/")
        yield HyperReader(directory, int(socket.rpartition(".")[2]), copies)
