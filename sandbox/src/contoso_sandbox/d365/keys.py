"""Key predicates: ``VendorsV2(dataAreaId='usmf',VendorAccountNumber='V-1')``."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from contoso_sandbox.d365.errors import RefusedError, bad_request, reject
from contoso_sandbox.d365.filters.lexer import Token, tokens
from contoso_sandbox.d365.filters.nodes import Binary, Chain, EnumLiteral, Literal, Name, Node

if TYPE_CHECKING:
    from contoso_sandbox.model import EntitySet


def parse_key(text: str, entity_set: EntitySet) -> Node:
    """Turn what stands between the parentheses into a condition on the key properties.

    A set with one key property also takes the bare value.

    Raises:
        RefusedError: 400, a part is missing, unknown or does not parse.
    """
    lexemes = [token for token in tokens(text) if token.kind != "end"]
    values = _bare(lexemes, entity_set) or _named(lexemes, text)
    if values.keys() != set(entity_set.key) or not entity_set.key:
        raise _mismatch(entity_set)
    parts = tuple(Binary("eq", Name(name), values[name]) for name in entity_set.key)
    return parts[0] if len(parts) == 1 else Chain("and", parts)


def _bare(lexemes: list[Token], entity_set: EntitySet) -> dict[str, Literal | EnumLiteral]:
    if len(entity_set.key) != 1 or "=" in [token.text for token in lexemes]:
        return {}
    value = _value(lexemes)
    return {} if value is None else {entity_set.key[0]: value}


def _named(lexemes: list[Token], text: str) -> dict[str, Literal | EnumLiteral]:
    values: dict[str, Literal | EnumLiteral] = {}
    part: list[Token] = []
    for token in [*lexemes, Token("mark", ",", len(text))]:
        if token.kind != "mark" or token.text != ",":
            part.append(token)
            continue
        value = _value(part[2:])
        if value is None or part[0].kind != "word" or part[1].text != "=":
            reject(f"Bad Request - Error in query syntax: '({text})'.")
        values[part[0].text] = value
        part = []
    return values


def _value(lexemes: list[Token]) -> Literal | EnumLiteral | None:
    match lexemes:
        case [Token(literal=Literal(value=str() as value))]:
            return Literal(value, exact=True)
        case [Token(literal=Literal() | EnumLiteral() as literal)]:
            return literal
        case [
            Token(kind="mark", text="-"),
            Token(literal=Literal(value=int() | Decimal() as number)),
        ]:
            return Literal(-number)
        case _:
            return None


def _mismatch(entity_set: EntitySet) -> RefusedError:
    return bad_request(
        "The number of keys specified in the URI does not match number of key properties for the "
        f"resource 'Microsoft.Dynamics.DataEntities.{entity_set.entity}'."
    )
