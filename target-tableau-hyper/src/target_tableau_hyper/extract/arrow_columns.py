"""Arrow columns -> the columns of a segment, whole, without a Python object a value.

Only conversions that mean exactly what the way by single values means: where that is not certain
by the types alone, there is no answer here, and the values go one by one.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Context, Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from target_tableau_hyper.extract.schema import Kind
from target_tableau_hyper.extract.values import MAX_DIGITS, parse_texts

if TYPE_CHECKING:
    from collections.abc import Callable

#: What sums of integers (64 bits) and of decimals, whatever their scale, stay below.
_INTEGERS = Decimal(2**63)
_DECIMALS = {128: Decimal(10**38), 256: Decimal(10**76)}

_EXACT = Context(prec=2 * 76)

#: Room for the sum of a decimal column of any length.
_WIDE_DIGITS = 76

_INSTANT = pa.timestamp("us", "UTC")

#: Bounds of the calendar: beyond them neither Hyper nor Python has a date.
_FIRST = datetime(1, 1, 1)  # noqa: DTZ001 - a bound of the calendar itself
_LAST = datetime(9999, 12, 31, 23, 59, 59, 999999)  # noqa: DTZ001 - likewise


def convert(array: pa.Array, kind: Kind) -> pa.Array | None:
    """A column of anything but decimals; ``None`` where its values must be looked at singly."""
    conversion = _CONVERSIONS.get(kind)
    try:
        return conversion(array) if conversion else None
    except (pa.ArrowException, OverflowError):
        return None


def decimals(array: pa.Array, scale: int) -> pa.Array | None:
    """Decimals or integers with at least ``scale`` places, more where a value needs more.

    Zeros that only fill the places of the type are dropped, as no JSON number has them.
    """
    if pa.types.is_integer(array.type):
        # uint64 has 20 digits.
        array = pc.cast(array, pa.decimal128(20, 0))
    elif not pa.types.is_decimal(array.type):
        return None
    low, high = scale, min(MAX_DIGITS, max(scale, array.type.scale))
    while low < high:
        middle = (low + high) // 2
        if _with_places(array, middle) is None:
            low = middle + 1
        else:
            high = middle
    return _with_places(array, low)


def exact_sum(array: pa.Array) -> Decimal | None:
    """Sum of an integer or decimal column; ``None`` of one without values.

    Arrow's sums wrap around without a word. Where the largest value times the number of rows fits
    into the type, they cannot; elsewhere decimal256 has room, at three times the cost.
    """
    bounds = pc.min_max(array)
    if not bounds["min"].is_valid:
        return None
    largest = max(_EXACT.abs(Decimal(bounds[end].as_py())) for end in ("min", "max"))
    if pa.types.is_integer(array.type):
        if _EXACT.multiply(largest, len(array)) < _INTEGERS:
            return Decimal(pc.sum(array).as_py())
        array = pc.cast(array, pa.decimal128(20, 0))
    unscaled = largest.scaleb(array.type.scale, _EXACT)
    if _EXACT.multiply(unscaled, len(array)) >= _DECIMALS[array.type.bit_width]:
        array = pc.cast(array, pa.decimal256(_WIDE_DIGITS, array.type.scale))
    total: Decimal = pc.sum(array).as_py()
    return total


def _with_places(array: pa.Array, scale: int) -> pa.Array | None:
    try:
        return pc.cast(array, pa.decimal128(MAX_DIGITS, scale))
    except pa.ArrowInvalid:  # digits would be lost, before or after the point
        return None


def _texts(array: pa.Array) -> pa.Array | None:
    kind = array.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return None
    array = pc.cast(array, pa.string())
    array.validate(full=True)  # a file may say that it holds UTF-8, and not hold it
    return array


def _integers(array: pa.Array) -> pa.Array | None:
    return pc.cast(array, pa.int64()) if pa.types.is_integer(array.type) else None


def _booleans(array: pa.Array) -> pa.Array | None:
    return array if pa.types.is_boolean(array.type) else None


def _dates(array: pa.Array) -> pa.Array | None:
    if pa.types.is_string(array.type):
        return parse_texts(array, pa.date32())
    return _in_calendar(array) if array.type == pa.date32() else None


def _times(array: pa.Array) -> pa.Array | None:
    if not pa.types.is_time(array.type):
        return None
    return pc.cast(array, pa.time64("us"), safe=False)


def _instants(array: pa.Array) -> pa.Array | None:
    kind = array.type
    if pa.types.is_string(kind):
        return parse_texts(array, _INSTANT)
    if not pa.types.is_timestamp(kind):
        return None
    if kind.unit == "ns":
        array = pc.cast(array, pa.timestamp("us", kind.tz), safe=False)
    if kind.tz is None:
        array = pc.assume_timezone(pc.cast(array, pa.timestamp("us")), "UTC")
    return _in_calendar(pc.cast(array, _INSTANT))


def _in_calendar(array: pa.Array) -> pa.Array | None:
    first = pa.scalar(_FIRST, pa.timestamp("us")).cast(array.type)
    last = pa.scalar(_LAST, pa.timestamp("us")).cast(array.type)
    bounds = pc.min_max(array)
    if not bounds["min"].is_valid:
        return array
    outside = pc.less(bounds["min"], first).as_py() or pc.greater(bounds["max"], last).as_py()
    return None if outside else array


_CONVERSIONS: dict[Kind, Callable[[pa.Array], pa.Array | None]] = {
    Kind.TEXT: _texts,
    Kind.INTEGER: _integers,
    Kind.BOOLEAN: _booleans,
    Kind.DATE: _dates,
    Kind.TIME: _times,
    Kind.TIMESTAMP: _instants,
}
