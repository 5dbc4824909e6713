"""Find a project by its path, ``Finance/Payables``; make it where that is wanted."""

from __future__ import annotations

import difflib
from functools import partial
from typing import TYPE_CHECKING

import tableauserverclient as TSC  # noqa: N812 - its own documentation's name
from tableauserverclient.server.endpoint.exceptions import ServerResponseError

from pipeline_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from target_tableau_hyper.tableau.session import TableauSession

#: "A project of this name exists already."
_PROJECT_EXISTS = "409006"


def find_project(session: TableauSession, path: str) -> TSC.ProjectItem:
    """The project at ``path``, created with ``create_project`` where it is missing.

    Raises:
        ConfigError: there is none, or the token's user does not see it; names the closest.
        AuthError: it may not be created.
    """
    projects = session.call(
        lambda server: list(TSC.Pager(server.projects)), doing="listing the projects"
    )
    by_path = project_paths(projects)
    if path in by_path:
        return by_path[path]
    if session.settings.create_project:
        return _create(session, path, by_path)
    close = difflib.get_close_matches(path, by_path, n=3, cutoff=0.4)
    hint = f"the closest are {', '.join(map(repr, close))}" if close else "it shows none like it"
    message = (
        f"site {session.settings.site!r} has no project {path!r}: {hint}; correct tableau_project "
        "(or the stream's project in datasources), let the token's user see it, or set "
        "create_project"
    )
    raise ConfigError(message)


def _create(
    session: TableauSession, path: str, by_path: dict[str, TSC.ProjectItem]
) -> TSC.ProjectItem:
    """Make the missing levels of ``path``, the uppermost first."""
    names = path.split("/")
    parent: TSC.ProjectItem | None = None
    for depth in range(1, len(names) + 1):
        level = "/".join(names[:depth])
        if level in by_path:
            parent = by_path[level]
            continue
        if not names[depth - 1].strip():
            message = f"project path {path!r} has a level without a name"
            raise ConfigError(message)
        item = TSC.ProjectItem(
            names[depth - 1], parent_id=str(parent.id) if parent is not None else None
        )
        parent = session.call(partial(_create_one, item), doing=f"creating project {level!r}")
    assert parent is not None  # noqa: S101 - a path has at least one level
    return parent


def _create_one(item: TSC.ProjectItem, server: TSC.Server) -> TSC.ProjectItem:
    """Create it, or find it: a first try may have been carried out although its answer was lost."""
    try:
        return server.projects.create(item)
    except ServerResponseError as error:
        if error.code != _PROJECT_EXISTS:
            raise
    for other in TSC.Pager(server.projects):
        if (other.name, other.parent_id) == (item.name, item.parent_id):
            return other
    raise AssertionError  # the server has just said that it is there


def project_paths(projects: Iterable[TSC.ProjectItem]) -> dict[str, TSC.ProjectItem]:
    """Projects by path; a project whose parent is hidden from the user stands at the top."""
    by_id = {project.id: project for project in projects}
    paths = {}
    for project in by_id.values():
        names, parent = [project.name], by_id.get(project.parent_id)
        while parent is not None and len(names) <= len(by_id):
            names.append(parent.name)
            parent = by_id.get(parent.parent_id)
        paths["/".join(str(name) for name in reversed(names))] = project
    return paths
