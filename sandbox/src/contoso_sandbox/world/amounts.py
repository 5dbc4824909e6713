"""Amounts made by hand, in every world of any size: the largest, the smallest, what rounds badly.

F&O's amounts are numeric(32, 6): most of these have more digits than a double keeps (15 to 17), so
that whoever reads them through a float has other books.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Company, vendor, amounts of the lines, in the company's own currency.
BILLS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("usmf", "US-101", ("999999999999.99",)),
    ("usmf", "US-102", ("-0.05",)),
    ("usmf", "O'NEIL-1", ("0.01",)),
    ("usmf", "US*01", ("-0.05", "0.01", "0.04")),
    ("demf", "DE-101", ("0.01", "0.02", "123456789.99")),
    ("gbsi", "GB-101", ("-0.05", "100000.01")),
    ("2", "2-1", ("0.05", "0.05", "0.05")),
    ("usmf", "US-101", ("12345678901234.567891",)),
    ("usmf", "US-102", ("-0.000001",)),
    ("usmf", "O'NEIL-1", ("0.000001",)),
    # Small enough to be paid.
    ("usmf", "US-LOWER2", ("98765432109.876543", "-0.000001")),
    # One of the lines is lost in the other, if they are added up as doubles.
    ("usmf", "A/B&C 7", ("-90071992547409.930001", "0.000002")),
    ("demf", "DE-EMOJI", ("98765432109876.543219",)),
    ("gbsi", "GB-103", ("1234567890123.000007", "-0.000001")),
    ("2", "2-2", ("70000000000000.000003",)),
)


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One line: ``amount`` is what ``quantity`` pieces cost at ``price``, to the last digit."""

    item: str
    quantity: str
    price: str
    amount: str


#: Of usmf, from this vendor, received and invoiced long ago.
ORDER, ORDER_COMPANY, ORDER_VENDOR = "US-PO-HURTS", "usmf", "US-101"
ORDER_LINES = (
    OrderLine("T0004", "1", "12345678901234.567891", "12345678901234.567891"),
    OrderLine("M0008", "123456789012.345678", "1", "123456789012.345678"),
    OrderLine("M0007", "-1", "0.000001", "-0.000001"),
    OrderLine("SRV-010", "0.000001", "1180", "0.001180"),
)

#: Company, then account and amount of the lines; a last line takes what is left.
JOURNALS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "usmf",
        (
            ("602100", "12345678901234.567891"),
            ("602200", "-0.000001"),
            ("607200", "98765432109876.543219"),
            ("600150", "-5555555555555.555557"),
        ),
    ),
    ("demf", (("608100", "70000000000000.000003"), ("600160", "-0.000001"))),
    ("gbsi", (("603200", "-33333333333333.333333"), ("603100", "0.000001"))),
)

#: Company, vendor and credit limit: 2^53 + 1, the first integer that no double holds, and more.
CREDIT_LIMITS = (
    ("usmf", "US-101", "9007199254740993.000001"),
    ("demf", "DE-101", "1234567890123456.000007"),
)
