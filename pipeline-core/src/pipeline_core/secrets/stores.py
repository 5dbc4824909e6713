"""Where secrets are kept, behind one small interface."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pipeline_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline_core.secrets.reference import Reference

#: Every store, in the order in which to think of them.
STORES = ("vault", "file", "keyring", "azure")


@dataclass(frozen=True, slots=True)
class Secret:
    """A value and which one it is.

    Attributes:
        value: Never shown.
        revision: Number or version of the value in its store; empty where the store has none.
    """

    value: str = field(repr=False)
    revision: str = ""


class SecretStore(Protocol):
    """Gives values for references."""

    def get(self, reference: Reference) -> Secret:
        """The value that ``reference`` names.

        Raises:
            ConfigError: there is none, or the store cannot be read.
        """


def open_store(name: str, environment: Mapping[str, str] = os.environ) -> SecretStore:
    """The store of that name, found by the process's environment.

    Raises:
        ConfigError: there is no such store, or it is not set up here.
    """
    # Imported when used: each brings a library of its own, and most runs need one of them.
    if name == "vault":
        from pipeline_core.secrets.keys import find_keys  # noqa: PLC0415
        from pipeline_core.secrets.vault import Vault, vault_path  # noqa: PLC0415

        path = vault_path(environment)
        return Vault.open(path, find_keys(environment, vault=path))
    if name == "file":
        from pipeline_core.secrets.mounted import MountedStore  # noqa: PLC0415

        return MountedStore(Path(environment.get("D365FO_TABLEAU_SECRETS_DIR", "/run/secrets")))
    if name == "keyring":
        from pipeline_core.secrets.keyrings import KeyringStore  # noqa: PLC0415

        return KeyringStore()
    if name == "azure":
        from pipeline_core.secrets.azure import open_azure  # noqa: PLC0415

        return open_azure(environment.get("D365FO_TABLEAU_AZURE_VAULT_URL", ""))
    message = f"there is no secret store {name!r}; there are {', '.join(STORES)}"
    raise ConfigError(message)


def missing(reference: Reference, advice: str) -> ConfigError:
    """The error for a reference that leads nowhere."""
    message = f"{reference} leads nowhere: {advice}"
    return ConfigError(message)
