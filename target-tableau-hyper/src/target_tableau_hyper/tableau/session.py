"""One signed-in session with Tableau Server or Cloud.

A personal access token has one session: signing in elsewhere with the same token ends this one. So
a run signs in once, renews the session once when it was ended, and signs out at the end.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self, TypeVar

import tableauserverclient as TSC  # noqa: N812 - its own documentation's name
from tableauserverclient.server.endpoint.exceptions import (
    FailedSignInError,
    NotSignedInError,
    TableauError,
)

from pipeline_core.errors import AuthError, ConfigError, PipelineError, TransientError
from target_tableau_hyper.tableau.failures import named_failures, session_ended
from target_tableau_hyper.tableau.transport import TIMEOUT_S, new_session
from target_tableau_hyper.tableau.upload import ChunkedUploads

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from target_tableau_hyper.settings import TableauSettings

#: Half of the first wait before something is tried again; each further one is twice as long.
PAUSE_S = 0.5

_Result = TypeVar("_Result")


class TableauSession:
    """A signed-in tableauserverclient with timeouts, retries and renewal."""

    def __init__(self, settings: TableauSettings, logger: logging.Logger) -> None:
        """Prepare; nothing is sent before :meth:`sign_in`."""
        self.settings = settings
        self._logger = logger
        options: dict[str, object] = {"timeout": TIMEOUT_S}
        if settings.ca_bundle is not None:
            # As an option of every request it wins over REQUESTS_CA_BUNDLE of the environment.
            options["verify"] = str(settings.ca_bundle)
        try:
            self.server = TSC.Server(  # type: ignore[no-untyped-call]
                settings.server_url, http_options=options, session_factory=new_session
            )
        except ValueError as error:
            message = f"tableau_server_url {settings.server_url!r} is no address of a server"
            raise ConfigError(message) from error
        self.server.fileuploads = ChunkedUploads(self.server, settings.chunk_bytes, logger)

    def __enter__(self) -> Self:
        """Sign in."""
        self.sign_in()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Sign out."""
        self.sign_out()

    def sign_in(self) -> None:
        """Open the session.

        Raises:
            AuthError: the token was refused.
            TransientError: the server cannot be reached.
        """
        where = f"signing in to {self.settings.server_url}"
        with named_failures(where):
            # Its own version detection swallows every failure and goes on with an API of 2016.
            info = self.server.server_info.get()
        if info is None:
            message = f"{where} failed: the server does not say which version it has"
            raise TransientError(message)
        self.server.version = info.rest_api_version
        credentials = TSC.PersonalAccessTokenAuth(
            self.settings.token_name, self.settings.token_value, site_id=self.settings.site
        )
        try:
            with named_failures(where):
                self.server.auth.sign_in(credentials)
        except AuthError as error:
            message = (
                f"{where} was refused for token {self.settings.token_name!r} on site "
                f"{self.settings.site!r}: check tableau_token_name, tableau_token_value and "
                "tableau_site; tokens end after a year, and when unused for 15 days"
            )
            raise AuthError(message) from error
        self._logger.info(
            "signed in to %s, site %r, REST API %s",
            self.settings.server_url,
            self.settings.site,
            self.server.version,
        )

    def sign_out(self) -> None:
        """Close the session; a failure here changes nothing of what was done."""
        try:
            with named_failures("signing out"):
                self.server.auth.sign_out()
        except PipelineError as error:
            self._logger.info("could not sign out: %s", error)
        self.server.close()

    def call(
        self, action: Callable[[TSC.Server], _Result], *, doing: str, tries: int = 1
    ) -> _Result:
        """Run one or more requests; when the session was ended meanwhile, sign in and repeat once.

        Args:
            action: What to do; a 401 is never executed, so after one it starts again.
            doing: The same in words, for messages.
            tries: How often to try when an answer is lost or the server is in trouble; more than
                one
                only for what may be executed twice without harm.

        Raises:
            PipelineError: it did not work.
        """
        for attempt in range(1, tries):
            try:
                return self._call_once(action, doing)
            except TransientError as error:
                self._logger.info("%s; trying again", error)
                time.sleep(PAUSE_S * 2**attempt)
        return self._call_once(action, doing)

    def _call_once(self, action: Callable[[TSC.Server], _Result], doing: str) -> _Result:
        try:
            return action(self.server)
        except (FailedSignInError, NotSignedInError) as error:
            if not session_ended(error):
                with named_failures(doing):
                    raise
        except (TableauError, OSError):
            with named_failures(doing):
                raise
        self._logger.info("the session was ended; signing in again")
        self.sign_in()
        with named_failures(doing):
            return action(self.server)
