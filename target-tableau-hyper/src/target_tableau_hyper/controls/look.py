"""What controls look at: every stream as it will be once the run's extracts are in place."""

from __future__ import annotations

import difflib
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError
from target_tableau_hyper.extract.engine import TABLE, quote
from target_tableau_hyper.extract.figures import Figures, measure
from target_tableau_hyper.extract.schema import DELETED_AT

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from decimal import Decimal
    from pathlib import Path

    from target_tableau_hyper.extract.engine import Database, Engine
    from target_tableau_hyper.extract.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Book:
    """One stream's table.

    Attributes:
        stream: Its name.
        path: The file that holds it.
        is_sealed: Whether that is the sealed extract, which no hyperd may open.
        types: SQL type of each column.
        rows: How many it has, those that are deleted softly included.
        totals: Sum of every NUMERIC column, likewise.
        before: The seal that it had before this run; ``None`` for a new one.
        extract: The sealed extract, as it was before this run, if it was.
        changed: Whether this run changed it.
    """

    stream: str
    path: Path
    is_sealed: bool
    types: Mapping[str, str]
    rows: int
    totals: Mapping[str, Decimal]
    before: Manifest | None
    extract: Path
    changed: bool

    def state(self, run_id: str) -> str:
        """What tells this table from every other state of it: who wrote it, over which extract.

        The digest of its file comes later than the controls.

        Args:
            run_id: Of the run that is going on.
        """
        before = self.before
        if self.changed or before is None:
            return f"{run_id} {before.sha256 if before else ''}"
        return f"{before.run_id} {before.previous_sha256 or ''}"


def sealed_book(extract: Path, manifest: Manifest) -> Book:
    """The table of a sealed extract that this run leaves as it is."""
    return Book(
        stream=manifest.stream,
        path=extract,
        is_sealed=True,
        types={column["name"]: column["type"] for column in manifest.columns},
        rows=manifest.rows,
        totals=manifest.figures.totals,
        before=manifest,
        extract=extract,
        changed=False,
    )


class Look:
    """Opens tables for queries and knows the figures that need none."""

    def __init__(
        self, books: Mapping[str, Book], engine: Callable[[], Engine], scratch: Path
    ) -> None:
        """Look at ``books``.

        Args:
            books: By stream.
            engine: Starts hyperd when first called.
            scratch: Folder for copies of sealed extracts; it goes with the run.
        """
        self._books = books
        self._engine = engine
        self._scratch = scratch
        self._copies: dict[str, Path] = {}
        self._numbers = 0
        self._earlier: Look | None = None

    def knows(self, stream: str) -> bool:
        """Whether there is such a table."""
        return stream in self._books

    def changed(self, stream: str) -> bool:
        """Whether this run changed it."""
        return stream in self._books and self._books[stream].changed

    def book(self, stream: str) -> Book:
        """The table of a stream.

        Raises:
            ConfigError: neither this run nor an earlier one brought it.
        """
        if stream not in self._books:
            message = f"there is no extract of stream {stream!r}{closest(stream, self._books)}"
            raise ConfigError(message)
        return self._books[stream]

    def columns(self, stream: str, names: Sequence[str], *, numbers: bool = False) -> None:
        """Check that a table has these columns.

        Raises:
            ConfigError: it has not; names the closest.
        """
        types = self.book(stream).types
        for name in names:
            if name not in types:
                message = f"stream {stream!r} has no column {name!r}{closest(name, types)}"
                raise ConfigError(message)
            if numbers and not types[name].startswith(("NUMERIC", "BIGINT")):
                message = f"column {name!r} of stream {stream!r} holds {types[name]}, no amounts"
                raise ConfigError(message)

    def figures(self, stream: str, totals: Collection[str] = ()) -> Figures:
        """Rows of a table, and sums of those columns among ``totals`` that are NUMERIC."""
        book = self.book(stream)
        names = [name for name in book.totals if name in totals]
        if DELETED_AT not in book.types:
            return Figures(book.rows, {name: book.totals[name] for name in names})
        with self.tables(stream) as (database, tables):
            return measure(database, f"{tables[stream]} t", {name: quote(name) for name in names})

    def earlier(self) -> Look:
        """The same as it was before this run, without the streams that there were not.

        Seals count rows that are deleted softly, so figures of before are read from the extract,
        which is still in place while controls look: then both are counted in the same way,
        whichever release wrote the seal and whatever was checked when it did.
        """
        if self._earlier is None:
            books = {
                stream: sealed_book(book.extract, book.before)
                for stream, book in self._books.items()
                if book.before is not None
            }
            self._earlier = Look(books, self._engine, self._scratch / "earlier")
        return self._earlier

    @contextmanager
    def tables(self, *streams: str) -> Iterator[tuple[Database, dict[str, str]]]:
        """A connection in which these tables can be read, and how each is called in it.

        It works on copies, so whatever a query does, no extract is touched. Rows that are deleted
        softly do not count.
        """
        engine = self._engine()
        self._numbers += 1
        scratch = self._scratch / f"look-{self._numbers}.hyper"
        scratch.parent.mkdir(parents=True, exist_ok=True)
        with engine.open(scratch, create=True) as database:
            names = {}
            for number, stream in enumerate(dict.fromkeys(streams)):
                alias = f"book{number}"
                database.catalog.attach_database(self._file(stream), alias=alias)
                table = f"{quote(alias)}.{TABLE}"
                if DELETED_AT in self.book(stream).types:
                    table = f"(SELECT * FROM {table} WHERE {quote(DELETED_AT)} IS NULL)"  # noqa: S608 - quoted
                names[stream] = table
            yield database, names
            database.catalog.detach_all_databases()

    def _file(self, stream: str) -> Path:
        """The file to open: hyperd writes to whatever it opens, even for reading."""
        book = self.book(stream)
        if not book.is_sealed:
            return book.path
        if stream not in self._copies:
            copy = self._scratch / f"{len(self._copies)}.hyper"
            shutil.copyfile(book.path, copy)
            self._copies[stream] = copy
        return self._copies[stream]


def closest(name: str, known: Mapping[str, object]) -> str:
    """What a name may have been meant to be, as the end of a sentence."""
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.75)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
