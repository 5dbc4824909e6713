"""``secret://<store>/<set>#<field>``: where a value is, in place of the value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from pipeline_core.errors import ConfigError

_SCHEME = "secret://"

#: What stores, sets and fields may be called: safe in file names, URLs and shells.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,62}")

_FORM = re.compile(rf"secret://({NAME.pattern})/({NAME.pattern})#({NAME.pattern})")


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference.

    Attributes:
        store: ``vault``, ``file``, ``keyring`` or ``azure``.
        set_name: Credentials that belong together, such as ``d365fo``.
        field: One of them, such as ``client_secret``.
    """

    store: str
    set_name: str
    field: str

    def __str__(self) -> str:
        """As it is written in settings."""
        return f"{_SCHEME}{self.store}/{self.set_name}#{self.field}"

    @classmethod
    def parse(cls, text: str, *, setting: str) -> Self:
        """Read a reference.

        Args:
            text: What the setting holds.
            setting: Its name, for messages.

        Raises:
            ConfigError: it begins like one and is none. The text itself is not repeated: a password
                may begin like that.
        """
        found = _FORM.fullmatch(text)
        if found is None:
            message = (
                f"{setting} begins with {_SCHEME} and is no reference; write "
                "secret://<store>/<set>#<field>, for example secret://vault/d365fo#client_secret"
            )
            raise ConfigError(message)
        return cls(*found.groups())


def is_reference(value: object) -> bool:
    """Whether a setting holds a reference rather than the value itself."""
    return isinstance(value, str) and value.startswith(_SCHEME)
