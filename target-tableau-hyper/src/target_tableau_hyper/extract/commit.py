"""The extracts of a run take the places of the old ones together, although they are many files.

Controls look at all of them side by side, so half of them would be a state that nobody has checked.
The proved copies and their manifests first come to lie in a folder of their own; the moment at
which that folder gets its name is the moment from which they count. What is left to do then are
renames, and whoever takes the directory's lock next does those that a crash has left undone.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, NamedTuple

from pipeline_core.files import replace_durably, sync_directory
from target_tableau_hyper.extract.store import MANIFEST_SUFFIX, SUFFIX, WAITING
from target_tableau_hyper.failpoints import reach

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from target_tableau_hyper.extract.manifest import Manifest
    from target_tableau_hyper.extract.store import ExtractStore

#: What the folder is called before it counts.
_PREPARING = f"{WAITING}.new"

#: An extract holds a ledger: not for every user of the machine.
_MODE = 0o640


class Replacement(NamedTuple):
    """A proved copy, and the seal that it gets."""

    store: ExtractStore
    copy: Path
    manifest: Manifest


def replace_together(directory: Path, replacements: Sequence[Replacement]) -> None:
    """Make proved copies and their manifests the ones that count: all of them, or none."""
    if not replacements:
        return
    preparing = directory / _PREPARING
    preparing.mkdir()
    try:
        for store, copy, manifest in replacements:
            copy.chmod(_MODE)
            replace_durably(copy, preparing / store.extract.name)
            manifest.write(preparing / store.manifest.name)
            reach("commit.next")
        preparing.rename(directory / WAITING)
    except BaseException:
        shutil.rmtree(preparing, ignore_errors=True)
        raise
    sync_directory(directory)
    reach("commit.together")
    _replace(directory)


def finish_replacing(directory: Path) -> list[str]:
    """Do what a run that died has left undone; call it only under the directory's lock.

    Returns:
        The names of the extracts concerned, without ``.hyper``.
    """
    shutil.rmtree(directory / _PREPARING, ignore_errors=True)
    left = waiting(directory)
    _replace(directory)
    return left


def waiting(directory: Path) -> list[str]:
    """Extracts that count already and whose places the old ones still have, without ``.hyper``."""
    manifests = (directory / WAITING).glob(f"*{MANIFEST_SUFFIX}")
    return sorted(path.name.removesuffix(MANIFEST_SUFFIX) for path in manifests)


def _replace(directory: Path) -> None:
    """An extract before its manifest, which tells that both are still to be done."""
    folder = directory / WAITING
    for stem in waiting(directory):
        extract, manifest = (f"{stem}{suffix}" for suffix in (SUFFIX, MANIFEST_SUFFIX))
        if (folder / extract).exists():
            replace_durably(folder / extract, directory / extract)
            reach("commit.extract")
        replace_durably(folder / manifest, directory / manifest)
        reach("committed")
    if folder.exists():
        shutil.rmtree(folder)
        sync_directory(directory)
