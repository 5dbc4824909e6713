"""Wire values as Singer values: sentinels, instants, numbers that travel as text.

A page has 10,000 rows of up to 290 properties, so each decoder looks at the normal form of a value
first, and a property that travels as it is has none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from pipeline_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tap_d365fo.metadata.model import Property
    from tap_d365fo.reading.typed_rows import Row

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

#: Where the zone stands in an instant to the second, ``2024-03-31T08:15:00Z``.
_ZONE = 19

#: All that OData allows (ABNF ``dateTimeOffsetValue``): no seconds, fractions, offsets.
_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d)(?::(\d\d)(?:\.(\d+))?)?([Zz]|[+-]\d\d:\d\d)"
)

#: Numbers that a server may write as JSON strings (``IEEE754Compatible=true``), because JavaScript
#: would lose digits.
_LONG_NUMBERS: dict[str, Callable[[str], Any]] = {"Edm.Int64": int, "Edm.Decimal": Decimal}

#: ``NaN`` and ``INF`` travel as strings, and no JSON number can carry them on.
_FLOATING = frozenset({"Edm.Double", "Edm.Single"})


def decoder(prop: Property, *, null_sentinels: bool, text_numbers: bool = False) -> Decoder | None:
    """How the property's wire value becomes its RECORD value; None where it stays as it is.

    Args:
        prop: Key parts keep their sentinels: a key must not lose a part.
        null_sentinels: Whether F&O's stand-ins for "nothing" become null.
        text_numbers: What :func:`numbers_are_text` says of the page.
    """
    nulls = null_sentinels and not prop.is_key
    if prop.edm_type == "Edm.DateTimeOffset":
        if prop.data_type == "Date":
            return _date_decoder(prop.name, null=_NULL_DATE if nulls else None)
        return _instant_decoder(prop.name, null=_NULL_DATE_TIME if nulls else None)
    if prop.edm_type == "Edm.Guid":
        return _null_for(_NULL_GUID) if nulls else None
    if text_numbers and prop.edm_type in _LONG_NUMBERS:
        return _number_decoder(prop.name, _LONG_NUMBERS[prop.edm_type])
    if prop.edm_type in _FLOATING:
        return _finite
    return None


def numbers_are_text(properties: Iterable[Property], rows: Sequence[Row]) -> bool:
    """Whether the page that ``rows`` came with writes its long numbers as strings.

    That is a format of the whole answer, so the first number that is there decides: one look a
    page, and nothing is paid for each value.
    """
    names = [p.name for p in properties if p.edm_type in _LONG_NUMBERS]
    if not names:
        return False
    present = (value for row in rows for name in names if (value := row.get(name)) is not None)
    return isinstance(next(present, None), str)


def _null_for(sentinel: str) -> Decoder:
    def decode(value: Any) -> Any:  # noqa: ANN401 - a JSON value
        return None if value == sentinel else value

    return decode


def _date_decoder(name: str, *, null: str | None) -> Decoder:
    def decode(value: Any) -> Any:  # noqa: ANN401 - a JSON value
        if value is None:
            return None
        if not isinstance(value, str) or value[10:] not in _DATE_SUFFIXES:
            instant = _normalised(value)
            if instant is None or instant[10:] not in _DATE_SUFFIXES:
                message = (
                    f"{name} is declared a date without time but carries one; the entity has "
                    "changed in the environment, run discovery again"
                )
                raise DataError(message)
            value = instant
        day = value[:10]
        return None if day == null else day

    return decode


def _instant_decoder(name: str, *, null: str | None) -> Decoder:
    def decode(value: Any) -> Any:  # noqa: ANN401 - a JSON value
        if value == null or value is None:
            return None
        try:
            if value[_ZONE:] == "Z":
                return value
        except TypeError:  # a number: refused below
            pass
        instant = _normalised(value)
        if instant is None:
            message = (
                f"{name} is declared an instant but carries another value; the entity has changed "
                "in the environment, run discovery again"
            )
            raise DataError(message)
        return None if instant == null else instant

    return decode


def _normalised(value: object) -> str | None:
    """An instant as ``YYYY-MM-DDThh:mm:ss[.f]Z``; None for what is none.

    Bookmarks are compared as text, so one instant has one form: UTC, and no zeros at the end of a
    fraction. Its other digits stay, however many there are.
    """
    parts = _INSTANT.fullmatch(value) if isinstance(value, str) else None
    if parts is None:
        return None
    day, minute, second, fraction, zone = parts.groups()
    offset = "+00:00" if zone in {"Z", "z"} else zone
    try:
        local = datetime.fromisoformat(f"{day}T{minute}:{second or '00'}{offset}")
        utc = local.astimezone(UTC)
    except (ValueError, OverflowError):  # no such day, or one before the year 1
        return None
    digits = (fraction or "").rstrip("0")
    return f"{utc.replace(tzinfo=None).isoformat()}{f'.{digits}' if digits else ''}Z"


def _number_decoder(name: str, number: Callable[[str], Any]) -> Decoder:
    def decode(value: Any) -> Any:  # noqa: ANN401 - a JSON value
        if not isinstance(value, str):
            return value
        try:
            decoded = number(value)
        except (ValueError, InvalidOperation) as error:
            message = f"{name} is declared a number but carries another text"
            raise DataError(message) from error
        if isinstance(decoded, Decimal) and not decoded.is_finite():
            message = f"{name} is declared a decimal but carries no finite number"
            raise DataError(message)
        return decoded

    return decode


def _finite(value: Any) -> Any:  # noqa: ANN401 - a JSON value
    return None if isinstance(value, str) else value
