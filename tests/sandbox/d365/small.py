"""A tiny environment with hand-made rows: one of everything that travels oddly."""

from __future__ import annotations

import duckdb

from contoso_sandbox.model import (
    REC_ID,
    REC_VERSION,
    AxType,
    EntitySet,
    EnumType,
    Environment,
    Navigation,
    Property,
)

_S, _E = AxType.STRING, AxType.ENUM

VENDORS = EntitySet(
    name="VendorsV2",
    entity="VendorV2",
    data_entity="VendVendorV2Entity",
    category="Master",
    label="Vendors V2",
    label_id="@SYS1",
    key=("dataAreaId", "VendorAccountNumber"),
    sources=2,
    properties=(
        Property("dataAreaId", _S, label="Company", label_id="@SYS13342"),
        Property("VendorAccountNumber", _S, label="Vendor account", label_id="@SYS2"),
        Property("VendorOrganizationName", _S, nullable=True),
        Property("VendorGroupId", _S, nullable=True),
        Property("OnHoldStatus", _E, enum="CustVendorBlocked", nullable=True),
        Property("IsOwnerDisabled", _E, enum="NoYes", nullable=True),
        Property("AddressTimeZone", _E, enum="Timezone", nullable=True),
        Property("CreditLimit", AxType.REAL),
        Property("PersonBirthYear", AxType.INT32),
        Property("PrimaryContactRecordId", AxType.INT64),
        Property("SSIValidityDate", AxType.DATE),
        Property("AddressValidFrom", AxType.UTC_DATE_TIME),
        Property("PartyGuid", AxType.GUID),
        Property("IsSynchronized", AxType.BOOLEAN),
    ),
    navigations=(
        Navigation(
            "VendorGroup",
            "VendorGroups",
            many=False,
            on=(("dataAreaId", "dataAreaId"), ("VendorGroupId", "VendorGroupId")),
        ),
    ),
)
GROUPS = EntitySet(
    name="VendorGroups",
    entity="VendorGroup",
    data_entity="VendVendorGroupEntity",
    category="Reference",
    label="Vendor groups",
    key=("dataAreaId", "VendorGroupId"),
    properties=(
        Property("dataAreaId", _S),
        Property("VendorGroupId", _S),
        Property("Description", _S, nullable=True),
    ),
    navigations=(
        Navigation(
            "Vendors",
            "VendorsV2",
            many=True,
            on=(("dataAreaId", "dataAreaId"), ("VendorGroupId", "VendorGroupId")),
        ),
    ),
)
ACCOUNT_ENTRIES = EntitySet(
    name="GeneralJournalAccountEntryBiEntities",
    entity="GeneralJournalAccountEntryBiEntity",
    data_entity="GeneralJournalAccountEntryBiEntity",
    category="Transaction",
    label="Account entries",
    key=("SourceKey",),
    read_only=True,
    properties=(
        Property("SourceKey", AxType.INT64),
        Property("AccountingCurrencyAmount", AxType.REAL),
        Property("Text", _S, nullable=True),
    ),
)
EXCHANGE_RATES = EntitySet(
    name="ExchangeRates",
    entity="ExchangeRate",
    data_entity="ExchangeRateEntity",
    category="Reference",
    label="Exchange rates",
    key=("FromCurrency", "StartDate", "LineNumber", "DebitCredit"),
    properties=(
        Property("FromCurrency", _S),
        Property("StartDate", AxType.DATE),
        Property("LineNumber", AxType.REAL),
        Property("DebitCredit", _E, enum="DebitCredit", nullable=True),
        Property("Rate", AxType.REAL, scale=16),
    ),
)
ENVIRONMENT = Environment(
    entity_sets={s.name: s for s in (VENDORS, GROUPS, ACCOUNT_ENTRIES, EXCHANGE_RATES)},
    enums={
        enum.name: enum
        for enum in (
            EnumType("NoYes", (("No", 0), ("Yes", 1))),
            EnumType("CustVendorBlocked", (("No", 0), ("Invoice", 1), ("All", 2))),
            EnumType("Timezone", (("GMTMINUS0500EASTERNTIME", 10),)),
            EnumType("DebitCredit", (("Debit", 0), ("Credit", 1))),
        )
    },
    labels={"@SYS13342": "Company", "@SYS2": "Vendor account", "@SYS1": "Vendors V2"},
)

# fmt: off
#: Column values in published order, then RecId, RecVersion and the etag's further pairs.
VENDOR_ROWS = [
    ("usmf", "US-101", 'Fabrikam "East" \\ West', "30", "No", "No", "GMTMINUS0500EASTERNTIME",
     "750.000000", 1980, 5637144577, "2026-06-26 12:00:00", "2019-03-04 07:15:30",
     "0f8fad5b-d9cb-469f-a165-70867728950e", True, 22565421177, 75000468, ";1,5637144580"),
    ("USMF", "US-102", "Tailspin Toys", "30", "All", "Yes", None,
     "33.330000", 0, 0, "1900-01-01 12:00:00", "1900-01-01 00:00:00",
     "00000000-0000-0000-0000-000000000000", False, 22565421176, 0, ";0,0"),
    ("usmf", " RFI-1", "", "20", None, None, None,
     "-0.050000", 0, 9007199254740993, "1900-01-01 12:00:00", "2154-12-31 23:59:59",
     "00000000-0000-0000-0000-000000000000", False, 22565421178, 1, ";0,0"),
    ("gbsi", "GB-1", "Zürich 📦\nLine two\ttab", "30", "No", "No", None,
     "999999999999.990000", -1, -1, "1900-01-01 12:00:00", "1900-01-01 00:00:00",
     "00000000-0000-0000-0000-000000000000", False, 22565421179, 1, ";0,0"),
    ("demf", "DE-O'Hara/1", None, "", "No", "No", None,
     "0.000000", 0, 0, "1900-01-01 12:00:00", "1900-01-01 00:00:00",
     "00000000-0000-0000-0000-000000000000", False, 22565421180, 901775392, ";0,0"),
]
# fmt: on
GROUP_ROWS = [
    ("usmf", "30", "Other vendors", 1, 1),
    ("usmf", "20", "Parts", 2, 1),
    ("gbsi", "30", "Others, GB", 3, 1),
]
RATE_ROWS = [
    ("EUR", "2026-01-01 12:00:00", "1.000000", "Debit", "108.3333333333333333", 11, 1),
    ("EUR", "2026-02-01 12:00:00", "2.500000", "Credit", "0.0000000000000001", 12, 1),
]


def create_database(*, account_entries: int = 25) -> duckdb.DuckDBPyConnection:
    """Fill an in-memory database; account entry n has RecId and key 5637144576 + n."""
    connection = duckdb.connect(":memory:")
    for entity_set in ENVIRONMENT.entity_sets.values():
        columns = [f'"{p.name}" {p.sql_type}' for p in entity_set.properties]
        columns += [f"{REC_ID} BIGINT", f"{REC_VERSION} BIGINT"]
        columns += ["__etag_tail VARCHAR"] if entity_set.sources > 1 else []
        connection.execute(f'CREATE TABLE "{entity_set.name}" ({", ".join(columns)})')
    for table, rows in (
        ("VendorsV2", VENDOR_ROWS),
        ("VendorGroups", GROUP_ROWS),
        ("ExchangeRates", RATE_ROWS),
    ):
        marks = ", ".join("?" * len(rows[0]))
        connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608 - constants
    connection.execute(
        "INSERT INTO GeneralJournalAccountEntryBiEntities "  # noqa: S608 - constants
        "SELECT 5637144576 + n, (n * 7919 % 1000) / 100, 'Entry ' || n, 5637144576 + n, 1 "
        f"FROM range({account_entries}) numbers(n)"
    )
    return connection
