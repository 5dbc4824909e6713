"""hyperd: the one process that writes extracts, and the SQL habits that keep it honest.

Two facts shape this module: COMMIT of a failed transaction reports success and keeps nothing, so
nothing is ever inferred from it; and a commit is not on disk until the last connection to the file
is closed.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tableauhyperapi import (  # type: ignore[import-untyped, unused-ignore]
    Connection,
    CreateMode,
    HyperException,
    HyperProcess,
    Telemetry,
    escape_name,
    escape_string_literal,
)

from pipeline_core.errors import TransientError
from target_tableau_hyper.extract.patience import limited_patience

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

#: Every extract has one table of this name: the only one that all versions of Tableau Server accept
#: in a published ``.hyper`` file.
SCHEMA_NAME = "Extract"
TABLE_NAME = "Extract"
TABLE = '"Extract"."Extract"'


def quote(name: str) -> str:
    """An SQL identifier; any character is allowed in one."""
    return str(escape_name(name))


def literal(text: str) -> str:
    """An SQL string literal."""
    return str(escape_string_literal(text))


def listing(names: Sequence[str], prefix: str = "") -> str:
    """Quoted identifiers with commas between, each behind ``prefix``."""
    return ", ".join(prefix + quote(name) for name in names)


class Engine:
    """A running hyperd."""

    def __init__(self, process: HyperProcess) -> None:
        """Use ``process``, which outlives this object."""
        self._process = process

    @contextmanager
    def open(self, path: Path, *, create: bool = False) -> Iterator[Database]:
        """A connection to one file; what it wrote is on disk when the block has ended."""
        mode = CreateMode.CREATE if create else CreateMode.NONE
        with (
            named_failures(path.name),
            Connection(
                self._process.endpoint, path, mode, parameters={"lc_time": "en_US"}
            ) as connection,
        ):
            yield Database(connection)


@contextmanager
def start_engine(*, hyper_version: int, memory_limit: str | None = None) -> Iterator[Engine]:
    """Start hyperd for files of one format version, without log file and telemetry.

    Args:
        hyper_version: Of files that it creates.
        memory_limit: What it may allocate, as ``4g``; hyperd's default is most of the memory.
    """
    parameters = {"log_config": "", "default_database_version": str(hyper_version)}
    if memory_limit:
        parameters["memory_limit"] = memory_limit
    with (
        named_failures("hyperd"),
        HyperProcess(Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters=parameters) as process,
        limited_patience(_pid(process)),
    ):
        try:
            yield Engine(process)
        except BaseException:
            # What it worked on does not count any more, and it may never answer.
            process.shutdown(timeout_ms=0)
            raise
        process.close()


def _pid(process: HyperProcess) -> int:
    """Number of hyperd's process; the API tells it nowhere but in its text for people."""
    found = re.search(r"pid: (\d+)", repr(process))
    assert found is not None, "tableauhyperapi tells the process of a running hyperd"  # noqa: S101 - a test stops hyperd by it
    return int(found[1])


class Database:
    """One open file."""

    def __init__(self, connection: Connection) -> None:
        """Wrap an open connection."""
        self._connection = connection
        self.catalog = connection.catalog

    def run(self, sql: str) -> int:
        """Execute one statement; returns the rows that it changed."""
        return self._connection.execute_command(sql) or 0

    def rows(self, sql: str) -> list[list[Any]]:
        """All rows of a small result."""
        result: list[list[Any]] = self._connection.execute_list_query(sql)
        return result

    def row(self, sql: str) -> list[Any]:
        """The one row of a result."""
        return self.rows(sql)[0]

    def stream(self, sql: str) -> Iterator[list[Any]]:
        """The rows of a result of any size, one by one."""
        with self._connection.execute_query(sql) as result:
            yield from result

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Several statements, all or nothing; the caller must prove afterwards that it was all."""
        self.run("BEGIN TRANSACTION")
        try:
            yield
        except BaseException:
            self.run("ROLLBACK")
            raise
        self.run("COMMIT")


@contextmanager
def named_failures(what: str) -> Iterator[None]:
    """Turn failures of hyperd into a :class:`TransientError` that says where.

    hyperd's own message is kept; its details can quote values of rows and are left out.
    """
    try:
        yield
    except HyperException as error:
        message = (
            f"hyperd failed on {what}: {str(error.main_message)[:300]}; nothing was published, "
            "check free disk space and memory, then run again"
        )
        raise TransientError(message) from error
