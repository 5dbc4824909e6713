"""Evaluate a parsed ``$filter`` over JSON documents, for the metadata services.

``/metadata`` runs on another OData stack than ``/data``: string functions such as
``contains(tolower(Name),'vend')`` work, and comparisons of strings are exact
(``mafzaal/d365fo-client``, ``docs/METADATA_APIS.md``).
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from contoso_sandbox.d365.errors import reject
from contoso_sandbox.d365.filters.nodes import (
    Binary,
    Chain,
    EnumLiteral,
    Function,
    Literal,
    Name,
    Negation,
    Node,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
_FUNCTIONS: dict[tuple[str, int], Callable[..., object]] = {
    ("contains", 2): lambda text, part: part in text,
    ("startswith", 2): str.startswith,
    ("endswith", 2): str.endswith,
    ("indexof", 2): str.find,
    ("concat", 2): operator.add,
    ("tolower", 1): str.lower,
    ("toupper", 1): str.upper,
    ("trim", 1): str.strip,
    ("length", 1): len,
}


def matches(node: Node, document: Mapping[str, object]) -> bool:
    """Tell whether ``document`` satisfies the filter.

    Raises:
        RefusedError: 400 for an unknown property, function or a comparison of unlike types.
    """
    value = _value(node, document)
    if not isinstance(value, bool):
        reject("The $filter expression must evaluate to a single boolean value.")
    return value


def _value(node: Node, document: Mapping[str, object]) -> object:  # noqa: PLR0911 - one return a case
    match node:
        case Literal(value):
            return value
        case EnumLiteral(_, member):  # documents hold the member's name
            return member
        case Name(text):
            if text not in document:
                reject(f"Could not find a property named '{text}'.")
            return document[text]
        case Negation("not", operand):
            return not matches(operand, document)
        case Chain("and", operands):
            return all(matches(operand, document) for operand in operands)
        case Chain(_, operands):
            return any(matches(operand, document) for operand in operands)
        case Binary(name, left, right) if name in _COMPARE:
            return _compare(name, _value(left, document), _value(right, document))
        case Function(name, arguments):
            return _call(name, [_value(argument, document) for argument in arguments])
        case _:
            return reject("Arithmetic is not supported by the metadata services.")


def _compare(name: str, left: object, right: object) -> bool:
    if left is None or right is None:
        return _COMPARE[name](left, right) if name in {"eq", "ne"} else False
    if type(left) is not type(right):
        reject("A binary operator with incompatible types was detected.")
    return _COMPARE[name](left, right)


def _call(name: str, arguments: list[object]) -> object:
    function = _FUNCTIONS.get((name, len(arguments)))
    if function is None or not all(isinstance(argument, str) for argument in arguments):
        reject(f"No function signature for the function with name '{name}' matches.")
    return function(*arguments)
