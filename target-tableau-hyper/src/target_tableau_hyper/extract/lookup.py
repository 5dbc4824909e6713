"""Find a row of an extract by its key, in a copy: Hyper writes to every file that it opens."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tableauhyperapi import (  # type: ignore[import-untyped, unused-ignore]
    Date,
    TableName,
    Timestamp,
)

from pipeline_core.errors import ConfigError
from target_tableau_hyper.extract.engine import (
    SCHEMA_NAME,
    TABLE,
    TABLE_NAME,
    literal,
    quote,
    start_engine,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Digits of the widest NUMERIC.
_DIGITS = 38

#: Reads files of all versions.
_HYPER_VERSION = 3


@dataclass(frozen=True, slots=True)
class Rows:
    """What was found.

    Attributes:
        count: Rows with that key.
        first: The first of them, by column, with values of Python; None where there is none.
    """

    count: int
    first: dict[str, Any] | None


def look_up(extract: Path, key: Mapping[str, str]) -> Rows:
    """Rows whose columns have the values of ``key``, given as text; case counts nowhere.

    Raises:
        ConfigError: there is no such column, or a text is no value of its column.
        TransientError: hyperd cannot read the file.
    """
    with (
        tempfile.TemporaryDirectory(prefix="look-up-") as directory,
        start_engine(hyper_version=_HYPER_VERSION) as engine,
    ):
        copy = Path(directory) / "copy.hyper"
        shutil.copyfile(extract, copy)
        with engine.open(copy) as database:
            definition = database.catalog.get_table_definition(TableName(SCHEMA_NAME, TABLE_NAME))
            types = {c.name.unescaped: str(c.type) for c in definition.columns}
            where = " AND ".join(
                _condition(extract.name, name, text, types) for name, text in key.items()
            )
            (count,) = database.row(f"SELECT count(*) FROM {TABLE} WHERE {where}")  # noqa: S608 - quoted
            rows = database.rows(f"SELECT * FROM {TABLE} WHERE {where} LIMIT 1")  # noqa: S608 - quoted
    first = dict(zip(types, map(_value, rows[0]), strict=True)) if rows else None
    return Rows(int(count), first)


def _condition(file: str, name: str, text: str, types: Mapping[str, str]) -> str:
    if name not in types:
        message = f"{file} has no column {name!r}; its columns are {', '.join(types)}"
        raise ConfigError(message)
    if types[name].startswith(("NUMERIC", "BIG_INT", "INT", "SMALL_INT", "DOUBLE", "REAL")):
        number = _number(text)
        if number is None:
            message = f"{name} holds numbers, and {text!r} is none of them"
            raise ConfigError(message)
        return f"{quote(name)} = {number:f}"
    return f"lower(CAST({quote(name)} AS TEXT)) = lower({literal(text)})"


def _number(text: str) -> Decimal | None:
    """A number that a column may hold: of no more digits than NUMERIC has, on either side."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    fits = number.is_finite() and abs(number.adjusted()) < _DIGITS
    return number if fits and len(number.as_tuple().digits) <= _DIGITS else None


def _value(value: object) -> object:
    """Python's own dates and instants; the target writes UTC where no zone is told."""
    if isinstance(value, Date):
        return value.to_date()
    if isinstance(value, Timestamp):
        instant = value.to_datetime()
        return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return value
