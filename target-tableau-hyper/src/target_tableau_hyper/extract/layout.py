"""Which table can hold what the extract has and what the run brings: a pure decision.

Types only ever widen, and only without loss: integers into decimals, decimals into more digits,
anything into text. Columns that a tap no longer sends stay.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pipeline_core.errors import DataError
from target_tableau_hyper.extract.engine import quote
from target_tableau_hyper.extract.schema import Kind
from target_tableau_hyper.extract.values import MAX_DIGITS, MIN_SCALE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from target_tableau_hyper.extract.schema import Column
    from target_tableau_hyper.extract.staged import Segment

#: NUMERIC of up to 18 digits takes 8 bytes a value, more takes 16. In between there is nothing to
#: save, so columns have one of two widths, and growing amounts seldom force a rewrite.
NARROW_DIGITS = 18

#: Digits of a BIG_INT.
_INTEGER_DIGITS = 19

_NUMBERS = frozenset({Kind.INTEGER, Kind.NUMERIC, Kind.DOUBLE})

_SQL = {
    Kind.TEXT: "TEXT",
    Kind.INTEGER: "BIGINT",
    Kind.DOUBLE: "DOUBLE PRECISION",
    Kind.BOOLEAN: "BOOLEAN",
    Kind.DATE: "DATE",
    Kind.TIME: "TIME",
    Kind.TIMESTAMP: "TIMESTAMP WITH TIME ZONE",
}


#: First file format with decimals of more than 18 digits.
_WIDE_DECIMALS = 3


def max_digits(hyper_version: int) -> int:
    """Digits of the widest NUMERIC in files of a format version."""
    return MAX_DIGITS if hyper_version >= _WIDE_DECIMALS else NARROW_DIGITS


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of the table ``Extract``.

    Attributes:
        name: As in the stream.
        kind: What it holds.
        precision: Digits of a NUMERIC in all.
        scale: Those of them behind the point.
        nullable: Keys are not.
        whole: Digits before the point that its values really need; not part of the type.
    """

    name: str
    kind: Kind
    precision: int = 0
    scale: int = 0
    nullable: bool = True
    whole: int = field(default=0, compare=False)

    @property
    def sql_type(self) -> str:
        """Its type in Hyper's SQL."""
        if self.kind is Kind.NUMERIC:
            return f"NUMERIC({self.precision},{self.scale})"
        return _SQL[self.kind]

    @property
    def definition(self) -> str:
        """Its line in CREATE TABLE."""
        return f"{quote(self.name)} {self.sql_type}{'' if self.nullable else ' NOT NULL'}"


@dataclass(frozen=True, slots=True)
class Layout:
    """The table to have, and how to get there from the one that is there.

    Attributes:
        columns: All columns: those that exist, in their order, then the new ones.
        added: The new ones; empty for a new table.
        rewrite: Whether existing rows must be copied into a table with other types.
        is_new: Whether there is no table yet.
    """

    columns: tuple[TableColumn, ...]
    added: tuple[TableColumn, ...]
    rewrite: bool
    is_new: bool

    @property
    def changed(self) -> bool:
        """Whether the table differs from the one that is there."""
        return bool(self.is_new or self.rewrite or self.added)


@dataclass(slots=True)
class _Need:
    """What the values of one incoming column need."""

    kind: Kind
    whole: int = 0
    scale: int = 0


def plan_layout(
    stream: str,
    existing: Sequence[TableColumn] | None,
    incoming: Sequence[TableColumn],
    *,
    keys: Sequence[str],
    digits: int = MAX_DIGITS,
) -> Layout:
    """Join the existing table with the incoming columns.

    Args:
        stream: For messages.
        existing: Columns of the table that is there; ``None`` where there is none.
        incoming: Columns of this run, see :func:`incoming_columns`.
        keys: Key properties; they become NOT NULL.
        digits: 18 for files of version 2, else 38.

    Raises:
        DataError: no type holds both sides of a column.
    """
    now = {column.name: column for column in existing or ()}
    new = {column.name: column for column in incoming}
    columns = [
        _joined(stream, column, new.get(name), key=name in keys, digits=digits)
        for name, column in now.items()
    ]
    added = [
        _joined(stream, column, None, key=name in keys, digits=digits)
        for name, column in new.items()
        if name not in now
    ]
    rewrite = existing is not None and (
        list(now.values()) != columns or any(not column.nullable for column in added)
    )
    return Layout(
        columns=(*columns, *added),
        added=() if existing is None else tuple(added),
        rewrite=rewrite,
        is_new=existing is None,
    )


def incoming_columns(
    stream: str,
    segments: Sequence[Segment],
    definitions: Mapping[str, Column],
    *,
    digits: int = MAX_DIGITS,
) -> tuple[TableColumn, ...]:
    """The columns that this run's segments need, decimals with the digits that their values need.

    Args:
        stream: For messages.
        segments: May come from several schemas.
        definitions: Columns of the run by name; they say which columns there are when no row came,
            and may hint at a precision and scale.
        digits: 18 for files of version 2, else 38.

    Raises:
        DataError: decimals of one column need more digits than a NUMERIC has.
    """
    needs = {name: _Need(column.kind) for name, column in definitions.items()}
    for segment in segments:
        for part in segment.columns:
            need = needs[part.column.name]
            _check_doubles(stream, part.column.name, need.kind, part.column.kind)
            need.kind = common_kind(need.kind, part.column.kind)
            need.scale = max(need.scale, part.scale)
            whole = _INTEGER_DIGITS if part.column.kind is Kind.INTEGER else part.whole_digits
            need.whole = max(need.whole, whole)
    return tuple(_sized(stream, need, definitions[name], digits) for name, need in needs.items())


def _check_doubles(stream: str, name: str, one: Kind, other: Kind) -> None:
    """Exact numbers do not become floats, nor floats exact: neither would be what it was.

    Raises:
        DataError: they would have to.
    """
    if Kind.DOUBLE in {one, other} and one is not other and {one, other} <= _NUMBERS:
        message = (
            f"stream {stream!r}, column {name!r} is {one.value} and would have to be "
            f"{other.value}; set number_type back, or remove the extract with its manifest and "
            "load the stream anew (meltano run --full-refresh)"
        )
        raise DataError(message)


def common_kind(one: Kind, other: Kind) -> Kind:
    """The kind that holds values of both without loss."""
    if one is other:
        return one
    if {one, other} == {Kind.INTEGER, Kind.NUMERIC}:
        return Kind.NUMERIC
    return Kind.TEXT


def _sized(stream: str, need: _Need, column: Column, digits: int) -> TableColumn:
    if need.kind is not Kind.NUMERIC:
        return TableColumn(column.name, need.kind, whole=need.whole)
    scale = need.scale if column.kind is Kind.INTEGER else max(MIN_SCALE, need.scale)
    hinted = max(scale, column.scale or 0)
    if need.whole + hinted <= digits:
        scale = hinted
    wanted = TableColumn(column.name, Kind.NUMERIC, column.precision or 0, scale, whole=need.whole)
    return _numeric(stream, wanted, digits)


def _numeric(stream: str, wanted: TableColumn, digits: int) -> TableColumn:
    """A column of one of the two widths that holds what is wanted."""
    whole, scale = wanted.whole, wanted.scale
    if whole + scale > digits:
        advice = (
            "set hyper_version to 3, which stores up to 38"
            if digits < MAX_DIGITS
            else "declare the property as string to store it as text"
        )
        message = (
            f"stream {stream!r}, column {wanted.name!r}: its values need {whole} digits before and "
            f"{scale} after the decimal point, more than the {digits} of this file format; "
            f"{advice}"
        )
        raise DataError(message)
    narrow = digits == NARROW_DIGITS or max(whole + scale, wanted.precision) <= NARROW_DIGITS
    return replace(wanted, precision=NARROW_DIGITS if narrow else MAX_DIGITS)


def _joined(
    stream: str, column: TableColumn, new: TableColumn | None, *, key: bool, digits: int
) -> TableColumn:
    if new is not None:
        _check_doubles(stream, column.name, column.kind, new.kind)
    kind = column.kind if new is None else common_kind(column.kind, new.kind)
    if kind is not Kind.NUMERIC:
        return TableColumn(column.name, kind, nullable=not key)
    if new is None or (new.scale <= column.scale and fits(new, column)):
        return replace(column, nullable=not key)
    wanted = TableColumn(
        column.name,
        Kind.NUMERIC,
        max(column.precision, new.precision),
        max(column.scale, new.scale),
        nullable=not key,
        whole=max(column.whole, new.whole),
    )
    return _numeric(stream, wanted, digits)


def fits(new: TableColumn, column: TableColumn) -> bool:
    """Whether ``column`` takes every value of ``new`` as it is."""
    if column.kind is not Kind.NUMERIC or new.kind not in (Kind.NUMERIC, Kind.INTEGER):
        return column.kind is new.kind
    return new.scale <= column.scale and new.whole <= column.precision - column.scale
