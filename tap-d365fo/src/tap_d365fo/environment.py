"""What reaches the environment, or stands for it: client, archive, replay, metadata."""

from __future__ import annotations

import functools
import math
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tap_d365fo.access.archive import Archive, RecordedRun
from tap_d365fo.access.auth import TokenProvider
from tap_d365fo.access.client import D365Client
from tap_d365fo.access.links import LinkRebaser
from tap_d365fo.access.replay import ReplayedPages, shaping_digests
from tap_d365fo.access.session import WorkerSessions, new_session
from tap_d365fo.metadata.access import Access
from tap_d365fo.metadata.cache import MetadataCache
from tap_d365fo.metadata.service import MetadataService, open_metadata
from tap_d365fo.reading.pages import PageReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tap_d365fo.metadata.model import Entity
    from tap_d365fo.settings import Settings


class Environment:
    """One F&O environment in one run; or the recording of another run, which looks the same."""

    def __init__(
        self,
        settings: Settings,
        run_id: str,
        *,
        before_unpacking: Callable[[int], None] | None = None,
    ) -> None:
        """Send nothing yet.

        Args:
            settings: Of the tap.
            run_id: Names what is recorded.
            before_unpacking: Called with the length of a body before it is unpacked.
        """
        self._before_unpacking = before_unpacking
        self._settings = settings
        self._run_id = run_id
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    @functools.cached_property
    def replayed(self) -> ReplayedPages | None:
        """The run that is emitted once more."""
        directory, run_id = self._settings.archive_path, self._settings.replay_run_id
        if directory is None or run_id is None:
            return None
        return ReplayedPages(directory, run_id, before_unpacking=self._before_unpacking)

    @functools.cached_property
    def archive(self) -> Archive | None:
        """Where the pages of this run are kept."""
        directory = self._settings.archive_path
        if directory is None or self.replayed is not None:
            return None
        return Archive(directory, self._run_id)

    @functools.cached_property
    def started_at(self) -> datetime:
        """When the run began; in a replay, when the recorded one did."""
        return self.replayed.run.started_at if self.replayed else datetime.now(UTC)

    @property
    def recorded_run_id(self) -> str:
        """The id of this run; in a replay, that of the recorded one."""
        return self.replayed.run.run_id if self.replayed else self._run_id

    @functools.cached_property
    def snapshot_path(self) -> Path | None:
        """Where snapshots are read and written; in a replay a copy, which goes with the run."""
        given = self._settings.snapshot_path
        if given is None or self.replayed is None or not self.replayed.snapshots_folder.is_dir():
            return given
        self._scratch = tempfile.TemporaryDirectory(prefix="tap-d365fo-replay-")
        copied = Path(self._scratch.name) / "snapshots"
        shutil.copytree(self.replayed.snapshots_folder, copied)
        return copied

    def close(self) -> None:
        """Release what a run holds open."""
        if self.archive is not None:
            self.archive.close()
        if self._scratch is not None:
            self._scratch.cleanup()

    @functools.cached_property
    def reader(self) -> PageReader:
        """Pages and small documents."""
        return PageReader(
            self.replayed or self._client, LinkRebaser(self._settings.environment_url)
        )

    @functools.cached_property
    def metadata(self) -> MetadataService:
        """What the environment publishes; in a replay, what it published."""
        settings = self._settings
        access = Access(
            environment_url=settings.environment_url,
            reader=self.reader,
            client=self._client,
            links=LinkRebaser(settings.environment_url),
            threads=settings.max_concurrency,
        )
        if self.replayed is not None:
            return MetadataService(
                access, cache=self._recorded_metadata(self.replayed), is_recorded=True
            )
        return open_metadata(
            access,
            cache_path=settings.metadata_cache_path,
            max_age_s=settings.metadata_max_age_s,
            label_language=settings.label_language,
        )

    def record(
        self,
        archive: Archive,
        *,
        state: Mapping[str, Any],
        companies: tuple[str, ...],
        entities: Iterable[Entity],
        snapshots: Iterable[Path],
        config: Mapping[str, Any],
        tap_version: str,
    ) -> None:
        """Begin the recording with all that a replay needs beside the pages.

        The entities as they are read are written down, too: they may have come from a cache, or
        from ``$metadata``, which is no page.
        """
        archive.begin(
            RecordedRun(
                run_id=self._run_id,
                tap_version=tap_version,
                started_at=self.started_at,
                state=dict(state),
                companies=companies,
                settings=shaping_digests(config),
            )
        )
        kept = self._recorded_metadata(archive)
        kept.keep_published(self.metadata.published())
        for entity in entities:
            kept.keep_entity(entity)
        if self._settings.snapshot_path is not None:
            archive.keep_snapshots(self._settings.snapshot_path, snapshots)

    def _recorded_metadata(self, recording: Archive | ReplayedPages) -> MetadataCache:
        return MetadataCache(
            recording.metadata_folder, self._settings.environment_url, max_age_s=math.inf
        )

    @functools.cached_property
    def _client(self) -> D365Client:
        settings = self._settings
        return D365Client(
            WorkerSessions(settings.ca_bundle),
            TokenProvider(settings, new_session(settings.ca_bundle)),
            request_timeout_s=settings.request_timeout_s,
            run_timeout_s=settings.run_timeout_s,
            keeper=self.archive,
            max_concurrency=settings.max_concurrency,
            before_unpacking=self._before_unpacking,
        )
