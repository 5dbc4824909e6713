"""Store ``file``: a directory of files, as Kubernetes, Docker and systemd mount secrets.

``secret://file/d365fo#client_secret`` is ``<directory>/d365fo/client_secret`` or, where mounts are
flat, ``<directory>/d365fo_client_secret``. One line break at the end is not part of the value.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError
from pipeline_core.secrets.stores import Secret, missing

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline_core.secrets.reference import Reference

#: No credential is longer; a larger file is something else.
_LARGEST_BYTES = 64 * 1024


class MountedStore:
    """Reads a directory."""

    def __init__(self, directory: Path) -> None:
        """Use ``directory``."""
        self._directory = directory

    def get(self, reference: Reference) -> Secret:
        """The content of the reference's file.

        Raises:
            ConfigError: there is none, everybody may read it, or it is no text.
        """
        nested = self._directory / reference.set_name / reference.field
        flat = self._directory / f"{reference.set_name}_{reference.field}"
        path = nested if nested.exists() else flat
        try:
            found = path.stat()
            if stat.S_IMODE(found.st_mode) & stat.S_IROTH:
                message = f"{path} may be read by every user of the machine; chmod o-r it"
                raise ConfigError(message)
            if found.st_size > _LARGEST_BYTES:
                raise missing(reference, f"{path} is too large to be a secret")
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            advice = (
                f"there is neither {nested} nor {flat} (D365FO_TABLEAU_SECRETS_DIR names the "
                "directory)"
            )
            raise missing(reference, advice) from None
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise missing(reference, f"{path} cannot be read: {reason}") from None
        value = text.removesuffix("\n").removesuffix("\r")
        if not value:
            raise missing(reference, f"{path} is empty")
        return Secret(value)
