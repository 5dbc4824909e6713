"""A running server per test module, clients for it, and .hyper files made and read by hyperd."""

# tableauserverclient is typed in part only.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import itertools
import json
import re
import zipfile
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
import requests
import tableauserverclient as TSC  # noqa: N812 - as in its documentation
from tableauhyperapi import (
    Connection,
    CreateMode,
    HyperProcess,
    Telemetry,
)

from contoso_sandbox.serving import HttpsServer
from contoso_sandbox.tableau import TableauServer
from contoso_sandbox.tableau.times import utc_now
from contoso_sandbox.tls import create_tls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from contoso_sandbox.tls import Tls

#: Of every personal access token.
SECRET = "secret"
#: A signed-in tableauserverclient.
Client = Any
NS = {"t": "http://tableau.com/api"}
_numbers = itertools.count(1)


def unique(stem: str) -> str:
    """A name that no other test uses."""
    return f"{stem} {next(_numbers)}"


@dataclass
class Hypers:
    """Writes and reads .hyper files with a hyperd that is not the server's."""

    directory: Path
    processes: dict[int, HyperProcess] = field(default_factory=dict)

    def process(self, version: int = 3) -> HyperProcess:
        """A hyperd that writes files of that format version; version 3 holds NUMERIC(38)."""
        if version not in self.processes:
            self.processes[version] = HyperProcess(
                Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU,
                parameters={"log_config": "", "default_database_version": str(version)},
            )
        return self.processes[version]

    def write(
        self,
        statements: Sequence[str],
        *,
        name: str = "",
        version: int = 3,
    ) -> Path:
        """A file on which the statements were run; the schema "Extract" is there."""
        path = self.directory / (name or f"{next(_numbers)}.hyper")
        endpoint = self.process(version).endpoint
        with Connection(endpoint, path, CreateMode.CREATE_AND_REPLACE) as connection:
            connection.execute_command('CREATE SCHEMA "Extract"')
            for statement in statements:
                connection.execute_command(statement)
        return path

    def table(self, columns: str, *rows: str, table: str = "Extract", version: int = 3) -> Path:
        """A file with one table in the schema "Extract"."""
        values = [f'INSERT INTO "Extract"."{table}" VALUES {", ".join(rows)}'] if rows else []  # noqa: S608 - no stranger
        create = f'CREATE TABLE "Extract"."{table}" ({columns})'
        return self.write([create, *values], version=version)

    def rows(self, path: Path, query: str = 'SELECT * FROM "Extract"."Extract" ORDER BY 1') -> Any:  # noqa: ANN401
        """All rows of a query."""
        with Connection(self.process().endpoint, path, CreateMode.NONE) as connection:
            return connection.execute_list_query(query)


@dataclass
class Rest:
    """A bare client: requests, with the token that it got."""

    running: Running
    accept: str = "*/*"
    session: requests.Session = field(default_factory=requests.Session)
    token: str = ""

    def sign_in(self, name: str, secret: str = SECRET, site: str = "contoso") -> requests.Response:
        credentials = {
            "personalAccessTokenName": name,
            "personalAccessTokenSecret": secret,
            "site": {"contentUrl": site},
        }
        answer = self.call("POST", "/auth/signin", json={"credentials": credentials})
        if answer.ok and "json" in answer.headers["Content-Type"]:
            self.token = answer.json()["credentials"]["token"]
        elif answer.ok:
            found = ET.fromstring(answer.content).find("t:credentials", NS)  # noqa: S314
            assert found is not None
            self.token = found.attrib["token"]
        return answer

    def call(
        self,
        method: str,
        path: str,
        *,
        version: str = "3.29",
        headers: dict[str, str] | None = None,
        **arguments: Any,  # noqa: ANN401
    ) -> requests.Response:
        """Send a request; ``{site}`` in the path stands for the site's LUID."""
        sent = {"Accept": self.accept, **(headers or {})}
        if self.token:
            sent.setdefault("X-Tableau-Auth", self.token)
        path = path.replace("{site}", self.running.server.site_id)
        return self.session.request(
            method,
            f"{self.running.url}/api/{version}{path}",
            headers=sent,
            verify=str(self.running.tls.ca_bundle),
            timeout=30,
            **arguments,
        )

    def publish(self, file: Path, name: str, query: str = "") -> requests.Response:
        """Publish in one request, as ``multipart/mixed``, the document in JSON."""
        document = json.dumps({"datasource": {"name": name}})
        return self.multipart(
            "POST",
            f"/sites/{{site}}/datasources?datasourceType={file.suffix[1:]}{query}",
            [
                ("request_payload", "", "application/json", document.encode()),
                ("tableau_datasource", file.name, "application/octet-stream", file.read_bytes()),
            ],
        )

    def multipart(
        self, method: str, path: str, parts: list[tuple[str, str, str, bytes]]
    ) -> requests.Response:
        """Send parts of (name, filename, content type, content)."""
        body = b"".join(
            b"--frontier\r\n"
            + f'Content-Disposition: name="{name}"; filename="{filename}"\r\n'.encode()
            + f"Content-Type: {kind}\r\n\r\n".encode()
            + content
            + b"\r\n"
            for name, filename, kind, content in parts
        )
        return self.call(
            method,
            path,
            data=body + b"--frontier--\r\n",
            headers={"Content-Type": "multipart/mixed; boundary=frontier"},
        )

    def error(self, answer: requests.Response) -> str:
        """Code of a refusal, which must go with the status."""
        found = re.search(r'code="?:?\s?"?(\d{6})|"code": "(\d{6})"', answer.text)
        assert found, answer.text
        code = found[1] or found[2]
        assert int(code[:3]) == answer.status_code
        return code


@dataclass
class Running:
    """A server on loopback, with a clock that a test may move."""

    server: TableauServer
    url: str
    tls: Tls
    _offset: list[timedelta]
    opened: list[Callable[[], None]] = field(default_factory=list)

    def move_clock(self, by: timedelta) -> None:
        """Let the server's clock run ``by`` ahead of the machine's."""
        self._offset[0] = by

    def token(self, user: str = "analyst") -> str:
        """Name of a new personal access token, whose secret is ``secret``."""
        name = unique("token")
        self.server.add_token(name, "secret", user)
        return name

    def sign_in(self, token: str | None = None, site: str = "contoso") -> Client:
        """A signed-in tableauserverclient."""
        client = TSC.Server(
            self.url, use_server_version=True, http_options={"verify": str(self.tls.ca_bundle)}
        )
        self.opened.append(client.close)
        client.auth.sign_in(TSC.PersonalAccessTokenAuth(token or self.token(), "secret", site))
        return client

    def rest(self, accept: str = "*/*", *, signed_in: bool = True) -> Rest:
        """A bare client."""
        client = Rest(self, accept)
        self.opened.append(client.session.close)
        if signed_in:
            assert client.sign_in(self.token()).ok
        return client


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return create_tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def hypers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hypers]:
    hypers = Hypers(tmp_path_factory.mktemp("hyper"))
    yield hypers
    for process in hypers.processes.values():
        process.close()


@pytest.fixture(scope="module")
def start(tls: Tls) -> Iterator[Callable[..., Running]]:
    """Starts servers, each on its directory; all are stopped at the end of the module."""
    stops: list[Callable[[], None]] = []

    def start(directory: Path, **settings: Any) -> Running:  # noqa: ANN401
        offset = [timedelta()]
        server = TableauServer(
            directory,
            clock=lambda: utc_now() + offset[0],
            **{"job_seconds": 0.02, **settings},
        )
        https = HttpsServer(server.app, tls).start()
        running = Running(server, https.url, tls, offset)

        def stop() -> None:
            for close in running.opened:
                close()
            https.stop()
            server.close()

        stops.append(stop)
        return running

    yield start
    for stop in stops:
        stop()


@pytest.fixture(scope="module")
def running(start: Callable[..., Running], tmp_path_factory: pytest.TempPathFactory) -> Running:
    """One server for all tests of a module; they must not mind each other's data sources."""
    return start(tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="session")
def live_tds() -> str:
    """A live-to-Hyper document for the table "Extract"."Extract" in Data/Extracts/GL.hyper."""
    return """<?xml version='1.0' encoding='utf-8' ?>
<datasource formatted-name='GL' inline='true' version='18.1'>
 <connection class='federated'>
  <named-connections><named-connection caption='GL' name='hyper.0'>
   <connection authentication='auth-none' class='hyper' dbname='Data/Extracts/GL.hyper'
    default-settings='yes' schema='Extract' sslmode='' username='tableau_internal_user'/>
  </named-connection></named-connections>
  <relation connection='hyper.0' name='Extract' table='[Extract].[Extract]' type='table'/>
  <metadata-records><metadata-record class='column'>
   <remote-name>k</remote-name><remote-type>20</remote-type><local-name>[k]</local-name>
   <parent-name>[Extract]</parent-name><remote-alias>k</remote-alias><ordinal>1</ordinal>
   <local-type>integer</local-type><aggregation>Sum</aggregation>
   <contains-null>true</contains-null><object-id>[Extract_obj]</object-id>
  </metadata-record></metadata-records>
 </connection>
 <column caption='Key' datatype='integer' name='[k]' role='dimension' type='ordinal'/>
 <object-graph><objects><object caption='Extract' id='Extract_obj'><properties context=''>
  <relation connection='hyper.0' name='Extract' table='[Extract].[Extract]' type='table'/>
 </properties></object></objects></object-graph>
</datasource>"""


@pytest.fixture(scope="session")
def extract_tds(live_tds: str) -> str:
    """A document of a source that is elsewhere, with the .hyper file as its extract."""
    elsewhere = live_tds.replace("class='hyper'", "class='postgres'")
    extract = (
        "<extract count='-1' enabled='true' units='records'><connection class='hyper'"
        " dbname='Data/Extracts/GL.hyper' schema='Extract' tablename='Extract'/></extract>"
    )
    return elsewhere.replace("</datasource>", f"{extract}</datasource>")


@pytest.fixture(scope="session")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a .tdsx of a document and a .hyper file."""
    folder = tmp_path_factory.mktemp("packed")

    def pack(document: str, hyper: Path, member: str = "Data/Extracts/GL.hyper") -> Path:
        path = folder / f"{next(_numbers)}.tdsx"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("GL.tds", document)
            archive.write(hyper, member)
        return path

    return pack


@pytest.fixture(scope="session")
def packed_extract(hypers: Hypers, extract_tds: str, pack: Callable[..., Path]) -> Path:
    """A data source that can be refreshed."""
    return pack(extract_tds, hypers.table('"k" INT', "(1)"))
