"""One SQLite file that holds the server's state, shared by request threads and the job thread."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

Value = str | int | None


class Database:
    """A connection that several threads use by turns.

    Each room of the simulator creates its own table with `create` and keeps its own SQL.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._depth = 0
        self._after: list[Callable[[], None]] = []
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        # A crash of the machine may lose the last seconds; a crash of the process may not.
        self._connection.execute("PRAGMA synchronous = NORMAL")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make several statements one; the outermost of nested transactions decides."""
        with self._lock:
            if self._depth == 0:
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._connection.execute("ROLLBACK")
                    self._after.clear()
                raise
            self._depth -= 1
            if self._depth == 0:
                self._connection.execute("COMMIT")
                self._run_after()

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run ``action`` once what the current transaction wrote cannot be lost any more."""
        with self._lock:
            self._after.append(action)
            if self._depth == 0:
                self._run_after()

    def create(self, statement: str) -> None:
        """Run one ``CREATE ... IF NOT EXISTS``."""
        with self._lock:
            self._connection.execute(statement)

    def execute(self, sql: str, values: Sequence[Value] = ()) -> int:
        """Run one statement and return the number of rows it touched."""
        with self._lock:
            return self._connection.execute(sql, values).rowcount

    def rows(self, sql: str, values: Sequence[Value] = ()) -> list[sqlite3.Row]:
        """All rows of a query."""
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def row(self, sql: str, values: Sequence[Value] = ()) -> sqlite3.Row | None:
        """The first row of a query, or ``None``."""
        with self._lock:
            found: sqlite3.Row | None = self._connection.execute(sql, values).fetchone()
            return found

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _run_after(self) -> None:
        actions, self._after = self._after, []
        for action in actions:
            action()
