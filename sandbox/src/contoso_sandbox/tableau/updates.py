"""``PATCH …/data``: accept actions once, and apply them to a copy of the data, all or nothing."""

from __future__ import annotations

import shutil
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

from contoso_sandbox.tableau import errors
from contoso_sandbox.tableau.hyper_actions import (
    SOURCE,
    TARGET,
    parse_actions,
    to_steps,
)
from contoso_sandbox.tableau.hyper_conditions import ActionFailedError, ActionsMalformedError
from contoso_sandbox.tableau.hyperd import HyperError
from contoso_sandbox.tableau.jobs import Job, JobFailedError, JobType
from contoso_sandbox.tableau.times import from_rest, to_rest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from contoso_sandbox.tableau.backgrounder import Backgrounder
    from contoso_sandbox.tableau.datasource import Datasource
    from contoso_sandbox.tableau.datasources import Datasources
    from contoso_sandbox.tableau.hyper_conditions import Json
    from contoso_sandbox.tableau.hyperd import Hyperd, OpenFiles
    from contoso_sandbox.tableau.jobs import Jobs
    from contoso_sandbox.tableau.store import Database
    from contoso_sandbox.tableau.times import Clock
    from contoso_sandbox.tableau.uploads import Uploads

#: Default of ``api.server.extract-updates.max-size`` (server-client-python#987).
MAX_PAYLOAD_BYTES = 100 * 1024 * 1024
#: For how long the same ``RequestID`` means the same request.
REPLAY_WINDOW = timedelta(hours=24)
_PAYLOAD = "payload.hyper"


class Updates:
    """The door for update requests: replays, limits, and the job that each becomes."""

    def __init__(
        self, database: Database, clock: Clock, uploads: Uploads, jobs: Jobs, worker: Backgrounder
    ) -> None:
        """Create the table of replays where it is missing."""
        self._database = database
        self._clock = clock
        self._uploads = uploads
        self._jobs = jobs
        self._worker = worker
        database.create(
            "CREATE TABLE IF NOT EXISTS replay (datasource_id TEXT, request_id TEXT, job_id TEXT,"
            " accepted_at TEXT, PRIMARY KEY (datasource_id, request_id))"
        )

    def accept(
        self, item: Datasource, request_id: str, actions: Json, upload_session: str | None
    ) -> Job:
        """The job for a request: a new one, or the earlier one of the same ``request_id``.

        A repeated request is answered with the job of the first and is not executed again. (The
        documentation says that it is ignored; what exactly a real server answers is not known.)

        Raises:
            RestError: 400000 for a data source that is not live-to-Hyper, for no request id or
                malformed actions; 404015 for an unknown upload session; 413000 for a payload above
                the limit.
        """
        if not request_id:
            detail = "The header RequestID is missing."
            raise errors.bad_request(detail)
        with self._database.transaction():
            if (earlier := self._replayed(item, request_id)) is not None:
                return earlier
            self._check(item, actions, upload_session)
            job = Job(
                id=str(uuid.uuid4()),
                type=JobType.UPDATE,
                created_at=self._clock(),
                datasource_id=item.id,
                datasource_name=item.name,
                connection_id=item.connection_id,
                details={"request": actions, "payload": upload_session is not None},
            )
            if upload_session is not None:
                self._uploads.take(upload_session, self._jobs.folder(job.id) / _PAYLOAD)
            self._database.execute(
                "INSERT OR REPLACE INTO replay VALUES (?, ?, ?, ?)",
                (item.id, request_id, job.id, to_rest(self._clock())),
            )
            self._worker.submit(job)
        return job

    def _replayed(self, item: Datasource, request_id: str) -> Job | None:
        row = self._database.row(
            "SELECT * FROM replay WHERE datasource_id = ? AND request_id = ?",
            (item.id, request_id),
        )
        if row is None or from_rest(row["accepted_at"]) + REPLAY_WINDOW <= self._clock():
            return None
        return self._jobs.get(row["job_id"])

    def _check(self, item: Datasource, actions: Json, upload_session: str | None) -> None:
        if not item.live_to_hyper:
            detail = f"Data source '{item.name}' is not a live-to-Hyper connection."
            raise errors.bad_request(detail)
        try:
            parsed = parse_actions(actions)
        except ActionsMalformedError as error:
            detail = f"The update cannot be read: {error}."
            raise errors.bad_request(detail) from error
        if upload_session is None:
            if any(action.source_table is not None for action in parsed):
                detail = "The update names a source table but uploads no payload."
                raise errors.bad_request(detail)
        elif self._uploads.require(upload_session) > MAX_PAYLOAD_BYTES:
            detail = "The payload of an update may have at most 100 MB."
            raise errors.too_large(detail)


class Updater:
    """The work behind an update job."""

    def __init__(self, datasources: Datasources, jobs: Jobs, hyperd: Hyperd) -> None:
        """Wire it."""
        self._datasources = datasources
        self._jobs = jobs
        self._hyperd = hyperd

    def prepare(self, job: Job) -> Callable[[], Datasource]:
        """Apply the actions of a job to a copy, and return what puts the copy in place.

        Raises:
            JobFailedError: the actions do not fit the files, or hyperd refuses one of them.
            RestError: the data source has gone.
        """
        item = self._datasources.get(job.datasource_id)
        folder = self._jobs.folder(job.id)
        copy = folder / "target.hyper"
        shutil.copyfile(self._datasources.hyper_file(item), copy)
        files: dict[str, Path] = {TARGET: copy}
        if job.details["payload"]:
            files[SOURCE] = folder / _PAYLOAD
        try:
            with self._hyperd.open(**files) as opened:
                _apply(job, opened, has_payload=SOURCE in files)
        except ActionFailedError as error:
            raise JobFailedError(str(error), error.code) from error
        except (HyperError, ActionsMalformedError) as error:
            raise JobFailedError(str(error)) from error
        return lambda: self._datasources.save_data(self._datasources.get(item.id), copy)


def _apply(job: Job, files: OpenFiles, *, has_payload: bool) -> None:
    target = files.content(TARGET)
    source = files.content(SOURCE) if has_payload else None
    for action in parse_actions(job.details["request"]):
        for step in to_steps(action, target, source):
            if step.complaint is None:
                files.run(step.sql)
            elif files.has_rows(step.sql):
                raise ActionFailedError(step.complaint)
