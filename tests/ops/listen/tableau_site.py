"""A Tableau Server with extracts that can be refreshed, and receivers of alerts on real sockets."""

from __future__ import annotations

import contextlib
import itertools
import json
import socketserver
import ssl
import threading
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import tableauserverclient as TSC  # noqa: N812 - its own documentation's name
from tableauhyperapi import Connection, CreateMode, HyperProcess, Telemetry
from tests.ops.listen.listening import TABLEAU_FORMER, TABLEAU_SECRET
from tests.target.faults import Fault, xml_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.types import Receive, Scope, Send
    from tests.target.faults import Faulty

    from contoso_sandbox.serving import HttpsServer
    from contoso_sandbox.tableau import TableauServer
    from contoso_sandbox.tls import Tls

LISTEN_TOKEN, TEST_TOKEN, TOKEN_VALUE = "listen", "tests", "canary-listen-token-value"

_TDS = """<?xml version='1.0' encoding='utf-8' ?>
<datasource formatted-name='x' inline='true' version='18.1'>
 <connection class='federated'>
  <named-connections><named-connection caption='x' name='x'>
   <connection class='postgres' dbname='finance' server='db.contoso.com'/>
  </named-connection></named-connections>
 </connection>
 <extract count='-1' enabled='true' units='records'>
  <connection class='hyper' dbname='Data/x.hyper' schema='Extract' tablename='Extract'/></extract>
</datasource>"""

_numbers = itertools.count(1)


@dataclass
class Site:
    """The server and what tests do to it."""

    server: TableauServer
    web: HttpsServer
    tls: Tls
    faulty: Faulty
    hyper: Path

    def settings(self, **more: Any) -> dict[str, Any]:  # noqa: ANN401
        """The section ``tableau`` of listen.yml."""
        return {
            "url_secrets": [TABLEAU_SECRET, TABLEAU_FORMER],
            "server_url": self.web.url,
            "site": "contoso",
            "token_name": LISTEN_TOKEN,
            "token_value": TOKEN_VALUE,
            "ca_bundle": str(self.tls.ca_bundle),
            "poll": 0.3,
            "refresh": {"attempts": 2, "first_wait": 0.2, "longest_wait": 0.5},
            **more,
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

    def extract(self, *, live: bool = False) -> tuple[str, str]:
        """Publish a data source with an extract over a database; returns name and LUID."""
        name = f"Spend {next(_numbers)}"
        file = self.hyper
        if not live:
            file = self.hyper.with_name(f"{name}.tdsx")
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr("x.tds", _TDS)
                archive.write(self.hyper, "Data/x.hyper")
        with self.client() as client:
            (project,) = client.projects.filter(name="default")
            item = TSC.DatasourceItem(project.id, name=name)
            return name, str(client.datasources.publish(item, file, "CreateNew").id)

    def refresh(self, luid: str, *, wait: bool = True) -> None:
        """Refresh it, as a schedule would."""
        with self.client() as client:
            job = client.datasources.refresh(luid)
            assert job is not None
            if wait:
                with contextlib.suppress(TSC.JobFailedException):
                    client.jobs.wait_for_job(job, timeout=30)

    def forbid_job_list(self) -> None:
        """Answer the list of jobs as to somebody who is no site administrator."""
        self.faulty.faults.append(_NoJobList("GET", "/jobs", times=1_000_000))

    def refreshes(self, luid: str) -> list[int | None]:
        """How the refreshes of a data source ended, oldest first."""
        return [
            job.finish_code
            for job in self.server.jobs()
            if job.type == "RefreshExtract" and job.datasource_id == luid
        ]


class _NoJobList(Fault):
    """Strikes the list of jobs, not the single job."""

    def hits(self, scope: Scope) -> bool:
        self.status, self.body = 403, xml_error("403004")
        return bool(scope["method"] == "GET" and scope["path"].endswith("/jobs"))


def write_hyper(path: Path) -> Path:
    """A file with one row."""
    with (
        HyperProcess(
            Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters={"log_config": ""}
        ) as process,
        Connection(process.endpoint, path, CreateMode.CREATE) as connection,
    ):
        connection.execute_command('CREATE SCHEMA "Extract"')
        connection.execute_command('CREATE TABLE "Extract"."Extract" (k INTEGER)')
        connection.execute_command('INSERT INTO "Extract"."Extract" VALUES (1)')
    return path


class AlertReceiver:
    """An ASGI application that keeps alerts; answers with the statuses that a test wrote first."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] = []
        self.statuses: list[int] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            self.alerts.append(json.loads(body))
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def kinds(self) -> list[str]:
        return [alert["kind"] for alert in self.alerts]


@dataclass
class MailServer:
    """Speaks enough SMTP to take a message, in clear, over TLS, or after STARTTLS."""

    security: str = "none"
    certificate: Path | None = None
    mails: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def start(self) -> socketserver.ThreadingTCPServer:
        owner = self
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self.certificate is not None:
            context.load_cert_chain(self.certificate)

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                connection = self.request
                if owner.security == "tls":
                    connection = context.wrap_socket(connection, server_side=True)
                stream = connection.makefile("rwb", buffering=0)
                stream.write(b"220 mail.contoso.com\r\n")
                while line := stream.readline():
                    owner.said.append(line.decode().strip())
                    word = line.split()[0].upper() if line.split() else b""
                    if word == b"STARTTLS":
                        stream.write(b"220 ready\r\n")
                        connection = context.wrap_socket(connection, server_side=True)
                        stream = connection.makefile("rwb", buffering=0)
                        continue
                    if word == b"EHLO":
                        stream.write(b"250-mail\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n")
                        continue
                    if word == b"DATA":
                        stream.write(b"354 go on\r\n")
                        mail = b""
                        while (part := stream.readline()) != b".\r\n":
                            mail += part
                        owner.mails.append(mail.decode())
                    answers = {b"QUIT": b"221 bye\r\n", b"AUTH": b"235 ok\r\n"}
                    stream.write(answers.get(word, b"250 ok\r\n"))
                connection.close()

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server
