"""Edm types as JSON Schema, and wire values as Singer values.

One place for both, because they must agree: what the schema promises is what :func:`decoder`
returns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pipeline_core.errors import DataError

if TYPE_CHECKING:
    from tap_d365fo.metadata.model import Entity, Property

#: Turns the JSON value of a property into the value of a RECORD.
Decoder = Callable[[Any], Any]

#: F&O has no null date. An AX ``Date`` travels as noon UTC, so that no time zone moves it to
#: another day; the empty one is 1900-01-01. Midnight is accepted for computed columns that skip the
#: noon rule.
_DATE_SUFFIXES = ("T12:00:00Z", "T00:00:00Z")
_NULL_DATE = "1900-01-01"

#: The empty ``UtcDateTime``.
_NULL_DATE_TIME = "1900-01-01T00:00:00Z"

_NULL_GUID = "00000000-0000-0000-0000-000000000000"

#: Binary properties hold images and packed containers: offered, but not selected by default.
_BINARY = "Edm.Binary"

_SCHEMAS: dict[str, dict[str, Any]] = {
    "Edm.String": {"type": "string"},
    "Edm.Int16": {"type": "integer"},
    "Edm.Int32": {"type": "integer"},
    "Edm.Int64": {"type": "integer"},
    "Edm.Byte": {"type": "integer"},
    "Edm.Decimal": {"type": "number"},
    "Edm.Boolean": {"type": "boolean"},
    "Edm.Guid": {"type": "string", "format": "uuid"},
    _BINARY: {"type": "string", "contentEncoding": "base64"},
}


def json_schema(entity: Entity) -> dict[str, Any]:
    """The Singer schema of ``entity``.

    Enums are open strings: partners and later versions add members. The Edm and AX types travel in
    ``x-sql-datatype-properties``, the one extension keyword that the SDK keeps.
    """
    return {
        "type": "object",
        "properties": {p.name: _property_schema(p) for p in entity.properties},
        "required": list(entity.key),
    }


def is_decimal(prop: Property) -> bool:
    """Whether the property is money, a quantity or a rate: exact digits."""
    return prop.edm_type == "Edm.Decimal"


def selected_by_default(prop: Property) -> bool:
    """Whether a property travels unless the catalog says otherwise."""
    return prop.edm_type != _BINARY


def is_instant(prop: Property) -> bool:
    """Whether the property is a point in time, with hours and minutes that mean something."""
    return prop.edm_type == "Edm.DateTimeOffset" and prop.data_type != "Date"


def decoder(prop: Property, *, null_sentinels: bool) -> Decoder | None:
    """How the property's wire value becomes its RECORD value; None where it stays as it is.

    Args:
        prop: Key parts keep their sentinels: a key must not lose a part.
        null_sentinels: Whether F&O's stand-ins for "nothing" become null.
    """
    nulls = null_sentinels and not prop.is_key
    if prop.edm_type == "Edm.DateTimeOffset":
        if prop.data_type == "Date":
            return _date_decoder(prop.name, null=_NULL_DATE if nulls else None)
        return _null_for(_NULL_DATE_TIME) if nulls else None
    if prop.edm_type == "Edm.Guid":
        return _null_for(_NULL_GUID) if nulls else None
    return None


def _property_schema(prop: Property) -> dict[str, Any]:
    if prop.edm_type == "Edm.DateTimeOffset":
        date = prop.data_type == "Date"
        schema: dict[str, Any] = {"type": "string", "format": "date" if date else "date-time"}
    else:
        schema = dict(_SCHEMAS.get(prop.edm_type, _SCHEMAS["Edm.String"]))
    if not prop.is_key:
        schema["type"] = [schema["type"], "null"]
    schema["x-sql-datatype-properties"] = {"edm": prop.edm_type, "ax": prop.data_type}
    return schema


def _null_for(sentinel: str) -> Decoder:
    def decode(value: Any) -> Any:  # noqa: ANN401 - a JSON value
        return None if value == sentinel else value

    return decode


def _date_decoder(name: str, *, null: str | None) -> Decoder:
    def decode(value: Any) -> Any:  # noqa: ANN401 - a JSON value
        if value is None:
            return None
        if not isinstance(value, str) or value[10:] not in _DATE_SUFFIXES:
            message = (
                f"{name} is declared a date without time but carries one; the entity has "
                "changed in the environment, run discovery again"
            )
            raise DataError(message)
        day = value[:10]
        return None if day == null else day

    return decode
