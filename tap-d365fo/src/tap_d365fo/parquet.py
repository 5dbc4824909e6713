"""Records as a Parquet file, in types that give back what a RECORD message would have given.

An SDK target hands the rows of a file to its sink as ``Table.to_pylist()`` makes them, without the
parsing that RECORD messages get (``Sink.process_batch_files`` against
``Sink._parse_timestamps_in_record``, singer-sdk 0.54). So a ``date`` must be a ``date32`` column,
and a ``date-time`` a timestamp in UTC: then the sink sees the ``date`` and ``datetime`` objects
that it sees in RECORD mode. As text they would reach the sink as text, and targets store that
differently: a CSV gets ``2026-01-31T12:00:00Z`` for ``2026-01-31 12:00:00+00:00``, and PostgreSQL
passes over the zone of a literal that goes into a column without one.

Every conversion is exact, or it is an error: no decimal passes through a float.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import accumulate
from operator import itemgetter
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline_core.errors import DataError
from tap_d365fo.reading.typed_rows import ETAG, Row, TypedRow, column

Record = Mapping[str, Any]

#: Tried in turn: few types, so that readers of several files find one for all. Money has 2 digits,
#: F&O's own limit is numeric(32, 16).
_DECIMALS = (pa.decimal128(38, 2), pa.decimal128(38, 6), pa.decimal128(38, 16))

#: Digits that ``decimal128`` and ``decimal256`` hold.
_DIGITS = 38, 76

_INSTANT = pa.timestamp("us", tz="UTC")

#: Conversions of pyarrow fail with any of these.
_REFUSALS = (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeError)


class _MisfitError(Exception):
    """A value that its column cannot hold as it is."""


def parquet_bytes(
    stream: str,
    schema: Mapping[str, Any],
    key: Sequence[str],
    records: Sequence[Row],
    *,
    compression: str,
) -> bytes:
    """A Parquet file of ``records``.

    Columns are the properties that occur, in the order of the schema; one that is deselected occurs
    in no record and gets no column.

    Args:
        stream: Named in errors.
        schema: JSON Schema of the records.
        key: Properties that are never null.
        records: What RECORD messages would carry; not empty.
        compression: As Parquet names it.

    Raises:
        DataError: names the column that holds what its schema does not allow, or what no Parquet
            type holds exactly.
    """
    properties: Mapping[str, Any] = schema["properties"]
    columns: dict[str, pa.Array] = {}
    for name, values in _by_column(records, order=properties):
        try:
            columns[name] = _array(_definition(properties, name), values, parse_dates=True)
        except (*_REFUSALS, _MisfitError) as error:
            raise DataError(_misfit(stream, name, error)) from error
    nullless = [name for name in key if name in columns and not columns[name].null_count]
    if lacking := [name for name in key if name not in nullless]:
        message = f"stream {stream}: a record lacks its key {', '.join(lacking)}"
        raise DataError(message)
    fields = [pa.field(n, a.type, nullable=n not in nullless) for n, a in columns.items()]
    table = pa.Table.from_arrays(list(columns.values()), schema=pa.schema(fields))
    file = io.BytesIO()
    pq.write_table(table, file, compression=compression)
    return file.getvalue()


def _by_column(records: Sequence[Row], *, order: Iterable[str]) -> Iterator[tuple[str, list[Any]]]:
    places = {name: place for place, name in enumerate(order)}
    if isinstance(first := records[0], TypedRow):  # then all of them are, and alike
        for name in sorted(first.slots.keys() - {ETAG}, key=lambda n: places.get(n, len(places))):
            yield name, column(records, name)
        return
    plain = cast("Sequence[Record]", records)
    present = dict.fromkeys(plain[0])
    uniform = True
    for record in plain:
        if record.keys() != present.keys():
            uniform = False
            present.update(dict.fromkeys(record))
    for name in sorted(present, key=lambda name: places.get(name, len(places))):
        if uniform:  # the usual case, and three times as fast
            yield name, list(map(itemgetter(name), plain))
        else:
            yield name, [record.get(name) for record in plain]


def _definition(properties: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    if name in properties:
        definition: Mapping[str, Any] = properties[name]
        return definition
    if name.startswith("_sdc_") and name.endswith("_at"):  # marks of the SDK are in no schema
        return {"type": "string", "format": "date-time"}
    reason = "has no schema"
    raise _MisfitError(reason)


def _array(definition: Mapping[str, Any], values: list[Any], *, parse_dates: bool) -> pa.Array:
    """``values`` as a column.

    Args:
        definition: JSON Schema of the property.
        values: JSON values; None where there is none.
        parse_dates: The SDK parses dates in properties of a record, but not inside of them.
    """
    kind = _type_of(definition)
    if kind == "number":
        return _decimals(values)
    if kind == "object":
        return _structs(definition.get("properties"), values)
    if kind == "array":
        return _lists(definition.get("items") or {}, values)
    if kind == "integer":
        return _integers(values)
    column = pa.array(values, type=pa.bool_() if kind == "boolean" else pa.string())
    return column.cast(_date_type(definition)) if kind == "string" and parse_dates else column


def _type_of(definition: Mapping[str, Any]) -> str:
    given = definition.get("type", ())
    types = [given] if isinstance(given, str) else list(given)
    kinds = [kind for kind in types if kind != "null"]
    if len(kinds) != 1:
        reason = "has no single type"
        raise _MisfitError(reason)
    return str(kinds[0])


def _date_type(definition: Mapping[str, Any]) -> pa.DataType:
    known = {"date": pa.date32(), "date-time": _INSTANT}
    return known.get(str(definition.get("format")), pa.string())


def _integers(values: list[Any]) -> pa.Array:
    found = pa.array(values)  # told the type, pyarrow would make 2 of 2.5
    if not pa.types.is_null(found.type) and not pa.types.is_int64(found.type):
        reason = "is of type integer and holds another"
        raise _MisfitError(reason)
    return found.cast(pa.int64())


def _decimals(values: list[Any]) -> pa.Array:
    """Exactly these numbers: pyarrow refuses to drop a digit that is not zero."""
    for candidate in _DECIMALS:
        try:
            column = pa.array(values, type=candidate)
            if _kept_small(values, column):
                return column
        except pa.ArrowInvalid:
            continue
        except pa.ArrowTypeError:
            # A stream map may compute a float; RECORD mode writes it with these digits.
            if not any(isinstance(value, float) for value in values):
                raise
            return _decimals([Decimal(repr(v)) if isinstance(v, float) else v for v in values])
    return pa.array(values, type=_wide_decimal([v for v in values if v is not None]))


def _kept_small(values: list[Any], column: pa.Array) -> bool:
    """Whether only zeros became zeros.

    pyarrow refuses to drop digits, but for numbers of 39 places more than the type has, of which it
    makes 0 without a word (26.0).
    """
    zeros = pc.indices_nonzero(pc.equal(column, pa.scalar(0, column.type)))
    return not any(values[place] for place in zeros.to_pylist())


def _wide_decimal(values: list[Any]) -> pa.DataType:
    """The type that holds as many digits as these numbers have."""
    if any(isinstance(value, bool) or not Decimal(value).is_finite() for value in values):
        reason = "is of type number and holds another"
        raise _MisfitError(reason)
    numbers = [Decimal(value) for value in values]
    scale = max(0, -min(int(number.as_tuple().exponent) for number in numbers))
    # Zeros behind the point count: Parquet's precision is never less than its scale.
    digits = max(0, *(number.adjusted() + 1 for number in numbers)) + scale
    narrow, wide = _DIGITS
    if digits > wide:
        reason = f"needs {digits} digits, and Parquet holds {wide}"
        raise _MisfitError(reason)
    return pa.decimal128(narrow, scale) if digits <= narrow else pa.decimal256(wide, scale)


def _structs(properties: Mapping[str, Any] | None, values: list[Any]) -> pa.Array:
    if not properties:
        reason = "is an object of unknown properties"
        raise _MisfitError(reason)
    if any(value is not None and not properties.keys() >= value.keys() for value in values):
        reason = "holds an object with a property that has no schema"
        raise _MisfitError(reason)
    children = [
        _array(inner, [v.get(name) if v is not None else None for v in values], parse_dates=False)
        for name, inner in properties.items()
    ]
    absent = pa.array([value is None for value in values])
    return pa.StructArray.from_arrays(children, names=list(properties), mask=absent)


def _lists(items: Mapping[str, Any], values: list[Any]) -> pa.Array:
    flat = [item for value in values if value is not None for item in value]
    ends = accumulate((len(value or ()) for value in values), initial=0)
    absent = pa.array([value is None for value in values])
    offsets = pa.array(list(ends), type=pa.int32())
    return pa.ListArray.from_arrays(offsets, _array(items, flat, parse_dates=False), mask=absent)


def _misfit(stream: str, column: str, error: Exception) -> str:
    """What does not fit, without pyarrow's text: it quotes the value."""
    what = str(error) if isinstance(error, _MisfitError) else "holds a value that does not fit it"
    return (
        f"stream {stream}: column {column} {what}; leave it out, or send this as jsonl or without "
        "batch_config"
    )
