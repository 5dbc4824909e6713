"""How long the ledger takes to verify: all of it, and its end as each plugin does at its start.

    python -m benchmarks.ledger [ROWS]

The rows are such as the tap writes for a partition. Written without waiting for the disk, which is
not what is measured.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_core.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

_ROWS = 200_000


def main(rows: int) -> None:
    """Write, then measure."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Ledger(Path(folder) / "ledger.db", run_id="run", actor="tap-d365fo") as ledger,
    ):
        ledger._db.execute("PRAGMA synchronous=OFF")  # noqa: SLF001 - see above
        for number in range(rows):
            ledger.append(
                "partition.read",
                stream="VendTransBiEntities",
                company="usmf",
                rows=number,
                pages=3,
                totals={"AmountCur": "-5822.07", "AmountMST": "-5832.18"},
            )
        whole, end = _seconds(ledger.verify), _seconds(ledger.verify_end)
    print(f"{rows:,} rows: {whole:.2f} s to verify all, {end * 1000:.0f} ms for the end")  # noqa: T201


def _seconds(measured: Callable[[], object]) -> float:
    began = time.perf_counter()
    measured()
    return time.perf_counter() - began


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else _ROWS)
