"""odatapy's server as a process, and an Entra ID that lets the tap in."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.interop.peers import ODATAPY, PROJECT, scripts_of, shell

from contoso_sandbox.entra import Registration, Tenant, create_app
from contoso_sandbox.serving import HttpsServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contoso_sandbox.tls import Tls

#: Rows in one answer: a quarter of a shared set, so that the last page is a full one.
PAGE_SIZE = 50

_SERVER = "tests.interop.odata_server"
_TENANT = "6f1c7b0a-52f4-4f0e-9a3d-0d3f1a8f2c11"
_CLIENT = "b7a3f7c4-3f0e-4c59-8d53-53c0a5b3e7aa"
_SECRET = "an odatapy of one's own"


@contextmanager
def odata_service(tls: Tls, *options: str) -> Iterator[dict[str, Any]]:
    """Run both; the value is the tap's configuration for them."""
    tenant = Tenant(_TENANT)
    tenant.register(Registration(_CLIENT, _SECRET))
    entra = HttpsServer(create_app(tenant), tls).start()
    process = subprocess.Popen(
        [scripts_of(ODATAPY) / "python", "-m", _SERVER, tls.server_chain, str(PAGE_SIZE), *options],
        cwd=PROJECT,
        env=shell(PYTHONPATH=str(PROJECT)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert url, "odatapy's server did not start; what it said is on stderr"
        tenant.resources.add(url)
        yield {
            "environment_url": url,
            "tenant_id": _TENANT,
            "client_id": _CLIENT,
            "client_secret": _SECRET,
            "authority_host": entra.url,
            "ca_bundle": str(tls.ca_bundle),
            "entities": ["*"],
        }
    finally:
        process.stdin.close()  # the end of its input is the end of the server
        process.stdout.close()
        try:
            process.wait(timeout=10)
        finally:
            process.kill()
            entra.stop()
