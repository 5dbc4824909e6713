"""What `etag_scan` saves when some rows of a wide entity changed: bytes over the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.data.vendors import multiply
from benchmarks.etag_scan import compare
from benchmarks.measuring.figure import Amount, Figure, at_most

from contoso_sandbox.contoso import Contoso

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measuring.workshop import Workshop

_CHANGED = 0.01
_SCALE = 1


def measure(workshop: Workshop) -> Iterator[Figure]:
    """Contoso's wide vendors; what counts is what its server says it sent, compressed."""
    home = workshop.scratch("etag-scan")
    with Contoso.start(home / "box", scale=_SCALE) as box:
        multiply(box.world, workshop.sizes.vendors)
        runs = compare(box, home / "snapshots", _CHANGED)
    yield Figure(
        "etag_scan, 1 % of the wide vendors changed: bytes",
        "a full read of the same rows",
        Amount(runs.full.megabytes, "MB"),
        Amount(runs.some.megabytes, "MB"),
        at_most(0.10),
        f"{runs.full.records:,} vendors, {runs.some.records:,} changed; {runs.some.requests} "
        f"requests instead of {runs.full.requests}; {runs.nothing.megabytes:.2f} MB when nothing "
        "changed",
    )
