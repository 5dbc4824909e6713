"""Which rows of a walk have come already: exact, and in bounded memory however many they are.

The server's order proves nothing here: its collation is its own, and a page that repeats an earlier
one in place of the next must not make the number of rows come out right. So every key is
remembered; in memory while they are few, then in a temporary database on disk.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import msgspec

from pipeline_core.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

#: Keys that are kept in memory, some 240 bytes each.
_MOST_IN_MEMORY = 50_000

#: SQLite's own pages in memory, in KiB; the rest lies in a temporary file.
_CACHE_KIB = 8 * 1024

_encode = msgspec.json.Encoder(decimal_format="number").encode


class SeenRows:
    """A set of keys that only grows."""

    def __init__(self, *, most_in_memory: int = _MOST_IN_MEMORY) -> None:
        """Start empty; a file is made when there are more than ``most_in_memory``."""
        self._most_in_memory = most_in_memory
        self._few: set[Hashable] = set()
        self._many: sqlite3.Connection | None = None
        self._count = 0

    def __len__(self) -> int:
        """How many there are."""
        return self._count

    def close(self) -> None:
        """Remove what lies on disk."""
        if self._many is not None:
            self._many.close()

    def fresh(self, keys: Iterable[Hashable]) -> list[bool]:
        """Add ``keys``; says of each whether it is the first of its kind.

        Raises:
            TransientError: the temporary directory is full or broken.
        """
        if self._many is None and self._count >= self._most_in_memory:
            self._spill()
        found = [self._is_new(key) for key in keys] if self._many is None else self._stored(keys)
        self._count += sum(found)
        return found

    def _is_new(self, key: Hashable) -> bool:
        before = len(self._few)
        self._few.add(key)
        return len(self._few) > before

    def _spill(self) -> None:
        # An empty name is a temporary file that SQLite removes by itself. A generator that was left
        # may be ended by another thread than the one that read by it.
        self._many = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._many.executescript(
            f"""
            PRAGMA journal_mode = OFF;
            PRAGMA synchronous = OFF;
            PRAGMA cache_size = -{_CACHE_KIB};
            CREATE TABLE seen (key BLOB PRIMARY KEY) WITHOUT ROWID;
            """
        )
        self._stored(self._few)
        self._few = set()

    def _stored(self, keys: Iterable[Hashable]) -> list[bool]:
        assert self._many is not None  # noqa: S101 - the callers see to it
        add = self._many.execute
        try:
            add("BEGIN")
            found = [
                add("INSERT OR IGNORE INTO seen VALUES (?)", (_encode(key),)).rowcount > 0
                for key in keys
            ]
            add("COMMIT")
        except sqlite3.OperationalError as error:
            message = (
                f"the keys of a walk cannot be kept in the temporary directory: {error}; free "
                "space there, or set TMPDIR to another one"
            )
            raise TransientError(message) from error
        return found
