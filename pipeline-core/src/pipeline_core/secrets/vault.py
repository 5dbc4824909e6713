"""Store ``vault``: one small encrypted file, for laptops and single machines.

Every set of credentials is one Fernet token (AES-128-CBC with HMAC-SHA-256). Fernet binds no
context to a token, so the set's name stands inside as well: two tokens that were swapped in the
file do not pass for each other. Several keys may be valid at a time (``MultiFernet``), which is how
a new one takes over without a moment in which nothing can be read.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from pipeline_core.errors import BusyError, ConfigError, IntegrityError
from pipeline_core.files import write_atomically
from pipeline_core.secrets.keys import check_private
from pipeline_core.secrets.stores import Secret, missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pipeline_core.secrets.keys import KeyHolder
    from pipeline_core.secrets.reference import Reference

_FORMAT = 1


def vault_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the vault lies: ``D365FO_TABLEAU_VAULT``, else with the user's data."""
    named = environment.get("D365FO_TABLEAU_VAULT")
    if named:
        return Path(named)
    base = environment.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "d365fo-tableau" / "vault.json"


@dataclass(frozen=True, slots=True)
class CredentialSet:
    """Credentials that belong together.

    Attributes:
        name: As references call it.
        revision: Grows with every change.
        changed_at: When the last change was made, ISO 8601.
        fields: Values by name.
    """

    name: str
    revision: int
    changed_at: str
    fields: Mapping[str, str]

    def __repr__(self) -> str:
        """Without any value."""
        return f"CredentialSet({self.name!r}, revision {self.revision}, {sorted(self.fields)})"


class Vault:
    """Reads and changes the file."""

    def __init__(self, path: Path, holder: KeyHolder, keys: list[str]) -> None:
        """Use the file at ``path`` with ``keys`` of ``holder``, newest first."""
        self.path = path
        self.holder = holder
        self._crypto = MultiFernet([Fernet(key) for key in keys])

    @classmethod
    def create(cls, path: Path, holder: KeyHolder) -> Self:
        """Make a vault without secrets, and a key where the holder has none.

        Raises:
            ConfigError: there is a vault already, or a place cannot be written to.
        """
        if path.exists():
            message = f"there is a vault at {path} already; `secrets list` shows what is in it"
            raise ConfigError(message)
        if not holder.read():
            holder.write([Fernet.generate_key().decode()])
        vault = cls(path, holder, holder.read())
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            vault._write({})
        except OSError as error:
            message = f"the vault {path} cannot be written: {error.strerror}"
            raise ConfigError(message) from error
        return vault

    @classmethod
    def open(cls, path: Path, holder: KeyHolder) -> Self:
        """Open the vault.

        Raises:
            ConfigError: there is none, its key is missing, or others may read it.
        """
        if not path.exists():
            message = f"there is no vault at {path}; make one with: d365fo-tableau secrets init"
            raise ConfigError(message)
        check_private(path, "the vault")
        keys = holder.read()
        if not keys:
            message = (
                f"the vault {path} cannot be opened: there is no key at {holder.place}; "
                "D365FO_TABLEAU_KEY_FILE names its file"
            )
            raise ConfigError(message)
        return cls(path, holder, keys)

    def get(self, reference: Reference) -> Secret:
        """The value that ``reference`` names.

        Raises:
            ConfigError: the vault has no such set or field.
            IntegrityError: the set is damaged, or of another key.
        """
        tokens = self._tokens()
        if reference.set_name not in tokens:
            known = ", ".join(sorted(tokens)) or "none"
            raise missing(reference, f"the vault has no set {reference.set_name} (it has {known})")
        found = self._decrypt(reference.set_name, tokens[reference.set_name])
        if reference.field not in found.fields:
            known = ", ".join(sorted(found.fields))
            raise missing(reference, f"set {found.name} has no {reference.field} (it has {known})")
        return Secret(found.fields[reference.field], str(found.revision))

    def sets(self) -> list[CredentialSet]:
        """All sets, by name."""
        return [self._decrypt(name, token) for name, token in sorted(self._tokens().items())]

    def put(self, set_name: str, field: str, value: str) -> CredentialSet:
        """Store a value; the other fields of the set stay."""
        with self._changing() as tokens:
            former = self._decrypt(set_name, tokens[set_name]) if set_name in tokens else None
            changed = CredentialSet(
                set_name,
                former.revision + 1 if former else 1,
                datetime.now(UTC).isoformat(timespec="seconds"),
                {**(former.fields if former else {}), field: value},
            )
            tokens[set_name] = self._encrypt(changed)
        return changed

    def remove(self, set_name: str) -> None:
        """Forget a set.

        Raises:
            ConfigError: there is none of that name.
        """
        with self._changing() as tokens:
            if set_name not in tokens:
                message = f"the vault has no set {set_name}"
                raise ConfigError(message)
            del tokens[set_name]

    def rotate(self, to: KeyHolder | None = None) -> int:
        """Encrypt everything with a new key and retire all others.

        Whatever moment the process dies, the new key's holder has a key that opens the file: the
        new key is added first, the old ones go last.

        Args:
            to: Who gets the new key, where its present holder cannot be written to; it is this
                vault's holder from then on. One that a rotation was cut off with goes on.

        Returns:
            Number of sets.

        Raises:
            ConfigError: ``to`` holds keys of something else, or a place cannot be written to.
        """
        with self._locked():
            holder = to or self.holder
            if to is None or not self._is_begun(to):
                holder.write([Fernet.generate_key().decode(), *self.holder.read()])
            self.holder = holder
            keys = self.holder.read()
            both = Vault(self.path, self.holder, keys)
            sets = both.sets()
            both._write({each.name: both._encrypt(each) for each in sets})
            alone = Vault(self.path, self.holder, keys[:1])
            if [each.fields for each in alone.sets()] != [each.fields for each in sets]:
                message = "the vault does not read back as it was; the old keys are kept"
                raise IntegrityError(message)
            self.holder.write(keys[:1])
        self._crypto = alone._crypto
        return len(sets)

    def _is_begun(self, to: KeyHolder) -> bool:
        """Whether ``to`` has a new key and all of ours: left by a rotation that was cut off."""
        found = to.read()
        if found and found[1:] != self.holder.read():
            message = f"{to.place} holds another key already; name a file that is not there yet"
            raise ConfigError(message)
        return bool(found)

    @contextmanager
    def _changing(self) -> Iterator[dict[str, str]]:
        """The sets as they are, to be changed; written when the block ends well."""
        with self._locked():
            tokens = self._tokens()
            yield tokens
            self._write(tokens)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(
            self.path.with_name(f".{self.path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600
        )
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                message = f"another process is changing the vault {self.path}; try again"
                raise BusyError(message) from None
            yield
        finally:
            os.close(descriptor)

    def _tokens(self) -> dict[str, str]:
        try:
            return _sets_of(json.loads(self.path.read_bytes()))
        except (ValueError, KeyError, TypeError):
            message = f"{self.path} is no vault of this version; restore it from a copy"
            raise IntegrityError(message) from None
        except OSError as error:
            message = f"the vault {self.path} cannot be read: {error.strerror}"
            raise ConfigError(message) from error

    def _write(self, tokens: dict[str, str]) -> None:
        content = {"format": _FORMAT, "sets": tokens}
        write_atomically(self.path, (json.dumps(content, indent=2) + "\n").encode(), mode=0o600)

    def _encrypt(self, credentials: CredentialSet) -> str:
        inside: dict[str, Any] = {
            "v": _FORMAT,
            "set": credentials.name,
            "rev": credentials.revision,
            "changed_at": credentials.changed_at,
            "fields": dict(credentials.fields),
        }
        return self._crypto.encrypt(json.dumps(inside).encode()).decode()

    def _decrypt(self, name: str, token: str) -> CredentialSet:
        try:
            inside = json.loads(self._crypto.decrypt(token.encode()))
        except (InvalidToken, ValueError, AttributeError):
            message = (
                f"set {name} of the vault {self.path} cannot be decrypted: it is damaged, or of "
                f"another key than the one at {self.holder.place}"
            )
            raise IntegrityError(message) from None
        if inside["set"] != name:
            message = f"set {name} of the vault {self.path} holds set {inside['set']}; restore it"
            raise IntegrityError(message)
        return CredentialSet(name, inside["rev"], inside["changed_at"], inside["fields"])


def _sets_of(content: dict[str, Any]) -> dict[str, str]:
    if content["format"] != _FORMAT:
        raise ValueError(content["format"])
    return dict(content["sets"])
