"""A target to feed, an independent reader of what it stored, and a Tableau Server to publish to."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING, Any

import pytest
from tests.hyper_reader import hyper_reader
from tests.target.commands import Commands
from tests.target.dependents import Dependents
from tests.target.faults import Faulty
from tests.target.harness import TEST_TOKEN, TOKEN_NAME, TOKEN_VALUE, Extracts, Tableau
from tests.target.killed import hatched

from contoso_sandbox.serving import HttpsServer
from contoso_sandbox.tableau import TableauServer
from contoso_sandbox.tls import create_tls
from target_tableau_hyper.extract.engine import Engine, start_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.hyper_reader import HyperReader
    from tests.target.harness import Rows
    from tests.target.killed import Zygote


@pytest.fixture(scope="session")
def engines() -> Iterator[dict[int, Engine]]:
    """One hyperd a file format for all runs in this process, instead of one a run."""
    with contextlib.ExitStack() as stack:
        started = {v: stack.enter_context(start_engine(hyper_version=v)) for v in (2, 3, 4)}
        # A signal that a test sends to this process is no reason to end these.
        signal.set_wakeup_fd(-1)
        yield started


@pytest.fixture(autouse=True)
def shared_engines(engines: dict[int, Engine], monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting hyperd is part of the runs in processes of their own (test_process)."""

    def lend(*, hyper_version: int, **_: object) -> contextlib.AbstractContextManager[Engine]:
        return contextlib.nullcontext(engines[hyper_version])

    monkeypatch.setattr("target_tableau_hyper.loading.start_engine", lend)
    monkeypatch.setattr("target_tableau_hyper.delivery.parcel.start_engine", lend)


@pytest.fixture
def extracts(tmp_path: Path) -> Extracts:
    return Extracts(tmp_path / "output")


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HyperReader]:
    """Reads extracts through psycopg."""
    with hyper_reader(tmp_path_factory.mktemp("copies")) as made:
        yield made


@pytest.fixture(scope="session")
def query(reader: HyperReader) -> Callable[[Path, str], list[tuple[Any, ...]]]:
    """Ask a copy of a .hyper file a question."""
    return reader.ask


@pytest.fixture(scope="session")
def rows(
    query: Callable[[Path, str], list[tuple[Any, ...]]],
) -> Rows:
    """All rows of an extract, ordered by its first column."""

    def read(path: Path, columns: str = "*") -> list[tuple[Any, ...]]:
        return query(path, f'SELECT {columns} FROM "Extract"."Extract" ORDER BY 1')  # noqa: S608

    return read


@pytest.fixture(scope="session")
def tableau_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tableau]:
    """One Tableau Server for all tests, with faults that each may script."""
    tls = create_tls(tmp_path_factory.mktemp("tls"))
    faulty = Faulty()
    server = TableauServer(tmp_path_factory.mktemp("tableau"), job_seconds=0.01, middleware=faulty)
    server.add_token(TOKEN_NAME, TOKEN_VALUE)
    server.add_token(TEST_TOKEN, TOKEN_VALUE)
    web = HttpsServer(server.app, tls).start()
    yield Tableau(server, web, tls, faulty)
    web.stop()
    server.close()


@pytest.fixture
def tableau(tableau_server: Tableau, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tableau]:
    """The server, empty and without faults; what waits between attempts does not."""
    monkeypatch.setattr("target_tableau_hyper.tableau.session.PAUSE_S", 0.0)
    monkeypatch.setattr("target_tableau_hyper.tableau.upload.PAUSE_S", 0.0)
    monkeypatch.setattr("target_tableau_hyper.tableau.transport.BACKOFF_S", 0.0)
    monkeypatch.setattr("target_tableau_hyper.tableau.jobs.FIRST_WAIT_S", 0.01)
    monkeypatch.setattr("target_tableau_hyper.delivery.confirm.FIRST_WAIT_S", 0.01)
    monkeypatch.setattr("target_tableau_hyper.delivery.confirm.EFFECT_WAIT_S", 0.3)
    tableau_server.server.requests.clear()
    yield tableau_server
    tableau_server.faulty.faults.clear()
    tableau_server.faulty.header_names.clear()
    tableau_server.server.refreshes.clear()
    tableau_server.server.publishing_seconds = 0.0
    with tableau_server.client() as client:
        for job in tableau_server.server.jobs():
            if job.completed_at is None:
                client.jobs.cancel(job.id)
        for workbook in tableau_server.server.workbooks():
            client.workbooks.delete(workbook.id)
        for datasource in tableau_server.server.datasources():
            client.datasources.delete(datasource.id)


@pytest.fixture(scope="session")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """Runs the command in processes of its own, without their imports."""
    with hatched(tmp_path_factory.mktemp("zygote")) as made:
        yield made


@pytest.fixture
def dependents(tableau: Tableau, engines: dict[int, Engine], tmp_path: Path) -> Dependents:
    """Makes what depends on delivered data."""
    made = Dependents(tableau, engines[3], tmp_path, first_job=len(tableau.server.jobs()))
    made.project_id()
    return made


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Commands:
    """The command with its subcommands, in this process."""
    # The SDK would bind its log handlers to one test's stderr for good.
    monkeypatch.setattr("singer_sdk.plugin_base._setup_console_logging", lambda **_: None)
    return Commands(tmp_path, monkeypatch, capsys)
