"""Records -> the columns of a segment: each value exactly, or the record is named or set aside."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipeline_core.errors import DataError
from target_tableau_hyper.extract.exact import ExactReader, UnfitError, json_text
from target_tableau_hyper.extract.row_hash import row_hashes
from target_tableau_hyper.extract.schema import (
    AUDIT_ROW_HASH,
    DELETED_AT,
    RECORD_METADATA,
    Kind,
)
from target_tableau_hyper.extract.values import (
    UnfitAtError,
    float_advice,
    numeric_to_arrow,
    to_arrow,
    whole_digits,
    wide_integers,
    widest,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_tableau_hyper.extract.digits import Digits
    from target_tableau_hyper.extract.schema import Column
    from target_tableau_hyper.extract.staged import StagedStream
    from target_tableau_hyper.extract.validation import LeftoverCheck


@dataclass(slots=True)
class Waiting:
    """Records that wait to be written, with the version of each and whether it is a deletion."""

    records: list[dict[str, Any]] = field(default_factory=list)
    versions: list[int | None] = field(default_factory=list)
    deleted: list[bool] = field(default_factory=list)

    def remove(self, position: int) -> None:
        """Take one out."""
        for column in (self.records, self.versions, self.deleted):
            del column[position]


class RecordColumns:
    """Converts records of one schema."""

    def __init__(
        self,
        staged: StagedStream,
        columns: Sequence[Column],
        keys: Sequence[str],
        digits: Digits,
        *,
        strict: bool,
        leftover: LeftoverCheck | None,
    ) -> None:
        """Prepare.

        Args:
            staged: Whose records these are; its quarantine takes those that do not fit.
            columns: Columns of the schema.
            keys: Names of the key's columns.
            digits: What the decimals have needed so far; grows with what is converted.
            strict: As in :func:`values.to_arrow`.
            leftover: Rules of the schema that columns do not see; ``None`` checks nothing.
        """
        self._staged = staged
        self._columns = tuple(columns)
        self._names = [column.name for column in columns]
        self._keys = tuple(keys)
        self._digits = digits
        self._validate = strict
        self._leftover = leftover

    def of(self, rows: Waiting) -> list[pa.Array]:
        """The rows as columns; those that do not fit are set aside, and are then not in ``rows``.

        Raises:
            DataError: a value does not fit, and nothing is set aside.
        """
        while True:
            try:
                if self._leftover is not None and self._leftover.needed:
                    self._check_records(rows, self._leftover)
                arrays = [
                    self._array(index, column, rows) for index, column in enumerate(self._columns)
                ]
            except _BadRecordError as bad:
                if self._staged.quarantine is None:
                    raise bad.as_data_error() from None
                for position, reason in sorted(self._all_like(bad, rows).items(), reverse=True):
                    self.reject(rows.records[position], bad.column, reason)
                    rows.remove(position)
            else:
                return self._hashed(arrays)

    def reject(self, record: dict[str, Any], column: str | None, reason: str) -> bool:
        """Set a record aside, where that is wanted; otherwise ``False``."""
        quarantine = self._staged.quarantine
        if quarantine is None:
            return False
        named = {column.name: column for column in self._columns}
        keys = [named[key] for key in self._keys if key in named]
        quarantine.take(record, keys, column=column, reason=reason)
        return True

    def _hashed(self, arrays: list[pa.Array]) -> list[pa.Array]:
        """The columns, with the rows' hashes where these are wanted."""
        if AUDIT_ROW_HASH in self._names:
            own = {
                name: array
                for name, array in zip(self._names, arrays, strict=True)
                if name not in RECORD_METADATA and name != DELETED_AT
            }
            arrays[self._names.index(AUDIT_ROW_HASH)] = row_hashes(own)
        return arrays

    def _all_like(self, bad: _BadRecordError, rows: Waiting) -> dict[int, str]:
        """All waiting rows that are bad in the same place: one pass, however many there are."""
        found = {bad.position: str(bad)}
        if bad.column is None:
            for position, record in enumerate(rows.records):
                fault = self._leftover.fault(record) if self._leftover else None
                if fault is not None and not rows.deleted[position]:
                    found[position] = fault
            return found
        (column,) = (one for one in self._columns if one.name == bad.column)
        reader = ExactReader(column, strict=self._validate)
        for position, record in enumerate(rows.records):
            value = record.get(column.name)
            try:
                if value is None:
                    continue
                if column.kind is Kind.INTEGER:  # more than 64 bits are no fault, see _integers
                    number = reader.integer(value, wide=True)
                    if abs(number) >= 10**self._digits.most and not -(2**63) <= number < 2**63:
                        found[position] = "the integer has more digits than a NUMERIC takes"
                else:
                    reader.read(value)
            except UnfitError as error:
                found[position] = str(error)
        return found

    def _array(self, index: int, column: Column, rows: Waiting) -> pa.Array:
        name = column.name
        values = [record.get(name) for record in rows.records]
        try:
            if self._digits.is_decimal(index):
                array = self._numeric(index, column, values)
            elif column.kind is Kind.INTEGER:
                array = self._integers(index, column, values)
            else:
                array = to_arrow(column, values, strict=self._validate)
        except UnfitAtError as error:
            raise self._error(rows, column, error.position, str(error)) from None
        if array.null_count and name in self._keys:
            position = array.is_null().index(pa.scalar(value=True)).as_py()
            raise self._error(rows, column, position, "a key property is null")
        if array.null_count and self._validate and not column.nullable:
            self._check_nulls(column, rows)
        return array

    def _integers(self, index: int, column: Column, values: list[Any]) -> pa.Array:
        """Integers; from the first on that has more than 64 bits, as decimals."""
        try:
            return to_arrow(column, values, strict=self._validate)
        except UnfitAtError:
            wide_integers(values, strict=self._validate, column=column)  # or else it is a bad one
            self._digits.wide.add(index)
            return self._numeric(index, column, values)

    def _numeric(self, index: int, column: Column, values: list[Any]) -> pa.Array:
        """Decimals, as long as the column's digits so far and these fit into one NUMERIC."""
        if index in self._digits.wide:
            array = wide_integers(values, strict=self._validate, column=column)
        else:
            array = numeric_to_arrow(
                values, self._digits.scales[index], strict=self._validate, column=column
            )
        whole, scale = max(self._digits.whole[index], whole_digits(array)), array.type.scale
        if whole + scale > self._digits.most:
            position = widest(values, by_scale=whole == self._digits.whole[index])
            reason = (
                f"the column would need {whole} digits before and {scale} after the decimal point, "
                f"more than the {self._digits.most} of a NUMERIC in this file format "
                "(hyper_version)"
                f"{float_advice(column)}"
            )
            raise UnfitAtError(position, reason)
        self._digits.whole[index], self._digits.scales[index] = whole, scale
        return array

    def _check_nulls(self, column: Column, rows: Waiting) -> None:
        """A missing property is fine; an explicit null needs a schema that allows it."""
        missing = object()
        for position, record in enumerate(rows.records):
            if record.get(column.name, missing) is None and not rows.deleted[position]:
                reason = "null, which its schema does not allow"
                raise self._error(rows, column, position, reason)

    def _check_records(self, rows: Waiting, leftover: LeftoverCheck) -> None:
        """What the columns do not check; deletions carry keys only and are exempt."""
        for position, record in enumerate(rows.records):
            if rows.deleted[position]:
                continue
            fault = leftover.fault(record)
            if fault is not None:
                message = (
                    f"stream {self._staged.stream!r}, {self._where(rows, position)}: {fault}; "
                    "correct the tap's schema, or set validate_records to false to store what "
                    "fits its column"
                )
                raise _BadRecordError(position, None, fault, message)

    def _error(self, rows: Waiting, column: Column, position: int, reason: str) -> _BadRecordError:
        message = (
            f"stream {self._staged.stream!r}, column {column.name!r}, "
            f"{self._where(rows, position)}: {reason}"
        )
        return _BadRecordError(position, column.name, reason, message)

    def _where(self, rows: Waiting, position: int) -> str:
        """The record's key, and nothing else of it."""
        if not self._keys:
            return f"record number {self._staged.rows + position + 1}"
        record = rows.records[position]
        return f"key {json_text({key: record.get(key) for key in self._keys})}"


class _BadRecordError(Exception):
    """One of the waiting rows does not fit."""

    def __init__(self, position: int, column: str | None, reason: str, message: str) -> None:
        super().__init__(reason)
        self.position = position
        self.column = column
        self._message = message

    def as_data_error(self) -> DataError:
        return DataError(self._message)
