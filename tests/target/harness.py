"""Runs of the target in this process, and the Tableau Server that they publish to."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import tableauserverclient as TSC  # noqa: N812 - its own documentation's name
from tests.target.messages import dump

from target_tableau_hyper.target import HyperTarget

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.target.faults import Faulty

    from contoso_sandbox.serving import HttpsServer
    from contoso_sandbox.tableau import TableauServer
    from contoso_sandbox.tls import Tls

TOKEN_NAME = "pipeline"
TEST_TOKEN = "tests"
TOKEN_VALUE = "correct-horse-battery-staple"


class Rows(Protocol):
    """Reads rows of an extract, ordered by the first of their columns."""

    def __call__(self, path: Path, columns: str = "*") -> list[tuple[Any, ...]]: ...


@dataclass
class Extracts:
    """Runs of the target over one output directory."""

    directory: Path
    config: dict[str, Any] = field(default_factory=dict)
    said: str = ""

    def run(self, messages: Sequence[dict[str, Any] | str], **config: object) -> list[str]:
        """Feed messages to a new target; returns the lines that it wrote to stdout."""
        lines = [m if isinstance(m, str) else dump(m) for m in messages]
        target = HyperTarget(config={"output_dir": str(self.directory), **self.config, **config})
        out = io.StringIO()
        try:
            with contextlib.redirect_stdout(out):
                target.listen(io.StringIO("\n".join(lines) + "\n"))
        finally:
            self.said = out.getvalue()
        return self.said.splitlines()

    def path(self, name: str) -> Path:
        return self.directory / f"{name}.hyper"

    def manifest(self, name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.directory / f"{name}.manifest.json").read_text())
        return content

    def left_over(self) -> list[str]:
        """What is in the directory beside extracts and manifests."""
        staging = self.directory / ".staging"
        return [path.name for path in staging.iterdir()] if staging.exists() else []


@dataclass
class Tableau:
    """A Tableau Server on loopback."""

    server: TableauServer
    web: HttpsServer
    tls: Tls
    faulty: Faulty

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

    @contextlib.contextmanager
    def client(self) -> Iterator[TSC.Server]:
        """A tableauserverclient of the tests' own, signed in."""
        server = TSC.Server(  # type: ignore[no-untyped-call]
            self.web.url, http_options={"verify": str(self.tls.ca_bundle)}
        )
        server.version = "3.29"
        token = TSC.PersonalAccessTokenAuth(TEST_TOKEN, TOKEN_VALUE, site_id="contoso")
        with server.auth.sign_in(token):
            yield server
        server.close()

    def calls(self, method: str, ending: str) -> int:
        """How often something was asked whose path ends so."""
        return sum(r.method == method and r.path.endswith(ending) for r in self.server.requests)
