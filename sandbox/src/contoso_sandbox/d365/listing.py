"""Remember the order of long listings, so that page 90 costs what page 1 costs.

Paging is positional (``$skip``): without a memory every page of a million rows would sort the
million again (0.7 s measured, against 0.06 s to write 10,000 rows). A listing is the row ids of one
query in order. It is valid for exactly one state of its table: a fingerprint over all row ids and
row versions, 4 ms for a million rows, tells whether anything was inserted, deleted or updated. Rows
move between pages when the data changes under the walk: that is F&O's behaviour, and is kept.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING

from contoso_sandbox.d365.sqltext import identifier
from contoso_sandbox.model import ETAG_TAIL, REC_ID, REC_VERSION

if TYPE_CHECKING:
    from collections.abc import Hashable

    from duckdb import DuckDBPyConnection

    from contoso_sandbox.d365.filters.sql import Condition
    from contoso_sandbox.model import EntitySet

#: Row ids kept over all listings, 8 bytes each.
_CAPACITY = 8_000_000
_MOST_LISTINGS = 64


class Listings:
    """Ordered row ids by query, least recently used first; safe to share between threads."""

    def __init__(self, capacity: int = _CAPACITY) -> None:
        """Hold at most ``capacity`` row ids (always the latest listing, however long)."""
        self._capacity = capacity
        self._kept: OrderedDict[Hashable, tuple[tuple[int, int], array[int]]] = OrderedDict()
        self._lock = Lock()
        self._building: dict[Hashable, Lock] = {}

    def rows(
        self, cursor: DuckDBPyConnection, entity_set: EntitySet, condition: Condition, order: str
    ) -> array[int]:
        """Return the row ids that match ``condition``, ordered by the SQL ``order``.

        Call it inside the transaction that reads the rows: row ids mean nothing outside it.
        """
        key = (entity_set.name, condition, order)
        with self._lock:
            building = self._building.setdefault(key, Lock())
        with building:  # workers that walk the same listing build it once
            now = _fingerprint(cursor, entity_set)
            with self._lock:
                state, rows = self._kept.get(key, (None, array("q")))
            if state != now:
                rows = _list(cursor, entity_set, condition, order)
            self._keep(key, now, rows)
        return rows

    def _keep(self, key: Hashable, state: tuple[int, int], rows: array[int]) -> None:
        with self._lock:
            self._kept[key] = (state, rows)
            self._kept.move_to_end(key)
            while len(self._kept) > 1 and self._is_full():
                dropped, _ = self._kept.popitem(last=False)
                self._building.pop(dropped, None)

    def _is_full(self) -> bool:
        rows = sum(len(rows) for _, rows in self._kept.values())
        return rows > self._capacity or len(self._kept) > _MOST_LISTINGS


def _fingerprint(cursor: DuckDBPyConnection, entity_set: EntitySet) -> tuple[int, int]:
    columns = ["rowid", identifier(REC_ID), identifier(REC_VERSION)]
    if entity_set.sources > 1:
        columns.append(identifier(ETAG_TAIL))
    row = cursor.execute(
        f"SELECT count(*), bit_xor(hash({', '.join(columns)})) FROM {identifier(entity_set.name)}"  # noqa: S608 - own names
    ).fetchone()
    count, mixed = row or (0, 0)
    return int(count), int(mixed or 0)


def _list(
    cursor: DuckDBPyConnection, entity_set: EntitySet, condition: Condition, order: str
) -> array[int]:
    # One LIST value instead of a million result rows: 0.35 s instead of 0.5 s.
    row = cursor.execute(
        f"SELECT list(rid) FROM (SELECT t.rowid AS rid FROM {identifier(entity_set.name)} t"  # noqa: S608 - own names
        f" WHERE {condition.sql} ORDER BY {order})",
        condition.parameters,
    ).fetchone()
    return array("q", row[0] or ()) if row else array("q")
