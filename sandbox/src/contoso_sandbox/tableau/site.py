"""The one site of the server, who may enter it, and with which personal access tokens."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contoso_sandbox.tableau import errors
from contoso_sandbox.tableau.responses import Element
from contoso_sandbox.tableau.times import from_rest, to_rest

if TYPE_CHECKING:
    from datetime import datetime

    from contoso_sandbox.tableau.store import Database
    from contoso_sandbox.tableau.times import Clock


@dataclass(frozen=True, slots=True)
class Site:
    """The site: its LUID and the name it has in URLs."""

    id: str
    content_url: str
    name: str

    def answers_to(self, content_url: str) -> bool:
        """Whether a sign-in to ``content_url`` means this site; ``""`` is the default site.

        The simulator has one site, which is the default one too. tabcmd lower-cases what it sends.
        """
        return content_url.lower() in ("", self.content_url.lower())

    def element(self) -> Element:
        """The ``site`` element of the site endpoints."""
        attributes = {
            "id": self.id,
            "name": self.name,
            "contentUrl": self.content_url,
            "state": "Active",
        }
        return Element("site", {**attributes})


@dataclass(frozen=True, slots=True)
class User:
    """A user of the site; every user may publish."""

    id: str
    name: str
    created_at: datetime

    def element(self) -> Element:
        """The ``user`` element of the user endpoints."""
        return Element(
            "user",
            {
                "id": self.id,
                "name": self.name,
                "siteRole": "SiteAdministratorCreator",
                "externalAuthUserId": "",
                "fullName": self.name,
            },
        )

    def reference(self, name: str = "user") -> Element:
        """The short form, as ``owner`` of something or the ``user`` of a session."""
        return Element(name, {"id": self.id})


class Accounts:
    """Users, their passwords and their personal access tokens."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Create the tables where they are missing."""
        self._database = database
        self._clock = clock
        database.create(
            "CREATE TABLE IF NOT EXISTS user (id TEXT PRIMARY KEY, name TEXT UNIQUE, password TEXT,"
            " created_at TEXT)"
        )
        database.create(
            "CREATE TABLE IF NOT EXISTS access_token (name TEXT PRIMARY KEY, secret TEXT,"
            " user_id TEXT)"
        )

    def add_user(self, name: str, password: str | None = None) -> User:
        """Add a user, or set the password of one who is there."""
        with self._database.transaction():
            self._database.execute(
                "INSERT INTO user VALUES (?, ?, NULL, ?) ON CONFLICT (name) DO NOTHING",
                (str(uuid.uuid4()), name, to_rest(self._clock())),
            )
            if password is not None:
                self._database.execute(
                    "UPDATE user SET password = ? WHERE name = ?", (_digest(password), name)
                )
            return self._user("name", name)

    def add_token(self, name: str, secret: str, user: str) -> None:
        """Add a personal access token, or replace the secret of one that is there."""
        owner = self.add_user(user)
        self._database.execute(
            "INSERT INTO access_token VALUES (?, ?, ?) ON CONFLICT (name)"
            " DO UPDATE SET secret = excluded.secret, user_id = excluded.user_id",
            (name, _digest(secret), owner.id),
        )

    def user(self, user_id: str) -> User:
        """The user with that LUID.

        Raises:
            RestError: 404002, there is none.
        """
        return self._user("id", user_id)

    def users(self) -> list[User]:
        """All users, by name."""
        return [
            User(row["id"], row["name"], from_rest(row["created_at"]))
            for row in self._database.rows("SELECT * FROM user ORDER BY name")
        ]

    def by_token(self, name: str, secret: str) -> User:
        """The owner of a personal access token.

        Raises:
            RestError: 401001, the token is unknown or the secret is another.
        """
        row = self._database.row("SELECT * FROM access_token WHERE name = ?", (name,))
        if row is None or not hmac.compare_digest(row["secret"], _digest(secret)):
            raise errors.sign_in_failed()
        return self.user(row["user_id"])

    def by_password(self, name: str, password: str) -> User:
        """The user of that name.

        Raises:
            RestError: 401001, there is none, without password, or with another one.
        """
        row = self._database.row("SELECT * FROM user WHERE name = ?", (name,))
        if row is None or not hmac.compare_digest(row["password"] or "", _digest(password)):
            raise errors.sign_in_failed()
        return self.user(row["id"])

    def _user(self, column: str, value: str) -> User:
        for user in self.users():
            if getattr(user, column) == value:
                return user
        raise errors.user_unknown(value)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
