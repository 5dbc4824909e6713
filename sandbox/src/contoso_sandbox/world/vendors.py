"""Vendor groups and vendors."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

from contoso_sandbox.world.amounts import CREDIT_LIMITS
from contoso_sandbox.world.companies import COMPANIES
from contoso_sandbox.world.handmade import ITEMS, VENDORS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from contoso_sandbox.world.posting import Posting

_GROUPS = {
    "10": ("Parts vendors", "Net30"),
    "20": ("Services vendors", "Net10"),
    "30": ("Tax authorities", "Net30"),
    "40": ("Intercompany vendors", "Net45"),
    "50": ("Freight & customs", "Net60"),
}
_ITEM_COLUMNS = ("item", "description", "unit", "price", "main_account", "category")
#: Even the smallest world has vendors beside the handmade ones.
_FEWEST = 40

_NAMES = """
INSERT INTO books.vendor
WITH slot AS (
    SELECT c.company, c.vendor_prefix AS prefix, c.accounting_currency AS currency,
        s.slot, concat(c.company, s.slot) AS id
    FROM (SELECT unnest($companies) AS company, unnest($counts) AS more)
    JOIN books.company AS c USING (company), unnest(range(c.vendors, c.vendors + more)) AS s(slot)
)
SELECT s.company, s.slot,
    coalesce(h.account, concat(prefix, '-', lpad(CAST(s.slot + 1000 AS VARCHAR), 5, '0'))),
    coalesce(h.name, concat(
        books.one_of('name 1', id, ['Adventure', 'Alpine', 'Baldwin', 'Blue Yonder', 'City Power',
            'Coho', 'Fabrikam', 'Fourth', 'Graphic', 'Humongous', 'Litware', 'Lucerne', 'Margie''s',
            'Nod', 'Northwind', 'Proseware', 'Relecloud', 'School of', 'Southridge', 'Tailspin',
            'Trey', 'Wide World', 'Wingtip', 'Woodgrove']),
        ' ',
        books.one_of('name 2', id, ['Components', 'Electronics', 'Farms', 'Fine Art', 'Freight',
            'Importers', 'Insurance', 'Light & Power', 'Logistics', 'Metalworks', 'Optics',
            'Packaging', 'Paper', 'Research', 'Services', 'Software', 'Sports', 'Toys', 'Travel',
            'Video', 'Winery']),
        ' ',
        CASE s.company WHEN 'usmf' THEN 'Inc.' WHEN 'gbsi' THEN 'Ltd' WHEN 'demf' THEN 'GmbH'
            ELSE 'AG' END)),
    books.one_of('group', id, ['10', '10', '10', '20', '20', '40', '50']),
    CASE WHEN books.percent('foreign', id, 75) THEN currency
        ELSE books.one_of('currency', id, ['USD', 'EUR', 'GBP', 'CHF', 'CAD', 'SEK']) END,
    term, CAST(substr(term, 4) AS INTEGER),
    books.one_of('method', id, ['CHECK', 'SEPA', 'WIRE', 'WIRE'])
FROM (SELECT *, books.one_of('term', id, ['Net10', 'Net30', 'Net30', 'Net45', 'Net60']) AS term
    FROM slot) AS s
LEFT JOIN books.handmade AS h ON h.company = s.company AND h.slot = s.slot
"""

_VENDORS = """
WITH vendor AS (
    SELECT v.*, c.country, c.language, c.time_zone, concat(v.company, v.slot) AS id,
        h.street, h.phone, h.notes, h.offset_account, h.credit_limit
    FROM books.vendor AS v
    JOIN books.company AS c ON c.company = v.company AND v.slot >= c.vendors
    LEFT JOIN books.handmade AS h ON h.company = v.company AND h.slot = v.slot
)
SELECT books.as_typed(company, 'vendor', id) AS dataAreaId,
    account AS VendorAccountNumber,
    name AS VendorOrganizationName,
    left(name, 20) AS VendorSearchName,
    upper(left(name, 8)) AS VendorKnownAsName,
    vendor_group AS VendorGroupId,
    CASE WHEN books.percent('party', id, 5)
        THEN concat('{', upper(CAST(books.guid('party', id) AS VARCHAR)), '}')
        ELSE lpad(CAST(100000 + books.below('party', id, 800000) AS VARCHAR), 9, '0')
        END AS VendorPartyNumber,
    'Organization' AS VendorPartyType,
    currency AS CurrencyCode,
    language AS LanguageId,
    CASE WHEN books.percent('hold', id, 4) THEN 'All'
        WHEN books.percent('hold', id, 9) THEN 'Invoice' ELSE 'No' END AS OnHoldStatus,
    CASE WHEN books.percent('hold', id, 9) THEN TIMESTAMP '2154-12-31 23:59:59'
        ELSE TIMESTAMP '1900-01-01 00:00:00' END AS VendorHoldReleaseDate,
    term AS DefaultPaymentTermsName,
    payment_method AS DefaultVendorPaymentMethodName,
    CASE WHEN term = 'Net10' THEN '1%D07' ELSE '' END AS CashDiscountCode,
    CASE WHEN books.percent('invoice account', id, 5) AND slot BETWEEN 11 AND 1000
        THEN lag(account) OVER (PARTITION BY company ORDER BY slot) ELSE account END
        AS InvoiceVendorAccountNumber,
    concat(left(country, 2), 100000000 + books.below('tax number', id, 899999999))
        AS TaxExemptNumber,
    concat(10 + books.below('tin', id, 89), '-', 1000000 + books.below('tin', id, 8999999))
        AS Tax1099FederalTaxId,
    CASE WHEN company = 'usmf' AND books.percent('1099', id, 20) THEN 'Yes' ELSE 'No' END
        AS IsReportingTax1099,
    CASE WHEN books.percent('1099 type', id, 15) THEN NULL ELSE 'None' END AS Tax1099Type,
    coalesce(credit_limit, CAST(books.below('credit', id, 20) * 5000 AS DECIMAL(18, 2)))
        AS CreditLimit,
    CASE WHEN currency = 'SEK' THEN 9.57 ELSE 0 END AS ExchangeRate,
    coalesce(street, concat(1 + books.below('number', id, 199), ' ', books.one_of('street', id,
        ['Main Street', 'Harbour Road', 'Industriestraße', 'King''s Way', 'Rue de l''Église']),
        CASE WHEN books.percent('second line', id, 20) THEN '\nBuilding "B"' ELSE '' END))
        AS AddressStreet,
    books.one_of('city', id, ['Seattle', 'München', 'Genève', 'London', 'São Paulo', 'Łódź'])
        AS AddressCity,
    lpad(CAST(books.below('zip', id, 99999) AS VARCHAR), 5, '0') AS AddressZipCode,
    country AS AddressCountryRegionId,
    left(country, 2) AS AddressCountryRegionISOCode,
    concat(AddressStreet, '\n', AddressZipCode, ' ', AddressCity, '\n', country)
        AS FormattedPrimaryAddress,
    concat(name, ' - office') AS AddressDescription,
    'Business' AS AddressLocationRoles,
    lpad(CAST(books.below('location', id, 99999999) AS VARCHAR), 9, '0') AS AddressLocationId,
    CAST(books.below('latitude', id, 180000000) - 90000000 AS DECIMAL(18, 0))
        * CAST(0.000001 AS DECIMAL(6, 6)) AS AddressLatitude,
    CAST(books.below('longitude', id, 360000000) - 180000000 AS DECIMAL(18, 0))
        * CAST(0.000001 AS DECIMAL(6, 6)) AS AddressLongitude,
    CASE WHEN books.percent('time zone', id, 30) THEN NULL ELSE time_zone END AS AddressTimeZone,
    TIMESTAMP '2012-05-23 18:11:40' + to_days(CAST(books.below('since', id, 4000) AS INTEGER))
        AS AddressValidFrom,
    TIMESTAMP '2154-12-31 23:59:59' AS AddressValidTo,
    22565430000 + books.below('address', id, 90000000) AS AddressRecordId,
    concat('info@', lower(regexp_replace(name, '[^A-Za-z]', '', 'g')), '.example')
        AS PrimaryEmailAddress,
    'Business' AS PrimaryEmailAddressPurpose,
    coalesce(phone, concat('+', 1 + books.below('phone', id, 98), ' 555 ',
        lpad(CAST(books.below('phone', id, 10000) AS VARCHAR), 4, '0'))) AS PrimaryPhoneNumber,
    CASE WHEN books.percent('extension', id, 20) THEN '12' ELSE '' END
        AS PrimaryPhoneNumberExtension,
    22565440000 + books.below('contact', id, 90000000) AS PrimaryContactPhoneRecordId,
    22565440001 + books.below('contact', id, 90000000) AS PrimaryContactEmailRecordId,
    concat('https://', lower(account), '.example/?q=1&r=2') AS PrimaryURL,
    CAST(books.below('employees', id, 5000) AS INTEGER) AS OrganizationEmployeeAmount,
    concat('-', books.department('vendor', id), '-', books.cost_center('vendor', id), '--')
        AS DefaultLedgerDimensionDisplayValue,
    CASE WHEN offset_account <> '' THEN 'Vend' ELSE 'Ledger' END AS DefaultOffsetAccountType,
    CASE WHEN offset_account <> '' THEN offset_account ELSE '600150-001-007-022' END
        AS DefaultOffsetLedgerAccountDisplayValue,
    CASE WHEN books.percent('women', id, 12) THEN 'Yes' ELSE 'No' END AS IsWomanOwner,
    CASE WHEN books.percent('local', id, 40) THEN 'Yes' ELSE 'No' END AS IsVendorLocallyOwned,
    CASE WHEN books.percent('once', id, 3) THEN 'Yes' ELSE 'No' END AS IsOneTimeVendor,
    books.one_of('matching', id, ['NotSet', 'ThreeWayMatch', 'TwoWayMatch'])
        AS VendorInvoiceLineMatchingPolicy,
    books.one_of('buyer', id, ['', '1', '2', 'BIKES']) AS BuyerGroupId,
    books.one_of('rating', id, ['', 'Excellent', 'Good', 'Poor']) AS CreditRating,
    coalesce(notes, CASE WHEN books.percent('notes', id, 10) THEN 'Call first.\nThen mail.'
        ELSE '' END) AS Notes,
    -- VendTable; party, postal address, and e-mail address (which not everybody has).
    concat(';1,', 22565000000 + books.below('party id', id, 90000000), ';1,', AddressRecordId,
        CASE WHEN books.percent('no mail', id, 20) THEN ';0,0'
            ELSE concat(';1,', PrimaryContactEmailRecordId) END) AS __etag_tail,
    -- Keyed in over the years, not by account.
    row_number() OVER (ORDER BY books.draw('vendor order', id), slot) - 1 AS nth
FROM vendor
"""


def open_vendor_master(posting: Posting, scale: float) -> None:
    """Write vendor groups, the books' items, and the vendors of all companies."""
    _open_groups(posting)
    _lay_out_handmade(posting)
    vendors = max(_FEWEST, round(200 * scale))
    handmade = Counter(vendor.company for vendor in VENDORS)
    add_vendors(
        posting,
        {c.company: handmade[c.company] + vendors * c.share // 100 for c in COMPANIES},
    )


def add_vendors(posting: Posting, counts: Mapping[str, int]) -> None:
    """Open so many more vendors, by company."""
    posting.execute(_NAMES, companies=list(counts), counts=list(counts.values()))
    posting.insert("VendorsV2", _VENDORS)
    posting.execute(
        """
        UPDATE books.company AS c
        SET vendors = (SELECT count(*) FROM books.vendor AS v WHERE v.company = c.company)
        """
    )


def change_vendors(posting: Posting, count: int) -> None:
    """Change some vendors: ``count`` get another hold status, ``count`` another telephone."""
    posting.execute(
        """
        CREATE OR REPLACE TEMP TABLE changed_vendor AS
        SELECT __rec_id AS vendor, row_number() OVER (
            ORDER BY books.draw('changed', concat($day, __rec_id))) AS place
        FROM VendorsV2 LIMIT $count
        """,
        count=2 * count,
    )
    posting.update(
        "VendorsV2",
        """
        OnHoldStatus = CASE t.OnHoldStatus WHEN 'No' THEN 'Payment' ELSE 'No' END,
        Notes = concat(t.Notes, 'Changed on ', strftime($day::DATE, '%d.%m.%Y'), '.\n')
        """,
        "FROM changed_vendor AS c WHERE c.vendor = t.__rec_id AND c.place <= $count",
        count=count,
    )
    # The telephone belongs to the party: only the second pair of the etag tells of its change.
    posting.update_joined(
        "VendorsV2",
        """
        PrimaryPhoneNumber = concat('+49 89 ', 1000000 + books.below('phone', concat($day, place),
            9000000)),
        __etag_tail = regexp_replace(t.__etag_tail, '^;\\d+,',
            concat(';', books.version($day, t.__rec_id), ','))
        """,
        "FROM changed_vendor AS c WHERE c.vendor = t.__rec_id AND c.place > $count",
        count=count,
    )


def _open_groups(posting: Posting) -> None:
    posting.insert_rows(
        "VendorGroups",
        [
            {
                "dataAreaId": company.company,
                "VendorGroupId": group,
                "Description": description,
                "DefaultPaymentTermName": term,
                "ClearingPeriodPaymentTermName": "Net10",
                "DefaultTaxGroupCode": company.tax_code,
                "DefaultDimensionDisplayValue": "-001---",
            }
            for company in COMPANIES
            for group, (description, term) in _GROUPS.items()
        ],
    )


def _lay_out_handmade(posting: Posting) -> None:
    """Give the handmade vendors the first slots of their companies; they replace generated ones."""
    slots = Counter[str]()
    rows: list[dict[str, object]] = []
    limits = {(company, account): limit for company, account, limit in CREDIT_LIMITS}
    for vendor in VENDORS:
        limit = limits.get((vendor.company, vendor.account))
        rows.append({"slot": slots[vendor.company], "credit_limit": limit, **asdict(vendor)})
        slots[vendor.company] += 1
    posting.keep("books.handmade", rows)
    posting.keep(
        "books.item",
        [
            {"slot": slot, **dict(zip(_ITEM_COLUMNS, item, strict=True))}
            for slot, item in enumerate(ITEMS)
        ],
    )
