"""Publish a whole extract over the data source: chunks, then one request that starts a job."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import tableauserverclient as TSC  # noqa: N812 - its own documentation's name
from tableauserverclient.server import RequestFactory

from pipeline_core.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from target_tableau_hyper.tableau.session import TableauSession

#: How often the file is sent, when it stays unknown whether the server has taken it.
_TRIES = 3


def start_publish(
    session: TableauSession,
    extract: Path,
    *,
    name: str,
    project: TSC.ProjectItem,
    description: str | None,
    kind: str = "hyper",
    adopted: Callable[[], TSC.DatasourceItem | None],
) -> TSC.JobItem | TSC.DatasourceItem:
    """Upload ``extract`` and start the job that makes it the data source ``name``.

    Overwriting keeps the data source's LUID, permissions and certification, and doing it twice is
    the same as doing it once. So where an answer is lost, it is looked whether the data source has
    come to be what was sent, and if not, everything is sent again.

    Args:
        session: Signed in.
        extract: The file.
        name: Of the data source.
        project: Where it goes.
        description: What it shall say; ``None`` leaves that to the server.
        kind: What the file is: ``hyper`` or ``tdsx``.
        adopted: Finds the data source, if a request whose answer was lost was carried out.

    Returns:
        The job; or the data source, where only its effect is known.
    """
    item = TSC.DatasourceItem(project_id=str(project.id), name=name)
    item.description = description

    def upload(server: TSC.Server) -> str:
        upload_id: str = server.fileuploads.upload(  # type: ignore[no-untyped-call]
            str(extract)
        )
        return upload_id

    def publish(server: TSC.Server, upload_id: str) -> TSC.JobItem:
        # ``datasources.publish`` would send files below 64 MB in one piece, held in memory.
        request, content_type = RequestFactory.Datasource.publish_req_chunked(item)  # type: ignore[no-untyped-call]
        url = (
            f"{server.datasources.baseurl}?datasourceType={kind}&overwrite=true&asJob=true"
            f"&uploadSessionId={upload_id}"
        )
        response = server.datasources.post_request(  # type: ignore[no-untyped-call]
            url, request, content_type
        )
        job: TSC.JobItem = TSC.JobItem.from_response(response.content, server.namespace)[0]
        return job

    doing = f"publishing data source {name!r}"
    for attempt in range(1, _TRIES + 1):
        upload_id = session.call(upload, doing=doing)
        try:
            return session.call(partial(publish, upload_id=upload_id), doing=doing, tries=1)
        except TransientError as error:
            if error.retry_at is not None:
                raise
            found = adopted()
            if found is not None:
                return found
            if attempt == _TRIES:
                raise
    raise AssertionError  # the last attempt returns or raises
