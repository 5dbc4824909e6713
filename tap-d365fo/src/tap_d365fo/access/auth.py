"""Tokens from Entra ID by client credentials, renewed by themselves."""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msal
import requests
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from pipeline_core.errors import AuthError, ConfigError, TransientError
from pipeline_core.redaction import REDACTOR
from pipeline_core.tls import is_untrusted
from tap_d365fo.access.body import BrokenBodyError, OversizeError, read_body
from tap_d365fo.access.deadline import RunDeadline
from tap_d365fo.access.retry import Backoff, Verdict, judge, parse_retry_after
from tap_d365fo.access.watched import watched_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tap_d365fo.settings import Settings

_TOKEN_TIMEOUT_S = (10, 60)

#: Seconds for a whole answer: the timeout above counts anew at every receive.
_ANSWER_DEADLINE_S = 120

#: The largest real answer, a discovery document, has 2 kB.
_LARGEST_ANSWER_BYTES = 1024 * 1024

#: A longer wait that Entra ID asks for is left to whoever starts the next run.
_LONGEST_WAIT_S = 300

_logger = logging.getLogger("tap-d365fo.auth")

#: OAuth errors that waiting cannot mend (RFC 6749, section 5.2), and what to look at.
_HINTS = {
    "invalid_client": "check client_id and the secret or certificate (expired?)",
    "unauthorized_client": "check client_id and tenant_id",
    "invalid_request": "check tenant_id",
    "invalid_scope": "check environment_url: it is the audience that the token is asked for",
    "invalid_resource": "check environment_url: the tenant does not know it",
    "invalid_grant": "check the application's permissions in the tenant",
}


class NoTokenError(TransientError):
    """Entra ID gives no token now; nothing can be read without one."""


class TokenProvider:
    """One per tap: every worker asks it before each request.

    MSAL keeps the token in memory and fetches a new one some minutes before it expires.
    """

    def __init__(
        self,
        settings: Settings,
        http: requests.Session,
        *,
        backoff: Backoff | None = None,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        chance: random.Random | None = None,
    ) -> None:
        """Prepare; nothing is sent before the first :meth:`token`."""
        self._scope = f"{settings.environment_url}/.default"
        self._authority = f"{settings.authority_host}/{settings.tenant_id}"
        self._client_id = settings.client_id
        self._credential = _credential(settings)
        self._http = _MsalTransport(http, monotonic)
        self._backoff = backoff or Backoff(attempts=5, cap_s=30.0)
        self._sleep = sleep
        self._chance = chance or random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._lock = threading.Lock()
        self._app: msal.ConfidentialClientApplication | None = None

    def token(self, deadline: RunDeadline | None = None) -> str:
        """A bearer token for the environment.

        Args:
            deadline: When the run must end, and every wait with it.

        Raises:
            AuthError: Entra ID refuses the application.
            ConfigError: the authority does not exist or is not trusted.
            NoTokenError: Entra ID cannot be reached or is out of order, or not well in time.
        """
        deadline = deadline or RunDeadline()
        with self._lock:
            self._http.deadline = deadline
            failures = 0
            while True:
                try:
                    return self._acquire()
                except TransientError as error:
                    failures += 1
                    named_s = error.wait_s if isinstance(error, _BusyError) else 0
                    if failures >= self._backoff.attempts or named_s > _LONGEST_WAIT_S:
                        raise NoTokenError(str(error), retry_at=error.retry_at) from error
                    # MSAL remembers a refusal and answers from memory; a new one asks again.
                    self._app = None
                    wait_s = max(named_s, self._backoff.wait_s(failures, chance=self._chance))
                    try:
                        deadline.check_wait(wait_s, str(error))
                    except TransientError as late:
                        raise NoTokenError(str(late), retry_at=late.retry_at) from error
                    _logger.warning("%s; again in %.1f s", error, wait_s)
                    self._sleep(wait_s)

    def renew(self, refused: str, deadline: RunDeadline | None = None) -> None:
        """Forget the token that a server refused, so that the next one is new.

        Where several workers were refused with one token, only the first call forgets it.
        """
        with self._lock:
            self._http.deadline = deadline or RunDeadline()
            if self._app is not None and self._acquire() == refused:
                self._app.remove_tokens_for_client()

    def _acquire(self) -> str:
        try:
            if self._app is None:
                self._app = msal.ConfidentialClientApplication(
                    self._client_id,
                    authority=self._authority,
                    client_credential=self._credential,
                    http_client=self._http,
                    # The authority is the operator's own setting; asking a public host whether it
                    # exists would fail in sovereign and closed networks.
                    instance_discovery=False,
                )
            answer: dict[str, Any] = self._app.acquire_token_for_client(scopes=[self._scope])
        except requests.RequestException as error:
            if is_untrusted(error):
                message = (
                    f"Entra ID at {self._authority} shows a certificate that is not trusted; check "
                    "authority_host, or set ca_bundle where it has a private authority"
                )
                raise ConfigError(message) from error
            message = f"Entra ID at {self._authority} cannot be reached ({type(error).__name__})"
            raise TransientError(message) from error
        except ValueError as error:
            # What MSAL raises where discovery is answered, but not with what OpenID promises.
            message = (
                f"Entra ID at {self._authority} knows no such tenant; check tenant_id and "
                "authority_host"
            )
            raise ConfigError(message) from error
        token = answer.get("access_token")
        if isinstance(token, str):
            REDACTOR.add(token)
            return token
        raise _refusal(answer)


class _BusyError(TransientError):
    """Entra ID names the time of the next attempt."""

    def __init__(self, message: str, wait_s: float) -> None:
        retry_at = datetime.now(UTC) + timedelta(seconds=min(wait_s, 366 * 86400))
        super().__init__(message, retry_at=retry_at)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class _Reply:
    """What MSAL wants to see of an answer."""

    status_code: int
    text: str
    headers: Mapping[str, str]

    def raise_for_status(self) -> None:
        if self.status_code >= 400:  # noqa: PLR2004 - what the name promises
            message = f"HTTP {self.status_code}"
            raise requests.HTTPError(message)


class _MsalTransport:
    """The two calls that MSAL makes: with a deadline, without redirects, whole or not at all.

    A busy or broken endpoint becomes our own failure here: MSAL would take a 429 for a refusal, a
    cut-off body for an unknown tenant, and let a 5xx through as an exception of many kinds.
    """

    def __init__(self, session: requests.Session, monotonic: Callable[[], float]) -> None:
        self._session = session
        self._monotonic = monotonic
        #: When the run must end.
        self.deadline = RunDeadline()

    def post(self, url: str, **kwargs: Any) -> _Reply:  # noqa: ANN401 - MSAL's protocol
        return self._send("POST", url, **kwargs)

    def get(self, url: str, **kwargs: Any) -> _Reply:  # noqa: ANN401 - MSAL's protocol
        return self._send("GET", url, **kwargs)

    def close(self) -> None:
        self._session.close()

    def _send(self, method: str, url: str, **kwargs: Any) -> _Reply:  # noqa: ANN401
        self.deadline.check("Entra ID was not asked")
        left_s = min(self.deadline.left_s, _ANSWER_DEADLINE_S)
        connect_s, silence_s = _TOKEN_TIMEOUT_S
        kwargs.setdefault("timeout", (min(connect_s, left_s), min(silence_s, left_s)))
        kwargs["headers"] = {**(kwargs.get("headers") or {}), "Accept-Encoding": "gzip"}
        ends = self._monotonic() + left_s

        def check_deadline() -> None:
            if self._monotonic() > ends:
                message = f"Entra ID sent no whole answer within {left_s:.0f} s"
                raise TransientError(message)

        with watched_headers(check_deadline):
            answered = self._session.request(
                method, url, allow_redirects=False, stream=True, **kwargs
            )
        with answered as response:
            status, headers = response.status_code, response.headers
            if judge(status) is Verdict.RETRY:
                message = f"Entra ID answered with HTTP {status}"
                wait_s = parse_retry_after(headers.get("Retry-After"), now=datetime.now(UTC))
                raise _BusyError(message, wait_s) if wait_s else TransientError(message)
            text = self._read(response, check_deadline)
        if judge(status) is Verdict.ACCEPT and not _is_usable(text):
            message = "Entra ID answered with something that is no token and no description"
            raise TransientError(message)
        return _Reply(status, text, headers)

    @staticmethod
    def _read(response: requests.Response, check_deadline: Callable[[], None]) -> str:
        try:
            body = read_body(
                response.raw, largest_bytes=_LARGEST_ANSWER_BYTES, check_deadline=check_deadline
            )
        except BrokenBodyError as error:
            message = f"Entra ID cannot be read: {error}"
            raise TransientError(message) from error
        except OversizeError as error:
            message = "Entra ID sent more than 1 MB in one answer"
            raise TransientError(message) from error
        return body.decode(errors="replace")


def _is_usable(text: str) -> bool:
    """Whether a successful answer is a JSON object, and its life, if it names one, a number."""
    try:
        document = json.loads(text)
        int(document.get("expires_in", 0))
    except (ValueError, TypeError, AttributeError):
        return False
    return True


def _refusal(answer: dict[str, Any]) -> AuthError | TransientError:
    """The failure that an OAuth error answer stands for; its free text stays out of the message."""
    error = str(answer.get("error") or "no error code")
    codes = ", ".join(f"AADSTS{code}" for code in answer.get("error_codes") or [])
    what = f"Entra ID refused the application: {error}{f' ({codes})' if codes else ''}"
    if error in {"temporarily_unavailable", "server_error"}:
        return TransientError(what)
    return AuthError(
        f"{what}; {_HINTS.get(error, 'look the code up in the Entra ID documentation')}"
    )


def _credential(settings: Settings) -> str | dict[str, str]:
    if settings.client_secret is not None:
        REDACTOR.add(settings.client_secret)
        return settings.client_secret
    assert settings.client_certificate is not None  # noqa: S101 - Settings demands one of the two
    return _certificate(settings.client_certificate)


def _certificate(path: Path) -> dict[str, str]:
    """The credential that MSAL wants: a private key, and the certificate that names it."""
    pem = path.read_text(encoding="ascii", errors="replace")
    try:
        serialization.load_pem_private_key(pem.encode(), password=None)
        x509.load_pem_x509_certificate(pem.encode())
    except (ValueError, TypeError) as error:
        message = (
            f"client_certificate {path} must hold an unencrypted private key and its certificate, "
            "both as PEM"
        )
        raise ConfigError(message) from error
    # MSAL finds each block in the text, and computes the SHA-256 thumbprint itself.
    return {"private_key": pem, "public_certificate": pem}
