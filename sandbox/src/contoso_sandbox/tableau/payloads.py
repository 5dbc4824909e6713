"""Read a request document, XML or JSON, into one shape.

XML: ``<tsRequest><datasource name="GL"><project id="…"/></datasource></tsRequest>``; JSON:
``{"datasource": {"name": "GL", "project": {"id": "…"}}}``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from contoso_sandbox.tableau.errors import bad_request
from contoso_sandbox.tableau.xml import parse_xml

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_ROOT = "tsRequest"


@dataclass(frozen=True, slots=True)
class Node:
    """An element of a request: attributes (all text), children in order."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: tuple[Node, ...] = ()

    def get(self, name: str) -> str | None:
        """The attribute, or ``None``."""
        return self.attributes.get(name)

    def flag(self, name: str) -> bool | None:
        """A boolean attribute in any case, or ``None`` where it is absent."""
        text = self.attributes.get(name)
        return None if text is None else text.lower() == "true"

    def child(self, name: str) -> Node | None:
        """The first child of that name, or ``None``."""
        return next((child for child in self.children if child.name == name), None)

    def require(self, name: str) -> Node:
        """The first child of that name.

        Raises:
            RestError: 400000, there is none.
        """
        if (child := self.child(name)) is None:
            detail = f"Payload is either malformed or incomplete: '{name}' is missing."
            raise bad_request(detail)
        return child


def read_document(content: bytes, content_type: str) -> Node:
    """Parse a request body; an empty one gives an empty ``tsRequest``.

    JSON is taken for what says it is JSON; everything else must be XML.

    Raises:
        RestError: 400000, the body is neither.
    """
    if not content.strip():
        return Node(_ROOT)
    try:
        if "json" in content_type.lower():
            return _from_json(content)
        node = _from_xml(parse_xml(content))
    except ValueError as error:  # XmlError, JSONDecodeError, UnicodeDecodeError
        detail = "Payload is either malformed or incomplete."
        raise bad_request(detail) from error
    if node.name != _ROOT:
        detail = f"Payload is either malformed or incomplete: no {_ROOT}."
        raise bad_request(detail)
    return node


def _from_xml(element: Element) -> Node:
    name = element.tag.rsplit("}", 1)[-1]
    return Node(name, dict(element.attrib), tuple(_from_xml(child) for child in element))


def _from_json(content: bytes) -> Node:
    document = json.loads(content)
    if not isinstance(document, dict):
        detail = "Payload is either malformed or incomplete: no JSON object."
        raise bad_request(detail)
    return _from_object(_ROOT, document)


def _from_object(name: str, document: dict[str, object]) -> Node:
    attributes: dict[str, str] = {}
    children: list[Node] = []
    for key, value in document.items():
        if isinstance(value, dict):
            children.append(_from_object(key, value))
        elif isinstance(value, list):
            children.extend(_from_object(key, item) for item in value if isinstance(item, dict))
        elif isinstance(value, bool):
            attributes[key] = "true" if value else "false"
        elif value is not None:
            attributes[key] = str(value)
    return Node(name, attributes, tuple(children))
