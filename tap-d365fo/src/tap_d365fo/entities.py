"""Which entity sets a run offers: names, globs, and the finance preset."""

from __future__ import annotations

import fnmatch
import logging
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError
from tap_d365fo.metadata.checks import unknown_set

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

#: What a payables, spend and GL dashboard needs. Each concept lists the sets that can serve it, the
#: best first: environments differ in what they publish.
FINANCE: dict[str, tuple[str, ...]] = {
    "vendors": ("VendorsV2", "VendorsV3", "Vendors"),
    "vendor groups": ("VendorGroups",),
    "purchase order headers": ("PurchaseOrderHeadersV2", "PurchaseOrderHeaders"),
    "purchase order lines": ("PurchaseOrderLinesV2", "PurchaseOrderLines"),
    "pending vendor invoices": ("VendorInvoiceHeaders",),
    "pending vendor invoice lines": ("VendorInvoiceLines",),
    "posted vendor invoices": ("VendInvoiceJourBiEntities",),
    "vendor transactions": ("VendTransBiEntities",),
    "main accounts": ("MainAccounts",),
    "journal entries": ("GeneralJournalEntryBiEntities",),
    # Not part of the standard product, but of many customised environments: voucher, date and
    # company on each line. The BI entity has them on the header only.
    "journal account entries": (
        "GeneralJournalAccountEntries",
        "GeneralJournalAccountEntryBiEntities",
    ),
    "ledgers": ("Ledgers",),
    "companies": ("LegalEntities", "Companies"),
    "fiscal periods": ("FiscalPeriods",),
    "fiscal calendar": ("FiscalCalendars",),
    "exchange rates": ("ExchangeRates",),
}

PRESETS = {"preset:finance": FINANCE}

_logger = logging.getLogger("tap-d365fo.entities")


def resolve_entities(
    wanted: Sequence[str], published: Collection[str], packages_only: Collection[str] = ()
) -> tuple[str, ...]:
    """The entity sets that ``wanted`` stands for, sorted, each once.

    Args:
        wanted: Set names, globs, ``preset:…``; an empty list means everything.
        published: What the environment offers.
        packages_only: What it has besides, but not for OData.

    Raises:
        ConfigError: a name or glob that stands for nothing, with the closest names.
    """
    if not wanted:
        return tuple(sorted(published))
    chosen: set[str] = set()
    for name in wanted:
        if name in published:
            chosen.add(name)
        elif name in PRESETS:
            chosen |= _resolve_preset(name, published)
        elif matches := fnmatch.filter(published, name):
            chosen |= set(matches)
        else:
            known = (*published, *PRESETS)
            raise ConfigError(unknown_set(name, known, packages_only, where="entities"))
    return tuple(sorted(chosen))


def _resolve_preset(name: str, published: Collection[str]) -> set[str]:
    found: set[str] = set()
    for concept, candidates in PRESETS[name].items():
        best = next((c for c in candidates if c in published), None)
        if best is None:
            _logger.warning(
                "%s: the environment publishes no set for %s (looked for %s)",
                *(name, concept, ", ".join(candidates)),
            )
        else:
            found.add(best)
    if not found:
        message = f"entities: the environment publishes nothing of {name}; name the entity sets"
        raise ConfigError(message)
    return found
