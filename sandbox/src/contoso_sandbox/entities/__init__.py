"""What the Contoso environment publishes: entity sets, enums and labels.

Names, types and keys of the properties are those of a real 10.0.47 environment; where something is
made up, the module says so.
"""

from __future__ import annotations

from contoso_sandbox.entities.calendars import EXCHANGE_RATES, FISCAL_CALENDARS, FISCAL_PERIODS
from contoso_sandbox.entities.enums import ENUMS
from contoso_sandbox.entities.general_ledger import (
    ACCOUNT_ENTRIES,
    CUSTOM_ACCOUNT_ENTRIES,
    JOURNAL_ENTRIES,
)
from contoso_sandbox.entities.notation import label_of
from contoso_sandbox.entities.organisation import COMPANIES, LEDGERS, LEGAL_ENTITIES, MAIN_ACCOUNTS
from contoso_sandbox.entities.payables import VENDOR_INVOICE_JOURNAL, VENDOR_TRANSACTIONS
from contoso_sandbox.entities.pending_invoices import VENDOR_INVOICE_HEADERS, VENDOR_INVOICE_LINES
from contoso_sandbox.entities.purchasing import PURCHASE_ORDER_HEADERS, PURCHASE_ORDER_LINES
from contoso_sandbox.entities.vendors import VENDOR_GROUPS, VENDORS
from contoso_sandbox.model import EntitySet, EnumType, Environment

__all__ = ["contoso_environment"]

_ENTITY_SETS = (
    LEGAL_ENTITIES,
    COMPANIES,
    LEDGERS,
    MAIN_ACCOUNTS,
    FISCAL_CALENDARS,
    FISCAL_PERIODS,
    EXCHANGE_RATES,
    VENDOR_GROUPS,
    VENDORS,
    PURCHASE_ORDER_HEADERS,
    PURCHASE_ORDER_LINES,
    VENDOR_INVOICE_HEADERS,
    VENDOR_INVOICE_LINES,
    VENDOR_INVOICE_JOURNAL,
    VENDOR_TRANSACTIONS,
    JOURNAL_ENTRIES,
    ACCOUNT_ENTRIES,
    CUSTOM_ACCOUNT_ENTRIES,
)


def contoso_environment() -> Environment:
    """All that Contoso publishes; sets and enums by name, labels (en-us) by label id."""
    return Environment(
        entity_sets={entity_set.name: entity_set for entity_set in _ENTITY_SETS},
        enums={enum.name: enum for enum in ENUMS},
        labels=_labels(_ENTITY_SETS, ENUMS),
    )


def _labels(entity_sets: tuple[EntitySet, ...], enums: tuple[EnumType, ...]) -> dict[str, str]:
    labels = {enum.label_id: label_of(enum.name) for enum in enums}
    for entity_set in entity_sets:
        labels |= {prop.label_id: prop.label for prop in entity_set.properties}
    # Sets last: where a set and a property share a name, both mean the same thing in the plural.
    return labels | {entity_set.label_id: entity_set.label for entity_set in entity_sets}
