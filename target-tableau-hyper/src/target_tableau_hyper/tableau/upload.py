"""Upload a file of any size in chunks.

tableauserverclient sends chunks too, but gives up at the first failed one, takes the chunk size
from the environment and looks at no answer. A chunk whose answer was lost may or may not have been
stored; sent again, it could stand in the file twice. The server tells after each chunk how many
megabytes it has, so a chunk of whole megabytes is simply sent again and the sum compared. Where
the sum is wrong, or cannot tell (the last chunk), the way back is a new upload session from the
first byte: unused sessions vanish by themselves.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from tableauserverclient.server import RequestFactory
from tableauserverclient.server.endpoint.exceptions import (
    InternalServerError,
    NonXMLResponseError,
    ServerResponseError,
)
from tableauserverclient.server.endpoint.fileuploads_endpoint import Fileuploads

from pipeline_core.errors import ConfigError
from pipeline_core.tls import is_untrusted
from target_tableau_hyper.failpoints import reach
from target_tableau_hyper.tableau.failures import UPLOAD_SESSION_UNKNOWN

if TYPE_CHECKING:
    import logging

    import tableauserverclient as TSC  # noqa: N812 - its own documentation's name

#: Upload sessions that are begun for one file.
_SESSIONS = 4

#: How often one chunk is sent within a session.
_CHUNK_TRIES = 3

#: Half of the first wait before something is sent again; each further one is twice as long.
PAUSE_S = 0.5

_MEGABYTE = 2**20

#: Tableau takes no larger chunks, and no more than so many of them for one file (release-preview
#: documentation of "Publishing").
_LARGEST_CHUNK = 64 * _MEGABYTE
_MOST_CHUNKS = 1000

#: Seconds between two lines about a long upload.
_PROGRESS_S = 5.0

#: Failures after which it is unknown whether the server has the chunk.
_UNCERTAIN = (InternalServerError, NonXMLResponseError, requests.RequestException)


class ChunkedUploads(Fileuploads):
    """Takes the place of ``server.fileuploads``."""

    def __init__(self, server: TSC.Server, chunk_bytes: int, logger: logging.Logger) -> None:
        """Send chunks of ``chunk_bytes``, a whole number of megabytes."""
        super().__init__(server)  # type: ignore[no-untyped-call]
        self._chunk_bytes = chunk_bytes
        self._logger = logger

    def upload(self, file: Any) -> str:  # noqa: ANN401 - the parent takes paths and files alike
        """Upload a file; returns the id of the upload session that holds it.

        Raises:
            ConfigError: the file is too large for any upload.
        """
        path = Path(file)
        for attempt in range(1, _SESSIONS + 1):
            try:
                return self._upload_once(path)
            except (*_UNCERTAIN, _LostCountError) as error:
                self._pause(path.name, attempt, _SESSIONS, error)
            except ServerResponseError as error:
                if error.code != UPLOAD_SESSION_UNKNOWN:
                    raise
                self._pause(path.name, attempt, _SESSIONS, error)
        raise AssertionError  # the last attempt returns or raises

    def _upload_once(self, path: Path) -> str:
        total, sent, told_at = path.stat().st_size, 0, time.monotonic()
        size = chunk_size(total, self._chunk_bytes)
        session_id: str = self.initiate()
        counts = True
        with path.open("rb") as file:
            while chunk := file.read(size):
                counts = self._send(session_id, path.name, chunk, sent, counts=counts)
                sent += len(chunk)
                reach("upload.chunk")
                if time.monotonic() - told_at >= _PROGRESS_S:
                    told_at = time.monotonic()
                    self._logger.info(
                        "uploaded %.1f of %.1f MB", sent / _MEGABYTE, total / _MEGABYTE
                    )
        self._logger.info("uploaded %s, %.1f MB", path.name, sent / _MEGABYTE)
        return session_id

    def _send(self, session_id: str, name: str, chunk: bytes, sent: int, *, counts: bool) -> bool:
        """Send one chunk behind ``sent`` bytes; again, where its fate is uncertain and can be told.

        Args:
            session_id: Where to.
            name: Of the file, for messages.
            chunk: What to send.
            sent: Bytes that the server has.
            counts: Whether the server's sums have been right so far.

        Returns:
            Whether they still are.

        Raises:
            _LostCountError: the server does not have what it should have.
        """
        countable = counts and len(chunk) % _MEGABYTE == 0
        for attempt in range(1, _CHUNK_TRIES + 1):
            request, content_type = RequestFactory.Fileupload.chunk_req(  # type: ignore[no-untyped-call]
                chunk
            )
            try:
                answer = self.append(session_id, request, content_type)
            except _UNCERTAIN as error:
                if not countable:
                    raise
                self._pause(f"a chunk of {name}", attempt, _CHUNK_TRIES, error)
            else:
                right = _megabytes(answer) == (sent + len(chunk)) // _MEGABYTE
                if attempt > 1 and not right:
                    raise _LostCountError
                return counts and right
        raise AssertionError  # the last attempt returns or raises

    def _pause(self, what: str, attempt: int, most: int, error: Exception) -> None:
        """Wait before the next attempt; gives up by raising what happened."""
        if attempt == most or is_untrusted(error):
            raise error
        self._logger.info(
            "the upload of %s broke off (%s); starting it again", what, type(error).__name__
        )
        time.sleep(PAUSE_S * 2**attempt)


def _megabytes(answer: Any) -> int | None:  # noqa: ANN401 - tableauserverclient is untyped here
    """What the server says it has; ``None`` where it says nothing."""
    try:
        return int(answer.file_size)
    except (TypeError, ValueError):
        return None


class _LostCountError(requests.RequestException):
    """The server has more or less of the file than was sent."""


def chunk_size(total: int, wanted: int) -> int:
    """Bytes a chunk: as wanted, or more where the file would have too many chunks.

    Raises:
        ConfigError: no chunk size is large enough.
    """
    least = -(-total // _MOST_CHUNKS)
    size = max(wanted, -(-least // _MEGABYTE) * _MEGABYTE)
    if size > _LARGEST_CHUNK:
        message = (
            f"the file has {total / 1e9:.0f} GB, more than the 64 GB that can be uploaded; publish "
            "fewer rows or columns"
        )
        raise ConfigError(message)
    return size
