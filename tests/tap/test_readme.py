"""The README's settings table is what the tap itself says."""

from __future__ import annotations

from docs.settings_tables import main
from tests.e2e.meltano import PROJECT


def test_settings_table_is_current() -> None:
    assert main(["--check", str(PROJECT / "tap-d365fo/README.md")]) == 0
