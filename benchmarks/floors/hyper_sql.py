"""What the floors of the target share: a hyperd, and a table made from Parquet files."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tableauhyperapi import Connection, CreateMode, HyperProcess, Telemetry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PARAMETERS = {"log_config": "", "default_database_version": "3"}


@contextmanager
def opened(extract: Path, *, create: bool) -> Iterator[Connection]:
    """A connection to an extract; hyperd starts and ends with the block."""
    mode = CreateMode.CREATE_AND_REPLACE if create else CreateMode.NONE
    with (
        HyperProcess(Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters=_PARAMETERS) as hyperd,
        Connection(hyperd.endpoint, str(extract), mode) as connection,
    ):
        yield connection


def external(files: list[Path]) -> str:
    """SQL of the rows of Parquet files."""
    listed = ", ".join(f"'{file}'" for file in files)
    return f"external(ARRAY[{listed}], FORMAT => 'parquet')"


def insert(extract: Path, files: list[Path]) -> None:
    """Make ``extract`` of the rows of Parquet files."""
    with opened(extract, create=True) as connection:
        connection.execute_command(f"CREATE TABLE t AS SELECT * FROM {external(files)}")  # noqa: S608 - ours
