"""Keep every page as it was received, so that a run can be emitted again without the network.

One folder a run::

    <archive_path>/<run_id>/run.json                what a replay needs to ask for the same pages
                            index.jsonl             one line an answer, as they were received
                            bodies/<sha256>.json.gz one file a content
                            metadata/               what was known of the entities that were read
                            snapshots/              what ``etag_scan`` remembered as the run began
                            seal.json               written when the run was complete

The pages hold business data: folders have mode 0700, files 0600. No header, no token and no origin
is stored, only path and query of what was asked. Nothing here deletes anything: how long pages are
kept is the operator's decision, and removing a run means removing its folder.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from pipeline_core.errors import ConfigError, TransientError
from pipeline_core.files import is_misconfigured, sync_directory, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tap_d365fo.access.body import Body

RUN = "run.json"
INDEX = "index.jsonl"
SEAL = "seal.json"
METADATA = "metadata"
SNAPSHOTS = "snapshots"

#: Version of the layout above; a reader refuses another one.
LAYOUT = 1

#: Measured on 42 MB of the sandbox's pages: level 3 packs 420 MB/s to an 18th, level 1 is no
#: faster, level 6 half as fast. zlib and SHA-256 let other threads run meanwhile.
_LEVEL = 3

_FILE_MODE = 0o600
_FOLDER_MODE = 0o700

#: Run ids become folder names. Ours are UUIDs; a runner may set others.
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """What shaped the requests of a run.

    Attributes:
        run_id: Of the run that was recorded.
        tap_version: Package version; another one may ask other questions.
        started_at: The upper bound of every cursor, and what stream versions derive from.
        state: The state that the run began with.
        companies: Ids that were read.
        settings: A digest of each setting that shapes requests; never their values.
    """

    run_id: str
    tap_version: str
    started_at: datetime
    state: dict[str, Any]
    companies: tuple[str, ...]
    settings: dict[str, str]
    layout: int = LAYOUT


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the index.

    Attributes:
        seq: 1, 2, 3 … in the order in which answers proved readable.
        target: Path and query that was asked for, without the origin.
        sha256: Of the unpacked body; also the name of its file.
        size_bytes: Length of the unpacked body.
        received_at: When its last byte had come.
    """

    seq: int
    target: str
    sha256: str
    size_bytes: int
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Seal:
    """What a complete recording amounts to; the ledger holds the same figures.

    Attributes:
        pages: Lines of the index.
        index_sha256: Of the whole index file; with it no line can be changed or lost unnoticed.
    """

    pages: int
    index_sha256: str


@dataclass(frozen=True, slots=True)
class _Body:
    """One answer on its way to the disk, already packed."""

    target: str
    sha256: str
    size_bytes: int
    received_at: datetime
    packed: bytes


class Archive:
    """Takes the pages of one run from any number of fetching threads.

    Nothing touches the disk before :meth:`begin`: discovery and connection tests make requests too,
    and under one Meltano run they are processes with the same run id. Until then the few answers
    (metadata, companies) are held in memory, packed.
    """

    def __init__(self, directory: Path, run_id: str) -> None:
        """Record into the folder of ``run_id`` below ``directory``.

        Raises:
            ConfigError: the run id cannot be a folder name.
        """
        self._folder = run_folder(directory, run_id)
        self._lock = threading.Lock()
        self._held: list[_Body] = []
        self._written: set[str] = set()
        self._index: int | None = None
        self._index_hash = hashlib.sha256()
        self._pages = 0
        self._failure: ConfigError | TransientError | None = None

    @property
    def metadata_folder(self) -> Path:
        """Where the metadata of the run belong, once it has begun."""
        return self._folder / METADATA

    @property
    def snapshots_folder(self) -> Path:
        """Where the snapshots that the run begins with belong, once it has begun."""
        return self._folder / SNAPSHOTS

    def keep_snapshots(self, root: Path, files: Iterable[Path]) -> None:
        """Keep files of snapshots, each under its path below ``root``.

        They never change, so another name of the same file will do where the disk is the same.

        Raises:
            ConfigError: this user may not write here.
            TransientError: the disk does not take them.
        """
        try:
            self.snapshots_folder.mkdir(mode=_FOLDER_MODE)
            for file in files:
                kept = self.snapshots_folder / file.relative_to(root)
                kept.parent.mkdir(parents=True, exist_ok=True, mode=_FOLDER_MODE)
                _link_or_copy(file, kept)
        except OSError as error:
            raise _refused(error) from error

    def begin(self, run: RecordedRun) -> None:
        """Create the run's folder and store what has come so far.

        Raises:
            ConfigError: the folder exists: a run is recorded by one process, once. Or it cannot be
                created by this user.
            TransientError: the disk does not take it.
        """
        try:
            self._folder.parent.mkdir(parents=True, exist_ok=True, mode=_FOLDER_MODE)
            self._folder.mkdir(mode=_FOLDER_MODE)
            bodies_of(self._folder).mkdir(mode=_FOLDER_MODE)
            write_atomically(self._folder / RUN, msgspec.json.encode(run), mode=_FILE_MODE)
            index = os.open(
                self._folder / INDEX, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, _FILE_MODE
            )
            sync_directory(self._folder)
            sync_directory(self._folder.parent)
        except FileExistsError as error:
            message = (
                f"the archive already holds a run {self._folder.name}, and a run is recorded once; "
                "start with another MELTANO_RUN_ID, or give each tap its own archive_path"
            )
            raise ConfigError(message) from error
        except OSError as error:
            raise _refused(error) from error
        with self._lock:
            self._index, held, self._held = index, self._held, []
        for body in held:
            self._store(body)

    def keep(self, url: str, body: Body, received_at: datetime) -> None:
        """Store one answer for good: on return it is there after a power cut.

        Raises:
            TransientError: the disk does not take it; from then on nothing more is stored.
        """
        packed = gzip.compress(body, _LEVEL, mtime=0)
        digest = hashlib.sha256(body).hexdigest()
        arrived = _Body(target_of(url), digest, len(body), received_at, packed)
        with self._lock:
            if self._index is None:
                self._held.append(arrived)
                return
        self._store(arrived)

    def finish(self) -> Seal:
        """Say that the recording is complete.

        Raises:
            TransientError: the disk does not take it.
        """
        seal = Seal(self._pages, self._index_hash.hexdigest())
        try:
            write_atomically(self._folder / SEAL, msgspec.json.encode(seal), mode=_FILE_MODE)
        except OSError as error:
            raise _refused(error) from error
        return seal

    def close(self) -> None:
        """Release the index; what was kept stays, sealed or not."""
        with self._lock:
            if self._index is not None:
                os.close(self._index)
                self._index = None

    def _store(self, body: _Body) -> None:
        """Body first, line second: a line never names a body that is not there."""
        try:
            with self._lock:
                is_new = body.sha256 not in self._written
            if is_new:
                path = body_path(self._folder, body.sha256)
                write_atomically(path, body.packed, mode=_FILE_MODE)
            self._add_line(body)
        except OSError as error:
            raise _refused(error) from error

    def _add_line(self, body: _Body) -> None:
        with self._lock:
            if self._failure is not None:
                raise self._failure
            if self._index is None:  # closed: the run has ended, and no row of this page goes out
                return
            entry = Entry(
                self._pages + 1, body.target, body.sha256, body.size_bytes, body.received_at
            )
            line = msgspec.json.encode(entry) + b"\n"
            try:
                _write_whole(self._index, line)
                os.fsync(self._index)
            except OSError as error:
                # Half a line may be there. A further one behind it would make both unreadable.
                self._failure = _refused(error)
                raise
            self._pages = entry.seq
            self._index_hash.update(line)
            self._written.add(body.sha256)


def target_of(url: str) -> str:
    """Path and query of ``url``: what names a page whichever host or proxy served it."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def run_folder(directory: Path, run_id: str) -> Path:
    """The folder of a run.

    Raises:
        ConfigError: the id has characters that a folder name must not have.
    """
    if _RUN_ID.fullmatch(run_id) is None:
        message = (
            f"a run id that is archived may only have letters, digits, dots and dashes: {run_id!r}"
        )
        raise ConfigError(message)
    return directory / run_id


def bodies_of(folder: Path) -> Path:
    """Where the bodies of a run are."""
    return folder / "bodies"


def body_path(folder: Path, sha256: str) -> Path:
    """The file of one body."""
    return bodies_of(folder) / f"{sha256}.json.gz"


def _link_or_copy(file: Path, kept: Path) -> None:
    """A file that is gone is left out: the run that is recorded does not find it either."""
    with suppress(FileNotFoundError):
        try:
            kept.hardlink_to(file)
        except FileNotFoundError:
            raise
        except OSError:  # another disk, or one without hard links
            shutil.copyfile(file, kept)


def _write_whole(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _refused(error: OSError) -> ConfigError | TransientError:
    reason = error.strerror or type(error).__name__
    message = f"archive_path does not take the pages of this run ({reason}); "
    if is_misconfigured(error):
        return ConfigError(message + "name a directory that this user may write to")
    return TransientError(message + "free space or repair the disk, then run again")
