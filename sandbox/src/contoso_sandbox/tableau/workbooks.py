"""The workbooks of the site: what they are connected to, and what their own extracts have seen.

A workbook comes into being through :meth:`Workbooks.add` alone: the simulator takes no ``.twbx``.
It is connected to published data sources. With an extract of its own it shows what these held at
its last refresh; without one it is live, and there is nothing to refresh in it.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contoso_sandbox.tableau import errors
from contoso_sandbox.tableau.responses import Element
from contoso_sandbox.tableau.times import from_rest, later, to_rest

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from contoso_sandbox.tableau.datasource import Datasource
    from contoso_sandbox.tableau.listing import Fields
    from contoso_sandbox.tableau.store import Database
    from contoso_sandbox.tableau.times import Clock

_NOT_IN_URLS = re.compile(r"[^\w-]")


@dataclass(frozen=True, slots=True)
class Workbook:
    """A published workbook.

    Attributes:
        project: Name of its project.
        extract: Whether it keeps an extract of its own, which can be refreshed.
        datasources: LUIDs of the data sources that it is connected to.
        seen: Revision of each of them that its extract was made from; empty before the first
            refresh.
        updated_at: Strictly later after every refresh, in whole seconds.
    """

    id: str
    name: str
    content_url: str
    project: str
    project_id: str
    owner_id: str
    extract: bool
    datasources: tuple[str, ...]
    seen: Mapping[str, int]
    created_at: datetime
    updated_at: datetime

    def element(self, base_url: str = "") -> Element:
        """The ``workbook`` element of the workbook endpoints."""
        return Element(
            "workbook",
            {
                "id": self.id,
                "name": self.name,
                "description": "",
                "contentUrl": self.content_url,
                "webpageUrl": f"{base_url}/#/workbooks/{self.content_url}",
                "showTabs": "true",
                "size": 1,
                "createdAt": self.created_at,
                "updatedAt": self.updated_at,
                "encryptExtracts": "false",
                "hasExtracts": self.extract,
            },
            (
                Element("project", {"id": self.project_id, "name": self.project}),
                Element("owner", {"id": self.owner_id}),
                Element("tags", items=()),
            ),
        )


#: What ``filter=`` and ``sort=`` know of workbooks.
WORKBOOK_FIELDS: Fields[Workbook] = {
    "name": lambda item: item.name,
    "contentUrl": lambda item: item.content_url,
    "createdAt": lambda item: item.created_at,
    "hasExtracts": lambda item: item.extract,
    "projectName": lambda item: item.project,
    "updatedAt": lambda item: item.updated_at,
}


def connection(item: Datasource) -> Element:
    """A workbook's ``connection`` element to a published data source.

    Its type is ``sqlproxy``: the server stands between (seen in tableau/server-client-python, issue
    703).
    """
    attributes = {
        "id": str(uuid.uuid5(uuid.UUID(item.id), "sqlproxy")),
        "type": "sqlproxy",
        "serverAddress": "localhost",
        "serverPort": "443",
        "userName": "",
    }
    return Element("connection", {**attributes, "embedPassword": False}, (item.reference(),))


class Workbooks:
    """The workbooks of the site."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Create the table where it is missing."""
        self._database = database
        self._clock = clock
        database.create(
            "CREATE TABLE IF NOT EXISTS workbook (id TEXT PRIMARY KEY, name TEXT, content_url TEXT,"
            " project_id TEXT, owner_id TEXT, extract INTEGER, datasources TEXT, seen TEXT,"
            " created_at TEXT, updated_at TEXT, UNIQUE (project_id, name))"
        )

    def all(self) -> list[Workbook]:
        """All workbooks, in the order of their creation."""
        return [_workbook(row) for row in self._database.rows(f"{_SELECT} ORDER BY w.rowid")]

    def get(self, workbook_id: str) -> Workbook:
        """The workbook with that LUID.

        Raises:
            RestError: 404006, there is none.
        """
        row = self._database.row(f"{_SELECT} WHERE w.id = ?", (workbook_id,))
        if row is None:
            raise errors.workbook_unknown(workbook_id)
        return _workbook(row)

    def add(
        self,
        name: str,
        project_id: str,
        owner_id: str,
        datasources: Sequence[Datasource],
        *,
        extract: bool,
    ) -> Workbook:
        """Add a workbook that is connected to ``datasources``."""
        workbook_id, now = str(uuid.uuid4()), to_rest(self._clock())
        self._database.execute(
            "INSERT INTO workbook VALUES (?, ?, ?, ?, ?, ?, ?, '{}', ?, ?)",
            (
                workbook_id,
                name,
                _NOT_IN_URLS.sub("", name) or "workbook",
                project_id,
                owner_id,
                int(extract),
                json.dumps([item.id for item in datasources]),
                now,
                now,
            ),
        )
        return self.get(workbook_id)

    def refreshed(self, item: Workbook, seen: Mapping[str, int]) -> None:
        """Note what the workbook's extract was made from."""
        self._database.execute(
            "UPDATE workbook SET seen = ?, updated_at = ? WHERE id = ?",
            (json.dumps(dict(seen)), to_rest(later(self._clock(), item.updated_at)), item.id),
        )

    def delete(self, item: Workbook) -> None:
        """Remove a workbook."""
        self._database.execute("DELETE FROM workbook WHERE id = ?", (item.id,))


_SELECT = "SELECT w.*, p.name AS project FROM workbook w JOIN project p ON p.id = w.project_id"


def _workbook(row: sqlite3.Row) -> Workbook:
    return Workbook(
        id=row["id"],
        name=row["name"],
        content_url=row["content_url"],
        project=row["project"],
        project_id=row["project_id"],
        owner_id=row["owner_id"],
        extract=bool(row["extract"]),
        datasources=tuple(json.loads(row["datasources"])),
        seen=json.loads(row["seen"]),
        created_at=from_rest(row["created_at"]),
        updated_at=from_rest(row["updated_at"]),
    )
