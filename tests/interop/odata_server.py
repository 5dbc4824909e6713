"""odatapy as an F&O: an OData server that others wrote, over TLS, with our model and rows.

``python -m tests.interop.odata_server CERTIFICATE PAGE [strings]``, run in odatapy's own
environment, prints its address and serves until its standard input ends. Everything below ``/data``
is odatapy's own answer, but for two things:

- a request without a bearer token gets 401 without a body, as from F&O;
- with ``strings``, every request is read as if it had asked for ``IEEE754Compatible=true``: Int64
  and Decimal then come as JSON strings, which the standard allows (OData JSON format, section 3.2)
  and gateways in front of F&O do.

There is no ``/metadata``: a server that knows nothing of F&O has ``$metadata`` alone.
"""

from __future__ import annotations

import ssl
import sys
import threading
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

# Another environment's packages.
from odatapy.data import Entity, ValueType  # type: ignore[import-not-found]
from odatapy.edm.xml_io import XmlEdmProvider  # type: ignore[import-not-found]
from odatapy.server import OData  # type: ignore[import-not-found]
from odatapy.server.adapters import ODataWSGIApp  # type: ignore[import-not-found]
from odatapy.server.inmemory import (  # type: ignore[import-not-found]
    InMemoryDataStore,
    InMemoryProcessor,
)
from tests.interop.odata_rows import MODEL, Row, Table, read_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: Rows of each set but the companies; odatapy walks its lists, so more takes long.
ROWS = 200


def data_app(page_size: int) -> Any:  # noqa: ANN401 - odatapy's application
    """odatapy's in-memory server, mounted at ``/data``."""
    factory = OData.new_instance()
    handler = factory.create_handler(
        factory.create_service_metadata(XmlEdmProvider.from_file(MODEL))
    )
    store = InMemoryDataStore()
    for table in read_tables(MODEL, rows=ROWS).values():
        store.set_entities(table.name, [_entity(table, row) for row in table.rows])
    handler.register(InMemoryProcessor(store, page_size=page_size))
    return ODataWSGIApp(handler, mount_path="/data")


def _entity(table: Table, row: Row) -> Any:  # noqa: ANN401 - odatapy's entity
    entity = Entity()
    for column in table.columns:
        kind = ValueType.ENUM if column.ax_type == "Enum" else ValueType.PRIMITIVE
        entity.set_property(column.name, row[column.name], kind, column.type)
    return entity


class Door:
    """What stands before odatapy."""

    def __init__(self, app: Any, *, strings: bool) -> None:  # noqa: ANN401 - odatapy's application
        """Let requests through to ``app``, asking for numbers as strings if wanted."""
        self._app = app
        self._strings = strings

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer one request."""
        if not environ.get("HTTP_AUTHORIZATION", "").startswith("Bearer "):
            start_response("401 Unauthorized", [("WWW-Authenticate", "Bearer")])
            return [b""]
        if not environ["PATH_INFO"].startswith("/data"):
            start_response("404 Not Found", [("Content-Type", "text/html")])
            return [b"<h1>Not Found</h1>"]
        if self._strings and "json" in environ.get("HTTP_ACCEPT", ""):
            environ["HTTP_ACCEPT"] += ";IEEE754Compatible=true"
        answer: Iterable[bytes] = self._app(environ, start_response)
        return answer


class _Handler(WSGIRequestHandler):
    def get_environ(self) -> dict[str, Any]:
        # The path as sent: odatapy tells %2F in a key from a slash.
        return {**super().get_environ(), "REQUEST_URI": self.path, "HTTPS": "on"}

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Keep quiet."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


def main(certificate: str, page_size: str, *options: str) -> None:
    """Serve until standard input ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    server.set_app(Door(data_app(int(page_size)), strings="strings" in options))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"https://127.0.0.1:{server.server_port}", flush=True)  # noqa: T201 - who started us reads
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
