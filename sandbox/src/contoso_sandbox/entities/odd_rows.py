"""The rows of the odd environment, as Python values; each set's keys are listed first."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from contoso_sandbox.entities.odd import LONG_KEY, LONG_PROPERTY, LONG_SET, RESERVED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contoso_sandbox.tables import Tables

Row = dict[str, object]


def _named(column: str, *values: object) -> list[Row]:
    return [{column: value, "Name": f"row {number}"} for number, value in enumerate(values)]


def _noon(year: int, month: int, day: int) -> datetime:
    # As F&O stores a Date: no zone, and noon, so that no zone can move it.
    return datetime(year, month, day, 12)  # noqa: DTZ001


def _at(*parts: int) -> datetime:
    return datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001 - columns hold UTC without it


_TEXTS = (
    "",
    " leading blank",
    "trailing blank ",
    "O'Hara said ''no''",
    'say "yes" \\ no',
    "100 % _under* [any]",
    "line\r\nbreak\ttab \x01\x08\x0b\x1f\x7f\x85\u2028\ufeffend",
    "\U0001f4e6\U0001f469\u200d\U0001f4bb e\u0301 \u0645\u0631\u062d\u0628\u0627 \u6c49\U00020000",
    "=1+1",
    "null",
    "x" * 65_536,
)

_WIDE: Row = {
    "dataAreaId": "usmf",
    "Account": "US-101",
    "Currency": "EUR",
    **{f"Text{number}": f"part {number}, it's (a=b)" for number in range(1, 6)},
    "RecordId": 5637144576,
    "OtherRecordId": -(2**63) + 1,
    "LineNumber": Decimal("1.000000"),
    "Share": Decimal("-0.050000"),
    "Position": -2147483648,
    "Version": 2147483647,
    "ValidFrom": _noon(1900, 1, 1),
    "ValidTo": _noon(2154, 12, 31),
    "CreatedOn": _at(2026, 11, 23, 7, 0, 30),
    "Direction": "Out",
    "Party": "0f8fad5b-d9cb-469f-a165-70867728950e",
    "IsOpen": True,
    "Amount": Decimal("12.34"),
}

#: Rows by set; equal strings but for case would be one key to F&O, so there are none.
ROWS: dict[str, Sequence[Row]] = {
    "OddInt64Keys": _named("RecordId", 0, -1, 2**53 + 1, 2**63 - 1, -(2**63) + 1),
    "OddInt32Keys": _named("Number", 0, -1, 2147483647, -2147483648),
    "OddDecimalKeys": _named(
        "LineNumber",
        *map(Decimal, ("0", "1", "2.5", "-0.000001", "99999999999999999999999999.999999")),
    ),
    "OddDateKeys": _named(
        "ValidFrom", _noon(1900, 1, 1), _noon(2154, 12, 31), _noon(2024, 2, 29), _noon(2026, 3, 29)
    ),
    "OddInstantKeys": _named(
        "CreatedOn",
        _at(1900, 1, 1),
        _at(2154, 12, 31, 23, 59, 59),
        _at(2026, 3, 29, 1, 30),
        _at(2026, 3, 29, 1, 30, 1),
    ),
    "OddEnumKeys": _named("Direction", "None", "In", "Out", "Both"),
    "OddGuidKeys": _named(
        "Party",
        "00000000-0000-0000-0000-000000000000",
        "0f8fad5b-d9cb-469f-a165-70867728950e",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ),
    "OddBooleanKeys": _named("IsOpen", *(False, True)),
    "OddStringKeys": _named("Code", *_TEXTS[:-1], "A/B?c=d&e#f", "a+b%20c", "*", "x" * 200),
    "OddWideKeys": [
        _WIDE,
        {**_WIDE, "IsOpen": False},
        {**_WIDE, "Text5": "", "dataAreaId": "gbsi"},
    ],
    "OddKeylessRows": [
        {"Name": "twin", "Amount": Decimal(1)},
        {"Name": "twin", "Amount": Decimal(1)},
        {"Name": None, "Amount": Decimal("-0.01")},
    ],
    LONG_SET: [{LONG_KEY: "k", LONG_PROPERTY: "long"}],
    "Order": [{"Id": 1, **{word: f"value of {word}" for word in RESERVED}}],
    "OddCaseNames": [{"Code": "A", "code": "lower", "CODE": "UPPER"}],
    "OddBinaries": [
        {"Id": 1, "Image": bytes(range(256))},
        {"Id": 2, "Image": b""},
        {"Id": 3, "Image": None},
        {"Id": 4, "Image": b"\x00" * 100_000},
    ],
    "OddNumbers": [
        {"Id": 1, "Large": 2**53 + 1, "Money": Decimal("-0.01"), "Precise": Decimal("1e-16")},
        {
            "Id": 2,
            "Large": 2**63 - 1,
            "Money": Decimal("9999999999999999999999.999999"),
            "Precise": Decimal("123456789012.1234567890123456"),
        },
        {"Id": 3, "Large": -(2**63) + 1, "Money": Decimal("-99999999.99"), "Precise": Decimal(-1)},
        {"Id": 4, "Large": 0, "Money": Decimal(0), "Precise": Decimal("-0.0000000000000001")},
    ],
    "OddTexts": [{"Id": number, "Text": text} for number, text in enumerate(_TEXTS)]
    + [{"Id": len(_TEXTS), "Text": None}],
    "OddParents": _named("ParentId", "P1", "P2", "childless"),
    "OddChildren": [
        {"ChildId": "C1", "ParentId": "P1", "Name": "first"},
        {"ChildId": "C2", "ParentId": "p1", "Name": "second, by another spelling"},
        {"ChildId": "C3", "ParentId": "P2", "Name": "third"},
        {"ChildId": "C4", "ParentId": "", "Name": "orphan"},
    ],
    "OddCompanyGroups": [
        {"dataAreaId": company, "GroupId": "10", "Name": f"ten of {company}"}
        for company in ("usmf", "gbsi", "DEMF")
    ],
    "OddSharedGroups": [{"GroupId": "10", "Name": "ten of all"}],
    "Companies": [
        {
            "DataArea": company,
            "Name": f"Company {company}",
            "KnownAs": company,
            "LanguageId": "en-us",
            "PartyNumber": str(number),
        }
        for number, company in enumerate(("usmf", "gbsi", "demf"))
    ],
}  # fmt: skip


def fill(tables: Tables) -> None:
    """Put the rows into empty tables, in the order above."""
    for entity_set, rows in ROWS.items():
        for row in rows:
            tables.insert(entity_set, row)
