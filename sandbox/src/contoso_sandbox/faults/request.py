"""What travels past the fault layer: the request as asked, the answer as it was going to be."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from starlette.types import Scope

_SET = re.compile(r"/data/(\w+)")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request.

    Attributes:
        path: Percent-decoded, from the leading slash.
        query: As received, without the question mark.
        headers: By lower-case name.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, scope: Scope) -> Self:
        """Read an ASGI scope."""
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        return cls(
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
        )

    @property
    def entity_set(self) -> str | None:
        """The set that the path names, whether its rows, its count or one row are asked for."""
        match = _SET.match(self.path)
        return match[1] if match else None

    @property
    def options(self) -> dict[str, str]:
        """The query options, decoded."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    @property
    def url(self) -> str:
        """The whole URL as the client wrote it."""
        host = self.headers.get("host", "")
        return f"https://{host}{self.path}" + (f"?{self.query}" if self.query else "")

    @property
    def starts_a_walk(self) -> bool:
        """Whether this asks for a first page."""
        options = self.options
        return options.get("$skip", "0") == "0" and "$skiptoken" not in options


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer before it is compressed and framed.

    Attributes:
        headers: Names in lower case; neither length nor encoding, which delivery adds.
        body: Plain, whatever the client accepts.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)

    @property
    def ends_a_walk(self) -> bool:
        """Whether no nextLink follows."""
        return b'"@odata.nextLink":' not in self.body
