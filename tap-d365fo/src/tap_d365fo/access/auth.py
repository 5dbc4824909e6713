"""Tokens from Entra ID by client credentials, renewed by themselves."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import msal
import requests
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from pipeline_core.errors import AuthError, ConfigError, TransientError
from pipeline_core.redaction import REDACTOR

if TYPE_CHECKING:
    from pathlib import Path

    from tap_d365fo.settings import Settings

_TOKEN_TIMEOUT_S = (10, 60)

#: Attempts at the token endpoint; each failure is transient by what it says or by how it fails.
_ATTEMPTS = 4

#: OAuth errors that waiting cannot mend (RFC 6749, section 5.2), and what to look at.
_HINTS = {
    "invalid_client": "check client_id and the secret or certificate (expired?)",
    "unauthorized_client": "check client_id and tenant_id",
    "invalid_request": "check tenant_id",
    "invalid_scope": "check environment_url: it is the audience that the token is asked for",
    "invalid_resource": "check environment_url: the tenant does not know it",
    "invalid_grant": "check the application's permissions in the tenant",
}


class TokenProvider:
    """One per tap: every worker asks it before each request.

    MSAL keeps the token in memory and fetches a new one some minutes before it expires.
    """

    def __init__(self, settings: Settings, http: requests.Session) -> None:
        """Prepare; nothing is sent before the first :meth:`token`."""
        self._scope = f"{settings.environment_url}/.default"
        self._authority = f"{settings.authority_host}/{settings.tenant_id}"
        self._client_id = settings.client_id
        self._credential = _credential(settings)
        self._http = _MsalTransport(http)
        self._lock = threading.Lock()
        self._app: msal.ConfidentialClientApplication | None = None

    def token(self) -> str:
        """A bearer token for the environment.

        Raises:
            AuthError: Entra ID refuses the application.
            TransientError: Entra ID cannot be reached or is out of order.
        """
        with self._lock:
            for _ in range(_ATTEMPTS - 1):
                try:
                    return self._acquire()
                except TransientError:
                    continue
            return self._acquire()

    def renew(self, refused: str) -> None:
        """Forget the token that a server refused, so that the next one is new.

        Where several workers were refused with one token, only the first call forgets it.
        """
        with self._lock:
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
        except (requests.RequestException, ValueError) as error:
            # MSAL raises ValueError where discovery or the answer is not what OpenID promises.
            message = (
                f"Entra ID at {self._authority} gave no usable answer ({type(error).__name__}); "
                "check tenant_id, authority_host and the network"
            )
            raise TransientError(message) from error
        token = answer.get("access_token")
        if isinstance(token, str):
            REDACTOR.add(token)
            return token
        raise _refusal(answer)


class _MsalTransport:
    """The two calls that MSAL makes, with a timeout and without redirects."""

    def __init__(self, session: requests.Session) -> None:
        self._session = session

    def post(self, url: str, **kwargs: Any) -> requests.Response:  # noqa: ANN401 - MSAL's own protocol
        return self._send("POST", url, **kwargs)

    def get(self, url: str, **kwargs: Any) -> requests.Response:  # noqa: ANN401 - MSAL's own protocol
        return self._send("GET", url, **kwargs)

    def close(self) -> None:
        self._session.close()

    def _send(self, method: str, url: str, **kwargs: Any) -> requests.Response:  # noqa: ANN401
        kwargs.setdefault("timeout", _TOKEN_TIMEOUT_S)
        return self._session.request(method, url, allow_redirects=False, **kwargs)


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
