"""What a data source must hold, told by the sandbox's own database."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.hyper_reader import hyper_reader

from contoso_sandbox.model import AxType

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from contoso_sandbox.model import EntitySet, Property
    from contoso_sandbox.world import World

Rows = dict[tuple[Any, ...], dict[str, Any]]

_NO_INSTANT = datetime(1900, 1, 1, tzinfo=UTC)
_NO_GUID = "00000000-0000-0000-0000-000000000000"


def expected_rows(world: World, entity_set: EntitySet) -> Rows:
    """Every row of a set as Tableau must show it, by key."""
    names = [p.name for p in entity_set.properties]
    columns = ", ".join(f'"{name}"' for name in names)
    stored = world.cursor().execute(f'SELECT {columns} FROM "{entity_set.name}"').fetchall()  # noqa: S608
    convert = [_conversion(p, in_key=p.name in entity_set.key) for p in entity_set.properties]
    rows = [
        {name: change(value) for name, change, value in zip(names, convert, row, strict=True)}
        for row in stored
    ]
    return by_key(rows, entity_set.key)


def published_rows(
    file: Path, key: tuple[str, ...], scratch: Path, *, table: str = "Extract"
) -> Rows:
    """Every row of a table, read by a PostgreSQL client on hyperd's own socket."""
    with hyper_reader(scratch) as reader:
        names, found = reader.table(file, f'SELECT * FROM "Extract"."{table}"')  # noqa: S608
    rows = [dict(zip(names, row, strict=True)) for row in found]
    return by_key(rows, key)


def through_floats(rows: Rows) -> Rows:
    """The rows as they are after every decimal was a double: the nearest, at its shortest."""
    return {
        key: {
            column: Decimal(repr(float(value))) if isinstance(value, Decimal) else value
            for column, value in row.items()
        }
        for key, row in rows.items()
    }


def assert_same(name: str, expected: Rows, published: Rows) -> None:
    """Compare every cell."""
    assert published.keys() == expected.keys(), name
    for key, row in expected.items():
        shown = published[key]
        different = {
            column: (value, shown.get(column, "no such column"))
            for column, value in row.items()
            if shown.get(column, "no such column") != value
        }
        assert not different, (name, key, different)


def by_key(rows: list[dict[str, Any]], key: tuple[str, ...]) -> Rows:
    """Index rows by their key, which must be one."""
    indexed = {tuple(row[name] for name in key): row for row in rows}
    assert len(indexed) == len(rows), f"{len(rows) - len(indexed)} keys are not unique"
    return indexed


def _conversion(prop: Property, *, in_key: bool) -> Callable[[Any], Any]:
    if prop.name == "dataAreaId":
        return lambda value: value.lower()
    if prop.ax_type is AxType.DATE:
        empty = None if in_key else _NO_INSTANT.date()
        return lambda value: None if value.date() == empty else value.date()
    if prop.ax_type is AxType.UTC_DATE_TIME:
        nothing = None if in_key else _NO_INSTANT
        return lambda value: (
            None if value.replace(tzinfo=UTC) == nothing else value.replace(tzinfo=UTC)
        )
    if prop.ax_type is AxType.GUID and not in_key:
        return lambda value: None if value == _NO_GUID else value
    return lambda value: value
