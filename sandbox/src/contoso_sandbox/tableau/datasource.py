"""A published data source as a value, and as the REST API shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from contoso_sandbox.tableau.responses import Element

if TYPE_CHECKING:
    from datetime import datetime

    from contoso_sandbox.tableau.listing import Fields

_MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Datasource:
    """A published data source.

    Attributes:
        id: LUID; survives overwriting.
        type: ``hyper`` or ``tdsx``, as published.
        project: Name of its project.
        updated_at: Strictly later after every publish or update of its data, in whole seconds; it
            runs ahead of the clock where these come faster.
        size_bytes: Of the .hyper file.
        revision: Counts publishes and updates of its data.
        live_to_hyper: Whether PATCH may change its data.
        connection_id: LUID of its only connection.
    """

    id: str
    name: str
    content_url: str
    type: str
    project: str
    project_id: str
    owner_id: str
    description: str
    tags: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    size_bytes: int
    revision: int
    live_to_hyper: bool
    connection_id: str
    certified: bool = False
    certification_note: str = ""

    def element(self, base_url: str = "") -> Element:
        """The ``datasource`` element of the data source endpoints."""
        return Element(
            "datasource",
            {
                "id": self.id,
                "name": self.name,
                "contentUrl": self.content_url,
                "description": self.description,
                "type": "hyper",
                "createdAt": self.created_at,
                "updatedAt": self.updated_at,
                "size": -(-self.size_bytes // _MEGABYTE),
                "isCertified": self.certified,
                "certificationNote": self.certification_note or None,
                "encryptExtracts": "false",
                "hasExtracts": True,
                "useRemoteQueryAgent": False,
                "webpageUrl": f"{base_url}/#/datasources/{self.content_url}",
            },
            (
                Element("project", {"id": self.project_id, "name": self.project}),
                Element("owner", {"id": self.owner_id}),
                Element("tags", items=tuple(tag_elements(self.tags))),
            ),
        )

    def reference(self) -> Element:
        """The short form, within a job."""
        return Element("datasource", {"id": self.id, "name": self.name})

    def connection(self) -> Element:
        """The ``connection`` element of its only connection."""
        attributes = {
            "id": self.connection_id,
            "type": "hyper",
            "serverAddress": "localhost",
            "serverPort": "",
            "userName": "",
        }
        return Element("connection", {**attributes, "embedPassword": False}, (self.reference(),))


def tag_elements(tags: tuple[str, ...]) -> list[Element]:
    """The ``tag`` elements of a ``tags`` list."""
    return [Element("tag", {"label": tag}) for tag in tags]


#: What ``filter=`` and ``sort=`` know of data sources.
DATASOURCE_FIELDS: Fields[Datasource] = {
    "name": lambda item: item.name,
    "contentUrl": lambda item: item.content_url,
    "createdAt": lambda item: item.created_at,
    "description": lambda item: item.description,
    "hasExtracts": lambda _: True,
    "isCertified": lambda item: item.certified,
    "projectName": lambda item: item.project,
    "size": lambda item: -(-item.size_bytes // _MEGABYTE),
    "tags": lambda item: item.tags,
    "type": lambda _: "hyper",
    "updatedAt": lambda item: item.updated_at,
}
