"""Records that do not fit, set aside so that the others can go on.

Nothing else in the output directory holds a whole record in clear, so the files are for their owner
alone. They come to be in the staging area and are moved to ``quarantine`` when all input is read:
also of a run that ends without counting, which they may be the reason for.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_core.files import replace_durably, sync_directory
from target_tableau_hyper.extract.exact import ExactReader, UnfitError, json_text
from target_tableau_hyper.extract.schema import DELETED_AT, Kind
from target_tableau_hyper.extract.values import ARROW_TYPES, MAX_DIGITS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from target_tableau_hyper.extract.schema import Column

#: Where the files lie, in the output directory.
FOLDER = "quarantine"

_PRIVATE = 0o600

#: Keys that are kept in memory, at some hundred bytes each. A run that sets more records aside has
#: other troubles than rows that have gone.
MOST_KEYS = 100_000


@dataclass(slots=True)
class Quarantine:
    """The records of one stream that were set aside in this run.

    Attributes:
        stream: For the lines of the file.
        run_id: Likewise.
        directory: The stream's staging area.
        count: How many there are.
        keys: Their keys: rows with these must not pass for absent ones.
        strays: How many have no key that a row could be found by, or one too many to be kept: any
            row may be theirs, so none may pass for absent.
        added: Columns that the target itself adds to every record; a record is kept without them.
    """

    stream: str
    run_id: str
    directory: Path
    count: int = 0
    keys: list[tuple[Any, ...]] = field(default_factory=list)
    strays: int = 0
    added: frozenset[str] = frozenset()
    _key_columns: tuple[Column, ...] = ()

    @property
    def path(self) -> Path:
        """The file, while the run goes on."""
        return self.directory / "quarantine.jsonl"

    def take(
        self, record: Mapping[str, Any], keys: Sequence[Column], *, column: str | None, reason: str
    ) -> None:
        """Set a record aside.

        Args:
            record: As it came; where stream maps or flattening are on, as these left it.
            keys: Columns of its key.
            column: The one that does not take its value, where it is one.
            reason: Why, without the value.
        """
        line = {
            "run_id": self.run_id,
            "stream": self.stream,
            "key": {one.name: record.get(one.name) for one in keys},
            "column": column,
            "reason": reason,
            "record": self._as_it_came(record),
        }
        self.directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _PRIVATE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{_text(line)}\n")
        self.count += 1
        self._remember(record, tuple(keys))

    def _as_it_came(self, record: Mapping[str, Any]) -> dict[str, Any]:
        came = {name: value for name, value in record.items() if name not in self.added}
        if self.added and came.get(DELETED_AT, ...) is None:
            del came[DELETED_AT]  # the SDK writes it into every record, to be null in most
        return came

    def _remember(self, record: Mapping[str, Any], keys: tuple[Column, ...]) -> None:
        if not keys:
            return
        try:
            key = tuple(_key_value(column, record.get(column.name)) for column in keys)
        except UnfitError:
            self.strays += 1
            return
        if self._key_columns in {(), keys} and len(self.keys) < MOST_KEYS:
            self._key_columns = keys
            self.keys.append(key)
        else:
            self.strays += 1

    def write_keys(self) -> Path | None:
        """A Parquet file of the keys (``k0``, ``k1``, ...); ``None`` where there are none."""
        if not self.keys:
            return None
        arrays = [
            _key_array(column, [key[n] for key in self.keys])
            for n, column in enumerate(self._key_columns)
        ]
        path = self.directory / "spared.parquet"
        table = pa.table(arrays, names=[f"k{n}" for n in range(len(arrays))])
        pq.write_table(table, path)
        return path

    def settle(self, output_dir: Path, stem: str) -> Path | None:
        """Put the file where it stays; called when all input is read.

        Returns:
            Its path; ``None`` where nothing was set aside.
        """
        if not self.count:
            return None
        folder = output_dir / FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_directory(output_dir)
        target = folder / f"{stem}.{self.run_id}.jsonl"
        replace_durably(self.path, target)
        return target


def _key_value(column: Column, value: object) -> Any:  # noqa: ANN401 - the type depends on the column
    """The value that finds a row by this part of its key.

    Raises:
        UnfitError: no row can have it.
    """
    if value is None:
        reason = "a key property is null"
        raise UnfitError(reason)
    reader = ExactReader(column, strict=False)
    if column.kind is not Kind.INTEGER:
        return reader.read(value)
    number = reader.integer(value, wide=True)
    if abs(number) >= 10**MAX_DIGITS:
        reason = "the integer has more digits than a NUMERIC"
        raise UnfitError(reason)
    return number


def _key_array(column: Column, values: list[Any]) -> pa.Array:
    if column.kind is Kind.NUMERIC:
        return pa.array(values)
    if column.kind is Kind.INTEGER:  # of any size
        return pa.array(values, pa.decimal128(MAX_DIGITS, 0))
    return pa.array(values, ARROW_TYPES[column.kind])


def _text(line: Mapping[str, Any]) -> str:
    try:
        return json_text(line)
    except UnicodeEncodeError:  # half a surrogate pair, which only escapes can hold
        return json.dumps(line, default=str)
