"""The metadata services: ``/metadata/DataEntities``, ``PublicEntities``, enumerations and labels.

GET only, not bound to a company. Field names as ``mafzaal/d365fo-client`` parses them from a live
environment (``src/d365fo_client/metadata_api.py``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from contoso_sandbox.d365.errors import RefusedError, no_such_route, reject
from contoso_sandbox.d365.filters.evaluate import matches
from contoso_sandbox.d365.filters.lexer import tokens
from contoso_sandbox.d365.filters.nodes import Literal
from contoso_sandbox.d365.filters.parser import parse_filter
from contoso_sandbox.d365.names import METADATA, edm_type

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from contoso_sandbox.model import EntitySet, Environment, Navigation, Property

Document = dict[str, object]


@dataclass(frozen=True)
class MetadataService:
    """The documents of one environment, built at first use."""

    environment: Environment

    def answer(self, resource: str, key: str | None, query: str, *, root: str) -> bytes:
        """Answer ``GET /metadata/<resource>`` or, with ``key``, ``.../<resource>(<key>)``.

        Args:
            resource: Name of the collection; empty for the service document.
            key: Text between the parentheses.
            query: Query string.
            root: URL of the service, with the slash at the end.

        Raises:
            RefusedError: 404 for an unknown resource or key, 400 for a bad query.
        """
        if not resource:
            return _service_document(self._collections, root)
        if resource not in self._collections:
            url = root + resource
            raise no_such_route(url)
        documents = self._collections[resource]
        if key is None:
            return _list(documents, resource, query, root)
        found = self._label(key) if resource == "Labels" else _by_name(documents, key)
        if found is None:
            raise RefusedError(404, b"")
        return _dump({"@odata.context": f"{root}$metadata#{resource}/$entity", **found})

    @cached_property
    def _collections(self) -> Mapping[str, Sequence[Document]]:
        sets = self.environment.entity_sets
        return {
            "DataEntities": [_data_entity(s) for s in sets.values()],
            "PublicEntities": [_public_entity(s, sets) for s in sets.values()],
            "PublicEnumerations": [
                {
                    "Name": enum.name,
                    "LabelId": enum.label_id,
                    "Members": [
                        {"Name": name, "Value": value, "LabelId": "", "ConfigurationEnabled": True}
                        for name, value in enum.members
                    ],
                }
                for enum in self.environment.enums.values()
            ],
            "Labels": [
                {"Id": label_id, "Language": "en-US", "Value": value}
                for label_id, value in sorted(self._labels.items())
            ],
        }

    @cached_property
    def _labels(self) -> dict[str, str]:
        labels = dict(self.environment.labels)
        for entity_set in self.environment.entity_sets.values():
            labels.setdefault(entity_set.label_id, entity_set.label)
            for column in entity_set.properties:
                labels.setdefault(column.label_id, column.label)
        labels.pop("", None)  # what has no label has no label id
        return labels

    def _label(self, key: str) -> Document | None:
        given = _key_values(key)
        wanted, language = given.get("Id", ""), given.get("Language", "en-US")
        by_lower = {label_id.lower(): label_id for label_id in self._labels}
        label_id = by_lower.get(wanted.lower())
        if label_id is None:
            return None
        # A language without a translation shows the English text.
        return {"Id": wanted, "Language": language, "Value": self._labels[label_id]}


def _data_entity(entity_set: EntitySet) -> Document:
    return {
        "Name": entity_set.data_entity,
        "PublicEntityName": entity_set.entity,
        "PublicCollectionName": entity_set.name,
        "LabelId": entity_set.label_id,
        "DataServiceEnabled": True,
        "DataManagementEnabled": True,
        "EntityCategory": entity_set.category,
        "IsReadOnly": entity_set.read_only,
    }


def _public_entity(entity_set: EntitySet, sets: Mapping[str, EntitySet]) -> Document:
    return {
        "Name": entity_set.entity,
        "EntitySetName": entity_set.name,
        "LabelId": entity_set.label_id,
        "IsReadOnly": entity_set.read_only,
        "ConfigurationEnabled": True,
        "Properties": [
            _property(column, is_key=column.name in entity_set.key, read_only=entity_set.read_only)
            for column in entity_set.properties
        ],
        "NavigationProperties": [_navigation(n, sets) for n in entity_set.navigations],
        "PropertyGroups": [],
        "Actions": [],
    }


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


def _list(documents: Sequence[Document], resource: str, query: str, root: str) -> bytes:
    options = dict(parse_qsl(query, keep_blank_values=True))
    if "$filter" in options:
        node = parse_filter(options["$filter"])
        documents = [document for document in documents if matches(node, document)]
    for part in reversed(options.get("$orderby", "").split(",") if options.get("$orderby") else []):
        name, _, direction = part.strip().partition(" ")
        documents = sorted(
            documents,
            key=lambda document, name=name: str(document.get(name)),  # type: ignore[misc]
            reverse=direction == "desc",
        )
    answer: Document = {"@odata.context": f"{root}$metadata#{resource}"}
    if options.get("$count") == "true":
        answer["@odata.count"] = len(documents)
    start = _whole(options.get("$skip", "0"))
    end = start + _whole(options["$top"]) if "$top" in options else None
    documents = documents[start:end]
    if "$select" in options:
        names = [name.strip() for name in options["$select"].split(",")]
        documents = [{name: d[name] for name in names if name in d} for d in documents]
    answer["value"] = documents
    return _dump(answer)


def _by_name(documents: Sequence[Document], key: str) -> Document | None:
    name = next(iter(_key_values(key).values()), None)
    return next((document for document in documents if document["Name"] == name), None)


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
