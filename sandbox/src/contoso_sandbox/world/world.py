"""Contoso's database: opened or made, read through cursors, moved on day by day."""

from __future__ import annotations

import threading
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Self

import duckdb

from contoso_sandbox.entities import contoso_environment
from contoso_sandbox.tables import Tables
from contoso_sandbox.world.advance import AdvanceSummary, next_business_day, post_day
from contoso_sandbox.world.chance import create_macros
from contoso_sandbox.world.companies import COMPANIES
from contoso_sandbox.world.history import OPENING_DAY, write_history
from contoso_sandbox.world.posting import Posting
from contoso_sandbox.world.schema import create_tables, fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path

    from contoso_sandbox.model import Environment

_FILE = "contoso.duckdb"
#: Contoso's books close at 17:00.
_EVENING = time(18)


class StaleWorldError(RuntimeError):
    """The stored world was made by another version of the sandbox; delete it to make a new one."""


class World:
    """Contoso: its entity sets as tables, its date, and what happens as days pass.

    Every set is a table of its name in schema ``main``: one column per property, ``__rec_id`` and
    ``__rec_version`` for the etag, and ``__etag_tail`` where the set joins several tables.

    Attributes:
        environment: What Contoso publishes.
        companies: Ids of the legal entities, in lower case.
        default_company: Company of the application's user.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Take over an open database that holds a world; callers use ``open``."""
        self.environment: Environment = contoso_environment()
        self.companies: tuple[str, ...] = tuple(company.company for company in COMPANIES)
        self.default_company: str = self.companies[0]
        self._connection = connection
        self._advancing = threading.Lock()
        self._tables = Tables(self.environment, self.cursor, now=self._next_second)
        self._seconds = 0
        self._today, self._seed, self._scale = _state(connection, self.environment)

    @classmethod
    def open(cls, directory: Path, *, seed: int = 7, scale: float = 1.0) -> Self:
        """Open the world in ``directory``; when there is none, make one.

        Args:
            directory: Folder of ``contoso.duckdb``.
            seed: What a new world is drawn from; one that exists keeps its own.
            scale: Size of a new world: 1 is the demo, 60 has a million journal lines.

        Raises:
            StaleWorldError: the stored world does not fit this version of the sandbox.
        """
        path = directory / _FILE
        if not path.exists():
            directory.mkdir(parents=True, exist_ok=True)
            _make(path, seed=seed, scale=scale)
        return cls(duckdb.connect(str(path)))

    @property
    def today(self) -> date:
        """Contoso's business date; nothing is stamped later than its evening."""
        return self._today

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A cursor of its own for the calling thread; the caller closes it."""
        return self._connection.cursor()

    def advance(self, days: int) -> AdvanceSummary:
        """Post the next ``days`` business days, each in one transaction.

        Readers see a day entirely or not at all. Callers in several threads take turns.
        """
        summary = AdvanceSummary()
        with self._advancing:
            for _ in range(days):
                self._post_next_day(summary)
        return summary

    def insert(self, entity_set: str, **values: object) -> None:
        """Add one row; properties that are not named are absent, as F&O stores it.

        The row gets the set's next RecId, RecVersion 1 and, where published, the times of its
        creation and change.
        """
        with self._advancing:
            self._tables.insert(entity_set, values)

    def change(self, entity_set: str, key: Mapping[str, object], **values: object) -> None:
        """Set properties of the row with ``key``.

        Its RecVersion becomes another random number, so that its etag changes whether or not the
        set publishes a modified time.

        Raises:
            LookupError: There is no such row.
        """
        with self._advancing:
            self._tables.change(entity_set, key, values)

    def delete(self, entity_set: str, key: Mapping[str, object]) -> None:
        """Remove the row with ``key``.

        Raises:
            LookupError: There is no such row.
        """
        with self._advancing:
            self._tables.delete(entity_set, key)

    def _next_second(self) -> datetime:
        # After everything that was posted on the day, and each change after the one before.
        self._seconds += 1
        evening = datetime.combine(self._today, _EVENING)
        return evening + timedelta(seconds=self._seconds)

    def close(self) -> None:
        """Close the database; it stays on disk."""
        self._connection.close()

    def _post_next_day(self, summary: AdvanceSummary) -> None:
        day = next_business_day(self._today)
        # A cursor for each day: its temporary tables go with it.
        with self.cursor() as cursor:
            cursor.execute("BEGIN")
            try:
                posting = Posting(cursor, self.environment, day)
                post_day(posting, seed=self._seed, scale=self._scale)
                posting.finish()
                cursor.execute("UPDATE books.state SET today = $day", {"day": day})
                cursor.execute("COMMIT")
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
        self._today = day
        summary.add(day, posting.tally)


def _make(path: Path, *, seed: int, scale: float) -> None:
    """Make a world beside ``path`` and move it there when it is complete."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    environment = contoso_environment()
    with duckdb.connect(str(unfinished)) as connection:
        # One transaction: three times faster than a log entry for each of 400 statements.
        connection.execute("BEGIN")
        create_tables(connection, environment)
        create_macros(connection, seed)
        posting = Posting(connection, environment, OPENING_DAY)
        write_history(posting, seed=seed, scale=scale)
        posting.finish()
        connection.execute(
            "INSERT INTO books.state VALUES ($today, $seed, $scale, $fingerprint)",
            {
                "today": OPENING_DAY,
                "seed": seed,
                "scale": scale,
                "fingerprint": fingerprint(environment),
            },
        )
        connection.execute("COMMIT")
        connection.execute("CHECKPOINT")
    unfinished.replace(path)


def _state(
    connection: duckdb.DuckDBPyConnection, environment: Environment
) -> tuple[date, int, float]:
    try:
        row = connection.execute(
            "SELECT today, seed, scale, fingerprint FROM books.state"
        ).fetchone()
    except duckdb.CatalogException as error:
        raise StaleWorldError(StaleWorldError.__doc__) from error
    if row is None or row[3] != fingerprint(environment):
        raise StaleWorldError(StaleWorldError.__doc__)
    return row[0], row[1], row[2]
