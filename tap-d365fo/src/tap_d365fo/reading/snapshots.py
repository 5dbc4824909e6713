"""What ``etag_scan`` remembers between runs: key and etag of every row, in files that never change.

A STATE names the files of a snapshot, each with the length that counts and the digest of that
length. So a run that is repeated from an older STATE finds what that STATE knew, whatever later
runs wrote; two pipelines may share a folder; and a file that is lost, cut or altered is noticed and
only costs a full read. A run appends to a file of its own, and what it appended is on disk before
the STATE that names it leaves the process.

A file is a sequence of gzip members of JSON lines ``[key, etag]``; a null etag says that the row is
gone.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import tempfile
import time
import uuid
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Annotated, Any

import msgspec

from pipeline_core.errors import ConfigError, TransientError
from pipeline_core.files import is_misconfigured, sync_directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

#: Files that no run has used for so long belong to no state any more.
_KEPT_S = 90 * 86400

_READ_BYTES = 1024 * 1024

_line = msgspec.json.Decoder(tuple[msgspec.Raw, str | None])


@dataclass(frozen=True, slots=True)
class Remembered:
    """One row of a snapshot.

    Attributes:
        key: Its key as a JSON array, as received but for the case of the company.
        etag: None where the row is gone.
    """

    key: bytes
    etag: str | None


@dataclass(frozen=True, slots=True)
class Link:
    """So much of a file belongs to the snapshot.

    Attributes:
        name: File name within the folder of the partition, and nothing else: a state is input.
        length: Bytes that count.
        digest: BLAKE2b-128 of them, in hex.
    """

    name: Annotated[str, msgspec.Meta(pattern=r"^\w+\.snapshot$")]
    length: Annotated[int, msgspec.Meta(ge=0)]
    digest: str


def links_of(state: object) -> tuple[Link, ...]:
    """The snapshot that a state names; empty where it names none, or none that we can read."""
    try:
        return tuple(msgspec.convert(state or (), tuple[Link, ...]))
    except msgspec.ValidationError:
        return ()


def as_state(chain: Sequence[Link]) -> list[dict[str, Any]]:
    """A snapshot as it stands in the state."""
    return [{"name": k.name, "length": k.length, "digest": k.digest} for k in chain]


class SnapshotFolder:
    """The snapshots of one partition."""

    def __init__(self, path: Path, *, run_id: str = "") -> None:
        """Use ``path``, which is made when something is first written.

        Args:
            path: Of the folder.
            run_id: Names the files of this run, so that a replay of it names the same ones.
        """
        self._path = path
        self._run_id = run_id
        self._begun = 0

    def is_intact(self, chain: Sequence[Link]) -> bool:
        """Whether every file is there with the content that the state speaks of."""
        return bool(chain) and all(self._digest(link) == link.digest for link in chain)

    def read(self, chain: Sequence[Link]) -> Iterator[Remembered]:
        """All entries in the order in which they were written: a later one replaces an earlier.

        Raises:
            TransientError: a file went away, or broke, after :meth:`is_intact`.
        """
        try:
            for link in chain:
                with (
                    (self._path / link.name).open("rb") as file,
                    gzip.GzipFile(fileobj=io.BufferedReader(_Head(file, link.length))) as lines,
                ):
                    for line in lines:
                        key, etag = _line.decode(line)
                        yield Remembered(bytes(key), etag)
        except (OSError, EOFError, zlib.error, msgspec.MsgspecError) as error:
            # It was whole when the run began (is_intact); the next run decides anew.
            message = f"snapshot_path: {self._path} cannot be read any more; run again"
            raise TransientError(message) from error

    def check_writable(self) -> None:
        """Make the folder, and see that files can be made in it.

        Raises:
            ConfigError: it is the wrong one.
            TransientError: the disk is in trouble.
        """
        try:
            self._path.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.TemporaryFile(dir=self._path):
                pass
        except OSError as error:
            raise _unwritable(self._path, error) from error

    def begin(self) -> SnapshotFile:
        """A new file of this run.

        Raises:
            TransientError: the folder cannot be written.
        """
        try:
            self._path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._begun += 1
            if self._run_id:
                with contextlib.suppress(FileExistsError):  # two runs of one id: no matter
                    return SnapshotFile(self._path / _name(f"{self._run_id}:{self._begun}"))
            return SnapshotFile(self._path / _name(uuid.uuid4().hex))
        except OSError as error:
            raise _unwritable(self._path, error) from error

    def files(self, chain: Sequence[Link]) -> list[Path]:
        """The files of a snapshot."""
        return [self._path / link.name for link in chain]

    def tidy(self, chain: Sequence[Link]) -> None:
        """Mark the files of ``chain`` as used, and remove those that nobody used for months."""
        oldest = time.time() - _KEPT_S
        named = {link.name for link in chain}
        with contextlib.suppress(OSError):  # house-keeping must not fail a run
            for file in self._path.glob("*.snapshot"):
                if file.name in named:
                    os.utime(file)
                elif file.stat().st_mtime < oldest:
                    file.unlink()

    def _digest(self, link: Link) -> str | None:
        digest = _new_digest()
        left = link.length
        try:
            with (self._path / link.name).open("rb") as file:
                while left and (read := file.read(min(left, _READ_BYTES))):
                    digest.update(read)
                    left -= len(read)
        except OSError:
            return None
        return None if left else digest.hexdigest()


class SnapshotFile:
    """A file that grows by whole members."""

    def __init__(self, path: Path) -> None:
        """Create ``path``."""
        self._path = path
        self._length = 0
        self._digest = _new_digest()
        with path.open("xb"):
            path.chmod(0o600)
        sync_directory(path.parent)

    def append(self, rows: Iterable[Remembered]) -> Link:
        """Add ``rows`` for good; the link covers everything so far.

        Raises:
            TransientError: the disk is full or read-only.
        """
        lines = [b"[%b,%b]" % (row.key, msgspec.json.encode(row.etag)) for row in rows]
        member = gzip.compress(b"\n".join([*lines, b""]), compresslevel=1, mtime=0)
        try:
            with self._path.open("r+b") as file:
                # A member that could not be written whole before is overwritten.
                file.seek(self._length)
                file.write(member)
                file.truncate()
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _unwritable(self._path, error) from error
        self._length += len(member)
        self._digest.update(member)
        return Link(self._path.name, self._length, self._digest.hexdigest())


class _Head(io.RawIOBase):
    """The beginning of a file, as if there were no more of it."""

    def __init__(self, file: IO[bytes], length: int) -> None:
        self._file = file
        self._left = length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 - any buffer
        piece = self._file.read(min(len(buffer), self._left))
        self._left -= len(piece)
        buffer[: len(piece)] = piece
        return len(piece)


def _name(seed: str) -> str:
    return f"{hashlib.blake2b(seed.encode(), digest_size=16).hexdigest()}.snapshot"


def _new_digest() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=16)


def _unwritable(path: Path, error: OSError) -> ConfigError | TransientError:
    message = f"snapshot_path: {path} cannot be written ({error.strerror}); "
    if is_misconfigured(error):
        return ConfigError(message + "name a directory that this user may write to")
    return TransientError(message + "free space or repair the disk, then run again")
