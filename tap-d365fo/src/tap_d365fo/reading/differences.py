"""Compare the rows of a scan with those remembered, on disk: memory does not grow with the rows."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from pipeline_core.errors import DataError, TransientError
from tap_d365fo.metadata.model import COMPANY_PROPERTY
from tap_d365fo.reading.snapshots import Remembered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_d365fo.reading.typed_rows import Row

#: SQLite's own pages in memory, in KiB; the rest lies in a temporary file.
_CACHE_KIB = 16 * 1024

_decoder = msgspec.json.Decoder(float_hook=Decimal)


class KeyCodec:
    """Keys of one entity as JSON arrays."""

    def __init__(self, key: tuple[str, ...]) -> None:
        """Take the key properties in their published order."""
        self._key = key
        self._encode = msgspec.json.Encoder(decimal_format="number").encode

    def encode(self, row: Row) -> bytes:
        """The key of ``row``; the company in lower case: F&O sends DAT and dat for one.

        Raises:
            DataError: a part is missing.
        """
        try:
            return self._encode(
                [row[n].lower() if n == COMPANY_PROPERTY else row[n] for n in self._key]
            )
        except (KeyError, AttributeError) as error:
            message = f"a row comes without the whole key ({', '.join(self._key)})"
            raise DataError(message) from error

    def decode(self, key: bytes) -> dict[str, Any]:
        """The key properties as a row."""
        return dict(zip(self._key, _decoder.decode(key), strict=True))


@dataclass(frozen=True, slots=True)
class Tally:
    """How a scan differs from what is remembered.

    Attributes:
        known: Rows remembered.
        scanned: Rows that are there now.
        changed: Of these, new ones and those with another etag.
        gone: Remembered rows that are no longer there.
    """

    known: int
    scanned: int
    changed: int
    gone: int


class Differences:
    """Two sets of rows: remembered and scanned.

    What is remembered is what a target holds, and a target compares exactly: a key that is written
    another way since is a new row, and the old one is gone. What is scanned comes from F&O's
    database, where case does not count: of two ways to write a key the later one is right.
    """

    def __init__(self) -> None:
        """Open a private database, which goes with this object."""
        # An empty name is a temporary file that SQLite removes by itself.
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(
            f"""
            PRAGMA journal_mode = OFF;
            PRAGMA synchronous = OFF;
            PRAGMA cache_size = -{_CACHE_KIB};
            CREATE TABLE known (key BLOB PRIMARY KEY, id TEXT, etag TEXT) WITHOUT ROWID;
            CREATE TABLE scanned (id TEXT PRIMARY KEY, key BLOB, etag TEXT, place INTEGER)
                WITHOUT ROWID;
            """
        )
        self._place = 0

    def close(self) -> None:
        """Remove the database."""
        self._db.close()

    def remember(self, rows: Iterable[Remembered]) -> None:
        """Take over what a snapshot, or an emitted row, says."""
        with self._writing():
            for row in rows:
                if row.etag is None:
                    self._db.execute("DELETE FROM known WHERE key = ?", (row.key,))
                else:
                    self._db.execute(
                        "INSERT OR REPLACE INTO known VALUES (?, ?, ?)",
                        (row.key, _identity(row.key), row.etag),
                    )

    def scan(self, rows: Iterable[Remembered]) -> None:
        """Take rows that are there now, in the server's order."""
        with self._writing():
            for row in rows:
                self._place += 1
                self._db.execute(
                    "INSERT OR REPLACE INTO scanned VALUES (?, ?, ?, ?)",
                    (_identity(row.key), row.key, row.etag, self._place),
                )

    def tally(self) -> Tally:
        """Count."""
        return Tally(
            known=self._count("known"),
            scanned=self._count("scanned"),
            changed=self._count(f"({_CHANGED})"),
            gone=self._count(f"({_GONE})"),
        )

    def changed(self) -> list[bytes]:
        """Keys of new and changed rows, in the server's order."""
        return self._keys(f"{_CHANGED} ORDER BY s.place")

    def gone(self) -> list[bytes]:
        """Keys of remembered rows that are no longer there, in the order of the keys."""
        return self._keys(f"{_GONE} ORDER BY k.key")

    def is_known(self, row: Remembered) -> bool:
        """Whether the row is remembered just so."""
        found = self._db.execute(
            "SELECT 1 FROM known WHERE key = ? AND etag = ?", (row.key, row.etag)
        )
        return found.fetchone() is not None

    def remembered(self) -> Iterator[Remembered]:
        """All rows remembered."""
        for key, etag in self._db.execute("SELECT key, etag FROM known"):
            yield Remembered(key, etag)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction.

        Raises:
            TransientError: the temporary directory is full or broken; nothing can be said then.
        """
        try:
            self._db.execute("BEGIN")
            yield
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            message = (
                f"the rows of a scan cannot be compared in the temporary directory: {error}; free "
                "space there, or set TMPDIR to another one"
            )
            raise TransientError(message) from error

    def _keys(self, sql: str) -> list[bytes]:
        return [key for (key,) in self._db.execute(sql)]

    def _count(self, table: str) -> int:
        (count,) = self._db.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - own
        return int(count)


_CHANGED = (
    "SELECT s.key FROM scanned s LEFT JOIN known k USING (key) "
    "WHERE k.key IS NULL OR k.etag <> s.etag"
)

_GONE = (
    "SELECT k.key FROM known k LEFT JOIN scanned s USING (id) WHERE s.id IS NULL OR k.key <> s.key"
)


def _identity(key: bytes) -> str:
    return key.decode().lower()
