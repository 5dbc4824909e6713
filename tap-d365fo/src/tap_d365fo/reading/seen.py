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
_MOST_IN_MEMORY = 10_000

#: SQLite's own pages in memory, in KiB; the rest lies in a temporary file.
_CACHE_KIB = 8 * 1024

#: Integers of SQLite have 64 bits.
_INTEGERS = 2**63

#: Keys at the beginning of a page that may have come with the page before.
_LIKELY_KNOWN = 16

_ADD = "INSERT OR IGNORE INTO seen SELECT value, ? FROM json_each(?)"

_encode = msgspec.json.Encoder(decimal_format="number").encode


class SeenRows:
    """A set of keys that only grows."""

    def __init__(self, *, most_in_memory: int = _MOST_IN_MEMORY) -> None:
        """Start empty; a file is made when there are more than ``most_in_memory``."""
        self._most_in_memory = most_in_memory
        self._few: set[Hashable] = set()
        self._many: sqlite3.Connection | None = None
        self._count = 0
        self._groups = 0

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
            CREATE TABLE seen (key PRIMARY KEY, came INTEGER) WITHOUT ROWID;
            """
        )
        self._stored(self._few)
        self._few = set()

    def _stored(self, keys: Iterable[Hashable]) -> list[bool]:
        assert self._many is not None  # noqa: S101 - the callers see to it
        stored = [_stored_as(key) for key in keys]
        try:
            self._many.execute("BEGIN")
            found = self._added(stored[:_LIKELY_KNOWN]) + self._added(stored[_LIKELY_KNOWN:])
            self._many.execute("COMMIT")
        except sqlite3.OperationalError as error:
            message = (
                f"the keys of a walk cannot be kept in the temporary directory: {error}; free "
                "space there, or set TMPDIR to another one"
            )
            raise TransientError(message) from error
        return found

    def _added(self, keys: list[int | str]) -> list[bool]:
        """Add ``keys`` by one statement: SQLite works beside Python as long as it lasts."""
        assert self._many is not None  # noqa: S101 - the callers see to it
        self._groups += 1
        added = self._many.execute(_ADD, (self._groups, _encode(keys).decode())).rowcount
        if added == len(keys):
            return [True] * added
        here: set[int | str] = set()
        found = []
        for key in keys:
            ((group,),) = self._many.execute("SELECT came FROM seen WHERE key = ?", (key,))
            found.append(group == self._groups and key not in here)
            here.add(key)
        return found


def _stored_as(key: Hashable) -> int | str:
    """How a key lies in the database: a lone integer as it is, everything else as JSON."""
    if isinstance(key, tuple) and len(key) == 1 and type(number := key[0]) is int:
        return number if -_INTEGERS <= number < _INTEGERS else f"[{number}]"
    return _encode(key).decode()
