"""References in settings, and the stores that they lead to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
)
from azure.identity import ManagedIdentityCredential, WorkloadIdentityCredential
from keyring.backend import KeyringBackend

from pipeline_core.errors import AuthError, ConfigError, PipelineError, TransientError
from pipeline_core.redaction import REDACTOR
from pipeline_core.secrets import keyrings
from pipeline_core.secrets.azure import AzureStore, identity, open_azure
from pipeline_core.secrets.keyrings import SERVICE, KeyringStore, trusted_keyring
from pipeline_core.secrets.mounted import MountedStore
from pipeline_core.secrets.reference import Reference, is_reference
from pipeline_core.secrets.resolve import resolve_secrets, secret_settings, told
from pipeline_core.secrets.stores import Secret, open_store

if TYPE_CHECKING:
    from pathlib import Path

WHERE = Reference("file", "d365fo", "client_secret")


# -- references ------------------------------------------------------------------------------------


def test_a_reference_is_read_as_it_is_written() -> None:
    text = "secret://vault/d365fo#client_secret"
    assert is_reference(text)
    parsed = Reference.parse(text, setting="client_secret")
    assert parsed == Reference("vault", "d365fo", "client_secret")
    assert str(parsed) == text


@pytest.mark.parametrize(
    "text",
    [
        "secret://",
        "secret://vault/sap",
        "secret://vault#client_secret",
        "secret://vault/../x#y",
        "secret://vault/a/b#y",
        "secret://vault/d365fo#client secret",
        "secret://vault/d365fo#" + "x" * 70,
    ],
)
def test_what_only_begins_like_one_is_told_without_being_repeated(text: str) -> None:
    with pytest.raises(ConfigError, match="client_secret begins with") as caught:
        Reference.parse(text, setting="client_secret")
    assert text == "secret://" or text not in str(caught.value)


class Memory:
    """A store in memory."""

    def get(self, reference: Reference) -> Secret:
        return Secret(f"value of {reference.field}", "7")


def test_secret_settings_are_resolved_and_masked_and_nothing_else_is() -> None:
    schema = {
        "properties": {
            "token": {"type": "string", "secret": True},
            "plain": {"type": "string", "writeOnly": True},
            "name": {"type": "string"},
        }
    }
    config: dict[str, Any] = {
        "token": "secret://vault/tableau#token",
        "plain": "plain-value-1",
        "name": "secret://vault/tableau#name",
    }
    resolved, uses = resolve_secrets(config, secret_settings(schema), store=lambda _: Memory())
    assert resolved == {**config, "token": "value of token"}
    assert config["token"] == "secret://vault/tableau#token"
    assert told(uses) == {"secrets": {"token": "secret://vault/tableau#token revision 7"}}
    assert REDACTOR.redact("value of token and plain-value-1") == "*** and ***"


def test_plain_values_alone_say_nothing() -> None:
    assert told(resolve_secrets({"token": "plain-value-2"}, ["token"])[1]) == {}


def test_an_unknown_store_is_told_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="no secret store 'aws'; there are vault, file"):
        open_store("aws", {})


# -- file ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["d365fo/client_secret", "d365fo_client_secret"])
def test_a_mounted_file_nested_or_flat(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("the value\n")
    path.chmod(0o440)
    store = open_store("file", {"D365FO_TABLEAU_SECRETS_DIR": str(tmp_path)})
    assert store.get(WHERE).value == "the value"


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        pytest.param(b"value", 0o644, "every user", id="readable for all"),
        pytest.param(b"\n", 0o400, "is empty", id="empty"),
        pytest.param(b"\xff\xfe", 0o400, "it is no text", id="bytes"),
        pytest.param(b"x" * 70_000, 0o400, "too large", id="large"),
    ],
)
def test_a_file_that_cannot_be_a_secret(
    tmp_path: Path, content: bytes, mode: int, message: str
) -> None:
    path = tmp_path / "d365fo_client_secret"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=message):
        MountedStore(tmp_path).get(WHERE)


def test_a_missing_file_is_told_with_both_places(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"neither .*client_secret nor .*d365fo_client_secret"):
        MountedStore(tmp_path).get(WHERE)


# -- keyring ---------------------------------------------------------------------------------------


class InMemory(KeyringBackend):
    """A keyring that is none of the operating system's."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.entries: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.entries[service, username]


def test_an_entry_of_the_keyring() -> None:
    backend = InMemory()
    backend.set_password(SERVICE, "d365fo#client_secret", "from the keyring")
    assert KeyringStore(backend).get(WHERE).value == "from the keyring"
    with pytest.raises(ConfigError, match="no entry d365fo#other"):
        KeyringStore(backend).get(Reference("keyring", "d365fo", "other"))


def test_a_keyring_that_does_not_encrypt_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keyring.get_keyring", InMemory)
    with pytest.raises(ConfigError, match="no keyring of the operating system"):
        trusted_keyring()


def test_a_trusted_one_among_several_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = InMemory()
    monkeypatch.setattr("keyring.get_keyring", lambda: backend)
    monkeypatch.setattr(keyrings, "_TRUSTED", frozenset({InMemory.__module__}))
    assert trusted_keyring() is backend


# -- azure -----------------------------------------------------------------------------------------


class KeyVault:
    """Azure's client as far as it is used: answers or fails as the real one does."""

    def __init__(self, outcome: object) -> None:
        self.outcome = outcome
        self.asked: list[str] = []

    def get_secret(self, name: str) -> object:
        self.asked.append(name)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def test_a_secret_of_key_vault_with_its_version() -> None:
    answer = SimpleNamespace(value="from azure", properties=SimpleNamespace(version="9f1"))
    vault = KeyVault(answer)
    assert AzureStore(vault).get(WHERE) == Secret("from azure", "9f1")
    assert vault.asked == ["d365fo-client-secret"]


def http(status: int) -> HttpResponseError:
    error = HttpResponseError("no")
    error.status_code = status
    return error


@pytest.mark.parametrize(
    ("failure", "kind", "message"),
    [
        (ResourceNotFoundError("no"), ConfigError, "no secret d365fo-client-secret"),
        (ClientAuthenticationError("no"), AuthError, "refuses this machine's identity"),
        (http(403), AuthError, "Key Vault Secrets User"),
        (http(503), TransientError, "HTTP 503"),
        (ServiceRequestError("no"), TransientError, "does not answer"),
    ],
)
def test_failures_of_key_vault(failure: Exception, kind: type[PipelineError], message: str) -> None:
    with pytest.raises(kind, match=message):
        AzureStore(KeyVault(failure)).get(WHERE)


def test_key_vault_needs_an_address() -> None:
    with pytest.raises(ConfigError, match="D365FO_TABLEAU_AZURE_VAULT_URL"):
        open_azure("")


def test_only_the_identity_of_the_machine_opens_the_key_vault() -> None:
    """Neither somebody's Azure CLI nor a client secret in a variable stands in for it."""
    assert isinstance(identity({}), ManagedIdentityCredential)
    secret = {"AZURE_CLIENT_ID": "c", "AZURE_TENANT_ID": "t", "AZURE_CLIENT_SECRET": "s"}
    assert isinstance(identity(secret), ManagedIdentityCredential)
    pod = {"AZURE_CLIENT_ID": "c", "AZURE_TENANT_ID": "t", "AZURE_FEDERATED_TOKEN_FILE": "/f"}
    assert isinstance(identity(pod), WorkloadIdentityCredential)
    assert isinstance(open_azure("https://contoso.vault.azure.net"), AzureStore)
