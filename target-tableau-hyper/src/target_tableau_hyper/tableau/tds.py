"""Write the document of a packaged data source (``.tds``) in the live-to-Hyper shape.

Only that shape, a connection straight to the ``.hyper`` file, can be updated by PATCH; the other
one, an ``<extract>`` over some connection, can only be refreshed. Tableau documents neither and
calls generated documents unsupported, so this module keeps to what is seen in documents of Tableau
Desktop (``World Indicators.tds`` of server-client-python, the e2e fixtures of tableau-mcp), in
their order of elements. A server that refuses the result gets the bare ``.hyper`` file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from target_tableau_hyper.extract.engine import SCHEMA_NAME
from target_tableau_hyper.tableau.tds_fields import Field, Table, fields_of, readable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Counts changes of what this module writes: a server that refused an older shape is asked again.
SHAPE = 1

#: Version of the document format, as Desktop has written it since 2018.1.
_FORMAT = "18.1"

_CONNECTION = "hyper.0"


@dataclass(frozen=True, slots=True)
class Link:
    """A relationship.

    Attributes:
        many: Table that refers.
        one: Table that is referred to.
        on: Pairs of columns, of ``many`` and of ``one``.
    """

    many: str
    one: str
    on: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class FieldFolder:
    """A folder and the fields in it, each as table and column."""

    name: str
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Document:
    """What a document says.

    Attributes:
        name: Of the data source.
        hyper: The ``.hyper`` file, as a path within the package.
        tables: Those of the file.
        links: They form one tree over ``tables``.
        folders: Empty where the fields stand by table.
    """

    name: str
    hyper: str
    tables: tuple[Table, ...]
    links: tuple[Link, ...] = ()
    folders: tuple[FieldFolder, ...] = ()

    @property
    def says_something(self) -> bool:
        """Whether there is anything that a bare ``.hyper`` file would not say as well."""
        return bool(
            self.links
            or self.folders
            or any(
                column.description or (column.title and column.title != column.name)
                for table in self.tables
                for column in table.columns
            )
        )


def render(document: Document) -> bytes:
    """The document as a file; the same values give the same bytes."""
    fields = fields_of(document.tables)
    ids = _object_ids(document.tables)
    locals_ = {(field.table, field.column): field.local for field in fields}
    root = ET.Element(
        "datasource",
        {"formatted-name": readable(document.name), "inline": "true", "version": _FORMAT},
    )
    _connection(root, document, fields, ids)
    ET.SubElement(root, "aliases", {"enabled": "yes"})
    for field in fields:
        _column(root, field)
    _folders(root, document.folders, locals_)
    ET.SubElement(
        root,
        "layout",
        {"dim-ordering": "alphabetic", "measure-ordering": "alphabetic", "show-structure": "true"},
    )
    _object_graph(root, document, ids, locals_)
    ET.indent(root)
    body: bytes = ET.tostring(root, encoding="utf-8")
    return b"<?xml version='1.0' encoding='utf-8' ?>\n\n" + body + b"\n"


def bracketed(*names: str) -> str:
    """Names as Tableau writes them, ``[Extract].[a]``; a closing bracket in one is doubled."""
    return ".".join(f"[{name.replace(']', ']]')}]" for name in names)


def _connection(
    root: ET.Element, document: Document, fields: Sequence[Field], ids: Mapping[str, str]
) -> None:
    connection = ET.SubElement(root, "connection", {"class": "federated"})
    named = ET.SubElement(
        ET.SubElement(connection, "named-connections"),
        "named-connection",
        {"caption": readable(document.name), "name": _CONNECTION},
    )
    ET.SubElement(
        named,
        "connection",
        {
            "authentication": "auth-none",
            "class": "hyper",
            "dbname": document.hyper,
            "default-settings": "yes",
            "schema": SCHEMA_NAME,
            "sslmode": "",
            "username": "tableau_internal_user",
        },
    )
    if len(document.tables) == 1:
        _relation(connection, document.tables[0])
    else:
        collection = ET.SubElement(connection, "relation", {"type": "collection"})
        for table in document.tables:
            _relation(collection, table)
        places = ET.SubElement(connection, "cols")
        for field in fields:
            ET.SubElement(
                places,
                "map",
                {"key": bracketed(field.local), "value": bracketed(field.table, field.column)},
            )
    records = ET.SubElement(connection, "metadata-records")
    for ordinal, field in enumerate(fields, start=1):
        _metadata_record(records, field, ordinal, ids[field.table])


def _relation(parent: ET.Element, table: Table) -> None:
    ET.SubElement(
        parent,
        "relation",
        {
            "connection": _CONNECTION,
            "name": table.name,
            "table": bracketed(SCHEMA_NAME, table.name),
            "type": "table",
        },
    )


def _metadata_record(parent: ET.Element, field: Field, ordinal: int, object_id: str) -> None:
    record = ET.SubElement(parent, "metadata-record", {"class": "column"})
    for tag, text in (
        ("remote-name", field.column),
        ("remote-type", field.types.remote),
        ("local-name", bracketed(field.local)),
        ("parent-name", bracketed(field.table)),
        ("remote-alias", field.column),
        ("ordinal", str(ordinal)),
        ("local-type", field.types.local),
        ("aggregation", field.types.aggregation),
        ("contains-null", "true" if field.nullable else "false"),
        ("object-id", bracketed(object_id)),
    ):
        ET.SubElement(record, tag).text = text


def _column(root: ET.Element, field: Field) -> None:
    attributes = {"aggregation": field.types.aggregation}
    if field.caption != field.local:
        attributes["caption"] = field.caption
    attributes["datatype"] = field.types.local
    if field.number_format:
        attributes["default-format"] = field.number_format
    attributes["name"] = bracketed(field.local)
    attributes["role"] = "measure" if field.is_measure else "dimension"
    attributes["type"] = field.order
    column = ET.SubElement(root, "column", attributes)
    if field.description:
        text = ET.SubElement(ET.SubElement(column, "desc"), "formatted-text")
        ET.SubElement(text, "run").text = field.description.replace("\r\n", "\n").replace(
            "\r", "\n"
        )


def _folders(
    root: ET.Element, folders: Sequence[FieldFolder], locals_: Mapping[tuple[str, str], str]
) -> None:
    if not folders:
        return
    common = ET.SubElement(root, "folders-common")
    for folder in folders:
        element = ET.SubElement(common, "folder", {"name": readable(folder.name)})
        for place in folder.fields:
            ET.SubElement(
                element, "folder-item", {"name": bracketed(locals_[place]), "type": "field"}
            )


def _object_graph(
    root: ET.Element,
    document: Document,
    ids: Mapping[str, str],
    locals_: Mapping[tuple[str, str], str],
) -> None:
    graph = ET.SubElement(root, "object-graph")
    objects = ET.SubElement(graph, "objects")
    for table in document.tables:
        item = ET.SubElement(
            objects, "object", {"caption": readable(table.caption), "id": ids[table.name]}
        )
        _relation(ET.SubElement(item, "properties", {"context": ""}), table)
    if not document.links:
        return
    relationships = ET.SubElement(graph, "relationships")
    for link in document.links:
        relationship = ET.SubElement(relationships, "relationship")
        parent = relationship
        if len(link.on) > 1:
            parent = ET.SubElement(relationship, "expression", {"op": "AND"})
        for many, one in link.on:
            equal = ET.SubElement(parent, "expression", {"op": "="})
            for place in ((link.many, many), (link.one, one)):
                ET.SubElement(equal, "expression", {"op": bracketed(locals_[place])})
        ET.SubElement(relationship, "first-end-point", {"object-id": ids[link.many]})
        ET.SubElement(relationship, "second-end-point", {"object-id": ids[link.one]})


def _object_ids(tables: Sequence[Table]) -> dict[str, str]:
    """An id of plain characters for each table, the same in every run."""
    ids: dict[str, str] = {}
    for table in tables:
        stem = re.sub(r"[^A-Za-z0-9_]+", "_", table.name)
        candidate, number = f"{stem}_obj", 1
        while candidate in ids.values():
            number += 1
            candidate = f"{stem}_{number}_obj"
        ids[table.name] = candidate
    return ids
