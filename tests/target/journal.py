"""Journal lines, their vendors, and controls on both, for the tests of controls."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.target.messages import record, schema

if TYPE_CHECKING:
    from tests.target.harness import Extracts

LINES = schema(
    "lines",
    {
        "id": {"type": "integer"},
        "entry": {"type": ["null", "string"]},
        "company": {"type": ["null", "string"]},
        "amount": {"type": ["null", "number"]},
        "vendor": {"type": ["null", "string"]},
    },
    keys=["id"],
)
VENDORS = schema(
    "vendors",
    {"company": {"type": "string"}, "vendor": {"type": "string"}},
    keys=["company", "vendor"],
)

BALANCE = {"type": "balance", "stream": "lines", "amount": "amount", "by": ["company", "entry"]}
REFERS = {
    "type": "references",
    "stream": "lines",
    "columns": ["company", "vendor"],
    "refers_to": "vendors",
}


def line(
    number: int, entry: str, amount: str, vendor: str | None = None, *, company: str = "usmf"
) -> dict[str, Any]:
    values = {"id": number, "entry": entry, "company": company, "amount": Decimal(amount)}
    return record("lines", {**values, "vendor": vendor})


def gone(number: int) -> dict[str, Any]:
    return record("lines", {"id": number, "_sdc_deleted_at": "2026-01-01T00:00:00Z"})


def vendor(name: str) -> dict[str, Any]:
    return record("vendors", {"company": "usmf", "vendor": name})


GOOD = [LINES, line(1, "J1", "0.10"), line(2, "J1", "0.20"), line(3, "J1", "-0.30")]
SHORT = [LINES, line(4, "J2", "100"), line(5, "J2", "-99.99")]


def results(extracts: Extracts, stream: str = "lines") -> dict[str, dict[str, Any]]:
    return {result["name"]: result for result in extracts.manifest(stream)["controls"]}
