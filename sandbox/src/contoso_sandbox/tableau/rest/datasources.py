"""Published data sources over REST: find, describe, tag, download, remove."""

from __future__ import annotations

import os
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from contoso_sandbox.tableau.datasource import DATASOURCE_FIELDS, tag_elements
from contoso_sandbox.tableau.listing import select
from contoso_sandbox.tableau.packages import repack
from contoso_sandbox.tableau.responses import Answer, Element, FileAnswer
from contoso_sandbox.tableau.rest.call import Endpoint
from contoso_sandbox.tableau.times import later

if TYPE_CHECKING:
    from contoso_sandbox.tableau.datasource import Datasource
    from contoso_sandbox.tableau.rest.call import Call

_ONE = "/sites/{site_id}/datasources/{datasource_id}"


def list_datasources(call: Call) -> Answer:
    """``GET …/datasources``."""
    items, page = select(call.rooms.datasources.all(), call.query, DATASOURCE_FIELDS)
    listed = Element("datasources", items=tuple(item.element(call.base_url) for item in items))
    return Answer(200, (page.element(), listed))


def query_datasource(call: Call) -> Answer:
    """``GET …/datasources/{datasource_id}``."""
    return Answer(200, (_item(call).element(call.base_url),))


def query_connections(call: Call) -> Answer:
    """``GET …/datasources/{datasource_id}/connections``."""
    return Answer(200, (Element("connections", items=(_item(call).connection(),)),))


def update_datasource(call: Call) -> Answer:
    """``PUT …/datasources/{datasource_id}``: what the request does not name stays."""
    rooms = call.rooms
    request = call.document().require("datasource")
    project, owner = request.child("project"), request.child("owner")
    with rooms.content, rooms.database.transaction():
        item = _item(call)
        certified = request.flag("isCertified")
        changed = replace(
            item,
            name=request.get("name") or item.name,
            description=request.attributes.get("description", item.description),
            project_id=rooms.projects.get((project and project.get("id")) or item.project_id).id,
            owner_id=rooms.accounts.user((owner and owner.get("id")) or item.owner_id).id,
            certified=item.certified if certified is None else certified,
            certification_note=request.attributes.get("certificationNote", item.certification_note),
            updated_at=later(rooms.clock(), item.updated_at),
        )
        rooms.datasources.save(changed)
        return Answer(200, (rooms.datasources.get(item.id).element(call.base_url),))


def delete_datasource(call: Call) -> Answer:
    """``DELETE …/datasources/{datasource_id}``."""
    with call.rooms.content:
        call.rooms.datasources.delete(_item(call))
    return Answer(204)


def add_tags(call: Call) -> Answer:
    """``PUT …/datasources/{datasource_id}/tags``."""
    sent = [tag.get("label") or "" for tag in call.document().require("tags").children]
    with call.rooms.database.transaction():
        item = _item(call)
        tags = tuple(dict.fromkeys((*item.tags, *filter(None, sent))))
        call.rooms.datasources.save(replace(item, tags=tags))
    return Answer(200, (Element("tags", items=tuple(tag_elements(tags))),))


def delete_tag(call: Call) -> Answer:
    """``DELETE …/datasources/{datasource_id}/tags/{tag}``."""
    with call.rooms.database.transaction():
        item = _item(call)
        tags = tuple(tag for tag in item.tags if tag != call.path["tag"])
        call.rooms.datasources.save(replace(item, tags=tags))
    return Answer(204)


def download(call: Call) -> FileAnswer:
    """``GET …/datasources/{datasource_id}/content``: a .hyper or a .tdsx, as it was published."""
    rooms = call.rooms
    path = rooms.scratch / f"{uuid.uuid4()}.download"
    with rooms.content:
        item = _item(call)
        hyper = rooms.datasources.hyper_file(item)
        if item.type == "hyper":
            os.link(hyper, path)
        else:
            with_extract = call.query.get("includeExtract", "true").lower() != "false"
            repack(rooms.datasources.package_file(item), hyper if with_extract else None, path)
    return FileAnswer(path, f"{item.name}.{item.type}")


def _item(call: Call) -> Datasource:
    return call.rooms.datasources.get(call.path["datasource_id"])


ENDPOINTS = (
    Endpoint("GET", "/sites/{site_id}/datasources", list_datasources),
    Endpoint("GET", _ONE, query_datasource),
    Endpoint("PUT", _ONE, update_datasource),
    Endpoint("DELETE", _ONE, delete_datasource),
    Endpoint("GET", f"{_ONE}/connections", query_connections),
    Endpoint("GET", f"{_ONE}/content", download),
    Endpoint("PUT", f"{_ONE}/tags", add_tags),
    Endpoint("DELETE", _ONE + "/tags/{tag:path}", delete_tag),  # a tag may hold a slash
)
