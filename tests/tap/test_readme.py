"""The README's settings table is what the tap itself says."""

from __future__ import annotations

import re

from docs.settings_tables import main
from tests.e2e.meltano import PROJECT


def test_settings_table_is_current() -> None:
    assert main(["--check", str(PROJECT / "tap-d365fo/README.md")]) == 0


def test_every_claim_beside_other_tools_links_to_a_test_that_is_there() -> None:
    readme = PROJECT / "tap-d365fo/README.md"
    table = readme.read_text(encoding="utf-8").partition("## Beside other tools")[2]
    rows = [line for line in table.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    claims = [row for row in rows[1:] if not row.startswith("|---")]
    assert len(claims) > 10
    for claim in claims:
        link = re.search(r"\[(test_\w+)\]\(([^)]+)\)", claim)
        assert link is not None, claim
        module = (readme.parent / link[2]).read_text(encoding="utf-8")
        assert re.search(rf"^def {link[1]}\(", module, re.MULTILINE), link[0]
