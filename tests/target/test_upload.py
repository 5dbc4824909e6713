"""Files in chunks: what is sent again, and when everything is."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Any

import pytest
import requests
from tableauserverclient.models import FileuploadItem
from tableauserverclient.server.endpoint.exceptions import ServerResponseError

from pipeline_core.errors import ConfigError
from target_tableau_hyper.tableau.failures import UPLOAD_SESSION_UNKNOWN
from target_tableau_hyper.tableau.upload import ChunkedUploads, chunk_size

if TYPE_CHECKING:
    from pathlib import Path

MB = 2**20
NAMESPACE = "http://tableau.com/api"


@pytest.mark.parametrize(
    ("total", "wanted", "size"),
    [
        pytest.param(1, 16 * MB, 16 * MB, id="small"),
        pytest.param(1000 * MB, MB, MB, id="a thousand chunks"),
        pytest.param(1000 * MB + 1, MB, 2 * MB, id="one more"),
        pytest.param(40_000 * MB, 16 * MB, 40 * MB, id="40 GB"),
        pytest.param(64_000 * MB, 64 * MB, 64 * MB, id="the most"),
    ],
)
def test_a_file_has_at_most_a_thousand_chunks(total: int, wanted: int, size: int) -> None:
    assert chunk_size(total, wanted) == size
    assert -(-total // size) <= 1000


def test_a_file_that_is_too_large_is_told() -> None:
    with pytest.raises(ConfigError, match="the 64 GB that can be uploaded"):
        chunk_size(64_000 * MB + 1, 64 * MB)


class Server(ChunkedUploads):
    """Keeps chunks, and fails as a script says: before or after it kept one."""

    def __init__(self, script: dict[int, str], *, tells_size: bool = True) -> None:
        self._chunk_bytes = MB
        self._logger = logging.getLogger("test")
        self.script = script
        self.tells_size = tells_size
        self.appended = 0
        self.sessions: list[bytes] = []

    def kept(self, file: Path) -> bytes:
        """What the session holds that an upload ends with."""
        session = self.upload(file)
        return self.sessions[int(session)]

    def initiate(self) -> str:
        self.sessions.append(b"")
        return str(len(self.sessions) - 1)

    def append(self, upload_id: Any, data: Any, content_type: Any) -> Any:  # noqa: ANN401
        self.appended += 1
        fate = self.script.get(self.appended)
        if fate == "lost before":
            raise requests.ConnectionError
        if fate == "session lost":
            raise ServerResponseError(UPLOAD_SESSION_UNKNOWN, "gone", "")
        boundary = b"--" + content_type.split("boundary=")[1].encode()
        part = data.split(boundary)[2].split(b"\r\n\r\n", 1)[1]
        self.sessions[int(upload_id)] += part.removesuffix(b"\r\n")
        if fate == "lost after":
            raise requests.ReadTimeout
        size = len(self.sessions[int(upload_id)]) // MB
        told = f' fileSize="{size}"' if self.tells_size else ""
        xml = (
            f'<tsResponse xmlns="{NAMESPACE}"><fileUpload uploadSessionId="0"{told}/></tsResponse>'
        )
        return FileuploadItem.from_response(  # type: ignore[no-untyped-call]
            xml.encode(), {"t": NAMESPACE}
        )


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("target_tableau_hyper.tableau.upload.PAUSE_S", 0.0)
    path = tmp_path / "x.hyper"
    blocks = (hashlib.sha256(str(n).encode()).digest() for n in range(4 * MB // 32))
    path.write_bytes(b"".join(blocks)[: 3 * MB + MB // 2])
    return path


@pytest.mark.parametrize(
    ("script", "sessions", "sent"),
    [
        pytest.param({}, 1, 4, id="no fault"),
        pytest.param({2: "lost before"}, 1, 5, id="never arrived: the chunk again"),
        pytest.param({2: "lost after"}, 2, 7, id="arrived, answer lost: everything again"),
        pytest.param({4: "lost before"}, 2, 8, id="the last chunk: everything again"),
        pytest.param({4: "lost after"}, 2, 8, id="the last chunk, answer lost"),
        pytest.param({3: "session lost"}, 2, 7, id="session lost"),
        pytest.param(
            {2: "lost before", 3: "lost before", 4: "lost before"}, 2, 8, id="three times in a row"
        ),
    ],
)
def test_l08_the_file_arrives_whole_and_once(
    file: Path, script: dict[int, str], sessions: int, sent: int
) -> None:
    server = Server(script)
    assert server.kept(file) == file.read_bytes()
    assert (len(server.sessions), server.appended) == (sessions, sent)


def test_a_server_that_tells_no_sizes_gets_everything_again(file: Path) -> None:
    server = Server({2: "lost after"}, tells_size=False)
    assert server.kept(file) == file.read_bytes()
    assert len(server.sessions) == 2


def test_what_never_works_is_given_up(file: Path) -> None:
    server = Server(dict.fromkeys(range(1, 100), "lost before"))
    with pytest.raises(requests.ConnectionError):
        server.upload(file)
    assert len(server.sessions) == 4
