"""General ledger: vouchers and their account entries.

A standard environment publishes the two Bi entities only. ``GeneralJournalAccountEntries`` is what
customers add to get company, date and display values with each entry: an own entity over the same
tables, with the time stamp that the Bi entities lack. Names of its columns follow the
data-management entity ``GeneralJournalAccountEntryEntity``.
"""

from __future__ import annotations

from contoso_sandbox.entities.notation import parse_properties
from contoso_sandbox.model import EntitySet

_ENTRY = """
    JournalNumber key; FiscalCalendarYear Int64 key; Ledger Int64 key;
    PostingLayer CurrentOperationsTax; SysCreatedTransactionId Int64; SubledgerVoucherDataAreaId;
    BudgetSourceLedgerEntryPosted Int64; LedgerEntryJournal Int64; AccountingDate Date;
    DocumentDate Date; SysCreatedBy; JournalCategory LedgerTransType; LedgerPostingJournal;
    SysRecVersion Int32; LedgerPostingJournalDataAreaId; SubledgerJournalEntry Int64;
    DocumentNumber; SubledgerVoucher; SourceKey Int64; TransferId Int64; CreatedOn UtcDateTime;
    FiscalCalendarPeriod Int64; AcknowledgementDate Date
"""

_ACCOUNT_ENTRY = """
    SourceKey Int64 key; PostingType LedgerPostingType; AccountingCurrencyAmount Real;
    SysRecVersion Int32; CreatedByTransactionId Int64; IsCredit NoYes; FinTag Int64;
    GeneralJournalEntry Int64; ReasonRef Int64; AssetLeaseTransactionType LedgerTransType;
    AssetLeasePostingTypes AssetLeasePostingTypes; TransactionCurrencyCode; LedgerAccount;
    PaymentReference; ReportingCurrencyAmount Real; Text; TransactionCurrencyAmount Real;
    ProjTableDataAreaId; ProjId_SA; IsCorrection NoYes; HistoricalExchangeRateDate Date;
    AllocationLevel Int32; Quantity Real; OriginalAccountEntry Int64; MainAccount Int64;
    LedgerDimensionValuesJson
"""

_CUSTOM_ENTRY = """
    dataAreaId key; GeneralJournalAccountEntryRecId Int64 key; JournalNumber; Voucher;
    AccountingDate Date; DocumentDate Date; DocumentNumber; JournalCategory LedgerTransType;
    PostingLayer CurrentOperationsTax; PostingType LedgerPostingType; MainAccountId;
    MainAccountName; LedgerAccount; DimensionDisplayValue; Text; Quantity Real; IsCredit NoYes;
    IsCorrection NoYes;
    TransactionCurrencyCode; TransactionCurrencyAmount Real; AccountingCurrency;
    AccountingCurrencyAmount Real; ReportingCurrency; ReportingCurrencyAmount Real; FiscalYear;
    FiscalPeriod; PaymentReference; CreatedBy; CreatedDateTime UtcDateTime;
    ModifiedDateTime UtcDateTime
"""

JOURNAL_ENTRIES = EntitySet(
    name="GeneralJournalEntryBiEntities",
    entity="GeneralJournalEntryBiEntity",
    data_entity="GeneralJournalEntryBiEntity",
    category="Transaction",
    label="General journal entry",
    label_id="@Contoso:GeneralJournalEntryBiEntities",
    properties=parse_properties(_ENTRY),
    key=("JournalNumber", "FiscalCalendarYear", "Ledger"),
    read_only=True,
)

ACCOUNT_ENTRIES = EntitySet(
    name="GeneralJournalAccountEntryBiEntities",
    entity="GeneralJournalAccountEntryBiEntity",
    data_entity="GeneralJournalAccountEntryBiEntity",
    category="Transaction",
    label="General journal account entry",
    label_id="@Contoso:GeneralJournalAccountEntryBiEntities",
    properties=parse_properties(_ACCOUNT_ENTRY),
    key=("SourceKey",),
    read_only=True,
)

CUSTOM_ACCOUNT_ENTRIES = EntitySet(
    name="GeneralJournalAccountEntries",
    entity="GeneralJournalAccountEntry",
    data_entity="ContosoGeneralJournalAccountEntryEntity",
    category="Transaction",
    label="General journal account entries (Contoso)",
    label_id="@Contoso:GeneralJournalAccountEntries",
    properties=parse_properties(_CUSTOM_ENTRY),
    key=("dataAreaId", "GeneralJournalAccountEntryRecId"),
    sources=2,
    read_only=True,
)
