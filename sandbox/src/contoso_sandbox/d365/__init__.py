"""Dynamics 365 Finance & Operations as far as a reader sees it: ``/data`` and ``/metadata``."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from contoso_sandbox.d365.app import LOGGED, Shell
from contoso_sandbox.d365.bearer import Gate, TokenVerifier
from contoso_sandbox.d365.listing import Listings
from contoso_sandbox.d365.reading import EmptyReader, Reader
from contoso_sandbox.d365.request_log import LoggedRequest, RequestLog
from contoso_sandbox.d365.service import Service
from contoso_sandbox.d365.traits import FINANCE_AND_OPERATIONS, NumbersAsStrings, Traits
from contoso_sandbox.faults import Asked, Faults

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from duckdb import DuckDBPyConnection
    from starlette.types import ASGIApp, Scope

    from contoso_sandbox.faults.wire import Sent
    from contoso_sandbox.model import Environment

__all__ = ["D365", "LoggedRequest", "NumbersAsStrings", "RequestLog", "TokenVerifier", "Traits"]


class D365:
    """One environment.

    Attributes:
        app: The ASGI application: the environment behind its layer of faults.
        faults: What goes wrong; nothing, until a test says so.
        requests: What was asked and how many rows travelled.
        applications: Client ids registered in the environment; a token of any other gets 401.
    """

    def __init__(
        self,
        environment: Environment,
        cursor: Callable[[], DuckDBPyConnection] | None,
        tokens: TokenVerifier,
        *,
        tenant_id: str,
        applications: Collection[str],
        default_company: str,
        page_size: int = 10_000,
        fixed_tokens: Collection[str] = (),
        traits: Traits = FINANCE_AND_OPERATIONS,
    ) -> None:
        """Serve ``environment`` from a DuckDB database.

        Args:
            environment: What is published; one table per set, as ``contoso_sandbox.model`` says.
            cursor: Makes a cursor for one request, which closes it. Every change to a row must
                change its ``__rec_version`` or its row id; the server remembers orders by these.
                ``None`` for an environment whose sets are all empty.
            tokens: Checks the signature of access tokens.
            tenant_id: The tenant that tokens must come from.
            applications: Client ids registered at the start.
            default_company: Company of the application user.
            page_size: Most rows in one answer.
            fixed_tokens: Bearer tokens accepted unchecked.
            traits: In what the server differs from F&O; ``traits`` may be set later, too.
        """
        self.applications = set(applications)
        self.requests = RequestLog()
        reader = (
            EmptyReader(environment, page_size)
            if cursor is None
            else Reader(environment, cursor, Listings(), default_company, page_size)
        )
        gate = Gate(tokens, tenant_id, self.applications, frozenset(fixed_tokens))
        self._shell = Shell(Service(reader, traits), gate, url="")
        self.faults = Faults(self._shell, self._record)
        self.app: ASGIApp = self.faults

    @property
    def traits(self) -> Traits:
        """In what the server differs from F&O."""
        return self._shell.service.traits

    @traits.setter
    def traits(self, traits: Traits) -> None:
        self._shell.service.traits = traits

    @property
    def url(self) -> str:
        """The environment's URL: start of every link and audience of every token."""
        return self._shell.url

    @url.setter
    def url(self, url: str) -> None:
        self._shell.url = url.rstrip("/")

    def prepare(self) -> None:
        """Write large metadata documents now, instead of at the first request for them."""
        self._shell.service.prepare(self.url)

    def _record(self, scope: Scope, sent: Sent, fault: str) -> None:
        # Before the answer leaves: whoever has received it finds it in the log.
        logged: LoggedRequest | None = scope.get(LOGGED)
        if logged is None:  # a fault answered in the environment's place
            asked = Asked.of(scope)
            logged = LoggedRequest(
                at=datetime.now(UTC),
                method=asked.method,
                path=asked.path,
                query=asked.query,
                entity_set=asked.entity_set,
                status=sent.status,
                rows=0,
                bytes=sent.bytes,
                duration_ms=0,
            )
        rows = logged.rows if sent.rows is None else sent.rows
        self.requests.add(
            replace(logged, status=sent.status, rows=rows, bytes=sent.bytes, fault=fault)
        )
