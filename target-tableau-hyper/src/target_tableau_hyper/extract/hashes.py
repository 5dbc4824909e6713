"""SHA-256 of extracts, computed while something else is done.

An extract must be proved to be the sealed one before rows are merged into a copy of it. That takes
a second for a gigabyte, in which nothing else can be done, unless it is begun when the stream's
first message comes. A file that was written to since then is read again. A new extract is hashed
while it is proved.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from target_tableau_hyper.extract.manifest import sha256_of

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path


class _Stamp(NamedTuple):
    """What changes when a file is replaced or written to; its change time nobody can set."""

    inode: int
    size: int
    changed_ns: int


class Hashes:
    """Hashes files in a thread of its own, one after the other."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._stop = threading.Event()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="hashes")
        self._begun: dict[Path, tuple[_Stamp, Future[str]]] = {}

    def begin(self, path: Path) -> None:
        """Hash the file at ``path`` before it is asked for; nothing where there is none."""
        if path not in self._begun and path.exists():
            self._begun[path] = (_stamp(path), self._worker.submit(sha256_of, path, self._stop))

    def sha256(self, path: Path) -> str:
        """SHA-256 of the file at ``path`` as it is now, as hex.

        Raises:
            OSError: it cannot be read.
        """
        stamp, begun = self._begun.pop(path, (None, None))
        if begun is not None:
            found = begun.result()
            if _stamp(path) == stamp:
                return found
        return sha256_of(path)

    def close(self) -> None:
        """Give up what nobody has asked for."""
        self._stop.set()
        self._worker.shutdown(cancel_futures=True)


def _stamp(path: Path) -> _Stamp:
    facts = path.stat()
    return _Stamp(facts.st_ino, facts.st_size, facts.st_ctime_ns)
