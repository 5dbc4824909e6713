"""A target to feed, an independent reader of what it stored, and a Tableau Server to publish to."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from tableauhyperapi import (  # type: ignore[import-untyped, unused-ignore]
    HyperProcess,
    Telemetry,
)

from contoso_sandbox.serving import HttpsServer
from contoso_sandbox.tableau import TableauServer
from contoso_sandbox.tls import create_tls
from tests.target.harness import TOKEN_NAME, TOKEN_VALUE, Extracts, Tableau

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from starlette.types import ASGIApp

    from contoso_sandbox.tls import Tls


@pytest.fixture
def extracts(tmp_path: Path) -> Extracts:
    return Extracts(tmp_path / "output")


@pytest.fixture(scope="session")
def hyperd_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """A hyperd of the tests' own, reached over the PostgreSQL protocol by psycopg."""
    with HyperProcess(
        Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters={"log_config": ""}
    ) as process:
        descriptor = str(process.endpoint.connection_descriptor)
        directory, _, socket = descriptor.removeprefix("tab.domain://").partition("/domain/")
        yield directory, int(socket.rpartition(".")[2])


@pytest.fixture(scope="session")
def query(
    hyperd_socket: tuple[str, int], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Path, str], list[tuple[Any, ...]]]:
    """Ask a copy of a .hyper file a question, through psycopg."""
    copies = tmp_path_factory.mktemp("copies")
    directory, port = hyperd_socket

    def ask(path: Path, sql: str) -> list[tuple[Any, ...]]:
        copy = copies / "copy.hyper"
        shutil.copyfile(path, copy)
        with psycopg.connect(
            host=directory,
            port=port,
            user="tableau_internal_user",
            dbname=str(copy),
            autocommit=True,
        ) as connection:
            return connection.execute(sql.encode()).fetchall()

    return ask


@pytest.fixture(scope="session")
def rows(
    query: Callable[[Path, str], list[tuple[Any, ...]]],
) -> Callable[..., list[tuple[Any, ...]]]:
    """All rows of an extract, ordered by its first column."""

    def read(path: Path, columns: str = "*") -> list[tuple[Any, ...]]:
        return query(path, f'SELECT {columns} FROM "Extract"."Extract" ORDER BY 1')  # noqa: S608

    return read


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return create_tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def start_tableau(tmp_path: Path, tls: Tls) -> Iterator[Callable[..., Tableau]]:
    """Start a Tableau Server, with middleware for scripted faults where wanted."""
    with contextlib.ExitStack() as stack:

        def start(middleware: Callable[[ASGIApp], ASGIApp] | None = None, **more: Any) -> Tableau:
            more.setdefault("job_seconds", 0.05)
            server = TableauServer(tmp_path / "tableau", middleware=middleware, **more)
            stack.callback(server.close)
            server.add_token(TOKEN_NAME, TOKEN_VALUE)
            web = HttpsServer(server.app, tls)
            web.start()
            stack.callback(web.stop)
            return Tableau(server, web, tls)

        yield start


@pytest.fixture
def tableau(start_tableau: Callable[..., Tableau]) -> Tableau:
    return start_tableau()
