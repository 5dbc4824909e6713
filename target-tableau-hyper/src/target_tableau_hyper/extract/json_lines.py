"""Lines of JSON -> Arrow columns by Arrow's own reader, without a Python object a value.

Only what means exactly the same as reading each record by itself: where that is not certain, there
is no answer here and the records are read one by one. Three things Arrow takes that we do not:

- a number in a JSON string where the schema wants a number;
- a decimal whose digits do not fit behind a rescale, which Arrow (26) wraps around without a word
  (``99999999999999999999999999999999999999`` as ``decimal128(38, 2)``);
- a text that is no UTF-8.

The first two are looked for in the text itself, with RE2, before Arrow reads it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from target_tableau_hyper.extract.schema import Kind
from target_tableau_hyper.extract.values import ARROW_TYPES, MAX_DIGITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_tableau_hyper.extract.schema import Column

#: What Arrow parses at a time; its threads share the blocks.
_BLOCK_BYTES = 2**20

#: Names that every JSON encoder writes as they are, so that they can be looked for in the text.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_ .-]+")

#: Texts with a type of their own come as texts and are converted as they are elsewhere.
_ARROW_TYPES = {
    kind: pa.string() if kind in {Kind.DATE, Kind.TIME, Kind.TIMESTAMP} else kind_type
    for kind, kind_type in ARROW_TYPES.items()
}


class JsonLines:
    """Reads the records of one schema."""

    def __init__(self, columns: Sequence[Column], *, strict: bool) -> None:
        """Prepare for ``columns``; ``strict`` as in :func:`values.to_arrow`."""
        self._columns = tuple(columns)
        decimals = [column for column in columns if column.kind is Kind.NUMERIC]
        self._names = [re.escape(column.name) for column in decimals]
        self._no_texts = [
            re.escape(column.name) for column in decimals if strict and not column.decimal_strings
        ]
        #: Whether the types alone say what every value means.
        self.is_possible = all(
            column.kind is not Kind.DOUBLE
            and (column.kind is not Kind.TEXT or column.only_strings)
            and (column.kind is not Kind.NUMERIC or _PLAIN_NAME.fullmatch(column.name))
            for column in columns
        )

    def read(self, records: Sequence[bytes], scales: Sequence[int]) -> pa.RecordBatch | None:
        """The records as columns: those of the schema, and whatever else they hold.

        Args:
            records: JSON objects, each on a line of its own.
            scales: Places of the decimal columns, by position of the column.

        Returns:
            The rows, or ``None`` where they have to be read one by one.
        """
        text = b"\n".join(records)
        if not _is_utf8(text) or self._is_risky(text, scales):
            return None
        fields = [
            pa.field(column.name, self._type(column, scale))
            for column, scale in zip(self._columns, scales, strict=True)
        ]
        try:
            table = pyarrow.json.read_json(
                pa.BufferReader(text),
                read_options=pyarrow.json.ReadOptions(block_size=_BLOCK_BYTES),
                parse_options=pyarrow.json.ParseOptions(
                    explicit_schema=pa.schema(fields), unexpected_field_behavior="infer"
                ),
            )
        except pa.ArrowException:
            return None
        if table.num_rows != len(records):
            return None
        (batch,) = table.combine_chunks().to_batches()
        return batch

    @staticmethod
    def _type(column: Column, scale: int) -> pa.DataType:
        if column.kind is Kind.NUMERIC:
            return pa.decimal128(MAX_DIGITS, scale)
        return _ARROW_TYPES[column.kind]

    def _is_risky(self, text: bytes, scales: Sequence[int]) -> bool:
        """Whether a decimal column may hold what Arrow would not read as we do."""
        if not self._names:
            return False
        places = max(
            scale
            for column, scale in zip(self._columns, scales, strict=True)
            if column.kind is Kind.NUMERIC
        )
        digits = MAX_DIGITS - places
        long = rf'"?[-+]?(?:[0-9]{{{digits + 1}}}|[0-9.]+[eE])'
        pattern = rf'"(?:{"|".join(self._names)})"[ \t\r]*:[ \t\r]*{long}'
        if self._no_texts:
            pattern += rf'|"(?:{"|".join(self._no_texts)})"[ \t\r]*:[ \t\r]*"'
        found: bool = pc.match_substring_regex(_as_value(text), pattern)[0].as_py()
        return found


def _as_value(text: bytes) -> pa.Array:
    """An array of one value, around the bytes that are there."""
    ends = pa.array([0, len(text)], pa.int64()).buffers()[1]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), 1, [None, ends, pa.py_buffer(text)])


def _is_utf8(text: bytes) -> bool:
    try:
        return text.isascii() or bool(text.decode())
    except UnicodeDecodeError:
        return False
