"""What is still to be refreshed, in a small file: a run may end between delivery and refresh.

``<output_dir>/.refresh.json`` is written before anything is delivered and loses an entry when its
refresh is confirmed. So neither a failed refresh nor a run that was killed leaves a dashboard on
old data: the next run refreshes what is left, even if it delivers nothing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pipeline_core.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from target_tableau_hyper.refresh.settings import Entry
    from target_tableau_hyper.settings import TableauSettings

_FORMAT = 1


class PendingRefreshes:
    """The entries that are due on one site."""

    def __init__(self, directory: Path, tableau: TableauSettings) -> None:
        """Keep them in ``directory``, which is there."""
        self._path = directory / ".refresh.json"
        self._place = {"server": tableau.server_url, "site": tableau.site}

    def among(self, entries: Sequence[Entry]) -> list[Entry]:
        """Those of ``entries`` that an earlier run left; all of them where that cannot be read."""
        try:
            content = json.loads(self._path.read_bytes())
            if content["format"] != _FORMAT or content["place"] != self._place:
                return []
            due = set(content["due"])
        except FileNotFoundError:
            return []
        except (ValueError, KeyError, TypeError):
            return list(entries)
        return [entry for entry in entries if entry.key in due]

    def keep(self, due: Iterable[Entry]) -> None:
        """Remember these and no others."""
        keys = [entry.key for entry in due]
        if not keys:
            self._path.unlink(missing_ok=True)
            return
        content = {"format": _FORMAT, "place": self._place, "due": keys}
        write_atomically(self._path, (json.dumps(content, indent=2) + "\n").encode())
