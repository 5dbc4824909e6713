"""``_audit_row_hash``: one short text for all that a row holds, which anybody can compute again.

The form that is hashed is JSON without blanks, an array of ``[column, value]`` for every column
that is not null, in the order of the column names' code points:

- text as it is; integers and decimals as text, without exponent and without zeros at the end;
- ``true`` and ``false``; dates as ``2024-03-31``, times as ``23:59:59.500000``;
- instants in UTC as ``2024-03-31T22:00:00.000000Z``.

BLAKE2b with 16 bytes of it in UTF-8, as hex. Columns that are null do not count, so a column that
is added later changes no hash; columns of the SDK's and of our own metadata do not count either.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from hashlib import blake2b
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def row_hashes(columns: Mapping[str, pa.Array]) -> pa.Array:
    """The hash of every row.

    Args:
        columns: The rows' own columns by name, all of one length.
    """
    names = sorted(columns)
    values = [columns[name].to_pylist() for name in names]
    return pa.array([row_hash(names, row) for row in zip(*values, strict=True)], pa.string())


def row_hash(names: Sequence[str], values: Sequence[object]) -> str:
    """The hash of one row, whose columns come in the order of their names."""
    content = [
        [name, canonical(value)]
        for name, value in zip(names, values, strict=True)
        if value is not None
    ]
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=16).hexdigest()


def canonical(value: object) -> str | bool:
    """One value in the form that is hashed."""
    if isinstance(value, str | bool):
        return value
    if isinstance(value, Decimal):
        plain = format(value, "f")
        return (plain.rstrip("0").rstrip(".") if "." in plain else plain) if value else "0"
    if isinstance(value, datetime):
        moment = value.astimezone(UTC).replace(tzinfo=None)
        return f"{moment.isoformat(timespec='microseconds')}Z"
    if isinstance(value, time):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, date):
        return value.isoformat()
    return str(value)
