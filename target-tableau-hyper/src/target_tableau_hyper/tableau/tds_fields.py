"""How the columns of tables show in Tableau: names, captions, roles, formats. Values only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from target_tableau_hyper.extract.schema import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from target_tableau_hyper.extract.described import DescribedColumn

#: Two decimals and thousands separators.
MONEY = "n#,##0.00"

#: Integers that name something: their sum means nothing.
_IDENTIFIER = re.compile(r".*(Id|ID|_id|RecId[0-9]*|RECID)|id|Id|ID")

#: Exact decimals that are no money; Tableau's own format shows the digits that they have.
_NO_MONEY = re.compile(
    r".*(rate|percent|percentage|factor|quantity|qty|weight|volume|latitude|longitude)[0-9]*",
    re.IGNORECASE,
)

#: What XML 1.0 cannot hold, not even as a reference.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class TypeNames:
    """What the document calls a type.

    Attributes:
        local: ``datatype`` and ``local-type``.
        remote: Number of the type; those of date and boolean were never seen in a real document.
        aggregation: How values of several rows show by default.
    """

    local: str
    remote: str
    aggregation: str


_TYPES = {
    Kind.TEXT: TypeNames("string", "129", "Count"),
    Kind.INTEGER: TypeNames("integer", "20", "Sum"),
    Kind.NUMERIC: TypeNames("real", "5", "Sum"),
    Kind.DOUBLE: TypeNames("real", "5", "Sum"),
    Kind.BOOLEAN: TypeNames("boolean", "11", "Count"),
    Kind.DATE: TypeNames("date", "7", "Year"),
    # Tableau has no time of day: it shows one as an instant on its day zero.
    Kind.TIME: TypeNames("datetime", "135", "Year"),
    Kind.TIMESTAMP: TypeNames("datetime", "135", "Year"),
}


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the ``.hyper`` file.

    Attributes:
        name: In the file.
        caption: In Tableau.
        columns: In the order of the file.
        dimensions: Columns that identify rows or refer to other tables.
    """

    name: str
    caption: str
    columns: tuple[DescribedColumn, ...]
    dimensions: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Field:
    """A column as Tableau shows it.

    Attributes:
        table: Name of its table.
        column: Name in its table.
        local: Name in the data source, which no other field has; workbooks refer to it.
        caption: What people see; no other field has it.
        description: Likewise.
        types: What the document calls its type.
        is_measure: Whether it is added up, rather than grouped by.
        number_format: Default format, where Tableau's own will not do.
        nullable: Whether it may be empty.
    """

    table: str
    column: str
    local: str
    caption: str
    description: str | None
    types: TypeNames
    is_measure: bool
    number_format: str | None
    nullable: bool

    @property
    def order(self) -> str:
        """Attribute ``type``: how values stand to each other."""
        if self.is_measure:
            return "quantitative"
        return "ordinal" if self.types.local in {"date", "datetime", "integer"} else "nominal"


def fields_of(tables: Sequence[Table]) -> tuple[Field, ...]:
    """Every column of every table, with names that are unique in the data source.

    The first column of a name keeps it; further ones become ``name (table)``, as Tableau names
    them. Names that differ in case alone count as the same.
    """
    fields, locals_, captions = [], set[str](), set[str]()
    # The name of a column is not given away to another one's caption.
    plain = {column.name.casefold() for table in tables for column in table.columns}
    for table in tables:
        for described in table.columns:
            column = described.column
            local = _unique(described.name, table.name, locals_)
            title = readable(described.title or "").strip()
            wanted = title or described.name
            taken = captions | (plain - {described.name.casefold()})
            caption = _unique(wanted, readable(table.caption), taken)
            captions.add(caption.casefold())
            is_measure = _is_measure(column.kind, described.name, table)
            money = column.kind is Kind.NUMERIC and not _NO_MONEY.fullmatch(described.name)
            fields.append(
                Field(
                    table=table.name,
                    column=described.name,
                    local=local,
                    caption=caption,
                    description=readable(described.description or "").strip() or None,
                    types=_TYPES[column.kind],
                    is_measure=is_measure,
                    number_format=MONEY if is_measure and money else None,
                    nullable=column.nullable,
                )
            )
    return tuple(fields)


def readable(text: str) -> str:
    """A text without the characters that XML cannot hold."""
    return _NOT_XML.sub(" ", text)


def unreadable(names: Iterable[str]) -> list[str]:
    """Names that XML cannot hold; a name cannot be changed, it must match the file's.

    A carriage return becomes a line feed wherever XML is read.
    """
    return [name for name in names if "\r" in name or _NOT_XML.search(name)]


def _is_measure(kind: Kind, name: str, table: Table) -> bool:
    if kind not in {Kind.INTEGER, Kind.NUMERIC, Kind.DOUBLE} or name in table.dimensions:
        return False
    return kind is not Kind.INTEGER or not _IDENTIFIER.fullmatch(name)


def _unique(name: str, table: str, taken: set[str]) -> str:
    """``name``, or as much of ``name (table 2)`` as makes it differ; noted in ``taken``."""
    candidate, number = name, 1
    while candidate.casefold() in taken:
        candidate = f"{name} ({table})" if number == 1 else f"{name} ({table} {number})"
        number += 1
    taken.add(candidate.casefold())
    return candidate
