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

from pipeline_core.errors import DataError, IntegrityError, TransientError
from target_tableau_hyper.extract.engine import TABLE, Database, Engine, start_engine
from target_tableau_hyper.extract.shelf import extracts_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from target_tableau_hyper.extract.store import ExtractStore

_READ_HYPER_VERSION = 3

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

    def ask(self, needs: Needs, sql: str) -> list[list[Any]]:
        """The rows of ``sql``, whose ``{table}`` is the stream's table.

        Raises:
            CannotDrawError: there is no such extract, or it lacks a column.
            DataError: the file is no extract that can be opened.
        """
        store = self._stores.get(needs.stream)
        if store is None or not store.extract.is_file():
            message = (
                f"there is no extract of {needs.stream} in {self._directory}: "
                "add the entity to the tap's `entities` and run the pipeline"
            )
            raise CannotDrawError(message)
        copy = self._scratch / "copy.hyper"
        try:
            shutil.copyfile(store.extract, copy)
            with self._engine.open(copy) as database:
                _check(database, needs)
                rows = database.rows(sql.format(table=TABLE))
        except TransientError as error:
            message = (
                f"{store.extract.name} cannot be read: it is damaged, or the disk is full; "
                "`target-tableau-hyper verify` tells whether it is as it was sealed"
            )
            raise DataError(message) from error
        finally:
            copy.unlink(missing_ok=True)
        self.as_of[needs.stream] = _as_of(store)
        return rows


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


def _check(database: Database, needs: Needs) -> None:
    types = {
        column.name.unescaped: str(column.type)
        for schema in database.catalog.get_schema_names()
        for table in database.catalog.get_table_names(schema)
        if str(table) == TABLE
        for column in database.catalog.get_table_definition(table).columns
    }
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
