"""Projects over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contoso_sandbox.tableau.listing import select
from contoso_sandbox.tableau.projects import PROJECT_FIELDS
from contoso_sandbox.tableau.responses import Answer, Element
from contoso_sandbox.tableau.rest.call import Endpoint

if TYPE_CHECKING:
    from contoso_sandbox.tableau.rest.call import Call


def list_projects(call: Call) -> Answer:
    """``GET …/projects``."""
    projects, page = select(call.rooms.projects.all(), call.query, PROJECT_FIELDS)
    listed = Element("projects", items=tuple(project.element() for project in projects))
    return Answer(200, (page.element(), listed))


def create_project(call: Call) -> Answer:
    """``POST …/projects``."""
    request = call.document().require("project")
    project = call.rooms.projects.create(request, call.session.user.id)
    return Answer(201, (project.element(),))


def update_project(call: Call) -> Answer:
    """``PUT …/projects/{project_id}``."""
    request = call.document().require("project")
    project = call.rooms.projects.update(call.path["project_id"], request)
    return Answer(200, (project.element(),))


def delete_project(call: Call) -> Answer:
    """``DELETE …/projects/{project_id}``: with all below it and all that they hold."""
    rooms = call.rooms
    project = rooms.projects.get(call.path["project_id"])
    with rooms.content, rooms.database.transaction():
        doomed = rooms.projects.tree(project.id)
        for item in rooms.datasources.all():
            if item.project_id in doomed:
                rooms.datasources.delete(item)
        for workbook in rooms.workbooks.all():
            if workbook.project_id in doomed:
                rooms.workbooks.delete(workbook)
        rooms.projects.delete(doomed)
    return Answer(204)


ENDPOINTS = (
    Endpoint("GET", "/sites/{site_id}/projects", list_projects),
    Endpoint("POST", "/sites/{site_id}/projects", create_project),
    Endpoint("PUT", "/sites/{site_id}/projects/{project_id}", update_project),
    Endpoint("DELETE", "/sites/{site_id}/projects/{project_id}", delete_project),
)
