"""Published data sources: find one by name and project, tag and describe it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import tableauserverclient as TSC  # noqa: N812 - its own documentation's name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from target_tableau_hyper.tableau.session import TableauSession

#: Commas and colons are part of the filter's own grammar, so other names are looked for in the
#: list.
_FILTERABLE = re.compile(r"[\w .\-]+")


def find_datasource(
    session: TableauSession, name: str, project: TSC.ProjectItem
) -> TSC.DatasourceItem | None:
    """The data source of this name in this project, as the server has it now."""

    def look(server: TSC.Server) -> list[TSC.DatasourceItem]:
        options = TSC.RequestOptions()  # type: ignore[no-untyped-call]
        if _FILTERABLE.fullmatch(name):
            operator = TSC.RequestOptions.Operator.Equals
            options.filter.add(
                TSC.Filter(  # type: ignore[no-untyped-call]
                    TSC.RequestOptions.Field.Name, operator, name
                )
            )
        return list(TSC.Pager(server.datasources, options))

    found = session.call(look, doing=f"looking for data source {name!r}")
    # Project names are unique only among siblings, so the filter cannot tell projects apart.
    for item in found:
        if item.name == name and item.project_id == project.id:
            return item
    return None


def stamp(moment: datetime | None) -> str:
    """A server's instant as text to keep and to compare."""
    return moment.isoformat() if moment is not None else ""


def add_tags(session: TableauSession, name: str, datasource_id: str, tags: Sequence[str]) -> None:
    """Give a data source more tags; those that it has stay."""
    session.call(
        lambda server: server.datasources.add_tags(datasource_id, list(tags)),
        doing=f"tagging data source {name!r}",
    )


def set_description(
    session: TableauSession, name: str, datasource_id: str, description: str
) -> None:
    """Change the description and nothing else.

    tableauserverclient's own update always sends owner, project and certification along, and would
    set back what somebody changed meanwhile.
    """
    request = ET.Element("tsRequest")
    ET.SubElement(request, "datasource", {"description": description})
    session.call(
        lambda server: server.datasources.put_request(  # type: ignore[no-untyped-call]
            f"{server.datasources.baseurl}/{datasource_id}", ET.tostring(request)
        ),
        doing=f"describing data source {name!r}",
    )
