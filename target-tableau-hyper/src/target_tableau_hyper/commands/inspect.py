"""``target-tableau-hyper inspect``: what is in a ``.hyper`` file."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from tableauhyperapi import (  # type: ignore[import-untyped, unused-ignore]
    HyperException,
    Nullability,
)

from pipeline_core.errors import ConfigError, DataError, IntegrityError, TransientError
from target_tableau_hyper.commands.options import config_option, format_option
from target_tableau_hyper.commands.tables import plain, write_json, write_table
from target_tableau_hyper.extract.engine import SCHEMA_NAME, TABLE_NAME, quote, start_engine
from target_tableau_hyper.extract.manifest import Manifest
from target_tableau_hyper.extract.shelf import choose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from target_tableau_hyper.commands.options import Setup
    from target_tableau_hyper.extract.engine import Database

_HELP = """Show the tables of a .hyper file: columns, types, row counts, first rows.

FILE_OR_NAME is any .hyper file, also one that this target did not write, or the stream, data source
or file name of an extract in output_dir. Captions come from the manifest beside it. The file is
copied to the temporary directory (TMPDIR) and only the copy is opened, so that not a byte of it
changes: Hyper writes to every file that it opens.

\b
Examples:
  target-tableau-hyper inspect output/VendorsV2.hyper
  target-tableau-hyper inspect --config target.json VendorsV2 --rows 20
  target-tableau-hyper inspect world.hyper --table Extract.cust --format json

\b
Exit codes: 0 shown, 65 it is no .hyper file that can be opened, 78 there is no such file, name or
table.
"""

_READ_HYPER_VERSION = 3


@dataclass(frozen=True, slots=True)
class Shown:
    """One table.

    Attributes:
        schema: Schema that it lies in.
        name: Its name.
        columns: Name, type, nullability and caption of each column.
        rows: How many.
        first: The first of them.
    """

    schema: str
    name: str
    columns: list[dict[str, Any]]
    rows: int
    first: list[list[Any]]

    @property
    def path(self) -> str:
        """Schema and name, as ``--table`` takes them."""
        return f"{self.schema}.{self.name}" if self.schema else self.name


def inspect(
    setup: Setup, *, file_or_name: str, rows: int, table: str | None, output_format: str
) -> None:
    """Look into a copy and report.

    Raises:
        ConfigError: there is no such file or table.
        DataError: the file cannot be opened.
    """
    path = _resolve(setup, file_or_name)
    version, shown = _look(path, rows=rows, table=table)
    if output_format == "json":
        write_json(
            {
                "file": str(path),
                "size": path.stat().st_size,
                "hyper_version": version,
                "tables": [
                    {
                        "schema": one.schema,
                        "name": one.name,
                        "rows": one.rows,
                        "columns": one.columns,
                        "first_rows": [[plain(value) for value in row] for row in one.first],
                    }
                    for one in shown
                ],
            }
        )
        return
    click.echo(f"{path}: {path.stat().st_size:,} bytes, file format {version}")
    for one in shown:
        _write(one)


def _resolve(setup: Setup, file_or_name: str) -> Path:
    path = Path(file_or_name)
    if path.is_file():
        return path
    directory = setup.settings(publish="none").output_dir
    try:
        (store,) = choose(directory, [file_or_name])
    except ConfigError as error:
        message = f"{file_or_name!r} is no file, and {error}"
        raise ConfigError(message) from error
    if not store.extract.is_file():
        message = f"{store.extract} is gone"
        raise ConfigError(message)
    return store.extract


def _look(path: Path, *, rows: int, table: str | None) -> tuple[int, list[Shown]]:
    with (
        tempfile.TemporaryDirectory(prefix="inspect-") as directory,
        start_engine(hyper_version=_READ_HYPER_VERSION) as engine,
    ):
        copy = Path(directory) / "copy.hyper"
        shutil.copyfile(path, copy)
        try:
            with engine.open(copy) as database:
                (version,) = database.row("SELECT database_version FROM pg_catalog.hyper_database")
                names = _chosen(path, _tables(database), table)
                captions = _captions(path)
                return int(version), [
                    _table(database, schema, name, rows, captions) for schema, name in names
                ]
        except TransientError as error:
            cause = error.__cause__
            why = str(cause.main_message)[:200] if isinstance(cause, HyperException) else str(error)
            message = f"{path} cannot be opened as a .hyper file: {why}"
            raise DataError(message) from error


def _tables(database: Database) -> list[tuple[str, str]]:
    return sorted(
        (schema.name.unescaped, table.name.unescaped)
        for schema in database.catalog.get_schema_names()
        for table in database.catalog.get_table_names(schema)
    )


def _chosen(path: Path, names: list[tuple[str, str]], wanted: str | None) -> list[tuple[str, str]]:
    if wanted is None:
        return names
    chosen = [(schema, name) for schema, name in names if wanted in (name, f"{schema}.{name}")]
    if not chosen:
        there = ", ".join(f"{schema}.{name}" for schema, name in names) or "none"
        message = f"{path.name} has no table {wanted!r}; its tables are {there}"
        raise ConfigError(message)
    return chosen


def _captions(path: Path) -> Mapping[str, str]:
    """Titles of the columns of the extract's table, where a manifest lies beside it."""
    manifest = path.with_name(f"{path.stem}.manifest.json")
    if not manifest.is_file():
        return {}
    try:
        columns = Manifest.read(manifest).columns
    except IntegrityError:
        return {}
    return {column["name"]: column["title"] for column in columns if column.get("title")}


def _table(
    database: Database, schema: str, name: str, rows: int, captions: Mapping[str, str]
) -> Shown:
    source = f"{quote(schema)}.{quote(name)}"
    definition = next(
        database.catalog.get_table_definition(table)
        for one in database.catalog.get_schema_names()
        if one.name.unescaped == schema
        for table in database.catalog.get_table_names(one)
        if table.name.unescaped == name
    )
    is_extract = (schema, name) == (SCHEMA_NAME, TABLE_NAME)
    columns = [
        {
            "name": column.name.unescaped,
            "type": str(column.type),
            "nullable": column.nullability is Nullability.NULLABLE,
            "caption": captions.get(column.name.unescaped) if is_extract else None,
        }
        for column in definition.columns
    ]
    (count,) = database.row(f"SELECT count(*) FROM {source}")  # noqa: S608 - quoted
    first = database.rows(f"SELECT * FROM {source} LIMIT {rows}") if rows and columns else []  # noqa: S608 - quoted
    return Shown(schema, name, columns, int(count), first)


def _write(shown: Shown) -> None:
    click.echo(f"\n{shown.path}: {shown.rows:,} rows")
    with_captions = any(column["caption"] for column in shown.columns)
    write_table(
        ["COLUMN", "TYPE", "NULL", *(["CAPTION"] if with_captions else [])],
        [
            [
                column["name"],
                column["type"],
                "yes" if column["nullable"] else "no",
                *([column["caption"] or ""] if with_captions else []),
            ]
            for column in shown.columns
        ],
    )
    if shown.first:
        click.echo()
        write_table(
            [column["name"] for column in shown.columns], shown.first, numbers=_right(shown)
        )


def _right(shown: Shown) -> Sequence[int]:
    numbers = ("NUMERIC", "BIG_INT", "INT", "SMALL_INT", "DOUBLE", "REAL")
    return [i for i, column in enumerate(shown.columns) if column["type"].startswith(numbers)]


INSPECT = click.Command(
    "inspect",
    callback=inspect,
    help=_HELP,
    short_help="Show what is in a .hyper file.",
    params=[
        click.Argument(["file_or_name"], metavar="FILE_OR_NAME"),
        config_option(),
        click.Option(
            ["--rows"],
            type=click.IntRange(min=0),
            default=10,
            show_default=True,
            metavar="N",
            help="How many rows of each table to show.",
        ),
        click.Option(["--table"], metavar="T", help="Only this table, as schema.name or name."),
        format_option(),
    ],
)
