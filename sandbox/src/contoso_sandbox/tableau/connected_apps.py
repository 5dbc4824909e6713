"""Connected apps with direct trust: JSON Web Tokens that an app signs on behalf of a user.

Rules of the help page "Configure Connected Apps with Direct Trust": HS256, the secret's id as
``kid``, the client id as ``iss``, audience ``tableau``, a life of ten minutes at most, every
``jti`` once, at least one scope.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import jwt

from contoso_sandbox.tableau import errors
from contoso_sandbox.tableau.times import to_rest

if TYPE_CHECKING:
    from contoso_sandbox.tableau.site import Accounts, User
    from contoso_sandbox.tableau.store import Database
    from contoso_sandbox.tableau.times import Clock

_LONGEST_LIFE = timedelta(minutes=10)
#: "Access Scopes for Connected Apps": a resource, and one of six actions or all of them.
_SCOPE = re.compile(r"tableau:[a-z_]+:(create|read|run|update|download|delete|\*)")
_CLAIMS = ("iss", "exp", "jti", "aud", "sub", "scp")


class ConnectedApps:
    """The apps that the site trusts."""

    def __init__(self, database: Database, accounts: Accounts, clock: Clock) -> None:
        """Create the tables where they are missing."""
        self._database = database
        self._accounts = accounts
        self._clock = clock
        database.create(
            "CREATE TABLE IF NOT EXISTS connected_app (secret_id TEXT PRIMARY KEY, client_id TEXT,"
            " secret TEXT)"
        )
        database.create("CREATE TABLE IF NOT EXISTS used_jti (jti TEXT PRIMARY KEY, used_at TEXT)")

    def add(self, client_id: str, secret_id: str, secret: str) -> None:
        """Trust an app with this secret; an app may have two."""
        self._database.execute(
            "INSERT INTO connected_app VALUES (?, ?, ?)", (secret_id, client_id, secret)
        )

    def user_of(self, token: str) -> tuple[User, frozenset[str]]:
        """The user whom ``token`` speaks for, and its scopes.

        Raises:
            RestError: 401001, the token is not good, no longer, or was used before.
        """
        claims = self._claims(token)
        user = next((u for u in self._accounts.users() if u.name == claims["sub"]), None)
        with self._database.transaction():
            used = self._database.row("SELECT 1 FROM used_jti WHERE jti = ?", (claims["jti"],))
            if user is None or used is not None:
                raise errors.sign_in_failed()
            self._database.execute(
                "INSERT INTO used_jti VALUES (?, ?)", (claims["jti"], to_rest(self._clock()))
            )
        return user, frozenset(claims["scp"])

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            app = self._database.row(
                "SELECT * FROM connected_app WHERE secret_id = ?", (header.get("kid"),)
            )
            if app is None:
                raise errors.sign_in_failed()
            claims: dict[str, Any] = jwt.decode(
                token,
                app["secret"],
                algorithms=["HS256"],
                audience="tableau",
                issuer=app["client_id"],
                # The server has a clock of its own.
                options={"require": list(_CLAIMS), "verify_exp": False},
            )
        except jwt.InvalidTokenError:
            raise errors.sign_in_failed() from None
        left = datetime.fromtimestamp(claims["exp"], UTC) - self._clock()
        scopes = claims["scp"]
        if (
            not timedelta(0) < left <= _LONGEST_LIFE
            or not isinstance(scopes, list)
            or not scopes
            or not all(_SCOPE.fullmatch(str(scope)) for scope in scopes)
        ):
            raise errors.sign_in_failed()
        return claims
