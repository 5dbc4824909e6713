"""Refreshing data sources and workbooks with the unmodified tableauserverclient."""

# tableauserverclient is typed in part only.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import tableauserverclient as TSC  # noqa: N812 - as in its documentation
from tests.sandbox.tableau.conftest import unique

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.sandbox.tableau.conftest import Client, Hypers, Running


@pytest.fixture
def client(running: Running) -> Client:
    return running.sign_in()


@pytest.fixture
def publish(
    client: Client, hypers: Hypers, extract_tds: str, pack: Callable[..., Path]
) -> Callable[..., TSC.DatasourceItem]:
    """Publishes a data source of one row: an extract, or a bare .hyper file."""

    def publish(name: str, *, extract: bool = True, mode: str = "CreateNew") -> TSC.DatasourceItem:
        file = hypers.table('"k" INT', "(1)")
        item = TSC.DatasourceItem(str(default_project(client).id), name=name)
        published = client.datasources.publish(
            item, pack(extract_tds, file) if extract else file, mode
        )
        assert isinstance(published, TSC.DatasourceItem)
        return published

    return publish


def default_project(client: Client) -> TSC.ProjectItem:
    (project,) = client.projects.filter(name="default")
    assert isinstance(project, TSC.ProjectItem)
    return project


def refreshed(client: Client, job: TSC.JobItem | None) -> TSC.JobItem:
    assert job is not None
    done: TSC.JobItem = client.jobs.wait_for_job(job, timeout=30)
    return done


def test_workbooks_are_listed_found_by_name_and_know_their_data_sources(
    running: Running, client: Client, publish: Callable[..., TSC.DatasourceItem]
) -> None:
    sources = [publish(unique("Source")), publish(unique("Source"))]
    name = unique("Payables")
    running.server.add_workbook(name, [str(source.id) for source in sources])
    running.server.add_workbook(unique("Other"), extract=False)
    (found,) = client.workbooks.filter(name=name)
    assert (found.name, found.project_name, found.has_extracts) == (name, "default", True)
    assert found.project_id == default_project(client).id
    assert client.workbooks.get_by_id(found.id).name == name
    listed = {item.name: item.has_extracts for item in TSC.Pager(client.workbooks)}
    assert listed[name] is True
    assert False in listed.values()
    client.workbooks.populate_connections(found)
    assert [
        (one.connection_type, one.datasource_id, one.datasource_name) for one in found.connections
    ] == [("sqlproxy", source.id, source.name) for source in sources]


def test_a_workbooks_extract_has_seen_what_was_published_before_its_refresh(
    running: Running, client: Client, publish: Callable[..., TSC.DatasourceItem]
) -> None:
    source = publish(unique("Seen"))
    book = running.server.add_workbook(unique("Seeing"), [str(source.id)])
    assert book.seen == {}
    publish(str(source.name), mode="Overwrite")
    job = refreshed(client, client.workbooks.refresh(book.id))
    assert (job.type, job.workbook_id, job.workbook_name) == ("RefreshExtract", book.id, book.name)
    publish(str(source.name), mode="Overwrite")
    (after,) = [one for one in running.server.workbooks() if one.id == book.id]
    (now,) = [one for one in running.server.datasources() if one.id == source.id]
    assert (after.seen, now.revision) == ({source.id: 2}, 3)
    assert after.updated_at > book.updated_at


def test_an_extract_reads_its_source_again(
    running: Running,
    client: Client,
    publish: Callable[..., TSC.DatasourceItem],
    hypers: Hypers,
) -> None:
    source = publish(unique("Fed"))
    name = str(source.name)
    refreshed(client, client.datasources.refresh(source))
    assert hypers.rows(running.server.hyper_file(name)) == [[1]], "no source, so nothing new"
    touched = client.datasources.get_by_id(str(source.id))
    assert touched.updated_at > source.updated_at
    running.server.refreshes.source(name, lambda: hypers.table('"k" INT', "(1)", "(2)"))
    refreshed(client, client.datasources.refresh(source))
    assert hypers.rows(running.server.hyper_file(name)) == [[1], [2]]


@pytest.mark.parametrize("kind", ["datasource", "workbook"])
def test_what_has_no_extract_is_not_refreshed(
    kind: str, running: Running, client: Client, publish: Callable[..., TSC.DatasourceItem]
) -> None:
    source = publish(unique("Live"), extract=False)
    book = running.server.add_workbook(unique("Live"), [str(source.id)], extract=False)
    refresh, item_id = {
        "datasource": (client.datasources.refresh, str(source.id)),
        "workbook": (client.workbooks.refresh, book.id),
    }[kind]
    refused = f"for the {kind} 'Live .*' is not allowed"
    with pytest.raises(TSC.ServerResponseError, match=refused) as refusal:
        refresh(item_id)
    assert refusal.value.code == "409090"


def test_refreshes_fail_as_often_as_the_script_says(
    running: Running, client: Client, publish: Callable[..., TSC.DatasourceItem]
) -> None:
    source = publish(unique("Failing"))
    running.server.refreshes.fail(str(source.name), "no route to the database")
    running.server.refreshes.fail(str(source.name))
    notes = []
    for _ in range(2):
        with pytest.raises(TSC.JobFailedException) as failure:
            refreshed(client, client.datasources.refresh(source))
        notes.append(failure.value.notes)
    assert notes == [["no route to the database"], []]
    assert refreshed(client, client.datasources.refresh(source)).finish_code == 0


def test_a_slow_workbook_is_queued_once_and_can_be_cancelled(
    running: Running, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    book = running.server.add_workbook(unique("Slow"))
    running.server.refreshes.slow(book.name, 3600)
    job = client.workbooks.refresh(book.id)
    assert job is not None
    assert client.workbooks.refresh(book.id) is None
    assert f"Job for '{book.name}' is already queued" in caplog.text
    client.jobs.cancel(job)
    with pytest.raises(TSC.JobCancelledException):
        refreshed(client, job)
    (after,) = [one for one in running.server.workbooks() if one.id == book.id]
    assert after.updated_at == book.updated_at
    running.server.refreshes.clear()
    started = time.monotonic()
    refreshed(client, client.workbooks.refresh(book.id))
    assert time.monotonic() - started < 30


def test_a_held_refresh_runs_until_it_is_let_go_of(running: Running, client: Client) -> None:
    book = running.server.add_workbook(unique("Held"))
    running.server.refreshes.hold(book.name)
    job = client.workbooks.refresh(book.id)
    assert job is not None
    deadline = time.monotonic() + 30
    while client.jobs.get_by_id(job.id).started_at is None:
        assert time.monotonic() < deadline
    assert client.workbooks.refresh(book.id) is None, "one that runs counts as queued"
    assert client.jobs.get_by_id(job.id).completed_at is None
    running.server.refreshes.let_go(book.name)
    assert refreshed(client, job).finish_code == 0


def test_a_workbook_goes_with_its_project_and_then_is_404(running: Running, client: Client) -> None:
    project = client.projects.create(TSC.ProjectItem(unique("Folder")))
    kept = running.server.add_workbook(unique("Book"))
    book = running.server.add_workbook(unique("Book"), project_id=str(project.id))
    assert client.workbooks.get_by_id(book.id).project_name == project.name
    client.projects.delete(project.id)
    for call in (client.workbooks.get_by_id, client.workbooks.refresh, client.workbooks.delete):
        with pytest.raises(TSC.ServerResponseError) as refusal:
            call(book.id)
        assert refusal.value.code == "404006"
    client.workbooks.delete(kept.id)
    assert kept.id not in {one.id for one in running.server.workbooks()}
