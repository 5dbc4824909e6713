"""Store ``azure``: Azure Key Vault, for pipelines that run in Azure.

``secret://azure/d365fo#client_secret`` is the secret ``d365fo-client-secret`` of the vault that
``D365FO_TABLEAU_AZURE_VAULT_URL`` names: names there have no underscores.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pipeline_core.errors import AuthError, ConfigError, TransientError
from pipeline_core.secrets.stores import Secret, missing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.core.credentials import TokenCredential

    from pipeline_core.secrets.reference import Reference


def open_azure(url: str) -> AzureStore:
    """The Key Vault at ``url``, by the identity that the machine has, see :func:`identity`.

    Raises:
        ConfigError: no address is set, or the extra is not installed.
    """
    if not url.startswith("https://"):
        message = (
            "set D365FO_TABLEAU_AZURE_VAULT_URL to the Key Vault's address, for example "
            "https://contoso-finance.vault.azure.net"
        )
        raise ConfigError(message)
    try:
        from azure.keyvault.secrets import SecretClient  # noqa: PLC0415 - an extra

        credential = identity()
    except ImportError:
        message = "Azure Key Vault is an extra: install pipeline-core[azure]"
        raise ConfigError(message) from None
    return AzureStore(SecretClient(vault_url=url, credential=credential))


def identity(environment: Mapping[str, str] = os.environ) -> TokenCredential:
    """A workload identity where Kubernetes gives the pod one, a managed identity otherwise.

    ``AZURE_CLIENT_ID`` names a managed identity that is assigned by a user. No other way in: a
    person's own sign-in (Azure CLI, PowerShell, an editor) must not stand in for the machine's
    without anybody noticing, and a client secret in a variable is what the Key Vault is to spare.
    """
    from azure.identity import (  # noqa: PLC0415 - an extra
        ManagedIdentityCredential,
        WorkloadIdentityCredential,
    )

    client_id = environment.get("AZURE_CLIENT_ID") or None
    tenant_id = environment.get("AZURE_TENANT_ID")
    token_file = environment.get("AZURE_FEDERATED_TOKEN_FILE")
    if client_id and tenant_id and token_file:
        return WorkloadIdentityCredential(
            tenant_id=tenant_id, client_id=client_id, token_file_path=token_file
        )
    return ManagedIdentityCredential(client_id=client_id)


class AzureStore:
    """Asks a Key Vault; values stay in memory."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - an extra's class
        """Use a ``SecretClient``, or what behaves like one."""
        self._client = client

    def get(self, reference: Reference) -> Secret:
        """The newest value.

        Raises:
            ConfigError: there is no such secret.
            AuthError: the identity may not read it.
            TransientError: the vault does not answer.
        """
        from azure.core.exceptions import (  # noqa: PLC0415 - an extra
            AzureError,
            ClientAuthenticationError,
            HttpResponseError,
            ResourceNotFoundError,
        )

        name = f"{reference.set_name}-{reference.field}".replace("_", "-").replace(".", "-")
        try:
            found = self._client.get_secret(name)
        except ResourceNotFoundError:
            raise missing(reference, f"the Key Vault has no secret {name}") from None
        except ClientAuthenticationError as error:
            message = f"{reference}: the Key Vault refuses this machine's identity"
            raise AuthError(message) from error
        except HttpResponseError as error:
            if error.status_code == 403:  # noqa: PLR2004
                message = (
                    f"{reference}: this machine's identity may not read secret {name}; give it the "
                    "role Key Vault Secrets User"
                )
                raise AuthError(message) from error
            message = f"{reference}: the Key Vault answered HTTP {error.status_code}; try later"
            raise TransientError(message) from error
        except AzureError as error:
            message = f"{reference}: the Key Vault does not answer; try again later"
            raise TransientError(message) from error
        if not found.value:
            raise missing(reference, f"secret {name} of the Key Vault is empty")
        return Secret(found.value, found.properties.version or "")
