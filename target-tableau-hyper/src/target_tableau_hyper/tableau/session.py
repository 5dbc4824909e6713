"""One signed-in session with Tableau Server or Cloud.

A personal access token has one session: signing in elsewhere with the same token ends this one. So
a run signs in once, renews the session when it was ended, and signs out at the end. Two runs with
one token would end each other's sessions for ever; a session that is cut short twice ends the run.
"""

from __future__ import annotations

import logging
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
from target_tableau_hyper.tableau.identity import (
    credentials,
    described,
    what_to_check,
    why_sessions_end,
)
from target_tableau_hyper.tableau.transport import TIMEOUT_S, new_session
from target_tableau_hyper.tableau.upload import ChunkedUploads

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_tableau_hyper.settings import TableauSettings

#: How often something is tried.
TRIES = 3

#: Half of the first wait before something is tried again; each further one is twice as long.
PAUSE_S = 0.5

#: A session that ends sooner was ended by somebody: Tableau Cloud's live 120 minutes, Server's 240.
_SHORT_LIFE_S = 600.0

#: How often that is put up with.
_MOST_CUT_SHORT = 1

_Result = TypeVar("_Result")

# tableauserverclient tells of every request at INFO; what matters of them is told here.
logging.getLogger("TSC").setLevel(logging.WARNING)


class TableauSession:
    """A signed-in tableauserverclient with timeouts, retries and renewal."""

    def __init__(
        self,
        settings: TableauSettings,
        logger: logging.Logger,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is sent before :meth:`sign_in`."""
        self.settings = settings
        self._logger = logger
        self._clock = clock
        self._signed_in_at = 0.0
        self._cut_short = 0
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
        self._repeated(self._sign_in_once, TRIES)
        self._logger.info(
            "signed in to %s, site %r, REST API %s",
            self.settings.server_url,
            self.settings.site,
            self.server.version,
        )

    def _sign_in_once(self) -> None:
        where = f"signing in to {self.settings.server_url}"
        with named_failures(where):
            # Its own version detection swallows every failure and goes on with an API of 2016.
            info = self.server.server_info.get()
        if info is None:
            message = f"{where} failed: the server does not say which version it has"
            raise TransientError(message)
        self.server.version = info.rest_api_version
        identity = self.settings.identity
        try:
            with named_failures(where):
                self.server.auth.sign_in(credentials(identity, self.settings.site))
        except AuthError as error:
            message = (
                f"{where} was refused for {described(identity)} on site {self.settings.site!r}: "
                f"{what_to_check(identity)}"
            )
            raise AuthError(message) from error
        self._signed_in_at = self._clock()

    def sign_out(self) -> None:
        """Close the session; a failure here changes nothing of what was done."""
        try:
            with named_failures("signing out"):
                self.server.auth.sign_out()
        except PipelineError as error:
            self._logger.info("could not sign out: %s", error)
        self.server.close()

    def call(
        self, action: Callable[[TSC.Server], _Result], *, doing: str, tries: int = TRIES
    ) -> _Result:
        """Run requests; what fails on the way is tried again, after an ended session a new one.

        Args:
            action: What to do; it must do no harm when it is done twice.
            doing: The same in words, for messages.
            tries: How often to try.

        Raises:
            PipelineError: it did not work.
        """
        return self._repeated(lambda: self._call_once(action, doing), tries)

    def _repeated(self, attempt: Callable[[], _Result], tries: int) -> _Result:
        for number in range(1, tries):
            try:
                return attempt()
            except TransientError as error:
                if error.retry_at is not None:
                    raise
                self._logger.info("%s; trying again", error)
                time.sleep(PAUSE_S * 2**number)
        return attempt()

    def _renew(self) -> None:
        """Sign in again, unless somebody keeps ending our sessions.

        Raises:
            AuthError: they are, as by another process with the same token; or it was refused.
        """
        lived_s = self._clock() - self._signed_in_at
        self._cut_short += lived_s < _SHORT_LIFE_S
        if self._cut_short > _MOST_CUT_SHORT:
            message = (
                f"the session of {described(self.settings.identity)} was ended again after "
                f"{lived_s:.0f} s: {why_sessions_end(self.settings.identity)}"
            )
            raise AuthError(message)
        self._logger.info("the session was ended after %.0f s; signing in again", lived_s)
        self.sign_in()

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
        self._renew()
        with named_failures(doing):
            return action(self.server)
