"""A served environment and the plainest client there is."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import requests
from tests.sandbox.d365.small import ENVIRONMENT, create_database

from contoso_sandbox.d365 import D365
from contoso_sandbox.serving import HttpsServer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from duckdb import DuckDBPyConnection

    from contoso_sandbox.tls import Tls

PAGE_SIZE = 10
TOKEN = "taken unchecked"
TENANT_ID = "5f0c1c6e-0000-4000-8000-000000000001"


class NoTokens:
    """Entra ID of a site whose tests all use the fixed token."""

    def claims(self, token: str) -> Mapping[str, object] | None:
        del token
        return None


@dataclass
class Answer:
    """What came back; ``json`` keeps every digit."""

    status: int
    headers: Mapping[str, str]
    text: str
    sent_bytes: bytes = field(repr=False, default=b"")

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever travelled
        return json.loads(self.text, parse_float=Decimal)

    @property
    def rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.json["value"]
        return rows

    @property
    def reason(self) -> str:
        reason: str = self.json["error"]["innererror"]["message"]
        return reason


class Site:
    """The small environment on a port of its own."""

    def __init__(self, tls: Tls, database: DuckDBPyConnection, page_size: int = PAGE_SIZE) -> None:
        self.database = database
        self.d365 = D365(
            ENVIRONMENT,
            database.cursor,
            NoTokens(),
            tenant_id=TENANT_ID,
            applications=[],
            default_company="usmf",
            page_size=page_size,
            fixed_tokens=[TOKEN],
        )
        self._tls = tls
        self._server = HttpsServer(self.d365.app, tls)
        self.url = self.d365.url = self._server.url
        self._session = requests.Session()

    @classmethod
    def small(cls, tls: Tls, *, account_entries: int = 25, page_size: int = PAGE_SIZE) -> Self:
        return cls(tls, create_database(account_entries=account_entries), page_size)

    def get(self, path: str, **options: str) -> Answer:
        """Read ``path``; ``filter="..."`` becomes ``$filter``, ``cross_company`` its own option."""
        query = {
            key.replace("_", "-") if key == "cross_company" else f"${key}": value
            for key, value in options.items()
        }
        return self.request("GET", path + ("?" + urlencode(query) if query else ""))

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        answer = self._session.request(
            method,
            self.url + target,
            headers={"Authorization": f"Bearer {TOKEN}", **(headers or {})},
            data=body,
            verify=str(self._tls.ca_bundle),
            timeout=30,
        )
        answer.encoding = "utf-8"
        return Answer(answer.status_code, answer.headers, answer.text, answer.content)

    def walk(self, path: str, **options: str) -> list[Answer]:
        """Follow nextLinks to the end."""
        pages = [self.get(path, **options)]
        while link := pages[-1].json.get("@odata.nextLink"):
            assert link.startswith(self.url + "/data/")
            assert len(pages) < 1000, "the walk does not end"
            pages.append(self.request("GET", link.removeprefix(self.url)))
        return pages

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()
        self._server.stop()
        self.database.close()


def options_of(link: str) -> str:
    """Return the query of a link as written."""
    return urlsplit(link).query
