"""A check that is left out is a failure where everything is to be tested."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.tools import needed

PROJECT = Path(__file__).parents[2]


def test_a_missing_program_is_loud(monkeypatch: pytest.MonkeyPatch) -> None:
    assert needed("sh", package="dash") == shutil.which("sh")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.delenv("REQUIRE_TOOLS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="NOT TESTED: chromium"):
        needed("chromium", package="chromium")
    monkeypatch.setenv("REQUIRE_TOOLS", "1")
    with pytest.raises(pytest.fail.Exception, match="NOT TESTED: chromium"):
        needed("chromium", package="chromium")


def test_continuous_integration_tests_everything() -> None:
    (recipe,) = [
        line for line in (PROJECT / "Makefile").read_text().splitlines() if "KILL_TRIALS" in line
    ]
    assert "REQUIRE_TOOLS=1" in recipe
    assert "make test-all" in (PROJECT / ".ci/run").read_text()
