"""Rows that come as Arrow columns -> the columns of a segment, whole wherever that is certain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

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
        has_rules: bool,
    ) -> None:
        """Prepare.

        Args:
            schema: Of the stream.
            columns: Its columns.
            keys: Names of the key's columns.
            digits: What the decimals have needed so far; grows with what is converted.
            strict: As in :func:`values.to_arrow`.
            has_rules: Whether the schema has rules that columns do not see.
        """
        self._columns = tuple(columns)
        self._keys = tuple(keys)
        self._digits = digits
        self._validate = strict
        self._structured = structured(schema)
        #: Not where each row must be looked at: for rules, for its hash, or for floats, whose exact
        #: sum their column does not keep.
        self.are_possible = not has_rules and all(
            column.kind is not Kind.DOUBLE and column.name != AUDIT_ROW_HASH for column in columns
        )

    def of(self, batch: pa.RecordBatch, *, nulls_may_be_absent: bool) -> list[pa.Array] | None:
        """The batch in the types of a segment; ``None`` where rows must be looked at singly.

        Args:
            batch: The rows; columns that the schema does not have are left out.
            nulls_may_be_absent: Whether null is how the batch says that a row lacks a property.
        """
        if not self.are_possible:
            return None
        there = dict(zip(batch.schema.names, batch.columns, strict=True))
        if len(there) < batch.num_columns or self._has_deletions(there):
            return None
        arrays, whole, scales = [], list(self._digits.whole), list(self._digits.scales)
        for index, column in enumerate(self._columns):
            array = there.get(column.name)
            if array is None:
                array = pa.nulls(batch.num_rows, pa.null())
            try:
                made = self._column_of(index, column, array)
            except (NoRecordError, ValueError, OverflowError):
                return None  # which of its rows it is, and its key, the other way tells
            if made.null_count and not self._may_be_null(column, absent=nulls_may_be_absent):
                return None
            if pa.types.is_decimal(made.type):
                whole[index] = max(whole[index], whole_digits(made))
                scales[index] = made.type.scale
                if whole[index] + scales[index] > self._digits.most:
                    return None
            arrays.append(made)
        self._digits.whole, self._digits.scales = whole, scales
        return arrays

    def _may_be_null(self, column: Column, *, absent: bool) -> bool:
        """Whether nulls of ``column`` are fine, which may be ``absent`` properties."""
        if column.name in self._keys:
            return False
        return absent or column.nullable or not self._validate

    @staticmethod
    def _has_deletions(there: Mapping[str, pa.Array]) -> bool:
        """Whether some of the rows are deletions."""
        marks = there.get(DELETED_AT)
        return marks is not None and marks.null_count < len(marks)

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
