"""Run in d365fo-client's own environment: the calls that it makes for its users.

``d365fo_client_reads.py URL FOLDER`` prints one JSON document; the folder takes its caches.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from typing import Any

from d365fo_client import (  # type: ignore[import-not-found]  # another environment's package
    FOClient,
    FOClientConfig,
    QueryOptions,
)
from d365fo_client.models import ModuleVersionInfo  # type: ignore[import-not-found]  # as above


async def main(url: str, folder: str) -> dict[str, Any]:
    """Connect, look at the metadata, read rows, call actions."""
    config = FOClientConfig(
        base_url=url,
        verify_ssl=True,
        enable_metadata_cache=False,
        use_cache_first=False,
        use_label_cache=False,
        metadata_cache_dir=folder,
    )
    germany = QueryOptions(
        filter="dataAreaId eq 'demf'",
        select=["VendorAccountNumber", "CreditLimit"],
        orderby=["VendorAccountNumber"],
        top=3,
        count=True,
    )
    async with FOClient(config) as client:
        vendor = await client.get_public_entity_info("VendorV2")
        by_set = await client.get_public_entity_schema_by_entityset("VendorsV2")
        enum = await client.get_public_enumeration_info("NoYes")
        found = await client.search_data_entities("vend")
        key = {"dataAreaId": "demf", "VendorAccountNumber": "DE-101"}
        return {
            "data": await client.test_connection(),
            "metadata": await client.test_metadata_connection(),
            "entity": {
                "set": vendor.entity_set_name,
                "properties": [
                    [p.name, p.type_name, p.data_type, p.is_key] for p in vendor.properties
                ],
                "same by set": by_set.entity_set_name == vendor.entity_set_name,
            },
            "enum": [[member.name, member.value] for member in enum.members],
            "found": {e.public_collection_name: asdict(e)["entity_category"] for e in found},
            "label": await client.get_label_text("@SYS13342"),
            "page": await client.get_entities("VendorsV2", germany),
            "by key": await client.get_entity_by_key("VendorsV2", key),
            "version": await client.get_application_version(),
            "modules": [
                asdict(ModuleVersionInfo.parse_from_string(text))
                for text in await client.get_installed_modules()
            ],
        }


if __name__ == "__main__":
    json.dump(asyncio.run(main(*sys.argv[1:])), sys.stdout)
