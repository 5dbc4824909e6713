"""The enums behind Contoso's properties.

Members and numbers of the enums that Contoso's data use are the real ones (a selection of members
where an enum has a hundred). Of the country-specific enums, which no data use, only the neutral
member and a plausible second one are published.
"""

from __future__ import annotations

from contoso_sandbox.entities.notation import parse_enum

#: Name, then the members: numbers count on from the one before unless written.
_IN_USE = {
    "NoYes": "No Yes",
    "CurrentOperationsTax": "Current Operations Tax WarehouseCur_RU",
    "CustVendorBlocked": "No Invoice All Payment Requisition Never",
    "DebCredProposal": "None Debit Credit",
    "DimensionLedgerAccountType": (
        "ProfitAndLoss Revenue Expense BalanceSheet Asset Liability Equity=9 Total Reporting "
        "CommonAccount"
    ),
    "DocumentOrigin": "Manual Service Import",
    "DocumentStatus": (
        "None Quotation PurchaseOrder Confirmation PickingList PackingSlip ReceiptsList Invoice "
        "ApproveJournal"
    ),
    "ExchangeRateDisplayFactor": "One Ten Hundred Thousand TenThousand",
    "FieldControl": "Optional Mandatory Table List",
    "FinancialReportingTranslationType": "None Average Historical Current",
    "FiscalPeriodMonth": (
        "Month1 Month2 Month3 Month4 Month5 Month6 Month7 Month8 Month9 Month10 Month11 Month12"
    ),
    "FiscalPeriodType": "Opening Operating Closing",
    "FiscalQuarter": "Q1 Q2 Q3 Q4",
    "LedgerClosing": "Result Capital",
    "LedgerJournalAcType": (
        "Ledger Cust Vend Project FixedAssets=5 Bank RCash FixedAssets_RU=11 RDeferrals=13"
    ),
    "LedgerPostingType": (
        "None ExchRateGain ExchRateLoss InterCompany Tax VATRoundOff Allocation InvestmentDuty "
        "Liquidity MSTDiffSecond ErrorAccount MSTDiff YearResult Closing LedgerJournal "
        "CashDiscount ConsolidateDiffBalance PaymentFee TaxReport TransferOpeningClosing Bank "
        "ConversionProfit ConversionLoss CustBalance=31 CustRevenue VendBalance=41 VendPurchLedger "
        "VendOffsetAccount VendInterest VendCashDisc VendPayment VendInvoiceDisc VendSettlement "
        "SalesRevenue=51 "
        "SalesConsump PurchConsump=71 PurchDisc PurchReceipt=84 InventReceipt=91 InventIssue "
        "PurchReq=98 PurchOrder APInvoice FixedAssetsDebit=161 FixedAssetsCredit PurchCharge=201 "
        "PurchExpense=236"
    ),
    "LedgerTransType": (
        "None Transfer Sales Purch Invent Production Project Interest Cust ExchAdjustment SummedUp "
        "Payroll FixedAssets CollectionLetter Vend Payment Tax Bank Conversion BillOfExchange "
        "PromissoryNote Cost Work Fee Settlement Allocation Elimination CashDiscount OverUnder "
        "PennyDifference CrossCompanySettlement PurchReq WriteOff=35 GeneralJournal"
    ),
    "Listcode": (
        "IncludeNot EUTrade ProductionOnToll TriangularProductionOnToll TriangularEUTrade Services"
    ),
    "PurchInvoiceLineType": "Standard Prepayment PrepaymentApplication Retention",
    "PurchInvoiceType": "Standard Prepayment CustomsInvoice",
    "PurchMatchingPolicyOption": "NotRequired TwoWayMatch ThreeWayMatch",
    "PurchMatchingPolicyWithNotSetOption": "NotSet NotRequired TwoWayMatch ThreeWayMatch",
    "PurchPurchaseOrderCreationMethod": "Purchase Consignment",
    "PurchStatus": "None Backorder Received Invoiced Canceled",
    "PurchaseType": "Journal Quotation Subscription Purch ReturnItem BlanketOrder",
    "SettlementType": "None OpenTransact SelectedTransact",
    "SysLocalizationCountryRegionCode": "None CH DE GB US",
    "Tax1099Type": "None Form1099MISC Form1099INT Form1099DIV Form1099G Form1099NEC",
    "Timezone": (
        "GMTMINUS0800PACIFICTIME GMTMINUS0600CENTRALTIME GMTMINUS0500EASTERNTIME "
        "GMT_COORDINATEDUNIVERSALTIME GMT_DUBLIN_EDINBURGH_LISBON_LONDON "
        "GMTPLUS0100_AMSTERDAM_BERLIN_BERN_ROME GMTPLUS0100BRUSSELS_COPENHAGEN_MADRID "
        "GMTPLUS0900OSAKA_SAPPORO_TOKYO"
    ),
    "TradeWorkflowState": (
        "NotSubmitted Submitted PendingApproval PendingCompletion Returned ChangeRequest Completed "
        "Approved"
    ),
    "UseCashDisc": "Normal Always Never",
    "VendInvoiceRequestStatus": "NotSubmitted Draft Submitted PendingApproval Approved Rejected",
    "VendVendorCollaborationType": "None AutoConfirm ManualConfirm",
    "VersioningDocumentState": (
        "Draft=0 InReview=10 Rejected=20 Approved=30 InExternalReview=35 Confirmed=40 Finalized=50"
    ),
}

_COUNTRY_SPECIFIC = {
    "AdjustmentMethodMx": "None Direct Indirect",
    "AssetLeasePostingTypes": "None LeaseExpense LeaseInterest",
    "AssetTransTypePurch": "Acquisition AcquisitionAdj",
    "BankDocumentType": "None LetterOfCredit ImportCollection",
    "CalendarTypeIn": "Gregorian Financial",
    "CompanyTypeMx": "Blank LegalPerson NaturalPerson ForeignCompany",
    "CustVendNegInstStatus": "None Invoiced Drawn Redrawn Remitted Honored Protested Settled",
    "DimensionLedgerAccountReportingType": "Header EmptyHeader",
    "EfDocPresenceTypeBr": "NotApplicable InPerson Internet",
    "FactureCorrectionTypeRu": "Correction Revision",
    "FiscalDocumentSpecieBr": "NotSpecified Invoice",
    "GsthstTaxTypeCa": "None GST HST",
    "InventProfileTypeRu": "NotSpecified Own Commission",
    "InvoiceTypeMy": "Standard SelfBilled",
    "LegalNatureIt": "Blank LimitedPartnership JointStockCompany",
    "LtDocOriginator": "Seller Buyer",
    "PsnPurchasingCardTransactionType": "None Transaction Balance",
    "RepomoTypeMx": "None Yearly",
    "TypeOfCTeBr": "Normal Complementary",
    "VendorOperationTypeMx": "Blank ProfessionalServices Lease Others",
    "WmsFreightChargeTerms": "None Prepaid Collect",
    "WmsFreightedBy": "None Vendor Company",
}

ENUMS = tuple(
    parse_enum(name, members) for name, members in sorted((_IN_USE | _COUNTRY_SPECIFIC).items())
)
