"""Publish a whole extract over the data source: chunks, then one request that starts a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tableauserverclient as TSC  # noqa: N812 - its own documentation's name
from tableauserverclient.server import RequestFactory

if TYPE_CHECKING:
    from pathlib import Path

    from target_tableau_hyper.tableau.session import TableauSession


def start_publish(
    session: TableauSession,
    extract: Path,
    *,
    name: str,
    project: TSC.ProjectItem,
    description: str | None,
    kind: str = "hyper",
) -> TSC.JobItem:
    """Upload ``extract`` and start the job that makes it the data source ``name``.

    ``kind`` is what the file is: ``hyper`` or ``tdsx``.

    Overwriting keeps the data source's LUID, permissions and certification, and doing it twice is
    the same as doing it once, so a lost answer does no harm.
    """

    def publish(server: TSC.Server) -> TSC.JobItem:
        item = TSC.DatasourceItem(project_id=str(project.id), name=name)
        item.description = description
        upload_id = server.fileuploads.upload(  # type: ignore[no-untyped-call]
            str(extract)
        )
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

    return session.call(publish, doing=f"publishing data source {name!r}")
