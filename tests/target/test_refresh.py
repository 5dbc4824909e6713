"""Refreshes after the delivery: order, failures, what is remembered, what is recorded."""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.target.faults import Fault, xml_error
from tests.target.messages import record, schema, state

from pipeline_core.errors import AuthError, ConfigError, TransientError
from pipeline_core.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.types import Scope
    from tests.target.dependents import Dependents
    from tests.target.harness import Extracts, Rows, Tableau

SCHEMA = schema("gl", {"id": {"type": "integer"}, "text": {"type": "string"}})
FIRST = [SCHEMA, *(record("gl", {"id": i, "text": "a"}) for i in range(9)), state({"run": 1})]
SECOND = [SCHEMA, record("gl", {"id": 1, "text": "b"}), state({"run": 2})]


@pytest.fixture
def published(extracts: Extracts, tableau: Tableau) -> Extracts:
    """An extract that Tableau has."""
    extracts.config = tableau.config
    extracts.run(FIRST)
    tableau.server.requests.clear()
    return extracts


def gl(tableau: Tableau) -> Any:  # noqa: ANN401
    (found,) = [one for one in tableau.server.datasources() if one.name == "gl"]
    return found


class Moment(Fault):
    """No fault, but the moment at which something is asked for the first time."""

    def __init__(self, method: str, ending: str, then: Callable[[], object]) -> None:
        super().__init__(method, ending)
        self.then = then

    def hits(self, scope: Scope) -> bool:
        if super().hits(scope):
            self.then()
        return False


class WhenDone(Fault):
    """Strikes questions about jobs as soon as all jobs are over."""

    def __init__(self, tableau: Tableau, fault: dict[str, Any]) -> None:
        super().__init__("GET", "/jobs/", **fault)
        self.tableau = tableau

    def hits(self, scope: Scope) -> bool:
        return super().hits(scope) and all(job.completed_at for job in self.tableau.server.jobs())


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline


def due(extracts: Extracts) -> list[str]:
    path = extracts.directory / ".refresh.json"
    content: dict[str, list[str]] = json.loads(path.read_text()) if path.exists() else {"due": []}
    return content["due"]


def test_refresh_sees_what_was_delivered_and_comes_after_the_state(
    published: Extracts,
    tableau: Tableau,
    dependents: Dependents,
    rows: Rows,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    mart = dependents.extract("Spend mart", 1)
    book = dependents.workbook("Payables", gl(tableau).id)
    tableau.server.refreshes.source("Spend mart", lambda: dependents.hyper(1, 2))
    ledger_path = published.directory.parent / "l.db"
    config = {"refresh": {"datasources": ["Finance/Spend mart"], "workbooks": [book.id]}}
    assert published.run(SECOND, ledger_path=str(ledger_path), **config) == ['{"run":2}']
    assert dependents.seen("Payables") == {gl(tableau).id: gl(tableau).revision}
    assert rows(tableau.server.hyper_file("Spend mart")) == [(1,), (2,)]
    assert "Finance/Spend mart: data source refreshed in" in caplog.text
    assert "Finance/Payables: workbook refreshed in" in caplog.text
    assert due(published) == []
    with Ledger(ledger_path, run_id="x", actor="x") as ledger:
        assert ledger.verify() > 0
        events = list(ledger.events())
    assert [event.event for event in events][-7:] == [
        "delivery.verified",
        "state.written",
        "refresh.intent",
        "refresh.intent",
        "refresh.verified",
        "refresh.verified",
        "run.finished",
    ]
    intents = [event.body for event in events if event.event == "refresh.intent"]
    assert [(i["kind"], i["item"], i["item_id"]) for i in intents] == [
        ("datasource", "Finance/Spend mart", mart),
        ("workbook", "Finance/Payables", book.id),
    ]
    jobs = {job.id for job in tableau.server.jobs() if job.type == "RefreshExtract"}
    ends = [event.body for event in events if event.event == "refresh.verified"]
    assert {end["job_id"] for end in ends} <= jobs


def test_a_run_that_delivers_nothing_refreshes_nothing(
    published: Extracts, dependents: Dependents
) -> None:
    dependents.workbook("Payables")
    published.run(FIRST, **dependents.setting("Payables"))
    assert dependents.asked() == 0
    assert due(published) == []
    published.run(FIRST, **dependents.setting("Payables", only_when_changed=False))
    assert dependents.refreshes() == [("Payables", 0)]
    assert due(published) == []


def test_nothing_is_refreshed_when_a_delivery_fails_and_then_it_is_made_up_for(
    published: Extracts, tableau: Tableau, dependents: Dependents
) -> None:
    dependents.workbook("Payables", gl(tableau).id)
    other = [{**SCHEMA, "stream": "ap"}, record("ap", {"id": 1, "text": "x"})]
    tableau.faulty.faults.append(Fault("POST", "/fileUploads", times=99))
    with pytest.raises(TransientError, match="HTTP 503"):
        published.run([*SECOND, *other], **dependents.setting("Payables"))
    assert published.said == ""
    assert dependents.asked() == 0
    assert due(published) == ["workbook:Finance/Payables"]
    tableau.faulty.faults.clear()
    published.run([*SECOND, *other], **dependents.setting("Payables"))
    assert dependents.refreshes() == [("Payables", 0)]
    assert dependents.seen("Payables") == {gl(tableau).id: gl(tableau).revision}


def test_failed_refresh_lets_the_state_out_fails_the_run_and_is_repeated(
    published: Extracts, tableau: Tableau, dependents: Dependents
) -> None:
    for name in ("Payables", "Spend"):
        dependents.workbook(name, gl(tableau).id)
    tableau.server.refreshes.fail("Payables", "no room left")
    setting = dependents.setting("Payables", "Spend")
    ledger_path = published.directory.parent / "l.db"
    said = (
        r"everything is delivered, but 1 of 2 refreshes failed: refresh of workbook "
        r"'Finance/Payables': job .* failed on the server \(no room left\); the next run refreshes "
        "again"
    )
    with pytest.raises(TransientError, match=said):
        published.run(SECOND, ledger_path=str(ledger_path), **setting)
    assert published.said == '{"run":2}\n'
    assert dependents.refreshes() == [("Payables", 1), ("Spend", 0)]
    assert due(published) == ["workbook:Finance/Payables"]
    with Ledger(ledger_path, run_id="x", actor="x") as ledger:
        events = [event.event for event in ledger.events()]
    # Both may be over when the jobs are looked at next, and then either may come first.
    assert sorted(events[-3:-1]) == ["refresh.failed", "refresh.verified"]
    assert events[-1] == "run.failed"

    assert published.run(SECOND, **setting) == ['{"run":2}']
    assert dependents.refreshes() == [("Payables", 1), ("Spend", 0), ("Payables", 0)]
    assert due(published) == []


def test_refreshes_due_are_done_by_a_run_without_streams(
    published: Extracts, tableau: Tableau, dependents: Dependents
) -> None:
    dependents.workbook("Payables")
    tableau.server.refreshes.fail("Payables")
    with pytest.raises(TransientError, match="the server gives no reason"):
        published.run(SECOND, **dependents.setting("Payables"))
    published.run([state({"run": 3})], **dependents.setting("Payables"))
    assert dependents.refreshes() == [("Payables", 1), ("Payables", 0)]


@pytest.mark.parametrize(
    ("content", "repeated"),
    [
        pytest.param("no JSON", True, id="unreadable: better once more than never"),
        pytest.param('{"format": 1}', True, id="half"),
        pytest.param(
            '{"format": 1, "place": {"server": "https://other", "site": ""}, '
            '"due": ["workbook:Finance/Payables"]}',
            False,
            id="of another site",
        ),
    ],
)
def test_what_is_due_elsewhere_or_unreadable(
    published: Extracts, dependents: Dependents, content: str, *, repeated: bool
) -> None:
    dependents.workbook("Payables")
    (published.directory / ".refresh.json").write_text(content)
    published.run(FIRST, **dependents.setting("Payables"))
    assert dependents.asked() == repeated


def test_unknown_names_end_the_run_before_anything_is_delivered(
    published: Extracts, tableau: Tableau, dependents: Dependents
) -> None:
    dependents.extract("Spend mart")
    dependents.workbook("Payables dashboard")
    config = {
        "refresh": {
            "datasources": ["Finance/Spendmart", "7a8f8f0e-0000-4000-8000-000000000000"],
            "workbooks": ["Finanzen/Payables dashboard", "xyz"],
        }
    }
    with pytest.raises(ConfigError) as failure:
        published.run(SECOND, **config)
    said = str(failure.value)
    assert "no data source 'Finance/Spendmart': the closest are 'Finance/Spend mart'" in said
    assert "no data source with the LUID 7a8f8f0e-0000-4000-8000-000000000000" in said
    assert "the closest are 'Finance/Payables dashboard'" in said
    assert "no workbook 'xyz': the token's user sees none like it" in said
    assert published.said == ""
    assert tableau.calls("POST", "/fileUploads") == 0
    assert tableau.calls("PATCH", "/data") == 0
    assert due(published) == []


def test_names_are_found_with_and_without_their_project(
    published: Extracts, dependents: Dependents
) -> None:
    nested = dependents.project_id("AP", dependents.project_id())
    dependents.extract("Spend, mart/all", project_id=nested)
    dependents.extract("Twice", project_id=nested)
    dependents.extract("Twice")
    book = dependents.workbook("Only one")
    setting = {
        "datasources": ["Finance/AP/Spend, mart/all", "Finance/Twice"],
        "workbooks": ["Only one", book.id.upper(), "Finance/Only one"],
    }
    published.run(SECOND, refresh=setting)
    assert dependents.refreshes() == [("Spend, mart/all", 0), ("Twice", 0), ("Only one", 0)]
    assert due(published) == []
    with pytest.raises(ConfigError, match=r"may be 'Finance/AP/Twice', 'Finance/Twice'"):
        published.run(FIRST, refresh={"datasources": ["Twice"]})


def test_a_file_that_was_uploaded_has_nothing_to_refresh(
    published: Extracts, tableau: Tableau, dependents: Dependents
) -> None:
    dependents.workbook("Live", gl(tableau).id, extract=False)
    said = r"data source 'default/gl' cannot be refreshed: .*is the data itself.*409090"
    with pytest.raises(ConfigError, match=said):
        published.run(SECOND, refresh={"datasources": ["default/gl"]})
    assert published.said == '{"run":2}\n', "the data are delivered all the same"
    with pytest.raises(ConfigError, match=r"workbook 'Finance/Live' cannot .*shows their new data"):
        published.run([], refresh={"workbooks": ["Live"], "only_when_changed": False})


def test_missing_right_is_told_with_the_right_that_is_needed(
    published: Extracts, tableau: Tableau, dependents: Dependents
) -> None:
    for name in ("Payables", "Spend"):
        dependents.workbook(name)
    tableau.faulty.faults.append(
        Fault("POST", "/refresh", status=403, body=xml_error("403004"), times=9)
    )
    with pytest.raises(AuthError, match=r"1 of 2 .*1 not asked for: .*must own the workbook"):
        published.run(SECOND, **dependents.setting("Payables", "Spend"))
    assert dependents.asked() == 1, "the next would be refused as well"
    assert due(published) == ["workbook:Finance/Payables", "workbook:Finance/Spend"]


def test_a_long_pause_ends_the_asking(
    published: Extracts, tableau: Tableau, dependents: Dependents
) -> None:
    """Cloud takes 60 refreshes an hour; what is left is due."""
    for name in ("A", "B", "C"):
        dependents.workbook(name)
    pause = {"Retry-After": "1800"}
    tableau.faulty.faults.append(
        Fault("POST", "/refresh", at=2, status=429, headers=pause, times=9)
    )
    with pytest.raises(TransientError, match=r"1 of 3 refreshes failed, 1 not asked") as failure:
        published.run(SECOND, **dependents.setting("A", "B", "C"))
    assert failure.value.retry_at is not None
    assert dependents.refreshes() == [("A", 0)]
    assert due(published) == ["workbook:Finance/B", "workbook:Finance/C"]


def test_lost_answer_and_trouble_on_the_way_do_no_harm(
    published: Extracts, tableau: Tableau, dependents: Dependents
) -> None:
    """The request is repeated; the server says that it is queued already, and it is followed."""
    dependents.workbook("Payables", gl(tableau).id)
    tableau.server.refreshes.slow("Payables", 3)
    tableau.faulty.faults += [
        Fault("POST", "/refresh", status=0, after=True),
        Fault("GET", "/jobs/", at=2, times=2),
    ]
    published.run([*SECOND], **dependents.setting("Payables"))
    assert dependents.refreshes() == [("Payables", 0)]
    assert due(published) == []


def test_a_refresh_that_waits_already_is_followed(
    published: Extracts, tableau: Tableau, dependents: Dependents, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    book = dependents.workbook("Payables", gl(tableau).id)
    tableau.server.refreshes.slow("Payables", 3600)
    with tableau.client() as client:
        job = client.workbooks.refresh(book.id)
    assert job is not None
    go_on = Moment("GET", job.id, lambda: tableau.server.refreshes.slow("Payables", 0))
    tableau.faulty.faults.append(go_on)
    published.run(SECOND, **dependents.setting("Payables"))
    assert f"a refresh is queued already, job {job.id}" in caplog.text
    assert dependents.refreshes() == [("Payables", 0)]
    assert dependents.seen("Payables") == {gl(tableau).id: gl(tableau).revision}


def test_a_refresh_that_runs_already_is_waited_for_and_asked_for_again(
    published: Extracts, tableau: Tableau, dependents: Dependents, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    book = dependents.workbook("Payables", gl(tableau).id)
    tableau.server.refreshes.hold("Payables")
    with tableau.client() as client:
        job = client.workbooks.refresh(book.id)
        assert job is not None
        until(lambda: client.jobs.get_by_id(job.id).started_at is not None)
    let_go = Moment("GET", job.id, lambda: tableau.server.refreshes.let_go("Payables"))
    tableau.faulty.faults.append(let_go)
    published.run(SECOND, **dependents.setting("Payables"))
    assert f"a refresh has begun before (job {job.id})" in caplog.text
    assert dependents.refreshes() == [("Payables", 0), ("Payables", 0)]
    assert due(published) == []


def test_where_the_jobs_may_not_be_listed_a_queued_refresh_is_taken_as_it_is(
    published: Extracts, tableau: Tableau, dependents: Dependents, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    dependents.workbook("Payables")
    tableau.faulty.faults += [
        Fault("POST", "/refresh", status=409, body=xml_error("409093")),
        Fault("GET", "/jobs", status=403, body=xml_error("403004"), times=9),
    ]
    published.run([], **dependents.setting("Payables", only_when_changed=False))
    assert "is queued already (409093); it reads its source when it begins" in caplog.text
    assert due(published) == []


def test_without_waiting_the_run_ends_when_all_are_asked_for(
    published: Extracts, tableau: Tableau, dependents: Dependents
) -> None:
    dependents.workbook("Payables")
    tableau.server.refreshes.slow("Payables", 3600)
    assert published.run(SECOND, **dependents.setting("Payables", wait=False)) == ['{"run":2}']
    assert dependents.refreshes() == [("Payables", None)]
    assert due(published) == []


def test_a_refresh_that_does_not_end_in_time(
    published: Extracts, tableau: Tableau, dependents: Dependents
) -> None:
    dependents.workbook("Payables")
    tableau.server.refreshes.slow("Payables", 3600)
    with pytest.raises(TransientError, match=r"after 1 s and was cancelled; .* raise the timeout"):
        published.run(SECOND, **dependents.setting("Payables", timeout=1))
    assert published.said == '{"run":2}\n'
    assert dependents.refreshes() == [("Payables", 2)]
    assert due(published) == ["workbook:Finance/Payables"]


def test_a_refresh_that_somebody_else_asked_for_is_not_cancelled(
    published: Extracts, tableau: Tableau, dependents: Dependents
) -> None:
    book = dependents.workbook("Payables")
    tableau.server.refreshes.slow("Payables", 3600)
    with tableau.client() as client:
        client.workbooks.refresh(book.id)
    with pytest.raises(TransientError, match="after 1 s, and is not ours to cancel"):
        published.run(SECOND, **dependents.setting("Payables", timeout=1))
    assert dependents.refreshes() == [("Payables", None)]
    assert due(published) == ["workbook:Finance/Payables"]


def test_a_refresh_that_runs_already_is_due_again_where_nobody_waits(
    published: Extracts, tableau: Tableau, dependents: Dependents, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    book = dependents.workbook("Payables")
    tableau.server.refreshes.hold("Payables")
    with tableau.client() as client:
        job = client.workbooks.refresh(book.id)
        assert job is not None
        until(lambda: client.jobs.get_by_id(job.id).started_at is not None)
    published.run(SECOND, **dependents.setting("Payables", wait=False))
    assert "may have read the former data; the next run asks again" in caplog.text
    assert due(published) == ["workbook:Finance/Payables"]


def test_a_job_that_was_purged_is_judged_by_what_the_item_shows(
    published: Extracts, tableau: Tableau, dependents: Dependents
) -> None:
    dependents.workbook("Payables")
    setting = dependents.setting("Payables", only_when_changed=False)
    gone: dict[str, Any] = {"status": 404, "body": xml_error("404031"), "times": 99}
    tableau.faulty.faults.append(WhenDone(tableau, gone))
    published.run([], **setting)
    assert dependents.refreshes() == [("Payables", 0)]
    assert due(published) == []

    tableau.server.refreshes.slow("Payables", 3600)
    tableau.faulty.faults[:] = [Fault("GET", "/jobs/", **gone)]
    with pytest.raises(TransientError, match="was purged before it could be seen to succeed"):
        published.run([], **setting)
    assert due(published) == ["workbook:Finance/Payables"]


def test_meltanos_test_looks_names_up_and_refreshes_nothing(
    extracts: Extracts, tableau: Tableau, dependents: Dependents
) -> None:
    dependents.workbook("Payables")
    stream = "meltano_test_stream"
    messages = [schema(stream, {"id": {"type": "integer"}}), record(stream, {"id": 1})]
    config = {**tableau.config, **dependents.setting("Payables", only_when_changed=False)}
    extracts.run(messages, **config)
    assert dependents.asked() == 0
    with pytest.raises(ConfigError, match="no workbook 'Finance/Nowhere'"):
        extracts.run(messages, **{**config, **dependents.setting("Nowhere")})


def test_without_tableau_the_setting_does_nothing(extracts: Extracts, tmp_path: Path) -> None:
    assert extracts.run(FIRST, refresh={"workbooks": ["x"]}) == ['{"run":1}']
    assert not (tmp_path / "output" / ".refresh.json").exists()


def test_setting_is_checked(extracts: Extracts) -> None:
    with pytest.raises(ConfigError, match=r"refresh: may only have datasources, workbooks, wait"):
        extracts.run(FIRST, refresh={"workbook": ["x"]})
    with pytest.raises(ConfigError, match=r"refresh.workbooks: must be array"):
        extracts.run(FIRST, refresh={"workbooks": "x"})
