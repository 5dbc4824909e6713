"""Compact notation in which the entity modules write their properties down.

One property after another, separated by semicolons, in published order::

    dataAreaId key; VendorAccountNumber key; CreditLimit Real; OnHoldStatus CustVendorBlocked

A property without a type is a string; a word that is no type names an enum.
"""

from __future__ import annotations

import re

from contoso_sandbox.model import AxType, EnumType, Property

#: Digits of an exchange rate, which F&O keeps apart from those of an amount.
RATE_SCALE = 16
AMOUNT_SCALE = 6
#: Longest value of a key part in Contoso's data, and more than F&O's usual 20 characters.
KEY_LENGTH = 60

_TYPES = {
    "String": AxType.STRING,
    "Int32": AxType.INT32,
    "Int64": AxType.INT64,
    "Real": AxType.REAL,
    "Rate": AxType.REAL,
    "Date": AxType.DATE,
    "UtcDateTime": AxType.UTC_DATE_TIME,
    "Guid": AxType.GUID,
    "Boolean": AxType.BOOLEAN,
    "Container": AxType.CONTAINER,
}

_NULLABLE = {AxType.STRING, AxType.ENUM, AxType.CONTAINER}

#: Where the words of a property name begin: ``VendorDUNSNumber`` -> Vendor, DUNS, Number.
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")

#: Property names whose label says something else than the name.
_LABELS = {
    "dataAreaId": "Company",
    "DataArea": "Company",
    "AmountCur": "Amount in transaction currency",
    "AmountMST": "Amount in accounting currency",
    "InvoiceAmountMST": "Invoice amount in accounting currency",
    "SettleAmountCur": "Settled amount in transaction currency",
    "SettleAmountMST": "Settled amount in accounting currency",
    "AccountNum": "Vendor account",
    "SysModifiedDateTime": "Modified date and time",
    "SysDataAreaId": "Company",
    "SourceKey": "Record-ID",
    "Txt": "Description",
}

#: Label ids known from a real environment's metadata.
_LABEL_IDS = {"dataAreaId": "@SYS13342"}


def parse_properties(text: str) -> tuple[Property, ...]:
    """Read properties in compact notation.

    Strings, enums and binaries are nullable as published, key parts and all other types are not.

    Raises:
        ValueError: an entry has more words than name, type and ``key``.
    """
    return tuple(_parse_property(entry) for entry in text.split(";") if entry.strip())


def parse_enum(name: str, members: str) -> EnumType:
    """Read the members of an enum: ``No Yes``, or ``None=0 Vend=14`` where numbers have gaps."""
    numbered: list[tuple[str, int]] = []
    for word in members.split():
        member, _, number = word.partition("=")
        following = numbered[-1][1] + 1 if numbered else 0
        numbered.append((member, int(number) if number else following))
    return EnumType(name=name, members=tuple(numbered), label_id=f"@Contoso:{name}")


def label_of(name: str) -> str:
    """English label of a property or enum: its words, acronyms kept."""
    if name in _LABELS:
        return _LABELS[name]
    words = [word if word.isupper() else word.lower() for word in _WORD.findall(name)]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


def _parse_property(entry: str) -> Property:
    name, *words = entry.split()
    is_key = "key" in words
    types = [word for word in words if word != "key"]
    if len(types) > 1:
        message = f"a property is written 'Name [Type] [key]', not {entry.strip()!r}"
        raise ValueError(message)
    word = types[0] if types else "String"
    ax_type = _TYPES.get(word, AxType.ENUM)
    return Property(
        name=name,
        ax_type=ax_type,
        enum=word if ax_type is AxType.ENUM else None,
        nullable=ax_type in _NULLABLE and not is_key,
        label=label_of(name),
        label_id=_LABEL_IDS.get(name, f"@Contoso:{name}"),
        scale=RATE_SCALE if word == "Rate" else AMOUNT_SCALE,
        # A company id has four characters; what else is known to be short is a key.
        max_length={"dataAreaId": 4}.get(name, KEY_LENGTH if is_key else None),
    )
