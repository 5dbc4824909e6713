"""Claims in a README's "Beside other tools" table, each with the test that shows it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_HEADING = "## Beside other tools"


def unproved(readme: Path) -> tuple[int, list[str]]:
    """How many claims the table has, and those without a link to a test, or to one that is gone."""
    table = readme.read_text(encoding="utf-8").partition(_HEADING)[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    return len(rows), [row for row in rows if not _is_shown(row, readme.parent)]


def _is_shown(row: str, folder: Path) -> bool:
    links = re.findall(r"\[(test_\w+)\]\(([^)]+)\)", row)
    return bool(links) and all(_is_there(test, folder / path) for test, path in links)


def _is_there(test: str, module: Path) -> bool:
    text = module.read_text(encoding="utf-8") if module.is_file() else ""
    return re.search(rf"^def {test}\(", text, re.MULTILINE) is not None
