"""One JSON value -> the one value of a column's type that means exactly the same, or a refusal."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import msgspec

from target_tableau_hyper.extract.schema import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_tableau_hyper.extract.schema import Column

_INT64 = range(-(2**63), 2**63)

_JSON = msgspec.json.Encoder(decimal_format="number")

_JSON_TYPES = {
    bool: "boolean",
    int: "integer",
    Decimal: "number",
    str: "string",
    dict: "object",
    list: "array",
}


_EXAMPLES = {
    Kind.NUMERIC: "decimal number such as -1234.56",
    Kind.DOUBLE: "number such as -1234.56",
    Kind.DATE: "date such as 2024-03-31",
    Kind.TIME: "time such as 23:59:59.5",
    Kind.TIMESTAMP: "date-time such as 2024-03-31T12:00:00Z",
}


class UnfitError(ValueError):
    """A value has no exact meaning in its column; the text says why, without the value."""


class WrongTypeError(UnfitError):
    """The value is of another JSON type."""

    def __init__(self, value: object, expected: str) -> None:
        """Name both types."""
        found = _JSON_TYPES.get(type(value), "value of another type")
        super().__init__(f"expected {expected}, found {found}")


class UnreadableError(UnfitError):
    """A text is not what its format says."""

    def __init__(self, kind: Kind) -> None:
        """Show what it should look like."""
        super().__init__(f"the text is no {_EXAMPLES[kind]}")


class ExactReader:
    """Reads the values of one column."""

    def __init__(self, column: Column, *, strict: bool) -> None:
        """Read for ``column``.

        Args:
            column: Its kind and what its schema allows.
            strict: Refuse a value of another JSON type than the schema's; otherwise take it
                where it fits without loss.
        """
        self._column = column
        self._strict = strict
        self._reads: dict[Kind, Callable[[object], Any]] = {
            Kind.TEXT: self.text,
            Kind.INTEGER: self.integer,
            Kind.NUMERIC: self.decimal,
            Kind.DOUBLE: self.double,
            Kind.BOOLEAN: self.boolean,
            Kind.DATE: self.date,
            Kind.TIME: self.time,
            Kind.TIMESTAMP: self.timestamp,
        }

    def read(self, value: object) -> Any:  # noqa: ANN401 - the type depends on the column
        """The value as the column's type.

        Raises:
            UnfitError: it has no exact meaning there.
        """
        return self._reads[self._column.kind](value)

    def text(self, value: object) -> str:
        """A string as it is, NUL characters included; anything else as JSON text."""
        if isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError:
                reason = "the text holds half a surrogate pair and has no UTF-8 form"
                raise UnfitError(reason) from None
            return value
        if self._strict and self._column.only_strings:
            raise WrongTypeError(value, "string")
        return json_text(value)

    def integer(self, value: object, *, wide: bool = False) -> int:
        """A whole number of at most 64 bits, or ``wide`` of any size; ``1.0`` is one, too."""
        if not self._strict and isinstance(value, str):
            value = self.decimal(value)
        if isinstance(value, Decimal) and value == value.to_integral_value():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise WrongTypeError(value, "integer")
        if not wide and value not in _INT64:
            reason = "the integer does not fit into 64 bits"
            raise UnfitError(reason)
        return value

    def double(self, value: object) -> float:
        """The floating-point number that is nearest to a finite number."""
        number = float(self.decimal(value))
        if math.isinf(number):
            reason = "the number is too large for a floating-point column"
            raise UnfitError(reason)
        return number

    def decimal(self, value: object) -> Decimal:
        """A finite number with all its digits."""
        if isinstance(value, str) and (not self._strict or self._column.decimal_strings):
            try:
                value = Decimal(value.strip())
            except InvalidOperation:
                raise UnreadableError(Kind.NUMERIC) from None
        if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
            raise WrongTypeError(value, "number")
        number = Decimal(value)
        if not number.is_finite():
            reason = "NaN and infinity are no decimal numbers"
            raise UnfitError(reason)
        return number

    def boolean(self, value: object) -> bool:
        """A truth value."""
        if isinstance(value, bool):
            return value
        if not self._strict and isinstance(value, int) and value in {0, 1}:
            return bool(value)
        raise WrongTypeError(value, "boolean")

    def date(self, value: object) -> date:
        """A calendar date; a date-time at midnight is one, too."""
        text = _string(value, "date")
        try:
            if len(text) <= len("2024-03-31"):
                return date.fromisoformat(text)
            instant = datetime.fromisoformat(text)
        except ValueError:
            raise UnreadableError(Kind.DATE) from None
        if instant.time() != time.min:
            reason = "the text is a date with a time of day; declare the property as date-time"
            raise UnfitError(reason)
        return instant.date()

    def time(self, value: object) -> time:
        """A time of day."""
        try:
            return time_of(_string(value, "time"))
        except UnfitError:
            raise
        except ValueError:
            raise UnreadableError(Kind.TIME) from None

    def timestamp(self, value: object) -> datetime:
        """An instant; one without an offset is taken as UTC, digits beyond microseconds are cut.

        Hyper stores microseconds.
        """
        text = _string(value, "date-time")
        try:
            instant = datetime.fromisoformat(text)
            if instant.tzinfo is None:
                return instant.replace(tzinfo=UTC)
            return instant.astimezone(UTC)
        except (ValueError, OverflowError):
            raise UnreadableError(Kind.TIMESTAMP) from None


def _string(value: object, expected: str) -> str:
    if not isinstance(value, str):
        raise WrongTypeError(value, expected)
    return value


def time_of(text: str) -> time:
    """A time of day; one with an offset becomes UTC, as an instant does."""
    value = time.fromisoformat(text)
    if value.tzinfo is None:
        return value
    return datetime.combine(date(2000, 1, 1), value).astimezone(UTC).time()


def json_text(value: object) -> str:
    """A JSON value as compact text, decimals with the digits that they came with."""
    return _JSON.encode(value).decode()
