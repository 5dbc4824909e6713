"""What a box leaves in its directory: credentials for good, addresses while it runs."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Self
from uuid import uuid4

import psutil

from contoso_sandbox.entra.certificates import new_key, pem_of, self_signed

if TYPE_CHECKING:
    from pathlib import Path

_CREDENTIALS = "credentials.json"
_CERTIFICATE = "client.pem"
_RUNNING = "sandbox.json"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client needs to sign in, random per state directory.

    Attributes:
        client_certificate: PEM with the private key and the registered certificate.
        token_name: Name of the Tableau personal access token.
        token_value: Its secret.
    """

    tenant_id: str
    client_id: str
    client_secret: str
    client_certificate: Path
    token_name: str
    token_value: str

    @classmethod
    def kept_in(cls, directory: Path) -> Self:
        """Read the credentials of ``directory``, or make them at the first start."""
        path, certificate = directory / _CREDENTIALS, directory / _CERTIFICATE
        if not path.exists():
            key = new_key()
            _write_private(certificate, pem_of(key, self_signed(key, "d365fo-tableau")))
            made = {
                "tenant_id": str(uuid4()),
                "client_id": str(uuid4()),
                # "+" catches clients that do not URL-encode the form; they get tokens that
                # F&O refuses (ludiaconsulting.com/news/d365foazuretoken).
                "client_secret": f"{secrets.token_urlsafe(8)}~+.{secrets.token_urlsafe(24)}",
                "token_name": "d365fo-tableau",
                "token_value": f"{secrets.token_urlsafe(16)}==:{secrets.token_urlsafe(24)}",
            }
            _write_private(path, json.dumps(made, indent=2).encode())
        return cls(client_certificate=certificate, **json.loads(path.read_bytes()))


@dataclass(frozen=True, slots=True)
class RunningBox:
    """Addresses of a box that is running, and the token of its control endpoint."""

    pid: int
    control_url: str
    entra_url: str
    d365_url: str
    tableau_url: str
    ca_bundle: str
    control_token: str

    @classmethod
    def of(cls, directory: Path) -> Self | None:
        """Return the box that runs on ``directory``, or ``None``.

        A file that a killed box left behind counts for nothing.
        """
        try:
            running = cls(**json.loads((directory / _RUNNING).read_bytes()))
        except FileNotFoundError:
            return None
        return running if psutil.pid_exists(running.pid) else None

    def announce(self, directory: Path) -> None:
        """Write the file that ``of`` reads."""
        _write_private(directory / _RUNNING, json.dumps(asdict(self), indent=2).encode())


def forget_running(directory: Path) -> None:
    """Remove what ``RunningBox.announce`` wrote."""
    (directory / _RUNNING).unlink(missing_ok=True)


def meltano_settings(running: RunningBox, credentials: Credentials) -> dict[str, str]:
    """Return the environment variables that point both plugins at the box."""
    tap = tap_settings(
        environment_url=running.d365_url,
        authority_host=running.entra_url,
        ca_bundle=running.ca_bundle,
        credentials=credentials,
    )
    return tap | {
        "TARGET_TABLEAU_HYPER_TABLEAU_SERVER_URL": running.tableau_url,
        "TARGET_TABLEAU_HYPER_TABLEAU_SITE": "",
        "TARGET_TABLEAU_HYPER_TABLEAU_TOKEN_NAME": credentials.token_name,
        "TARGET_TABLEAU_HYPER_TABLEAU_TOKEN_VALUE": credentials.token_value,
        "TARGET_TABLEAU_HYPER_CA_BUNDLE": running.ca_bundle,
    }


def tap_settings(
    *, environment_url: str, authority_host: str, ca_bundle: str, credentials: Credentials
) -> dict[str, str]:
    """Return the environment variables that point tap-d365fo at an environment."""
    return {
        "TAP_D365FO_ENVIRONMENT_URL": environment_url,
        "TAP_D365FO_TENANT_ID": credentials.tenant_id,
        "TAP_D365FO_CLIENT_ID": credentials.client_id,
        "TAP_D365FO_CLIENT_SECRET": credentials.client_secret,
        "TAP_D365FO_AUTHORITY_HOST": authority_host,
        "TAP_D365FO_CA_BUNDLE": ca_bundle,
    }


def _write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.replace(path)
