"""Posted payables: invoice journal and vendor ledger, as the Bi entities mirror their tables."""

from __future__ import annotations

from contoso_sandbox.entities.notation import parse_properties
from contoso_sandbox.model import EntitySet

_INVOICE_JOURNAL = """
    dataAreaId key; SourceKey Int64 key; TaxSetoffVoucher_IN; UnitedVATInvoice_LT NoYes;
    ConsignorAccount_RU; InterCompanySalesId; DocumentOrigin DocumentOrigin; PaymDayId;
    numberSequenceGroup; InvoiceAccount; AttorneyDate_RU Date; InvoiceAmountMST Real;
    FiscalDocumentType_BR Int64; ReturnItemNum; PostingProfile; PlafondDate_IT Date;
    Listcode Listcode; DocumentNum; SysRecVersion Int32; PartyTaxID Int64; TaxRoundOff Real;
    VendGroup; PaymId; TaxInvoicePurchId; ItemBuyerGroupId; VATNum; VendConsInvoice_JP Int64;
    TaxPrintOnInvoice NoYes; InterCompanyLedgerVoucher; ConsigneeAccount_RU; CorrectedInvoiceId_RU;
    ExchRate Rate; LogisticsElectronicAddress Int64; FacturedFully_RU NoYes; ContractNum_SA;
    Description; InventProfileType_RU InventProfileTypeRu; DeliveryAddress_LT;
    SysModifiedDateTime UtcDateTime; SourceDocumentHeader Int64; CreatedOn UtcDateTime;
    VendPaymentGroup; InvoiceAmount Real; Prepayment NoYes; OffsessionId_RU; OrderAccount; DlvTerm;
    SalesPurchOperationType_BR Int64; Proforma NoYes; SysDataAreaId; InterCompanyPosted NoYes;
    SumLineDisc Real; LanguageId; ServiceCodeOnDlvAddress_BR NoYes;
    ReportingCurrencyExchangeRate Rate; VendInvoiceDeclaration_IS Int64;
    InventBaileeReceiptReportId_RU; BankLCImportLine Int64; TaxSpecifyByLine NoYes;
    VendorVATDate Date; InvoiceDate Date; ReceivedDate Date; ExchRateSecondary Rate; InclTax NoYes;
    TaxID Int64; VendFinalUser_BR NoYes; ImportedSalesTax Real; CurrencyCode;
    InvoiceType PurchInvoiceType; SumMarkup Real; PurchId; ImportedAmount Real; SumMarkupMST Real;
    Triangulation NoYes; CashDisc Real; TaxGroup; Qty Real; IntrastatAddValue_LV Real; InvoiceId;
    DueDate Date; SysCreatedBy; CashDiscDate Date; CashDiscPercent Real; VendorRequestedWorkerEmail;
    AttorneyId_RU; RemittanceAddress Int64; Weight Real; DlvMode; VendInvoiceGroup;
    FixedDueDate Date; InvoiceRoundOff Real; Volume Real; DeliveryName; EndDiscMST Real;
    IntrastatFulfillmentDate_HU Date; DeliveryPostalAddress Int64; ReverseChargeAmount Real;
    InvoiceSeries_MX; CorrectedInvoiceDate_RU Date; IntrastatDispatch; EnterpriseNumber;
    CountryRegionId; InterCompanyCompanyId; Correct_RU NoYes;
    CorrectionType_RU FactureCorrectionTypeRu; VATAmount_IN Real; ReasonTableRef_BR Int64;
    OperationType_MX VendorOperationTypeMx; CFDIUUID_MX; VATOnPayment_RU NoYes;
    AttorneyIssuedName_RU; LedgerVoucher; PaymentSched; InternalInvoiceId; IntentLetterId_IT;
    StateInvoicePrinted_LV NoYes; DlvAddress_LV; NumberSequenceCode_LT; CostLedgerVoucher;
    TaxWithholdAmount_IN Real; SourceDocumentLine Int64; ParmId; NonRealRevenue_RU NoYes;
    EUSalesList; DocumentDate Date; WhoIsAuthor_LT LtDocOriginator; PurchaseType PurchaseType;
    Payment; PurchAgreementHeader_PSN Int64; CashDiscCode; DeliveryName_LT; DeliveryDate_ES Date;
    SalesBalance Real; EndDisc Real; State; PurchReceiptDate_W Date; ConsTarget_JP NoYes;
    TransportationDocument Int64; SumTax Real
"""

_VENDOR_TRANSACTION = """
    dataAreaId key; SourceKey Int64 key; ReleaseDateComment; Txt; PostingProfile;
    ReportingCurrencyExchRateSecondary Rate; DocumentNum; SysRecVersion Int32;
    ReportingCurrencyExchRate Rate; LastExchAdjRateReporting Rate; PaymId; TaxInvoicePurchId;
    InvoiceProject NoYes; PostingProfileReOpen; Tax1099Num; ReportingCurrencyCrossRate Rate;
    ExchAdjustment Real; ExchRateSecond Rate; LastSettleAccountNum; Tax1099Fields Int64;
    LastSettleDate Date; SummaryAccountId; ReportingExchAdjustmentUnrealized Real; SysModifiedBy;
    ExchRate Rate; LastExchAdjVoucher; SysModifiedDateTime UtcDateTime; PromissoryNoteID;
    CreatedOn UtcDateTime; Tax1099Date Date; VendPaymentGroup; Prepayment NoYes; Invoice; PaymSpec;
    PostingProfileClose; SettleAmountMST Real; Tax1099RecId Int64; SysDataAreaId; Closed Date;
    PaymTermId; SettleTax1099StateAmount Real; ThirdPartyBankAccountId; Cancel NoYes; Voucher;
    VendExchAdjustmentRealized Real; BankLCImportLine Int64; Approved NoYes; LastExchAdj Date;
    SysModifiedTransactionId Int64; SettleAmountCur Real; Settlement NoYes;
    PromissoryNoteSeqNum Int32; BankRemittanceFileId; VendorVATDate Date; PaymReference;
    FixedExchRate NoYes; ReasonRefRecId Int64; LastSettleCompany; Arrival NoYes; CurrencyCode;
    SettleTax1099Amount Real; LastSettleVoucher; ExchAdjustmentReporting Real;
    BankCentralBankPurposeText; DueDate Date; SysCreatedBy; BankCentralBankPurposeCode;
    RemittanceAddress Int64; Tax1099State; PromissoryNoteStatus CustVendNegInstStatus;
    VendExchAdjustmentUnrealized Real; AmountMST Real; ArrivalAccountId; JournalNum;
    TransType LedgerTransType; AmountCur Real; EUROTriangulation NoYes; Correct NoYes; AccountNum;
    ReportingExchAdjustmentRealized Real; InvoiceReleaseDate Date; ApprovedDate Date;
    Approver Int64; PaymMode; PostingProfileApprove; OffsetRecid Int64; PostingProfileCancel;
    CompanyBankAccountId; TransDate Date; Tax1099StateAmount Real; RemittanceLocation Int64;
    ReportingCurrencyAmount Real; Tax1099Amount Real; SettleAmountReporting Real;
    AccountingEvent Int64; LastExchAdjRate Rate; DocumentDate Date; SysCreatedTransactionId Int64;
    CashDiscCode; CashDiscBaseDate Date; RBOVendTrans NoYes
"""

VENDOR_INVOICE_JOURNAL = EntitySet(
    name="VendInvoiceJourBiEntities",
    entity="VendInvoiceJourBiEntity",
    data_entity="VendInvoiceJourBiEntity",
    category="Transaction",
    label="Vendor invoice journal",
    label_id="@Contoso:VendInvoiceJourBiEntities",
    properties=parse_properties(_INVOICE_JOURNAL),
    key=("dataAreaId", "SourceKey"),
    read_only=True,
)

VENDOR_TRANSACTIONS = EntitySet(
    name="VendTransBiEntities",
    entity="VendTransBiEntity",
    data_entity="VendTransBiEntity",
    category="Transaction",
    label="Vendor transactions",
    label_id="@Contoso:VendTransBiEntities",
    properties=parse_properties(_VENDOR_TRANSACTION),
    key=("dataAreaId", "SourceKey"),
    read_only=True,
)
