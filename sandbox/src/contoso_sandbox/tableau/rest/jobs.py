"""Background jobs over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contoso_sandbox.tableau.jobs import JOB_FIELDS
from contoso_sandbox.tableau.listing import select
from contoso_sandbox.tableau.responses import Answer, Element
from contoso_sandbox.tableau.rest.call import Endpoint

if TYPE_CHECKING:
    from contoso_sandbox.tableau.rest.call import Call

_ONE = "/sites/{site_id}/jobs/{job_id}"


def list_jobs(call: Call) -> Answer:
    """``GET …/jobs``: newest first."""
    newest_first = call.rooms.jobs.all()[::-1]
    jobs, page = select(newest_first, call.query, JOB_FIELDS)
    listed = Element("backgroundJobs", items=tuple(job.background_element() for job in jobs))
    return Answer(200, (page.element(), listed))


def query_job(call: Call) -> Answer:
    """``GET …/jobs/{job_id}``."""
    return Answer(200, (call.rooms.jobs.get(call.path["job_id"]).element(),))


def cancel_job(call: Call) -> Answer:
    """``PUT …/jobs/{job_id}``: cancels it."""
    return Answer(200, (call.rooms.worker.cancel(call.path["job_id"]).element(),))


ENDPOINTS = (
    Endpoint("GET", "/sites/{site_id}/jobs", list_jobs),
    Endpoint("GET", _ONE, query_job),
    Endpoint("PUT", _ONE, cancel_job),
)
