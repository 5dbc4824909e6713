"""The audit ledger: an append-only, hash-chained list of what every run did.

One SQLite file, one row an event. Each row's hash covers its content and the hash before it, so a
change, a removal or a reordering breaks the chain at an exact row. ``synchronous=FULL`` makes an
event durable before the act that follows it.

A chain proves consistency of the file, not its origin: keep :attr:`Ledger.head` somewhere else
after a run to notice a chain that was rewritten whole.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import sqlite3
import urllib.parse
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from pipeline_core.errors import ConfigError, IntegrityError, PipelineError
from pipeline_core.ledger_trouble import naming
from pipeline_core.redaction import REDACTOR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

_LOG = logging.getLogger(__name__)

#: Hash before the first row.
GENESIS = "0" * 64

#: Tap and target append to one file; each waits this long for the other's transaction.
_BUSY_TIMEOUT_S = 30.0

#: Rows at the end that each plugin checks when it starts; some milliseconds.
_END_ROWS = 1000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS ledger (
  seq INTEGER PRIMARY KEY,
  ts TEXT NOT NULL,
  run_id TEXT NOT NULL,
  actor TEXT NOT NULL,
  event TEXT NOT NULL,
  body_json TEXT NOT NULL,
  prev_hash TEXT NOT NULL,
  hash TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS ledger_run ON ledger (run_id);
CREATE TRIGGER IF NOT EXISTS ledger_no_update BEFORE UPDATE ON ledger
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS ledger_no_delete BEFORE DELETE ON ledger
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
"""


@dataclass(frozen=True, slots=True)
class Event:
    """One row as stored."""

    seq: int
    ts: str
    run_id: str
    actor: str
    event: str
    body_json: str
    prev_hash: str
    hash: str

    @property
    def body(self) -> dict[str, Any]:
        """The event's fields."""
        fields: dict[str, Any] = json.loads(self.body_json)
        return fields

    def expected_hash(self) -> str:
        """What the content demands; differs from :attr:`hash` after tampering."""
        content = [
            self.seq,
            self.ts,
            self.run_id,
            self.actor,
            self.event,
            self.body_json,
            self.prev_hash,
        ]
        return hashlib.sha256(_canonical(content).encode()).hexdigest()


@dataclass(slots=True)
class Effect:
    """An outside effect under way: what the server confirmed is added before it is recorded."""

    confirmed: dict[str, Any] = field(default_factory=dict)

    def verified(self, **facts: object) -> None:
        """Note what the other side confirmed."""
        self.confirmed.update(facts)


class Ledger:
    """Appends events of one actor in one run; also reads and verifies the whole chain."""

    def __init__(
        self,
        path: Path,
        *,
        run_id: str,
        actor: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        read_only: bool = False,
        called: str = "the ledger",
    ) -> None:
        """Open ``path``, creating it when missing; where it is only read, see :meth:`reading`.

        Args:
            path: The file.
            run_id: Of every event that is appended.
            actor: Likewise.
            now: The clock.
            read_only: See :meth:`reading`.
            called: What messages call it, such as the setting that names it.

        Raises:
            PipelineError: it cannot be opened; of the kind that the reason is.
        """
        self._name = f"{called} {path}"
        self._run_id = run_id
        self._actor = actor
        self._now = now
        with naming(self._name, "cannot be opened"):
            self._db = _open_to_read(path) if read_only else _open_to_write(path)

    @classmethod
    def reading(cls, path: Path) -> Self:
        """The ledger at ``path``, to look at: not a byte of it is changed, and nothing is added.

        Raises:
            ConfigError: there is none, or it may not be read.
            PipelineError: it cannot be opened; of the kind that the reason is.
        """
        return cls(path, run_id="", actor="", read_only=True)

    def append(self, event: str, **body: object) -> Event:
        """Add one event; durable on return.

        Values must be JSON; decimals and instants go in as text. Known secrets are masked.

        Raises:
            TransientError: the disk is full or fails.
            BusyError: another process keeps the file locked.
            ConfigError: it may not be written.
            IntegrityError: it is damaged.
        """
        body_json = REDACTOR.redact(_canonical(body))
        ts = self._now().isoformat(timespec="milliseconds")
        with naming(self._name, f"does not take the event {event}"), self._transaction():
            last = self._db.execute(
                "SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1"
            ).fetchone()
            seq, prev_hash = (last[0] + 1, last[1]) if last else (1, GENESIS)
            row = Event(seq, ts, self._run_id, self._actor, event, body_json, prev_hash, hash="")
            values = (
                seq,
                ts,
                self._run_id,
                self._actor,
                event,
                body_json,
                prev_hash,
                row.expected_hash(),
            )
            self._db.execute("INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        return Event(*values)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")  # one writer at a time sees the chain's head
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            # On a full or broken disk SQLite has rolled back by itself.
            if self._db.in_transaction:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
            raise

    def append_failure(self, event: str, **body: object) -> None:
        """Add an event while a failure is on its way up: a ledger that fails must not hide it."""
        try:
            self.append(event, **body)
        except PipelineError as error:
            _LOG.warning("a failure is not recorded: %s", error)

    @contextmanager
    def effect(self, event: str, **body: object) -> Iterator[Effect]:
        """Record an outside effect: intent first, then what became of it.

        Yields an :class:`Effect`; call ``verified`` on it with what the other side confirmed. An
        exception is recorded as ``<event>.failed`` and goes on. A process that dies in between
        leaves the intent without an end: that is how the next run knows that it must look.
        """
        intent = self.append(f"{event}.intent", **body)
        effect = Effect()
        try:
            yield effect
        except BaseException as error:
            self.append_failure(
                f"{event}.failed", intent=intent.seq, error=f"{type(error).__name__}: {error}"
            )
            raise
        self.append(f"{event}.verified", intent=intent.seq, **effect.confirmed)

    @property
    def head(self) -> tuple[int, str]:
        """Number of rows and hash of the last one: the figure to anchor elsewhere."""
        last = self._db.execute("SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1").fetchone()
        return (last[0], last[1]) if last else (0, GENESIS)

    @property
    def anchor(self) -> str:
        """The head as one word, ``HASH@ROW``: what `runs verify --head` takes."""
        seq, head = self.head
        return f"{head}@{seq}"

    def events(self, *, run_id: str | None = None, prefix: str = "") -> Iterator[Event]:
        """All events in order; or those of one run, or those whose name begins with ``prefix``."""
        of_run = (
            "run_id = ?1" if run_id is not None else "?1 IS NULL"
        )  # by the index where it helps
        query = f"SELECT * FROM ledger WHERE {of_run} AND substr(event, 1, length(?2)) = ?2 ORDER BY seq"  # noqa: S608, E501 - fixed text
        for row in self._db.execute(query, (run_id, prefix)):
            yield Event(*row)

    def run_ids(self) -> list[str]:
        """All runs, in the order in which they began."""
        query = "SELECT run_id FROM ledger GROUP BY run_id ORDER BY min(seq)"
        return [run_id for (run_id,) in self._db.execute(query)]

    def verify(self) -> int:
        """Check every row against its hash and its predecessor.

        Returns:
            The number of rows.

        Raises:
            IntegrityError: names the first row that does not fit, or the file is damaged.
        """
        with naming(self._name, "cannot be verified"):
            return self._verify()

    def _verify(self) -> int:
        count, previous = 0, GENESIS
        for row in self.events():
            count += 1
            self._check(row, count, previous)
            previous = row.hash
        return count

    @staticmethod
    def _check(row: Event, number: int, previous: str) -> None:
        why = _broken(row, number, previous)
        if why is not None:
            message = (
                f"the ledger is broken at row {row.seq} (expected row {number}), {row.event} of "
                f"run {row.run_id}: {why}; compare it with a copy or with the anchored head"
            )
            raise IntegrityError(message)

    def verify_end(self, rows: int = _END_ROWS) -> None:
        """Check what a plugin can check at each start: that no row is missing, and the last ones.

        The whole chain is verified by those who start runs; see ``docs/decisions``.

        Raises:
            IntegrityError: names what does not fit.
        """
        with naming(self._name, "cannot be verified"):
            last, count = self._db.execute("SELECT max(seq), count(*) FROM ledger").fetchone()
            if (last or 0) != count:
                message = (
                    f"{self._name} is broken: it ends at row {last} and has {count} rows, so some "
                    "are missing; compare it with a copy or with the anchored head"
                )
                raise IntegrityError(message)
            number = max(0, count - rows)
            previous = self._hash_of(number)
            query = "SELECT * FROM ledger WHERE seq > ? ORDER BY seq"
            for values in self._db.execute(query, (number,)):
                row, number = Event(*values), number + 1
                self._check(row, number, previous)
                previous = row.hash

    def _hash_of(self, seq: int) -> str:
        if not seq:
            return GENESIS
        row = self._db.execute("SELECT hash FROM ledger WHERE seq = ?", (seq,)).fetchone()
        return str(row[0])

    def verify_head(self, anchored: str) -> None:
        """Check that the chain still goes through a head that was noted elsewhere.

        A chain that was cut off or rewritten whole is consistent in itself; only this finds it.

        Args:
            anchored: ``HASH@ROW``, as :attr:`anchor` gave it.

        Raises:
            ConfigError: ``anchored`` is no such text.
            IntegrityError: that row has gone or has another hash.
        """
        told, _, number = anchored.strip().partition("@")
        if not re.fullmatch(r"[0-9a-f]{64}", told) or not re.fullmatch(r"[0-9]{1,18}", number):
            message = "a head is 64 hexadecimal digits, @ and the number of a row, as a run logs it"
            raise ConfigError(message)
        seq = int(number)
        found = self._db.execute("SELECT hash FROM ledger WHERE seq = ?", (seq,)).fetchone()
        known = found[0] if found else GENESIS if seq == 0 else None
        if known is None:
            message = (
                f"the ledger ends at row {self.head[0]}, before the anchored row {seq}: rows were "
                "cut off; restore the file from a copy"
            )
            raise IntegrityError(message)
        if known != told:
            message = (
                f"row {seq} of the ledger is not the anchored one: the chain was rewritten at or "
                "before that row; compare it with a copy"
            )
            raise IntegrityError(message)

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    def __enter__(self) -> Self:
        """Use as a context manager."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Release the file."""
        self.close()


def _open_to_write(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        # Only in a new file: triggers that somebody dropped are evidence, not to be put back.
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'ledger'").fetchone():
            db.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}COMMIT")
    except sqlite3.Error:
        db.close()
        raise
    return db


def _open_to_read(path: Path) -> sqlite3.Connection:
    """A connection that writes nothing; the table is there."""
    address = f"file:{urllib.parse.quote(str(path.absolute()))}?mode=ro"
    has_log = path.with_name(f"{path.name}-wal").exists()
    # Beside a file in a folder that cannot be written, SQLite has no place for its index of the
    # log. Without a log there is nothing to index, and it may take the file for unchanging.
    for uri in (address,) if has_log else (address, f"{address}&immutable=1"):
        db = sqlite3.connect(uri, uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
        try:
            db.execute("SELECT 1 FROM ledger LIMIT 1")
        except sqlite3.Error as error:
            db.close()
            failure = error
        else:
            return db
    raise failure


def _broken(row: Event, number: int, previous: str) -> str | None:
    """What does not fit about the row in place ``number``; ``None`` where all does."""
    if row.seq != number:
        return "a row before it is missing, or rows changed places"
    if row.prev_hash != previous:
        return "it does not follow from the row before it, one of them was replaced"
    if row.hash != row.expected_hash():
        return "it was changed after it was written"
    return None


class NoLedger:
    """Stands in where no ``ledger_path`` is set: the same calls, no record."""

    def append(self, event: str, **body: object) -> None:
        """Record nothing."""

    def append_failure(self, event: str, **body: object) -> None:
        """Record nothing."""

    @contextmanager
    def effect(self, event: str, **body: object) -> Iterator[Effect]:  # noqa: ARG002 - same call as Ledger's
        """Record nothing around the effect."""
        yield Effect()

    def close(self) -> None:
        """Nothing to release."""


def open_ledger(path: Path | None, *, run_id: str, actor: str) -> Ledger | NoLedger:
    """The ledger at ``path``, or one that keeps nothing where the setting is empty.

    Raises:
        IntegrityError: rows are missing, or one of the last was changed.
        PipelineError: the file cannot be opened for writing; of the kind that the reason is.
    """
    if path is None:
        return NoLedger()
    ledger = Ledger(path, run_id=run_id, actor=actor, called="ledger_path")
    try:
        ledger.verify_end()
    except PipelineError:
        ledger.close()
        raise
    return ledger


def tell_head(ledger: Ledger | NoLedger, logger: logging.Logger) -> None:
    """Log the chain's head, so that it is known outside the file; nothing without a ledger.

    Called when a run ends, however it does: a file that cannot be read must not hide why.
    """
    if isinstance(ledger, Ledger):
        try:
            logger.info("ledger head %s", ledger.anchor)
        except sqlite3.Error as error:
            logger.warning("the ledger's head cannot be read: %s", error)


def _canonical(value: Mapping[str, object] | list[object]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
