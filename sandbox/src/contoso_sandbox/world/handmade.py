"""Vendors and items made by hand: every value here has broken an integration somewhere."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HandmadeVendor:
    r"""A vendor that takes the place of a generated one.

    Attributes:
        account: Part of the key: quotes, ``*`` (a wildcard in F&O's ``eq``), ``/`` and ``&`` must
            survive URLs and filters.
        offset_account: Dimension display values escape their delimiter: ``DAT\-0001``.
    """

    company: str
    account: str
    name: str
    street: str = "1 Main Street"
    phone: str = "+1 555 0100"
    notes: str = ""
    offset_account: str = ""


VENDORS = (
    HandmadeVendor("usmf", "US-101", 'Fabrikam "Quality" Electronics', offset_account="US\\-102"),
    HandmadeVendor("usmf", "US-102", "O'Neil & Sons", notes="Don't call before 9'o clock"),
    HandmadeVendor("usmf", "O'NEIL-1", "O''Neil; Drop table?", street="1 Quote's End\nFloor '2'"),
    HandmadeVendor("usmf", "US*01", "Star* Supplies", notes="*"),
    HandmadeVendor("usmf", "A/B&C 7", "Slash / Ampersand = ?#%", street="50% Lane #7"),
    HandmadeVendor("usmf", "us-lower", "lower case account", phone=" +1 555 0199"),
    HandmadeVendor("usmf", "US-LOWER2", "UPPER CASE ACCOUNT"),
    HandmadeVendor("usmf", "DAT-0001", "Escaped dimension", offset_account="DAT\\-0001"),
    HandmadeVendor("usmf", "104", "Account of digits only"),
    HandmadeVendor("usmf", "00104", "Account with leading zeros"),
    HandmadeVendor("demf", "DE-101", "Müller & Söhne GmbH", street="Straße des 17. Juni 135\nHof"),
    HandmadeVendor(
        "demf", "DÜ-7", "Ångström ß Çelik İ \u0131", notes="Zeile 1\nZeile 2\r\nZeile 3"
    ),
    HandmadeVendor("demf", "DE-EMOJI", "Pizza \U0001f355 & Kaffee \u2615\ufe0f GmbH"),
    HandmadeVendor("gbsi", "GB-101", "Back\\slash \\n Ltd", street="C:\\Users\\Contoso"),
    HandmadeVendor("gbsi", "GB-102", "\u6771\u4eac\u96fb\u6a5f\u682a\u5f0f\u4f1a\u793e"),
    HandmadeVendor("gbsi", "GB-103", " Leading and double  blanks ", notes="\tTab\tbed"),
    HandmadeVendor("2", "2-1", "Zero\u200bwidth SA", notes='{"json": "in a note"}'),
    HandmadeVendor("2", "2-2", "<b>Markup</b> &amp; Co", notes="\u0645\u0631\u062d\u0628\u0627"),
)

#: Item number, description, unit, price, main account, procurement category.
ITEMS = (
    ("1000", "Surface cleaner 1 l", "ea", "4.95", "600160", "Cleaning"),
    ("T0004", "TelevisionM37037", "ea", "350.00", "140100", "Components"),
    ("D0001", "MidRangeSpeaker", "ea", "500.00", "140100", "Components"),
    ("D0002", "Cabinet", "ea", "190.00", "140100", "Components"),
    ("D0003", "StandardSpeaker", "ea", "220.00", "140100", "Components"),
    ("M0001", 'WoodenCabinet \u00bc"', "ea", "29.99", "140100", "Components"),
    ("M0007", "Screw M4x12", "box", "0.01", "600160", "Hardware"),
    ("M0008", "Copper wire 2.5 mm\u00b2", "m", "0.37", "600160", "Hardware"),
    (" RFI-TEST-001", "RFI filter (leading blank in the number)", "ea", "17.80", "140100", "Parts"),
    ("SRV-010", "Consultant's day", "day", "1180.00", "602300", "Services"),
    ("SRV-020", "Installation", "h", "84.50", "602300", "Services"),
    ("SRV-030", "Licence, 12 months", "ea", "1999.99", "605100", "Software"),
    ("O-100", "Paper A4 80 g", "box", "21.35", "600150", "Office"),
    ("O-110", 'Toner "black"', "ea", "89.90", "600150", "Office"),
    ("F-001", "Freight, pallet", "ea", "65.00", "601500", "Freight"),
    ("IT-200", "Notebook 14''", "ea", "1290.00", "180200", "IT"),
    ("IT-210", "Docking station", "ea", "189.00", "180200", "IT"),
    ("IT-900", "Rack server", "ea", "11850.00", "180200", "IT"),
)
