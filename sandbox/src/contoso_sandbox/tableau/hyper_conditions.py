"""Conditions of update actions, turned into SQL over the aliases ``t`` (target) and ``s`` (source).

A comparison has two operands of ``target-col``, ``source-col`` and ``const``, taken in this order:
``{"op": "lt", "target-col": "d", "const": {"type": "datetime", "v": "2020-01-01T00:00:00Z"}}`` is
``t.d < '2020-01-01'``. ``and``, ``or`` and ``not`` combine conditions under ``args``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from contoso_sandbox.tableau.hyper_schema import Table

_COMPARISONS = {"eq": "=", "neq": "<>", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_DOUBLE = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_INSTANT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9:]{5,8}(?:\.[0-9]{1,6})?)Z?)?")

#: A value of a parsed JSON document.
Json = object


class ActionsMalformedError(ValueError):
    """The document is not in the action language; the request is refused."""


class ActionFailedError(ValueError):
    """An action does not fit the files; the job fails.

    Attributes:
        code: Error code where a real server is known to report one.
    """

    def __init__(self, message: str, code: str | None = None) -> None:
        """Note message and code."""
        super().__init__(message)
        self.code = code


def condition_sql(node: Json, to: Table, of: Table | None) -> str:
    """SQL of a condition on a row of ``to`` and, where there is a payload, a row of ``of``.

    Raises:
        ActionFailedError: a column does not exist.
        ActionsMalformedError: the condition cannot be read.
    """
    if not isinstance(node, dict):
        message = "a condition must be an object"
        raise ActionsMalformedError(message)
    operator = str(node.get("op", "")).lower()
    if operator in ("and", "or", "not"):
        args = node.get("args")
        if not isinstance(args, list) or not args or (operator == "not" and len(args) != 1):
            message = f"condition '{operator}' needs a list 'args'"
            raise ActionsMalformedError(message)
        parts = [condition_sql(arg, to, of) for arg in args]
        return f"(NOT {parts[0]})" if operator == "not" else f"({f' {operator} '.join(parts)})"
    if operator not in _COMPARISONS:
        message = f"unknown operator '{operator}' in a condition"
        raise ActionsMalformedError(message)
    operands = _operands(node, to, of)
    if len(operands) != 2:  # noqa: PLR2004 - a comparison has two sides
        message = f"condition '{operator}' needs two of 'target-col', 'source-col' and 'const'"
        raise ActionsMalformedError(message)
    return f"({operands[0]} {_COMPARISONS[operator]} {operands[1]})"


def _operands(node: Mapping[str, Json], to: Table, of: Table | None) -> list[str]:
    operands = []
    zoned = False
    for key, alias, table in (("target-col", "t", to), ("source-col", "s", of)):
        if (name := text_of(node, key)) is None:
            continue
        column = table.column(name) if table is not None else None
        if column is None:
            where = table.label if table is not None else "a payload table that is not named"
            message = f"Column '{name}' does not exist in {where}"
            raise ActionFailedError(message)
        zoned = zoned or column.type == "TIMESTAMP_TZ"
        operands.append(f"{alias}.{quoted(name)}")
    if "const" in node:
        operands.append(_constant(node["const"], zoned=zoned))
    return operands


def _constant(node: Json, *, zoned: bool) -> str:
    kind = node.get("type") if isinstance(node, dict) else None
    value = node.get("v") if isinstance(node, dict) else None
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if kind == "string":
        return "'" + text.replace("'", "''") + "'"
    if kind == "boolean" and text.lower() in ("true", "false"):
        return text.upper()
    if kind == "integer" and _INTEGER.fullmatch(text):
        return f"({text})"
    if kind == "double" and _DOUBLE.fullmatch(text):
        return f"CAST('{text}' AS DOUBLE PRECISION)"
    if kind == "datetime" and (instant := _INSTANT.fullmatch(text)):
        literal = f"{instant[1]} {instant[2] or '00:00:00'}"
        return f"TIMESTAMPTZ '{literal}+00:00'" if zoned else f"TIMESTAMP '{literal}'"
    message = f"constant {value!r} is not a {kind}"
    raise ActionsMalformedError(message)


def text_of(item: Mapping[str, Json], key: str) -> str | None:
    """A string member, or ``None`` where it is absent or empty.

    Raises:
        ActionsMalformedError: it is no string.
    """
    value = item.get(key)
    if value is not None and not isinstance(value, str):
        message = f"'{key}' must be a string"
        raise ActionsMalformedError(message)
    return value or None


def quoted(name: str) -> str:
    """An identifier, quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'
