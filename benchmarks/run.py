"""Measure tap, target and pipeline as ratios against floors in the same run.

    make bench                                   (under 15 minutes on two processors)
    make bench-quick                             (under 2 minutes; start-up blurs its ratios)
    python -m benchmarks.run --only tap_records  (one group of figures)

Prints the table and writes ``benchmarks/results.json``. Timings on shared machines are noisy: a
ratio of two measurements of one run is what counts, and nothing here decides a test. Data that is
made once, and environments of peers, stay in ``.bench`` and ``.tools`` (``make clean``).
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measuring.sizes import FULL, QUICK
from benchmarks.measuring.table import document, render
from benchmarks.measuring.workshop import PROJECT, Workshop

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.measuring.figure import Figure

#: Modules of ``benchmarks.figures``, in the order of the table.
GROUPS = (
    "tap_records",
    "tap_memory",
    "target_records",
    "target_batches",
    "pipeline",
    "upsert",
    "patch",
    "etag_scan",
    "nothing_changed",
    "volume",
    "companies",
)

_TERMINATED = 143
#: A command that failed, a server that is missing or does not start: the other groups go on.
_FAILURES = (SystemExit, RuntimeError, LookupError, AssertionError, OSError)


def measure(workshop: Workshop, groups: Iterable[str]) -> tuple[list[Figure], list[str]]:
    """The figures of ``groups``, and the groups that could not be measured to their end."""
    figures: list[Figure] = []
    failed: list[str] = []
    for group in groups:
        begun = time.perf_counter()
        module = importlib.import_module(f"benchmarks.figures.{group}")
        try:
            figures.extend(module.measure(workshop))  # what came before a failure stays
        except _FAILURES as failure:
            if isinstance(failure, SystemExit) and failure.code == _TERMINATED:
                raise
            _tell(f"{type(failure).__name__}: {failure}")
            failed.append(group)
        _tell(f"{group}: {time.perf_counter() - begun:.0f} s")
    return figures, failed


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--only", nargs="+", choices=GROUPS, metavar="GROUP", default=GROUPS)
    parser.add_argument("--home", type=Path, default=PROJECT / ".bench")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("results.json"))
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))  # so that nothing stays behind
    begun = time.perf_counter()
    asked.home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=asked.home) as folder:
        sizes = QUICK if asked.quick else FULL
        workshop = Workshop(asked.home / "data", Path(folder), sizes)
        figures, failed = measure(workshop, asked.only)
    seconds = time.perf_counter() - begun
    _tell(f"all: {seconds:.0f} s")
    sys.stdout.write(render(figures) + "\n")
    content = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "quick": asked.quick,
        "seconds": round(seconds),
        "figures": document(figures),
        "failed": failed,
    }
    asked.results.write_text(json.dumps(content, indent=2) + "\n")
    if failed:
        message = f"not measured to the end: {', '.join(failed)}"
        raise SystemExit(message)


def _tell(line: str) -> None:
    """Say how far it is, beside the table."""
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    main()
