"""Documents of live-to-Hyper data sources (``.tds``), read the strict way.

The shape is that of documents which Tableau Desktop writes (``World Indicators.tds`` of
server-client-python, the e2e fixtures of tableau-mcp). No schema of it is published, so whatever is
not seen there is refused here: what passes does not hang on a server's patience.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

#: Children of ``datasource`` in the order of Desktop's documents; others may stand anywhere.
_ORDER = (
    *("connection", "aliases", "column", "drill-paths", "folders-common", "extract", "layout"),
    "object-graph",
)
#: ``[a]`` or ``[a].[b]``; a closing bracket within a name is doubled.
_BRACKETED = re.compile(r"\[((?:[^\]]|\]\])*)\]")
_DATATYPES = ("string", "integer", "real", "boolean", "date", "datetime")
_ROLES = {"measure": ("quantitative",), "dimension": ("nominal", "ordinal")}
_INTERNAL = "__tableau_internal_object_id__"


class DocumentError(ValueError):
    """The document is not one that a server could read."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A table that the data source reads: its name there, and where it lies in the file."""

    name: str
    schema: str
    table: str


@dataclass(frozen=True, slots=True)
class Record:
    """A ``metadata-record``: a column of a relation, and the field that it is.

    Attributes:
        object_id: The logical table that the field belongs to.
        place: What ``cols`` says of the field: relation and column; ``None`` without ``cols``.
    """

    relation: str
    column: str
    local: str
    local_type: str
    object_id: str
    place: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Relationship:
    """A relationship of two logical tables by equal fields."""

    first: str
    second: str
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Field:
    """A ``column``: how a field shows."""

    local: str
    caption: str | None
    datatype: str
    role: str
    default_format: str | None
    description: str | None


@dataclass(frozen=True, slots=True)
class Document:
    """What a document says.

    Attributes:
        objects: Id of a logical table -> the relation in it.
        folders: Folder -> fields.
    """

    relations: tuple[Relation, ...]
    records: tuple[Record, ...]
    fields: tuple[Field, ...]
    objects: dict[str, Relation]
    captions: dict[str, str]
    relationships: tuple[Relationship, ...]
    folders: dict[str, tuple[str, ...]]


def read_live_document(root: Element) -> Document:
    """Read the document of a live-to-Hyper data source.

    Raises:
        DocumentError: something is missing, out of order, or of an unknown kind.
    """
    if plain_tag(root) != "datasource" or not root.get("version"):
        message = "its root is no datasource with a version"
        raise DocumentError(message)
    _check_order(root)
    federated = _only(root, "connection")
    if federated.get("class") != "federated":
        message = "its connection is not federated"
        raise DocumentError(message)
    relations = _relations(federated)
    graph = _only(root, "object-graph")
    objects = list(children(_only(graph, "objects"), "object"))
    return Document(
        relations=relations,
        records=tuple(_records(federated, several=len(relations) > 1)),
        fields=tuple(_fields(root)),
        objects={_need(item, "id"): _object(item) for item in objects},
        captions={_need(item, "id"): item.get("caption", "") for item in objects},
        relationships=tuple(_relationships(graph)),
        folders=_folders(root),
    )


def plain_tag(element: Element) -> str:
    """A tag without a feature prefix; what is for older clients (``….false...``) has none."""
    prefix, dots, name = element.tag.rpartition("...")
    return "" if dots and prefix.endswith(".false") else name


def children(parent: Element, name: str) -> Iterator[Element]:
    """The children of that name, prefixed or not."""
    return (child for child in parent if plain_tag(child) == name)


def bracketed(text: str, parts: int) -> tuple[str, ...]:
    """The names in ``[a].[b]``.

    Raises:
        DocumentError: it is not made of that many names.
    """
    names: list[str] = []
    end = 0
    for match in _BRACKETED.finditer(text):
        if match.start() != end + (1 if names else 0) or (names and text[end] != "."):
            break
        names.append(match[1].replace("]]", "]"))
        end = match.end()
    if end != len(text) or len(names) != parts:
        message = f"'{text}' is not made of {parts} names in brackets"
        raise DocumentError(message)
    return tuple(names)


def _check_order(root: Element) -> None:
    known = [_ORDER.index(tag) for tag in map(plain_tag, root) if tag in _ORDER]
    if known != sorted(known):
        message = f"the children of datasource are not in the order {', '.join(_ORDER)}"
        raise DocumentError(message)


def _only(parent: Element, name: str) -> Element:
    found = list(children(parent, name))
    if len(found) != 1:
        message = f"{plain_tag(parent)} has {len(found)} elements '{name}', not one"
        raise DocumentError(message)
    return found[0]


def _need(element: Element, name: str) -> str:
    value = element.get(name)
    if not value:
        message = f"{plain_tag(element)} has no attribute '{name}'"
        raise DocumentError(message)
    return value


def _relations(federated: Element) -> tuple[Relation, ...]:
    named = {
        _need(item, "name")
        for item in children(_only(federated, "named-connections"), "named-connection")
    }
    top = _only(federated, "relation")
    kind = top.get("type")
    if kind not in {"table", "collection"}:
        message = f"a relation of type '{kind}' is no table of the .hyper file"
        raise DocumentError(message)
    tables = [top] if kind == "table" else list(children(top, "relation"))
    if kind == "collection" and len(tables) < 2:  # noqa: PLR2004 - a collection is of several
        message = "a collection holds at least two relations"
        raise DocumentError(message)
    relations = tuple(_relation(table) for table in tables)
    for table in tables:
        if table.get("connection") not in named:
            message = f"relation '{table.get('name')}' names no connection of the document"
            raise DocumentError(message)
    _unique("relation", [relation.name for relation in relations])
    return relations


def _relation(element: Element) -> Relation:
    if element.get("type") != "table":
        message = f"a relation of type '{element.get('type')}' is no table of the .hyper file"
        raise DocumentError(message)
    schema, table = bracketed(_need(element, "table"), 2)
    return Relation(_need(element, "name"), schema, table)


def _records(federated: Element, *, several: bool) -> Iterator[Record]:
    places: dict[str, tuple[str, str]] = {}
    for cols in children(federated, "cols"):
        for entry in children(cols, "map"):
            relation, column = bracketed(_need(entry, "value"), 2)
            places[bracketed(_need(entry, "key"), 1)[0]] = (relation, column)
    if several and not places:
        message = "a collection needs 'cols', which say whose column each field is"
        raise DocumentError(message)
    seen = []
    for record in children(_only(federated, "metadata-records"), "metadata-record"):
        if record.get("class") != "column":
            continue
        (local,) = bracketed(_text(record, "local-name"), 1)
        if several and local not in places:
            message = f"'cols' does not say whose column [{local}] is"
            raise DocumentError(message)
        int(_text(record, "ordinal"))
        int(_text(record, "remote-type"))
        yield Record(
            relation=bracketed(_text(record, "parent-name"), 1)[0],
            column=_text(record, "remote-name"),
            local=local,
            local_type=_text(record, "local-type"),
            object_id=bracketed(_text(record, "object-id"), 1)[0],
            place=places.get(local),
        )
        seen.append(local)
    _unique("metadata-record", seen)


def _text(record: Element, name: str) -> str:
    text = _only(record, name).text
    if not text:
        message = f"a metadata-record has an empty '{name}'"
        raise DocumentError(message)
    return text


def _fields(root: Element) -> Iterator[Field]:
    seen, captions = [], []
    for column in children(root, "column"):
        name = _need(column, "name")
        if name.startswith(f"[{_INTERNAL}]") or list(children(column, "calculation")):
            continue
        (local,) = bracketed(name, 1)
        datatype, role = _need(column, "datatype"), _need(column, "role")
        if datatype not in _DATATYPES or column.get("type") not in _ROLES.get(role, ()):
            message = f"column [{local}] is a {role} of type {column.get('type')} and {datatype}"
            raise DocumentError(message)
        runs = [run.text or "" for run in column.iter("run")]
        yield Field(
            local=local,
            caption=column.get("caption"),
            datatype=datatype,
            role=role,
            default_format=column.get("default-format"),
            description="".join(runs) or None,
        )
        seen.append(local)
        captions.append(column.get("caption") or local)
    _unique("column", seen)
    _unique("caption", captions)


def _object(item: Element) -> Relation:
    for properties in children(item, "properties"):
        if properties.get("context") == "":
            return _relation(_only(properties, "relation"))
    message = f"object '{item.get('id')}' has no properties"
    raise DocumentError(message)


def _relationships(graph: Element) -> Iterator[Relationship]:
    for group in children(graph, "relationships"):
        for item in children(group, "relationship"):
            top = _only(item, "expression")
            equals = [top] if top.get("op") == "=" else list(children(top, "expression"))
            if top.get("op") not in {"=", "AND"} or not equals:
                message = f"a relationship is by '{top.get('op')}'"
                raise DocumentError(message)
            yield Relationship(
                _need(_only(item, "first-end-point"), "object-id"),
                _need(_only(item, "second-end-point"), "object-id"),
                tuple(_pair(equal) for equal in equals),
            )


def _pair(equal: Element) -> tuple[str, str]:
    sides = [bracketed(_need(side, "op"), 1)[0] for side in children(equal, "expression")]
    if equal.get("op") != "=" or len(sides) != 2:  # noqa: PLR2004 - both sides of an equation
        message = "a relationship compares two fields by '='"
        raise DocumentError(message)
    return sides[0], sides[1]


def _folders(root: Element) -> dict[str, tuple[str, ...]]:
    folders = {
        _need(folder, "name"): tuple(
            bracketed(_need(item, "name"), 1)[0] for item in children(folder, "folder-item")
        )
        for common in children(root, "folders-common")
        for folder in children(common, "folder")
    }
    _unique("folder-item", [local for fields in folders.values() for local in fields])
    return folders


def _unique(what: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            message = f"there is more than one {what} '{name}'"
            raise DocumentError(message)
