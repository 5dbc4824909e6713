"""Find a project by its path, ``Finance/Payables``."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import tableauserverclient as TSC  # noqa: N812 - its own documentation's name

from pipeline_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from target_tableau_hyper.tableau.session import TableauSession


def find_project(session: TableauSession, path: str) -> TSC.ProjectItem:
    """The project at ``path``.

    Raises:
        ConfigError: there is none, or the token's user does not see it; names the closest.
    """
    projects = session.call(
        lambda server: list(TSC.Pager(server.projects)), doing="listing the projects"
    )
    by_path = project_paths(projects)
    if path in by_path:
        return by_path[path]
    close = difflib.get_close_matches(path, by_path, n=3, cutoff=0.4)
    hint = f"the closest are {', '.join(map(repr, close))}" if close else "it shows none like it"
    message = (
        f"site {session.settings.site!r} has no project {path!r}: {hint}; correct tableau_project "
        "(or the stream's project in datasources), or let the token's user see it"
    )
    raise ConfigError(message)


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
