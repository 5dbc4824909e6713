"""Names that a ``$filter`` compares, as far as they can be told without parsing all of it.

A misspelt one is a bare HTTP 400 in the middle of a run. What is not surely the name of a property
(functions, enum types, lambdas, what a navigation leads to) is left to the server.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_TEXT = re.compile(r"'(?:[^']|'')*'")

_GUID = re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")

#: A word that is no part of a number, an instant, a path, a dotted type or a parameter.
_NAME = re.compile(r"(?<![\w.:/@$+-])[A-Za-z_]\w*(?!\w*[.:/'(]|\w*\s*\()")

_COMPARISONS = {"eq", "ne", "gt", "ge", "lt", "le", "in", "has"}
_OPERATORS = {"and", "or", "not", "add", "sub", "mul", "div", "divby", "mod"}
_CONSTANTS = {"null", "true", "false", "inf", "nan"}
_WORDS = frozenset(_COMPARISONS | _OPERATORS | _CONSTANTS)


def unknown_names(condition: str, known: Collection[str]) -> list[str]:
    """Names in ``condition`` that no property has, in their order.

    Case does not count: whether it does to the server, the server says.
    """
    bare = _GUID.sub("0", _TEXT.sub("''", condition))
    if ":" in re.sub(r"\d:\d", "", bare):  # a lambda brings names of its own
        return []
    lower = {name.lower() for name in known}
    words = dict.fromkeys(_NAME.findall(bare))
    return [word for word in words if word.lower() not in lower and word.lower() not in _WORDS]
