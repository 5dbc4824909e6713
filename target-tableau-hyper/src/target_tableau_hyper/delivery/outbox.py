"""What earlier runs sealed for Tableau and did not deliver: this run's errands beside its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_tableau_hyper.delivery.gather import manifest_path
from target_tableau_hyper.extract.combined import CombinedManifest
from target_tableau_hyper.extract.manifest import Manifest
from target_tableau_hyper.extract.merge import Delta
from target_tableau_hyper.extract.store import MANIFEST_SUFFIX, ExtractStore, file_stem
from target_tableau_hyper.loading import Sealed

if TYPE_CHECKING:
    from collections.abc import Collection

    from target_tableau_hyper.run import Run
    from target_tableau_hyper.settings_datasources import CombinedSettings


class Outbox:
    """Pending deliveries in the output directory, of streams that this run does not bring."""

    def __init__(self, run: Run, brought: Collection[str]) -> None:
        """Look at the manifests; no extract is opened yet."""
        self._directory = run.settings.output_dir.resolve()
        manifests = [
            (path.name.removesuffix(MANIFEST_SUFFIX), Manifest.read(path))
            for path in sorted(self._directory.glob(f"*{MANIFEST_SUFFIX}"))
        ]
        self._seals = {manifest.stream: manifest.sha256 for _, manifest in manifests}
        #: Extracts to deliver by themselves: file stem and manifest.
        self.extracts = [
            (stem, manifest)
            for stem, manifest in manifests
            if manifest.pending and manifest.stream not in brought
        ]
        #: Data sources of several streams, none of which this run brings.
        self.combined = [
            settings
            for settings in run.settings.datasources.combined.values()
            if settings.tables.keys().isdisjoint(brought) and self._is_behind(settings)
        ]

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.extracts or self.combined)

    def open(self, stem: str, manifest: Manifest) -> Sealed | None:
        """A pending extract after its seal was checked; ``None`` if it is none any more.

        Raises:
            IntegrityError: it is not the sealed one.
        """
        store = ExtractStore(self._directory, stem, manifest.stream)
        found = store.load()
        if found is None or not found.pending:
            return None
        return Sealed(store, found, Delta(), None, 0.0)

    def _is_behind(self, settings: CombinedSettings) -> bool:
        """Whether its streams were loaded, and are not all published as they are now."""
        if not settings.tables.keys() <= self._seals.keys():
            return False
        known = CombinedManifest.read(manifest_path(self._directory, file_stem(settings.key)))
        if known is None or known.delivered is None:
            return True
        published = {stream: table["sha256"] for stream, table in known.tables.items()}
        return published != {stream: self._seals[stream] for stream in settings.tables}
