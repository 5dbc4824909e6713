"""Metadata on disk between runs: a folder an environment, a file an entity.

A cache may be lost, foreign or broken at any time: then it is as if nothing had been kept. What is
written is whole or not there.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import urlsplit

import msgspec

from pipeline_core.files import write_atomically
from tap_d365fo.metadata.model import Entity, Published

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: Counts up whenever a file of an earlier version would be misread.
_FORMAT = 1

_logger = logging.getLogger("tap-d365fo.metadata")

T = TypeVar("T", Published, Entity)


class _Kept(msgspec.Struct, Generic[T]):
    """One file: what is known, and what it is known of."""

    format: int
    environment: str
    fetched_at: datetime
    content: T


class MetadataCache:
    """What is known of one environment, as long as it counts as fresh."""

    def __init__(
        self,
        directory: Path,
        environment_url: str,
        *,
        max_age_s: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Use a folder below ``directory``, which is made when something is first kept."""
        self.folder = directory / environment_folder(environment_url)
        self._environment_url = environment_url
        self._max_age_s = max_age_s
        self._now = now

    def published(self) -> Published | None:
        """What the environment offers, where that is known."""
        return self._read(self._listings, _Kept[Published])

    def keep_published(self, published: Published) -> None:
        """Remember it from now on."""
        self._write(self._listings, published)

    def entity(self, entity_set: str) -> Entity | None:
        """An entity, where it is known."""
        return self._read(self._file_of(entity_set), _Kept[Entity])

    def keep_entity(self, entity: Entity) -> None:
        """Remember it from now on."""
        self._write(self._file_of(entity.entity_set), entity)

    def holds(self, entity_set: str) -> bool:
        """Whether there is anything about the entity, however old."""
        return self._file_of(entity_set).exists()

    def forget(self, entity_set: str) -> None:
        """Know nothing of the entity any longer."""
        with contextlib.suppress(OSError):  # read-only: it will be found out of date again
            self._file_of(entity_set).unlink(missing_ok=True)

    @property
    def _listings(self) -> Path:
        return self.folder / "published.json"

    def _file_of(self, entity_set: str) -> Path:
        # The hash tells apart what a file system that ignores case, or the slug, would not.
        return self.folder / f"entity-{_slug(entity_set)}-{_digest(entity_set)}.json"

    def _read(self, path: Path, kind: type[_Kept[T]]) -> T | None:
        try:
            kept = msgspec.json.decode(path.read_bytes(), type=kind)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            _logger.info("%s is no metadata of ours (%s); fetched anew", path, type(error).__name__)
            return None
        if kept.format != _FORMAT or kept.environment != self._environment_url:
            return None
        if kept.fetched_at.tzinfo is None:
            return None
        age_s = (self._now() - kept.fetched_at).total_seconds()
        # One from the future comes from a clock that was wrong.
        return kept.content if 0 <= age_s < self._max_age_s else None

    def _write(self, path: Path, content: T) -> None:
        kept = _Kept(
            format=_FORMAT,
            environment=self._environment_url,
            fetched_at=self._now(),
            content=content,
        )
        keep_file(path, msgspec.json.encode(kept))


def keep_file(path: Path, content: bytes) -> None:
    """Write one file of a cache, and its folder where that is missing.

    A cache that cannot be written makes a run slower, not wrong: it is told, and the run goes on.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except OSError as error:
        _logger.warning("metadata_cache_path cannot be written: %s (%s)", path, error.strerror)


def environment_folder(environment_url: str) -> str:
    """A folder name that a person recognises and that no other environment has."""
    return f"{_slug(urlsplit(environment_url).netloc)}-{_digest(environment_url)}"


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "_", text)[:80].strip(".") or "_"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
