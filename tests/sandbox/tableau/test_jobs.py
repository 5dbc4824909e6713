"""Background jobs: pending, running, done; duplicates, cancelling, restarts."""

# tableauserverclient is typed in part only.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import tableauserverclient as TSC  # noqa: N812 - as in its documentation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.sandbox.tableau.conftest import Client, Hypers, Rest, Running

DELETE_ALL = {
    "actions": [
        {
            "action": "delete",
            "target-schema": "Extract",
            "target-table": "Extract",
            "condition": {
                "op": "gt",
                "target-col": "k",
                "const": {"type": "integer", "v": "0"},
            },
        }
    ]
}


@pytest.fixture(scope="module")
def slow(start: Callable[..., Running], tmp_path_factory: pytest.TempPathFactory) -> Running:
    """Jobs of a second: long enough to be seen waiting and running."""
    return start(tmp_path_factory.mktemp("slow"), job_seconds=1.0)


@pytest.fixture(scope="module")
def file(hypers: Hypers) -> Path:
    return hypers.table('"k" INT', "(1)", "(2)")


def publish(client: Client, file: Path, name: str) -> TSC.DatasourceItem:
    project = next(iter(client.projects.filter(name="default")))
    item = client.datasources.publish(
        TSC.DatasourceItem(str(project.id), name=name), file, "CreateNew"
    )
    assert isinstance(item, TSC.DatasourceItem)
    return item


def test_a_job_waits_then_runs_then_is_done(slow: Running, packed_extract: Path) -> None:
    client = slow.sign_in()
    job = client.datasources.refresh(publish(client, packed_extract, "Watched"))
    assert job is not None
    seen = []
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        job = client.jobs.get_by_id(job.id)
        state = (job.started_at is not None, job.completed_at is not None, job.finish_code)
        if state not in seen:
            seen.append(state)
        if job.completed_at is not None:
            break
        time.sleep(0.05)
    assert seen == [(False, False, 1), (True, False, 1), (True, True, 0)]
    assert job.progress == "100"


def test_a_refresh_that_is_queued_already_is_turned_away(
    slow: Running, packed_extract: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = slow.sign_in()
    item = publish(client, packed_extract, "Refreshed")
    job = client.datasources.refresh(item)
    assert job is not None
    assert client.datasources.refresh(item) is None
    assert "Job for 'Refreshed' is already queued. Not queuing a duplicate." in caplog.text
    done = client.jobs.wait_for_job(job, timeout=30)
    assert (done.type, done.finish_code, done.datasource_id) == ("RefreshExtract", 0, item.id)
    assert client.datasources.refresh(item) is not None


def test_a_cancelled_job_changes_nothing(slow: Running, file: Path, hypers: Hypers) -> None:
    client = slow.sign_in()
    item = publish(client, file, "Cancelled")
    other = publish(client, file, "Not cancelled")
    job = client.datasources.update_hyper_data(item, request_id="c", actions=DELETE_ALL["actions"])
    client.jobs.cancel(job)
    with pytest.raises(TSC.JobCancelledException):
        client.jobs.wait_for_job(job, timeout=30)
    # Updates run in order: once the next one is done, the cancelled one would have been.
    after = client.datasources.update_hyper_data(
        other, request_id="after", actions=DELETE_ALL["actions"]
    )
    client.jobs.wait_for_job(after, timeout=30)
    assert hypers.rows(slow.server.hyper_file("Cancelled")) == [[1], [2]]
    assert client.datasources.get_by_id(str(item.id)).updated_at == item.updated_at


def test_jobs_of_one_data_source_run_in_the_order_of_their_creation(
    running: Running, hypers: Hypers
) -> None:
    rest = running.rest("application/json")
    assert rest.publish(hypers.table('"k" INT', "(0)"), "Ordered").status_code == 201
    item = running.server.datasources()[-1]
    for number in range(1, 6):
        payload = hypers.table('"k" INT', f"({number})")
        update(rest, item.id, f"order {number}", "replace", payload)
    wait_for_all(running)
    assert [job.finish_code for job in running.server.jobs()[-5:]] == [0] * 5
    assert hypers.rows(running.server.hyper_file("Ordered")) == [[5]]


def test_the_list_of_jobs_tells_their_state(running: Running, packed_extract: Path) -> None:
    client = running.sign_in()
    job = client.datasources.refresh(publish(client, packed_extract, "Listed"))
    assert job is not None
    client.jobs.wait_for_job(job, timeout=30)
    listed = {found.id: found for found in client.jobs.filter(job_type="RefreshExtract")}
    assert (listed[job.id].status, listed[job.id].title) == ("Success", "Listed")


def test_jobs_that_a_stopped_server_left_are_done_by_the_next(
    start: Callable[..., Running], tmp_path: Path, file: Path, hypers: Hypers
) -> None:
    first = start(tmp_path, job_seconds=3600)
    rest = first.rest("application/json")
    assert rest.publish(file, "Left").status_code == 201
    item = first.server.datasources()[0]
    body = rest.call("PATCH", f"/sites/{{site}}/datasources/{item.id}/data", json=DELETE_ALL,
                     headers={"RequestID": "left"})  # fmt: skip
    assert rest.publish(hypers.table('"j" INT', "(7)"), "Queued", "&asJob=true").status_code == 202
    first.server.close()
    second = start(tmp_path, job_seconds=0.02)
    wait_for_all(second)
    assert hypers.rows(second.server.hyper_file("Left")) == []
    assert hypers.rows(second.server.hyper_file("Queued")) == [[7]]
    # The token, the site and the replay table have outlived the restart, too.
    rest.running = second
    again = rest.call("PATCH", f"/sites/{{site}}/datasources/{item.id}/data", json=DELETE_ALL,
                      headers={"RequestID": "left"})  # fmt: skip
    assert again.json()["job"]["id"] == body.json()["job"]["id"]


def test_an_unknown_job_is_404(running: Running) -> None:
    rest = running.rest()
    answer = rest.call("GET", "/sites/{site}/jobs/7a8f8f0e-0000-4000-8000-000000000000")
    assert rest.error(answer) == "404031"


def update(rest: Rest, datasource_id: str, key: str, action: str, payload: Path) -> None:
    upload = rest.call("POST", "/sites/{site}/fileUploads").json()["fileUpload"]["uploadSessionId"]
    sent = rest.multipart(
        "PUT",
        f"/sites/{{site}}/fileUploads/{upload}",
        [
            ("request_payload", "", "text/xml", b""),
            ("tableau_file", "file", "application/octet-stream", payload.read_bytes()),
        ],
    )
    assert sent.status_code == 200
    table = {"source-schema": "Extract", "source-table": "Extract", "target-schema": "Extract"}
    answer = rest.call(
        "PATCH",
        f"/sites/{{site}}/datasources/{datasource_id}/data?uploadSessionId={upload}",
        json={"actions": [{"action": action, "target-table": "Extract", **table}]},
        headers={"RequestID": key},
    )
    assert answer.status_code == 202, answer.text


def wait_for_all(running: Running) -> None:
    deadline = time.monotonic() + 30
    while any(job.completed_at is None for job in running.server.jobs()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
