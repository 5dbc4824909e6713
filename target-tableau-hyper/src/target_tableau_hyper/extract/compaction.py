"""When an extract is worth writing anew: rows that are replaced leave their space behind.

Six upserts of a tenth of the rows make a file of a million rows half as large again (hyperd keeps
blocks in which a single row is alive). Copying all rows into a new file gives the space back;
copying a database as a whole does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from target_tableau_hyper.extract.layout import Layout
from target_tableau_hyper.extract.table import rewrite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Self

    from target_tableau_hyper.extract.engine import Engine
    from target_tableau_hyper.extract.layout import TableColumn

#: How much larger a file may be than its rows were when they were last written together.
BLOAT = 1.5

#: Smaller files are left alone: they double at the first change, and nobody minds.
SMALL_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Density:
    """What rows took when they were last written together.

    Attributes:
        rows: How many there were.
        size: Bytes of the file.
    """

    rows: int
    size: int

    @classmethod
    def of(cls, content: Mapping[str, int] | None) -> Self | None:
        """From a manifest."""
        return cls(**content) if content else None

    def is_exceeded(self, rows: int, size: int) -> bool:
        """Whether a file of ``size`` bytes is bloated for so many rows."""
        usual = self.size / max(1, self.rows) * rows
        return size > max(SMALL_BYTES, BLOAT * usual)


def compacted(engine: Engine, path: Path, target: Path, columns: Sequence[TableColumn]) -> Path:
    """Write all rows of the file at ``path`` together into a new one at ``target``."""
    layout = Layout(tuple(columns), (), rewrite=True, is_new=False)
    rewrite(engine, path, target, layout)
    return target
