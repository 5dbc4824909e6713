"""What became of each event: one SQLite row for each (calendar, group, period, event).

The primary key is what makes a run happen once; the row is durable before anything is started.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from pipeline_core.errors import ConfigError
from pipeline_ops.calendar.plan import Key

if TYPE_CHECKING:
    from pathlib import Path

_BUSY_TIMEOUT_S = 30.0

#: Layout below; a newer release may have another one.
_LAYOUT = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS firing (
  calendar TEXT NOT NULL,
  company_group TEXT NOT NULL,
  period TEXT NOT NULL,
  event TEXT NOT NULL,
  due TEXT NOT NULL,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  changed_at TEXT NOT NULL,
  run_id TEXT,
  driver TEXT,
  retry_at TEXT,
  exit_code INTEGER,
  note TEXT NOT NULL,
  PRIMARY KEY (calendar, company_group, period, event)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calendar (name TEXT PRIMARY KEY, since TEXT NOT NULL) STRICT;
"""


class State(StrEnum):
    """Where an event of a period stands."""

    #: A driver has claimed it; it has a run id.
    RUNNING = "running"
    #: It failed and is to be started again.
    WAITING = "waiting"
    DONE = "done"
    #: It failed and is not started again.
    FAILED = "failed"
    #: Nobody was there while it could have started.
    MISSED = "missed"
    #: A later event does the same work.
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Record:
    """One row.

    Attributes:
        attempts: Starts so far.
        run_id: Of the last start: ``MELTANO_RUN_ID``, also in the ledger.
        driver: Host and process that made the last start.
        note: Why it stands where it does, for an operator.
    """

    key: Key
    due: datetime
    state: State
    attempts: int = 0
    changed_at: datetime | None = None
    run_id: str | None = None
    driver: str | None = None
    retry_at: datetime | None = None
    exit_code: int | None = None
    note: str = ""


class Store:
    """The file with all rows; safe with several processes."""

    def __init__(self, path: Path) -> None:
        """Open ``path``, creating it when missing.

        Raises:
            ConfigError: it cannot be opened, is no such file, or is of a newer release.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            layout = self._db.execute("PRAGMA user_version").fetchone()[0]
            if layout <= _LAYOUT:
                self._db.executescript(_SCHEMA)
                self._db.execute(f"PRAGMA user_version={_LAYOUT}")
        except (OSError, sqlite3.Error) as error:
            message = f"the calendar's record {path} cannot be opened: {error}"
            raise ConfigError(message) from error
        if layout > _LAYOUT:
            message = f"{path} was written by a newer release; install that one"
            raise ConfigError(message)

    def since(self, calendar: str, now: datetime) -> datetime:
        """When a driver first saw the calendar; ``now`` if this is the first time.

        Never later than ``now``: a clock that was ahead then must not hide what is due since.
        """
        self._db.execute(
            "INSERT INTO calendar VALUES (?, ?) ON CONFLICT (name) DO UPDATE "
            "SET since = min(since, excluded.since)",
            (calendar, _text(now)),
        )
        row = self._db.execute("SELECT since FROM calendar WHERE name = ?", (calendar,)).fetchone()
        return _instant(row[0])

    def records(self, calendar: str) -> dict[Key, Record]:
        """All rows of a calendar, by due instant."""
        rows = self._db.execute(
            "SELECT * FROM firing WHERE calendar = ? ORDER BY due, company_group, event",
            (calendar,),
        )
        return {record.key: record for record in map(_record, rows)}

    def put(self, record: Record, now: datetime) -> None:
        """Write a row; durable on return."""
        self._db.execute(
            "INSERT OR REPLACE INTO firing VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                record.key.calendar,
                record.key.group,
                record.key.period,
                record.key.event,
                _text(record.due),
                record.state.value,
                record.attempts,
                _text(now),
                record.run_id,
                record.driver,
                _text(record.retry_at) if record.retry_at else None,
                record.exit_code,
                record.note,
            ),
        )

    def forget(self, key: Key) -> None:
        """Remove a row, so that the event is as if nobody had looked at it."""
        self._db.execute(
            "DELETE FROM firing WHERE calendar = ? AND company_group = ? AND period = ? "
            "AND event = ?",
            (key.calendar, key.group, key.period, key.event),
        )

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    def __enter__(self) -> Self:
        """Use as a context manager."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Release the file."""
        self.close()


def _record(row: tuple[object, ...]) -> Record:
    calendar, group, period, event, due, state, attempts, changed_at, *rest = row
    run_id, driver, retry_at, exit_code, note = rest
    return Record(
        Key(str(calendar), str(group), str(period), str(event)),
        _instant(due),
        State(str(state)),
        int(str(attempts)),
        _instant(changed_at),
        None if run_id is None else str(run_id),
        None if driver is None else str(driver),
        None if retry_at is None else _instant(retry_at),
        None if exit_code is None else int(str(exit_code)),
        str(note),
    )


def _text(instant: datetime) -> str:
    """One width, so that texts sort as instants do."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds")


def _instant(text: object) -> datetime:
    return datetime.fromisoformat(str(text))
