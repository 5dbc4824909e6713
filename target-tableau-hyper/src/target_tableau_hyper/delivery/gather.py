"""The data sources of several streams that a run concerns, each with all of its tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError
from target_tableau_hyper.delivery.describe import describe_several, references
from target_tableau_hyper.delivery.table_updates import TableUpdate, table_actions
from target_tableau_hyper.extract.combine import Part, combine
from target_tableau_hyper.extract.combined import CombinedManifest, combined_sha
from target_tableau_hyper.extract.combined_payload import join_payloads
from target_tableau_hyper.extract.merge import Delta
from target_tableau_hyper.extract.store import ExtractStore, file_stem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from target_tableau_hyper.delivery.describe import Description
    from target_tableau_hyper.extract.engine import Engine
    from target_tableau_hyper.extract.manifest import Manifest
    from target_tableau_hyper.loading import Sealed
    from target_tableau_hyper.run import Run
    from target_tableau_hyper.settings_datasources import CombinedSettings


@dataclass(frozen=True, slots=True)
class Member:
    """One stream of a data source of several.

    Attributes:
        extract: Its sealed extract.
        manifest: The seal.
        delta: What this run changed; nothing where the run did not bring the stream.
        payload: The changed rows, where there are such and they may be sent by themselves.
    """

    extract: Path
    manifest: Manifest
    delta: Delta
    payload: Path | None

    @property
    def base_sha(self) -> str:
        """Seal of the extract that the run started from; empty for a new one."""
        if not self.delta.changed:
            return self.manifest.sha256
        return self.manifest.previous_sha256 or ""


@dataclass(frozen=True, slots=True)
class Combined:
    """A data source of several streams after this run.

    Attributes:
        settings: Its entry.
        stem: Names its files.
        members: Its streams, in the order of the settings.
        append_only: Whether rows are only ever added, whatever their keys.
        known: What earlier runs noted; ``None`` for a new one.
    """

    settings: CombinedSettings
    stem: str
    members: Mapping[str, Member]
    append_only: bool
    known: CombinedManifest | None

    @property
    def manifests(self) -> dict[str, Manifest]:
        """The seal of each stream."""
        return {stream: member.manifest for stream, member in self.members.items()}

    @property
    def sha256(self) -> str:
        """Seal of what the data source shall hold."""
        seals = {stream: member.manifest.sha256 for stream, member in self.members.items()}
        return combined_sha(seals, references(self.settings))

    @property
    def base_sha256(self) -> str:
        """Seal of what the run's changes start from."""
        seals = {stream: member.base_sha for stream, member in self.members.items()}
        return combined_sha(seals, references(self.settings))

    @property
    def delta(self) -> Delta:
        """What the run changed in all tables together."""
        deltas = [member.delta for member in self.members.values()]
        return Delta(
            inserted=sum(delta.inserted for delta in deltas),
            updated=sum(delta.updated for delta in deltas),
            deleted=sum(delta.deleted for delta in deltas),
            replaced=any(delta.replaced for delta in deltas),
            schema_changed=any(delta.schema_changed for delta in deltas),
        )

    @property
    def rows(self) -> int:
        """Rows of all tables together."""
        return sum(member.manifest.rows for member in self.members.values())

    @property
    def payload_bytes(self) -> int | None:
        """Size of the changed rows; ``None`` where they cannot be sent by themselves."""
        payloads = [self._payload(stream) for stream in self._changed()]
        if not payloads or None in payloads:
            return None
        return sum(payload.stat().st_size for payload in payloads if payload is not None)

    def describe(self) -> Description:
        """What its package would say.

        Raises:
            ConfigError: its relationships do not fit the columns.
        """
        return describe_several(self.settings, self.manifests, stem=self.stem)

    def build(self, engine: Engine, path: Path) -> None:
        """Make and prove the file of all tables."""
        parts = [
            Part(stream, member.extract, member.manifest) for stream, member in self.members.items()
        ]
        combine(engine, parts, references(self.settings), path=path)

    def build_payload(self, engine: Engine, path: Path) -> list[dict[str, Any]]:
        """Make the file of all changed rows; returns what the server shall do with it."""
        payloads = {stream: self._payload(stream) for stream in self._changed()}
        join_payloads(engine, [path for path in payloads.values() if path is not None], path)
        return table_actions(
            [
                TableUpdate(
                    stream,
                    () if self.append_only else tuple(self.members[stream].manifest.keys),
                    deletes=bool(self.members[stream].delta.deleted),
                    upserts=bool(
                        self.members[stream].delta.inserted or self.members[stream].delta.updated
                    ),
                )
                for stream in payloads
            ]
        )

    def _changed(self) -> list[str]:
        return [stream for stream, member in self.members.items() if member.delta.changed]

    def _payload(self, stream: str) -> Path | None:
        """Changed rows of a table; none where they could break a key that others refer to."""
        member = self.members[stream]
        referred = any(one.one == stream for one in self.settings.relationships)
        keyed = bool(member.manifest.keys) and not self.append_only
        return member.payload if keyed or not referred else None


def gather(run: Run, settings: CombinedSettings, brought: Mapping[str, Sealed]) -> Combined | None:
    """A data source of several streams with all of its tables.

    Args:
        run: What is going on.
        settings: Its entry.
        brought: Streams of this run; other tables are the extracts of earlier runs.

    Returns:
        ``None`` where a stream was never loaded: then it cannot be complete.

    Raises:
        IntegrityError: an extract of an earlier run is not the sealed one any more.
        ConfigError: one of them has a newer file format than is set.
    """
    members = {stream: _member(run, stream, brought.get(stream)) for stream in settings.tables}
    missing = [stream for stream, member in members.items() if member is None]
    if missing:
        run.logger.warning(
            "%s is not published: there is no extract of %s yet; select these streams in the "
            "tap, or take them out of datasources.%s.tables",
            settings.name,
            " and ".join(map(repr, missing)),
            settings.key,
        )
        return None
    for stream, member in members.items():
        if member is not None and member.manifest.hyper_version > run.settings.hyper_version:
            message = (
                f"data source {settings.name!r}: the extract of {stream!r} has file format "
                f"{member.manifest.hyper_version}, but hyper_version is "
                f"{run.settings.hyper_version}; load the stream once with that setting"
            )
            raise ConfigError(message)
    stem = file_stem(settings.key)
    return Combined(
        settings,
        stem,
        {stream: member for stream, member in members.items() if member is not None},
        append_only=run.settings.load_method == "append-only",
        known=CombinedManifest.read(manifest_path(run.settings.output_dir, stem)),
    )


def manifest_path(output_dir: Path, stem: str) -> Path:
    """Where it is noted what is known of a data source of several streams."""
    return output_dir.resolve() / f"{stem}.datasource.json"


def _member(run: Run, stream: str, sealed: Sealed | None) -> Member | None:
    if sealed is not None:
        return Member(sealed.store.extract, sealed.manifest, sealed.delta, sealed.payload)
    store = ExtractStore(run.settings.output_dir.resolve(), run.stem(stream), stream)
    manifest = store.load()
    return None if manifest is None else Member(store.extract, manifest, Delta(), None)
