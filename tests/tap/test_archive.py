"""Pages on the disk: what is kept, for whom, and what happens when the disk refuses. [T21]"""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
import resource
import subprocess
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from tests.tap.conftest import Output, settings_for
from tests.tap.test_process import COMMAND, last_line

from pipeline_core.errors import ConfigError, TransientError
from tap_d365fo.access.archive import Archive, RecordedRun, body_path
from tap_d365fo.access.replay import ReplayedPages
from tap_d365fo.tap import TapD365FO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from contoso_sandbox.contoso import Contoso

URL = "https://contoso.example/data/VendorsV2?cross-company=true&$orderby=dataAreaId"
TARGET = "/data/VendorsV2?cross-company=true&$orderby=dataAreaId"
AT = datetime(2026, 11, 23, 7, 0, 0, 123456, tzinfo=UTC)
RUN_ID = "run-1"


def recorded_run(run_id: str = RUN_ID) -> RecordedRun:
    return RecordedRun(run_id, "0.1.0", AT, {}, ("usmf",), {})


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    archive = Archive(tmp_path, RUN_ID)
    yield archive
    archive.close()


def lines(tmp_path: Path) -> list[dict[str, object]]:
    return [
        json.loads(line) for line in (tmp_path / RUN_ID / "index.jsonl").read_text().splitlines()
    ]


def test_a_page_is_kept_as_it_was_received(archive: Archive, tmp_path: Path) -> None:
    archive.begin(recorded_run())
    archive.keep(URL, b'{"value":[]}', AT)
    digest = hashlib.sha256(b'{"value":[]}').hexdigest()
    assert lines(tmp_path) == [
        {
            "seq": 1,
            "target": TARGET,
            "sha256": digest,
            "size_bytes": 12,
            "received_at": "2026-11-23T07:00:00.123456Z",
        }
    ]
    assert gzip.decompress(body_path(tmp_path / RUN_ID, digest).read_bytes()) == b'{"value":[]}'


def test_equal_pages_share_one_file(archive: Archive, tmp_path: Path) -> None:
    archive.begin(recorded_run())
    for _ in range(2):
        archive.keep(URL, b'{"value":[]}', AT)
    assert len(lines(tmp_path)) == 2
    assert len(list((tmp_path / RUN_ID / "bodies").iterdir())) == 1


def test_nothing_is_readable_for_others(archive: Archive, tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        archive.begin(recorded_run())
        archive.keep(URL, b"{}", AT)
        archive.finish()
    finally:
        os.umask(umask)
    folder = tmp_path / RUN_ID
    files = [p for p in folder.rglob("*") if p.is_file()]
    assert {p.name.split(".")[-1] for p in files} == {"json", "jsonl", "gz"}
    assert len(files) == 4
    assert {p.stat().st_mode & 0o777 for p in files} == {0o600}
    assert {p.stat().st_mode & 0o777 for p in (folder, folder / "bodies")} == {0o700}


def test_what_comes_before_the_run_begins_is_kept_with_it(archive: Archive, tmp_path: Path) -> None:
    archive.keep(URL, b"{}", AT)
    assert list(tmp_path.iterdir()) == []
    archive.begin(recorded_run())
    archive.keep(URL, b'{"a":1}', AT)
    assert [line["size_bytes"] for line in lines(tmp_path)] == [2, 7]


def test_a_run_is_recorded_once(archive: Archive, tmp_path: Path) -> None:
    archive.begin(recorded_run())
    with pytest.raises(ConfigError, match=f"already holds a run {RUN_ID}"):
        Archive(tmp_path, RUN_ID).begin(recorded_run())


@pytest.mark.parametrize("run_id", ["", "..", "../x", "a/b", "a\n", ".hidden", "x" * 129])
def test_a_run_id_does_not_lead_out_of_the_archive(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(ConfigError, match="run id"):
        Archive(tmp_path, run_id)


def test_many_threads_may_keep_pages(archive: Archive, tmp_path: Path) -> None:
    archive.begin(recorded_run())
    bodies = [b'{"value":[%d]}' % (number % 40) for number in range(200)]
    at_once = threading.Barrier(8)

    def work(worker: int) -> None:
        at_once.wait()
        for number in range(worker, 200, 8):
            archive.keep(f"{URL}&n={number}", bodies[number], AT)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    archive.finish()
    replayed = ReplayedPages(tmp_path, RUN_ID)
    for number, body in enumerate(bodies):
        assert replayed.get(f"{URL}&n={number}").document == json.loads(body)


def test_an_archive_where_nobody_may_write_is_a_setting_to_correct(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="archive_path does not take"):
        Archive(tmp_path / "file/below", RUN_ID).begin(recorded_run())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("step", [1, 2, 3], ids=["body", "its name", "line"])
def test_a_disk_that_refuses_ends_the_run_without_a_claim(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, step: int
) -> None:
    archive.begin(recorded_run())
    archive.keep(URL, b"{}", AT)
    real, calls = os.fsync, []

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == step:
            raise OSError(code, os.strerror(code))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(TransientError, match=os.strerror(code)):
        archive.keep(URL, b'{"a":1}', AT)
    archive.close()
    replayed = ReplayedPages(tmp_path, RUN_ID)
    assert replayed.get(URL).document == {}


def test_after_half_a_line_none_is_added(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be glued to the torn one, and both would be lost."""
    archive.begin(recorded_run())
    archive.keep(URL, b"{}", AT)
    real = os.write

    def write(descriptor: int, content: bytes) -> int:
        if len(content) > 10:
            return real(descriptor, content[:10])
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patched:
        patched.setattr("tap_d365fo.access.archive.os.write", write)
        with pytest.raises(TransientError, match="free space"):
            archive.keep(URL, b'{"a":1}', AT)
    with pytest.raises(TransientError, match="free space"):
        archive.keep(URL, b'{"a":2}', AT)
    archive.close()
    assert (tmp_path / RUN_ID / "index.jsonl").read_bytes().count(b"\n") == 1
    assert ReplayedPages(tmp_path, RUN_ID).get(URL).document == {}


def test_a_page_that_cannot_be_kept_is_not_emitted(contoso: Contoso, tmp_path: Path) -> None:
    """A real refusal by the system: files may not grow beyond the size of a full page. [T21]"""
    config = tmp_path / "config.json"
    archive = tmp_path / "archive"
    config.write_text(
        json.dumps(
            settings_for(
                contoso,
                entities=["PurchaseOrderLinesV2"],
                companies=["usmf"],
                archive_path=str(archive),
            )
        )
    )
    # (Python would write its own files only in part too: it must not.)
    limit = 8000
    process = subprocess.run(
        [COMMAND, "--config", str(config)],
        capture_output=True,
        check=False,
        env={"PATH": "", "MELTANO_RUN_ID": RUN_ID, "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert process.returncode == 75, process.stderr.decode()
    assert "archive_path does not take the pages" in last_line(process.stderr)
    output = Output(process.stdout.decode())
    kept = {str(line["target"]) for line in lines(archive)}
    assert output.of("SCHEMA")
    assert not output.records("PurchaseOrderLinesV2")
    # A look at the company, one row of its key, is no page that could be emitted.
    pages = [target for target in kept if "PurchaseOrderLinesV2?" in target]
    assert all("$top=1" in target for target in pages)
    assert not any(state["audit"]["complete"] for state in output.states)


def test_discovery_leaves_nothing_behind(contoso: Contoso, tmp_path: Path) -> None:
    """Meltano runs it with the same run id before the run that counts."""
    config = settings_for(contoso, entities=["VendorGroups"], archive_path=str(tmp_path / "a"))
    assert TapD365FO(config=config).catalog_dict["streams"]
    assert not (tmp_path / "a").exists()


def test_no_secret_and_no_origin_is_kept(
    contoso: Contoso, tmp_path: Path, run_tap: Callable[..., Output]
) -> None:
    given = settings_for(contoso, entities=["VendorGroups"], archive_path=str(tmp_path / "a"))
    run_tap(given)
    (folder,) = (tmp_path / "a").iterdir()
    plain = b"".join(p.read_bytes() for p in folder.iterdir() if p.is_file())
    for secret in (given["client_secret"], given["client_id"], "Bearer", contoso.d365_url):
        assert secret.encode() not in plain
    assert b"/data/VendorGroups?" in plain
    assert b"/metadata/PublicEntities" in plain
