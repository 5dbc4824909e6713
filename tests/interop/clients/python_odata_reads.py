"""Run in python-odata's own environment: read the environment as its documentation shows.

``python_odata_reads.py URL`` with the token in ``TOKEN``; prints one JSON document.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import requests
from odata import ODataService  # type: ignore[import-not-found]  # another environment's package


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever the library makes of a value
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return value if value is None or isinstance(value, int) else str(value)


def _fields(entity: type) -> dict[str, Any]:
    return {p["name"]: p for p in entity.__odata_schema__["properties"]}  # type: ignore[attr-defined]


def _row(row: Any) -> dict[str, Any]:  # noqa: ANN401 - a reflected class
    # The library has no null enum, which F&O sends for a number without a member.
    return {
        name: None if row.__odata__[name] is None else _plain(getattr(row, name))
        for name in _fields(type(row))
    }


def main(url: str) -> dict[str, Any]:
    """Everything that a user of the library does in an afternoon."""
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {os.environ['TOKEN']}"
    service = ODataService(url, reflect_entities=True, session=session, quiet_progress=True)
    entries = service.entities["GeneralJournalAccountEntryBiEntities"]
    vendors = service.entities["VendorsV2"]
    rates = service.entities["ExchangeRates"]
    quoted = service.query(vendors).filter(vendors.VendorAccountNumber == "O'NEIL-1")
    blocked = type(service.query(vendors).first().OnHoldStatus)
    euros = service.query(rates).filter(rates.ToCurrency == "EUR").order_by(rates.StartDate.desc())
    return {
        "reflected": {
            name: {
                "types": {p: field["type"] for p, field in _fields(entity).items()},
                "key": [p for p, field in _fields(entity).items() if field["is_primary_key"]],
            }
            for name, entity in service.entities.items()
        },
        "entries": [_row(row) for row in service.query(entries)],
        "own company": [row.VendorAccountNumber for row in service.query(vendors)],
        "counted": service.query(vendors).count(),
        "quoted": [row.VendorOrganizationName for row in quoted],
        "by key": _row(
            service.query(vendors).get(dataAreaId="usmf", VendorAccountNumber="A/B&C 7")
        ),
        "not on hold": [
            row.VendorAccountNumber
            for row in service.query(vendors).filter(vendors.OnHoldStatus == blocked.No)
        ],
        "newest euros": [_row(row) for row in euros.limit(3)],
        "raw": list(service.query(rates).select(rates.Rate).limit(2)),
    }


if __name__ == "__main__":
    json.dump(main(sys.argv[1]), sys.stdout)
