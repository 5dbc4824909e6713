"""Refreshing a data source: a job that takes its time and finds nothing new.

The simulated server reaches no source system: the data of an extract stay as published.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from contoso_sandbox.tableau.errors import already_queued
from contoso_sandbox.tableau.jobs import Job, JobType

if TYPE_CHECKING:
    from contoso_sandbox.tableau.backgrounder import Backgrounder
    from contoso_sandbox.tableau.datasource import Datasource
    from contoso_sandbox.tableau.jobs import Jobs
    from contoso_sandbox.tableau.store import Database
    from contoso_sandbox.tableau.times import Clock


def accept(
    item: Datasource, database: Database, jobs: Jobs, worker: Backgrounder, clock: Clock
) -> Job:
    """Queue a refresh.

    Raises:
        RestError: 409093, a refresh of the same data source is not done yet.
    """
    with database.transaction():
        if any(
            job.type is JobType.REFRESH and job.datasource_id == item.id and not job.completed_at
            for job in jobs.all()
        ):
            raise already_queued(item.name)
        job = Job(
            id=str(uuid.uuid4()),
            type=JobType.REFRESH,
            created_at=clock(),
            datasource_id=item.id,
            datasource_name=item.name,
            connection_id=item.connection_id,
        )
        worker.submit(job)
    return job
