"""Upload a file of any size in chunks.

tableauserverclient sends chunks too, but gives up at the first failed one, and takes the chunk size
from the environment. A chunk whose answer was lost may or may not have been stored, so the way back
is a new upload session from the first byte: unused sessions vanish by themselves.
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

from pipeline_core.tls import is_untrusted
from target_tableau_hyper.tableau.failures import UPLOAD_SESSION_UNKNOWN

if TYPE_CHECKING:
    import logging

    import tableauserverclient as TSC  # noqa: N812 - its own documentation's name

_TRIES = 4

#: Half of the first wait before the upload is begun again; each further one is twice as long.
PAUSE_S = 0.5

_MEGABYTE = 2**20

#: Seconds between two lines about a long upload.
_PROGRESS_S = 5.0


class ChunkedUploads(Fileuploads):
    """Takes the place of ``server.fileuploads``."""

    def __init__(self, server: TSC.Server, chunk_bytes: int, logger: logging.Logger) -> None:
        """Send chunks of ``chunk_bytes``."""
        super().__init__(server)  # type: ignore[no-untyped-call]
        self._chunk_bytes = chunk_bytes
        self._logger = logger

    def upload(self, file: Any) -> str:  # noqa: ANN401 - the parent takes paths and files alike
        """Upload a file; returns the id of the upload session that holds it."""
        path = Path(file)
        for attempt in range(1, _TRIES + 1):
            try:
                return self._upload_once(path)
            except (InternalServerError, NonXMLResponseError, requests.RequestException) as error:
                self._pause(path, attempt, error)
            except ServerResponseError as error:
                if error.code != UPLOAD_SESSION_UNKNOWN:
                    raise
                self._pause(path, attempt, error)
        raise AssertionError  # the last attempt returns or raises

    def _upload_once(self, path: Path) -> str:
        session_id: str = self.initiate()
        total, sent, told_at = path.stat().st_size, 0, time.monotonic()
        with path.open("rb") as file:
            while chunk := file.read(self._chunk_bytes):
                request, content_type = RequestFactory.Fileupload.chunk_req(  # type: ignore[no-untyped-call]
                    chunk
                )
                self.append(session_id, request, content_type)
                sent += len(chunk)
                if time.monotonic() - told_at >= _PROGRESS_S:
                    told_at = time.monotonic()
                    self._logger.info(
                        "uploaded %.1f of %.1f MB", sent / _MEGABYTE, total / _MEGABYTE
                    )
        self._logger.info("uploaded %s, %.1f MB", path.name, sent / _MEGABYTE)
        return session_id

    def _pause(self, path: Path, attempt: int, error: Exception) -> None:
        """Wait before the next attempt; gives up by raising what happened."""
        if attempt == _TRIES or is_untrusted(error):
            raise error
        self._logger.info(
            "the upload of %s broke off (%s); starting it again", path.name, type(error).__name__
        )
        time.sleep(PAUSE_S * 2**attempt)
