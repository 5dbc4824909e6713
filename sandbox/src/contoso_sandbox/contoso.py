"""The whole box: Entra ID, D365 F&O and Tableau Server of one state directory."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from os import getpid
from typing import TYPE_CHECKING, Self

import duckdb
from cryptography import x509

from contoso_sandbox.control import create_control_app
from contoso_sandbox.d365 import D365
from contoso_sandbox.entra import Registration, Tenant, create_app
from contoso_sandbox.faults import Faults
from contoso_sandbox.serving import HttpsServer
from contoso_sandbox.state import Credentials, RunningBox, forget_running, meltano_settings
from contoso_sandbox.tableau import TableauServer
from contoso_sandbox.tls import create_tls
from contoso_sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from contoso_sandbox.tls import Tls


class AlreadyRunningError(RuntimeError):
    """Another process runs a box on the same directory."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports on 127.0.0.1; 0 lets the system choose a free one."""

    control: int = 0
    entra: int = 0
    d365: int = 0
    tableau: int = 0

    @classmethod
    def from_base(cls, base: int) -> Self:
        """Take four ports in a row."""
        return cls(base, base + 1, base + 2, base + 3)


class Contoso:
    """A running box; also a context manager that stops it.

    Attributes:
        directory: Where the state lives; a box started there again keeps data, credentials, trust.
        credentials: What clients sign in with.
        ca_bundle: PEM that clients must trust.
        world: The data behind D365.
        tenant: Entra ID.
        entra_faults: What goes wrong at the tenant's endpoints.
        d365: The environment; ``d365.requests`` tells what was read, ``d365.faults`` what goes
            wrong.
        tableau: The Tableau site.
    """

    def __init__(
        self,
        directory: Path,
        *,
        credentials: Credentials,
        tls: Tls,
        world: World,
        tableau: TableauServer,
        page_size: int,
        token_life_s: int,
        fixed_tokens: tuple[str, ...],
    ) -> None:
        """Wire the parts without serving them yet; ``start`` is the way to a running box."""
        self.directory = directory
        self.credentials = credentials
        self.ca_bundle = tls.ca_bundle
        self.world = world
        self.tableau = tableau
        self.tenant = Tenant(credentials.tenant_id, token_life_s=token_life_s)
        certificate = x509.load_pem_x509_certificate(credentials.client_certificate.read_bytes())
        self.tenant.register(
            Registration(credentials.client_id, credentials.client_secret, certificate)
        )
        self.entra_faults = Faults(create_app(self.tenant))
        self.d365 = D365(
            world.environment,
            world.cursor,
            self.tenant,
            tenant_id=credentials.tenant_id,
            applications=[credentials.client_id],
            default_company=world.default_company,
            page_size=page_size,
            fixed_tokens=fixed_tokens,
        )
        tableau.add_token(credentials.token_name, credentials.token_value)
        tableau.trust_receivers(tls.ca_bundle)
        self._tls = tls
        self._parts = ExitStack()
        self._running: RunningBox | None = None

    @classmethod
    def start(
        cls,
        directory: Path,
        *,
        scale: float = 1.0,
        seed: int = 7,
        page_size: int = 10_000,
        ports: Ports = Ports(),
        token_life_s: int = 3599,
        fixed_tokens: tuple[str, ...] = (),
    ) -> Self:
        """Open or create the state in ``directory`` and serve it.

        Args:
            directory: Home of the state; created if missing.
            scale: Size of the data, used when it is first made; 1.0 is the demo's.
            seed: Seed of the data, likewise.
            page_size: Most rows in one answer of D365.
            ports: Where to listen.
            token_life_s: Life of access tokens in seconds.
            fixed_tokens: Bearer tokens that D365 takes unchecked.

        Raises:
            AlreadyRunningError: A living process serves ``directory``.
            PortBusyError: One of ``ports`` is taken.
        """
        if running := RunningBox.of(directory):
            message = f"a sandbox already runs on {directory} (process {running.pid})"
            raise AlreadyRunningError(message)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with ExitStack() as parts:
            world = _open_world(directory, seed=seed, scale=scale)
            parts.callback(world.close)
            tableau = TableauServer(directory / "tableau")
            parts.callback(tableau.close)
            box = cls(
                directory,
                credentials=Credentials.kept_in(directory),
                tls=create_tls(directory / "tls"),
                world=world,
                tableau=tableau,
                page_size=page_size,
                token_life_s=token_life_s,
                fixed_tokens=fixed_tokens,
            )
            box._serve(ports, parts)
            box._parts = parts.pop_all()
        return box

    def _serve(self, ports: Ports, parts: ExitStack) -> None:
        control_token = secrets.token_urlsafe(32)
        control = create_control_app(self, control_token)
        servers: list[HttpsServer] = []
        parts.callback(_stop_together, servers)
        for app, port in (
            (control, ports.control),
            (self.entra_faults, ports.entra),
            (self.d365.app, ports.d365),
            (self.tableau.app, ports.tableau),
        ):
            servers.append(HttpsServer(app, self._tls, port=port))
        control_url, entra_url, d365_url, tableau_url = (server.url for server in servers)
        self.d365.url = d365_url
        self.tenant.resources.add(self.d365.url)
        for server in servers:
            server.start()
        self._running = RunningBox(
            pid=getpid(),
            control_url=control_url,
            entra_url=entra_url,
            d365_url=d365_url,
            tableau_url=tableau_url,
            ca_bundle=str(self.ca_bundle.resolve()),
            control_token=control_token,
        )
        self._running.announce(self.directory)
        parts.callback(forget_running, self.directory)

    @property
    def running(self) -> RunningBox:
        """Addresses of the box.

        Raises:
            RuntimeError: It has been stopped.
        """
        if self._running is None:
            message = "the sandbox is not running"
            raise RuntimeError(message)
        return self._running

    @property
    def control_url(self) -> str:
        """URL of the control endpoint."""
        return self.running.control_url

    @property
    def entra_url(self) -> str:
        """URL of Entra ID: the ``authority_host``."""
        return self.running.entra_url

    @property
    def d365_url(self) -> str:
        """URL of the environment."""
        return self.running.d365_url

    @property
    def tableau_url(self) -> str:
        """URL of Tableau Server."""
        return self.running.tableau_url

    def settings(self) -> dict[str, str]:
        """Return the environment variables that point Meltano's plugins at this box."""
        return meltano_settings(self.running, self.credentials)

    def stop(self) -> None:
        """Stop serving and close the state; a second call does nothing."""
        self._running = None
        self._parts.close()

    def __enter__(self) -> Self:
        """Return the running box."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()


def _open_world(directory: Path, *, seed: int, scale: float) -> World:
    try:
        return World.open(directory, seed=seed, scale=scale)
    except duckdb.IOException as error:
        # Two boxes started at the same time; DuckDB lets one process in.
        if "lock" not in str(error):
            raise
        message = f"another process has the data of {directory} open"
        raise AlreadyRunningError(message) from error


def _stop_together(servers: Sequence[HttpsServer]) -> None:
    # A client's idle connection delays each server by up to a second; one second for all is enough.
    with ThreadPoolExecutor(max(1, len(servers))) as pool:
        list(pool.map(HttpsServer.stop, servers))
