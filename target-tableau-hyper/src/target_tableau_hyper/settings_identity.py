"""Who signs in to Tableau: a personal access token, or a connected app on behalf of a user."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th

from pipeline_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

PROPERTIES = (
    th.Property(
        "tableau_token_name",
        th.StringType,
        title="Token Name",
        description=(
            "Name of the personal access token. One token serves one process at a time: Tableau "
            "ends the earlier session when it is used again."
        ),
        examples=["finance-pipeline"],
    ),
    th.Property(
        "tableau_token_value",
        th.StringType,
        secret=True,
        title="Token Secret",
        description="Secret of the personal access token.",
        examples=["secret://vault/tableau#token_value"],
    ),
    th.Property(
        "tableau_client_id",
        th.StringType,
        title="Connected App Client ID",
        description=(
            "Client id of a connected app with direct trust, instead of a personal access token: "
            "several processes may use one at the same time."
        ),
        examples=["6b6e7a3c-1d2e-4f50-9a6b-0c1d2e3f4a5b"],
    ),
    th.Property(
        "tableau_secret_id",
        th.StringType,
        title="Connected App Secret ID",
        description="Id of the connected app's secret.",
        examples=["f1e2d3c4-b5a6-4798-8a9b-0c1d2e3f4a5b"],
    ),
    th.Property(
        "tableau_secret_value",
        th.StringType,
        secret=True,
        title="Connected App Secret",
        description="The connected app's secret itself.",
        examples=["secret://vault/tableau#secret_value"],
    ),
    th.Property(
        "tableau_username",
        th.StringType,
        title="Connected App User",
        description="User on whose behalf the connected app publishes.",
        examples=["finance-pipeline@contoso.com"],
    ),
)

_TOKEN = ("tableau_token_name", "tableau_token_value")
_APP = ("tableau_client_id", "tableau_secret_id", "tableau_secret_value", "tableau_username")


@dataclass(frozen=True, slots=True)
class PersonalToken:
    """A personal access token: one session at a time."""

    name: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ConnectedApp:
    """A connected app with direct trust, and the user it acts for."""

    client_id: str
    secret_id: str
    username: str
    secret_value: str = field(repr=False)


def identity_of(config: Mapping[str, Any]) -> PersonalToken | ConnectedApp:
    """The identity that the settings name.

    Raises:
        ConfigError: none, both, or one of them in part.
    """
    token = [name for name in _TOKEN if config.get(name)]
    app = [name for name in _APP if config.get(name)]
    if token and app:
        message = (
            f"{' and '.join([token[0], app[0]])} belong to two ways of signing in; set either the "
            "personal access token or the connected app"
        )
        raise ConfigError(message)
    missing = [name for name in (_APP if app else _TOKEN) if not config.get(name)]
    if missing:
        message = (
            f"tableau_server_url is set, but {' and '.join(missing)} is not; set it, or set "
            "publish to none to write files only"
        )
        raise ConfigError(message)
    if app:
        return ConnectedApp(
            client_id=config["tableau_client_id"],
            secret_id=config["tableau_secret_id"],
            username=config["tableau_username"],
            secret_value=config["tableau_secret_value"],
        )
    return PersonalToken(config["tableau_token_name"], config["tableau_token_value"])
