"""A target to feed, an independent reader of what it stored, and a Tableau Server to publish to."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from dataclasses import dataclass, field
from decimal import Decimal
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
from target_tableau_hyper.target import HyperTarget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from contoso_sandbox.tls import Tls
    from starlette.types import ASGIApp

TOKEN_NAME = "pipeline"
TOKEN_VALUE = "correct-horse-battery-staple"


def dump(message: dict[str, Any]) -> str:
    """One message as a line; a Decimal becomes the JSON number with its own digits."""
    text = json.dumps(message, default=lambda number: f"\u0001{number}\u0001", ensure_ascii=True)
    return text.replace('"\\u0001', "").replace('\\u0001"', "")


def schema(
    stream: str, properties: dict[str, Any], keys: Sequence[str] = ("id",), **more: object
) -> dict[str, Any]:
    return {
        "type": "SCHEMA",
        "stream": stream,
        "schema": {"type": "object", "properties": properties, **more},
        "key_properties": list(keys),
    }


def record(stream: str, values: dict[str, Any], **more: object) -> dict[str, Any]:
    return {"type": "RECORD", "stream": stream, "record": values, **more}


def state(value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "STATE", "value": value}


def audit(run_id: str, streams: dict[str, Any], *, complete: bool) -> dict[str, Any]:
    return state(
        {"bookmarks": {}, "audit": {"run_id": run_id, "complete": complete, "streams": streams}}
    )


@dataclass
class Extracts:
    """Runs of the target over one output directory."""

    directory: Path
    config: dict[str, Any] = field(default_factory=dict)

    def run(self, messages: Sequence[dict[str, Any] | str], **config: object) -> list[str]:
        """Feed messages to a new target; returns the lines that it wrote to stdout."""
        lines = [m if isinstance(m, str) else dump(m) for m in messages]
        target = HyperTarget(config={"output_dir": str(self.directory), **self.config, **config})
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            target.listen(io.StringIO("\n".join(lines) + "\n"))
        return out.getvalue().splitlines()

    def path(self, name: str) -> Path:
        return self.directory / f"{name}.hyper"

    def manifest(self, name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(
            (self.directory / f"{name}.manifest.json").read_text()
        )
        return content

    def left_over(self) -> list[str]:
        """What is in the directory beside extracts and manifests."""
        staging = self.directory / ".staging"
        return [path.name for path in staging.iterdir()] if staging.exists() else []


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


@dataclass
class Tableau:
    """A Tableau Server on loopback."""

    server: TableauServer
    web: HttpsServer
    tls: Tls

    @property
    def config(self) -> dict[str, Any]:
        return {
            "tableau_server_url": self.web.url,
            "tableau_site": "contoso",
            "tableau_token_name": TOKEN_NAME,
            "tableau_token_value": TOKEN_VALUE,
            "tableau_project": "default",
            "ca_bundle": str(self.tls.ca_bundle),
            "job_timeout": 30,
        }

    def calls(self, method: str, ending: str) -> int:
        """How often something was asked whose path ends so."""
        return sum(r.method == method and r.path.endswith(ending) for r in self.server.requests)


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


__all__ = ["Decimal", "Extracts", "Tableau", "audit", "dump", "record", "schema", "state"]
