"""What Tableau's REST API says of a data source's refreshes: the truth that an event hints at.

A webhook carries no job id, so the job is looked for: among the site's refresh jobs of about that
time, by title, and by the LUID of the data source that the job itself names. The list of jobs is
for site administrators; without that right the data source's time of change has to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import tableauserverclient as TSC  # noqa: N812 - its own documentation's name
from tableauserverclient.server.endpoint.exceptions import ServerResponseError

from pipeline_core.errors import AuthError
from target_tableau_hyper.tableau.failures import job_purged
from target_tableau_hyper.tableau.jobs import Ending, JobResult, classify

if TYPE_CHECKING:
    from target_tableau_hyper.tableau.session import TableauSession

#: A job is over before its event is made, by less than this.
_BEFORE = timedelta(hours=24)

#: Of jobs of one title, so many of the latest are asked which data source is theirs.
_MOST_ASKED = 5

_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class Truth:
    """What is known of one data source.

    Attributes:
        exists: Whether it is there, as far as the user may see.
        name: Its name now.
        updated_at: Its time of change.
        jobs_known: Whether its jobs could be looked for.
        running: LUID of a refresh that waits or runs.
        last: The latest refresh that is over.
    """

    exists: bool
    name: str = ""
    updated_at: datetime | None = None
    jobs_known: bool = False
    running: str | None = None
    last: JobResult | None = None


def look(session: TableauSession, datasource: str, event_at: datetime) -> Truth:
    """Ask for the state of a data source.

    Args:
        session: Signed in.
        datasource: Its LUID.
        event_at: When that happened which an event told of.

    Raises:
        PipelineError: the server cannot be asked.
    """
    item = session.call(
        lambda server: _datasource(server, datasource), doing=f"asking for data source {datasource}"
    )
    if item is None:
        return Truth(exists=False)
    name = str(item.name)
    try:
        running, last = session.call(
            lambda server: _jobs(server, datasource, name, event_at),
            doing=f"listing the refresh jobs of {name!r}",
        )
    except AuthError:
        return Truth(exists=True, name=name, updated_at=item.updated_at)
    return Truth(
        exists=True,
        name=name,
        updated_at=item.updated_at,
        jobs_known=True,
        running=running,
        last=last,
    )


def look_at_job(session: TableauSession, job_id: str) -> JobResult | None:
    """How a job ended; ``None`` while it has not.

    Raises:
        PipelineError: the server cannot be asked.
    """

    def ask(server: TSC.Server) -> JobResult | None:
        try:
            return classify(server.jobs.get_by_id(job_id))
        except ServerResponseError as error:
            if job_purged(str(error.code)):
                return JobResult(job_id, Ending.UNKNOWN)
            raise

    return session.call(ask, doing=f"asking for job {job_id}")


def _datasource(server: TSC.Server, datasource: str) -> TSC.DatasourceItem | None:
    try:
        return server.datasources.get_by_id(datasource)
    except ServerResponseError as error:
        if str(error.code).startswith("404"):
            return None
        raise


def _of_extract(job_type: str | None) -> bool:
    return "extract" in str(job_type).lower()


def _jobs(
    server: TSC.Server, datasource: str, title: str, event_at: datetime
) -> tuple[str | None, JobResult | None]:
    """A refresh that is not over, and the latest that is."""
    options = TSC.RequestOptions(pagesize=1000)  # type: ignore[no-untyped-call]
    since = (event_at - _BEFORE).astimezone(UTC).strftime(_TIME)
    # Not by jobType: servers spell it in more than one way (RefreshExtract, refresh_extracts).
    later = TSC.RequestOptions.Operator.GreaterThanOrEqual
    options.filter.add(TSC.Filter("createdAt", later, since))  # type: ignore[no-untyped-call]
    found: list[TSC.BackgroundJobItem] = list(TSC.Pager(server.jobs, options))  # type: ignore[arg-type]
    listed = [job for job in found if job.title == title and _of_extract(job.type)]
    listed.sort(key=lambda job: job.created_at, reverse=True)
    for job in listed[:_MOST_ASKED]:
        try:
            known = server.jobs.get_by_id(str(job.id))
        except ServerResponseError as error:
            if job_purged(str(error.code)):
                continue
            raise
        if (known.datasource_id or "").lower() not in ("", datasource):
            continue
        result = classify(known)
        if result is None:
            return str(known.id), None
        return None, result
    return None, None
