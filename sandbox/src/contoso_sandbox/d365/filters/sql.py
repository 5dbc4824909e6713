"""Translate a parsed ``$filter`` into a parameterised DuckDB condition.

Semantics are those of F&O on SQL Server: strings compare without regard to case, ``*`` inside
an ``eq`` or ``ne`` literal is a wildcard, enums know only ``eq`` and ``ne`` (odata.md; recordings
in ``vglu/doc2ent``). Null follows OData: ``null ne 'x'`` holds, ``null gt 1`` does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from contoso_sandbox.d365.errors import RefusedError, bad_request, reject, unknown_property
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
from contoso_sandbox.d365.names import DATA_ENTITIES, edm_type
from contoso_sandbox.d365.sqltext import identifier
from contoso_sandbox.model import AxType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from contoso_sandbox.model import EntitySet, EnumType

Parameter = str | int | Decimal | bool | datetime
LiteralValue = Parameter | date | UUID | None

_ORDER_SQL = {"eq": "=", "ne": "<>", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_OPERATOR_NAMES = {
    "eq": "Equal",
    "ne": "NotEqual",
    "gt": "GreaterThan",
    "ge": "GreaterThanOrEqual",
    "lt": "LessThan",
    "le": "LessThanOrEqual",
    "add": "Add",
    "sub": "Subtract",
    "mul": "Multiply",
    "div": "Divide",
    "divby": "Divide",
    "mod": "Modulo",
}
_KINDS = {
    AxType.STRING: "string",
    AxType.GUID: "guid",
    AxType.BOOLEAN: "boolean",
    AxType.CONTAINER: "binary",
}
_NUMBERS = {AxType.INT32, AxType.INT64, AxType.REAL}
_INSTANTS = {AxType.DATE, AxType.UTC_DATE_TIME}
_WILDCARD = "*"
_ESCAPE = "!"


@dataclass(frozen=True, slots=True)
class Condition:
    """A boolean SQL expression over one table's columns and its parameters, in order."""

    sql: str = "TRUE"
    parameters: tuple[Parameter, ...] = ()

    def and_also(self, other: Condition) -> Condition:
        """Require both."""
        if self.sql == "TRUE":
            return other
        return Condition(f"({self.sql}) AND ({other.sql})", self.parameters + other.parameters)


@dataclass(frozen=True, slots=True)
class _Term:
    """A typed piece of SQL; ``kind`` decides what it may be compared with."""

    sql: str
    kind: str
    edm: str
    parameters: tuple[Parameter, ...] = ()
    nullable: bool = False
    constant: str | None = None


def compile_filter(node: Node, entity_set: EntitySet, enums: Mapping[str, EnumType]) -> Condition:
    """Translate ``node`` for the table of ``entity_set``.

    Raises:
        RefusedError: 400 for an unknown property, an operation between types that do not go
            together, or a function that ``/data`` does not have.
    """
    term = _Compiler(entity_set, enums).term(node)
    if term.kind != "boolean":
        reject("The $filter expression must evaluate to a single boolean value.")
    return Condition(term.sql, term.parameters)


class _Compiler:
    def __init__(self, entity_set: EntitySet, enums: Mapping[str, EnumType]) -> None:
        self._entity = entity_set.entity
        self._properties = {p.name: p for p in entity_set.properties}
        self._enums = enums

    def term(self, node: Node) -> _Term:  # noqa: PLR0911 - one return a kind of node
        match node:
            case Name(text):
                return self._property(text)
            case Literal(str() as value, exact=True):
                return _Term("?", "string", "Edm.String", (value,))
            case Literal(value):
                return _literal(value)
            case EnumLiteral():
                return self._enum_literal(node)
            case Negation(operator, operand):
                return _negate(operator, self.term(operand))
            case Chain(operator, operands):
                return _chain(operator, [self.term(operand) for operand in operands])
            case Binary(operator, left, right) if operator in _ORDER_SQL:
                return _compare(operator, self.term(left), self.term(right))
            case Binary(operator, left, right):
                return _calculate(operator, self.term(left), self.term(right))
            case Function():
                return self._call(node)

    def _property(self, name: str) -> _Term:
        column = self._properties.get(name)
        if column is None:
            raise unknown_property(name, self._entity)
        kind = _KINDS.get(column.ax_type, "enum")
        if column.ax_type in _NUMBERS:
            kind = "number" if column.ax_type is AxType.REAL else "integer"
        if column.ax_type in _INSTANTS:
            kind = "instant"
        return _Term(identifier(column.column), kind, edm_type(column), nullable=column.nullable)

    def _enum_literal(self, literal: EnumLiteral) -> _Term:
        prefix, _, name = literal.type_name.rpartition(".")
        enum = self._enums.get(name)
        if prefix != DATA_ENTITIES or enum is None:
            reject(f"Unrecognized '{literal.type_name}' literal '{literal.member}'.")
        by_text = {member: member for member, _ in enum.members}
        by_text |= {str(number): member for member, number in enum.members}
        member = by_text.get(literal.member)
        if member is None:
            reject(f"The string '{literal.member}' is not a valid enumeration type constant.")
        return _Term("?", "enum", literal.type_name, (member,))

    def _call(self, call: Function) -> _Term:
        functions = {"startswith": "starts_with", "endswith": "ends_with", "contains": "contains"}
        if call.name not in functions:
            reject(f"An unknown function with name '{call.name}' was found.")
        terms = [self.term(argument) for argument in call.arguments]
        if [term.kind for term in terms] != ["string", "string"]:
            reject(f"No function signature for the function '{call.name}' matches.")
        text, part = terms
        sql = f"{functions[call.name]}(lower({text.sql}), lower({part.sql}))"
        nullable = text.nullable or part.nullable
        return _truth(sql, text.parameters + part.parameters, nullable=nullable)


def _literal(value: LiteralValue) -> _Term:  # noqa: PLR0911 - one return a type
    match value:
        case None:
            return _Term("NULL", "null", "Edm.Null", nullable=True)
        case bool():
            return _Term("?", "boolean", "Edm.Boolean", (value,))
        case int():
            return _Term("?", "integer", "Edm.Int64", (value,))
        case Decimal():
            return _Term("?", "number", "Edm.Decimal", (value,))
        case str():
            return _Term("?", "string", "Edm.String", (value,), constant=value)
        case UUID():
            return _Term("?", "guid", "Edm.Guid", (str(value),))
        case datetime():
            # Columns hold UTC without a zone.
            return _Term("?", "instant", "Edm.DateTimeOffset", (value.replace(tzinfo=None),))
        case date():
            return _Term("?", "day", "Edm.Date")


def _truth(sql: str, parameters: tuple[Parameter, ...], *, nullable: bool) -> _Term:
    # OData's comparisons are never unknown; SQL's are, and `not` would keep them so.
    return _Term(
        f"coalesce({sql}, FALSE)" if nullable else sql, "boolean", "Edm.Boolean", parameters
    )


def _negate(operator: str, operand: _Term) -> _Term:
    if operator == "not":
        if operand.kind != "boolean":
            reject("A unary operator with an incompatible type was detected: 'Not'.")
        return _Term(f"NOT ({operand.sql})", "boolean", operand.edm, operand.parameters)
    if operand.kind not in {"integer", "number"}:
        reject("A unary operator with an incompatible type was detected: 'Negate'.")
    return _Term(
        f"(-{operand.sql})", operand.kind, operand.edm, operand.parameters, operand.nullable
    )


def _chain(operator: str, operands: list[_Term]) -> _Term:
    if any(operand.kind != "boolean" for operand in operands):
        raise _incompatible(operator.capitalize(), *operands[:2])
    sql = f" {operator.upper()} ".join(f"({operand.sql})" for operand in operands)
    parameters = tuple(value for operand in operands for value in operand.parameters)
    return _Term(sql, "boolean", "Edm.Boolean", parameters)


def _compare(operator: str, left: _Term, right: _Term) -> _Term:
    parameters = left.parameters + right.parameters
    equality = operator in {"eq", "ne"}
    if "null" in {left.kind, right.kind}:
        if not equality:
            return _Term("FALSE", "boolean", "Edm.Boolean")
        verb = "IS NOT DISTINCT FROM" if operator == "eq" else "IS DISTINCT FROM"
        return _Term(f"{left.sql} {verb} {right.sql}", "boolean", "Edm.Boolean", parameters)
    if not _comparable(left, right) or (left.kind == "enum" and not equality):
        raise _incompatible(_OPERATOR_NAMES[operator], left, right)
    nullable = left.nullable or right.nullable
    if equality and _WILDCARD in (right.constant or ""):
        return _like(operator, left, right.constant or "", nullable=nullable)
    fold = "lower({})" if left.kind in {"string", "guid"} else "{}"
    first, second = fold.format(left.sql), fold.format(right.sql)
    if nullable and equality:
        verb = "IS NOT DISTINCT FROM" if operator == "eq" else "IS DISTINCT FROM"
        return _Term(f"{first} {verb} {second}", "boolean", "Edm.Boolean", parameters)
    return _truth(f"{first} {_ORDER_SQL[operator]} {second}", parameters, nullable=nullable)


def _like(operator: str, left: _Term, pattern: str, *, nullable: bool) -> _Term:
    for special in (_ESCAPE, "%", "_"):
        pattern = pattern.replace(special, _ESCAPE + special)
    parameters = (*left.parameters, pattern.replace(_WILDCARD, "%"))
    matches = _truth(
        f"lower({left.sql}) LIKE lower(?) ESCAPE '{_ESCAPE}'", parameters, nullable=nullable
    )
    return matches if operator == "eq" else _negate("not", matches)


def _calculate(operator: str, left: _Term, right: _Term) -> _Term:
    numeric = {"integer", "number"}
    if left.kind not in numeric or right.kind not in numeric:
        raise _incompatible(_OPERATOR_NAMES[operator], left, right)
    whole = left.kind == right.kind == "integer" and operator != "divby"
    symbol = {"add": "+", "sub": "-", "mul": "*", "mod": "%"}.get(operator, "//" if whole else "/")
    divides = operator in {"div", "divby", "mod"}
    # A division by zero is null and so selects nothing.
    divisor = f"nullif({right.sql}, 0)" if divides else right.sql
    return _Term(
        f"({left.sql} {symbol} {divisor})",
        "integer" if whole else "number",
        "Edm.Int64" if whole else "Edm.Decimal",
        left.parameters + right.parameters,
        left.nullable or right.nullable or divides,
    )


def _comparable(left: _Term, right: _Term) -> bool:
    numeric = {"integer", "number"}
    if left.kind in numeric and right.kind in numeric:
        return True
    return left.kind == right.kind and (left.kind != "enum" or left.edm == right.edm)


def _incompatible(operation: str, left: _Term, right: _Term) -> RefusedError:
    return bad_request(
        "A binary operator with incompatible types was detected. Found operand types "
        f"'{left.edm}' and '{right.edm}' for operator kind '{operation}'."
    )
