"""The only ways in which a file comes to be: whole, or not at all.

A rename is atomic but not durable: without the fsync of the file its new name may lead to an empty
file after a power cut, and without the fsync of the directory the name itself may be lost.
"""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

#: What a person must change; a full or broken disk may be well again at the next run.
_MISCONFIGURED = frozenset(
    {errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG}
)


def is_misconfigured(error: OSError) -> bool:
    """Whether a path that cannot be written is the wrong one, rather than on a troubled disk."""
    return error.errno in _MISCONFIGURED


def write_atomically(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Replace ``path`` by ``content``: readers see the old file or the new one, never a part.

    Raises:
        OSError: the file system refused; ``path`` is as it was.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def replace_durably(source: Path, target: Path) -> None:
    """Give a finished file its final name so that it is there after a power cut.

    Both must lie on one file system. ``source`` is flushed first.
    """
    with source.open("rb") as file:
        os.fsync(file.fileno())
    source.replace(target)
    sync_directory(target.parent)


def sync_directory(directory: Path) -> None:
    """Make the names in ``directory`` durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
