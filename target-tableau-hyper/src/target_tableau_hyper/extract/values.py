"""JSON values -> Arrow arrays, one column at a time, exactly or not at all.

The fast way lets Arrow convert a whole column. When Arrow refuses, the column is walked value by
value: either each has an exact meaning in the column's type, or the first that has none is named by
its position. No value ever passes through a float.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from target_tableau_hyper.extract.schema import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from target_tableau_hyper.extract.schema import Column

#: Hyper's widest NUMERIC has 38 digits, and so has Arrow's decimal128.
MAX_DIGITS = 38

#: Money has two decimals even where this run's amounts happen to be whole.
MIN_SCALE = 2

_INT64 = range(-(2**63), 2**63)

ARROW_TYPES = {
    Kind.TEXT: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.DATE: pa.date32(),
    Kind.TIME: pa.time64("us"),
    Kind.TIMESTAMP: pa.timestamp("us", "UTC"),
}

_JSON = msgspec.json.Encoder(decimal_format="number")


class UnfitError(ValueError):
    """A value has no exact meaning in its column; the text says why, without the value."""


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
    convert = _EXACT[column.kind]
    return pa.array(
        _each(values, lambda value: convert(value, column, strict)), ARROW_TYPES[column.kind]
    )


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
    numbers = _each(values, lambda value: _decimal(value, column, strict))
    digits = 0
    for position, number in enumerate(numbers):
        if number is None:
            continue
        whole, places = digits_of(number)
        digits, scale = max(digits, whole), max(scale, places)
        if digits + scale > MAX_DIGITS:
            reason = (
                f"the column would need {digits} digits before and {scale} after the decimal point,"
                f" more than the {MAX_DIGITS} that Hyper's NUMERIC holds"
            )
            raise UnfitAtError(position, reason)
    return pa.array(numbers, pa.decimal128(MAX_DIGITS, scale))


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
    largest = pc.max(pc.abs(array)).as_py()
    return max(0, largest.adjusted() + 1) if largest else 0


def widest(values: Sequence[Any], *, by_scale: bool) -> int:
    """Position of the decimal with the most digits behind (``by_scale``) or before the point."""
    sizes = [digits_of(Decimal(value or 0))[1 if by_scale else 0] for value in values]
    return sizes.index(max(sizes))


def json_text(value: object) -> str:
    """A JSON value as compact text, decimals with the digits that they came with."""
    return _JSON.encode(value).decode()


def _each(values: Sequence[Any], convert: Callable[[Any], Any]) -> list[Any]:
    converted: list[Any] = []
    for position, value in enumerate(values):
        try:
            converted.append(None if value is None else convert(value))
        except UnfitError as error:
            raise UnfitAtError(position, str(error)) from None
    return converted


def _fast_integers(values: Sequence[Any]) -> pa.Array:
    if not set(map(type, values)) <= {int, type(None)}:
        raise TypeError  # Arrow would cut the fraction off a Decimal without a word
    return pa.array(values, pa.int64())


def _fast_cast(target: pa.DataType) -> Callable[[Sequence[Any]], pa.Array]:
    return lambda values: pc.cast(pa.array(values, pa.string()), target)


def _fast_times(values: Sequence[Any]) -> pa.Array:
    return pa.array([value if value is None else _time(value) for value in values], pa.time64("us"))


_FAST: dict[Kind, Callable[[Sequence[Any]], pa.Array]] = {
    Kind.TEXT: lambda values: pa.array(values, pa.string()),
    Kind.INTEGER: _fast_integers,
    Kind.BOOLEAN: lambda values: pa.array(values, pa.bool_()),
    Kind.DATE: _fast_cast(pa.date32()),
    Kind.TIME: _fast_times,
    Kind.TIMESTAMP: _fast_cast(pa.timestamp("us", "UTC")),
}


def _exact_text(value: object, column: Column, strict: bool) -> str:  # noqa: FBT001 - one signature
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            reason = "the text holds half a surrogate pair and has no UTF-8 form"
            raise UnfitError(reason) from None
        return value
    if strict and column.only_strings:
        raise _wrong("string", value)
    return json_text(value)


def _exact_integer(value: object, column: Column, strict: bool) -> int:  # noqa: FBT001 - one signature
    if not strict and isinstance(value, str):
        value = _decimal(value, column, strict)
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong("integer", value)
    if value not in _INT64:
        reason = (
            "the integer does not fit into 64 bits; declare the property as number to store it as "
            "NUMERIC"
        )
        raise UnfitError(reason)
    return value


def _exact_boolean(value: object, column: Column, strict: bool) -> bool:  # noqa: ARG001, FBT001 - one signature
    if isinstance(value, bool):
        return value
    if not strict and value in {0, 1} and isinstance(value, int):
        return bool(value)
    raise _wrong("boolean", value)


def _exact_date(value: object, column: Column, strict: bool) -> date:  # noqa: ARG001, FBT001 - one signature
    if not isinstance(value, str):
        raise _wrong("date", value)
    try:
        if len(value) <= len("2024-03-31"):
            return date.fromisoformat(value)
        instant = datetime.fromisoformat(value)
    except ValueError:
        raise _unreadable("date", "2024-03-31") from None
    if instant.time() != time.min:
        reason = "the text is a date with a time of day; declare the property as date-time"
        raise UnfitError(reason)
    return instant.date()


def _exact_time(value: object, column: Column, strict: bool) -> time:  # noqa: ARG001, FBT001 - one signature
    if not isinstance(value, str):
        raise _wrong("time", value)
    try:
        return _time(value)
    except ValueError:
        raise _unreadable("time", "23:59:59.5") from None


def _time(text: str) -> time:
    """A time of day; one with an offset becomes UTC, as an instant does."""
    value = time.fromisoformat(text)
    if value.tzinfo is None:
        return value
    return datetime.combine(date(2000, 1, 1), value).astimezone(UTC).time()


def _exact_timestamp(value: object, column: Column, strict: bool) -> datetime:  # noqa: ARG001, FBT001 - one signature
    """An instant; one without an offset is taken as UTC, digits beyond microseconds are cut.

    Hyper stores microseconds.
    """
    if not isinstance(value, str):
        raise _wrong("date-time", value)
    try:
        instant = datetime.fromisoformat(value)
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _unreadable("date-time", "2024-03-31T12:00:00Z") from None


_EXACT: dict[Kind, Callable[[Any, Column, bool], Any]] = {
    Kind.TEXT: _exact_text,
    Kind.INTEGER: _exact_integer,
    Kind.BOOLEAN: _exact_boolean,
    Kind.DATE: _exact_date,
    Kind.TIME: _exact_time,
    Kind.TIMESTAMP: _exact_timestamp,
}


def _decimal(value: object, column: Column, strict: bool) -> Decimal:  # noqa: FBT001 - one signature
    if isinstance(value, str) and (not strict or column.decimal_strings):
        try:
            value = Decimal(value.strip())
        except InvalidOperation:
            raise _unreadable("decimal number", "-1234.56") from None
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise _wrong("number", value)
    number = Decimal(value)
    if not number.is_finite():
        reason = "NaN and infinity are no decimal numbers"
        raise UnfitError(reason)
    return number


def _wrong(expected: str, value: object) -> UnfitError:
    names = {
        "bool": "boolean",
        "int": "integer",
        "Decimal": "number",
        "str": "string",
        "dict": "object",
        "list": "array",
    }
    kind = names.get(type(value).__name__, "value of another type")
    return UnfitError(f"expected {expected}, found {kind}")


def _unreadable(expected: str, example: str) -> UnfitError:
    return UnfitError(f"the text is no {expected} such as {example}")
