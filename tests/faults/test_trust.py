"""Servers that are not who they should be, and an environment that meddles (T22)."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from tests.faults.test_nextlinks import elsewhere
from tests.faults.ways import FULL

from pipeline_core.errors import ConfigError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.faults.conftest import Bench


class Impostor:
    """A TLS server of our own; remembers what it was told under its certificate."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.heard = b""
        self.handshakes = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._context = context
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"https://127.0.0.1:{self._listening.getsockname()[1]}"

    def close(self) -> None:
        """Stop listening; what was heard is complete then."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(timeout=10)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.handshakes += 1
            with connection:
                connection.settimeout(5)
                try:
                    with self._context.wrap_socket(connection, server_side=True) as secure:
                        self.heard += secure.recv(65_536)
                except OSError:
                    continue  # the client did not like the certificate


CERTIFICATES = pytest.mark.parametrize(
    "kind",
    [
        pytest.param("expired", id="T22 expired"),
        pytest.param("not yet valid", id="T22 not yet valid"),
        pytest.param("wrong host", id="T22 wrong host"),
        pytest.param("unknown authority", id="T22 unknown authority"),
        pytest.param("self-signed", id="T22 self-signed"),
    ],
)


@contextmanager
def impostor(kind: str, bench: Bench) -> Iterator[tuple[Impostor, Path]]:
    """A server with a certificate of a ``kind``, and the bundle that the tap trusts."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trusted = [bench.contoso.ca_bundle.read_bytes()]
    if kind == "self-signed":
        own = bench.tmp_path / "own.pem"
        own.write_bytes(authority.private_key_pem.bytes() + authority.cert_pem.bytes())
        context.load_cert_chain(own)
    else:
        host = "other.example" if kind == "wrong host" else "127.0.0.1"
        # The sandbox's authority is a trustme one, too, and has no such certificate to give.
        leaf = authority.issue_cert(
            host,
            not_before=datetime(2090, 1, 1, tzinfo=UTC) if kind == "not yet valid" else None,
            not_after={
                "expired": datetime(2020, 1, 1, tzinfo=UTC),
                "not yet valid": datetime(2091, 1, 1, tzinfo=UTC),
            }.get(kind),
        )
        leaf.configure_cert(context)
        if kind != "unknown authority":
            trusted.append(authority.cert_pem.bytes())
    bundle = bench.tmp_path / "trusted.pem"
    bundle.write_bytes(b"\n".join(trusted))
    server = Impostor(context)
    try:
        yield server, bundle
    finally:
        server.close()


@CERTIFICATES
def test_t22_no_token_goes_to_an_environment_that_cannot_prove_itself(
    bench: Bench, kind: str
) -> None:
    with impostor(kind, bench) as (server, bundle):
        bench.contoso.tenant.resources.add(server.url)
        run = bench.run({"environment_url": server.url, "ca_bundle": str(bundle)})
        bench.contoso.tenant.resources.discard(server.url)
    assert isinstance(run.error, ConfigError), repr(run.error)
    assert run.exit_code == 78
    assert "certificate that is not trusted" in str(run.error)
    assert server.handshakes == 1
    assert server.heard == b""


@CERTIFICATES
def test_t22_no_secret_goes_to_an_authority_that_cannot_prove_itself(
    bench: Bench, kind: str
) -> None:
    with impostor(kind, bench) as (server, bundle):
        run = bench.run({"authority_host": server.url, "ca_bundle": str(bundle)})
    assert isinstance(run.error, ConfigError), repr(run.error)
    assert "certificate that is not trusted" in str(run.error)
    assert server.heard == b""


def test_t22_a_name_that_does_not_resolve_may_resolve_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def resolve(host: str, *rest: Any, **named: Any) -> Any:  # noqa: ANN401 - the socket module's
        if host.endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    url = "https://contoso.operations.invalid"
    bench.contoso.tenant.resources.add(url)
    run = bench.run({"environment_url": url})
    bench.contoso.tenant.resources.discard(url)
    assert isinstance(run.error, TransientError)
    assert run.exit_code == 75
    assert "failed 8 times, last with no connection" in str(run.error)


def test_t22_a_netrc_does_not_replace_the_token(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = bench.tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login someone password netrc-canary\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(bench.tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    bench.survives(FULL)
    assert bench.arrivals
    assert all(a.asked.headers["authorization"].startswith("Bearer ") for a in bench.arrivals)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_t22_a_proxy_of_the_environment_hears_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What a proxy would answer (407) does not matter: there is no way to it."""
    with elsewhere() as proxy:
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        bench.survives(FULL)
        proxy.assert_nobody_came()


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_t22_the_bundle_of_the_settings_wins(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    other = bench.tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    monkeypatch.setenv(name, str(other))
    bench.survives(FULL)


def test_t22_a_trusted_bundle_of_the_environment_opens_no_door(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings trust another authority; a variable must not add the impostor's."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bench.contoso.ca_bundle))
    other = bench.tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    run = bench.run({"ca_bundle": str(other)})
    assert isinstance(run.error, ConfigError)
    assert "not trusted" in str(run.error)
