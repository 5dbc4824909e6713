"""What three foreign targets leave behind, read back as rows of the books.

Each is read with a library that has nothing to do with the target: psycopg, ``csv``, ``json``.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
from psycopg import sql
from tests.e2e.books import by_key
from tests.interop.peers import TARGET_CSV, TARGET_JSONL, TARGET_POSTGRES, scripts_of

from contoso_sandbox.model import AxType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tests.e2e.books import Rows
    from tests.interop.postgres import Postgres

    from contoso_sandbox.model import EntitySet

#: What marks a deletion in a record.
DELETED_AT = "_sdc_deleted_at"


class Store(Protocol):
    """A target and where it writes."""

    @property
    def command(self) -> Path:
        """The target's script."""

    def config(self, run: int) -> dict[str, Any]:
        """Its configuration in one of the runs of a test."""

    def rows(self, entity_set: EntitySet, *, incremental: bool) -> Rows:
        """What a reader finds after the runs so far.

        Args:
            entity_set: Which rows.
            incremental: A later run sent only changes; otherwise it sent everything again and
                ended with ACTIVATE_VERSION: what it did not send is gone.
        """

    def as_it_must_be(self, books: Rows) -> Rows:
        """The books, as far as the format of the store can express them."""


@dataclass(frozen=True, slots=True)
class Tables:
    """meltanolabs-target-postgres, upserting; it deletes what a new version does not hold."""

    postgres: Postgres

    @property
    def command(self) -> Path:
        """The target's script."""
        return scripts_of(TARGET_POSTGRES) / "target-postgres"

    def config(self, run: int) -> dict[str, Any]:
        """One database for all runs."""
        del run
        return {
            "sqlalchemy_url": self.postgres.sqlalchemy_url,
            "default_target_schema": "landed",
            "load_method": "upsert",
            "hard_delete": True,
        }

    def rows(self, entity_set: EntitySet, *, incremental: bool) -> Rows:
        """All rows of the table: the target has merged them itself."""
        del incremental
        names = [p.name for p in entity_set.properties]
        # ``hard_delete`` is for what a new version does not hold; a deletion record marks its row.
        query = sql.SQL("SELECT {} FROM {} WHERE _sdc_deleted_at IS NULL").format(
            sql.SQL(", ").join(map(sql.Identifier, names)),
            sql.Identifier("landed", entity_set.name),
        )
        with psycopg.connect(
            host=str(self.postgres.socket), user=self.postgres.user, dbname="postgres"
        ) as connection:
            stored = connection.execute(query).fetchall()
        convert = [_FROM_SQL.get(p.ax_type, _same) for p in entity_set.properties]
        return by_key([_typed(names, convert, row) for row in stored], entity_set.key)

    def as_it_must_be(self, books: Rows) -> Rows:
        """PostgreSQL can express all of it."""
        return books


@dataclass(frozen=True, slots=True)
class JsonLines:
    """target-jsonl: one file a stream, to which every run appends."""

    folder: Path

    @property
    def command(self) -> Path:
        """The target's script."""
        return scripts_of(TARGET_JSONL) / "target-jsonl"

    def config(self, run: int) -> dict[str, Any]:
        """A folder a run, so that a reader can tell what the last one sent."""
        folder = self.folder / str(run)
        return {"destination_path": str(folder), "do_timestamp_file": False}

    def rows(self, entity_set: EntitySet, *, incremental: bool) -> Rows:
        """The runs laid over one another."""
        names = [p.name for p in entity_set.properties]
        convert = [_FROM_JSON.get(p.ax_type, _same) for p in entity_set.properties]
        runs, gone = [], []
        for file in sorted(self.folder.glob(f"*/{entity_set.name}.jsonl")):
            lines = file.read_text("utf-8").split("\n")
            records = [json.loads(line, parse_float=Decimal) for line in lines if line]
            living = [record for record in records if not record.get(DELETED_AT)]
            assert all(record.keys() == set(names) for record in living), file
            gone.append([record for record in records if record.get(DELETED_AT)])
            runs.append([_typed(names, convert, record.values()) for record in living])
        return _laid_over(runs, gone, entity_set.key, incremental=incremental)

    def as_it_must_be(self, books: Rows) -> Rows:
        """JSON can express all of it."""
        return books


@dataclass(frozen=True, slots=True)
class CsvFiles:
    """meltanolabs-target-csv: one file a stream, which every run replaces.

    Attributes:
        tells_deletions: Keep the columns ``_sdc_…``; without them a deletion is a row with a key.
    """

    folder: Path
    tells_deletions: bool = False

    @property
    def command(self) -> Path:
        """The target's script."""
        return scripts_of(TARGET_CSV) / "target-csv"

    def config(self, run: int) -> dict[str, Any]:
        """A folder a run, which the target wants to find."""
        folder = self.folder / str(run)
        folder.mkdir(parents=True)
        return {"output_path": str(folder), "add_record_metadata": self.tells_deletions}

    def rows(self, entity_set: EntitySet, *, incremental: bool) -> Rows:
        """The runs laid over one another."""
        names = [p.name for p in entity_set.properties]
        convert = [_or_none(_FROM_TEXT.get(p.ax_type, str)) for p in entity_set.properties]
        runs, gone = [], []
        for file in sorted(self.folder.glob(f"*/{entity_set.name}.csv")):
            with file.open(encoding="utf-8", newline="") as text:
                table = csv.DictReader(text)
                own = {n for n in table.fieldnames or () if not n.startswith("_sdc_")}
                assert own == set(names), file
                assert (own == set(table.fieldnames or ())) is not self.tells_deletions
                records = list(table)
            living = [record for record in records if not record.get(DELETED_AT)]
            gone.append([record for record in records if record.get(DELETED_AT)])
            runs.append([_typed(names, convert, (r[n] for n in names)) for r in living])
        return _laid_over(runs, gone, entity_set.key, incremental=incremental)

    def as_it_must_be(self, books: Rows) -> Rows:
        """CSV has one way to write an empty text and no value at all."""
        return {
            key: {name: None if value == "" else value for name, value in row.items()}
            for key, row in books.items()
        }


def _laid_over(
    runs: list[list[dict[str, Any]]],
    gone: list[list[dict[str, Any]]],
    key: tuple[str, ...],
    *,
    incremental: bool,
) -> Rows:
    """Rows as a consumer of files sees them; within one run no key comes twice."""
    each = [by_key(rows, key) for rows in runs]
    if not incremental:
        return each[-1]
    merged: Rows = {}
    for rows, deleted in zip(each, gone, strict=True):
        for row in deleted:
            del merged[tuple(row[name] for name in key)]
        merged |= rows
    return merged


def _typed(
    names: list[str], convert: Iterable[Callable[[Any], Any]], values: Iterable[Any]
) -> dict[str, Any]:
    return {
        name: None if value is None else change(value)
        for name, change, value in zip(names, convert, values, strict=True)
    }


def _same(value: object) -> object:
    return value


def _or_none(change: Callable[[str], object]) -> Callable[[str], object]:
    return lambda text: change(text) if text else None


def _number(value: int | Decimal) -> Decimal:
    """A JSON number; a float in its place is left for the comparison to find."""
    return Decimal(value) if isinstance(value, int) else value


#: PostgreSQL types are those of the books, but for the time zone and the Guid.
_FROM_SQL: dict[AxType, Callable[[Any], Any]] = {
    AxType.UTC_DATE_TIME: lambda value: value.replace(tzinfo=UTC),
    AxType.GUID: str,
}
_FROM_JSON: dict[AxType, Callable[[Any], Any]] = {
    AxType.REAL: _number,
    AxType.DATE: date.fromisoformat,
    AxType.UTC_DATE_TIME: datetime.fromisoformat,
}
_FROM_TEXT: dict[AxType, Callable[[Any], Any]] = {
    AxType.INT32: int,
    AxType.INT64: int,
    AxType.REAL: Decimal,
    AxType.DATE: date.fromisoformat,
    AxType.UTC_DATE_TIME: datetime.fromisoformat,
    AxType.BOOLEAN: "True".__eq__,
}
