"""Cut a ``$filter`` (or a key predicate) into tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from contoso_sandbox.d365.errors import bad_request, reject
from contoso_sandbox.d365.filters.nodes import EnumLiteral, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<string>'(?:[^']|'')*')
    | (?P<guid>[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?!\w))
    | (?P<instant>\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,12})?)?(?:Z|[+-]\d\d:\d\d))
    | (?P<day>\d{4}-\d\d-\d\d(?!\w))
    | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.]))
    | (?P<enum>[A-Za-z_][\w.]*'(?:[^']|'')*')
    | (?P<word>[A-Za-z_][\w./]*)
    | (?P<mark>[(),=-])
    """,
    re.VERBOSE,
)
#: Powers of ten that DuckDB's widest DECIMAL holds beside the 6 places of an amount.
_MAGNITUDES = range(-32, 32)
_LITERALS = {"null": None, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Token:
    """One token: a ``word``, a ``mark``, a ``literal`` or the ``end``."""

    kind: str
    text: str
    position: int
    literal: Literal | EnumLiteral | None = None


def tokens(text: str) -> Iterator[Token]:
    """Yield the tokens of ``text`` and one of kind ``end``.

    Raises:
        RefusedError: 400, a character starts no token.
    """
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            reason = (
                f"Syntax error: character '{text[position]}' is not valid at position {position}"
            )
            reject(f"{reason} in '{text}'.")
        kind, lexeme = str(match.lastgroup), match.group()
        if kind in {"mark", "word"} and lexeme not in _LITERALS:
            yield Token(kind, lexeme, position)
        elif kind != "space":
            yield Token("literal", lexeme, position, _literal(kind, lexeme))
        position = match.end()
    yield Token("end", "", position)


def _literal(kind: str, lexeme: str) -> Literal | EnumLiteral:
    if kind == "enum":
        type_name, _, rest = lexeme.partition("'")
        return EnumLiteral(type_name, rest[:-1].replace("''", "'"))
    try:
        return Literal(_value(kind, lexeme))
    except (ValueError, OverflowError) as error:  # such as month 13, or more digits than there are
        reason = f"Unrecognized literal '{lexeme}'."
        raise bad_request(reason) from error


def _value(kind: str, lexeme: str) -> str | int | Decimal | bool | date | datetime | UUID | None:
    match kind:
        case "string":
            return lexeme[1:-1].replace("''", "'")
        case "guid":
            return UUID(lexeme)
        case "instant":
            return _instant(lexeme)
        case "day":
            return date.fromisoformat(lexeme)
        case "number":
            return _number(lexeme)
        case _:
            return _LITERALS[lexeme]


def _number(lexeme: str) -> int | Decimal:
    value = Decimal(lexeme)
    if value and value.adjusted() not in _MAGNITUDES:
        raise OverflowError
    return int(lexeme) if lexeme.isdecimal() else value


def _instant(lexeme: str) -> datetime:
    # F&O has no fraction finer than .NET's seven digits; Python and DuckDB end at six.
    trimmed = re.sub(r"(\.\d{6})\d+", r"\1", lexeme)
    return datetime.fromisoformat(trimmed).astimezone(UTC)
