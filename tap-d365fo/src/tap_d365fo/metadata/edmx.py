"""Read ``$metadata`` (EDMX, CSDL 4.0) as a stream: 50 MB and more, in little memory.

Two passes over the file. The first learns which sets there are and how types hang together, the
second describes the wanted types. Nothing of the document is kept but what they return.

No document type is accepted: OData has no use for one, and entities that multiply are an attack.

Source: OData CSDL 4.0; the annotation terms as ``Mikeoso/IntegratoR`` (``CsdlParser.cs``) parses
them from a live environment.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING
from xml.parsers import expat

from pipeline_core.errors import DataError
from tap_d365fo.access.document import UnreadableError
from tap_d365fo.metadata.edm import RECORD
from tap_d365fo.metadata.model import Entity, EntityListing, Navigation, Property

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

_CHUNK_BYTES = 256 * 1024

#: CSDL needs about ten levels; more is an attack on whoever reads recursively.
_DEEPEST = 100

#: ``AXType`` where it is missing, by Edm type; an instant is the safe reading of a DateTimeOffset.
_AX_TYPES = {
    "Edm.String": "String",
    "Edm.Boolean": "Boolean",
    "Edm.Byte": "Int32",
    "Edm.SByte": "Int32",
    "Edm.Int16": "Int32",
    "Edm.Int32": "Int32",
    "Edm.Int64": "Int64",
    "Edm.Decimal": "Real",
    "Edm.Double": "Real",
    "Edm.Single": "Real",
    "Edm.DateTimeOffset": "UtcDateTime",
    "Edm.Date": "Date",
    "Edm.TimeOfDay": "Time",
    "Edm.Guid": "Guid",
    "Edm.Binary": "Container",
}

#: Media streams are links of their own, never values in a row.
_NOT_IN_ROWS = frozenset({"Edm.Stream"})

_COLLECTION = "Collection("


@dataclass(slots=True)
class Index:
    """What the first pass learns.

    Attributes:
        sets: Qualified entity type of each entity set.
        bases: Base type of each type that has one.
        structures: Complex types: their values are objects, all other named types are enums.
    """

    sets: dict[str, str] = field(default_factory=dict)
    bases: dict[str, str] = field(default_factory=dict)
    structures: set[str] = field(default_factory=set)

    def lineage(self, type_name: str) -> list[str]:
        """The type and all that it inherits from, the most basic first.

        Raises:
            DataError: a type inherits from itself.
        """
        line = [type_name]
        while (base := self.bases.get(line[-1])) is not None:
            if base in line:
                message = f"$metadata: the entity type {type_name} inherits from itself"
                raise DataError(message)
            line.append(base)
        return line[::-1]


@dataclass(slots=True)
class EntityType:
    """One entity type as it stands in the document, without what it inherits."""

    name: str
    key: list[str] = field(default_factory=list)
    properties: list[Property] = field(default_factory=list)
    navigations: list[Navigation] = field(default_factory=list)
    label_id: str = ""


def read_index(file: IO[bytes]) -> Index:
    """The first pass.

    Raises:
        UnreadableError: no whole XML document.
        DataError: a document with a document type, or one that is not EDMX.
    """
    reader = _IndexReader()
    for _ in _parse_in_steps(file, reader.start, lambda _: None):
        pass
    return reader.index()


def read_types(file: IO[bytes], index: Index, wanted: Collection[str]) -> Iterator[EntityType]:
    """The second pass: the entity types in ``wanted``, in the document's order."""
    reader = _TypeReader(index, frozenset(wanted))
    for _ in _parse_in_steps(file, reader.start, reader.end):
        yield from reader.take()


def compose(listing: EntityListing, parts: list[EntityType]) -> Entity:
    """The entity of a type and what it inherits, the most basic first."""
    key = {name for part in parts for name in part.key}
    return Entity(
        entity_set=listing.entity_set,
        properties=tuple(
            Property(
                **{name: getattr(p, name) for name in _FACTS},
                is_key=p.name in key,
            )
            for part in parts
            for p in part.properties
        ),
        category=listing.category,
        navigations=tuple(n for part in parts for n in part.navigations),
        label_id=parts[-1].label_id,
    )


_FACTS = (
    *("name", "edm_type", "data_type", "precision", "scale", "max_length", "label_id"),
    "description",
)


class _IndexReader:
    """Notes names and how they hang together."""

    def __init__(self) -> None:
        self._found = Index()
        self._aliases: dict[str, str] = {}
        self._namespace = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "Schema":
            self._namespace = attributes.get("Namespace", "")
            if "Alias" in attributes:
                self._aliases[attributes["Alias"]] = self._namespace
        elif name in {"EntityType", "ComplexType"}:
            qualified = f"{self._namespace}.{attributes.get('Name', '')}"
            if "BaseType" in attributes:
                self._found.bases[qualified] = attributes["BaseType"]
            if name == "ComplexType":
                self._found.structures.add(qualified)
        elif name == "EntitySet" and attributes.get("Name"):
            self._found.sets[attributes["Name"]] = attributes.get("EntityType", "")

    def index(self) -> Index:
        """What was found, with each name in full."""
        found = self._found
        if not found.sets:
            message = "$metadata is no description of an OData service: it names no entity set"
            raise DataError(message)
        return Index(
            sets={name: _unaliased(kind, self._aliases) for name, kind in found.sets.items()},
            bases={name: _unaliased(base, self._aliases) for name, base in found.bases.items()},
            structures=found.structures,
        )


class _TypeReader:
    """Builds entity types from the events of the parser."""

    def __init__(self, index: Index, wanted: frozenset[str]) -> None:
        self._index = index
        self._wanted = wanted
        self._aliases: dict[str, str] = {}
        self._namespace = ""
        self._type: EntityType | None = None
        #: Attributes of the property that is open, and what its annotations say.
        self._property: dict[str, str] | None = None
        self._notes: dict[str, str] = {}
        #: Inside of what the type's own annotations do not stand.
        self._nested = False
        self._done: list[EntityType] = []

    def take(self) -> list[EntityType]:
        """Types that have been completed since the last call."""
        done, self._done = self._done, []
        return done

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "Schema":
            self._namespace = attributes.get("Namespace", "")
            if "Alias" in attributes:
                self._aliases[attributes["Alias"]] = self._namespace
        elif name == "EntityType":
            qualified = f"{self._namespace}.{attributes.get('Name', '')}"
            self._type = EntityType(qualified) if qualified in self._wanted else None
        elif self._type is None:
            return
        elif name == "PropertyRef":
            self._type.key.append(attributes.get("Name", ""))
        elif name == "Property":
            self._property, self._notes = attributes, {}
        elif name == "NavigationProperty":
            self._nested = True
            self._type.navigations.append(self._navigation(attributes))
        elif name == "Annotation" and not self._nested:
            self._annotation(attributes)

    def end(self, name: str) -> None:
        if self._type is None:
            return
        if name == "EntityType":
            self._done.append(self._type)
            self._type = None
        elif name == "NavigationProperty":
            self._nested = False
        elif name == "Property" and self._property is not None:
            prop = self._built(self._property)
            if prop.edm_type not in _NOT_IN_ROWS:
                self._type.properties.append(prop)
            self._property = None

    def _annotation(self, attributes: dict[str, str]) -> None:
        term = attributes.get("Term", "").rpartition(".")[2]
        value = attributes.get("String") or attributes.get("EnumMember") or ""
        if self._property is not None:
            self._notes.setdefault(term, value)
        elif term == "LabelId" and self._type is not None:
            self._type.label_id = value

    def _built(self, attributes: dict[str, str]) -> Property:
        edm_type = _unaliased(attributes.get("Type", "Edm.String"), self._aliases)
        ax_type = self._notes.get("AXType", "").rpartition("/")[2]
        if edm_type in self._index.structures:
            ax_type = RECORD
        return Property(
            name=attributes.get("Name", ""),
            edm_type=edm_type,
            data_type=ax_type or _AX_TYPES.get(edm_type, "Enum"),
            is_key=False,
            precision=_whole(attributes.get("Precision")),
            scale=_whole(attributes.get("Scale")),
            max_length=_whole(attributes.get("MaxLength")),
            label_id=self._notes.get("LabelId", ""),
            description=self._notes.get("Description") or None,
        )

    def _navigation(self, attributes: dict[str, str]) -> Navigation:
        kind = attributes.get("Type", "")
        many = kind.startswith(_COLLECTION)
        related = kind.removeprefix(_COLLECTION).removesuffix(")")
        return Navigation(
            name=attributes.get("Name", ""),
            related=_unaliased(related, self._aliases).rpartition(".")[2],
            many=many,
        )


def _unaliased(type_name: str, aliases: Mapping[str, str]) -> str:
    """A qualified name with the namespace in place of its alias."""
    if type_name.startswith(_COLLECTION):
        inner = type_name.removeprefix(_COLLECTION).removesuffix(")")
        return f"{_COLLECTION}{_unaliased(inner, aliases)})"
    namespace, _, name = type_name.rpartition(".")
    return f"{aliases.get(namespace, namespace)}.{name}"


def _whole(text: str | None) -> int | None:
    """A facet that is a number; ``max`` and ``variable`` promise nothing."""
    return int(text) if text and text.isascii() and text.isdigit() else None


def _parse_in_steps(
    file: IO[bytes], start: Callable[[str, dict[str, str]], None], end: Callable[[str], None]
) -> Iterator[None]:
    """Feed ``file`` to the handlers, which get names without their namespace."""
    parser = expat.ParserCreate(namespace_separator=" ")
    depth = 0
    local_names: dict[str, str] = {}

    def started(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            message = f"$metadata is refused: its elements are nested more than {_DEEPEST} deep"
            raise DataError(message)
        local = local_names.get(name)
        if local is None:
            local = local_names[name] = name.rpartition(" ")[2]
        start(local, attributes)

    def ended(name: str) -> None:
        nonlocal depth
        depth -= 1
        end(local_names[name])

    parser.StartElementHandler = started
    parser.EndElementHandler = ended
    parser.StartDoctypeDeclHandler = _refuse_doctype
    file.seek(0)
    try:
        while chunk := file.read(_CHUNK_BYTES):
            parser.Parse(chunk, False)  # noqa: FBT003 - expat takes it by position
            yield
        parser.Parse(b"", True)  # noqa: FBT003
        yield
    except (expat.ExpatError, ValueError, LookupError) as error:  # the latter of odd encodings
        reason = "a body that is no complete XML document"
        raise UnreadableError(reason) from error


def _refuse_doctype(*_: object) -> None:
    message = (
        "$metadata is refused: it declares a document type, which no OData service does; check "
        "what answers at environment_url"
    )
    raise DataError(message)
