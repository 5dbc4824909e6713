"""A plain client that has only the settings of an environment."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Mapping


class Client:
    """Signs in by client credentials and reads JSON with every digit."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self.url = settings["TAP_D365FO_ENVIRONMENT_URL"]
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = settings["TAP_D365FO_CA_BUNDLE"]
        tenant = settings["TAP_D365FO_TENANT_ID"]
        granted = self.session.post(
            f"{settings['TAP_D365FO_AUTHORITY_HOST']}/{tenant}/oauth2/v2.0/token",
            {
                "grant_type": "client_credentials",
                "client_id": settings["TAP_D365FO_CLIENT_ID"],
                "client_secret": settings["TAP_D365FO_CLIENT_SECRET"],
                "scope": f"{self.url}/.default",
            },
            timeout=30,
        )
        self.session.headers["Authorization"] = f"Bearer {granted.json()['access_token']}"

    def get(self, path: str, **options: str) -> requests.Response:
        """Read ``path``; ``filter=`` becomes ``$filter``."""
        query = {f"${name}": value for name, value in options.items()}
        return self.session.get(self.url + path, params=query, timeout=60)

    def json(self, path: str, **options: str) -> Any:  # noqa: ANN401 - whatever travelled
        answer = self.get(path, **options)
        assert answer.status_code == 200, answer.text[:500]
        return json.loads(answer.content, parse_float=Decimal)

    def walk(self, path: str, **options: str) -> list[dict[str, Any]]:
        """Follow nextLinks to the end; returns all rows, without control information."""
        page = self.json(path, **options)
        rows: list[dict[str, Any]] = page["value"]
        while link := page.get("@odata.nextLink"):
            page = self.json(link.removeprefix(self.url))
            rows += page["value"]
        return [{k: v for k, v in row.items() if not k.startswith("@")} for row in rows]
