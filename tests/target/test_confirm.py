"""What a published data source says of itself, and whether it is still what a run sent."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import tableauserverclient as TSC  # noqa: N812 - its own documentation's name
from tests.target.faults import Fault, xml_error
from tests.target.messages import record, schema, state

from pipeline_core.errors import TransientError
from target_tableau_hyper.delivery import confirm
from target_tableau_hyper.delivery.stamping import run_of, stamped, without_stamp
from target_tableau_hyper.tableau.datasources import find_datasource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.target.harness import Extracts, Rows, Tableau

    from contoso_sandbox.tableau.datasource import Datasource

SCHEMA = schema("gl", {"id": {"type": "integer"}, "text": {"type": "string"}}, keys=["id"])


def rows_of(*texts: str) -> list[dict[str, Any]]:
    return [record("gl", {"id": i, "text": text}) for i, text in enumerate(texts)]


FIRST = [SCHEMA, *rows_of(*"abcdefgh"), state({"run": 1})]
SECOND = [SCHEMA, *rows_of("other"), state({"run": 2})]

AS_OF = "2026-03-31T18:00:59+00:00"


# -- the sentence ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("", id="nothing"),
        pytest.param("Posted entries", id="a line"),
        pytest.param("As of now, run away.\n\nAs of 2026-03-31 18:00 UTC, run a b.", id="alike"),
    ],
)
def test_what_people_wrote_stays_and_the_sentence_is_renewed(written: str) -> None:
    once = stamped(written, as_of=AS_OF, run_id="run-1")
    assert once.endswith("As of 2026-03-31 18:00 UTC, run run-1.")
    assert without_stamp(once) == written
    assert run_of(once) == "run-1"
    twice = stamped(once, as_of="2026-04-01T02:00:00+02:00", run_id="run-2")
    assert twice == stamped(written, as_of="2026-04-01T00:00:00+00:00", run_id="run-2")


def test_a_description_without_it_names_no_run() -> None:
    assert run_of("As of yesterday") is None
    assert run_of(None) is None


# -- on a server -----------------------------------------------------------------------------------


@pytest.fixture
def extracts(extracts: Extracts, tableau: Tableau) -> Extracts:
    extracts.config = tableau.config
    return extracts


def published(tableau: Tableau) -> Datasource:
    (found,) = tableau.server.datasources()
    return found


def publishes(tableau: Tableau) -> int:
    """Jobs of the server that publish, since its requests were cleared."""
    return tableau.calls("POST", "/datasources")


def test_a_data_source_says_as_of_when_whichever_way_it_came(
    extracts: Extracts, tableau: Tableau, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MELTANO_RUN_ID", "run-one")
    extracts.run(FIRST)
    assert run_of(published(tableau).description) == "run-one"
    monkeypatch.setenv("MELTANO_RUN_ID", "run-two")
    extracts.run(SECOND)
    assert extracts.manifest("gl")["delivered"]["how"] == "update"
    assert run_of(published(tableau).description) == "run-two"
    tableau.server.requests.clear()
    extracts.run(SECOND)
    assert tableau.calls("PUT", published(tableau).id) == 0


def test_a_description_that_people_write_stays(extracts: Extracts, tableau: Tableau) -> None:
    extracts.run(FIRST)
    with tableau.client() as server:
        item = server.datasources.get_by_id(published(tableau).id)
        item.description = "Ask Ann about these"
        server.datasources.update(item)
    extracts.run(SECOND)
    assert without_stamp(published(tableau).description) == "Ask Ann about these"


def test_without_stamps_descriptions_are_left_alone(extracts: Extracts, tableau: Tableau) -> None:
    extracts.run(FIRST, stamp_description=False)
    extracts.run(SECOND, stamp_description=False)
    assert not published(tableau).description
    assert tableau.calls("PUT", published(tableau).id) == 0


def test_tags_are_added_and_others_stay(extracts: Extracts, tableau: Tableau) -> None:
    extracts.run(FIRST, tags=["finance", "d365"])
    with tableau.client() as server:
        server.datasources.add_tags(published(tableau).id, ["ours"])
    extracts.run(SECOND, tags=["finance", "close"])
    assert set(published(tableau).tags) == {"finance", "d365", "ours", "close"}
    tableau.server.requests.clear()
    extracts.run(FIRST, tags=["finance", "close"])
    assert tableau.calls("PUT", "/tags") == 0


def test_certification_stays(extracts: Extracts, tableau: Tableau) -> None:
    extracts.run(FIRST)
    with tableau.client() as server:
        item = server.datasources.get_by_id(published(tableau).id)
        item.certified, item.certification_note = True, "by Ann"
        server.datasources.update(item)
    extracts.run(SECOND, tags=["finance"])
    extracts.run(FIRST, publish="overwrite")
    found = published(tableau)
    assert (found.certified, found.certification_note) == (True, "by Ann")


@pytest.mark.parametrize("path", ["/tags", "/datasources/"])
def test_what_cannot_be_described_is_delivered_all_the_same(
    extracts: Extracts, tableau: Tableau, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    extracts.run(FIRST)
    tableau.faulty.faults = [Fault("PUT", path, status=403, times=99)]
    assert extracts.run(SECOND, tags=["finance"]) == ['{"run":2}']
    assert "its data are up to date all the same" in caplog.text


# -- L09: the answer to a publish is lost ----------------------------------------------------------


@pytest.mark.parametrize("status", [0, 502, 504])
def test_l09_a_publish_whose_answer_is_lost_is_found_done(
    extracts: Extracts, tableau: Tableau, rows: Rows, status: int
) -> None:
    tableau.faulty.faults = [Fault("POST", "/datasources", status=status, after=True)]
    assert extracts.run(FIRST) == ['{"run":1}']
    assert publishes(tableau) == 1
    assert rows(tableau.server.hyper_file("gl")) == rows(extracts.path("gl"))
    tableau.server.requests.clear()
    # Whether nobody has published after us, before we saw it done, is not known: once more.
    assert extracts.run(FIRST) == ['{"run":1}']
    assert publishes(tableau) == 1
    assert extracts.run(FIRST) == ['{"run":1}']
    assert publishes(tableau) == 1


PURGED = Fault("GET", "/jobs/", status=404, body=xml_error("404031"), times=99)


def test_a_purged_job_is_believed_by_our_stamp_and_made_sure_of_by_the_next_run(
    extracts: Extracts, tableau: Tableau
) -> None:
    tableau.faulty.faults = [replace(PURGED)]
    assert extracts.run(FIRST) == ['{"run":1}']
    assert extracts.manifest("gl")["delivered"]["updated_at"] == ""
    tableau.faulty.faults = []
    tableau.server.requests.clear()
    extracts.run(FIRST)
    extracts.run(FIRST)
    assert publishes(tableau) == 1


def test_a_purged_job_that_failed_does_not_pass_for_done_by_what_somebody_else_published(
    extracts: Extracts,
    tableau: Tableau,
    rows: Rows,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    extracts.run([SCHEMA, *rows_of("x"), state({"run": 0})])
    theirs = tmp_path / "theirs.hyper"
    theirs.write_bytes(extracts.path("gl").read_bytes())
    monkeypatch.setattr(confirm, "EFFECT_WAIT_S", 1.0)

    def intrude(session: Any, name: str, project: TSC.ProjectItem) -> Any:  # noqa: ANN401
        with tableau.client() as server:
            item = TSC.DatasourceItem(project_id=str(project.id), name=name)
            server.datasources.publish(item, theirs, TSC.Server.PublishMode.Overwrite)
        found = find_datasource(session, name, project)
        assert found is not None
        found.description = None  # as it was before our job, which failed
        return found

    tableau.faulty.faults = [replace(PURGED)]
    _after_jobs(
        monkeypatch, "target_tableau_hyper.delivery.confirm.find_datasource", intrude, always=True
    )
    with pytest.raises(TransientError, match="does not show what job"):
        extracts.run(FIRST, publish="overwrite")
    monkeypatch.undo()
    tableau.faulty.faults = []
    extracts.run(FIRST)
    assert rows(tableau.server.hyper_file("gl")) == rows(extracts.path("gl"))


def test_l09_without_its_stamp_it_is_published_again_with_the_same_effect(
    extracts: Extracts, tableau: Tableau, rows: Rows
) -> None:
    tableau.faulty.faults = [Fault("POST", "/datasources", after=True)]
    assert extracts.run(FIRST, stamp_description=False) == ['{"run":1}']
    assert publishes(tableau) == 2
    assert rows(tableau.server.hyper_file("gl")) == rows(extracts.path("gl"))


def test_l09_a_publish_that_was_never_carried_out_is_sent_again(
    extracts: Extracts, tableau: Tableau, rows: Rows
) -> None:
    tableau.faulty.faults = [Fault("POST", "/datasources")]
    assert extracts.run(FIRST) == ['{"run":1}']
    assert publishes(tableau) == 2
    assert rows(tableau.server.hyper_file("gl")) == rows(extracts.path("gl"))


@pytest.mark.parametrize("appended", [True, False])
def test_l09_an_update_whose_answer_is_lost_happens_once(
    extracts: Extracts,
    tableau: Tableau,
    rows: Rows,
    appended: bool,  # noqa: FBT001 - a case
) -> None:
    if appended:
        extracts.config["load_method"] = "append-only"
    extracts.run(FIRST)
    tableau.faulty.faults = [Fault("PATCH", "/data", status=0, after=True)]
    assert extracts.run(SECOND) == ['{"run":2}']
    assert extracts.manifest("gl")["delivered"]["how"] == "update"
    there = rows(tableau.server.hyper_file("gl"))
    assert sorted(there) == sorted(rows(extracts.path("gl")))
    assert len(there) == (9 if appended else 8)


# -- somebody else publishes meanwhile -------------------------------------------------------------


@pytest.mark.parametrize("update", [True, False])
def test_what_somebody_publishes_right_after_the_job_is_not_taken_for_ours(  # noqa: PLR0917 - fixtures
    extracts: Extracts,
    tableau: Tableau,
    rows: Rows,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    update: bool,  # noqa: FBT001 - a case
    caplog: pytest.LogCaptureFixture,
) -> None:
    extracts.run([SCHEMA, *rows_of("x"), state({"run": 0})])
    theirs = tmp_path / "theirs.hyper"
    theirs.write_bytes(extracts.path("gl").read_bytes())
    messages = FIRST
    if update:
        extracts.run(FIRST)
        messages = SECOND

    def intrude(session: Any, name: str, project: TSC.ProjectItem) -> Any:  # noqa: ANN401
        # Times have whole seconds; what comes within the job's own second cannot be told.
        for _ in range(3):
            with tableau.client() as server:
                item = TSC.DatasourceItem(project_id=str(project.id), name=name)
                server.datasources.publish(item, theirs, TSC.Server.PublishMode.Overwrite)
        return find_datasource(session, name, project)

    place = "deliver" if update else "confirm"
    _after_jobs(monkeypatch, f"target_tableau_hyper.delivery.{place}.find_datasource", intrude)
    extracts.run(messages, publish="auto" if update else "overwrite")
    monkeypatch.undo()
    assert "changed again after its job had ended" in caplog.text
    assert extracts.manifest("gl")["delivered"]["updated_at"] == ""
    extracts.run([SCHEMA, state({"run": 3})])
    assert rows(tableau.server.hyper_file("gl")) == rows(extracts.path("gl"))


def _after_jobs(
    monkeypatch: pytest.MonkeyPatch, name: str, instead: Callable[..., Any], *, always: bool = False
) -> None:
    """Let the look at a data source that follows a job, or every later one, be another one."""
    module, _, function = name.rpartition(".")
    target = __import__(module, fromlist=[function])
    real, jobs = getattr(target, function), {"seen": False}
    waited = "target_tableau_hyper.delivery.deliver.wait_for_job"
    wait = __import__(waited.rpartition(".")[0], fromlist=["x"]).wait_for_job

    def wait_and_note(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        result = wait(*args, **kwargs)
        jobs["seen"] = True
        return result

    def look(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        if jobs["seen"]:
            jobs["seen"] = always
            return instead(*args, **kwargs)
        return real(*args, **kwargs)

    monkeypatch.setattr(waited, wait_and_note)
    monkeypatch.setattr(name, look)
