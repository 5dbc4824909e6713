"""Publishing with ``asJob=true``: the request that waits, and the work behind it."""

from __future__ import annotations

import shutil
import uuid
from typing import TYPE_CHECKING

from contoso_sandbox.tableau.errors import RestError, datasource_exists
from contoso_sandbox.tableau.jobs import Job, JobFailedError, JobType
from contoso_sandbox.tableau.publishing import Mode, Publication

if TYPE_CHECKING:
    from collections.abc import Callable

    from contoso_sandbox.tableau.backgrounder import Backgrounder
    from contoso_sandbox.tableau.datasource import Datasource
    from contoso_sandbox.tableau.jobs import Jobs
    from contoso_sandbox.tableau.publishing import Publisher
    from contoso_sandbox.tableau.times import Clock

_FILE = "incoming"
_NAME_TAKEN = datasource_exists("").code


def accept(publication: Publication, jobs: Jobs, worker: Backgrounder, clock: Clock) -> Job:
    """Put a publication into the queue; its file is moved to the job's folder."""
    job_id = str(uuid.uuid4())
    shutil.move(publication.file, jobs.folder(job_id) / _FILE)
    job = Job(
        id=job_id,
        type=JobType.PUBLISH,
        created_at=clock(),
        datasource_name=publication.name,
        details={
            "kind": publication.kind,
            "name": publication.name,
            "project_id": publication.project_id,
            "owner_id": publication.owner_id,
            "description": publication.description,
            "mode": publication.mode,
        },
    )
    worker.submit(job)
    return job


class PublishWork:
    """Does publish jobs."""

    def __init__(self, publisher: Publisher, jobs: Jobs) -> None:
        """Wire it."""
        self._publisher = publisher
        self._jobs = jobs

    def prepare(self, job: Job) -> Callable[[], Datasource]:
        """Examine the file of a job, and return what publishes it.

        Raises:
            JobFailedError: without notes, because the name is taken (seen live with ``asJob``).
            RestError: the file is unusable.
        """
        details = job.details
        description = details["description"]
        publication = Publication(
            file=self._jobs.folder(job.id) / _FILE,
            kind=str(details["kind"]),
            name=str(details["name"]),
            project_id=str(details["project_id"]),
            owner_id=str(details["owner_id"]),
            description=None if description is None else str(description),
            mode=Mode(str(details["mode"])),
        )
        try:
            return self._publisher.prepare(publication)
        except RestError as refusal:
            if refusal.code == _NAME_TAKEN:
                raise JobFailedError from refusal
            raise
