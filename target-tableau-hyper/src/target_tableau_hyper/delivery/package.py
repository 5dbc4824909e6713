"""Put a document and its ``.hyper`` file into one packaged data source (``.tdsx``, a zip file)."""

from __future__ import annotations

import shutil
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: Bytes in memory at a time.
_BLOCK = 2**20

#: Zip files begin their calendar here. A fixed time, so that equal contents are equal files.
_EPOCH = (1980, 1, 1, 0, 0, 0)

#: A plain file for its owner and group, as zip tools of Unix note it.
_UNIX, _ATTRIBUTES = 3, 0o100640 << 16

#: Hyper compresses by column only; the fastest deflate still halves its files (43 MB of invoices
#: to 22 MB at 70 MB a second), the slower levels win 4 % more at a third of the speed. Less to
#: upload is worth more than the time.
_LEVEL = 1


def hyper_member(stem: str) -> str:
    """Where the ``.hyper`` file lies in a package."""
    return f"Data/Extracts/{stem}.hyper"


def write_package(target: Path, *, stem: str, document: bytes, hyper: Path) -> None:
    """Write ``target``; files of any size pass through in blocks.

    Args:
        target: The ``.tdsx`` to make.
        stem: Names both files in it: ``<stem>.tds`` and :func:`hyper_member`.
        document: The ``.tds``; it names :func:`hyper_member`.
        hyper: The data; only read.
    """
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        archive.writestr(_info(f"{stem}.tds"), document, zipfile.ZIP_DEFLATED, _LEVEL)
        info = _info(hyper_member(stem))
        # The size decides whether the header has room for more than 4 GB.
        info.file_size = hyper.stat().st_size
        with hyper.open("rb") as source, archive.open(info, "w") as member:
            shutil.copyfileobj(source, member, _BLOCK)


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = _UNIX
    info.external_attr = _ATTRIBUTES
    return info
