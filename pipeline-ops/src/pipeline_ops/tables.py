"""Columns for a terminal; a table is text that ``column``, ``grep`` and people can read."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

_GAP = "  "

#: A last column narrower than this is not worth wrapping into.
_NARROWEST = 24


def as_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    width: int,
    numbers: Collection[int] = (),
) -> Iterator[str]:
    """Lines of a table whose last column is wrapped to what ``width`` leaves.

    Args:
        header: Names of the columns.
        rows: Cells as text.
        width: Of the terminal, in characters.
        numbers: Columns that end at the right.
    """
    cells = [list(header), *([_printable(cell) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(header) - 1)]
    used = sum(widths) + len(_GAP) * len(widths)
    room = max(_NARROWEST, width - used)
    for line in cells:
        left = _GAP.join(
            cell.rjust(size) if i in numbers else cell.ljust(size)
            for i, (cell, size) in enumerate(zip(line[:-1], widths, strict=True))
        )
        pieces = textwrap.wrap(line[-1], room, break_on_hyphens=False) or [""]
        yield f"{left}{_GAP}{pieces[0]}".rstrip()
        for piece in pieces[1:]:
            yield " " * used + piece


def _printable(text: str) -> str:
    """Without control characters: names come from other systems."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
