"""In which form a data source travels: as a packaged data source, or as the bare ``.hyper`` file.

Tableau calls packages that its own programs did not write unsupported. A server may refuse one, and
then gets the bare file; that is remembered, so that not every run tries in vain.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError
from target_tableau_hyper.tableau.tds import SHAPE, render

if TYPE_CHECKING:
    from target_tableau_hyper.delivery.describe import Description

#: Kinds of files, as the REST API calls them (``datasourceType``).
HYPER = "hyper"
TDSX = "tdsx"


@dataclass(frozen=True, slots=True)
class Form:
    """How a data source travels.

    Attributes:
        document: The ``.tds``; ``None`` for the bare file.
        why: Why the bare file, where a package was asked for.
    """

    document: bytes | None
    why: str = ""

    @property
    def kind(self) -> str:
        """``hyper`` or ``tdsx``."""
        return HYPER if self.document is None else TDSX

    @property
    def fingerprint(self) -> str:
        """Differs whenever captions, folders or anything else that is said differs."""
        return HYPER if self.document is None else sha256(self.document).hexdigest()


BARE = Form(None)


def choose_form(
    setting: str, description: Description, *, refused: str | None, attempt: str
) -> Form:
    """Decide by the setting ``package``.

    Args:
        setting: ``auto``, ``hyper`` or ``tdsx``.
        description: What the package would say.
        refused: The attempt that the server refused; ``None`` where it never refused one.
        attempt: What this attempt would be, see :func:`attempt_of`.

    Raises:
        ConfigError: a package is asked for that cannot be.
    """
    if setting == HYPER or (setting == "auto" and not description.document.says_something):
        return BARE
    if description.unreadable:
        names = ", ".join(map(repr, description.unreadable[:5]))
        if setting == TDSX:
            message = (
                f"data source {description.document.name!r} cannot be packaged: no XML document "
                f"can hold the names {names}; rename them with stream_maps, or set package to auto"
            )
            raise ConfigError(message)
        return Form(None, f"no package can hold the names {names}")
    if refused == attempt:
        return Form(None, "the server refused the package")
    return Form(render(description.document))


def attempt_of(description: Description, *, server_url: str, api_version: str) -> str:
    """What a refusal holds for: another server, version, shape or settings deserve another try.

    New columns and other texts do not: it is the shape that servers refuse.
    """
    document = description.document
    content = [
        SHAPE,
        server_url,
        api_version,
        document.name,
        [table.name for table in document.tables],
        [[link.many, link.one, link.on] for link in document.links],
        [[folder.name, folder.fields] for folder in document.folders],
    ]
    return sha256(json.dumps(content).encode()).hexdigest()
