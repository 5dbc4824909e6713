"""The tenant: app registrations, resources, the signing key, tokens."""

from __future__ import annotations

import base64
import hmac
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid4, uuid5

import jwt
from cryptography.hazmat.primitives import serialization
from jwt.algorithms import RSAAlgorithm

from contoso_sandbox.entra import errors
from contoso_sandbox.entra.certificates import new_key, self_signed, thumbprints

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cryptography.x509 import Certificate

#: Difference of clocks that Entra ID tolerates in assertions.
_CLOCK_SKEW_S = 300
#: MSAL signs with PS256 when it knows the SHA-256 thumbprint, with RS256 when only the SHA-1 one.
_ASSERTION_ALGORITHMS = ("PS256", "RS256")


@dataclass(frozen=True, slots=True)
class Registration:
    """One app registration of the tenant.

    Attributes:
        client_id: The application id.
        secret: Its client secret's value, if it has one.
        certificate: Its registered certificate, if it has one.
    """

    client_id: str
    secret: str | None = None
    certificate: Certificate | None = None


class Tenant:
    """Issues access tokens for the client credentials flow and checks them again.

    Attributes:
        resources: Application ID URIs that tokens may be asked for, without a slash at the end.
        token_life_s: Seconds that a token lives; Entra ID says 3599 (``expires_in``).
    """

    def __init__(
        self,
        tenant_id: str,
        *,
        domain: str = "contoso.onmicrosoft.com",
        token_life_s: int = 3599,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Create a tenant with a signing key of its own and no registrations."""
        self.tenant_id = tenant_id
        self.domain = domain
        self.token_life_s = token_life_s
        self.resources: set[str] = set()
        self._clock = clock
        self._registrations: dict[str, Registration] = {}
        self.roll_key()

    def roll_key(self) -> None:
        """Sign with a new key from now on; tokens issued before are worth nothing."""
        self._key = new_key()
        self._certificate = self_signed(self._key, "accounts.accesscontrol.windows.net")
        self._key_id = thumbprints(self._certificate)["x5t"]

    def register(self, registration: Registration) -> None:
        """Add an app registration, or replace the one with its client id."""
        self._registrations[registration.client_id] = registration

    def is_me(self, name: str) -> bool:
        """Tell whether ``name`` (GUID or domain) names this tenant."""
        return name.lower() in {self.tenant_id.lower(), self.domain.lower()}

    def registration(self, client_id: str) -> Registration:
        """Return the app registration.

        Raises:
            RefusedError: AADSTS700016, there is none.
        """
        registration = self._registrations.get(client_id.lower())
        if registration is None:
            raise errors.unknown_application(client_id, self.tenant_id)
        return registration

    def check_secret(self, registration: Registration, secret: str) -> None:
        """Accept the registered secret.

        Raises:
            RefusedError: AADSTS7000215, it is another one.
        """
        expected = (registration.secret or "").encode()
        if not expected or not hmac.compare_digest(expected, secret.encode()):
            raise errors.wrong_secret(registration.client_id)

    def check_assertion(
        self, registration: Registration, assertion: str, *, audiences: frozenset[str]
    ) -> None:
        """Accept a JWT signed with the registered certificate for one of ``audiences``.

        Raises:
            RefusedError: AADSTS700027, 700024 or 700023, by what is wrong.
        """
        certificate = registration.certificate
        try:
            header = jwt.get_unverified_header(assertion)
        except jwt.InvalidTokenError as error:
            reason = "The assertion is not a JWT."
            raise errors.bad_assertion(reason) from error
        names = {} if certificate is None else thumbprints(certificate)
        # MSAL for Python leaves base64's padding on, which RFC 7515 takes off.
        given = {name: str(header.get(name, "")).rstrip("=") for name in ("x5t#S256", "x5t")}
        if certificate is None or not any(names[name] == given[name] for name in names):
            shown = given["x5t#S256"] or given["x5t"]
            reason = f"The key was not found., Thumbprint of key used by client: '{shown}'"
            raise errors.bad_assertion(reason)
        claims = self._assertion_claims(assertion, certificate)
        if claims.get("aud") not in audiences:
            raise errors.wrong_assertion_audience(claims.get("aud"))
        if not claims.get("iss") == claims.get("sub") == registration.client_id:
            raise errors.wrong_assertion_audience(claims.get("iss"))

    def _assertion_claims(self, assertion: str, certificate: Certificate) -> Mapping[str, object]:
        try:
            claims: dict[str, Any] = jwt.decode(
                assertion,
                certificate.public_key(),  # type: ignore[arg-type]  # registered ones are RSA
                algorithms=list(_ASSERTION_ALGORITHMS),
                options={
                    "verify_aud": False,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "require": ["exp", "iss", "sub", "aud"],
                },
            )
        except jwt.InvalidTokenError as error:
            reason = "The signature is invalid."
            raise errors.bad_assertion(reason) from error
        now = self._clock()
        begins = float(claims.get("nbf", 0)) - _CLOCK_SKEW_S
        if not begins <= now <= float(claims["exp"]) + _CLOCK_SKEW_S:
            raise errors.expired_assertion()
        return claims

    def issue(self, registration: Registration, audience: str, *, by_certificate: bool) -> str:
        """Sign an access token for ``audience``.

        F&O takes v1 tokens (``ver`` 1.0, issuer sts.windows.net, ``appid``), whichever endpoint
        they are asked from.

        Raises:
            RefusedError: AADSTS500011, no such resource in the tenant.
        """
        if audience.rstrip("/") not in self.resources:
            raise errors.unknown_resource(audience, self.tenant_id)
        now = int(self._clock())
        principal = str(uuid5(NAMESPACE_URL, f"{self.tenant_id}/{registration.client_id}"))
        claims = {
            "aud": audience,
            "iss": self.issuer,
            "iat": now,
            "nbf": now,
            "exp": now + self.token_life_s,
            "aio": uuid4().hex,
            "appid": registration.client_id,
            "appidacr": "2" if by_certificate else "1",
            "idp": self.issuer,
            "idtyp": "app",
            "oid": principal,
            "sub": principal,
            "tid": self.tenant_id,
            "uti": uuid4().hex,
            "ver": "1.0",
        }
        headers = {"kid": self._key_id, "x5t": self._key_id}
        return jwt.encode(claims, self._key, algorithm="RS256", headers=headers)

    def claims(self, token: str) -> Mapping[str, object] | None:
        """Return the claims of a token of this tenant that is within its time, else ``None``."""
        try:
            claims: dict[str, object] = jwt.decode(
                token,
                self._key.public_key(),
                algorithms=["RS256"],
                issuer=self.issuer,
                options={
                    "verify_aud": False,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.InvalidTokenError:
            return None
        begins, ends = claims.get("nbf"), claims.get("exp")
        if not isinstance(begins, int) or not isinstance(ends, int):
            return None
        return claims if begins <= self._clock() < ends else None

    @property
    def issuer(self) -> str:
        """Issuer of v1 tokens."""
        return f"https://sts.windows.net/{self.tenant_id}/"

    def public_keys(self) -> dict[str, object]:
        """Return the JSON Web Key Set that tokens can be checked with."""
        key = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        der = self._certificate.public_bytes(serialization.Encoding.DER)
        named = {"use": "sig", "kid": self._key_id, "x5t": self._key_id}
        return {"keys": [{**key, **named, "x5c": [base64.b64encode(der).decode()]}]}
