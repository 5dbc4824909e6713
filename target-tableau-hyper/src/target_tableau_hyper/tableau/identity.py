"""What a sign-in request carries, and what to check when it is refused."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import jwt
import tableauserverclient as TSC  # noqa: N812 - its own documentation's name

from pipeline_core.redaction import REDACTOR
from target_tableau_hyper.settings_identity import PersonalToken

if TYPE_CHECKING:
    from target_tableau_hyper.settings_identity import ConnectedApp

#: Tableau takes tokens that live ten minutes at most; half of that leaves room for two clocks.
_LIFE = timedelta(minutes=5)

#: Everything that a run may ask for: looking, publishing, tagging, uploading, refreshing, waiting
#: for jobs. A scope's last word is create, read, run, update, download or delete ("Access Scopes
#: for Connected Apps" in Tableau's help); that cancelling a job is ``update`` is what other clients
#: use. A job that may not be cancelled is left to run.
_SCOPES = (
    "tableau:content:read",
    "tableau:projects:create",
    "tableau:datasources:create",
    "tableau:datasources:update",
    "tableau:datasource_tags:update",
    "tableau:workbooks:update",
    "tableau:file_uploads:create",
    "tableau:hyper_data:update",
    "tableau:tasks:run",
    "tableau:jobs:read",
    "tableau:jobs:update",
)


def credentials(
    identity: PersonalToken | ConnectedApp, site: str, *, now: datetime | None = None
) -> TSC.PersonalAccessTokenAuth | TSC.JWTAuth:
    """Fresh credentials for one sign-in.

    A JSON Web Token is good once (``jti``), so every sign-in needs a new one.
    """
    if isinstance(identity, PersonalToken):
        return TSC.PersonalAccessTokenAuth(identity.name, identity.value, site_id=site)
    claims = {
        "iss": identity.client_id,
        "sub": identity.username,
        "aud": "tableau",
        "exp": (now or datetime.now(UTC)) + _LIFE,
        "jti": str(uuid.uuid4()),
        "scp": list(_SCOPES),
    }
    headers = {"kid": identity.secret_id, "iss": identity.client_id}
    token = jwt.encode(claims, identity.secret_value, algorithm="HS256", headers=headers)
    REDACTOR.add(token)
    return TSC.JWTAuth(token, site_id=site)


def described(identity: PersonalToken | ConnectedApp) -> str:
    """The identity as messages name it."""
    if isinstance(identity, PersonalToken):
        return f"token {identity.name!r}"
    return f"connected app {identity.client_id} for user {identity.username!r}"


def what_to_check(identity: PersonalToken | ConnectedApp) -> str:
    """Why a sign-in may be refused."""
    if isinstance(identity, PersonalToken):
        return (
            "check tableau_token_name, tableau_token_value and tableau_site; tokens end after a "
            "year, and when unused for 15 days"
        )
    return (
        "check that the connected app is enabled and its secret, tableau_username and tableau_site "
        "are right, and this machine's clock: its tokens are good for five minutes"
    )


def why_sessions_end(identity: PersonalToken | ConnectedApp) -> str:
    """What ends one session after the other, and what helps."""
    if isinstance(identity, PersonalToken):
        return (
            "another process signs in with the same token, and each ends the other's session; give "
            "every pipeline its own token, or a connected app"
        )
    return (
        "check the scopes that the connected app and the site allow, and whether somebody ends the "
        "sessions of its user"
    )
