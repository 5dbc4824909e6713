"""Jobs: what the server does in the background, and how it tells of it.

A job is pending, then running, then done; ``completedAt`` is the only sign of the end, for
``finishCode`` is ``1`` all the while before (recorded in ``job_get_by_id_inprogress.xml`` of
tableauserverclient and seen live with ``asJob`` publishes).
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from contoso_sandbox.tableau import errors
from contoso_sandbox.tableau.responses import Element
from contoso_sandbox.tableau.times import from_rest, to_rest

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from contoso_sandbox.tableau.listing import Fields
    from contoso_sandbox.tableau.store import Database
    from contoso_sandbox.tableau.times import Clock

SUCCESS, FAILED, CANCELLED = 0, 1, 2


class JobFailedError(Exception):
    """A job cannot be done; its notes say what the message says."""

    def __init__(self, note: str = "", code: str | None = None) -> None:
        """Note what the job will tell."""
        super().__init__(note)
        self.note = note
        self.code = code


class JobType(StrEnum):
    """Kinds of jobs, as ``type`` names them. The XSD's list lacks the third."""

    PUBLISH = "PublishDatasource"
    REFRESH = "RefreshExtract"
    UPDATE = "UpdateUploadedFile"


@dataclass(frozen=True, slots=True)
class Job:
    """A job.

    Attributes:
        finish_code: ``0`` success, ``1`` failure, ``2`` cancelled; ``None`` while it is not done.
        notes: What a failed job says of the reason; often nothing.
        error_code: Code that goes with the notes, where there is one.
        datasource_id: What it works on; ``""`` for a publish, which does not tell. A refresh may
            work on a workbook, as :attr:`subject` says.
        details: What the worker needs to know.
    """

    id: str
    type: JobType
    created_at: datetime
    datasource_id: str = ""
    datasource_name: str = ""
    connection_id: str = ""
    details: Mapping[str, object] = field(default_factory=dict)
    started_at: datetime | None = None
    completed_at: datetime | None = None
    finish_code: int | None = None
    notes: tuple[str, ...] = ()
    error_code: str | None = None

    @property
    def status(self) -> str:
        """The state as the list of jobs names it."""
        if self.finish_code is not None:
            return {SUCCESS: "Success", FAILED: "Failed", CANCELLED: "Cancelled"}[self.finish_code]
        return "Pending" if self.started_at is None else "InProgress"

    @property
    def subject(self) -> str:
        """Whether it works on a ``datasource`` or a ``workbook``."""
        return str(self.details.get("subject", "datasource"))

    def accepted(self) -> Element:
        """The ``job`` element that answers the request which created it."""
        publish = {"progress": 0} if self.type is JobType.PUBLISH else {}
        code = {"finishCode": FAILED} if self.type is JobType.PUBLISH else {}
        return Element(
            "job",
            {
                "id": self.id,
                "mode": "Asynchronous",
                "type": self.type,
                **publish,
                "createdAt": self.created_at,
                **code,
            },
            self._subject(),
        )

    def element(self) -> Element:
        """The ``job`` element of Query Job."""
        done = self.finish_code is not None
        children: tuple[Element, ...] = ()
        if self.type is JobType.PUBLISH and self.notes:
            notes = tuple(
                Element("statusNote", {"type": "errorCode", "value": self.error_code, "text": note})
                for note in self.notes
            )
            children = (Element("statusNotes", items=notes),)
        return Element(
            "job",
            {
                "id": self.id,
                "mode": "Asynchronous",
                "type": self.type,
                "progress": 100 if done else 0,
                "createdAt": self.created_at,
                "startedAt": self.started_at,
                "updatedAt": self.completed_at or self.started_at or self.created_at,
                "completedAt": self.completed_at,
                "finishCode": self.finish_code if done else FAILED,
            },
            (*children, *self._subject()),
        )

    def background_element(self) -> Element:
        """The ``backgroundJob`` element of the list of jobs."""
        return Element(
            "backgroundJob",
            {
                "id": self.id,
                "status": self.status,
                "createdAt": self.created_at,
                "startedAt": self.started_at,
                "endedAt": self.completed_at,
                "priority": 50,
                "jobType": self.type,
                "title": self.datasource_name,
            },
        )

    def _subject(self) -> tuple[Element, ...]:
        if self.type is JobType.PUBLISH:
            return ()
        text = "\n".join(self.notes)
        if self.error_code is not None:
            text = f"errorCode={self.error_code} {text}"
        notes = (Element("notes", text=text),) if self.notes else ()
        item = Element(self.subject, {"id": self.datasource_id, "name": self.datasource_name})
        if self.type is JobType.REFRESH:
            return (Element("extractRefreshJob", {}, (*notes, item)),)
        connection = Element("connectionLuid", text=self.connection_id)
        return (Element("updateUploadedFileJob", {}, (item, connection, *notes)),)


#: What ``filter=`` and ``sort=`` know of jobs.
JOB_FIELDS: Fields[Job] = {
    "createdAt": lambda job: job.created_at,
    "completedAt": lambda job: job.completed_at,
    "startedAt": lambda job: job.started_at,
    "jobType": lambda job: job.type.value,
    "status": lambda job: job.status,
    "title": lambda job: job.datasource_name,
}


class Jobs:
    """The jobs of the site, and a folder of files for each that is not done."""

    def __init__(self, database: Database, clock: Clock, directory: Path) -> None:
        """Create the table where it is missing."""
        self._database = database
        self._clock = clock
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        database.create(
            "CREATE TABLE IF NOT EXISTS job (id TEXT PRIMARY KEY, type TEXT, created_at TEXT,"
            " datasource_id TEXT, datasource_name TEXT, connection_id TEXT, details TEXT,"
            " started_at TEXT, completed_at TEXT, finish_code INTEGER, notes TEXT, error_code TEXT)"
        )

    def all(self) -> list[Job]:
        """All jobs, oldest first."""
        return [_job(row) for row in self._database.rows("SELECT * FROM job ORDER BY rowid")]

    def get(self, job_id: str) -> Job:
        """The job with that id.

        Raises:
            RestError: 404031, there is none.
        """
        row = self._database.row("SELECT * FROM job WHERE id = ?", (job_id,))
        if row is None:
            raise errors.job_unknown(job_id)
        return _job(row)

    def folder(self, job_id: str) -> Path:
        """Where the files of a job wait for it."""
        folder = self._directory / job_id
        folder.mkdir(exist_ok=True)
        return folder

    def add(self, job: Job) -> None:
        """Put a job into the queue."""
        self._database.execute(
            "INSERT INTO job (id, type, created_at, datasource_id, datasource_name, connection_id,"
            " details, notes) VALUES (?, ?, ?, ?, ?, ?, ?, '[]')",
            (
                job.id,
                job.type,
                to_rest(job.created_at),
                job.datasource_id,
                job.datasource_name,
                job.connection_id,
                json.dumps(dict(job.details)),
            ),
        )

    def start(self, job_id: str) -> bool:
        """Note that a job runs; ``False`` when it was cancelled before."""
        return bool(
            self._database.execute(
                "UPDATE job SET started_at = ? WHERE id = ? AND finish_code IS NULL",
                (to_rest(self._clock()), job_id),
            )
        )

    def finish(self, job_id: str, code: int, note: str = "", error_code: str | None = None) -> bool:
        """Note how a job ended; ``False`` when it had ended before, by cancelling."""
        ended = self._database.execute(
            "UPDATE job SET completed_at = ?, finish_code = ?, notes = ?, error_code = ?"
            " WHERE id = ? AND finish_code IS NULL",
            (
                to_rest(self._clock()),
                code,
                json.dumps([note] if note else []),
                error_code,
                job_id,
            ),
        )
        self._database.after_commit(
            lambda: shutil.rmtree(self._directory / job_id, ignore_errors=True)
        )
        return bool(ended)


def _job(row: sqlite3.Row) -> Job:
    return Job(
        id=row["id"],
        type=JobType(row["type"]),
        created_at=from_rest(row["created_at"]),
        datasource_id=row["datasource_id"],
        datasource_name=row["datasource_name"],
        connection_id=row["connection_id"],
        details=json.loads(row["details"]),
        started_at=from_rest(row["started_at"]) if row["started_at"] else None,
        completed_at=from_rest(row["completed_at"]) if row["completed_at"] else None,
        finish_code=row["finish_code"],
        notes=tuple(json.loads(row["notes"])),
        error_code=row["error_code"],
    )
