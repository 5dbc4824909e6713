"""Pages of an entity set at any position, without keeping them: constant memory at any volume.

A block of rows is written once. A page is the block's text with the key of each row put in, so row
number ``n`` is the same whenever and wherever it is asked for, and no two rows share a key.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import msgspec
from benchmarks.data.values import rows_of

from contoso_sandbox.model import AxType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from contoso_sandbox.model import EntitySet, EnumType

#: The first RecId that F&O gives: key of the first row of a set with a number as key.
FIRST_NUMBER = 5_637_144_576
#: Rows that differ in more than their key.
BLOCK_ROWS = 5_000
_COMPANY = "dataAreaId"
#: Where a key goes; no other part of a row has this byte.
_HOLE = b"\x00"


class Pages:
    """Rows of one entity set, of one company where it has companies, as JSON."""

    def __init__(
        self,
        entity_set: EntitySet,
        enums: Mapping[str, EnumType],
        *,
        company: str | None = None,
        block_rows: int = BLOCK_ROWS,
    ) -> None:
        """Write the block.

        Args:
            entity_set: Has one key property beside the company.
            enums: Of the environment, by name.
            company: Whose rows they are.
            block_rows: After so many rows their values come again, under other keys.
        """
        (self.key,) = (name for name in entity_set.key if name != _COMPANY)
        key_type = next(p.ax_type for p in entity_set.properties if p.name == self.key)
        self._is_number = key_type is AxType.INT64
        encoder = msgspec.json.Encoder(decimal_format="number")
        hole = msgspec.Raw(_HOLE if self._is_number else b'"%s"' % _HOLE)
        self._heads: list[bytes] = []
        self._tails: list[bytes] = []
        for number, row in enumerate(rows_of(entity_set, enums, block_rows)):
            etag = {"@odata.etag": f'W/"JzEs{FIRST_NUMBER + number};MDsw"'}
            own = {self.key: hole} | ({} if company is None else {_COMPANY: company})
            head, tail = encoder.encode(etag | row | own).split(_HOLE)
            self._heads.append(head)
            self._tails.append(tail + b",")
        self.block_rows = block_rows

    def key_of(self, number: int) -> bytes:
        """Key of row ``number``, from 0, as it stands between its quotes."""
        return b"%d" % (FIRST_NUMBER + number) if self._is_number else b"V%09d" % number

    def rows(self, start: int, stop: int) -> bytes:
        """Rows from ``start`` to before ``stop``, with commas between."""
        block, pieces = self.block_rows, []
        for begin in range(start - start % block, stop, block):
            low, high = max(start, begin) - begin, min(stop, begin + block) - begin
            keys = map(self.key_of, range(begin + low, begin + high))
            parts = zip(self._heads[low:high], keys, self._tails[low:high], strict=True)
            pieces.append(b"".join(chain.from_iterable(parts)))
        return b"".join(pieces)[:-1]
