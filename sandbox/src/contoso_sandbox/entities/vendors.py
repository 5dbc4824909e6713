"""Vendor master: vendors and vendor groups."""

from __future__ import annotations

from contoso_sandbox.entities.notation import parse_properties
from contoso_sandbox.model import EntitySet, Navigation

#: Width of ``VendorsV2`` in a real 10.0.47 environment: half of it belongs to localisations.
_REAL_WIDTH = 290

_COUNTRIES = ("AR", "BR", "CZ", "HU", "IN", "IT", "JP", "LT", "MX", "MY", "PL", "RU", "SA", "TH")
_LOCALISED = (
    "FiscalRegime",
    "TaxpayerRegistrationNumber",
    "FiscalCategoryCode",
    "TaxAuthorityOffice",
    "RegistrationValidFrom Date",
    "IsTaxpayerVerified NoYes",
    "IsSimplifiedRegime NoYes",
    "WithholdingBaseAmount Real",
    "DeclarationRecordId Int64",
    "LastVerifiedOn UtcDateTime",
    "DeclarationSequence Int32",
)

_VENDOR = """
    dataAreaId key; VendorAccountNumber key;
    VendorPortalCollaborationMethod VendVendorCollaborationType; AddressCountryRegionId;
    DefaultOffsetAccountType LedgerJournalAcType; PrimaryFaxNumberPurpose; BusinessSegmentCode;
    VendorPartyNumber; DefaultDeliveryModeId; VendorInvoiceDeclarationId; IsOwnerDisabled NoYes;
    IsVendorLocallyOwned NoYes; AddressPostBox; PersonProfessionalTitle;
    IsServiceDeliveryAddressBased NoYes; VendorGroupId; AddressBuildingCompliment;
    PaymentTransactionCode; VendorProductHierarchyId Int64; PrimaryContactFaxRecordId Int64;
    DefaultOffsetLedgerAccountDisplayValue; IsPrimaryPhoneNumberMobile NoYes; AddressZipCode;
    LineOfBusinessId; DefaultLedgerDimensionDisplayValue; VendorOrganizationName;
    PrimaryEmailAddress; AddressCountyId; PrimaryPhoneNumber; TaxExemptNumber; CashDiscountCode;
    IsPurchaseConsumed NoYes; AddressCity; PersonInitials;
    PurchaseOrderConsolidationDayOfMonth Int32; PrimaryURLPurpose; AddressLongitude Real;
    IsChangeManagementActivated NoYes; VendorSearchName; CompanyChainName;
    PrimaryPhoneNumberPurpose; PrimaryFaxNumber; DefaultPurchaseSiteId; AddressLocationId;
    VendorInvoiceLineMatchingPolicy PurchMatchingPolicyWithNotSetOption; AddressDistrictName;
    IsChangeMangementOverrideByVendorAllowed NoYes; DefaultPaymentDayName; PersonProfessionalSuffix;
    OnHoldStatus CustVendorBlocked; IsOneTimeVendor NoYes; OrganizationEmployeeAmount Int32;
    PurchaseWorkCalendarId; WillReceiptsListProcessingSummaryUpdatePurchaseOrder NoYes;
    ArePricesIncludingSalesTax NoYes; Tax1099BoxId; PrimaryPhoneNumberExtension;
    WillInvoiceProcessingSummaryUpdatePurchaseOrder NoYes; DefaultInventoryStatusId;
    IsReportingTax1099 NoYes; AddressTimeZone Timezone; Nationality;
    PrimaryContactPhoneRecordId Int64; TaxOperationCode; NumberSequenceGroupId; PersonFirstName;
    SalesTaxGroupCode; PrimaryURLDescription; DefaultVendorPaymentMethodName;
    PrimaryContactPersonId; AddressRecordId Int64; AddressBooks; IsMinorityOwned NoYes;
    MultilineDiscountVendorGroupCode; PrimaryFaxNumberExtension; ExchangeRate Rate;
    FactoringVendorAccountNumber; ClearingPeriodPaymentTermsId; ServiceCategory; BuyerGroupId;
    PrimaryPhoneNumberDescription; PrimaryContactEmailRecordId Int64; PaymentId; OrganizationNumber;
    ProductDescriptionVendorGroupId; WillPurchaseOrderIncludePricesAndAmounts NoYes;
    DefaultCashDiscountUsage UseCashDisc; BankTransactionType; PersonLastNamePrefix;
    PrimaryFaxNumberDescription; DefaultPaymentScheduleName; NationalRegistryNumberId;
    LineDiscountVendorGroupCode; AddressLatitude Real; AddressLocationRoles;
    PurchaseRebateVendorGroupId; VendorExceptionGroupId;
    WillPurchaseOrderProcessingSummaryUpdatePurchaseOrder NoYes; CreditRating; ChargeVendorGroupId;
    IsVendorPayingBankPaymentFee NoYes; Notes; OurAccountNumber; VendorHoldReleaseDate UtcDateTime;
    Tax1099FederalTaxId; PrimaryURL; AddressValidTo UtcDateTime; PrimaryEmailAddressPurpose;
    PaymentFeeGroupId; AddressStateId; PrimaryEmailAddressDescription;
    IsPurchaseOrderChangeRequestOverrideAllowed NoYes; DefaultDeliveryTermsCode; CurrencyCode;
    PriceVendorGroupId; DefaultProcumentWarehouseId; FormattedPrimaryAddress;
    DefaultPaymentTermsName; PrimaryContactURLRecordId Int64; PersonPersonalSuffix;
    CreditLimit Real; Tax1099Type Tax1099Type; VendorKnownAsName; AddressStreetNumber;
    PersonLastName; FixedExchangeRate NoYes; AddressCountryRegionISOCode; BankAccountId;
    ElectronicLocationId; MainContactPersonnelNumber; AddressValidFrom UtcDateTime;
    PersonPersonalTitle; VendorPartyType; IsPrimaryEmailAddressIMEnabled NoYes; AddressDescription;
    PaymentSpecificationId; PurchaseShipCalendarId; IsWomanOwner NoYes; DefaultPurchaseOrderPoolId;
    DefaultTotalDiscountVendorGroupCode; OverrideSalesTax NoYes; PersonMiddleName;
    WillProductReceiptProcessingSummaryUpdatePurchaseOrder NoYes; LanguageId;
    InvoiceVendorAccountNumber; IsSubcontractor NoYes; AddressStreet; IsPublicSector_IT NoYes;
    DefaultAgentVendorAccountNumber
"""

_VENDOR_GROUP = """
    dataAreaId key; VendorGroupId key; Description; DefaultTaxGroupCode;
    AccountingCurrencyExchangeRateType; DefaultPaymentTermName; VendorAccountNumberSequence;
    ClearingPeriodPaymentTermName; IsExcludedFromSearchResults NoYes;
    ReportingCurrencyExchangeRateType; DefaultDimensionDisplayValue; IsPublicSector_IT NoYes
"""


def _localisation_columns(count: int) -> str:
    """Made-up columns as localisations add them: they give the real width and stay empty."""
    named = [
        " ".join([f"{name}_{country}", *types])
        for country in _COUNTRIES
        for name, *types in (column.split() for column in _LOCALISED)
    ]
    return "; ".join(named[:count])


_PROPERTIES = parse_properties(_VENDOR)

VENDORS = EntitySet(
    name="VendorsV2",
    entity="VendorV2",
    data_entity="VendVendorV2Entity",
    category="Master",
    label="Vendors V2",
    label_id="@Contoso:VendorsV2",
    properties=(
        *_PROPERTIES,
        *parse_properties(_localisation_columns(_REAL_WIDTH - len(_PROPERTIES))),
    ),
    key=("dataAreaId", "VendorAccountNumber"),
    navigations=(
        Navigation(
            "VendorGroup",
            "VendorGroups",
            many=False,
            on=(("dataAreaId", "dataAreaId"), ("VendorGroupId", "VendorGroupId")),
        ),
    ),
    sources=4,
)

VENDOR_GROUPS = EntitySet(
    name="VendorGroups",
    entity="VendorGroup",
    data_entity="VendVendorGroupEntity",
    category="Configuration",
    label="Vendor groups",
    label_id="@Contoso:VendorGroups",
    properties=parse_properties(_VENDOR_GROUP),
    key=("dataAreaId", "VendorGroupId"),
)
