"""JSON Schema of a stream -> the columns of its table.

Every shape that taps emit finds a column. Where a schema allows several types, the column is the
one that holds them all without loss, which in the last resort is text.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pipeline_core.errors import DataError
from target_tableau_hyper.extract.definitions import alternatives, resolved

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

#: Marks a RECORD that stands for a deletion: ``_sdc_deleted_at`` is set.
DELETED_AT = "_sdc_deleted_at"

#: Ours, beside the SDK's: which run stored a row, from where, when, and a hash of what it holds.
AUDIT_RUN_ID = "_audit_run_id"
AUDIT_SOURCE = "_audit_source"
AUDIT_ROW_HASH = "_audit_row_hash"
AUDIT_LOADED_AT = "_audit_loaded_at"

#: Record metadata: when and how a record came, not what it holds.
RECORD_METADATA = frozenset(
    {
        AUDIT_RUN_ID,
        AUDIT_SOURCE,
        AUDIT_ROW_HASH,
        AUDIT_LOADED_AT,
        "_sdc_extracted_at",
        "_sdc_received_at",
        "_sdc_batched_at",
        "_sdc_sequence",
        "_sdc_table_version",
        "_sdc_sync_started_at",
    }
)

#: Strings that carry an exact decimal; the first is the SDK's, the second its older spelling.
_DECIMAL_FORMATS = frozenset({"x-singer.decimal", "singer.decimal"})


class Kind(StrEnum):
    """What a column holds; each has one type in Arrow and one in Hyper."""

    TEXT = "text"
    INTEGER = "integer"
    NUMERIC = "numeric"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    DATE = "date"
    TIME = "time"
    TIMESTAMP = "timestamp"


#: Formats of strings that have a type of their own, the widest first.
_STRING_FORMATS = (
    ("date-time", Kind.TIMESTAMP),
    ("date", Kind.DATE),
    ("time", Kind.TIME),
)


@dataclass(frozen=True, slots=True)
class Column:
    """One property of a stream as a column.

    Attributes:
        name: The property's name, kept as it is.
        kind: What it holds.
        nullable: Whether the schema allows null.
        only_strings: For text: the schema allows strings and nothing else. A text column without it
            holds strings as they are and everything else as JSON text.
        decimal_strings: For decimals: the schema allows them as strings (``x-singer.decimal``).
        precision: Hint of the source for a decimal (``x-sql-datatype-properties``); data win.
        scale: Likewise.
        title: The schema's own title, kept for captions.
        description: The schema's own description.
    """

    name: str
    kind: Kind
    nullable: bool = True
    only_strings: bool = False
    decimal_strings: bool = False
    precision: int | None = None
    scale: int | None = None
    title: str | None = None
    description: str | None = None


def columns_of(
    stream: str, schema: Mapping[str, Any], *, doubles: bool = False
) -> tuple[Column, ...]:
    """The columns of a stream, in the schema's order.

    Args:
        stream: For messages.
        schema: JSON Schema of its records.
        doubles: Whether a plain ``number``, of which nothing says that it is a decimal, becomes a
            floating-point column.

    Raises:
        DataError: the schema has no ``properties`` object.
    """
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        message = (
            f"the SCHEMA of stream {stream!r} has no properties, so its columns are unknown; "
            "correct the tap's schema"
        )
        raise DataError(message)
    columns = (
        _column(name, resolved(definition, schema)) for name, definition in properties.items()
    )
    return tuple(
        replace(column, kind=Kind.DOUBLE)
        if doubles and column.kind is Kind.NUMERIC and not _is_decimal(column)
        else column
        for column in columns
    )


def _is_decimal(column: Column) -> bool:
    """Whether the schema says more than ``number``: money is never a float."""
    return column.decimal_strings or column.scale is not None or column.precision is not None


def require_keys(columns: Sequence[Column], stream: str, keys: Sequence[str]) -> None:
    """Check that every key property is a column.

    Raises:
        DataError: names the key that is missing.
    """
    names = {column.name for column in columns}
    for key in keys:
        if key not in names:
            message = (
                f"stream {stream!r} names {key!r} as a key, but its schema has no such property; "
                "correct key_properties or select the property"
            )
            raise DataError(message)


def simple_types(definition: object) -> Iterator[tuple[str, str | None]]:
    """Every (type, format) that a definition allows, unions flattened; nothing for "anything"."""
    for alternative in alternatives(definition):
        types = alternative.get("type")
        for name in types if isinstance(types, list) else [types]:
            if isinstance(name, str):
                yield name, alternative.get("format")


def _column(name: str, definition: object) -> Column:
    allowed = list(simple_types(definition))
    types = {name for name, _ in allowed} - {"null"}
    formats = {form for kind, form in allowed if kind == "string" and form}
    texts = definition if isinstance(definition, dict) else {}
    # What holds for all alternatives stands beside the union, what holds for one inside.
    places = [texts, *alternatives(definition)]
    hints = [place.get("x-sql-datatype-properties") for place in places]
    known = [hint for hint in hints if isinstance(hint, dict)]
    steps = (_places(place.get("multipleOf")) for place in places)
    return Column(
        name=name,
        kind=_kind(types, formats),
        nullable=not allowed or "null" in {name for name, _ in allowed},
        only_strings=types == {"string"},
        decimal_strings=bool(formats & _DECIMAL_FORMATS),
        precision=_largest(_whole(hint.get("precision")) for hint in known),
        scale=_largest([*(_whole(hint.get("scale")) for hint in known), *steps]),
        title=_text(texts.get("title")),
        description=_text(texts.get("description")),
    )


def _kind(types: set[str], formats: set[str]) -> Kind:
    """One kind for a set of JSON types.

    A date format beside a plain string (tap-salesforce and others write ``anyOf: [date-time,
    string]``) is a date, as in the SDK.
    """
    if formats & _DECIMAL_FORMATS and types <= {"string", "number", "integer"}:
        return Kind.NUMERIC
    if types == {"string"}:
        return next((kind for name, kind in _STRING_FORMATS if name in formats), Kind.TEXT)
    if types and types <= {"integer", "number"}:
        return Kind.INTEGER if types == {"integer"} else Kind.NUMERIC
    return Kind.BOOLEAN if types == {"boolean"} else Kind.TEXT


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _places(multiple_of: object) -> int | None:
    """Decimal places that the source promises: ``multipleOf: 0.01`` means two."""
    if not isinstance(multiple_of, int | float | Decimal) or isinstance(multiple_of, bool):
        return None
    exponent = Decimal(str(multiple_of)).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else None


def _largest(numbers: Iterable[int | None]) -> int | None:
    return max((number for number in numbers if number is not None), default=None)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
