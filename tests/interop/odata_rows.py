"""Rows for the sets of an F&O-like EDMX, the same ones wherever they are made.

The server makes them in odatapy's environment, the tests in the project's: nothing but the standard
library here.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Callable

MODEL = Path(__file__).with_name("fixtures") / "entities.edmx"

#: What a cell can be; enums are the names of their members.
Cell = str | int | bool | Decimal | datetime | UUID | None
Row = dict[str, Cell]

COMPANIES = ("demf", "gbsi", "usmf")
_NAMESPACE = "Microsoft.Dynamics.DataEntities."
_EDM = {"edm": "http://docs.oasis-open.org/odata/ns/edm"}
_NO_DATE = datetime(1900, 1, 1, 12, tzinfo=UTC)
_NO_TIME = datetime(1900, 1, 1, tzinfo=UTC)
_FIRST_DAY = datetime(2025, 1, 1, 12, tzinfo=UTC)

_SHARE_OF_WHOLE = 0.2

#: Texts that have broken something somewhere. A key part is made different by its row's number.
_TEXTS = (
    "",
    "Fabrikam",
    "O'Neil & Sons",
    " leading and double  blanks ",
    "A/B?C#D%20+E",
    "Müller & Söhne, Straße 1\nHof",
    "Pizza \U0001f355 日本",
    'Back\\slash "quoted" \t tab',
    "null",
    "1900-01-01",
)


@dataclass(frozen=True, slots=True)
class Column:
    """One property as the EDMX declares it.

    Attributes:
        ax_type: ``String``, ``Int64``, ``Real``, ``Date``, ``UtcDateTime``, ``Enum``, …
        type: Qualified name.
        members: Of an enum.
        scale: Of a decimal.
        key: Part of the key.
    """

    name: str
    type: str
    ax_type: str
    members: tuple[str, ...]
    scale: int
    key: bool


@dataclass(frozen=True, slots=True)
class Table:
    """One entity set with all its rows."""

    name: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    @property
    def key(self) -> tuple[str, ...]:
        """Names of the key properties in order."""
        return tuple(column.name for column in self.columns if column.key)


def read_tables(model: Path, *, rows: int) -> dict[str, Table]:
    """All sets of ``model``, each with so many rows; companies are what they are."""
    schema = ET.parse(model).getroot().find(".//edm:Schema", _EDM)  # noqa: S314 - our own file
    assert schema is not None
    enums = {
        enum.attrib["Name"]: tuple(member.attrib["Name"] for member in enum)
        for enum in schema.findall("edm:EnumType", _EDM)
    }
    types = {entity.attrib["Name"]: entity for entity in schema.findall("edm:EntityType", _EDM)}
    tables = {}
    for entity_set in schema.findall("edm:EntityContainer/edm:EntitySet", _EDM):
        name = entity_set.attrib["Name"]
        entity = types[entity_set.attrib["EntityType"].removeprefix(_NAMESPACE)]
        columns = _columns(entity, enums)
        count = len(COMPANIES) if name == "LegalEntities" else rows
        made = tuple({c.name: _cell(name, c, number) for c in columns} for number in range(count))
        tables[name] = Table(name, columns, made)
    return tables


def _columns(entity: ET.Element, enums: dict[str, tuple[str, ...]]) -> tuple[Column, ...]:
    key = {part.attrib["Name"] for part in entity.findall("edm:Key/edm:PropertyRef", _EDM)}
    return tuple(
        Column(
            name=prop.attrib["Name"],
            type=prop.attrib["Type"],
            ax_type=_ax_type(prop),
            members=enums.get(prop.attrib["Type"].removeprefix(_NAMESPACE), ()),
            scale=int(prop.get("Scale", "0")),
            key=prop.attrib["Name"] in key,
        )
        for prop in entity.findall("edm:Property", _EDM)
    )


def _ax_type(prop: ET.Element) -> str:
    return next(
        annotation.attrib["EnumMember"].rpartition("/")[2]
        for annotation in prop.findall("edm:Annotation", _EDM)
        if annotation.attrib["Term"].endswith(".AXType")
    )


def _cell(table: str, column: Column, number: int) -> Cell:
    """The value of one cell: by chance, but always the same one."""
    if column.name in {"dataAreaId", "LegalEntityId"}:
        return COMPANIES[number % len(COMPANIES)]
    chance = Random(f"{table}.{column.name}.{number}")  # noqa: S311 - no secret
    return _KEY_PART[column.ax_type](column, number) if column.key else _value(column, chance)


#: Key parts: different from row to row, and never the sentinel of their type.
_KEY_PART: dict[str, Callable[[Column, int], Cell]] = {
    "String": lambda _, number: f"{_TEXTS[number % len(_TEXTS)][:12].strip()}-{number:03}",
    # Beyond 2^53, where a float loses the last digit.
    "Int64": lambda _, number: 2**53 + 1 + 2 * number,
    # Whole: odatapy writes a key into an address as if it were declared without decimals.
    "Real": lambda _, number: Decimal(number + 1),
    "Date": lambda _, number: _FIRST_DAY + timedelta(days=number),
    "UtcDateTime": lambda _, number: _FIRST_DAY + timedelta(hours=number, seconds=7),
    "Enum": lambda column, number: column.members[number % len(column.members)],
}


def _value(column: Column, chance: Random) -> Cell:
    if column.name == "SysModifiedDateTime":
        # Few instants for many rows, as after a nightly job.
        return _FIRST_DAY + timedelta(days=chance.randint(0, 9))
    empty = _EMPTY.get(column.ax_type, "")
    return empty if chance.random() < _SHARE_OF_EMPTY else _FULL[column.ax_type](column, chance)


def _amount(scale: int, chance: Random) -> Decimal:
    """Up to 26 digits: more than a float holds, or few, or a whole number."""
    digits = chance.choice((4, 8, 26))
    amount = Decimal(chance.randint(-(10**digits), 10**digits)).scaleb(-scale)
    return amount.quantize(Decimal(1)) if chance.random() < _SHARE_OF_WHOLE else amount


#: A fifth of all cells says nothing, in the way of its type.
_SHARE_OF_EMPTY = 0.2
_EMPTY: dict[str, Cell] = {
    "Enum": None,
    "Int32": 0,
    "Int64": 0,
    "Real": Decimal(0),
    "Date": _NO_DATE,
    "UtcDateTime": _NO_TIME,
    "Guid": UUID(int=0),
    "Boolean": False,
}
_FULL: dict[str, Callable[[Column, Random], Cell]] = {
    "String": lambda _, chance: chance.choice(_TEXTS),
    "Enum": lambda column, chance: chance.choice(column.members),
    "Int32": lambda _, chance: chance.randint(-(2**31), 2**31 - 1),
    "Int64": lambda _, chance: chance.randint(2**53, 2**63 - 1),
    "Real": lambda column, chance: _amount(column.scale, chance),
    "Date": lambda _, chance: _FIRST_DAY + timedelta(days=chance.randint(-900, 900)),
    "UtcDateTime": lambda _, chance: _FIRST_DAY + timedelta(seconds=chance.randint(0, 10**7)),
    "Guid": lambda _, chance: UUID(int=chance.getrandbits(128)),
    "Boolean": lambda _, chance: chance.choice((False, True)),
}
