"""The four legal entities, with their ledgers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contoso_sandbox.world.posting import Posting

CHART_OF_ACCOUNTS = "Shared"
CHART_OF_ACCOUNTS_REC_ID = 5_637_144_577


@dataclass(frozen=True, slots=True)
class Company:
    """One legal entity.

    Attributes:
        company: Its ``dataAreaId``; at most four characters, may look like a number.
        calendar: Fiscal calendar: ``Fiscal`` runs from January, ``April`` from April.
        tax_percent: Sales tax on invoices; zero where Contoso pays none.
        share: Its part of all vendors, in percent.
    """

    company: str
    name: str
    known_as: str
    country: str
    country_iso: str
    language: str
    accounting_currency: str
    reporting_currency: str
    calendar: str
    tax_percent: str
    tax_code: str
    vendor_prefix: str
    time_zone: str | None
    street: str
    zip_code: str
    city: str
    share: int

    @property
    def address(self) -> str:
        """Formatted address; F&O parts the lines by a line feed."""
        return f"{self.street}\n{self.zip_code} {self.city}\n{self.country}"


COMPANIES = (
    Company(
        "usmf",
        "Contoso Entertainment System USA",
        "Contoso USA",
        *("USA", "US", "en-us", "USD", "USD", "Fiscal", "0.00", "", "US"),
        "GMTMINUS0600CENTRALTIME",
        *("454 1st Street\nSuite 99", "98052", "Redmond", 50),
    ),
    Company(
        "gbsi",
        "Contoso Service Industries \u2013 Great Britain",
        "Contoso UK",
        *("GBR", "GB", "en-gb", "GBP", "USD", "April", "20.00", "VAT20", "GB"),
        "GMT_DUBLIN_EDINBURGH_LISBON_LONDON",
        *("12 King's Road", "SW3 4ND", "London", 20),
    ),
    Company(
        "demf",
        "Contoso Entertainment System Germany",
        "Contoso DE",
        *("DEU", "DE", "de", "EUR", "USD", "Fiscal", "19.00", "MwSt19", "DE"),
        "GMTPLUS0100_AMSTERDAM_BERLIN_BERN_ROME",
        *("Bahnhofstraße 5", "10115", "Berlin", 25),
    ),
    Company(
        "2",
        'Contoso "Zwei" AG',
        "2",
        *("CHE", "CH", "de-ch", "CHF", "EUR", "Fiscal", "8.10", "MWST81", "CH"),
        None,
        *("Rue de l'Hôpital 1", "1204", "Genève", 5),
    ),
)


def found_companies(posting: Posting) -> None:
    """Write legal entities, companies and ledgers, and the books' own record of them."""
    posting.insert_rows("LegalEntities", [_legal_entity(c, n) for n, c in enumerate(COMPANIES)])
    posting.insert_rows("Companies", [_company(c, n) for n, c in enumerate(COMPANIES)])
    posting.insert_rows("Ledgers", [_ledger(company) for company in COMPANIES])
    # The ledger's RecId is published twice: as the row's own and as what GL headers refer to.
    posting.execute("UPDATE Ledgers SET LedgerRecId = __rec_id")
    posting.keep(
        "books.company",
        [
            {
                "company": company.company,
                "country": company.country,
                "language": company.language,
                "accounting_currency": company.accounting_currency,
                "reporting_currency": company.reporting_currency,
                "calendar": company.calendar,
                "tax_percent": company.tax_percent,
                "tax_code": company.tax_code,
                "vendor_prefix": company.vendor_prefix,
                "time_zone": company.time_zone,
                "site": f"{company.vendor_prefix}1",
                "vendors": 0,
            }
            for company in COMPANIES
        ],
    )
    posting.execute(
        """
        UPDATE books.company AS c SET ledger = l.LedgerRecId
        FROM Ledgers AS l WHERE lower(l.LegalEntityId) = c.company
        """
    )


def _legal_entity(company: Company, number: int) -> dict[str, object]:
    return {
        "LegalEntityId": company.company.upper(),
        "Name": company.name,
        "CompanyName": company.name,
        "NameAlias": company.known_as,
        "PartyNumber": _party_number(number),
        "LanguageId": company.language,
        "CompanyCountry": company.country,
        "TimeZone": company.time_zone,
        "AddressTimeZone": company.time_zone,
        "AddressStreet": company.street,
        "AddressZipCode": company.zip_code,
        "AddressCity": company.city,
        "AddressCountryRegionId": company.country,
        "AddressCountryRegionISOCode": company.country_iso,
        "AddressDescription": company.known_as,
        "FullPrimaryAddress": company.address,
        "AddressValidFrom": "2012-05-23 18:11:40",
        "AddressValidTo": "2154-12-31 23:59:59",
        "LocalizationCountryRegionCode": company.country_iso,
        "VATNum": f"{company.country_iso}{900_100_200 + number * 7_919}",
        # A stored number without a member is the only thing that F&O sends as null.
        "LegalNature": None,
        "__etag_tail": f";1,{22_565_421_000 + number};0,0",
    }


def _company(company: Company, number: int) -> dict[str, object]:
    return {
        "DataArea": company.company,
        "Name": company.name,
        "KnownAs": company.known_as,
        "LanguageId": company.language,
        "PartyNumber": _party_number(number),
    }


def _ledger(company: Company) -> dict[str, object]:
    return {
        "LegalEntityId": company.company.upper(),
        "Name": company.company.upper(),
        "Description": company.name,
        "ChartOfAccounts": CHART_OF_ACCOUNTS,
        "ChartOfAccountsRecId": CHART_OF_ACCOUNTS_REC_ID,
        "FiscalCalendar": company.calendar,
        "AccountingCurrency": company.accounting_currency,
        "ReportingCurrency": company.reporting_currency,
        "ExchangeRateType": "Default",
        "ReportingCurrencyExchangeRateType": "Default",
        "BudgetExchangeRateType": "Default",
        "AccountStructureName1": "Manufacturing B/S",
        "AccountStructureName2": "Manufacturing P&L",
        "BalancingFinancialDimension": "BusinessUnit",
        "MainAccountIdRealizedGain": "801400",
        "MainAccountIdRealizedLoss": "801500",
        "MainAccountIdUnrealizedGain": "801400",
        "MainAccountIdUnrealizedLoss": "801500",
    }


def _party_number(number: int) -> str:
    return f"{number + 1:09d}"
