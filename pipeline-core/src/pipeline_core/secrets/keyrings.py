"""Store ``keyring``: the operating system's own, for laptops with somebody logged in.

Only back ends that really encrypt are used. The ``keyring`` library takes whatever is installed,
a plain text file among others, so there is an allow-list here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError
from pipeline_core.secrets.stores import Secret, missing

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

    from pipeline_core.secrets.reference import Reference

#: Modules of real back ends: macOS Keychain, Windows Credential Locker, Secret Service, KWallet.
_TRUSTED = frozenset(
    {
        "keyring.backends.macOS",
        "keyring.backends.Windows",
        "keyring.backends.SecretService",
        "keyring.backends.libsecret",
        "keyring.backends.kwallet",
    }
)

#: Under which name all our entries stand.
SERVICE = "d365fo-tableau"


def trusted_keyring() -> KeyringBackend:
    """The system's keyring.

    Raises:
        ConfigError: there is none, or none that may be trusted.
    """
    try:
        import keyring  # noqa: PLC0415 - an extra
        from keyring.backends import chainer  # noqa: PLC0415
    except ImportError:
        message = (
            "the keyring is an extra: install pipeline-core[keyring], or keep secrets in the vault"
        )
        raise ConfigError(message) from None
    found = keyring.get_keyring()
    several = found.backends if isinstance(found, chainer.ChainerBackend) else [found]
    for backend in several:
        if type(backend).__module__ in _TRUSTED:
            return backend
    message = (
        f"no keyring of the operating system is at hand (found: {type(found).__module__}); on a "
        "server, keep the vault's key in a file or in a systemd credential"
    )
    raise ConfigError(message)


class KeyringStore:
    """Reads and writes entries ``<set>#<field>`` of the service ``d365fo-tableau``."""

    def __init__(self, backend: KeyringBackend | None = None) -> None:
        """Use ``backend``, by default the system's.

        Raises:
            ConfigError: there is none that may be trusted.
        """
        self._backend = backend if backend is not None else trusted_keyring()

    def get(self, reference: Reference) -> Secret:
        """The entry's value.

        Raises:
            ConfigError: there is no such entry.
        """
        value = self._backend.get_password(SERVICE, f"{reference.set_name}#{reference.field}")
        if not value:
            advice = f"the keyring has no entry {reference.set_name}#{reference.field} of {SERVICE}"
            raise missing(reference, advice)
        return Secret(value)
