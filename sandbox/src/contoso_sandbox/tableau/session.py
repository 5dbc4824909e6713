"""Sessions: what a sign-in opens, and the four ways in which it ends.

A session ends by its time, by sign-out, by removal of its user, or because **the same personal
access token signed in again**: a token carries one session, the earlier one dies at once (Tableau
KB "number of personal access tokens"; Airflow#34927 in the field).
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contoso_sandbox.tableau import errors
from contoso_sandbox.tableau.responses import Element
from contoso_sandbox.tableau.times import from_rest, to_rest

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from contoso_sandbox.tableau.connected_apps import ConnectedApps
    from contoso_sandbox.tableau.payloads import Node
    from contoso_sandbox.tableau.site import Accounts, Site, User
    from contoso_sandbox.tableau.store import Database
    from contoso_sandbox.tableau.times import Clock


@dataclass(frozen=True, slots=True)
class Session:
    """An open session.

    Attributes:
        token: What travels in ``X-Tableau-Auth``.
        user: Who signed in.
        expires_at: The end that the clock brings; use does not postpone it.
        scopes: What a connected app's token was for; ``None`` where the user may do what they may.
    """

    token: str
    user: User
    expires_at: datetime
    scopes: frozenset[str] | None = None


class Sessions:
    """The sessions of the server."""

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        apps: ConnectedApps,
        *,
        site: Site,
        clock: Clock,
        lifetime: timedelta,
    ) -> None:
        """Create the table where it is missing.

        Args:
            database: Where sessions are kept, so that they outlive a restart.
            accounts: Who may sign in.
            apps: Who may sign in for others.
            site: Where to.
            clock: Decides what has expired.
            lifetime: From sign-in to expiry: 240 minutes on Tableau Server, 120 on Tableau Cloud.
        """
        self._database = database
        self._accounts = accounts
        self._apps = apps
        self._site = site
        self._clock = clock
        self._lifetime = lifetime
        database.create(
            "CREATE TABLE IF NOT EXISTS session (token TEXT PRIMARY KEY, user_id TEXT,"
            " access_token TEXT, expires_at TEXT, scopes TEXT)"
        )

    def sign_in(self, credentials: Node) -> Session:
        """Open a session for the ``credentials`` of a sign-in request.

        Raises:
            RestError: 401001, the credentials or the site are not known; 400000, there are none.
        """
        site = credentials.child("site")
        if not self._site.answers_to((site.get("contentUrl") or "") if site else ""):
            raise errors.sign_in_failed()
        token = credentials.get("jwt")
        if token is not None:
            user, scopes = self._apps.user_of(token)
            return self._open(user, None, scopes)
        token_name = credentials.get("personalAccessTokenName")
        if token_name is not None:
            secret = credentials.get("personalAccessTokenSecret") or ""
            return self._open(self._accounts.by_token(token_name, secret), token_name)
        name = credentials.get("name")
        if name is None:
            detail = "Payload is either malformed or incomplete: no credentials."
            raise errors.bad_request(detail)
        return self._open(self._accounts.by_password(name, credentials.get("password") or ""), None)

    def _open(
        self, user: User, access_token: str | None, scopes: frozenset[str] | None = None
    ) -> Session:
        expires_at = self._clock() + self._lifetime
        token = f"{_random()}|{secrets.token_urlsafe(24)}|{self._site.id}"
        with self._database.transaction():
            if access_token is not None:
                self._database.execute(
                    "DELETE FROM session WHERE access_token = ?", (access_token,)
                )
            self._database.execute(
                "INSERT INTO session VALUES (?, ?, ?, ?, ?)",
                (
                    token,
                    user.id,
                    access_token,
                    to_rest(expires_at),
                    None if scopes is None else " ".join(sorted(scopes)),
                ),
            )
        return Session(token, user, expires_at, scopes)

    def require(self, token: str | None) -> Session:
        """The open session of a request.

        Raises:
            RestError: 401000 without a token; 401002 when its session is over.
        """
        if not token:
            raise errors.not_authenticated()
        row = self._database.row("SELECT * FROM session WHERE token = ?", (token,))
        if row is None or from_rest(row["expires_at"]) <= self._clock():
            raise errors.session_over()
        scopes = None if row["scopes"] is None else frozenset(row["scopes"].split())
        user = self._accounts.user(row["user_id"])
        return Session(token, user, from_rest(row["expires_at"]), scopes)

    def sign_out(self, session: Session) -> None:
        """End the session."""
        self._database.execute("DELETE FROM session WHERE token = ?", (session.token,))

    def element(self, session: Session) -> Element:
        """The ``credentials`` element that answers a sign-in."""
        seconds = max(0, int((session.expires_at - self._clock()).total_seconds()))
        minutes, seconds = divmod(seconds, 60)
        left = f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
        return Element(
            "credentials",
            {"token": session.token, "estimatedTimeToExpiration": left},
            (
                Element("site", {"id": self._site.id, "contentUrl": self._site.content_url}),
                session.user.reference(),
            ),
        )


def _random() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
