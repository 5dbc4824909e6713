"""Who may read: F&O's own checks of an access token.

A token with a good signature is not enough (MicrosoftDocs,
``troubleshoot-service-authentication.md``): ``aud`` must be the environment's URL to the letter,
``tid`` the environment's tenant, ``oid`` present, and the application registered under *Microsoft
Entra ID applications*. Everything else is a 401.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class TokenVerifier(Protocol):
    """The part of Entra ID that the environment relies on."""

    def claims(self, token: str) -> Mapping[str, object] | None:
        """Return the claims if the signature holds and the token is within its time."""


@dataclass(slots=True)
class Gate:
    """Decides whether a request may enter.

    Attributes:
        tokens: Checks signature and time.
        tenant_id: The environment's tenant.
        applications: Client ids registered in F&O; may change while serving.
        fixed_tokens: Tokens taken without any check, for clients that send a constant to a server
            on localhost (``mafzaal/d365fo-client``, ``auth.py``); none by default.
    """

    tokens: TokenVerifier
    tenant_id: str
    applications: set[str]
    fixed_tokens: frozenset[str] = field(default=frozenset())

    def admits(self, authorization: str, *, audience: str) -> bool:
        """Tell whether the Authorization header opens the environment at ``audience``."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return False
        if token in self.fixed_tokens:
            return True
        claims = self.tokens.claims(token)
        return (
            claims is not None
            and claims.get("aud") == audience
            and claims.get("tid") == self.tenant_id
            and bool(claims.get("oid"))
            and claims.get("appid") in self.applications
        )
