"""The utility of ``meltano.yml`` that refreshes what reads a database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.e2e.meltano import Meltano

from contoso_sandbox.contoso import Contoso

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest


def test_a_pipeline_into_a_database_ends_with_a_refresh(
    contoso_home: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = {"workbooks": ["default/Payables dashboard"]}
    monkeypatch.setenv("TARGET_TABLEAU_HYPER_REFRESH", json.dumps(setting))
    with Contoso.start(contoso_home(0.05, 7)) as box:
        book = box.tableau.add_workbook("Payables dashboard", ())
        said = Meltano(box, tmp_path).run("run", "tableau-refresh:refresh")
        jobs = [job for job in box.tableau.jobs() if job.type == "RefreshExtract"]
        assert [(job.datasource_name, job.finish_code) for job in jobs] == [(book.name, 0)]
    assert "default/Payables dashboard: workbook refreshed" in said
    assert not (tmp_path / "output").exists()
