"""Ask the server for a refresh, and read its refusals.

Source of the codes: tableau/server-client-python, issues 1339 (409093) and 1531 (409090).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import tableauserverclient as TSC  # noqa: N812 - its own documentation's name
from tableauserverclient.server import RequestFactory
from tableauserverclient.server.endpoint.exceptions import ServerResponseError

from pipeline_core.errors import AuthError, ConfigError, PipelineError
from target_tableau_hyper.refresh.settings import Kind

if TYPE_CHECKING:
    from target_tableau_hyper.refresh.find import Refreshable
    from target_tableau_hyper.tableau.session import TableauSession

#: A refresh of the same item is queued: the server takes no second one.
_ALREADY_QUEUED = "409093"

#: There is no extract behind the item.
_NOT_ALLOWED = "409090"

_NOTHING_BEHIND = {
    Kind.DATASOURCE: (
        "it has no extract of another source (a .hyper file that was uploaded is the data itself, "
        "and shows what was delivered at once)"
    ),
    Kind.WORKBOOK: (
        "it has no extract of its own (a workbook that is connected to published data sources "
        "shows their new data at once)"
    ),
}


@dataclass(frozen=True, slots=True)
class OtherJob:
    """A refresh that somebody else asked for.

    Attributes:
        id: LUID of its job.
        running: Whether it has begun: then it may have read before the delivery.
    """

    id: str
    running: bool


def ask(session: TableauSession, item: Refreshable) -> str | None:
    """Start a refresh; asking twice does no harm, since the second is not queued.

    Returns:
        The job's LUID; ``None`` where a refresh of the item is queued already.

    Raises:
        ConfigError: there is nothing to refresh.
        AuthError: the token's user may not.
        PipelineError: whatever else.
    """
    words = f"{item.entry.kind.words} {item.path!r}"

    def post(server: TSC.Server) -> str | None:
        datasource = item.entry.kind is Kind.DATASOURCE
        endpoint = server.datasources if datasource else server.workbooks
        request = RequestFactory.Task.refresh_req(
            False,  # noqa: FBT003 - its own signature: not incremental
            server,
        )
        try:
            # Its own ``refresh`` logs a queued duplicate as a warning.
            response = endpoint.post_request(  # type: ignore[no-untyped-call]
                f"{endpoint.baseurl}/{item.id}/refresh", request
            )
        except ServerResponseError as error:
            code = str(error.code)
            if code == _ALREADY_QUEUED:
                return None
            refusal = _refusal(code, words, item.entry.kind)
            if refusal is None:
                raise
            raise refusal from error
        return str(TSC.JobItem.from_response(response.content, server.namespace)[0].id)

    return session.call(post, doing=f"refreshing {words}")


def _refusal(code: str, words: str, kind: Kind) -> PipelineError | None:
    if code == _NOT_ALLOWED:
        return ConfigError(
            f"{words} cannot be refreshed: {_NOTHING_BEHIND[kind]}; remove it from refresh "
            f"(Tableau answered {code})"
        )
    if code.startswith("403"):
        return AuthError(
            f"{words} may not be refreshed by the token's user: it must own the {kind.words}, "
            f"lead its project or administer the site (Tableau answered {code})"
        )
    return None


def queued_job(session: TableauSession, item: Refreshable) -> OtherJob | None:
    """The refresh that is queued or running, as far as it can be told.

    The list of jobs names the item by its title alone, and only administrators may read it: with
    several of the same title, or without the right, nothing is known.
    """

    def read(server: TSC.Server) -> list[OtherJob]:
        found: list[OtherJob] = []
        for status in ("Pending", "InProgress"):
            options = TSC.RequestOptions()  # type: ignore[no-untyped-call]
            for name, value in (("jobType", "RefreshExtract"), ("status", status)):
                options.filter.add(
                    TSC.Filter(  # type: ignore[no-untyped-call]
                        name, TSC.RequestOptions.Operator.Equals, value
                    )
                )
            listed: list[TSC.BackgroundJobItem] = list(TSC.Pager(server.jobs, options))  # type: ignore[arg-type]
            found.extend(
                OtherJob(str(job.id), status == "InProgress")
                for job in listed
                if job.title == item.name
            )
        return found

    try:
        found = session.call(read, doing="listing the jobs", tries=1)
    except PipelineError:
        return None
    return found[0] if len(found) == 1 else None
