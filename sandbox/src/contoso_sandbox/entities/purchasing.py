"""Purchase orders: headers and lines."""

from __future__ import annotations

from contoso_sandbox.entities.notation import parse_properties
from contoso_sandbox.model import EntitySet, Navigation

_HEADER = """
    dataAreaId key; PurchaseOrderNumber key; FiscalDocumentOperationTypeId;
    ExpectedStoreAvailableSalesDate Date; VendorInvoiceDeclarationId; DeliveryModeId;
    InvoiceAddressStreet; OrderVendorAccountNumber; Email; TransportationModeId;
    IsChangeManagementActive NoYes; AccountingDistributionTemplateName; DeliveryAddressDescription;
    VendorTransactionSettlementType SettlementType; DeliveryCityInKana; DeliveryStreetInKana;
    ReasonComment; NumberSequenceGroupId; TransportationTemplateId; AccountingDate Date;
    CashDiscountPercentage Real; PurchaseOrderName; RequestedDeliveryDate Date;
    DeliveryAddressCountryRegionId; DeliveryAddressLatitude Real; MultilineDiscountVendorGroupCode;
    DeliveryAddressCity; ConfirmedDeliveryDate Date; PurchaseRebateVendorGroupId;
    InvoiceAddressCounty; ChargeVendorGroupId; RequesterPersonnelNumber; ProjectId;
    ShippingCarrierId; TotalDiscountPercentage Real; DeliveryAddressDistrictName;
    PriceVendorGroupCode; PurchaseOrderHeaderCreationMethod PurchPurchaseOrderCreationMethod;
    DeliveryAddressCountyId; DeliveryAddressZipCode; IsConsolidatedInvoiceTarget NoYes;
    ConfirmingPurchaseOrderCode; LanguageId; ReasonCode; DeliveryAddressDunsNumber; DeliveryTermsId;
    BankDocumentType BankDocumentType; ExpectedStoreReceiptDate Date; DeliveryAddressName;
    InvoiceAddressCountryRegionId; ReplenishmentServiceCategoryId; PurchaseOrderPoolId;
    DeliveryAddressStreetNumber; RequestedShipDate Date; ExpectedCrossDockingDate Date;
    InvoiceAddressStreetNumber; IsDeliveryAddressPrivate NoYes; TaxExemptNumber;
    FormattedInvoiceAddress; BuyerGroupId; DeliveryAddressCountryRegionISOCode; CashDiscountCode;
    PaymentScheduleName; IntrastatTransactionCode; URL; CurrencyCode;
    ConfirmingPurchaseOrderCodeLanguageId; InvoiceType InvoiceTypeMy;
    ArePricesIncludingSalesTax NoYes; DeliveryAddressLocationId; GSTSelfBilledInvoiceApprovalNumber;
    IsDeliveredDirectly NoYes; ConfirmedShipDate Date; ShipCalendarId;
    IntrastatStatisticsProcedureCode; InvoiceVendorAccountNumber; OverrideSalesTax NoYes;
    DeliveryAddressStreet; VendorOrderReference; ReplenishmentWarehouseId; FixedDueDate Date;
    TransportationDocumentLineId Guid; SalesTaxGroupCode; IsDeliveryAddressOrderSpecific NoYes;
    VendorPostingProfileId; VendorPaymentMethodSpecificationName; InvoiceAddressCity;
    ShippingCarrierServiceGroupId; ContactPersonId; DefaultReceivingWarehouseId;
    EUSalesListCode Listcode; ImportDeclarationNumber; PurchaseOrderStatus PurchStatus;
    PaymentTermsName; DeliveryAddressLongitude Real; DocumentApprovalStatus VersioningDocumentState;
    InvoiceAddressZipCode; ShippingCarrierServiceId; DefaultLedgerDimensionDisplayValue;
    DeliveryAddressTimeZone Timezone; AttentionInformation; DeliveryAddressStateId;
    DeliveryBuildingCompliment; IntrastatTransportModeCode; DeliveryAddressPostBox;
    IsOneTimeVendor NoYes; IntrastatPortId; FinTagDisplayValue; OrdererPersonnelNumber;
    VendorPaymentMethodName; InvoiceAddressState; DefaultReceivingSiteId;
    LineDiscountVendorGroupCode; TransportationRoutePlanId; ZakatContractNumber;
    FormattedDeliveryAddress; TotalDiscountVendorGroupCode; TradeEndCustomerAccount
"""

_LINE = """
    dataAreaId key; PurchaseOrderNumber key; LineNumber Int64 key; ProcurementProductCategoryName;
    Tax1099SAddressOrLegalDescription; FixedAssetNumber; Tax1099GTaxYear Int32;
    VendorRetentionTermRuleDescription; ProjectSalesUnitSymbol; OrderedPurchaseQuantity Real;
    FormattedDelveryAddress; ProjectCategoryId; AccountingDistributionTemplateName; ItemNumber;
    DeliveryAddressDescription; MultilineDiscountPercentage Real; PurchaseRequisitionId;
    DeliveryCityInKana; RetailProductVariantNumber; DeliveryStreetInKana; LineDiscountAmount Real;
    ProductStyleId; IsTax1099SPropertyOrServices NoYes; ProjectTaxGroupCode;
    ProjectTaxItemGroupCode; Barcode; IsNewFixedAsset NoYes; ProductConfigurationId;
    Tax1099GVendorStateId; WorkflowState TradeWorkflowState; IsIntrastatTriangularDeal NoYes;
    Tax1099StateId; IsPartialDeliveryPrevented NoYes; MultilineDiscountAmount Real;
    Tax1099Type Tax1099Type; RequestedDeliveryDate Date; ItemBatchNumber;
    DeliveryAddressCountryRegionId; DeliveryAddressLatitude Real; ReceivingWarehouseId;
    DeliveryAddressCity; ConfirmedDeliveryDate Date; PurchaseUnitSymbol;
    PurchaseRebateVendorGroupId; IsDeleted NoYes; RequesterPersonnelNumber; ProjectId;
    IsTax1099GTradeOrBusinessIncome NoYes; ProjectLinePropertyId; DeliveryAddressDistrictName;
    DeliveryAddressCountyId; Tax1099SBuyerPartOfRealEstateTaxAmount Real; ProductSizeId;
    FixedPriceCharges Real; DeliveryAddressZipCode; UnitWeight Real; Tax1099SClosingDate Date;
    DeliveryAddressDunsNumber; IsAddedByChannel NoYes; PurchasePriceQuantity Real;
    ServiceFiscalInformationCode; DeliveryAddressName; Tax1099BoxId;
    BudgetReservationLineNumber Int32; BOMId; FixedAssetTransactionType AssetTransTypePurch;
    DeliveryAddressStreetNumber; ReceivingWarehouseLocationId; NGPCode Int32;
    IsDeliveryAddressPrivate NoYes; OriginStateId; ItemWithholdingTaxGroupCode;
    MainAccountIdDisplayValue; OrderedInventoryStatusId; CatchWeightUnitSymbol;
    DeliveryAddressCountryRegionISOCode; ItemSerialNumber; CalculateLineAmount NoYes;
    ReceivingSiteId; ProjectSalesCurrencyCode; IntrastatTransactionCode; DeliveryAddressLocationId;
    ProjectActivityNumber; SalesTaxItemGroupCode; RouteId; ProductVersionId; ShipCalendarId;
    Tax1099GStateTaxWithheldAmount Real; IntrastatStatisticsProcedureCode; OverrideSalesTax NoYes;
    LineDescription; GSTHSTTaxType GsthstTaxTypeCa; DeliveryAddressStreet;
    ConfirmedShippingDate Date; CustomerReference; InventoryLotId; VendorRetentionTermRuleId;
    SalesTaxGroupCode; IsDeliveryAddressOrderSpecific NoYes; CustomerRequisitionNumber;
    PurchasePrice Real; PlanningPriority Real; WillProductReceivingCrossDockProducts NoYes;
    LineDiscountPercentage Real; DIOTOperationType VendorOperationTypeMx; FixedAssetValueModelId;
    OrderedCatchWeightQuantity Real; ProjectWorkerPersonnelNumber;
    AllowedUnderdeliveryPercentage Real; AllowedOverdeliveryPercentage Real;
    DeliveryAddressLongitude Real; FixedAssetGroupId; PurchaseOrderLineStatus PurchStatus;
    IntrastatCommodityCode; DefaultLedgerDimensionDisplayValue; DeliveryAddressTimeZone Timezone;
    BudgetReservationDocumentNumber; ProductColorId; CFOPCode; DeliveryAddressStateId;
    DeliveryBuildingCompliment; IntrastatTransportModeCode; Tax1099StateAmount Real;
    DeliveryAddressPostBox; LineAmount Real; OriginCountryRegionId; IntrastatPortId;
    IntrastatSpecialMovementCode; Tax1099Amount Real; FinTagDisplayValue; BarCodeSetupId;
    VendorInvoiceMatchingPolicy PurchMatchingPolicyOption; Tax1099GVendorStateTaxId;
    ProjectSalesPrice Real; RequestedShippingDate Date;
    PurchaseOrderLineCreationMethod PurchPurchaseOrderCreationMethod; WithholdingTaxGroupCode;
    SkipCreateAutoCharges NoYes; ExternalItemNumber; IsProjectPayWhenPaid NoYes;
    IsLineStopped NoYes; IntrastatStatisticValue Real; DlvMode; DlvTerm
"""

PURCHASE_ORDER_HEADERS = EntitySet(
    name="PurchaseOrderHeadersV2",
    entity="PurchaseOrderHeaderV2",
    data_entity="PurchPurchaseOrderHeaderV2Entity",
    category="Transaction",
    label="Purchase order headers V2",
    label_id="@Contoso:PurchaseOrderHeadersV2",
    properties=parse_properties(_HEADER),
    key=("dataAreaId", "PurchaseOrderNumber"),
    navigations=(
        Navigation(
            "PurchaseOrderLinesV2",
            "PurchaseOrderLinesV2",
            many=True,
            on=(("dataAreaId", "dataAreaId"), ("PurchaseOrderNumber", "PurchaseOrderNumber")),
        ),
        Navigation(
            "OrderVendorV2",
            "VendorsV2",
            many=False,
            on=(("dataAreaId", "dataAreaId"), ("OrderVendorAccountNumber", "VendorAccountNumber")),
        ),
    ),
    sources=6,
)

PURCHASE_ORDER_LINES = EntitySet(
    name="PurchaseOrderLinesV2",
    entity="PurchaseOrderLineV2",
    data_entity="PurchPurchaseOrderLineV2Entity",
    category="Transaction",
    label="Purchase order lines V2",
    label_id="@Contoso:PurchaseOrderLinesV2",
    properties=parse_properties(_LINE),
    key=("dataAreaId", "PurchaseOrderNumber", "LineNumber"),
    navigations=(
        Navigation(
            "PurchaseOrderHeaderV2",
            "PurchaseOrderHeadersV2",
            many=False,
            on=(("dataAreaId", "dataAreaId"), ("PurchaseOrderNumber", "PurchaseOrderNumber")),
        ),
    ),
    sources=3,
)
