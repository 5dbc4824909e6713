"""The published data sources of the site, and where their files lie.

Files are written once: every publish or update makes a new revision beside the old one, and the row
in the database says which one counts. A reader never sees half a file.
"""

from __future__ import annotations

import json
import re
import shutil
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from contoso_sandbox.tableau import errors
from contoso_sandbox.tableau.datasource import Datasource
from contoso_sandbox.tableau.times import from_rest, later, to_rest

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from contoso_sandbox.tableau.store import Database
    from contoso_sandbox.tableau.times import Clock

_NOT_IN_URLS = re.compile(r"[^\w-]")


class Datasources:
    """The data sources of the site and their files."""

    def __init__(self, database: Database, clock: Clock, directory: Path) -> None:
        """Create the table where it is missing; files lie in ``directory``."""
        self._database = database
        self._clock = clock
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        database.create(
            "CREATE TABLE IF NOT EXISTS datasource (id TEXT PRIMARY KEY, name TEXT,"
            " content_url TEXT UNIQUE, type TEXT, project_id TEXT, owner_id TEXT, description TEXT,"
            " tags TEXT, created_at TEXT, updated_at TEXT, size_bytes INTEGER, revision INTEGER,"
            " live_to_hyper INTEGER, connection_id TEXT, certified INTEGER,"
            " certification_note TEXT, UNIQUE (project_id, name))"
        )

    def all(self) -> list[Datasource]:
        """All data sources, in the order of their first publish."""
        return [_datasource(row) for row in self._database.rows(f"{_SELECT} ORDER BY d.rowid")]

    def get(self, datasource_id: str) -> Datasource:
        """The data source with that LUID.

        Raises:
            RestError: 404004, there is none.
        """
        row = self._database.row(f"{_SELECT} WHERE d.id = ?", (datasource_id,))
        if row is None:
            raise errors.datasource_unknown(datasource_id)
        return _datasource(row)

    def find(self, name: str, project_id: str) -> Datasource | None:
        """The data source of that name in a project, or ``None``."""
        row = self._database.row(
            f"{_SELECT} WHERE d.name = ? AND d.project_id = ?", (name, project_id)
        )
        return None if row is None else _datasource(row)

    def hyper_file(self, item: Datasource) -> Path:
        """Where the data of this revision lies. To be copied, never opened in place."""
        return self._folder(item.id) / f"{item.revision}.hyper"

    def package_file(self, item: Datasource) -> Path:
        """Where the .tdsx lies as it was published; its data may be older than `hyper_file`."""
        return self._folder(item.id) / "package.tdsx"

    def create(
        self, name: str, project_id: str, owner_id: str, *, kind: str, live_to_hyper: bool
    ) -> Datasource:
        """A new data source without data; `save` it with its first revision."""
        now = later(self._clock(), None)
        return Datasource(
            id=str(uuid.uuid4()),
            name=name,
            content_url=self._free_content_url(name),
            type=kind,
            project="",
            project_id=project_id,
            owner_id=owner_id,
            description="",
            tags=(),
            created_at=now,
            updated_at=now,
            size_bytes=0,
            revision=0,
            live_to_hyper=live_to_hyper,
            connection_id=str(uuid.uuid4()),
        )

    def save_data(self, item: Datasource, hyper: Path, package: Path | None = None) -> Datasource:
        """Make ``hyper`` the next revision of ``item``, which may be new; the files are moved.

        Earlier revisions go when the row is safe, not before.
        """
        folder = self._folder(item.id)
        folder.mkdir(exist_ok=True)
        next_one = replace(
            item,
            revision=item.revision + 1,
            size_bytes=hyper.stat().st_size,
            updated_at=later(self._clock(), item.updated_at if item.revision else None),
        )
        shutil.move(hyper, self.hyper_file(next_one))
        if package is not None:
            shutil.move(package, self.package_file(next_one))
        self.save(next_one)
        self._database.after_commit(lambda: self._remove_stale(next_one))
        return self.get(item.id)

    def save(self, item: Datasource) -> None:
        """Write the row of ``item``.

        Raises:
            RestError: 403007, another data source of the project has the name.
        """
        taken = self.find(item.name, item.project_id)
        if taken is not None and taken.id != item.id:
            raise errors.datasource_exists(item.name)
        self._database.execute(
            "INSERT INTO datasource VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
            " ON CONFLICT (id) DO UPDATE SET name = excluded.name, type = excluded.type,"
            " project_id = excluded.project_id, description = excluded.description,"
            " tags = excluded.tags, updated_at = excluded.updated_at,"
            " size_bytes = excluded.size_bytes, revision = excluded.revision,"
            " live_to_hyper = excluded.live_to_hyper, certified = excluded.certified,"
            " certification_note = excluded.certification_note",
            (
                item.id,
                item.name,
                item.content_url,
                item.type,
                item.project_id,
                item.owner_id,
                item.description,
                json.dumps(item.tags),
                to_rest(item.created_at),
                to_rest(item.updated_at),
                item.size_bytes,
                item.revision,
                int(item.live_to_hyper),
                item.connection_id,
                int(item.certified),
                item.certification_note,
            ),
        )

    def delete(self, item: Datasource) -> None:
        """Remove a data source and its files."""
        self._database.execute("DELETE FROM datasource WHERE id = ?", (item.id,))
        shutil.rmtree(self._folder(item.id), ignore_errors=True)

    def _remove_stale(self, item: Datasource) -> None:
        keep = {self.hyper_file(item)}
        if item.type == "tdsx":
            keep.add(self.package_file(item))
        for path in self._folder(item.id).iterdir():
            if path not in keep:
                path.unlink()

    def _folder(self, datasource_id: str) -> Path:
        return self._directory / datasource_id

    def _free_content_url(self, name: str) -> str:
        wanted = _NOT_IN_URLS.sub("", name.replace(" ", "")) or "datasource"
        taken = {item.content_url for item in self.all()}
        number, candidate = 0, wanted
        while candidate in taken:
            number += 1
            candidate = f"{wanted}_{number}"
        return candidate


_SELECT = (
    "SELECT d.*, p.name AS project FROM datasource AS d JOIN project AS p ON p.id = d.project_id"
)


def _datasource(row: sqlite3.Row) -> Datasource:
    return Datasource(
        id=row["id"],
        name=row["name"],
        content_url=row["content_url"],
        type=row["type"],
        project=row["project"],
        project_id=row["project_id"],
        owner_id=row["owner_id"],
        description=row["description"],
        tags=tuple(json.loads(row["tags"])),
        created_at=from_rest(row["created_at"]),
        updated_at=from_rest(row["updated_at"]),
        size_bytes=row["size_bytes"],
        revision=row["revision"],
        live_to_hyper=bool(row["live_to_hyper"]),
        connection_id=row["connection_id"],
        certified=bool(row["certified"]),
        certification_note=row["certification_note"],
    )
