"""The extracts that lie in ``output_dir``, found by any of their names."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError, IntegrityError
from target_tableau_hyper.extract.commit import waiting
from target_tableau_hyper.extract.store import ExtractStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_ENDINGS = (".manifest.json", ".hyper")


def extracts_in(directory: Path) -> list[ExtractStore]:
    """All extracts of a directory, by name: with a file, a manifest, or both, also on their way.

    Raises:
        ConfigError: there is no such directory.
    """
    if not directory.is_dir():
        message = f"output_dir {str(directory)!r} is no directory; set it to where the extracts lie"
        raise ConfigError(message)
    stems = set(waiting(directory))
    for path in directory.iterdir():
        ending = next((e for e in _ENDINGS if path.name.endswith(e)), None)
        if ending is not None and not path.name.startswith("."):
            stems.add(path.name.removesuffix(ending))
    return [_store(directory, stem) for stem in sorted(stems)]


def choose(directory: Path, names: Sequence[str]) -> list[ExtractStore]:
    """The extracts with these names (stream, data source or file); all of them without names.

    Raises:
        ConfigError: a name belongs to none; names the closest.
    """
    stores = extracts_in(directory)
    if not names:
        return stores
    known: dict[str, ExtractStore] = {}
    for store in stores:
        for name in (store.stem, store.extract.name, store.stream, *_datasources(store)):
            known.setdefault(name, store)
    missing = [name for name in names if name not in known]
    if missing:
        close = difflib.get_close_matches(missing[0], known, n=3, cutoff=0.4)
        hint = (
            f"the closest are {', '.join(map(repr, close))}" if close else "there is none like it"
        )
        message = f"output_dir {str(directory)!r} holds no extract {missing[0]!r}: {hint}"
        raise ConfigError(message)
    return list(dict.fromkeys(known[name] for name in names))


def _store(directory: Path, stem: str) -> ExtractStore:
    store = ExtractStore(directory, stem, stem)
    try:
        manifests = store.candidates()
    except IntegrityError:
        return store  # whoever reads it is told
    return ExtractStore(directory, stem, manifests[0].stream) if manifests else store


def _datasources(store: ExtractStore) -> list[str]:
    try:
        return [manifest.datasource for manifest in store.candidates()]
    except IntegrityError:
        return []
