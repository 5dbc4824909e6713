"""What travels to Tableau for some changed rows: it follows the change, not the table."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from benchmarks.data.records import batch_messages, write_batches, write_changes
from benchmarks.figures.target_commands import target_command
from benchmarks.measuring.figure import Amount, Figure, at_most
from benchmarks.measuring.meter import run
from benchmarks.measuring.sandbox import TARGET, settings_of

from contoso_sandbox.contoso import Contoso

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.measuring.workshop import Workshop

_SCALE = 0.1


def measure(workshop: Workshop) -> Iterator[Figure]:
    """The same change for a small and a large table; and a larger change for the latter."""
    sizes = workshop.sizes
    (small, large), (few, many) = sizes.patch_rows, sizes.patch_changes
    home = workshop.scratch("patch")
    with Contoso.start(home / "contoso", scale=_SCALE) as box:
        site = _Site(box, home)
        _, of_small = site.publish(workshop, small), site.change(workshop, few, small)
        whole, of_large = site.publish(workshop, large), site.change(workshop, few, large)
        more_of_large = site.change(workshop, many, large)
    yield Figure(
        "PATCH delivery: bytes for the same change of a larger table",
        f"{few:,} changed rows of {small:,}",
        Amount(of_small / 1e3, "kB"),
        Amount(of_large / 1e3, "kB"),
        at_most(1.1),
        f"of {large:,} rows, published whole with {whole / 1e3:,.0f} kB; {many:,} changed rows "
        f"take {more_of_large / 1e3:,.0f} kB",
    )


class _Site:
    """Tableau, and what the target sends to it."""

    def __init__(self, box: Contoso, home: Path) -> None:
        self._box = box
        self._home = home
        self._versions = count(1)
        self._folder = home

    def publish(self, workshop: Workshop, rows: int) -> int:
        """Publish a new table of so many rows; returns the bytes sent."""
        folder = workshop.kept(f"{rows}.batches", lambda path: write_batches(path, rows))
        self._folder = self._home / str(rows)
        self._folder.mkdir()
        return self._load(sorted(folder.glob("*.parquet")))

    def change(self, workshop: Workshop, changes: int, rows: int) -> int:
        """Change so many of its rows; returns the bytes sent."""
        version = next(self._versions)
        name = f"{changes}-of-{rows}-version-{version}.parquet"
        return self._load(
            [workshop.kept(name, lambda path: write_changes(path, changes, rows, version))]
        )

    def _load(self, files: list[Path]) -> int:
        config: dict[str, Any] = settings_of(self._box.settings(), TARGET)
        messages = batch_messages(self._folder / "batches.singer", files)
        self._box.tableau.requests.clear()
        command = target_command(
            self._folder, self._folder / "output", config | {"tableau_project": "default"}
        )
        run(command, stdin=messages)
        return sum(request.request_bytes for request in self._box.tableau.requests)
