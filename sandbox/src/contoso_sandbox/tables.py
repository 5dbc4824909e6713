"""Rows of any environment: tables made, rows added, changed and removed one by one.

Every change leaves the traces that F&O's would: a new RecId with RecVersion 1 at an insert, another
RecVersion at an update (a random number there, not a counter), and modified times where the set
publishes them.
"""

from __future__ import annotations

import secrets
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from contoso_sandbox.d365.sqltext import identifier, text
from contoso_sandbox.model import ABSENT, ETAG_TAIL, REC_ID, REC_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from duckdb import DuckDBPyConnection

    from contoso_sandbox.model import EntitySet, Environment, Property

#: The first RecId that F&O gives.
_FIRST_REC_ID = 5_637_144_576
_LARGEST_VERSION = 2**31 - 1
_MODIFIED = "SysModifiedDateTime"
_CREATED = "SysCreatedDateTime"
_PUBLISHED_VERSION = "SysRecVersion"
_PUBLISHED_REC_ID = "SourceKey"


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0)


def _random_version() -> int:
    return 2 + secrets.randbelow(_LARGEST_VERSION - 1)


class Tables:
    """The tables behind an environment's entity sets."""

    def __init__(
        self,
        environment: Environment,
        cursor: Callable[[], DuckDBPyConnection],
        *,
        now: Callable[[], datetime] = _now,
        version: Callable[[], int] = _random_version,
    ) -> None:
        """Work on a database.

        Args:
            environment: What the tables hold.
            cursor: Makes a cursor, which is closed after each change.
            now: The instant, in UTC and without a zone, that modified times get.
            version: Draws the RecVersion of a changed row.
        """
        self._environment = environment
        self._cursor = cursor
        self._now = now
        self._version = version

    def create(self) -> None:
        """Make an empty table for every set."""
        with closing(self._cursor()) as cursor:
            for entity_set in self._environment.entity_sets.values():
                cursor.execute(self._ddl(entity_set))

    def insert(self, entity_set: str, values: Mapping[str, object]) -> None:
        """Add one row; what ``values`` does not name is absent, as F&O stores it.

        Raises:
            LookupError: The set, or a property, does not exist.
        """
        found = self._set(entity_set)
        columns = self._columns(found, values)
        table = identifier(entity_set)
        with closing(self._cursor()) as cursor:
            row = cursor.execute(
                f"SELECT coalesce(max({REC_ID}) + 1, {_FIRST_REC_ID}) FROM {table}"  # noqa: S608 - own names
            ).fetchone()
            rec_id = row[0] if row else _FIRST_REC_ID
            automatic = {_PUBLISHED_REC_ID: rec_id, _PUBLISHED_VERSION: 1}
            automatic |= dict.fromkeys((_CREATED, _MODIFIED), self._now())
            published = {p.name: p.column for p in found.properties}
            for name, value in automatic.items():
                if name in published and name not in values:
                    columns[published[name]] = value
            columns |= {REC_ID: rec_id, REC_VERSION: 1}
            names = ", ".join(map(identifier, columns))
            marks = ", ".join("?" * len(columns))
            cursor.execute(
                f"INSERT INTO {table} ({names}) VALUES ({marks})",  # noqa: S608 - own names
                list(columns.values()),
            )

    def change(
        self, entity_set: str, key: Mapping[str, object], values: Mapping[str, object]
    ) -> None:
        """Set properties of one row, and give it another RecVersion.

        Raises:
            LookupError: The set, a property or the row does not exist, or the key fits several.
        """
        found = self._set(entity_set)
        version = self._version()
        columns = self._columns(found, values)
        published = {p.name: p.column for p in found.properties}
        for name, value in ((_MODIFIED, self._now()), (_PUBLISHED_VERSION, version)):
            if name in published and name not in values:
                columns[published[name]] = value
        columns[REC_VERSION] = version
        assignments = ", ".join(f"{identifier(name)} = ?" for name in columns)
        update = f"UPDATE {identifier(entity_set)} SET {assignments}"  # noqa: S608 - own names
        self._one(found, update, columns, key)

    def delete(self, entity_set: str, key: Mapping[str, object]) -> None:
        """Remove one row.

        Raises:
            LookupError: The set or the row does not exist, or the key fits several.
        """
        found = self._set(entity_set)
        self._one(found, f"DELETE FROM {identifier(entity_set)}", {}, key)  # noqa: S608 - own names

    def _one(
        self,
        entity_set: EntitySet,
        statement: str,
        columns: Mapping[str, object],
        key: Mapping[str, object],
    ) -> None:
        conditions = self._columns(entity_set, key)
        where = " AND ".join(f"{identifier(name)} IS NOT DISTINCT FROM ?" for name in conditions)
        with closing(self._cursor()) as cursor:
            cursor.execute("BEGIN")
            row = cursor.execute(
                f"{statement} WHERE {where}", [*columns.values(), *conditions.values()]
            ).fetchone()
            struck = row[0] if row else 0
            cursor.execute("COMMIT" if struck == 1 else "ROLLBACK")
        if struck != 1:
            message = f"{struck} rows of {entity_set.name} have the key {dict(key)}"
            raise LookupError(message)

    def _set(self, name: str) -> EntitySet:
        found = self._environment.entity_sets.get(name)
        if found is None:
            message = f"there is no entity set {name!r}"
            raise LookupError(message)
        return found

    def _columns(self, entity_set: EntitySet, values: Mapping[str, object]) -> dict[str, object]:
        columns = {p.name: p.column for p in entity_set.properties}
        if unknown := values.keys() - columns.keys():
            message = f"{entity_set.name} has no property {', '.join(sorted(unknown))}"
            raise LookupError(message)
        return {columns[name]: value for name, value in values.items()}

    def _ddl(self, entity_set: EntitySet) -> str:
        columns = [f"{REC_ID} BIGINT", f"{REC_VERSION} BIGINT DEFAULT 1"]
        if entity_set.sources > 1:
            columns.append(f"{ETAG_TAIL} VARCHAR DEFAULT {text(';0,0' * (entity_set.sources - 1))}")
        columns += [self._column(column) for column in entity_set.properties]
        return f"CREATE TABLE {identifier(entity_set.name)} ({', '.join(columns)})"

    def _column(self, column: Property) -> str:
        if column.enum is None:
            absent = ABSENT[column.ax_type]
        else:
            absent = text(self._environment.enums[column.enum].members[0][0])
        return f"{identifier(column.column)} {column.sql_type} DEFAULT {absent}"
