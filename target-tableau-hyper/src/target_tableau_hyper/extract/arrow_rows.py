"""The values of an Arrow column as the JSON values that stand for them in a RECORD message."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from target_tableau_hyper.extract.definitions import resolved
from target_tableau_hyper.extract.schema import simple_types

if TYPE_CHECKING:
    from collections.abc import Mapping

_STRUCTURED = frozenset({"object", "array", "null"})

_DECODER = msgspec.json.Decoder(float_hook=Decimal)


class NoRecordError(Exception):
    """A file holds something that is no record; the text says what, without any of it."""


def structured(schema: Mapping[str, Any]) -> frozenset[str]:
    """Properties that are objects or arrays and nothing else.

    Arrow has no type for "any object", so one may come as its JSON text.
    """
    properties: Mapping[str, Any] = schema.get("properties") or {}
    kinds = {
        name: {kind for kind, _ in simple_types(resolved(one, schema))}
        for name, one in properties.items()
    }
    return frozenset(n for n, k in kinds.items() if k - {"null"} and k <= _STRUCTURED)


def json_values(column: pa.Array, *, is_structured: bool = False) -> list[Any]:
    """A column's values.

    Args:
        column: Of any type.
        is_structured: Whether a text is the JSON text of an object or array.

    Raises:
        NoRecordError: a value has no form in JSON.
        msgspec.DecodeError: ``is_structured``, and a text is no JSON.
    """
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        column = pc.cast(column, pa.timestamp("us", kind.tz), safe=False)  # as Hyper stores them
    elif kind == pa.time64("ns"):
        column = pc.cast(column, pa.time64("us"), safe=False)
    values: list[Any] = column.to_pylist()
    if is_structured:
        values = [_DECODER.decode(v) if isinstance(v, str) else v for v in values]
    if pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return values
    if pa.types.is_decimal(kind):
        return values
    return [None if value is None else _json(value) for value in values]


def _json(value: Any) -> Any:  # noqa: ANN401, PLR0911 - a value of any type
    """One value as JSON has it; a float by its shortest decimal form, which means the same."""
    if isinstance(value, bool | str | int | Decimal):
        return value
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list):
        # pyarrow gives maps as lists of pairs.
        if value and all(isinstance(each, tuple) for each in value):
            return {str(key): None if one is None else _json(one) for key, one in value}
        return [None if each is None else _json(each) for each in value]
    if isinstance(value, dict):
        return {key: None if each is None else _json(each) for key, each in value.items()}
    reason = f"a column of it holds {type(value).__name__}"
    raise NoRecordError(reason)
