"""Vendor invoices that wait to be posted (VendInvoiceInfoTable and VendInvoiceInfoLine).

``PackedExtensions`` (Edm.Binary) of the lines is left out: nobody reads it over OData.
"""

from __future__ import annotations

from contoso_sandbox.entities.notation import parse_properties
from contoso_sandbox.model import EntitySet, Navigation

_HEADER = """
    dataAreaId key; HeaderReference key; FiscalEstablishmentId; FiscalDocumentOperationTypeId;
    PaymentId; EndDateTime UtcDateTime; CarrierName; Site; IsApproved NoYes;
    ErrorInvalidDistribution NoYes; VendorName; UUID; FiscalDocumentSpecie FiscalDocumentSpecieBr;
    NumberSequenceGroup; DeliveryFreightChargeTerms WmsFreightChargeTerms; InvoiceAccount;
    ReleaseDateComment; InvoiceReceivedDate Date; PostingProfile; IsOnHold NoYes; BankAccount;
    Recalculation Boolean; CFPSCode; VarianceApprovedDateTime UtcDateTime;
    VendorInvoiceReviewStatus VendInvoiceRequestStatus; Warehouse; InvoiceUUID;
    VendorPaymentFineCode; InvoiceDescription; DiscountPercentage Real; TermsOfPayment;
    DeliveryPackingName; TotalDiscount Real; BankSpecificSymbol; MethodOfPayment;
    BankConstantSymbol; PaymentSchedule; GSTInvoiceType InvoiceTypeMy; ExchangeRate Rate; Port;
    TransactionCode; ListCode Listcode; DimensionDisplayValue; CreditCorrection NoYes;
    FiscalOperationPresenceType EfDocPresenceTypeBr; VendorPaymentFinancialInterestCode;
    DocumentNumber; Date Date; PurchaseOrderNumber; ReportingCurrencyExchangeRate Rate; Transport;
    VariancePersonnelNumber; PaymentGroupCode; CTeType TypeOfCTeBr; ChargesGroup; CashDiscount Real;
    TaxExemptNumber; StartDateTime UtcDateTime; Currency; InvoiceDate Date;
    BusinessDocumentSubmissionId_W Guid; ServiceCodeOnDeliveryAddress NoYes;
    InvoicePaymentReleaseDate Date; CountyOrigDest; CashDiscountCode; CashDiscountDate Date;
    ImportedSalesTax Real; DeliveryVehicleNumber; Log; GSTImportDeclarationNumber;
    ImportedAmount Real; Triangulation NoYes; SecondaryExchangeRate Rate; DueDate Date;
    OverrideSalesTax NoYes; IgnoreCalculatedSalesTax NoYes; VendorRequestedWorkerEmail;
    SalesTaxRounding Real; InvoiceNumber; InvoiceRoundOff Real; IsBatch NoYes;
    DeliveryStateRegistered; FiscalDocumentTypeId; DeliveryName; IsFinalUser NoYes;
    ApprovePostingWithMatchingDiscrepancies NoYes; Comment; HeaderOnlyImport NoYes;
    EnterpriseNumber; ImportDeclarationNumber; VendorAccount; VendorInvoiceType PurchInvoiceType;
    FiscalDocumentModel; IsElectronicInvoiceForService NoYes; SalesTaxGroup; FiscalDocumentSeries;
    InvoiceGroup; IsPricesIncludeSalesTax NoYes; InvoiceSeries; StatisticsProcedure;
    FinTagDisplayValue; FixedRate NoYes; DeliveryTransportBrand; ApproverPersonnelNumber;
    PurchIdRange; PaymentSpecification; PackingslipRange; SettleVoucher SettlementType;
    PurchReceiptDate_W Date; FreightedBy WmsFreightedBy; AccessKey; ProjectManager_FR;
    InvoiceAccountServiceCode_FR; ElectronicInvoiceFrameworkType_FR Int64;
    ProjectManagerServiceCode_FR; PSNPostingDefinitionCode; PSNVendorAccountForBalancePayoff;
    PSNReferenceInvoiceNumber; PSNBankAccountId;
    PSNPurchasingCardTransactionType PsnPurchasingCardTransactionType; PSNCardNumberDigits;
    PSNCardHolderName; DTEFileName; DTEDigest; DocumentClassificationId; DTEShipmentID;
    WithholdingSetID; DocumentClassificationNumber
"""

_LINE = """
    dataAreaId key; HeaderReference key; InvoiceLineNumber Real key;
    ProcurementCategoryHierarchyName; Tax1099SAddressOrLegalDescription; PriceUnit Real;
    Tax1099GTaxYear Int32; InvoiceAccount; ItemName; ItemNumber; MultilineDiscountPercentage Real;
    InventNow Real; ItemSalesTax; MainAccountDisplayValue; WithholdingTaxGroup;
    RemainAfterInvent Real; ProcurementCategoryName; IsTax1099SPropertyOrServices NoYes;
    ProductStyleId; ReleaseAllRetainedAmount NoYes; TaxWithholdGroup; ProductConfigurationId;
    PartyID; Tax1099GVendorStateId; DiscountPercent Real; AdjustedUnitPrice Real;
    Tax1099Type Tax1099Type; MultilineDiscount Real; ItemBatchNumber; ChangeQuantityManually NoYes;
    Port; TransactionCode; IsTax1099GTradeOrBusinessIncome NoYes; InventoryWarehouseId;
    TotalRetainedAmount Real; Tax1099SBuyerPartOfRealEstateTaxAmount Real; DimensionDisplayValue;
    ProductSizeId; OriginalDeliverRemainder Real; Tax1099SClosingDate Date; Unit;
    VendorInvoiceLineReviewStatus VendInvoiceRequestStatus; ReceiveNow Real; Transport;
    BudgetReservationLineNumber Int32; Amount Real; StateOfOrigin; RemainBefore Real;
    LineType PurchInvoiceLineType; Currency; DataAreaCompany; PurchLineNumber Int64;
    OrderedInventoryStatusId; CountyOrigDest; RetainageAmount Real; Percentage Real; NetAmount Real;
    CWUpdate Real; PurchaseOrder; Ordering DocumentStatus; ProductVersionId;
    Tax1099GStateTaxWithheldAmount Real; OrigCountryRegionId; OverrideSalesTax NoYes;
    LineDescription; RetainPercentage Real; RemainBeforeInvent Real; DeliveryName; Tax1099Box;
    CWDeliveryRemainder Real; TaxServiceCode; VendorAccount; CloseForReceipt NoYes;
    RemainAfter Real; LineNumber Real; UnitPrice Real; BudgetReservationDocumentNumber;
    SalesTaxGroup; ChargesOnPurchases Real; ProductColorId; TaxWithholdItemGroupName; CFOPCode;
    Tax1099StateAmount Real; AccountingDistributionTemplateId; StatisticsProcedure;
    CWRemainingQuantity Real; DimensionNumber; FinTagDisplayValue; Tax1099Amount Real;
    PDSCalculationId; Tax1099GVendorStateTaxId; WithholdingTaxItemGroup; Discount Real;
    DeliveryState; InventorySiteId; Commodity; DiotOperationType VendorOperationTypeMx
"""

VENDOR_INVOICE_HEADERS = EntitySet(
    name="VendorInvoiceHeaders",
    entity="VendorInvoiceHeader",
    data_entity="VendVendorInvoiceHeaderEntity",
    category="Transaction",
    label="Vendor invoice headers",
    label_id="@Contoso:VendorInvoiceHeaders",
    properties=parse_properties(_HEADER),
    key=("dataAreaId", "HeaderReference"),
    navigations=(
        Navigation(
            "VendorInvoiceLines",
            "VendorInvoiceLines",
            many=True,
            on=(("dataAreaId", "dataAreaId"), ("HeaderReference", "HeaderReference")),
        ),
    ),
)

VENDOR_INVOICE_LINES = EntitySet(
    name="VendorInvoiceLines",
    entity="VendorInvoiceLine",
    data_entity="VendVendorInvoiceLineEntity",
    category="Transaction",
    label="Vendor invoice lines",
    label_id="@Contoso:VendorInvoiceLines",
    properties=parse_properties(_LINE),
    key=("dataAreaId", "HeaderReference", "InvoiceLineNumber"),
    navigations=(
        Navigation(
            "VendorInvoiceHeader",
            "VendorInvoiceHeaders",
            many=False,
            on=(("dataAreaId", "dataAreaId"), ("HeaderReference", "HeaderReference")),
        ),
    ),
    sources=2,
)
