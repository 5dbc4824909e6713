"""The README's settings table is what the tap itself says."""

from __future__ import annotations

from docs.claims import unproved
from docs.settings_tables import main
from tests.e2e.meltano import PROJECT


def test_settings_table_is_current() -> None:
    assert main(["--check", str(PROJECT / "tap-d365fo/README.md")]) == 0


def test_every_claim_beside_other_tools_links_to_a_test_that_is_there() -> None:
    claims, without = unproved(PROJECT / "tap-d365fo/README.md")
    assert claims > 10
    assert without == []
