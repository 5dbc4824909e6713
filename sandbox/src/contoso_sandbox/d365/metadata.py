"""The metadata services: ``/metadata/DataEntities``, ``PublicEntities``, enumerations and labels.

GET only, not bound to a company. Field names as ``mafzaal/d365fo-client`` parses them from a live
environment (``src/d365fo_client/metadata_api.py``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from contoso_sandbox.d365.errors import RefusedError, no_such_route, reject
from contoso_sandbox.d365.filters.evaluate import matches
from contoso_sandbox.d365.filters.lexer import tokens
from contoso_sandbox.d365.filters.nodes import Literal
from contoso_sandbox.d365.filters.parser import parse_filter
from contoso_sandbox.d365.names import METADATA, edm_type
from contoso_sandbox.d365.prepared import Prepared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from contoso_sandbox.model import EntitySet, Environment, Navigation, Property

Document = dict[str, object]

#: What makes a public entity large.
_LARGE = frozenset({"Properties", "NavigationProperties"})


@dataclass(frozen=True, slots=True)
class Listed:
    """One document of a collection; what is large in it is made when it is sent.

    Attributes:
        head: All members in order, the large ones empty.
        large: Names of the large ones.
        rest: Makes them.
    """

    head: Document
    large: frozenset[str] = frozenset()
    rest: Callable[[], Document] = dict

    def document(self) -> Document:
        """Make the whole document."""
        return {**self.head, **self.rest()}


@dataclass(frozen=True)
class MetadataService:
    """The documents of one environment."""

    environment: Environment
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)
    _prepared: dict[tuple[str, str], Prepared] = field(default_factory=dict, repr=False)

    def whole(self, resource: str, *, root: str) -> Prepared | None:
        """Return a collection without any option; ``None`` if there is none of that name.

        It is written at the first call and kept compressed.
        """
        if resource not in self._collections:
            return None
        with self._lock:
            if (resource, root) not in self._prepared:
                pieces = _list(self._collections[resource](), resource, "", root)
                self._prepared[resource, root] = Prepared.of(pieces)
            return self._prepared[resource, root]

    def answer(self, resource: str, key: str | None, query: str, *, root: str) -> Sequence[bytes]:
        """Answer ``GET /metadata/<resource>`` or, with ``key``, ``.../<resource>(<key>)``.

        Args:
            resource: Name of the collection; empty for the service document.
            key: Text between the parentheses.
            query: Query string.
            root: URL of the service, with the slash at the end.

        Returns:
            The body in pieces.

        Raises:
            RefusedError: 404 for an unknown resource or key, 400 for a bad query.
        """
        if not resource:
            return [_service_document(self._collections, root)]
        if resource not in self._collections:
            url = root + resource
            raise no_such_route(url)
        if key is None:
            return list(_list(self._collections[resource](), resource, query, root))
        found = self._label(key) if resource == "Labels" else self._by_name(resource, key)
        if found is None:
            raise RefusedError(404, b"")
        return [_dump({"@odata.context": f"{root}$metadata#{resource}/$entity", **found})]

    @cached_property
    def _collections(self) -> Mapping[str, Callable[[], Iterable[Listed]]]:
        return {
            "DataEntities": self._data_entities.values,
            "PublicEntities": self._public_entities.values,
            "PublicEnumerations": self._enumerations.values,
            "Labels": self._listed_labels,
        }

    @cached_property
    def _data_entities(self) -> dict[str, Listed]:
        served = self.environment.entity_sets.values()
        entities = [_data_entity(entity_set, served=True) for entity_set in served]
        entities += [_data_entity(entity, served=False) for entity in self.environment.unserved]
        return {str(entity["Name"]): Listed(entity) for entity in entities}

    @cached_property
    def _public_entities(self) -> dict[str, Listed]:
        sets = self.environment.entity_sets
        return {s.entity: _public_entity(s, sets) for s in sets.values()}

    @cached_property
    def _enumerations(self) -> dict[str, Listed]:
        return {
            enum.name: Listed(
                {
                    "Name": enum.name,
                    "LabelId": enum.label_id,
                    "Members": [
                        {"Name": name, "Value": value, "LabelId": "", "ConfigurationEnabled": True}
                        for name, value in enum.members
                    ],
                }
            )
            for enum in self.environment.enums.values()
        }

    def _listed_labels(self) -> Iterator[Listed]:
        for label_id, value in sorted(self._labels.items()):
            yield Listed({"Id": label_id, "Language": "en-US", "Value": value})

    @cached_property
    def _labels(self) -> dict[str, str]:
        labels = dict(self.environment.labels)
        for entity_set in self.environment.entity_sets.values():
            labels.setdefault(entity_set.label_id, entity_set.label)
            for column in entity_set.properties:
                labels.setdefault(column.label_id, column.label)
        labels.pop("", None)  # what has no label has no label id
        return labels

    @cached_property
    def _label_ids(self) -> dict[str, str]:
        """Label ids by their lower-case form."""
        return {label_id.lower(): label_id for label_id in self._labels}

    def _by_name(self, resource: str, key: str) -> Document | None:
        documents = {
            "DataEntities": self._data_entities,
            "PublicEntities": self._public_entities,
            "PublicEnumerations": self._enumerations,
        }[resource]
        listed = documents.get(next(iter(_key_values(key).values()), ""))
        return None if listed is None else listed.document()

    def _label(self, key: str) -> Document | None:
        given = _key_values(key)
        wanted, language = given.get("Id", ""), given.get("Language", "en-US")
        label_id = self._label_ids.get(wanted.lower())
        if label_id is None:
            return None
        # A language without a translation shows the English text.
        return {"Id": wanted, "Language": language, "Value": self._labels[label_id]}


def _data_entity(entity_set: EntitySet, *, served: bool) -> Document:
    return {
        "Name": entity_set.data_entity,
        "PublicEntityName": entity_set.entity,
        "PublicCollectionName": entity_set.name,
        "LabelId": entity_set.label_id,
        "DataServiceEnabled": served,
        "DataManagementEnabled": True,
        "EntityCategory": entity_set.category,
        "IsReadOnly": entity_set.read_only,
    }


def _public_entity(entity_set: EntitySet, sets: Mapping[str, EntitySet]) -> Listed:
    head: Document = {
        "Name": entity_set.entity,
        "EntitySetName": entity_set.name,
        "LabelId": entity_set.label_id,
        "IsReadOnly": entity_set.read_only,
        "ConfigurationEnabled": True,
        "Properties": [],
        "NavigationProperties": [],
        "PropertyGroups": [],
        "Actions": [],
    }

    def rest() -> Document:
        read_only = entity_set.read_only
        return {
            "Properties": [
                _property(column, is_key=column.name in entity_set.key, read_only=read_only)
                for column in entity_set.properties
            ],
            "NavigationProperties": [_navigation(n, sets) for n in entity_set.navigations],
        }

    return Listed(head, _LARGE, rest)


def _property(column: Property, *, is_key: bool, read_only: bool) -> Document:
    return {
        "Name": column.name,
        "TypeName": edm_type(column),
        "DataType": column.ax_type.value,
        "LabelId": column.label_id,
        "IsKey": is_key,
        "IsMandatory": is_key,
        "ConfigurationEnabled": True,
        "AllowEdit": not is_key and not read_only,
        "AllowEditOnCreate": not read_only,
        "IsDimension": False,
        "DimensionRelation": None,
        "IsDynamicDimension": False,
        "DimensionLegalEntityProperty": None,
        "DimensionTypeProperty": None,
    }


def _navigation(navigation: Navigation, sets: Mapping[str, EntitySet]) -> Document:
    return {
        "Name": navigation.name,
        "RelatedEntity": sets[navigation.related_set].entity,
        "RelatedRelationName": navigation.name,
        "Cardinality": "Multiple" if navigation.many else "Single",
        "Constraints": [
            {
                "@odata.type": f"#{METADATA}.ReferentialConstraint",
                "Property": own,
                "ReferencedProperty": other,
            }
            for own, other in navigation.on
        ],
    }


def _service_document(collections: Mapping[str, object], root: str) -> bytes:
    value = [{"name": name, "kind": "EntitySet", "url": name} for name in collections]
    return _dump({"@odata.context": f"{root}$metadata", "value": value})


def _list(listed: Iterable[Listed], resource: str, query: str, root: str) -> Iterator[bytes]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    if "$filter" in options:
        node = parse_filter(options["$filter"])
        listed = [one for one in listed if matches(node, one.head)]
    for part in reversed(options.get("$orderby", "").split(",") if options.get("$orderby") else []):
        name, _, direction = part.strip().partition(" ")
        listed = sorted(
            listed,
            key=lambda one, name=name: str(one.head.get(name)),  # type: ignore[misc]
            reverse=direction == "desc",
        )
    head: Document = {"@odata.context": f"{root}$metadata#{resource}"}
    if options.get("$count") == "true":
        listed = list(listed)
        head["@odata.count"] = len(listed)
    start = _whole(options.get("$skip", "0"))
    end = start + _whole(options["$top"]) if "$top" in options else None
    yield _dump(head)[:-1] + b',"value":['
    names = [name.strip() for name in options.get("$select", "").split(",") if name.strip()]
    for position, one in enumerate(islice(listed, start, end)):
        document = _selected(one, names) if names else one.document()
        yield (b"," if position else b"") + _dump(document)
    yield b"]}"


def _selected(one: Listed, names: Sequence[str]) -> Document:
    document = one.head if one.large.isdisjoint(names) else one.document()
    return {name: document[name] for name in names if name in document}


def _key_values(text: str) -> dict[str, str]:
    """Read ``'x'`` or ``Id='x',Language='y'``; a bare value gets the name ``Name``."""
    values, name = {}, "Name"
    for token in tokens(text):
        if token.kind == "word":
            name = token.text
        elif isinstance(token.literal, Literal) and isinstance(token.literal.value, str):
            values[name] = token.literal.value
        elif token.literal is not None:
            reject(f"Bad Request - Error in query syntax: '({text})'.")
    return values


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        reject(f"Invalid value '{text}' for a paging option.")
    return int(text)


def _dump(document: Document) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
