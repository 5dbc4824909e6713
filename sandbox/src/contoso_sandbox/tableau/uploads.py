"""Upload sessions: a large file arrives in blocks and is put together when it is used.

Every block is a file of its own. Blocks are taken in the order of arrival, or by the
``sequenceID`` that newer clients send with blocks in parallel (release-preview documentation,
``rest_api_ref_publishing.htm``); a client that sends a block twice without one, for example because
an answer was lost, has that block twice in its file, as on a real server.
"""

from __future__ import annotations

import re
import secrets
import shutil
import threading
from typing import TYPE_CHECKING

from contoso_sandbox.tableau import errors
from contoso_sandbox.tableau.responses import Element

if TYPE_CHECKING:
    from pathlib import Path

#: Largest block, and largest file of a publish request without an upload session.
MAX_BLOCK_BYTES = 64 * 1024 * 1024
#: Most blocks of one file (release-preview documentation; ``maxFileChunkCount`` in XSD 3.29).
MAX_BLOCKS = 1000

_MEGABYTE = 1024 * 1024
_TAKEN = ".taken"
_SESSION_ID = re.compile(r"[0-9]+:[0-9a-fA-F]+-[0-9]+:[0-9]+")


class Uploads:
    """The upload sessions of the server, one folder each."""

    def __init__(self, directory: Path) -> None:
        """Keep the sessions that are in ``directory``."""
        self._directory = directory
        self._lock = threading.Lock()
        #: Bytes by block and session: a thousand blocks are not to be looked at a thousand times.
        self._sizes: dict[str, dict[str, int]] = {}
        directory.mkdir(parents=True, exist_ok=True)
        for folder in directory.glob(f"*{_TAKEN}"):  # a stop came while it was put together
            shutil.rmtree(folder)

    def start(self) -> Element:
        """Open a session and answer with its ``fileUpload`` element."""
        session_id = f"{secrets.randbelow(90_000) + 10_000}:{secrets.token_hex(16)}-1:0"
        self._folder(session_id).mkdir()
        return self._element(session_id, 0)

    def add(self, session_id: str, block: Path, sequence: int | None) -> Element:
        """Take over ``block`` as the next, or as number ``sequence``, of the file.

        Raises:
            RestError: 404015 for an unknown session, 400000 for more than 1000 blocks.
        """
        with self._lock:
            folder = self._existing(session_id)
            sizes = self._sizes_of(folder)
            number = len(sizes) + 1 if sequence is None else sequence
            target = folder / f"{number:09}"
            if len(sizes) >= MAX_BLOCKS and target.name not in sizes:
                detail = f"A file upload may have at most {MAX_BLOCKS} blocks."
                raise errors.bad_request(detail)
            sizes[target.name] = block.stat().st_size
            shutil.move(block, target)
            size = sum(sizes.values())
        return self._element(session_id, size)

    def require(self, session_id: str) -> int:
        """Size in bytes of what has arrived.

        Raises:
            RestError: 404015, there is no such session.
        """
        with self._lock:
            return sum(self._sizes_of(self._existing(session_id)).values())

    def take(self, session_id: str, target: Path) -> None:
        """Put the file together as ``target`` and end the session.

        Raises:
            RestError: 404015, there is no such session.
        """
        with self._lock:
            folder = self._existing(session_id)
            claimed = folder.with_name(folder.name + _TAKEN)
            folder.rename(claimed)
            self._sizes.pop(folder.name, None)
        with target.open("wb") as whole:
            for block in _blocks(claimed):
                with block.open("rb") as part:
                    shutil.copyfileobj(part, whole, _MEGABYTE)
                block.unlink()
        claimed.rmdir()

    def _existing(self, session_id: str) -> Path:
        folder = self._folder(session_id)
        if not _SESSION_ID.fullmatch(session_id) or not folder.is_dir():
            raise errors.upload_unknown(session_id)
        return folder

    def _sizes_of(self, folder: Path) -> dict[str, int]:
        if folder.name not in self._sizes:
            self._sizes[folder.name] = {path.name: path.stat().st_size for path in _blocks(folder)}
        return self._sizes[folder.name]

    def _folder(self, session_id: str) -> Path:
        return self._directory / session_id.replace(":", "_")

    @staticmethod
    def _element(session_id: str, size: int) -> Element:
        return Element("fileUpload", {"uploadSessionId": session_id, "fileSize": size // _MEGABYTE})


def _blocks(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())
