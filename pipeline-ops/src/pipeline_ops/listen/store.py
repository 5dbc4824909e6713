"""The service's memory: one SQLite file, written before anything is answered or begun.

Whatever the service knows is here, so that a process that dies at any line is taken up where it was
by the next one. Each thread opens a connection of its own.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from pipeline_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

#: A writer waits this long for another's transaction; longer than any of ours takes.
_BUSY_TIMEOUT_S = 30.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS event (
  seq INTEGER PRIMARY KEY,
  dedupe TEXT NOT NULL UNIQUE,
  sender TEXT NOT NULL,
  kind TEXT NOT NULL,
  received_at REAL NOT NULL,
  body BLOB NOT NULL,
  copies INTEGER NOT NULL DEFAULT 1,
  state TEXT NOT NULL DEFAULT 'new',
  note TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX IF NOT EXISTS event_state ON event (state);
CREATE TABLE IF NOT EXISTS due (
  pipeline TEXT NOT NULL,
  seq INTEGER NOT NULL,
  run_id TEXT,
  PRIMARY KEY (pipeline, seq)
) STRICT;
CREATE TABLE IF NOT EXISTS run (
  run_id TEXT PRIMARY KEY,
  pipeline TEXT NOT NULL,
  state TEXT NOT NULL,
  began_at REAL NOT NULL,
  ended_at REAL,
  code INTEGER,
  intent INTEGER
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS one_in_flight ON run (pipeline) WHERE state = 'running';
CREATE TABLE IF NOT EXISTS pause (
  pipeline TEXT PRIMARY KEY,
  failures INTEGER NOT NULL,
  until REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS incident (
  seq INTEGER PRIMARY KEY,
  datasource TEXT NOT NULL,
  name TEXT NOT NULL,
  run_id TEXT NOT NULL,
  state TEXT NOT NULL,
  event_at REAL NOT NULL,
  looks INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  next_at REAL NOT NULL,
  job_id TEXT,
  asked_at REAL,
  intent INTEGER,
  told INTEGER NOT NULL DEFAULT 0,
  note TEXT NOT NULL DEFAULT '',
  troubles INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS one_open ON incident (datasource) WHERE state != 'closed';
CREATE TABLE IF NOT EXISTS alert (
  seq INTEGER PRIMARY KEY,
  channel TEXT NOT NULL,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  text TEXT NOT NULL,
  run_id TEXT NOT NULL,
  made_at REAL NOT NULL,
  state TEXT NOT NULL DEFAULT 'new',
  attempts INTEGER NOT NULL DEFAULT 0,
  next_at REAL NOT NULL
) STRICT;
"""


class Store:
    """One connection; its methods may be called from several threads by turns."""

    def __init__(self, path: Path) -> None:
        """Open ``path``, creating it when missing, readable by its owner alone.

        Raises:
            ConfigError: that cannot be done.
        """
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.touch(mode=0o600)
            self._db = sqlite3.connect(
                path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
            self._add_what_is_new()
        except (OSError, sqlite3.Error) as error:
            message = f"the inbox {path} cannot be opened: {error}; correct state_dir"
            raise ConfigError(message) from error

    def _add_what_is_new(self) -> None:
        """Columns that a file of an earlier version does not have."""
        with self.writing():
            columns = {row[1] for row in self._db.execute("PRAGMA table_info(incident)")}
            if "troubles" not in columns:
                self._db.execute(
                    "ALTER TABLE incident ADD COLUMN troubles INTEGER NOT NULL DEFAULT 0"
                )

    @contextmanager
    def writing(self) -> Iterator[Self]:
        """One transaction, durable at its end."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def run(self, sql: str, *values: object) -> int:
        """Execute one statement; returns the number of rows that it struck."""
        with self._lock:
            return self._db.execute(sql, values).rowcount

    def rows(self, sql: str, *values: object) -> Sequence[Any]:
        """All rows of a query; columns by name or position."""
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def row(self, sql: str, *values: object) -> Any | None:  # noqa: ANN401 - a row
        """The first row of a query."""
        with self._lock:
            return self._db.execute(sql, values).fetchone()

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Self:
        """Use as a context manager."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Release the file."""
        self.close()
