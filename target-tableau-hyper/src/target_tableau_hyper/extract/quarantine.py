"""Records that do not fit, set aside so that the others can go on.

Nothing else in the output directory holds a whole record in clear, so the files are for their owner
alone. They come to be in the staging area and are moved to ``quarantine`` once the run counts.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_core.files import replace_durably
from target_tableau_hyper.extract.exact import ExactReader, UnfitError, json_text
from target_tableau_hyper.extract.schema import Kind
from target_tableau_hyper.extract.values import ARROW_TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from target_tableau_hyper.extract.schema import Column

#: Where the files lie, in the output directory.
FOLDER = "quarantine"

_PRIVATE = 0o600


@dataclass(slots=True)
class Quarantine:
    """The records of one stream that were set aside in this run.

    Attributes:
        stream: For the lines of the file.
        run_id: Likewise.
        directory: The stream's staging area.
        count: How many there are.
        keys: Their keys, as far as they are good: rows with these must not pass for absent ones.
    """

    stream: str
    run_id: str
    directory: Path
    count: int = 0
    keys: list[tuple[Any, ...]] = field(default_factory=list)
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
            record: As it came.
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
            "record": dict(record),
        }
        self.directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _PRIVATE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{_text(line)}\n")
        self.count += 1
        self._remember(record, tuple(keys))

    def _remember(self, record: Mapping[str, Any], keys: tuple[Column, ...]) -> None:
        values = []
        for column in keys:
            value = record.get(column.name)
            if value is None:
                return
            try:
                values.append(ExactReader(column, strict=False).read(value))
            except UnfitError:
                return
        if keys and self._key_columns in {(), keys}:
            self._key_columns = keys
            self.keys.append(tuple(values))

    def write_keys(self) -> Path | None:
        """A Parquet file of the keys (``k0``, ``k1``, ...); ``None`` where there are none."""
        if not self.keys:
            return None
        arrays = [
            pa.array(
                [key[n] for key in self.keys],
                None if column.kind is Kind.NUMERIC else ARROW_TYPES[column.kind],
            )
            for n, column in enumerate(self._key_columns)
        ]
        path = self.directory / "spared.parquet"
        table = pa.table(arrays, names=[f"k{n}" for n in range(len(arrays))])
        pq.write_table(table, path)
        return path

    def settle(self, output_dir: Path, stem: str) -> Path | None:
        """Put the file where it stays; called once the extract is proved.

        Returns:
            Its path; ``None`` where nothing was set aside.
        """
        if not self.count:
            return None
        folder = output_dir / FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        target = folder / f"{stem}.{self.run_id}.jsonl"
        replace_durably(self.path, target)
        return target


def _text(line: Mapping[str, Any]) -> str:
    try:
        return json_text(line)
    except UnicodeEncodeError:  # half a surrogate pair, which only escapes can hold
        return json.dumps(line, default=str)
