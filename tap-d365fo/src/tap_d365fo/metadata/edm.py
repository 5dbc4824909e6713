"""Edm types as JSON Schema.

What the schema promises is what :mod:`tap_d365fo.metadata.values` returns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_d365fo.metadata.values import Decoder, decoder, numbers_are_text

if TYPE_CHECKING:
    from collections.abc import Collection

    from tap_d365fo.metadata.model import Entity, Navigation, Property

__all__ = [
    "Decoder",
    "decoder",
    "is_decimal",
    "is_instant",
    "json_schema",
    "numbers_are_text",
    "selected_by_default",
]

#: Binary properties hold images and packed containers: offered, but not selected by default.
_BINARY = "Edm.Binary"

_STRING: dict[str, Any] = {"type": "string"}

#: A type that is not named here is an enum or one of tomorrow; both travel as strings. X++ times of
#: day are Edm.Int32 (seconds since midnight) and stay the numbers that they are.
_SCHEMAS: dict[str, dict[str, Any]] = {
    "Edm.String": _STRING,
    "Edm.SByte": {"type": "integer"},
    "Edm.Byte": {"type": "integer"},
    "Edm.Int16": {"type": "integer"},
    "Edm.Int32": {"type": "integer"},
    "Edm.Int64": {"type": "integer"},
    "Edm.Decimal": {"type": "number"},
    "Edm.Double": {"type": "number"},
    "Edm.Single": {"type": "number"},
    "Edm.Boolean": {"type": "boolean"},
    "Edm.Guid": {"type": "string", "format": "uuid"},
    "Edm.Date": {"type": "string", "format": "date"},
    "Edm.TimeOfDay": {"type": "string", "format": "time"},
    "Edm.Time": {"type": "string", "format": "time"},
    # No format: OData allows a sign and more digits than the ``duration`` of JSON Schema.
    "Edm.Duration": _STRING,
    _BINARY: {"type": "string", "contentEncoding": "base64"},
}

#: What ``DataType`` says of a structure with properties of its own (a CSDL complex type).
RECORD = "Record"

_COLLECTION = "Collection("


def json_schema(entity: Entity, *, expand: Collection[str] = ()) -> dict[str, Any]:
    """The Singer schema of ``entity``.

    Enums are open strings: partners and later versions add members. The Edm and AX types and what
    is known of digits travel in ``x-sql-datatype-properties``, the one extension keyword that the
    SDK keeps.

    Args:
        entity: What is published.
        expand: Navigation properties that are read along; each becomes a column.
    """
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {p.name: _property_schema(p) for p in entity.properties}
        | {n.name: _navigation_schema(n) for n in entity.navigations if n.name in expand},
        "required": list(entity.key),
    }
    if entity.label:
        schema["title"] = entity.label
    return schema


def is_decimal(prop: Property) -> bool:
    """Whether the property is money, a quantity or a rate: exact digits."""
    return prop.edm_type == "Edm.Decimal"


def selected_by_default(prop: Property) -> bool:
    """Whether a property travels unless the catalog says otherwise."""
    return prop.edm_type != _BINARY


def is_instant(prop: Property) -> bool:
    """Whether the property is a point in time, with hours and minutes that mean something."""
    return prop.edm_type == "Edm.DateTimeOffset" and prop.data_type != "Date"


def _property_schema(prop: Property) -> dict[str, Any]:
    schema = dict(_type_schema(prop))
    if not prop.is_key:
        schema["type"] = [schema["type"], "null"]
    if prop.max_length is not None and schema["type"] in ("string", ["string", "null"]):
        schema["maxLength"] = prop.max_length
    if prop.label:
        schema["title"] = prop.label
    if prop.description:
        schema["description"] = prop.description
    facets = {"precision": prop.precision, "scale": prop.scale, "maxLength": prop.max_length}
    schema["x-sql-datatype-properties"] = {
        "edm": prop.edm_type,
        "ax": prop.data_type,
        **{name: value for name, value in facets.items() if value is not None},
    }
    return schema


def _type_schema(prop: Property) -> dict[str, Any]:
    if prop.edm_type == "Edm.DateTimeOffset":
        return {"type": "string", "format": "date" if prop.data_type == "Date" else "date-time"}
    if prop.edm_type.startswith(_COLLECTION):
        return {"type": "array", "items": {}}
    if prop.data_type == RECORD:
        return {"type": "object"}
    return _SCHEMAS.get(prop.edm_type, _STRING)


def _navigation_schema(navigation: Navigation) -> dict[str, Any]:
    related: dict[str, Any] = {
        "type": "object",
        "properties": {p.name: _property_schema(p) for p in navigation.properties},
    }
    if navigation.many:
        return {"type": ["array", "null"], "items": related}
    return {**related, "type": ["object", "null"]}
