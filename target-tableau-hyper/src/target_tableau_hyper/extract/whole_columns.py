"""Rows that come as Arrow columns -> the columns of a segment, whole wherever that is certain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from target_tableau_hyper.extract.arrow_columns import convert, decimals
from target_tableau_hyper.extract.arrow_rows import NoRecordError, json_values, structured
from target_tableau_hyper.extract.schema import AUDIT_ROW_HASH, DELETED_AT, Kind
from target_tableau_hyper.extract.values import (
    ARROW_TYPES,
    MAX_DIGITS,
    UnfitAtError,
    numeric_to_arrow,
    to_arrow,
    whole_digits,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from target_tableau_hyper.extract.digits import Digits
    from target_tableau_hyper.extract.schema import Column
    from target_tableau_hyper.extract.validation import LeftoverCheck


class WholeColumns:
    """Converts batches of one schema; it gives what the rows give one by one, or nothing."""

    def __init__(
        self,
        schema: Mapping[str, Any],
        columns: Sequence[Column],
        keys: Sequence[str],
        digits: Digits,
        *,
        strict: bool,
        leftover: LeftoverCheck | None,
    ) -> None:
        """Prepare.

        Args:
            schema: Of the stream.
            columns: Its columns.
            keys: Names of the key's columns.
            digits: What the decimals have needed so far; grows with what is converted.
            strict: As in :func:`values.to_arrow`.
            leftover: Rules of the schema that columns do not see; ``None`` checks nothing.
        """
        self._columns = tuple(columns)
        self._digits = digits
        self._validate = strict
        self._structured = structured(schema)
        #: Not where each row must be looked at: for rules, for its hash, or for floats, whose exact
        #: sum their column does not keep.
        self.are_possible = all(
            column.kind is not Kind.DOUBLE and column.name != AUDIT_ROW_HASH for column in columns
        )
        #: Columns in which null may stand for a property that must be there.
        self._required = frozenset(keys)
        self._lengths: Mapping[str, int] = {}
        #: The only properties that a record may have, where not any.
        self._allowed: frozenset[str] | None = None
        if leftover is not None:
            names = frozenset(column.name for column in columns)
            self.are_possible &= not leftover.has_rules and leftover.required <= names
            self._required |= leftover.required
            self._lengths = leftover.lengths
            self._allowed = names if leftover.is_closed else None

    def of(self, batch: pa.RecordBatch, *, nulls_may_be_absent: bool) -> list[pa.Array] | None:
        """The batch in the types of a segment; ``None`` where rows must be looked at singly.

        Args:
            batch: The rows; columns that the schema does not have are left out.
            nulls_may_be_absent: Whether null is how the batch says that a row lacks a property.
        """
        if not self.are_possible:
            return None
        there = dict(zip(batch.schema.names, batch.columns, strict=True))
        if len(there) < batch.num_columns or not self._is_plain(there):
            return None
        whole, scales = list(self._digits.whole), list(self._digits.scales)
        arrays = []
        for index, column in enumerate(self._columns):
            array = there.get(column.name)
            if array is None:
                array = pa.nulls(batch.num_rows, pa.null())
            try:
                made = self._column_of(index, column, array)
                self._check(column, made, nulls_may_be_absent=nulls_may_be_absent)
            except (NoRecordError, ValueError, OverflowError):
                return None  # which of its rows it is, and its key, the other way tells
            if pa.types.is_decimal(made.type):
                whole[index] = max(whole[index], whole_digits(made))
                scales[index] = made.type.scale
                if whole[index] + scales[index] > self._digits.most:
                    return None
            arrays.append(made)
        self._digits.whole, self._digits.scales = whole, scales
        return arrays

    def _check(self, column: Column, made: pa.Array, *, nulls_may_be_absent: bool) -> None:
        """What the column's type does not say.

        Raises:
            UnfitAtError: a value may be one that the schema does not allow.
        """
        if made.null_count and not self._may_be_null(column, absent=nulls_may_be_absent):
            raise UnfitAtError(0, "null, or not there")
        most = self._lengths.get(column.name)
        if most is not None and (pc.max(pc.utf8_length(made)).as_py() or 0) > most:
            raise UnfitAtError(0, "a text that is too long")

    def _may_be_null(self, column: Column, *, absent: bool) -> bool:
        """Whether nulls of ``column`` are fine, which may be ``absent`` properties."""
        if column.name in self._required:
            return False
        return absent or column.nullable or not self._validate

    def _is_plain(self, there: Mapping[str, pa.Array]) -> bool:
        """Whether none of the rows is a deletion, and none has a property that it may not have."""
        marks = there.get(DELETED_AT)
        if marks is not None and marks.null_count < len(marks):
            return False
        return self._allowed is None or self._allowed.issuperset(there)

    def _column_of(self, index: int, column: Column, array: pa.Array) -> pa.Array:
        """One column: whole where its type says what its values mean, otherwise value by value.

        Raises:
            UnfitAtError: a value does not fit, or they must be looked at singly.
            NoRecordError, ValueError: a value has no form in JSON.
        """
        is_decimal = self._digits.is_decimal(index)
        scale = self._digits.scales[index]
        if index in self._digits.wide and not pa.types.is_integer(array.type):
            raise UnfitAtError(0, "whether these are integers, each value must tell")
        if pa.types.is_null(array.type):
            return pa.nulls(
                len(array),
                pa.decimal128(MAX_DIGITS, scale) if is_decimal else ARROW_TYPES[column.kind],
            )
        is_structured = column.name in self._structured
        if not is_structured:
            made = decimals(array, scale) if is_decimal else convert(array, column.kind)
            if made is not None:
                return made
        values = json_values(array, is_structured=is_structured)
        if is_decimal:
            return numeric_to_arrow(values, scale, strict=self._validate, column=column)
        return to_arrow(column, values, strict=self._validate)
