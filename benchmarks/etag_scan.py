"""Measure what `etag_scan` saves: bytes over the wire when some rows of a wide entity changed.

    python -m benchmarks.etag_scan [--scale 50] [--changed 0.01]

The floor is a full read of the same rows in the same run. Bytes are those that the server sent,
compressed. Nothing here decides a test.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.by_key import tell
from benchmarks.data.vendors import SET, change

from contoso_sandbox.contoso import Contoso
from tap_d365fo.tap import TapD365FO


@dataclass(frozen=True, slots=True)
class Run:
    """What one run took."""

    state: dict[str, Any]
    records: int
    requests: int
    megabytes: float
    seconds: float

    def __str__(self) -> str:
        """Half a line of the report."""
        return (
            f"{self.records:8,} records {self.requests:5,} requests {self.megabytes:8.2f} MB "
            f"{self.seconds:7.2f} s"
        )


def run(box: Contoso, config: dict[str, Any], state: dict[str, Any] | None) -> Run:
    """Sync once and look at what travelled."""
    box.d365.requests.clear()
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    begun = time.perf_counter()
    with contextlib.redirect_stdout(out):
        TapD365FO(config=config, state=state).sync_all()
    seconds = time.perf_counter() - begun
    out.flush()
    out.seek(0)
    messages = [json.loads(line) for line in out]
    sent = [r for r in box.d365.requests if r.entity_set == SET]
    return Run(
        state=[m["value"] for m in messages if m["type"] == "STATE"][-1],
        records=sum(m["type"] == "RECORD" for m in messages),
        requests=len(sent),
        megabytes=sum(r.bytes for r in sent) / 1e6,
        seconds=seconds,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scale", type=float, default=50.0)
    parser.add_argument("--changed", type=float, default=0.01)
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as home,
        Contoso.start(Path(home, "box"), scale=asked.scale) as box,
    ):
        compared = compare(box, Path(home, "snapshots"), asked.changed)
    tell(f"full read              {compared.full}")
    tell(f"scan, nothing changed  {compared.nothing}")
    tell(f"scan, {compared.some.records:6,} changed   {compared.some}")
    tell(f"bytes of the scan / full read: {compared.some.megabytes / compared.full.megabytes:.3f}")


@dataclass(frozen=True, slots=True)
class Compared:
    """A full read, a scan that finds nothing, and one that finds some rows changed."""

    full: Run
    nothing: Run
    some: Run


def compare(box: Contoso, snapshots: Path, share: float) -> Compared:
    """Read all vendors, then what changed: nothing, and a share of them."""
    config: dict[str, Any] = {
        name.removeprefix("TAP_D365FO_").lower(): value
        for name, value in box.settings().items()
        if name.startswith("TAP_D365FO_")
    }
    config |= {"entities": [SET], "snapshot_path": str(snapshots)}
    full = run(box, config, None)
    nothing = run(box, config, full.state)
    change(box.world, share)
    return Compared(full, nothing, some=run(box, config, nothing.state))


if __name__ == "__main__":
    main()
