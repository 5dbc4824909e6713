"""``publish``: sealed extracts reach Tableau without any Singer input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.target.faults import Fault
from tests.target.messages import record, schema

from pipeline_core.errors import TransientError
from pipeline_core.ledger import Ledger
from target_tableau_hyper.lock import hold_directory

if TYPE_CHECKING:
    from pathlib import Path

    from tests.target.commands import Commands
    from tests.target.dependents import Dependents
    from tests.target.harness import Extracts, Rows, Tableau

COLUMNS = {"id": {"type": "integer"}, "amount": {"type": ["null", "number"]}}


def load(extracts: Extracts, *streams: str, **config: Any) -> None:  # noqa: ANN401
    extracts.run([m for s in streams for m in (schema(s, COLUMNS), record(s, {"id": 1}))], **config)


@pytest.fixture
def config(extracts: Extracts, tableau: Tableau) -> dict[str, Any]:
    return {**tableau.config, "output_dir": str(extracts.directory)}


def test_pending_extracts_are_delivered_and_others_left_alone(
    command: Commands, extracts: Extracts, tableau: Tableau, config: dict[str, Any], rows: Rows
) -> None:
    load(extracts, "gl", **tableau.config)
    tableau.faulty.faults.append(Fault("POST", "/fileUploads", times=99))
    with pytest.raises(TransientError):
        load(extracts, "ap", **tableau.config)
    tableau.faulty.faults.clear()
    before = {one.name: one.updated_at for one in tableau.server.datasources()}
    done = command("publish", **config)
    assert (done.code, done.out) == (0, ""), done.err
    after = {one.name: one.updated_at for one in tableau.server.datasources()}
    assert after.keys() == {"gl", "ap"}
    assert after["gl"] == before["gl"]
    assert rows(tableau.server.hyper_file("ap")) == rows(extracts.path("ap"))
    assert extracts.manifest("ap")["delivered"]["sha256"] == extracts.manifest("ap")["sha256"]
    assert extracts.left_over() == []
    tableau.server.requests.clear()
    assert command("publish", **config).code == 0
    assert tableau.calls("POST", "/fileUploads") == 0


def test_files_of_runs_that_publish_nothing_get_out(
    command: Commands, extracts: Extracts, tableau: Tableau, config: dict[str, Any], tmp_path: Path
) -> None:
    load(extracts, "gl", "ap", "ar")
    names = {"ar": {"name": "Receivables"}}
    ledger = tmp_path / "l.db"
    config |= {"publish": "none", "datasources": names, "ledger_path": str(ledger)}
    assert command("publish", "Receivables", **config).code == 78, "it was sealed as ar"
    assert command("publish", "gl", "ar.hyper", **config).code == 0
    assert {one.name for one in tableau.server.datasources()} == {"gl", "Receivables"}
    assert extracts.manifest("ar")["datasource"] == "Receivables"
    with Ledger(ledger, run_id="x", actor="x") as kept:
        assert [event.event for event in kept.events()] == [
            "run.started",
            *["delivery.intent"] * 2,
            *["delivery.verified"] * 2,
            "run.finished",
        ]
    # The next run goes on from there: its changes travel as an update, if they are small.
    extracts.run([schema("gl", COLUMNS), record("gl", {"id": 1})], **tableau.config)
    assert tableau.calls("POST", "/datasources") == 2


def test_force_publishes_what_tableau_has(
    command: Commands, extracts: Extracts, tableau: Tableau, config: dict[str, Any]
) -> None:
    load(extracts, "gl", "ap", **tableau.config)
    before = {one.name: one for one in tableau.server.datasources()}
    assert command("publish", "--force", "gl", **config).code == 0
    after = {one.name: one for one in tableau.server.datasources()}
    assert after["gl"].id == before["gl"].id
    assert after["gl"].revision == before["gl"].revision + 1
    assert after["ap"] == before["ap"]
    assert command("publish", "--all", **config).code == 0
    revisions = {one.name: one.revision for one in tableau.server.datasources()}
    assert revisions == {"gl": 3, "ap": 2}


def test_an_altered_extract_stops_all_before_anything_is_sent(
    command: Commands, extracts: Extracts, tableau: Tableau, config: dict[str, Any]
) -> None:
    load(extracts, "ap", "gl")
    path = extracts.path("gl")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    done = command("publish", **config)
    assert done.code == 70
    assert "gl.hyper was altered since run" in done.last_line
    assert tableau.calls("POST", "/signin") == 0
    assert command("publish", "ap", **config).code == 0


def test_dependents_are_refreshed_after_a_publish(
    command: Commands,
    extracts: Extracts,
    tableau: Tableau,
    config: dict[str, Any],
    dependents: Dependents,
) -> None:
    load(extracts, "gl", **tableau.config)
    (source,) = tableau.server.datasources()
    dependents.workbook("Payables", source.id)
    config |= dependents.setting("Payables")
    assert command("publish", **config).code == 0
    assert dependents.refreshes() == []
    assert command("publish", "--force", **config).code == 0
    assert dependents.seen("Payables") == {source.id: 2}
    tableau.server.refreshes.fail("Payables", "full")
    done = command("publish", "--force", **config)
    assert done.code == 75
    assert "everything is delivered, but refresh of workbook" in done.last_line


def test_a_run_that_holds_the_directory_is_waited_for_in_vain(
    command: Commands,
    extracts: Extracts,
    config: dict[str, Any],
) -> None:
    load(extracts, "gl")
    with hold_directory(extracts.directory, wait_s=0):
        assert command("publish", **config, lock_timeout=0).code == 73


def test_nothing_to_publish_is_told(
    command: Commands, extracts: Extracts, config: dict[str, Any]
) -> None:
    done = command("publish", **config)
    assert (done.code, "is no directory" in done.last_line) == (78, True)
    load(extracts, "general_ledger")
    done = command("publish", "general_leger", **config)
    assert done.code == 78
    assert "holds no extract 'general_leger': the closest are 'general_ledger'" in done.last_line
    done = command("publish", output_dir=str(extracts.directory))
    assert (done.code, "tableau_server_url is not set" in done.last_line) == (78, True)
    for path in extracts.directory.glob("general_ledger*"):
        path.unlink()
    done = command("publish", **config)
    assert (done.code, "holds no extract to publish" in done.last_line) == (78, True)
