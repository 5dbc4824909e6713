"""The inbox: an event is in it, durably, before its sender is told so."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError
from pipeline_core.run_id import uuid7
from pipeline_ops.listen.events import TEST, UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pipeline_ops.listen.events import Incoming
    from pipeline_ops.listen.store import Store

#: States: ``new`` not looked at, ``waiting`` for a run or a check, ``done``, ``ignored`` (nothing
#: is set up for it), ``set aside`` for a person.
NEW, WAITING, DONE, IGNORED, ASIDE = "new", "waiting", "done", "ignored", "set aside"


@dataclass(frozen=True, slots=True)
class Kept:
    """An event as the inbox has it.

    Attributes:
        key: Known repetitions have the same.
        received_at: Seconds since 1970.
        copies: How often it came.
        note: What became of it, in words.
    """

    seq: int
    key: str
    sender: str
    kind: str
    received_at: float
    body: bytes
    copies: int
    state: str
    note: str


class Inbox:
    """Keeps events."""

    def __init__(self, store: Store, *, now: Callable[[], float] = time.time) -> None:
        """Use ``store``."""
        self._store = store
        self._now = now

    def put(self, events: Iterable[Incoming]) -> int:
        """Keep events; durable on return.

        Returns:
            How many were new; the others are counted at what was there.

        Raises:
            sqlite3.Error: they could not be written; none of them is kept.
        """
        new = 0
        with self._store.writing() as store:
            for event in events:
                key = event.key or f"{event.sender}:{TEST}:{uuid7()}"
                before = store.row("SELECT 1 FROM event WHERE dedupe = ?", key)
                store.run(
                    "INSERT INTO event (dedupe, sender, kind, received_at, body)"
                    " VALUES (?, ?, ?, ?, ?)"
                    " ON CONFLICT (dedupe) DO UPDATE SET copies = copies + 1",
                    key,
                    event.sender,
                    event.kind,
                    self._now(),
                    event.body,
                )
                new += before is None
        return new

    def new(self, most: int = 500) -> list[Kept]:
        """Events that nobody has looked at, in the order of their coming."""
        return _kept(
            self._store.rows("SELECT * FROM event WHERE state = ? ORDER BY seq LIMIT ?", NEW, most)
        )

    def get(self, seqs: Iterable[int]) -> list[Kept]:
        """These events."""
        found = []
        for seq in seqs:
            found += _kept(self._store.rows("SELECT * FROM event WHERE seq = ?", seq))
        return found

    def latest(self, most: int = 50) -> list[Kept]:
        """The latest events, the latest last."""
        rows = self._store.rows("SELECT * FROM event ORDER BY seq DESC LIMIT ?", most)
        return _kept(rows)[::-1]

    def mark(self, seqs: Iterable[int], state: str, note: str = "") -> None:
        """Note what became of events; within the caller's transaction if it has one."""
        for seq in seqs:
            self._store.run("UPDATE event SET state = ?, note = ? WHERE seq = ?", state, note, seq)

    def redo(self, seqs: Iterable[int]) -> None:
        """Make settled events new again; all of them or none.

        The way for what was set aside or ignored: a sender that sends it once more sends it under
        the same key, which is known.

        Raises:
            ConfigError: one is not there, cannot be read, waits anyway, or is done.
        """
        with self._store.writing():
            for seq in seqs:
                found = self.get([seq])
                why = _not_to_redo(found[0]) if found else "is not in the inbox"
                if why is not None:
                    message = f"event {seq} {why}; nothing was changed, see `listen events`"
                    raise ConfigError(message)
                self.mark([seq], NEW, "again")

    def set_aside(self) -> list[int]:
        """Numbers of all that are set aside and can be read."""
        rows = self._store.rows(
            "SELECT seq FROM event WHERE state = ? AND kind != ? ORDER BY seq", ASIDE, UNREADABLE
        )
        return [row[0] for row in rows]

    def forget(self, before: float) -> int:
        """Drop settled events that came before an instant; returns how many."""
        return self._store.run(
            "DELETE FROM event WHERE received_at < ? AND state NOT IN (?, ?)"
            " AND seq NOT IN (SELECT seq FROM due)",
            before,
            NEW,
            WAITING,
        )

    def check(self) -> None:
        """Try to write, without effect.

        Raises:
            sqlite3.Error: it cannot be written.
        """
        with self._store.writing():
            pass


def _not_to_redo(event: Kept) -> str | None:
    if event.kind == UNREADABLE:
        return "cannot be read: it would be set aside again"
    if event.state in (NEW, WAITING):
        return "waits already"
    if event.state == DONE:
        return f"is done ({event.note}); `d365fo-tableau run` runs a pipeline once more"
    return None


def _kept(rows: Sequence[object]) -> list[Kept]:
    return [Kept(*row) for row in rows]  # type: ignore[misc]  # a row is a tuple of these
