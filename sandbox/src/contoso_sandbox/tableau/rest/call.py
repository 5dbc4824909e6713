"""What a handler gets: one request, read and authenticated."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

from contoso_sandbox.tableau import errors
from contoso_sandbox.tableau.multipart import DOCUMENT_PART
from contoso_sandbox.tableau.payloads import Node, read_document

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from contoso_sandbox.tableau.multipart import Part
    from contoso_sandbox.tableau.responses import Answer, FileAnswer
    from contoso_sandbox.tableau.rooms import Rooms
    from contoso_sandbox.tableau.session import Session


class BodyKind(Enum):
    """How the body of a request is read."""

    DOCUMENT = auto()
    MULTIPART = auto()


@dataclass(frozen=True, slots=True)
class Call:
    """A request.

    Attributes:
        path: Variables of the path.
        query: Variables of the query.
        headers: By lower-case name.
        session: The session of ``X-Tableau-Auth``; ``None`` for the few open endpoints.
        content: Body, unless multipart.
        parts: Parts of a multipart body; file parts are the handler's to move away.
    """

    rooms: Rooms
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    base_url: str
    signed_in: Session | None
    content: bytes = b""
    parts: tuple[Part, ...] = field(default=())

    @property
    def session(self) -> Session:
        """The session, for endpoints that need one."""
        if self.signed_in is None:
            raise errors.not_authenticated()
        return self.signed_in

    def document(self) -> Node:
        """The XML or JSON document of the request: its body, or the part for it.

        Raises:
            RestError: 400000, it cannot be read.
        """
        for part in self.parts:
            if part.name == DOCUMENT_PART:
                return read_document(bytes(part.content), part.content_type)
        return read_document(self.content, self.headers.get("content-type", ""))

    def flag(self, name: str) -> bool:
        """A boolean of the query; absent is false."""
        return self.query.get(name, "").lower() == "true"

    def file(self, name: str) -> tuple[Path, str] | None:
        """Path and client-side name of the file part ``name``, or ``None``."""
        for part in self.parts:
            if part.name == name and part.path is not None:
                return part.path, part.filename
        return None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one resource.

    Attributes:
        path: Below ``/api/{version}``; ``{site_id}`` must be the session's site.
        open: Whether it is served without a session.
    """

    method: str
    path: str
    handler: Callable[[Call], Answer | FileAnswer]
    body: BodyKind = BodyKind.DOCUMENT
    open: bool = False
