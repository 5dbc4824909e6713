"""Another environment than Contoso's, with its tenant, behind HTTPS."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

import duckdb
from cryptography import x509

from contoso_sandbox.d365 import D365, Traits
from contoso_sandbox.entra import Registration, Tenant, create_app
from contoso_sandbox.faults import Faults
from contoso_sandbox.serving import HttpsServer
from contoso_sandbox.state import Credentials, tap_settings
from contoso_sandbox.tables import Tables
from contoso_sandbox.tls import create_tls

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from contoso_sandbox.model import Environment


class EnvironmentBox:
    """A running environment; also a context manager that stops it.

    Attributes:
        environment: What is published.
        credentials: What clients sign in with.
        ca_bundle: PEM that clients must trust.
        tenant: Entra ID.
        entra_faults: What goes wrong at the tenant's endpoints.
        d365: The environment's services; ``d365.faults``, ``d365.traits``, ``d365.requests``.
        tables: Adds, changes and removes rows, where there are tables.
    """

    def __init__(
        self,
        directory: Path,
        environment: Environment,
        *,
        stored: bool = True,
        default_company: str = "usmf",
        page_size: int = 10_000,
        fixed_tokens: tuple[str, ...] = (),
        traits: Traits | None = None,
    ) -> None:
        """Serve ``environment`` from now on.

        Args:
            directory: Home of credentials and certificate authority.
            environment: What is published.
            stored: Whether there are tables, in memory; otherwise every set is empty.
            default_company: Company of the application's user.
            page_size: Most rows in one answer.
            fixed_tokens: Bearer tokens taken unchecked.
            traits: In what the server differs from F&O.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self.environment = environment
        self.credentials = Credentials.kept_in(directory)
        self.tenant = Tenant(self.credentials.tenant_id)
        pem = self.credentials.client_certificate.read_bytes()
        self.tenant.register(
            Registration(
                self.credentials.client_id,
                self.credentials.client_secret,
                x509.load_pem_x509_certificate(pem),
            )
        )
        self.entra_faults = Faults(create_app(self.tenant))
        self._parts = ExitStack()
        database = self._parts.enter_context(duckdb.connect(":memory:")) if stored else None
        self.d365 = D365(
            environment,
            None if database is None else database.cursor,
            self.tenant,
            tenant_id=self.credentials.tenant_id,
            applications=[self.credentials.client_id],
            default_company=default_company,
            page_size=page_size,
            fixed_tokens=fixed_tokens,
            traits=traits or Traits(),
        )
        self._tables = None if database is None else Tables(environment, database.cursor)
        if self._tables is not None:
            self._tables.create()
        tls = create_tls(directory / "tls")
        self.ca_bundle = tls.ca_bundle
        servers = [HttpsServer(self.entra_faults, tls), HttpsServer(self.d365.app, tls)]
        self.entra_url, self.d365_url = (server.url for server in servers)
        self.d365.url = self.d365_url
        self.tenant.resources.add(self.d365_url)
        for server in servers:
            self._parts.callback(server.start().stop)

    @property
    def tables(self) -> Tables:
        """What adds, changes and removes rows.

        Raises:
            RuntimeError: All sets of this environment are empty for good.
        """
        if self._tables is None:
            message = "this environment has no tables"
            raise RuntimeError(message)
        return self._tables

    def settings(self) -> dict[str, str]:
        """Return the environment variables that point tap-d365fo at this environment."""
        return tap_settings(
            environment_url=self.d365_url,
            authority_host=self.entra_url,
            ca_bundle=str(self.ca_bundle.resolve()),
            credentials=self.credentials,
        )

    def stop(self) -> None:
        """Stop serving; a second call does nothing."""
        self._parts.close()

    def __enter__(self) -> Self:
        """Return the running environment."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()
