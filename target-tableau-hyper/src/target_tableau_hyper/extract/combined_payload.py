"""The changed rows of several tables in one file, so that one update carries them, all or none."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tableauhyperapi import TableName  # type: ignore[import-untyped, unused-ignore]

from target_tableau_hyper.extract.engine import SCHEMA_NAME, quote
from target_tableau_hyper.extract.payload import DELETES, UPSERTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from target_tableau_hyper.extract.engine import Engine

_SOURCE = "source"


def numbered(table: str, number: int) -> str:
    """Name of a payload's table in the joined file: ``upserts 2``."""
    return f"{table} {number}"


def join_payloads(engine: Engine, payloads: Sequence[Path], path: Path) -> None:
    """Put the tables of every payload into one new file, each with the number of its payload.

    Args:
        engine: Running hyperd.
        payloads: Files of :func:`~target_tableau_hyper.extract.payload.write_payload`; only copies
            of them are opened.
        path: The file to make; its directory also takes the copies.
    """
    for number, payload in enumerate(payloads):
        # A path is never used twice: hyperd could still have the former file of that name.
        copy = path.with_name(f"{path.stem}.part{number}.hyper")
        shutil.copyfile(payload, copy)
        with engine.open(path, create=number == 0) as database:
            database.catalog.attach_database(copy, alias=_SOURCE)
            schema = f"{quote(path.stem)}.{quote(SCHEMA_NAME)}"
            if number == 0:
                database.run(f"CREATE SCHEMA {schema}")
            for table in (UPSERTS, DELETES):
                if database.catalog.has_table(TableName(_SOURCE, SCHEMA_NAME, table)):
                    source = f"{quote(_SOURCE)}.{quote(SCHEMA_NAME)}.{quote(table)}"
                    new = f"{schema}.{quote(numbered(table, number))}"
                    database.run(f"CREATE TABLE {new} AS SELECT * FROM {source}")  # noqa: S608 - quoted
            database.catalog.detach_database(_SOURCE)
        copy.unlink()
