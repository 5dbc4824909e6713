"""``refresh``: for pipelines that land in a database."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from tests.target.harness import TOKEN_VALUE

from pipeline_core.ledger import Ledger

if TYPE_CHECKING:
    from tests.target.commands import Commands
    from tests.target.dependents import Dependents
    from tests.target.harness import Rows, Tableau


def test_refreshes_what_the_options_name_and_needs_no_output_dir(
    command: Commands,
    tableau: Tableau,
    dependents: Dependents,
    rows: Rows,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    dependents.extract("Spend mart", 1)
    dependents.workbook("Payables")
    tableau.server.refreshes.source("Spend mart", lambda: dependents.hyper(1, 2, 3))
    tableau.server.requests.clear()
    output, ledger_path = command.directory / "none" / "output", command.directory / "l.db"
    config = {**tableau.config, "output_dir": str(output), "ledger_path": str(ledger_path)}
    options = ("--datasource", "Finance/Spend mart", "--workbook", "Finance/Payables")
    done = command("refresh", *options, **config, publish="none")
    assert (done.code, done.out) == (0, "")
    assert dependents.refreshes() == [("Spend mart", 0), ("Payables", 0)]
    assert rows(tableau.server.hyper_file("Spend mart")) == [(1,), (2,), (3,)]
    assert "Finance/Payables: workbook refreshed in" in caplog.text
    assert TOKEN_VALUE not in caplog.text
    assert not output.exists()
    assert tableau.calls("POST", "/signout") == 1
    with Ledger(ledger_path, run_id="x", actor="x") as ledger:
        assert [event.event for event in ledger.events()] == [
            *["refresh.intent"] * 2,
            *["refresh.verified"] * 2,
        ]


def test_without_options_the_setting_says_what(
    command: Commands, tableau: Tableau, dependents: Dependents
) -> None:
    for name in ("Payables", "Spend"):
        dependents.workbook(name)
    assert command("refresh", **tableau.config, **dependents.setting("Payables")).code == 0
    assert dependents.refreshes() == [("Payables", 0)]
    done = command(
        "refresh", "--workbook", "Spend", **tableau.config, **dependents.setting("Payables")
    )
    assert done.code == 0
    assert dependents.refreshes() == [("Payables", 0), ("Spend", 0)]
    done = command("refresh", **tableau.config)
    assert done.code == 78
    assert "there is nothing to refresh: name it with --datasource" in done.last_line


def test_failures_have_their_exit_codes(
    command: Commands, tableau: Tableau, dependents: Dependents
) -> None:
    live = dependents.workbook("Live", extract=False)
    for name in ("A", "B"):
        dependents.workbook(name)
    tableau.server.refreshes.fail("A", "database is down")
    both = ("--workbook", "A", "--workbook", "B")
    done = command("refresh", *both, **tableau.config)
    assert done.code == 75
    assert "1 of 2 refreshes failed: refresh of workbook 'Finance/A': job " in done.last_line
    assert "failed on the server (database is down)" in done.last_line
    assert dependents.refreshes() == [("A", 1), ("B", 0)]

    done = command("refresh", "--workbook", live.id, *both, **tableau.config)
    assert done.code == 78, "what a person must see to decides"
    assert "1 of 3 refreshes failed: workbook 'Finance/Live' cannot be refreshed" in done.last_line

    done = command("refresh", *both, **{**tableau.config, "tableau_token_value": "wrong-token"})
    assert done.code == 77

    tableau.server.refreshes.slow("B", 3600)
    done = command("refresh", "--workbook", "B", "--timeout", "1", **tableau.config)
    assert done.code == 75
    assert "is not over after 1 s" in done.last_line


def test_no_wait_only_asks(command: Commands, tableau: Tableau, dependents: Dependents) -> None:
    dependents.workbook("Payables")
    tableau.server.refreshes.slow("Payables", 3600)
    setting = dependents.setting("Payables", wait=True)
    assert command("refresh", "--no-wait", **tableau.config, **setting).code == 0
    assert dependents.refreshes() == [("Payables", None)]
    assert tableau.calls("GET", "/jobs") == 0


@pytest.mark.parametrize("wait", [True, False])
def test_the_setting_says_whether_to_wait(
    command: Commands, tableau: Tableau, dependents: Dependents, *, wait: bool
) -> None:
    dependents.workbook("Payables")
    setting = dependents.setting("Payables", wait=wait)
    assert command("refresh", **tableau.config, **setting).code == 0
    asked = [r for r in tableau.server.requests if r.method == "GET" and "/jobs/" in r.path]
    assert bool(asked) is wait
