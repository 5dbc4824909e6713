"""From a posting in D365 to Tableau: the service, the real Meltano, Contoso."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from tests.e2e.meltano import PROJECT, Meltano
from tests.ops.listen.listening import COMMAND, until, vendor_invoice

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.ops.listen.listening import Listener

    from contoso_sandbox.contoso import Contoso


def test_a_posted_invoice_brings_tableau_up_to_date(
    new_contoso: Callable[..., Contoso], new_listener: Callable[..., Listener], tmp_path: Path
) -> None:
    """And a SIGTERM in the middle of such a run costs nothing but the time."""
    contoso = new_contoso()
    home = tmp_path / "home"
    home.mkdir()
    meltano = Meltano(contoso, home, entities=("VendTransBiEntities",))
    listener = new_listener(
        project=str(PROJECT),
        ledger_path=str(meltano.ledger),
        pipelines=[
            {
                "name": "payables",
                "run": "tap-d365fo target-tableau-hyper",
                "environment": "sandbox",
                "events": [{"event": "VendorInvoiceJournalPosted*", "companies": ["usmf", "demf"]}],
                "coalesce": {"quiet": 0.5},
                "retry": {"attempts": 3, "first_wait": 1},
            }
        ],
    )
    listener.environment = meltano.environment()
    listener.start()
    listener.tell_d365(vendor_invoice("e-1"), vendor_invoice("e-2", company="GBSI"))
    until(lambda: sorted(listener.states()) == ["done", "ignored"], "the run", within_s=120)
    (source,) = contoso.tableau.datasources()
    before = source.revision
    contoso.world.advance(1)
    listener.tell_d365(vendor_invoice("e-3", company="DEMF"))
    until(lambda: "run begun" in listener.log.split("run succeeded")[-1], "the second run")
    assert listener.stop() == 0
    (source,) = contoso.tableau.datasources()
    assert source.revision == before
    listener.start()
    until(lambda: listener.states().count("done") == 2, "its repetition", within_s=120)
    (source,) = contoso.tableau.datasources()
    assert source.revision > before
    listed = subprocess.run(
        [COMMAND, "runs", "--ledger", str(meltano.ledger), "list"],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    ).stdout
    runs = {row[0]: row[1] for row in listener.inbox("SELECT run_id, state FROM run")}
    assert sorted(runs.values()) == ["interrupted", "succeeded", "succeeded"]
    for run_id, state in runs.items():
        (line,) = [line for line in listed.splitlines() if line.startswith(run_id)]
        assert ("complete  " in line) is (state == "succeeded"), listed
