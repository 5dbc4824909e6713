"""What a parsed ``$filter`` consists of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date, datetime
    from decimal import Decimal
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant. Instants are aware and in UTC; a bare calendar day is a ``date``.

    Attributes:
        exact: Whether ``*`` in a text is just a character: so in a key predicate.
    """

    value: str | int | Decimal | bool | date | datetime | UUID | None
    exact: bool = False


@dataclass(frozen=True, slots=True)
class EnumLiteral:
    """``Microsoft.Dynamics.DataEntities.NoYes'Yes'``: qualified type name and member text."""

    type_name: str
    member: str


@dataclass(frozen=True, slots=True)
class Name:
    """A property."""

    text: str


@dataclass(frozen=True, slots=True)
class Negation:
    """``not x`` over truth values, ``-x`` over numbers."""

    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary:
    """A comparison or an arithmetic operation of two operands."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Chain:
    """``a and b and c``; flat, so that a filter over hundreds of keys does not nest."""

    operator: str
    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """A call such as ``startswith(Name,'A')``."""

    name: str
    arguments: tuple[Node, ...]


Node = Literal | EnumLiteral | Name | Negation | Binary | Chain | Function
