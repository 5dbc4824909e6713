"""Strategy ``etag_scan``: find what changed and what is gone without a time of change.

Every row of F&O carries an etag, and ``$select=<key>`` keeps it: so a list of all keys and etags is
cheap, compared with all rows of a wide entity. What differs from the last list is fetched by key;
what is missing from it is gone. The etag tells of stored columns: a computed column may change
without it (then ``replication: full`` is right).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from pipeline_core.errors import DataError, IntegrityError
from tap_d365fo.reading.by_key import fetch_by_key
from tap_d365fo.reading.differences import Differences, KeyCodec, Tally
from tap_d365fo.reading.full import is_short, read_full
from tap_d365fo.reading.keys import behind
from tap_d365fo.reading.portion import Portion
from tap_d365fo.reading.query import is_short_enough
from tap_d365fo.reading.snapshots import Remembered, as_state
from tap_d365fo.reading.typed_rows import ETAG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from tap_d365fo.reading.keys import KeyForm
    from tap_d365fo.reading.pages import Page, PageReader
    from tap_d365fo.reading.query import Query
    from tap_d365fo.reading.snapshots import Link, SnapshotFile, SnapshotFolder
    from tap_d365fo.reading.typed_rows import Row

#: So few deletions are never suspicious, whatever their share.
_FEW_DELETIONS = 10

#: Rows fetched by key that are handed over together.
_PORTION_ROWS = 1000

#: Rows that are compressed together when a snapshot is written anew.
_ROWS_A_MEMBER = 50_000

#: Files of a snapshot, after which it is written anew as one.
_LONGEST_CHAIN = 16

#: How many rows of a page cost as much as a request (an estimate; benchmarks/by_key.py measures
#: it against the sandbox), and how many keys fit into one request by key.
_ROWS_A_REQUEST = 400
_KEYS_A_REQUEST = 30

#: Rows of a page; F&O's own limit.
_ROWS_A_PAGE = 10_000

_logger = logging.getLogger("tap-d365fo.etag_scan")


def is_cheaper_by_key(changed: int, total: int) -> bool:
    """Whether fetching ``changed`` rows by key costs less than reading all ``total`` rows."""
    by_key = changed / _KEYS_A_REQUEST + changed / _ROWS_A_REQUEST
    whole = 1 + total / _ROWS_A_PAGE + total / _ROWS_A_REQUEST
    return by_key <= whole


@dataclass(slots=True)
class EtagScan:
    """Reads one partition.

    Attributes:
        name: Of the partition, for messages.
        query: All rows, by the whole key, with the selected columns.
        folder: Where its snapshots lie.
        max_delete_fraction: A larger share of deletions stops the run.
        started_at: Beginning of the run: the time of every deletion that it finds.
        check_access: Called when no row is left of some; raises when the company is locked away.
    """

    name: str
    reader: PageReader
    environment_url: str
    query: Query
    key: tuple[str, ...]
    form: KeyForm
    folder: SnapshotFolder
    max_delete_fraction: float
    started_at: datetime
    check_access: Callable[[int], None]
    page_by_key: bool = False
    codec: KeyCodec = field(init=False)

    def __post_init__(self) -> None:
        """Prepare the form in which keys are remembered."""
        self.codec = KeyCodec(self.key)

    def first(
        self, chain: Sequence[Link], resume: tuple[str, ...] | None, before: int
    ) -> Iterator[Portion]:
        """Read every row and remember it.

        Args:
            chain: What an interrupted first read remembered.
            resume: Key of the last row that it committed, as literals.
            before: How many rows it had committed.
        """
        rest = behind(self.query, self.form, resume) if resume else None
        if chain and (
            rest is None or is_short(self.reader, self.query, rest, self.environment_url, before)
        ):
            # What has been handed over must not be forgotten: it may be gone meanwhile.
            for portion in self.changes(chain):
                yield replace(portion, state={**portion.state, "resume": None})
            return
        file: SnapshotFile | None = None
        rows = begun = before if rest else 0
        for page in self._pages(rest or self.query):
            if not page.rows:
                continue
            file = file or self.folder.begin()
            grown = [*chain, file.append(self._remembered(page.rows))]
            rows = begun + page.walked
            after = self.form.literals(page.rows[-1])
            state = {
                "snapshot": as_state(grown),
                "resume": list(after) if after else None,
                "rows": rows,
            }
            yield Portion(page.rows, state, page.received_at, [], page.size_bytes, 1, page.count)
        # An empty partition is remembered, too: its first row is a change, no first read.
        file = file or self.folder.begin()
        yield self._closing([*chain, file.append([])], rows)

    def changes(self, chain: Sequence[Link]) -> Iterator[Portion]:
        """What differs from the snapshot ``chain``: deletions first, then new and changed rows.

        Raises:
            IntegrityError: more rows seem to be gone than ``max_delete_fraction`` allows; nothing
                has been handed over then.
        """
        differences = Differences()
        try:
            differences.remember(self.folder.read(chain))
            pages = self._scan(differences)
            tally = differences.tally()
            self._check_deletions(tally)
            # The pages of the scan brought no row to emit, but they were asked for.
            yield Portion([], {}, self.started_at, pages=pages, expected=tally.changed)
            yield from self._emit(differences, tally, chain)
        finally:
            differences.close()

    def _scan(self, differences: Differences) -> int:
        """Take down what is there now; returns the number of pages."""
        pages = 0
        for page in self._pages(replace(self.query, select=self.key)):
            differences.scan(self._remembered(page.rows))
            pages += 1
        return pages

    def _check_deletions(self, tally: Tally) -> None:
        if tally.scanned == 0 and tally.known > 0:
            self.check_access(tally.known)
        allowed = max(_FEW_DELETIONS, self.max_delete_fraction * tally.known)
        if tally.gone > allowed:
            message = (
                f"{self.name}: {tally.gone} of {tally.known} rows seem to have been deleted, more "
                f"than max_delete_fraction ({self.max_delete_fraction:g}) allows; if that is "
                "right, raise it for one run or do a full refresh of the stream"
            )
            raise IntegrityError(message)

    def _emit(
        self,
        differences: Differences,
        tally: Tally,
        chain: Sequence[Link],
    ) -> Iterator[Portion]:
        keys = self._askable(differences.changed, tally.changed, tally.scanned)
        by_key = keys is not None
        how = f" ({'by key' if by_key else 'reading all'})" if tally.changed else ""
        differs = tally.changed or tally.gone
        _logger.log(
            logging.INFO if differs else logging.DEBUG,
            "%s: %d rows, %d new or changed%s, %d gone",
            *(self.name, tally.scanned, tally.changed, how, tally.gone),
        )
        journal = _Journal(self.folder, differences, list(chain))
        if tally.gone:
            deleted = self._confirmed(differences, tally)
            gone = [Remembered(key, None) for key in deleted]
            yield Portion(
                [],
                journal.state(gone),
                self.started_at,
                [self.codec.decode(key) for key in deleted],
            )
        if tally.changed:
            pages = self._pages(self.query) if keys is None else self._by_key(keys)
            for portion in self._fresh(pages, differences):
                yield replace(portion, state=journal.state(self._remembered(portion.rows)))
        yield self._closing(journal.close(), tally.scanned)

    def _fresh(self, pages: Iterator[Page], differences: Differences) -> Iterator[Portion]:
        """Rows that are not remembered yet, about a thousand at a time."""
        rows: list[Row] = []
        size_bytes = count = 0
        page: Page | None = None
        for page in pages:
            size_bytes, count = size_bytes + page.size_bytes, count + 1
            rows += [
                row
                for row, now in zip(page.rows, self._remembered(page.rows), strict=True)
                if not differences.is_known(now)
            ]
            page.rows.clear()
            if len(rows) >= _PORTION_ROWS:
                yield Portion(rows, {}, page.received_at, [], size_bytes, count)
                rows, size_bytes, count = [], 0, 0
        if rows and page is not None:
            yield Portion(rows, {}, page.received_at, [], size_bytes, count)

    def _by_key(self, keys: list[bytes]) -> Iterator[Page]:
        asked = set(keys)
        for page in self._asked_for(keys, self.query):
            # A wildcard in a key brings its neighbours along: they are as they were.
            wanted = [row for row in page.rows if self.codec.encode(row) in asked]
            yield replace(page, rows=wanted)

    def _confirmed(self, differences: Differences, tally: Tally) -> list[bytes]:
        """Those of the rows that seem to be gone that are not there when looked for once more.

        A row that moved during the scan may have been missed by it; telling a target to delete a
        living row is the one error that nobody would notice. They are asked for by key, or by a
        second scan where that is cheaper or a key cannot be asked for.
        """
        gone = differences.gone()
        query = replace(self.query, select=self.key)
        keys = self._askable(lambda: gone, tally.gone, tally.scanned)
        pages = self._pages(query) if keys is None else self._asked_for(keys, query)
        suspected = set(gone)
        for page in pages:
            suspected.difference_update(self.codec.encode(row) for row in page.rows)
        if missed := len(gone) - len(suspected):
            _logger.warning("%s: the scan missed %d rows that are there", self.name, missed)
        return [key for key in gone if key in suspected]

    def _asked_for(self, keys: list[bytes], query: Query) -> Iterator[Page]:
        rows = (self.codec.decode(key) for key in keys)
        return fetch_by_key(self.reader, query, self.environment_url, rows, self.form)

    def _askable(
        self, keys: Callable[[], list[bytes]], count: int, total: int
    ) -> list[bytes] | None:
        """``keys``, where asking for them is possible, and cheaper than reading all rows."""
        if not is_cheaper_by_key(count, total):
            return None
        found = keys()
        for key in found:
            literals = self.form.literals(self.codec.decode(key))
            if literals is None or not is_short_enough(self.query, self.form.equals(literals)):
                return None
        return found

    def _pages(self, query: Query) -> Iterator[Page]:
        by_key = self.form if self.page_by_key else None
        return read_full(self.reader, query, self.environment_url, self.key, by_key=by_key)

    def _closing(self, chain: Sequence[Link], rows: int) -> Portion:
        """No further rows; the state says that the partition has been read to its end."""
        state = {"snapshot": as_state(chain), "resume": None, "rows": rows}
        return Portion([], state, self.started_at, pages=0)

    def _remembered(self, rows: Sequence[Row]) -> list[Remembered]:
        remembered = [Remembered(self.codec.encode(row), row.get(ETAG)) for row in rows]
        if any(not isinstance(row.etag, str) for row in remembered):
            message = f"{self.name}: a row comes without an etag; use replication: full"
            raise DataError(message)
        return remembered


class _Journal:
    """Writes down what is handed over, and names the snapshot as it is then."""

    def __init__(self, folder: SnapshotFolder, differences: Differences, chain: list[Link]) -> None:
        self._folder = folder
        self._differences = differences
        self._chain = chain
        self._file: SnapshotFile | None = None
        self._link: Link | None = None

    def state(self, rows: list[Remembered]) -> dict[str, Any]:
        """Remember ``rows``; the entry of the state that covers them."""
        self._differences.remember(rows)
        self._file = self._file or self._folder.begin()
        self._link = self._file.append(rows)
        return {"snapshot": as_state([*self._chain, self._link])}

    def close(self) -> list[Link]:
        """The snapshot at the end of the run; a chain that became long is written as one file."""
        chain = [*self._chain, self._link] if self._link else self._chain
        if len(chain) <= _LONGEST_CHAIN:
            return chain
        file = self._folder.begin()
        link = file.append([])
        remembered = self._differences.remembered()
        while batch := list(islice(remembered, _ROWS_A_MEMBER)):
            link = file.append(batch)
        return [link]
