"""What brings new data over REST: publish, update data, refresh."""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import PurePath
from typing import TYPE_CHECKING

from contoso_sandbox.tableau import errors, publish_jobs
from contoso_sandbox.tableau.publishing import Mode, Publication, Refusal
from contoso_sandbox.tableau.responses import Answer
from contoso_sandbox.tableau.rest.call import BodyKind, Endpoint

if TYPE_CHECKING:
    from pathlib import Path

    from contoso_sandbox.tableau.rest.call import Call

_ONE = "/sites/{site_id}/datasources/{datasource_id}"
_FILE_PART = "tableau_datasource"
_KINDS = ("hyper", "tdsx")


def publish(call: Call) -> Answer:
    """``POST …/datasources``: with the file as a part, or with the id of an upload session."""
    folder = call.rooms.scratch / str(uuid.uuid4())
    folder.mkdir()
    try:
        return _publish(call, folder)
    finally:
        shutil.rmtree(folder)


def _publish(call: Call, folder: Path) -> Answer:
    rooms = call.rooms
    request = call.document().require("datasource")
    name = request.get("name")
    if not name:
        detail = "A data source needs a name."
        raise errors.bad_request(detail)
    project = request.child("project")
    project_id = (project and project.get("id")) or rooms.projects.default().id
    mode, kind = _mode(call), _kind(call)
    rooms.projects.get(project_id)
    rooms.publisher.refuse(kind, Refusal.AT_ONCE)
    publication = Publication(
        file=_file(call, folder),
        kind=kind,
        name=name,
        project_id=project_id,
        owner_id=call.session.user.id,
        description=request.get("description"),
        mode=mode,
    )
    if call.flag("asJob"):
        job = publish_jobs.accept(publication, rooms.jobs, rooms.worker, rooms.clock)
        return Answer(202, (job.accepted(),))
    with rooms.content:
        commit = rooms.publisher.prepare(publication)
        with rooms.database.transaction():
            item = commit()
    return Answer(201, (item.element(call.base_url),))


def update_data(call: Call) -> Answer:
    """``PATCH …/datasources/{datasource_id}[/connections/{connection_id}]/data``."""
    item = call.rooms.datasources.get(call.path["datasource_id"])
    connection_id = call.path.get("connection_id", item.connection_id)
    if connection_id != item.connection_id:
        raise errors.connection_unknown(connection_id)
    try:
        actions = json.loads(call.content)
    except ValueError as error:
        detail = "The body of an update must be JSON."
        raise errors.bad_request(detail) from error
    job = call.rooms.updates.accept(
        item, call.headers.get("requestid", ""), actions, call.query.get("uploadSessionId")
    )
    return Answer(202, (job.accepted(),))


def refresh(call: Call) -> Answer:
    """``POST …/datasources/{datasource_id}/refresh``."""
    item = call.rooms.datasources.get(call.path["datasource_id"])
    return Answer(202, (call.rooms.refreshes.accept_datasource(item).accepted(),))


def _mode(call: Call) -> Mode:
    overwrite, append = call.flag("overwrite"), call.flag("append")
    if overwrite and append:
        detail = "overwrite and append exclude each other."
        raise errors.bad_request(detail)
    return Mode.OVERWRITE if overwrite else Mode.APPEND if append else Mode.CREATE


def _kind(call: Call) -> str:
    """``hyper`` or ``tdsx``, as the request or the name of the file says."""
    sent = call.file(_FILE_PART)
    if sent is None and "uploadSessionId" not in call.query:
        raise errors.file_part_missing()
    kind = call.query.get("datasourceType") or (PurePath(sent[1]).suffix[1:] if sent else "")
    if kind.lower() not in _KINDS:
        detail = f"data sources of type '{kind}' are not taken"
        raise errors.unusable_file(detail)
    return kind.lower()


def _file(call: Call, folder: Path) -> Path:
    """The file to publish, moved into ``folder``."""
    target = folder / "incoming"
    upload_session, sent = call.query.get("uploadSessionId"), call.file(_FILE_PART)
    if upload_session is not None:
        call.rooms.uploads.take(upload_session, target)
    elif sent is not None:
        sent[0].rename(target)
    else:
        raise errors.file_part_missing()
    return target


ENDPOINTS = (
    Endpoint("POST", "/sites/{site_id}/datasources", publish, body=BodyKind.MULTIPART),
    Endpoint("PATCH", f"{_ONE}/data", update_data),
    Endpoint("PATCH", _ONE + "/connections/{connection_id}/data", update_data),
    Endpoint("POST", f"{_ONE}/refresh", refresh),
)
