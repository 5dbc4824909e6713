"""The vault's key: where it is kept, apart from the vault itself.

The holders of a key, in this order: a systemd credential, the file that ``D365FO_TABLEAU_KEY_FILE``
names, a key file at its usual place, the operating system's keyring. The key itself is never taken
from an environment variable: every child process and every crash report has those.

A holder keeps one key a line, the newest first. Two of them mean that a rotation is under way.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cryptography.fernet import Fernet

from pipeline_core.errors import ConfigError
from pipeline_core.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Name of the systemd credential (``LoadCredentialEncrypted=``).
CREDENTIAL = "d365fo-tableau-key"

_ENTRY = "vault-key"


class KeyHolder(Protocol):
    """Keeps the keys of a vault."""

    @property
    def place(self) -> str:
        """Where they are, for people."""

    def read(self) -> list[str]:
        """The keys, newest first; empty where there are none.

        Raises:
            ConfigError: they cannot be read, or too many people may.
        """

    def write(self, keys: list[str]) -> None:
        """Keep these and no others.

        Raises:
            ConfigError: this place cannot be written to.
        """


class KeyFile:
    """A file of keys, for its owner alone."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Use ``path``; ``read_only`` where somebody else puts it there."""
        self.path = path
        self._read_only = read_only

    @property
    def place(self) -> str:
        """The path."""
        return str(self.path)

    def read(self) -> list[str]:
        """The keys of the file; none where there is no file."""
        try:
            check_private(self.path, "the vault's key")
            lines = self.path.read_text(encoding="ascii", errors="replace").split()
        except FileNotFoundError:
            return []
        except OSError as error:
            message = f"the vault's key {self.path} cannot be read: {error.strerror}"
            raise ConfigError(message) from error
        for line in lines:
            try:
                Fernet(line)
            except ValueError:
                message = f"{self.path} holds something that is no key of a vault"
                raise ConfigError(message) from None
        return lines

    def write(self, keys: list[str]) -> None:
        """Replace the file."""
        if self._read_only:
            message = (
                f"the key at {self.place} is kept by the system and cannot be changed from here; "
                "`secrets rotate --new-key FILE` puts the new one into a file for you"
            )
            raise ConfigError(message)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_atomically(self.path, ("\n".join(keys) + "\n").encode(), mode=0o600)
        except OSError as error:
            message = f"the vault's key {self.path} cannot be written: {error.strerror}"
            raise ConfigError(message) from error


class KeyInKeyring:
    """Keys in the operating system's keyring."""

    @property
    def place(self) -> str:
        """The keyring."""
        return "the system's keyring"

    def read(self) -> list[str]:
        """The keys of our entry."""
        from pipeline_core.secrets.keyrings import SERVICE, trusted_keyring  # noqa: PLC0415

        return (trusted_keyring().get_password(SERVICE, _ENTRY) or "").split()

    def write(self, keys: list[str]) -> None:
        """Replace our entry."""
        from pipeline_core.secrets.keyrings import SERVICE, trusted_keyring  # noqa: PLC0415

        trusted_keyring().set_password(SERVICE, _ENTRY, "\n".join(keys))


def default_key_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Where a key file lies by default: with the user's settings, outside any project."""
    base = environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "d365fo-tableau" / "vault.key"


def find_keys(environment: Mapping[str, str] = os.environ, *, vault: Path) -> KeyHolder:
    """Where the key of the vault is.

    Raises:
        ConfigError: it would lie beside the vault, where whoever copies the one has the other.
    """
    credentials = environment.get("CREDENTIALS_DIRECTORY")
    if credentials and (Path(credentials) / CREDENTIAL).is_file():
        return KeyFile(Path(credentials) / CREDENTIAL, read_only=True)
    named = environment.get("D365FO_TABLEAU_KEY_FILE")
    path = Path(named) if named else default_key_file(environment)
    if path.resolve().parent == vault.resolve().parent:
        message = (
            f"the key {path} lies in the same folder as the vault, where a backup or a copy takes "
            "both; keep it elsewhere (D365FO_TABLEAU_KEY_FILE)"
        )
        raise ConfigError(message)
    if named or path.exists():
        return KeyFile(path)
    holder = KeyInKeyring()
    try:
        return holder if holder.read() else KeyFile(path)
    except ConfigError:
        return KeyFile(path)


def check_private(path: Path, what: str) -> None:
    """Refuse a file that others than its owner may read or write.

    Raises:
        ConfigError: says how to mend it.
        OSError: the file cannot be looked at.
    """
    found = path.stat()
    # What the system mounts for us (Kubernetes with fsGroup) belongs to root and to our group.
    others = 0o077 if found.st_uid == os.geteuid() else 0o037
    if stat.S_IMODE(found.st_mode) & others:
        message = f"{what} at {path} may be read by others; run: chmod 600 {path}"
        raise ConfigError(message)
