"""The organisation: legal entities, their ledgers and the chart of accounts."""

from __future__ import annotations

from contoso_sandbox.entities.notation import parse_properties
from contoso_sandbox.model import EntitySet

_MAIN_ACCOUNT = """
    ChartOfAccounts key; MainAccountId key; ActiveFrom Date; AccountCategoryDescription;
    ForeignCurrencyRevaluation NoYes; BalanceControl DebCredProposal;
    DebitCreditRequirement DebCredProposal; User; MainAccountRecId Int64;
    DoNotAllowManualEntry NoYes; RepomoType RepomoTypeMx;
    MainAccountType DimensionLedgerAccountType; ValidateUser FieldControl;
    FinancialReportingExchangeRateType; OffsetAccountDisplayValue;
    ReportingAccountType DimensionLedgerAccountReportingType; MainAccountCategory;
    ChartOfAccountsRecId Int64; OpeningAccountId; IsSuspended NoYes; ActiveTo Date;
    InflationAdjustment NoYes; Closing LedgerClosing; ValidateCurrency FieldControl; Name; SRUCode;
    DebitCreditDefault DebCredProposal; ExchangeAdjustmentRateType;
    FinancialReportingCurrencyTranslationType FinancialReportingTranslationType; DefaultCurrency;
    DefaultConsolidationAccount; MandatoryPaymentReference NoYes; PostingType LedgerPostingType;
    ReportingExchangeAdjustmentRateType; ParentMainAccountId; AdjustmentMethod AdjustmentMethodMx;
    Monetary NoYes; ValidatePostingType FieldControl
"""

_LEDGER = """
    LegalEntityId key; AccountStructureName11; MainAccountIdUnrealizedGain;
    BalancingFinancialDimension; MainAccountIdRealizedLoss; MainAccountIdFinancialGain; Description;
    AccountStructureName12; MainAccountIdFinancialLoss; ChartOfAccountsRecId Int64;
    AccountStructureName17; AccountStructureName2; AccountStructureName3; AccountStructureName18;
    AccountStructureName1; FiscalCalendar; AccountStructureName6; AccountStructureName7;
    BudgetExchangeRateType; AccountStructureName4; AccountStructureName5; AccountStructureName8;
    IsBudgetControlEnabled NoYes; AccountStructureName9; ChartOfAccounts; AccountStructureName20;
    AccountStructureName10; MainAccountIdUnrealizedLoss; AccountStructureName15;
    AccountStructureName16; AccountingCurrency; AccountStructureName13; LedgerRecId Int64;
    AccountStructureName14; Name; ExchangeRateType; ReportingCurrencyExchangeRateType;
    MainAccountIdRealizedGain; ReportingCurrency; AccountStructureName19
"""

_LEGAL_ENTITY = """
    LegalEntityId key; AddressDescription; UseForFinancialConsolidationProcess NoYes; CompanyName;
    InitialCapitalInvestment Real; AddressState; AddressBooks; AddressCity; AddressLatitude Real;
    AddressZipCode; ExternalLegalRepresentativeName; CompanyRepresentative; LegalRepresentativeName;
    PrimaryContactURLDescription; PrimaryContactPhoneExtension; CompanyCountry;
    SoftwareIdentificationCode; AddressCounty; PrimaryContactEmailIsIM NoYes;
    PrimaryContactFacebookIsPrivate NoYes; PrimaryContactTelexDescription; PrimaryContactURL;
    PrimaryContactPhonePurpose; PrimaryContactFax; AddressStreet; NAICS; TraderNumber;
    PrimaryContactTwitterIsPrivate NoYes; PrimaryContactPhoneIsMobile NoYes;
    AddressValidTo UtcDateTime; TimeZone Timezone; DNBRoutingNumber; AccountsOfficeReferenceNumber;
    PrimaryContactTelex; LanguageId; StartDateOfBusiness Date; AddressTimeZone Timezone;
    PrintINNKPPInAddress NoYes; PrimaryContactPhoneDescription; Rfc; AddressCountryRegionId; CUC;
    CurpLegalRepresentative; PrimaryContactLinkedInPurpose; FiscalCode;
    PrimaryContactTwitterPurpose; PrimaryContactFacebookDescription; CurpNumber;
    PrimaryContactFaxExtension; PhoneticName; AddressCountryRegionISOCode;
    LegalNature LegalNatureIt; PrimaryContactTwitterDescription; PrimaryContactLinkedInDescription;
    RfcLegalRepresentative; PrimaryContactEmailPurpose; FullPrimaryAddress;
    PrimaryAddressLocationId; AddressValidFrom UtcDateTime; PrimaryContactURLPurpose;
    AddressDistrictName; AccountingPersonnel; AddressLocationRoles; NationalRegistryNumber;
    FICreditorID; PartyNumber; CompanyType CompanyTypeMx; Name; PrintEnterpriseRegister NoYes;
    PrimaryContactTelexPurpose; PrimaryContactFaxDescription; PrimaryContactLinkedIn;
    PrimaryContactFacebook; ReportFolder; PersonInCharge; NameAlias; PrimaryContactPhone;
    PrimaryContactEmailDescription; LegalForm; NationalClassificationOfCompanyEconomicActivity;
    PrimaryContactEmail; PrintCorrectiveInvoiceStartingDate Date; AddressLongitude Real;
    BusinessItem; PrimaryContactTwitter; PrimaryContactFacebookPurpose;
    UseForFinancialEliminationProcess NoYes; StateInscription;
    PrimaryContactLinkedInIsPrivate NoYes; PrimaryContactFaxPurpose; RegistrationNumber;
    CertifiedTaxAccountantName; CommerceRegistration; PrintCorrectiveInvoice NoYes;
    LocalizationCountryRegionCode SysLocalizationCountryRegionCode; VATOnCustomerBehalf NoYes;
    VATNum; ProfitMarginScheme NoYes; VATRefund NoYes; ImportVATNum
"""

_COMPANY = """
    DataArea key; Name; KnownAs; LanguageId; PartyNumber
"""

MAIN_ACCOUNTS = EntitySet(
    name="MainAccounts",
    entity="MainAccount",
    data_entity="MainAccountEntity",
    category="Master",
    label="Main accounts",
    label_id="@Contoso:MainAccounts",
    properties=parse_properties(_MAIN_ACCOUNT),
    key=("ChartOfAccounts", "MainAccountId"),
)

LEDGERS = EntitySet(
    name="Ledgers",
    entity="Ledger",
    data_entity="LedgerEntity",
    category="Configuration",
    label="Ledgers",
    label_id="@Contoso:Ledgers",
    properties=parse_properties(_LEDGER),
    key=("LegalEntityId",),
)

LEGAL_ENTITIES = EntitySet(
    name="LegalEntities",
    entity="LegalEntity",
    data_entity="OMLegalEntityEntity",
    category="Master",
    label="Legal entities",
    label_id="@Contoso:LegalEntities",
    properties=parse_properties(_LEGAL_ENTITY),
    key=("LegalEntityId",),
    sources=3,
)

COMPANIES = EntitySet(
    name="Companies",
    entity="Company",
    data_entity="CompanyInfoEntity",
    category="Master",
    label="Companies",
    label_id="@Contoso:Companies",
    properties=parse_properties(_COMPANY),
    key=("DataArea",),
)
