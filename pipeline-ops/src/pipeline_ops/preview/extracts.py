"""Ask extracts, in private copies: hyperd writes to every file that it opens.

The target puts an extract in place by renaming, so a copy is always one whole version of it, also
while a run goes on. It is copied, asked and thrown away; no lock is taken.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tableauhyperapi import (  # type: ignore[import-untyped, unused-ignore]
    TableName,
)

from pipeline_core.errors import DataError, IntegrityError, TransientError
from target_tableau_hyper.extract.engine import (
    SCHEMA_NAME,
    TABLE,
    TABLE_NAME,
    Database,
    Engine,
    quote,
    start_engine,
)
from target_tableau_hyper.extract.shelf import extracts_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from target_tableau_hyper.extract.store import ExtractStore

_READ_HYPER_VERSION = 3

#: What copies are called, with a number: hyperd names databases after their files.
_ALIAS = "extract"

#: Types whose sums are exact.
_EXACT = ("NUMERIC", "BIG_INT", "INT", "SMALL_INT")


class CannotDrawError(Exception):
    """Why a chart is left out, as a sentence for the page."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a chart reads of one stream.

    Attributes:
        stream: Its name.
        amounts: Columns that are added up.
        others: Columns that are grouped or filtered by.
    """

    stream: str
    amounts: Sequence[str]
    others: Sequence[str]


@dataclass(slots=True)
class Extracts:
    """The extracts of one directory while hyperd runs.

    Attributes:
        as_of: Stream -> when a run last found it current; of those that were asked.
    """

    _engine: Engine
    _stores: dict[str, ExtractStore]
    _directory: Path
    _scratch: Path
    as_of: dict[str, str] = field(default_factory=dict)

    def ask(self, sql: str, *needs: Needs) -> list[list[Any]]:
        """The rows of ``sql``, whose ``{0}``, ``{1}`` are the tables of the streams in ``needs``.

        Raises:
            CannotDrawError: there is no such extract, or it lacks a column.
            DataError: a file is no extract that can be opened.
        """
        stores = [self._store(each.stream) for each in needs]
        copies = [self._scratch / f"{_ALIAS}{number}.hyper" for number in range(len(needs))]
        opened = False
        try:
            for store, copy in zip(stores, copies, strict=True):
                shutil.copyfile(store.extract, copy)
            with self._engine.open(copies[0]) as database:
                for copy in copies[1:]:
                    database.run(f"ATTACH DATABASE {quote(str(copy))} AS {quote(copy.stem)}")
                tables = [f"{quote(copy.stem)}.{TABLE}" for copy in copies]
                for each, table in zip(needs, tables, strict=True):
                    _check(database, each, table)
                opened = True
                rows = database.rows(sql.format(*tables))
        except TransientError as error:
            if opened:
                raise
            names = " or ".join(store.extract.name for store in stores)
            message = (
                f"{names} cannot be read: it is damaged, or the disk is full; "
                "`target-tableau-hyper verify` tells whether it is as it was sealed"
            )
            raise DataError(message) from error
        finally:
            for copy in copies:
                copy.unlink(missing_ok=True)
        for each, store in zip(needs, stores, strict=True):
            self.as_of[each.stream] = _as_of(store)
        return rows

    def has(self, *streams: str) -> bool:
        """Whether each of the streams has an extract."""
        return all(s in self._stores and self._stores[s].extract.is_file() for s in streams)

    def _store(self, stream: str) -> ExtractStore:
        if not self.has(stream):
            message = (
                f"there is no extract of {stream} in {self._directory}: "
                "add the entity to the tap's `entities` and run the pipeline"
            )
            raise CannotDrawError(message)
        return self._stores[stream]


@contextmanager
def open_extracts(directory: Path) -> Iterator[Extracts]:
    """Start hyperd over the extracts of ``directory``; nothing in there changes.

    Raises:
        ConfigError: there is no such directory.
    """
    stores = {store.stream: store for store in extracts_in(directory)}
    with (
        tempfile.TemporaryDirectory(prefix="preview-") as scratch,
        start_engine(hyper_version=_READ_HYPER_VERSION) as engine,
    ):
        yield Extracts(engine, stores, directory, Path(scratch))


def _as_of(store: ExtractStore) -> str:
    try:
        manifests = store.candidates()
    except IntegrityError:
        return ""
    return manifests[0].as_of if manifests else ""


def _check(database: Database, needs: Needs, table: str) -> None:
    definition = database.catalog.get_table_definition(
        TableName(table.split(".", maxsplit=1)[0].strip('"'), SCHEMA_NAME, TABLE_NAME)
    )
    types = {column.name.unescaped: str(column.type) for column in definition.columns}
    missing = [name for name in (*needs.others, *needs.amounts) if name not in types]
    if missing:
        message = (
            f"the extract of {needs.stream} lacks {', '.join(missing)}: "
            "select the column in the tap's catalog or `entity_settings`, and run the pipeline"
        )
        raise CannotDrawError(message)
    inexact = [name for name in needs.amounts if not types[name].startswith(_EXACT)]
    if inexact:
        message = (
            f"{', '.join(inexact)} of {needs.stream} holds floating-point numbers, whose sums are "
            "not exact: load it with the target's `number_type: exact`"
        )
        raise CannotDrawError(message)
