"""Answer requests from the archive of an earlier run instead of the network.

The whole tap runs unchanged on recorded pages: it asks the same questions, because it is given the
state and the starting time of the recorded run, and gets the same bodies. No token is asked for.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import threading
import zlib
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from pipeline_core.errors import ConfigError, DataError, IntegrityError
from tap_d365fo.access.archive import (
    INDEX,
    LAYOUT,
    METADATA,
    RUN,
    SEAL,
    SNAPSHOTS,
    Entry,
    RecordedRun,
    Seal,
    body_path,
    run_folder,
    target_of,
)
from tap_d365fo.access.client import Answer
from tap_d365fo.access.document import UnreadableError, parse_document
from tap_d365fo.names import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tap_d365fo.access.document import ReadRows

#: Settings that decide what is asked for. Their digests tell what to put back when a replay asks
#: for pages that were not recorded.
_SHAPING = (
    "companies",
    "entities",
    "entity_settings",
    "max_concurrency",
    "null_sentinels",
    "snapshot_path",
    "start_date",
)

#: To how much a page of F&O is packed.
_USUAL_RATIO = 10

_logger = logging.getLogger("tap-d365fo.replay")


class ReplayedPages:
    """The recorded answers of one run; serves any number of fetching threads.

    An address that was fetched several times (a walk that began anew) is answered in the order in
    which it was. Between addresses no order is assumed: concurrent requests overtake each other.

    Attributes:
        run: What shaped the requests of the recorded run.
    """

    def __init__(
        self,
        directory: Path,
        run_id: str,
        *,
        before_unpacking: Callable[[int], None] | None = None,
    ) -> None:
        """Read the index of ``run_id``; bodies are read and verified when asked for.

        ``before_unpacking`` is called with the length of each body before that.

        Raises:
            ConfigError: ``directory`` holds no such run.
            IntegrityError: the recording was changed.
        """
        self._before_unpacking = before_unpacking
        self._folder = run_folder(directory, run_id)
        self.run = _read_run(self._folder)
        seal = _read_seal(self._folder)
        self._is_complete = seal is not None
        self._lock = threading.Lock()
        self._answers: dict[str, deque[Entry]] = defaultdict(deque)
        for entry in _read_index(self._folder, seal):
            self._answers[entry.target].append(entry)

    def get(self, url: str, read_rows: ReadRows | None = None) -> Answer:
        """The recorded answer for ``url``; ``read_rows`` is asked first what it makes of the body.

        Raises:
            DataError: the recorded run did not ask for it (so often).
            IntegrityError: the body is missing or was changed.
        """
        with self._lock:
            waiting = self._answers.get(target_of(url))
            if not waiting:
                raise DataError(self._not_recorded(url))
            entry = waiting.popleft()
        if self._before_unpacking is not None:
            self._before_unpacking(entry.size_bytes // _USUAL_RATIO)
        body = self._body(entry)
        what = f"GET {urlsplit(url).path} (page {entry.seq} of the archive)"
        try:
            document = parse_document(body, what, read_rows)
        except UnreadableError as error:  # it was read another way when it was recorded
            message = f"{what}: {error}"
            raise DataError(message) from error
        return Answer(url, document, entry.size_bytes, entry.received_at)

    def pages_of(self, entity_set: str) -> Iterator[tuple[Entry, bytes]]:
        """Every recorded answer for an entity set, the last one first; nothing is used up.

        Raises:
            IntegrityError: a body is missing or was changed.
        """
        with self._lock:
            entries = [entry for waiting in self._answers.values() for entry in waiting]
        for entry in sorted(entries, key=lambda entry: entry.seq, reverse=True):
            if urlsplit(entry.target).path.rpartition("/")[2] == entity_set:
                yield entry, self._body(entry)

    @property
    def metadata_folder(self) -> Path:
        """What was known of the entities when the run was recorded."""
        return self._folder / METADATA

    @property
    def snapshots_folder(self) -> Path:
        """What ``etag_scan`` remembered when the run was recorded; an old recording has none."""
        return self._folder / SNAPSHOTS

    def tell_differences(self, settings: Mapping[str, str], tap_version: str) -> None:
        """Warn of what may lead to other requests than the recorded ones."""
        names = [name for name, digest in settings.items() if self.run.settings.get(name) != digest]
        if tap_version != self.run.tap_version:
            names.append(f"the version of the tap ({self.run.tap_version} recorded it)")
        if names:
            _logger.warning("replay of %s: not as recorded: %s", self.run.run_id, ", ".join(names))

    def _not_recorded(self, url: str) -> str:
        known = "no further answer" if target_of(url) in self._answers else "no answer"
        why = (
            "settings, catalog or tap version differ from those of the recorded run"
            if self._is_complete
            else "the recording was interrupted before it, or settings or catalog differ"
        )
        return (
            f"the archive of run {self.run.run_id} holds {known} for GET {urlsplit(url).path} as "
            f"it is asked for now: {why}"
        )

    def _body(self, entry: Entry) -> bytes:
        path = body_path(self._folder, entry.sha256)
        try:
            with gzip.open(path) as file:
                body = file.read(entry.size_bytes + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise IntegrityError(_damaged(path, "cannot be unpacked")) from error
        if hashlib.sha256(body).hexdigest() != entry.sha256:
            raise IntegrityError(_damaged(path, "is not what was received"))
        return body


def shaping_digests(config: Mapping[str, Any]) -> dict[str, str]:
    """A digest of each setting that shapes requests: shows whether it changed, not its value."""
    return {name: _digest(config.get(name)) for name in _SHAPING}


def _digest(value: object) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _read_run(folder: Path) -> RecordedRun:
    path = folder / RUN
    try:
        run = msgspec.json.decode(path.read_bytes(), type=RecordedRun)
    except (FileNotFoundError, NotADirectoryError) as error:
        others = sorted(p.parent.name for p in folder.parent.glob(f"*/{RUN}"))
        message = f"archive_path holds no run {folder.name}{nearest(folder.name, others)}"
        raise ConfigError(message) from error
    except PermissionError as error:
        message = f"the archive of run {folder.name} belongs to another user"
        raise ConfigError(message) from error
    except msgspec.DecodeError as error:
        raise IntegrityError(_damaged(path, "cannot be read")) from error
    if run.layout != LAYOUT:
        message = f"the archive of run {folder.name} was written by another version of the tap"
        raise ConfigError(message)
    return run


def _read_seal(folder: Path) -> Seal | None:
    path = folder / SEAL
    try:
        return msgspec.json.decode(path.read_bytes(), type=Seal)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise IntegrityError(_damaged(path, "cannot be read")) from error


def _read_index(folder: Path, seal: Seal | None) -> list[Entry]:
    """The lines of the index; without a seal the last one may be torn, and then it never was."""
    path = folder / INDEX
    try:
        content = path.read_bytes()
    except FileNotFoundError:  # killed between run.json and the first page
        content = b""
    if seal is not None and hashlib.sha256(content).hexdigest() != seal.index_sha256:
        raise IntegrityError(_damaged(path, "is not what was sealed"))
    whole, _, _ = content.rpartition(b"\n")
    try:
        entries = [msgspec.json.decode(line, type=Entry) for line in whole.splitlines()]
    except msgspec.DecodeError as error:
        raise IntegrityError(_damaged(path, "has a line that cannot be read")) from error
    if [entry.seq for entry in entries] != list(range(1, len(entries) + 1)):
        raise IntegrityError(_damaged(path, "lacks a line"))
    return entries


def _damaged(path: Path, what: str) -> str:
    return (
        f"{path.name} of the archived run {_run_of(path)} {what}; the recording was changed or the "
        "disk is damaged, and it cannot be replayed"
    )


def _run_of(path: Path) -> str:
    inner = path.parent
    return inner.parent.name if inner.name == "bodies" else inner.name
