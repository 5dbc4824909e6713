"""Build one ``.hyper`` file of several sealed extracts, a table a stream, and prove it.

The sealed extracts stay the only truth: the combined file is made anew from copies of them whenever
it is needed whole, and thrown away after delivery (docs/decisions/0007). hyperd writes to every
file that it opens, so no sealed extract is ever attached itself.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline_core.errors import DataError, IntegrityError
from target_tableau_hyper.extract.described import described_columns
from target_tableau_hyper.extract.engine import SCHEMA_NAME, TABLE, listing, quote
from target_tableau_hyper.extract.seal import read_back

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from target_tableau_hyper.extract.engine import Database, Engine
    from target_tableau_hyper.extract.manifest import Manifest

_SOURCE = "source"


@dataclass(frozen=True, slots=True)
class Part:
    """One table of the combined file.

    Attributes:
        table: Its name: the stream's.
        extract: The sealed extract that it copies.
        manifest: The seal of that extract.
    """

    table: str
    extract: Path
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Reference:
    """An assumed foreign key.

    Attributes:
        many: Table that refers.
        one: Table that is referred to; at most one reference leads to it.
        on: Pairs of columns, of ``many`` and of ``one``.
    """

    many: str
    one: str
    on: tuple[tuple[str, str], ...]


def table_name(table: str) -> str:
    """How SQL calls a table of a combined file."""
    return f"{quote(SCHEMA_NAME)}.{quote(table)}"


def combine(
    engine: Engine,
    parts: Sequence[Part],
    references: Sequence[Reference],
    *,
    path: Path,
) -> None:
    """Write the combined file and prove that each table equals its sealed extract.

    Keys are *assumed*: Hyper believes them without a check and may leave joins out because of them.
    So a key that rows share is refused here.

    Args:
        engine: Running hyperd, started with the file format to have.
        parts: The tables.
        references: One tree; every name in it is one of ``parts``.
        path: The file to make; its directory also takes one copy of an extract at a time.

    Raises:
        DataError: rows that are referred to share a key.
        IntegrityError: a table does not hold what was sealed.
    """
    for number, part in enumerate(_referred_first(parts, references)):
        # A path is never used twice: hyperd could still have the former file of that name.
        copy = path.with_name(f"{path.stem}.part{number}.hyper")
        shutil.copyfile(part.extract, copy)
        try:
            with engine.open(path, create=number == 0) as database:
                database.catalog.attach_database(copy, alias=_SOURCE)
                if number == 0:
                    database.run(f"CREATE SCHEMA {quote(path.stem)}.{quote(SCHEMA_NAME)}")
                _copy(database, path.stem, part, references)
                database.catalog.detach_database(_SOURCE)
        finally:
            copy.unlink()
    for part in parts:
        _prove(path, part)


def _referred_first(parts: Sequence[Part], references: Sequence[Reference]) -> list[Part]:
    """A foreign key can only name a table that is there."""
    above = {reference.one: reference.many for reference in references}

    def depth(table: str) -> int:
        return 1 + depth(above[table]) if table in above else 0

    return sorted(parts, key=lambda part: -depth(part.table))


def _copy(database: Database, alias: str, part: Part, references: Sequence[Reference]) -> None:
    for reference in references:
        if reference.one == part.table:
            _check_unique(database, reference)
    columns = [described.column for described in described_columns(part.manifest)]
    table = f"{quote(alias)}.{table_name(part.table)}"
    lines = [column.definition for column in columns]
    for reference in references:
        if reference.one == part.table:
            lines.append(f"ASSUMED PRIMARY KEY ({listing([one for _, one in reference.on])})")
        if reference.many == part.table:
            lines.append(
                f"ASSUMED FOREIGN KEY ({listing([many for many, _ in reference.on])}) REFERENCES "
                f"{quote(alias)}.{table_name(reference.one)} "
                f"({listing([one for _, one in reference.on])})"
            )
    database.run(f"CREATE TABLE {table} ({', '.join(lines)})")
    names = listing([column.name for column in columns])
    database.run(f"INSERT INTO {table} SELECT {names} FROM {quote(_SOURCE)}.{TABLE}")  # noqa: S608 - quoted


def _check_unique(database: Database, reference: Reference) -> None:
    """Look for shared keys in the copy: of a table with an assumed key hyperd would see none."""
    columns = [one for _, one in reference.on]
    known = " AND ".join(f"{quote(name)} IS NOT NULL" for name in columns)
    several = database.row(
        f"SELECT count(*) FROM (SELECT 1 FROM {quote(_SOURCE)}.{TABLE} WHERE {known} "  # noqa: S608 - quoted
        f"GROUP BY {listing(columns)} HAVING count(*) > 1) shared"
    )[0]
    if several:
        message = (
            f"stream {reference.one!r} has {several} values of {', '.join(map(repr, columns))} "
            f"that several rows share, so rows of {reference.many!r} cannot each find one; relate "
            "them by columns that are unique, or load the stream with load_method upsert"
        )
        raise DataError(message)


def _prove(path: Path, part: Part) -> None:
    """Read a table through the second engine and compare it with the seal."""
    columns = [described.column for described in described_columns(part.manifest)]
    found = read_back(path, columns, table=table_name(part.table))
    differences = part.manifest.figures.differences(found)
    if differences:
        message = (
            f"table {part.table!r} of the combined extract does not hold what was sealed: expected "
            f"{'; '.join(differences[:5])} read back; nothing was published, run again"
        )
        raise IntegrityError(message)
