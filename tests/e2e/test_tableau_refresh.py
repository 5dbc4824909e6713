"""The utility ``tableau-refresh`` as a step of ``meltano run``."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from tests.e2e.meltano import RUN, Meltano

from pipeline_core.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from contoso_sandbox.contoso import Contoso

REFRESH = "tableau-refresh:refresh"


@dataclass(frozen=True)
class Refreshing(Meltano):
    """A shell in which something is to be refreshed."""

    wanted: Mapping[str, object] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        return {
            **super().environment(),
            "TABLEAU_REFRESH_REFRESH": json.dumps(self.wanted),
        }


@pytest.fixture
def meltano(new_contoso: Callable[..., Contoso], tmp_path: Path) -> Meltano:
    wanted = {"workbooks": ["default/Payables dashboard"]}
    return Refreshing(new_contoso(), tmp_path / "home", ("VendorsV2",), wanted=wanted)


def refreshes(contoso: Contoso) -> list[int | None]:
    jobs = contoso.tableau.jobs()
    return [job.finish_code for job in jobs if job.type == "RefreshExtract"]


def test_utility_refreshes_after_the_loader_and_its_failure_fails_the_run(
    meltano: Meltano,
) -> None:
    contoso = meltano.contoso
    meltano.run(*RUN)
    (vendors,) = contoso.tableau.datasources()
    contoso.tableau.add_workbook("Payables dashboard", [vendors.id])
    contoso.world.advance(1)

    output = meltano.run(*RUN, REFRESH)
    assert "default/Payables dashboard: workbook refreshed in" in output
    assert refreshes(contoso) == [0]
    (book,), (vendors,) = contoso.tableau.workbooks(), contoso.tableau.datasources()
    assert book.seen == {vendors.id: vendors.revision}
    with Ledger(meltano.ledger, run_id="check", actor="test") as ledger:
        assert ledger.verify() > 0
        events = [event.event for event in ledger.events()]
    assert events[-3:] == ["run.finished", "refresh.intent", "refresh.verified"]

    contoso.tableau.refreshes.fail("Payables dashboard", "database is down")
    process = meltano.start("run", REFRESH)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1, output
    assert "failed on the server (database is down)" in output
    assert refreshes(contoso) == [0, 1]
    assert contoso.credentials.token_value not in output


def test_utility_is_not_run_when_the_loader_failed(meltano: Meltano) -> None:
    contoso = meltano.contoso
    contoso.tableau.add_workbook("Payables dashboard")
    contoso.tableau.add_token(contoso.credentials.token_name, "another secret")
    process = meltano.start(*RUN, REFRESH)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1, output
    contoso.tableau.add_token(contoso.credentials.token_name, contoso.credentials.token_value)
    assert refreshes(contoso) == []
    meltano.run("invoke", REFRESH)
    assert refreshes(contoso) == [0]
