"""The environment's definitions: complete, consistent, and as wide as the real ones."""

from __future__ import annotations

import pytest

from contoso_sandbox.entities import contoso_environment
from contoso_sandbox.entities.notation import label_of, parse_enum, parse_properties
from contoso_sandbox.model import AxType, EntitySet

ENVIRONMENT = contoso_environment()
SETS = [pytest.param(s, id=s.name) for s in ENVIRONMENT.entity_sets.values()]


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("VendorsV2", 290),
        ("VendorGroups", 12),
        ("PurchaseOrderHeadersV2", 118),
        ("PurchaseOrderLinesV2", 144),
        ("VendorInvoiceHeaders", 128),
        # 98 in the product: Edm.Binary is left out.
        ("VendorInvoiceLines", 97),
        ("VendInvoiceJourBiEntities", 139),
        ("VendTransBiEntities", 101),
        ("MainAccounts", 38),
        ("Ledgers", 40),
        ("LegalEntities", 100),
        ("Companies", 5),
        ("GeneralJournalEntryBiEntities", 23),
        ("GeneralJournalAccountEntryBiEntities", 26),
        ("ExchangeRates", 8),
        ("FiscalCalendars", 13),
        ("FiscalPeriods", 12),
    ],
)
def test_a_set_is_as_wide_as_the_real_one(name: str, width: int) -> None:
    assert len(ENVIRONMENT.entity_sets[name].properties) == width


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("VendorsV2", ("dataAreaId", "VendorAccountNumber")),
        ("PurchaseOrderLinesV2", ("dataAreaId", "PurchaseOrderNumber", "LineNumber")),
        ("VendorInvoiceLines", ("dataAreaId", "HeaderReference", "InvoiceLineNumber")),
        ("VendTransBiEntities", ("dataAreaId", "SourceKey")),
        ("GeneralJournalEntryBiEntities", ("JournalNumber", "FiscalCalendarYear", "Ledger")),
        ("GeneralJournalAccountEntryBiEntities", ("SourceKey",)),
        ("ExchangeRates", ("RateTypeName", "FromCurrency", "ToCurrency", "StartDate")),
        ("MainAccounts", ("ChartOfAccounts", "MainAccountId")),
        ("FiscalCalendars", ("LedgerGregorianDateId",)),
    ],
)
def test_keys_are_the_real_ones(name: str, key: tuple[str, ...]) -> None:
    assert ENVIRONMENT.entity_sets[name].key == key


@pytest.mark.parametrize("entity_set", SETS)
def test_property_names_are_unique_and_keys_among_them(entity_set: EntitySet) -> None:
    names = [prop.name for prop in entity_set.properties]
    assert len(set(names)) == len(names)
    # DuckDB, like SQL Server, does not tell columns apart by case.
    assert len({name.lower() for name in names}) == len(names)
    assert set(entity_set.key) <= set(names)


@pytest.mark.parametrize("entity_set", SETS)
def test_only_strings_and_enums_beside_the_key_are_nullable(entity_set: EntitySet) -> None:
    for prop in entity_set.properties:
        expected = prop.ax_type in {AxType.STRING, AxType.ENUM} and prop.name not in entity_set.key
        assert prop.nullable is expected, prop.name


@pytest.mark.parametrize("entity_set", SETS)
def test_enums_labels_and_navigations_lead_somewhere(entity_set: EntitySet) -> None:
    for prop in entity_set.properties:
        assert (prop.enum in ENVIRONMENT.enums) is (prop.ax_type is AxType.ENUM)
        assert ENVIRONMENT.labels[prop.label_id] == prop.label
    assert ENVIRONMENT.labels[entity_set.label_id] == entity_set.label
    own = {prop.name for prop in entity_set.properties}
    for navigation in entity_set.navigations:
        related = ENVIRONMENT.entity_sets[navigation.related_set]
        assert {mine for mine, _ in navigation.on} <= own
        assert {other for _, other in navigation.on} <= {p.name for p in related.properties}


def test_posted_ledger_sets_carry_no_modified_time_and_the_custom_one_does() -> None:
    def has(name: str, prop: str) -> bool:
        return any(p.name == prop for p in ENVIRONMENT.entity_sets[name].properties)

    assert has("VendTransBiEntities", "SysModifiedDateTime")
    assert not has("GeneralJournalAccountEntryBiEntities", "SysModifiedDateTime")
    assert not has("GeneralJournalEntryBiEntities", "SysModifiedDateTime")
    assert has("GeneralJournalAccountEntries", "ModifiedDateTime")


def test_notation_reads_names_types_and_keys() -> None:
    area, amount, rate, blocked = parse_properties(
        "dataAreaId key; AmountMST Real; ExchRate Rate;\n OnHoldStatus CustVendorBlocked"
    )
    assert (area.ax_type, area.nullable, area.label) == (AxType.STRING, False, "Company")
    assert (amount.sql_type, amount.label) == (
        "DECIMAL(32, 6)",
        "Amount in accounting currency",
    )
    assert rate.sql_type == "DECIMAL(38, 16)"
    assert (blocked.enum, blocked.nullable) == ("CustVendorBlocked", True)


def test_notation_refuses_a_forgotten_semicolon() -> None:
    with pytest.raises(ValueError, match="Name Real Other"):
        parse_properties("Name Real Other")


def test_enum_numbers_count_on_after_a_gap() -> None:
    enum = parse_enum("Kind", "None Cust=8 ExchAdjustment Vend=14")
    assert enum.members == (("None", 0), ("Cust", 8), ("ExchAdjustment", 9), ("Vend", 14))


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("VendorDUNSNumber", "Vendor DUNS number"),
        ("VendorAccountNumber", "Vendor account number"),
        ("Tax1099BoxId", "Tax 1099 box id"),
        ("FiscalRegime_BR", "Fiscal regime BR"),
        ("numberSequenceGroup", "Number sequence group"),
    ],
)
def test_labels_are_the_words_of_the_name(name: str, label: str) -> None:
    assert label_of(name) == label
