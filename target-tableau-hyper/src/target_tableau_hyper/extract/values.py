"""JSON values -> Arrow arrays, one column at a time, exactly or not at all.

The fast way lets Arrow convert a whole column. When Arrow refuses, the column is walked value by
value: either each has an exact meaning in the column's type, or the first that has none is named by
its position. No value ever passes through a float.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from target_tableau_hyper.extract.exact import ExactReader, UnfitError, time_of
from target_tableau_hyper.extract.schema import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from target_tableau_hyper.extract.schema import Column

#: Hyper's widest NUMERIC has 38 digits, and so has Arrow's decimal128.
MAX_DIGITS = 38

#: Money has two decimals even where this run's amounts happen to be whole.
MIN_SCALE = 2

_FIRST = datetime(1, 1, 1)  # noqa: DTZ001 - a bound of the calendar itself
_LAST = datetime(9999, 12, 31, 23, 59, 59, 999999)  # noqa: DTZ001 - likewise

ARROW_TYPES = {
    Kind.TEXT: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.DOUBLE: pa.float64(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.DATE: pa.date32(),
    Kind.TIME: pa.time64("us"),
    Kind.TIMESTAMP: pa.timestamp("us", "UTC"),
}


class UnfitAtError(UnfitError):
    """An :class:`UnfitError` with the position of the value in its column."""

    def __init__(self, position: int, reason: str) -> None:
        """Keep where and why."""
        super().__init__(reason)
        self.position = position


def to_arrow(column: Column, values: Sequence[Any], *, strict: bool) -> pa.Array:
    """One column of anything but decimals.

    Args:
        column: Its kind and what its schema allows.
        values: JSON values; ``None`` for null and for a missing property.
        strict: Whether a value of another JSON type than the schema's is refused
            (``validate_records``) or taken where it fits without loss.

    Raises:
        UnfitAtError: the first value that does not fit.
    """
    try:
        return _FAST[column.kind](values)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        pass
    reader = ExactReader(column, strict=strict)
    return pa.array(_each(values, reader.read), ARROW_TYPES[column.kind])


def wide_integers(values: Sequence[Any], *, strict: bool, column: Column) -> pa.Array:
    """Whole numbers that do not all fit into 64 bits, as decimals without places.

    Raises:
        UnfitAtError: a value is no whole number, or has more than 38 digits.
    """
    reader = ExactReader(column, strict=strict)
    whole = _each(values, lambda value: reader.integer(value, wide=True))
    return numeric_to_arrow(whole, 0, strict=strict, column=column)


def numeric_to_arrow(
    values: Sequence[Any], scale: int, *, strict: bool, column: Column
) -> pa.Array:
    """One column of decimals, with at least ``scale`` decimal places, more where a value has more.

    Raises:
        UnfitAtError: a value is no decimal number, or column and value together need more than 38
            digits.
    """
    try:
        return pa.array(values, pa.decimal128(MAX_DIGITS, scale))
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        pass
    numbers = _each(values, ExactReader(column, strict=strict).decimal)
    digits = 0
    for position, number in enumerate(numbers):
        if number is None:
            continue
        whole, places = digits_of(number)
        digits, scale = max(digits, whole), max(scale, places)
        if digits + scale > MAX_DIGITS:
            reason = (
                f"the column would need {digits} digits before and {scale} after the decimal point,"
                f" more than the {MAX_DIGITS} that Hyper's NUMERIC holds{float_advice(column)}"
            )
            raise UnfitAtError(position, reason)
    return pa.array(numbers, pa.decimal128(MAX_DIGITS, scale))


def float_advice(column: Column) -> str:
    """What to do about numbers that no NUMERIC holds, for the end of a message."""
    if column.decimal_strings or column.kind is not Kind.NUMERIC:
        return ""
    return "; if these are measurements rather than money, number_type: double takes them"


def digits_of(number: Decimal) -> tuple[int, int]:
    """Digits before and after the point that ``number`` needs, trailing zeros apart."""
    _, digits, exponent = number.as_tuple()
    if not number:
        return 0, 0
    places, kept = -int(exponent), len(digits)
    while places > 0 and digits[kept - 1] == 0:
        places, kept = places - 1, kept - 1
    return max(0, number.adjusted() + 1), max(0, places)


def whole_digits(array: pa.Array) -> int:
    """Digits before the point of the largest value of a decimal array."""
    bounds = pc.min_max(array)
    found = [bounds[end].as_py() for end in ("min", "max")]
    digits: list[int] = [value.adjusted() + 1 for value in found if value]
    return max([0, *digits])


def widest(values: Sequence[Any], *, by_scale: bool) -> int:
    """Position of the decimal with the most digits behind (``by_scale``) or before the point."""
    sizes = [digits_of(Decimal(value or 0))[1 if by_scale else 0] for value in values]
    return sizes.index(max(sizes))


def _each(values: Sequence[Any], convert: Callable[[Any], Any]) -> list[Any]:
    converted: list[Any] = []
    for position, value in enumerate(values):
        try:
            converted.append(None if value is None else convert(value))
        except UnfitError as error:
            raise UnfitAtError(position, str(error)) from None
    return converted


def parse_texts(texts: pa.Array, target: pa.DataType) -> pa.Array:
    """Texts as dates or instants.

    Raises:
        ArrowException: one of them is none.
        OverflowError: an offset moves one out of the calendar; Arrow and Hyper do not mind.
    """
    array = pc.cast(texts, target)
    first = pa.scalar(_FIRST, pa.timestamp("us")).cast(target)
    last = pa.scalar(_LAST, pa.timestamp("us")).cast(target)
    bounds = pc.min_max(array)
    if pc.less(bounds["min"], first).as_py() or pc.greater(bounds["max"], last).as_py():
        raise OverflowError
    return array


def _fast_integers(values: Sequence[Any]) -> pa.Array:
    if not set(map(type, values)) <= {int, type(None)}:
        raise TypeError  # Arrow would cut the fraction off a Decimal without a word
    return pa.array(values, pa.int64())


def _fast_cast(target: pa.DataType) -> Callable[[Sequence[Any]], pa.Array]:
    return lambda values: parse_texts(pa.array(values, pa.string()), target)


def _fast_times(values: Sequence[Any]) -> pa.Array:
    return pa.array(
        [value if value is None else time_of(value) for value in values], pa.time64("us")
    )


def _fast_doubles(values: Sequence[Any]) -> pa.Array:
    numbers = pa.array(
        [None if value is None else float(value) for value in values if _is_number(value)],
        pa.float64(),
    )
    if not pc.all(pc.is_finite(numbers)).as_py() and len(numbers) > numbers.null_count:
        raise OverflowError
    return numbers


def _is_number(value: object) -> bool:
    if value is not None and type(value) not in (int, Decimal):
        raise TypeError
    return True


_FAST: dict[Kind, Callable[[Sequence[Any]], pa.Array]] = {
    Kind.TEXT: lambda values: pa.array(values, pa.string()),
    Kind.INTEGER: _fast_integers,
    Kind.DOUBLE: _fast_doubles,
    Kind.BOOLEAN: lambda values: pa.array(values, pa.bool_()),
    Kind.DATE: _fast_cast(pa.date32()),
    Kind.TIME: _fast_times,
    Kind.TIMESTAMP: _fast_cast(pa.timestamp("us", "UTC")),
}
