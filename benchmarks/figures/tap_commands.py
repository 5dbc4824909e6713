"""How the tap is started: with a catalog, as Meltano does it, and metadata kept from discovery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.measuring.meter import run
from benchmarks.measuring.workshop import program, written

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: The posted ledger: 26 columns, read by its growing number.
SOURCE = "GeneralJournalAccountEntryBiEntities"


def tap_command(home: Path, config: Mapping[str, Any], name: str = "tap") -> list[str | Path]:
    """Discover once, and return the command of a sync."""
    settings = written(home / f"{name}.json", config)
    catalog = home / f"{name}-catalog.json"
    command: list[str | Path] = [program("tap-d365fo"), "--config", settings]
    run([*command, "--discover"], stdout=catalog)
    return [*command, "--catalog", catalog]
