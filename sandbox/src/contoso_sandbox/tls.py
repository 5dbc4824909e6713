"""A throw-away certificate authority for the loopback servers."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Tls:
    """Files of one throw-away authority: what a client trusts, what a server shows.

    Attributes:
        ca_bundle: PEM of the authority; clients pass it as their CA bundle.
        server_chain: PEM with the server's key and certificate chain.
    """

    ca_bundle: Path
    server_chain: Path

    def client_context(self) -> ssl.SSLContext:
        """A verifying context that trusts this authority alone."""
        return ssl.create_default_context(cafile=str(self.ca_bundle))


def create_tls(directory: Path) -> Tls:
    """Issue a new authority and one certificate for ``127.0.0.1`` and ``localhost``.

    An authority already in ``directory`` is kept, so that a restarted sandbox is still trusted by
    the shells that learned of it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    tls = Tls(ca_bundle=directory / "ca.pem", server_chain=directory / "server.pem")
    if tls.ca_bundle.exists() and tls.server_chain.exists():
        return tls
    authority = trustme.CA(organization_name="Contoso sandbox")
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    tls.server_chain.touch(mode=0o600)
    certificate.private_key_and_cert_chain_pem.write_to_path(str(tls.server_chain))
    authority.cert_pem.write_to_path(str(tls.ca_bundle))
    return tls
