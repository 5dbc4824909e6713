"""One answer, two forms: the REST API's XML, and its JSON twin for ``Accept: application/json``.

In JSON an attribute is a key, a child element a nested object, and a repeated element a list under
its own name inside its container: ``{"projects": {"project": [...]}}``, or ``{"projects": {}}``
when there is none. Booleans are JSON booleans; integers arrive as strings, for example
``"pagination": {"pageNumber": "1"}``, which is why clients coerce them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from contoso_sandbox.tableau.times import to_rest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from contoso_sandbox.tableau.errors import RestError

Scalar = str | int | bool | datetime | None

XML_TYPE = "application/xml;charset=utf-8"
JSON_TYPE = "application/json;charset=utf-8"
_SCHEMA = "https://help.tableau.com/samples/en-us/rest_api/ts-api_{version}.xsd"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_NAMESPACE = "http://tableau.com/api"


@dataclass(frozen=True, slots=True)
class Element:
    """An element of a response.

    Attributes:
        name: Tag.
        attributes: Written in this order; a ``None`` is left out.
        children: Child elements, each at most once by name.
        items: Repeated children with one name (a list in JSON), written after ``children``.
        text: Character content, for elements without children.
    """

    name: str
    attributes: dict[str, Scalar] = field(default_factory=dict)
    children: tuple[Element, ...] = ()
    items: tuple[Element, ...] = ()
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler returns: a status, and the children of ``tsResponse`` if there is a body."""

    status: int = 200
    elements: tuple[Element, ...] = ()


@dataclass(frozen=True, slots=True)
class FileAnswer:
    """A file to send.

    Attributes:
        path: The bytes; removed when they are sent.
        filename: What the client should call it.
    """

    path: Path
    filename: str


def error_element(error: RestError) -> Element:
    """The element of a refusal."""
    return Element(
        "error",
        {"code": error.code},
        (Element("summary", text=error.summary), Element("detail", text=error.detail)),
    )


def to_xml(elements: Iterable[Element], *, api_version: str) -> bytes:
    """Render a whole ``tsResponse`` document."""
    schema = _SCHEMA.format(version=api_version.replace(".", "_"))
    body = "".join(_xml(element) for element in elements)
    return (
        "<?xml version='1.0' encoding='UTF-8'?>"
        f'<tsResponse xmlns="{_NAMESPACE}" xmlns:xsi="{_XSI}"'
        f' xsi:schemaLocation="{_NAMESPACE} {schema}">{body}</tsResponse>'
    ).encode()


def to_json(elements: Iterable[Element]) -> bytes:
    """Render the JSON twin of a ``tsResponse``."""
    document = {element.name: _json(element) for element in elements}
    return json.dumps(document, ensure_ascii=False).encode()


def _text(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return to_rest(value)
    return str(value)


def _xml(element: Element) -> str:
    attributes = "".join(
        f" {name}={quoteattr(_text(value))}"
        for name, value in element.attributes.items()
        if value is not None
    )
    inner = "".join(_xml(child) for child in (*element.children, *element.items))
    if element.text is not None:
        inner += escape(element.text)
    if not inner:
        return f"<{element.name}{attributes}/>"
    return f"<{element.name}{attributes}>{inner}</{element.name}>"


def _json(element: Element) -> object:
    if element.text is not None and not element.attributes:
        return element.text
    rendered: dict[str, object] = {}
    for name, value in element.attributes.items():
        if value is not None:
            rendered[name] = value if isinstance(value, bool) else _text(value)
    for child in element.children:
        rendered[child.name] = _json(child)
    for item in element.items:
        listed = rendered.setdefault(item.name, [])
        assert isinstance(listed, list)  # noqa: S101 - a child and an item never share a name
        listed.append(_json(item))
    if element.text is not None:
        rendered["value"] = element.text
    return rendered
