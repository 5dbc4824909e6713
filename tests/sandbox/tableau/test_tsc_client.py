"""The unmodified tableauserverclient against the server."""

# tableauserverclient is typed in part only.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import hashlib
import random
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tableauserverclient as TSC  # noqa: N812 - as in its documentation
from tableauserverclient.config import config

if TYPE_CHECKING:
    from tests.sandbox.tableau.conftest import Client, Hypers, Running

LEDGER = '"id" BIGINT NOT NULL, "amount" NUMERIC(32, 6), "text" TEXT'
ROWS = (
    "(1, -0.05, 'first')",
    "(2, 99999999999999999999999999.999999, 'largest')",
    "(3, -99999999999999999999999999.999999, '🚚 O''Brien')",
    "(4, 0.000001, NULL)",
    "(9223372036854775807, NULL, ' leading blank')",
)
CELLS = [
    [1, Decimal("-0.050000"), "first"],
    [2, Decimal("99999999999999999999999999.999999"), "largest"],
    [3, Decimal("-99999999999999999999999999.999999"), "🚚 O'Brien"],
    [4, Decimal("0.000001"), None],
    [9223372036854775807, None, " leading blank"],
]


@pytest.fixture(scope="module")
def client(running: Running) -> Client:
    return running.sign_in()


@pytest.fixture(scope="module")
def default_project(client: Client) -> str:
    return str(next(p.id for p in client.projects.filter(name="default")))


@pytest.fixture(scope="module")
def ledger(hypers: Hypers) -> Path:
    return hypers.table(LEDGER, *ROWS)


def test_the_client_learns_the_api_version(client: Client) -> None:
    assert client.version == "3.29"
    info = client.server_info.get()
    assert info is not None
    assert (info.product_version, info.rest_api_version) == ("2026.2.0", "3.29")


def test_signing_in_with_a_wrong_secret_says_401001(running: Running) -> None:
    server = TSC.Server(running.url, http_options={"verify": str(running.tls.ca_bundle)})
    running.opened.append(server.close)
    credentials = TSC.PersonalAccessTokenAuth(running.token(), "wrong", "contoso")
    with pytest.raises(TSC.FailedSignInError) as caught:
        server.auth.sign_in(credentials)
    assert caught.value.code == "401001"


def test_a_second_sign_in_with_the_same_token_ends_the_first(running: Running) -> None:
    token = running.token()
    first, second = running.sign_in(token), running.sign_in(token)
    second.projects.get()
    with pytest.raises(TSC.FailedSignInError) as caught:
        first.projects.get()
    assert caught.value.code == "401002"


def test_sign_out_ends_the_session(running: Running) -> None:
    client = running.sign_in()
    token, site_id, user_id = client.auth_token, client.site_id, client.user_id
    client.auth.sign_out()
    client._set_auth(site_id, user_id, token)  # noqa: SLF001 - as a client that kept its token
    with pytest.raises(TSC.FailedSignInError):
        client.projects.get()


def test_the_signed_in_user_can_be_read(running: Running) -> None:
    client = running.sign_in(running.token("ledger bot"))
    assert client.users.get_by_id(str(client.user_id)).name == "ledger bot"


def test_projects_nest_and_are_found_by_path(client: Client) -> None:
    finance = client.projects.create(TSC.ProjectItem("Finance", description="Ledgers"))
    client.projects.create(TSC.ProjectItem("Payables", parent_id=finance.id))
    client.projects.create(TSC.ProjectItem("Payables"))
    found = client.projects.get_by_path("Finance/Payables")
    assert found is not None
    assert found.parent_id == finance.id
    assert client.projects.get_by_id(str(finance.id)).description == "Ledgers"
    with pytest.raises(TSC.ServerResponseError) as caught:
        client.projects.create(TSC.ProjectItem("Payables", parent_id=finance.id))
    assert caught.value.code == "409006"


def test_a_deleted_project_takes_its_data_sources_along(client: Client, ledger: Path) -> None:
    outer = client.projects.create(TSC.ProjectItem("Doomed"))
    inner = client.projects.create(TSC.ProjectItem("Inside", parent_id=outer.id))
    item = client.datasources.publish(
        TSC.DatasourceItem(str(inner.id), name="Doomed"), ledger, "CreateNew"
    )
    client.projects.delete(str(outer.id))
    with pytest.raises(TSC.ServerResponseError) as caught:
        client.datasources.get_by_id(str(item.id))
    assert caught.value.code == "404004"


def publish(
    client: Client, project: str, file: Path, name: str, mode: str = "CreateNew"
) -> TSC.DatasourceItem:
    wanted = TSC.DatasourceItem(project, name=name)
    wanted.description = "as of today"
    item = client.datasources.publish(wanted, file, mode)
    assert isinstance(item, TSC.DatasourceItem)
    return item


def test_a_small_file_is_published_byte_for_byte(
    client: Client, default_project: str, ledger: Path, tmp_path: Path
) -> None:
    item = publish(client, default_project, ledger, "Small Ledger")
    assert (item.name, item.content_url) == ("Small Ledger", "SmallLedger")
    assert (item.project_name, item.description) == ("default", "as of today")
    downloaded = Path(client.datasources.download(str(item.id), str(tmp_path)))
    assert downloaded.name == "Small Ledger.hyper"
    assert downloaded.read_bytes() == ledger.read_bytes()


@pytest.mark.parametrize("as_job", [False, True], ids=["at once", "as job"])
def test_a_file_in_chunks_is_published_byte_for_byte(
    *,
    running: Running,
    client: Client,
    default_project: str,
    hypers: Hypers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    as_job: bool,
) -> None:
    """Chunks of 1 MB and a file that is not a multiple of it; its bytes hold line breaks."""
    monkeypatch.setenv("TSC_CHUNK_SIZE_MB", "1")
    monkeypatch.setenv("TSC_FILESIZE_LIMIT_MB", "1")
    assert (config.CHUNK_SIZE_MB, config.FILESIZE_LIMIT_MB) == (1, 1)
    noise = random.Random(7)  # noqa: S311 - any bytes do
    rows = [f"({number}, '{noise.randbytes(10_000).hex()}')" for number in range(300)]
    file = hypers.table('"id" INT, "noise" TEXT', *rows)
    assert file.stat().st_size > 1024 * 1024
    name, before = f"In chunks {as_job}", len(running.server.requests)
    answer = client.datasources.publish(
        TSC.DatasourceItem(default_project, name=name), file, "CreateNew", as_job=as_job
    )
    if as_job:
        done = client.jobs.wait_for_job(str(answer.id), timeout=30)
        assert (done.type, done.finish_code, done.datasource_id) == ("PublishDatasource", 0, None)
    blocks = [r for r in running.server.requests[before:] if r.method == "PUT"]
    assert len(blocks) == -(-file.stat().st_size // (1024 * 1024))
    item = next(iter(client.datasources.filter(name=name)))
    downloaded = Path(client.datasources.download(str(item.id), str(tmp_path)))
    assert _digest(downloaded) == _digest(file)


def test_a_publish_job_shows_code_1_until_it_is_done(
    client: Client, default_project: str, ledger: Path
) -> None:
    job = client.datasources.publish(
        TSC.DatasourceItem(default_project, name="Pending"), ledger, "CreateNew", as_job=True
    )
    assert (job.finish_code, job.completed_at, job.mode) == (1, None, "Asynchronous")
    assert client.jobs.wait_for_job(job, timeout=30).finish_code == 0


def test_a_taken_name_is_403007_at_once_and_a_silent_failure_as_job(
    client: Client, default_project: str, ledger: Path
) -> None:
    publish(client, default_project, ledger, "Taken")
    with pytest.raises(TSC.ServerResponseError) as caught:
        publish(client, default_project, ledger, "Taken")
    assert caught.value.code == "403007"
    job = client.datasources.publish(
        TSC.DatasourceItem(default_project, name="Taken"), ledger, "CreateNew", as_job=True
    )
    with pytest.raises(TSC.JobFailedException) as failed:
        client.jobs.wait_for_job(job, timeout=30)
    assert (failed.value.notes, failed.value.job.status_notes) == ([], [])


def test_overwriting_keeps_the_luid_and_moves_updated_at(
    client: Client, default_project: str, ledger: Path, hypers: Hypers, running: Running
) -> None:
    items = [publish(client, default_project, ledger, "Overwritten")]
    items += [
        publish(
            client, default_project, hypers.table('"k" INT', f"({n})"), "Overwritten", "Overwrite"
        )
        for n in range(3)
    ]
    assert len({item.id for item in items}) == 1
    moments = [item.updated_at for item in items if item.updated_at]
    assert moments == sorted(set(moments))
    assert len(moments) == len(items)
    assert len({item.created_at for item in items}) == 1
    assert hypers.rows(running.server.hyper_file("Overwritten")) == [[2]]


def test_appending_adds_rows_to_one_table_of_the_same_columns(
    client: Client, default_project: str, ledger: Path, hypers: Hypers, running: Running
) -> None:
    publish(client, default_project, ledger, "Appended")
    more = hypers.table(LEDGER, "(10, 0.01, 'new')")
    publish(client, default_project, more, "Appended", "Append")
    stored = hypers.rows(running.server.hyper_file("Appended"))
    assert stored == [*CELLS[:4], [10, Decimal("0.010000"), "new"], CELLS[4]]
    other = hypers.table('"id" BIGINT NOT NULL, "amount" NUMERIC(32, 6)', "(11, 0.01)")
    with pytest.raises(TSC.ServerResponseError) as caught:
        publish(client, default_project, other, "Appended", "Append")
    assert caught.value.code == "400011"
    assert hypers.rows(running.server.hyper_file("Appended")) == stored


def test_update_hyper_data_upserts_and_deletes_to_the_last_digit(
    client: Client, default_project: str, ledger: Path, hypers: Hypers, tmp_path: Path
) -> None:
    item = publish(client, default_project, ledger, "Changed")
    payload = hypers.write(
        [
            f'CREATE TABLE "Extract"."changed" ({LEDGER})',
            'CREATE TABLE "Extract"."gone" ("id" BIGINT NOT NULL)',
            (
                'INSERT INTO "Extract"."changed" VALUES'
                " (1, -0.06, 'changed'), (2, 99999999999999999999999999.999998, 'less'),"
                " (7, -0.000001, 'new')"
            ),
            'INSERT INTO "Extract"."gone" VALUES (3), (4), (555)',
        ]
    )
    by_id = {"op": "eq", "source-col": "id", "target-col": "id"}
    table = {
        "source-schema": "Extract",
        "target-schema": "Extract",
        "target-table": "Extract",
        "condition": by_id,
    }
    actions = [
        {"action": "delete", "source-table": "gone", **table},
        {"action": "upsert", "source-table": "changed", **table},
    ]
    job = client.datasources.update_hyper_data(
        item, request_id="run-1", actions=actions, payload=payload
    )
    assert (job.type, job.datasource_id) == ("UpdateUploadedFile", item.id)
    assert client.jobs.wait_for_job(job, timeout=30).finish_code == 0
    again = client.datasources.update_hyper_data(
        item, request_id="run-1", actions=actions, payload=payload
    )
    assert again.id == job.id
    after = client.datasources.get_by_id(str(item.id))
    assert after.updated_at is not None
    assert item.updated_at is not None
    assert after.updated_at > item.updated_at
    downloaded = Path(client.datasources.download(str(item.id), str(tmp_path)))
    assert hypers.rows(downloaded) == [
        [1, Decimal("-0.060000"), "changed"],
        [2, Decimal("99999999999999999999999999.999998"), "less"],
        [7, Decimal("-0.000001"), "new"],
        CELLS[4],
    ]


def test_update_hyper_data_works_by_connection_too(
    client: Client, default_project: str, ledger: Path, hypers: Hypers, running: Running
) -> None:
    item = publish(client, default_project, ledger, "By connection")
    client.datasources.populate_connections(item)
    connection = item.connections[0]
    assert connection.connection_type == "hyper"
    const = {"type": "integer", "v": "4"}
    actions = [
        {
            "action": "delete",
            "target-schema": "Extract",
            "target-table": "Extract",
            "condition": {"op": "gte", "target-col": "id", "const": const},
        }
    ]
    job = client.datasources.update_hyper_data(connection, request_id="c", actions=actions)
    client.jobs.wait_for_job(job, timeout=30)
    assert hypers.rows(running.server.hyper_file("By connection")) == CELLS[:3]


def test_lists_come_in_pages(client: Client, default_project: str, ledger: Path) -> None:
    project = client.projects.create(TSC.ProjectItem("Paged"))
    names = [f"Page {number}" for number in range(5)]
    for name in names:
        publish(client, str(project.id), ledger, name)
    options = TSC.RequestOptions(pagenumber=2, pagesize=2)
    options.filter.add(TSC.Filter("projectName", TSC.RequestOptions.Operator.Equals, "Paged"))
    options.sort.add(TSC.Sort("name", TSC.RequestOptions.Direction.Desc))
    items, page = client.datasources.get(options)
    assert [item.name for item in items] == ["Page 2", "Page 1"]
    assert (page.page_number, page.page_size, page.total_available) == (2, 2, 5)
    pager = TSC.Pager(client.datasources, TSC.RequestOptions(pagesize=2))
    assert set(names) <= {item.name for item in pager}
    assert default_project != project.id


def test_description_project_and_tags_can_be_changed(
    client: Client, default_project: str, ledger: Path
) -> None:
    item = publish(client, default_project, ledger, "Described")
    item = client.datasources.get_by_id(str(item.id))
    shelf = client.projects.create(TSC.ProjectItem("Shelf"))
    item.description, item.project_id, item.certified = "closed", shelf.id, True
    item.tags = {"finance", "a/b"}
    client.datasources.update(item)
    read = client.datasources.get_by_id(str(item.id))
    assert (read.description, read.project_name, read.certified) == ("closed", "Shelf", True)
    assert read.tags == {"finance", "a/b"}
    client.datasources.delete_tags(read, "a/b")
    assert client.datasources.get_by_id(str(item.id)).tags == {"finance"}


def test_a_deleted_data_source_is_gone(client: Client, default_project: str, ledger: Path) -> None:
    item = publish(client, default_project, ledger, "Deleted")
    client.datasources.delete(str(item.id))
    with pytest.raises(TSC.ServerResponseError) as caught:
        client.datasources.get_by_id(str(item.id))
    assert caught.value.code == "404004"
    assert publish(client, default_project, ledger, "Deleted").id != item.id


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
