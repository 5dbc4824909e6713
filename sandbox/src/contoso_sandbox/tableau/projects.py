"""Projects: the folders of the site, nested, each holding data sources."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contoso_sandbox.tableau import errors
from contoso_sandbox.tableau.responses import Element
from contoso_sandbox.tableau.times import from_rest, to_rest

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from contoso_sandbox.tableau.listing import Fields
    from contoso_sandbox.tableau.payloads import Node
    from contoso_sandbox.tableau.store import Database
    from contoso_sandbox.tableau.times import Clock

#: The project that every site has.
DEFAULT_PROJECT = "default"


@dataclass(frozen=True, slots=True)
class Project:
    """A project; names are unique among siblings only."""

    id: str
    name: str
    description: str
    parent_id: str | None
    owner_id: str
    created_at: datetime
    updated_at: datetime

    def element(self) -> Element:
        """The ``project`` element of the project endpoints."""
        return Element(
            "project",
            {
                "id": self.id,
                "name": self.name,
                "description": self.description,
                "createdAt": self.created_at,
                "updatedAt": self.updated_at,
                "contentPermissions": "ManagedByOwner",
                "parentProjectId": self.parent_id,
                "topLevelProject": self.parent_id is None,
                "writeable": True,
            },
            (Element("owner", {"id": self.owner_id}),),
        )


#: What ``filter=`` and ``sort=`` know of projects.
PROJECT_FIELDS: Fields[Project] = {
    "name": lambda project: project.name,
    "createdAt": lambda project: project.created_at,
    "updatedAt": lambda project: project.updated_at,
    "parentProjectId": lambda project: project.parent_id,
    "topLevelProject": lambda project: project.parent_id is None,
}


class Projects:
    """The projects of the site."""

    def __init__(self, database: Database, clock: Clock, owner_id: str) -> None:
        """Create the table and the default project where they are missing."""
        self._database = database
        self._clock = clock
        database.create(
            "CREATE TABLE IF NOT EXISTS project (id TEXT PRIMARY KEY, name TEXT, description TEXT,"
            " parent_id TEXT, owner_id TEXT, created_at TEXT, updated_at TEXT)"
        )
        if not self.all():
            self._insert(DEFAULT_PROJECT, "The default project", None, owner_id)

    def all(self) -> list[Project]:
        """All projects, in the order of their creation."""
        return [
            _project(row) for row in self._database.rows("SELECT * FROM project ORDER BY rowid")
        ]

    def get(self, project_id: str) -> Project:
        """The project with that LUID.

        Raises:
            RestError: 404005, there is none.
        """
        row = self._database.row("SELECT * FROM project WHERE id = ?", (project_id,))
        if row is None:
            raise errors.project_unknown(project_id)
        return _project(row)

    def default(self) -> Project:
        """The project that a publish request without a project means."""
        return next(p for p in self.all() if p.name == DEFAULT_PROJECT and p.parent_id is None)

    def create(self, request: Node, owner_id: str) -> Project:
        """Create what a ``project`` element describes.

        Raises:
            RestError: 400000 without a name, 404005 for an unknown parent, 409006 for a taken name.
        """
        name, parent_id = request.get("name"), request.get("parentProjectId") or None
        if not name:
            detail = "A project needs a name."
            raise errors.bad_request(detail)
        with self._database.transaction():
            if parent_id is not None:
                self.get(parent_id)
            self._refuse_taken(name, parent_id)
            return self._insert(name, request.get("description") or "", parent_id, owner_id)

    def update(self, project_id: str, request: Node) -> Project:
        """Change name, description or parent; what ``request`` does not name stays.

        tableauserverclient's ``projects.get_by_id`` is an update that names nothing.

        Raises:
            RestError: 404005 for an unknown project or parent, 409006 for a taken name.
        """
        with self._database.transaction():
            old = self.get(project_id)
            if not request.attributes:
                return old
            name = request.get("name") or old.name
            parent_id = request.attributes.get("parentProjectId", old.parent_id) or None
            if parent_id is not None:
                self.get(parent_id)
            if (name, parent_id) != (old.name, old.parent_id):
                self._refuse_taken(name, parent_id)
            self._database.execute(
                "UPDATE project SET name = ?, description = ?, parent_id = ?, updated_at = ?"
                " WHERE id = ?",
                (
                    name,
                    request.attributes.get("description", old.description),
                    parent_id,
                    to_rest(self._clock()),
                    project_id,
                ),
            )
            return self.get(project_id)

    def tree(self, project_id: str) -> list[str]:
        """LUIDs of the project and of every project below it."""
        found = [project_id]
        for parent_id in found:  # grows while it is walked
            found.extend(project.id for project in self.all() if project.parent_id == parent_id)
        return found

    def delete(self, project_ids: list[str]) -> None:
        """Remove projects; the caller removes what they hold."""
        with self._database.transaction():
            for project_id in project_ids:
                self._database.execute("DELETE FROM project WHERE id = ?", (project_id,))

    def _refuse_taken(self, name: str, parent_id: str | None) -> None:
        if any(p.name == name and p.parent_id == parent_id for p in self.all()):
            raise errors.project_exists(name)

    def _insert(self, name: str, description: str, parent_id: str | None, owner_id: str) -> Project:
        project_id, now = str(uuid.uuid4()), to_rest(self._clock())
        self._database.execute(
            "INSERT INTO project VALUES (?, ?, ?, ?, ?, ?, ?)",
            (project_id, name, description, parent_id, owner_id, now, now),
        )
        return self.get(project_id)


def _project(row: sqlite3.Row) -> Project:
    return Project(
        row["id"],
        row["name"],
        row["description"],
        row["parent_id"],
        row["owner_id"],
        from_rest(row["created_at"]),
        from_rest(row["updated_at"]),
    )
