"""Run in odatapy's own environment: its client reads every row of every set of the environment.

``odatapy_client_reads.py URL TOKEN_URL CLIENT_ID`` with the secret in ``CLIENT_SECRET``; prints one
JSON document.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from typing import Any

# Another environment's packages.
from odatapy.client import EdmEnabledODataClient  # type: ignore[import-not-found]
from odatapy.client.auth import OAuth2ClientCredentialsAuth  # type: ignore[import-not-found]
from odatapy.client.filters import Field, and_  # type: ignore[import-not-found]
from odatapy.client.transport import HttpxTransport  # type: ignore[import-not-found]


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever the library makes of a value
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return value if value is None or isinstance(value, int) else str(value)


def main(url: str, token_url: str, client_id: str) -> dict[str, Any]:
    """Sign in, load the model, walk through all pages of all companies."""
    secret = os.environ["CLIENT_SECRET"]
    auth = OAuth2ClientCredentialsAuth(token_url, client_id, secret, scope=f"{url}/.default")
    client = EdmEnabledODataClient(f"{url}/data", HttpxTransport(auth=auth))
    rows: dict[str, list[dict[str, Any]]] = {}
    kinds: dict[str, list[str]] = {}
    for entity_set in client.get_edm().entity_container.entity_sets:
        everywhere = client.entity_set_uri(entity_set.name).custom("cross-company", "true")
        entities = list(client.iter_entities(everywhere))
        values = [{p.name: p.value for p in entity.properties} for entity in entities]
        rows[entity_set.name] = [{n: _plain(v) for n, v in row.items()} for row in values]
        kinds[entity_set.name] = sorted({type(v).__name__ for row in values for v in row.values()})
    large = and_(
        Field("AccountingCurrencyAmount").gt(1000), Field("TransactionCurrencyCode").eq("EUR")
    )
    entries = client.entity_set_uri("GeneralJournalAccountEntryBiEntities").filter(large)
    found = client.iter_entities(entries.orderby("SourceKey desc").select("SourceKey"))
    return {
        "rows": rows,
        "kinds": kinds,
        "large euros": [entity.get_value("SourceKey") for entity in found],
        "vendors": client.get_count(client.entity_set_uri("VendorsV2")),
    }


if __name__ == "__main__":
    json.dump(main(*sys.argv[1:]), sys.stdout)
