"""The chart of accounts that all companies share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contoso_sandbox.world.companies import CHART_OF_ACCOUNTS, CHART_OF_ACCOUNTS_REC_ID

if TYPE_CHECKING:
    from contoso_sandbox.world.posting import Posting

#: Accounts with a part in automatic postings.
BANK = "110110"
INPUT_TAX = "130700"
VENDOR_BALANCE = "200100"
EXCHANGE_GAIN = "801400"
EXCHANGE_LOSS = "801500"
ROUNDING = "618900"

#: Number, type, name; in the order in which somebody once keyed them in, not by number.
_ACCOUNTS = """
200100 Liability Accounts payable
600100 Expense Cost of goods - raw material
110110 Asset Bank account - operating
110150 Asset Bank account - payroll
130100 Asset Accounts receivable
130700 Asset Input tax
140100 Asset Inventory - raw materials
140200 Asset Inventory - "finished" goods
180100 Asset Machinery & equipment
180150 Asset Accumulated depreciation
180200 Asset IT equipment
210200 Liability Accrued expenses
210300 Liability Accrued wages & salaries
222200 Liability Sales tax payable
250100 Liability Deferred revenue
300100 Equity Share capital
300160 Equity Retained earnings
401100 Revenue Sales - entertainment systems
401200 Revenue Sales - services
403150 Revenue Discounts granted
600150 Expense Office supplies
600160 Expense Consumables \\ packaging
601500 Expense Freight & customs
602100 Expense Salaries
602200 Expense Social security
602300 Expense Contractors' fees
603100 Expense Rent
603200 Expense Electricity, water & gas
604100 Expense Travel
604200 Expense Entertaining
605100 Expense Software licences
605150 Expense Cloud services
605200 Expense Telecommunications
606300 Expense Marketing
606400 Expense Trade fairs
607200 Expense Depreciation
608100 Expense Audit & legal fees
609900 Expense Intercompany charges
618900 Expense Rounding differences
801400 Revenue Realised exchange gain
801500 Expense Realised exchange loss
999999 Total Result for the year
"""

_BALANCE_SHEET_TYPES = frozenset({"Asset", "Liability", "Equity"})


def open_accounts(posting: Posting) -> None:
    """Write the main accounts."""
    rows = [_account(*line.split(maxsplit=2)) for line in _ACCOUNTS.strip().splitlines()]
    posting.insert_rows("MainAccounts", rows)
    posting.execute("UPDATE MainAccounts SET MainAccountRecId = __rec_id")
    posting.execute(
        "INSERT INTO books.account SELECT MainAccountId, Name, MainAccountRecId FROM MainAccounts"
    )


def _account(number: str, kind: str, name: str) -> dict[str, object]:
    return {
        "ChartOfAccounts": CHART_OF_ACCOUNTS,
        "ChartOfAccountsRecId": CHART_OF_ACCOUNTS_REC_ID,
        "MainAccountId": number,
        "Name": name,
        "MainAccountType": kind,
        "MainAccountCategory": "CASH" if number == BANK else kind.upper(),
        "AccountCategoryDescription": kind,
        "DebitCreditDefault": "Credit" if kind in {"Liability", "Revenue"} else "Debit",
        "DoNotAllowManualEntry": "Yes" if number == VENDOR_BALANCE else "No",
        "Closing": "Capital" if number == "300160" else "Result",
        "ForeignCurrencyRevaluation": "Yes" if kind in _BALANCE_SHEET_TYPES else "No",
        "Monetary": "Yes" if number in {BANK, VENDOR_BALANCE} else "No",
        "IsSuspended": "Yes" if number == "606400" else "No",
        "ActiveFrom": "2012-01-01 12:00:00",
        "ActiveTo": "2154-12-31 12:00:00" if kind == "Equity" else "1900-01-01 12:00:00",
        "ReportingAccountType": None if kind != "Total" else "Header",
        "SRUCode": f"{number[:2]}\\-{number[2:]}",
    }
