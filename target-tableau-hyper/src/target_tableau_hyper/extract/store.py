"""One stream's extract and its manifest on disk; :mod:`.commit` replaces them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError, IntegrityError
from pipeline_core.files import replace_durably, sync_directory, write_atomically
from target_tableau_hyper.extract.engine import TABLE, start_engine
from target_tableau_hyper.extract.manifest import Manifest, sha256_of
from target_tableau_hyper.failpoints import reach

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

#: Names that are files as they are, on every system.
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\- ]{0,98}[A-Za-z0-9_]|[A-Za-z0-9_]")

#: Device names of Windows, with or without an extension.
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)

SUFFIX = ".hyper"

MANIFEST_SUFFIX = ".manifest.json"

#: Where extracts and manifests lie that count already and are about to take their places.
WAITING = ".commit"

#: Where extracts lie as they were before a run whose STATE has not gone out.
_UNDO = ".undo"

#: Marks that there was none.
_NOTHING = ".nothing"

#: An extract holds a ledger: not for every user of the machine.
_MODE = 0o640


def file_stem(stream: str) -> str:
    """A file name for a stream: its own name, or a cleaned one with a hash that keeps it unique."""
    if _PLAIN.fullmatch(stream) and not _RESERVED.fullmatch(stream):
        return stream
    return _hashed(stream)


def free_stem(stream: str, taken: Collection[str]) -> str:
    """The same beside others: ``GL`` and ``gl`` are one file on macOS and Windows.

    The one that was there first keeps its name, so this depends on what is ``taken``; a stream
    whose very name is among these has it already.
    """
    stem, other = file_stem(stream), _hashed(stream)
    if stem in taken:
        return stem
    is_like_another = stem.casefold() in {name.casefold() for name in taken}
    return other if other in taken or is_like_another else stem


def stems_in(directory: Path) -> set[str]:
    """The file names of all extracts of a directory, as they are written there."""
    paths = directory.glob(f"*{MANIFEST_SUFFIX}")
    return {path.name.removesuffix(MANIFEST_SUFFIX) for path in paths}


def _hashed(stream: str) -> str:
    cleaned = re.sub(r"[^A-Za-z0-9_\-]+", "_", stream).strip("_")[:60] or "stream"
    return f"{cleaned}-{sha256(stream.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def stem_of_setting(stream: str, file: str) -> str:
    """The stem of a file name from the settings.

    Raises:
        ConfigError: it is more than a file name.
    """
    stem = file.removesuffix(SUFFIX)
    if not _PLAIN.fullmatch(stem) or _RESERVED.fullmatch(stem):
        message = (
            f"datasources.{stream}.file is {file!r}, which is no plain file name; use letters, "
            "digits, '_', '-', '.' and blanks, without a folder"
        )
        raise ConfigError(message)
    return stem


@dataclass(frozen=True, slots=True)
class ExtractStore:
    """Where one stream's extract lives.

    Attributes:
        directory: ``output_dir``.
        stem: File name without ``.hyper``.
        stream: The stream that it must hold.
    """

    directory: Path
    stem: str
    stream: str

    @property
    def extract(self) -> Path:
        """The ``.hyper`` file."""
        return self.directory / f"{self.stem}{SUFFIX}"

    @property
    def manifest(self) -> Path:
        """Its manifest."""
        return self.directory / f"{self.stem}{MANIFEST_SUFFIX}"

    @property
    def _undo(self) -> Path:
        return self.directory / _UNDO

    def load(self) -> Manifest | None:
        """The manifest of the extract that is there, after proving that it is the sealed one.

        Returns:
            ``None`` where there is no extract yet.

        Raises:
            IntegrityError: extract and manifest do not belong together.
            ConfigError: the file holds another stream.
        """
        manifest = self.read_manifest()
        return None if manifest is None else self.proved(manifest, sha256_of(self.extract))

    def read_manifest(self) -> Manifest | None:
        """What should be there: to be proved before anything of it counts.

        Returns:
            ``None`` where there is no extract yet.

        Raises:
            IntegrityError: one of the two files is missing.
            ConfigError: the file holds another stream.
        """
        if not self.extract.exists():
            if self.manifest.exists():
                message = (
                    f"{self.extract.name} is gone, but its manifest is there; restore the file, or "
                    f"remove {self.manifest.name} too and load the stream anew (meltano run "
                    "--full-refresh): rows of earlier runs would be missing otherwise"
                )
                raise IntegrityError(message)
            return None
        if not self.manifest.exists():
            message = (
                f"{self.extract.name} has no manifest, so it was not written by this target; move "
                "it away, or set datasources.<stream>.file to another name"
            )
            raise IntegrityError(message)
        manifest = Manifest.read(self.manifest)
        if manifest.stream != self.stream:
            message = (
                f"{self.extract.name} holds stream {manifest.stream!r}, not {self.stream!r}; set "
                f"datasources.{self.stream}.file to another name"
            )
            raise ConfigError(message)
        return manifest

    def proved(self, manifest: Manifest, sha256: str) -> Manifest:
        """The manifest, when the extract is the one that it seals.

        Args:
            manifest: As it was read.
            sha256: Of the extract that is there.

        Raises:
            IntegrityError: it is another.
        """
        if manifest.sha256 != sha256:
            if manifest.rows == 0 and self._still_empty():
                return replace(manifest, sha256=sha256) if not manifest.is_delivered else manifest
            message = (
                f"{self.extract.name} was altered since run {manifest.run_id} sealed it; restore "
                f"it from a copy, or remove it with {self.manifest.name} and load the stream anew "
                "(meltano run --full-refresh)"
            )
            raise IntegrityError(message)
        return manifest

    def keep_for_undo(self) -> None:
        """Keep the extract as it is now, until :meth:`settle`; see :meth:`roll_back`."""
        self._undo.mkdir(exist_ok=True)
        sync_directory(self.directory)
        if not self.extract.exists():
            write_atomically(self._undo / f"{self.stem}{_NOTHING}", b"", mode=_MODE)
            reach("commit.undo")
            return
        kept = self._undo / self.extract.name
        kept.unlink(missing_ok=True)
        kept.hardlink_to(self.extract)  # the file itself is replaced, never changed
        write_atomically(self._undo / self.manifest.name, self.manifest.read_bytes(), mode=_MODE)
        reach("commit.undo")

    def roll_back(self) -> bool:
        """Return to the extract of before a run that appended rows and whose STATE never went out.

        The tap will send those rows again. Of rows that are found by a key that does no harm, but
        appended ones would stand there twice.

        Returns:
            Whether there was anything to take back.
        """
        nothing = self._undo / f"{self.stem}{_NOTHING}"
        before, manifest = self._undo / self.extract.name, self._undo / self.manifest.name
        if nothing.exists():
            self.manifest.unlink(missing_ok=True)
            self.extract.unlink(missing_ok=True)
            sync_directory(self.directory)  # or else they may come back without their mark
        elif manifest.exists():
            restored = self._undo / f"{self.stem}.restored"
            restored.unlink(missing_ok=True)
            restored.hardlink_to(before)
            replace_durably(restored, self.extract)
            # Where the run died before it replaced anything, both are one file, and a rename of a
            # file to itself leaves both names.
            restored.unlink(missing_ok=True)
            write_atomically(self.manifest, manifest.read_bytes())
        else:
            return False
        self.settle()
        return True

    def settle(self) -> None:
        """What the run wrote stays: its STATE is about to go out.

        Durably: what came back after a power cut would take acknowledged rows away.
        """
        kept = [
            self._undo / name
            for name in (f"{self.stem}{_NOTHING}", self.manifest.name, self.extract.name)
        ]
        if any(path.exists() for path in kept):
            for path in kept:
                path.unlink(missing_ok=True)
            sync_directory(self._undo)

    def candidates(self) -> list[Manifest]:
        """The manifests that the extract may belong to, read only: after a crash there are two.

        Raises:
            IntegrityError: one is no manifest.
        """
        waiting = self.directory / WAITING / self.manifest.name
        return [Manifest.read(path) for path in (self.manifest, waiting) if path.exists()]

    def update(self, manifest: Manifest) -> None:
        """Write what changed beside the extract: a delivery, a newer ``as_of``."""
        manifest.write(self.manifest)

    def _still_empty(self) -> bool:
        """Whether an extract without rows still has none.

        hyperd rewrites the space of an emptied table whenever such a file is opened, even for
        reading, so its bytes prove nothing.
        """
        with start_engine(hyper_version=3) as engine, engine.open(self.extract) as database:
            return bool(database.row(f"SELECT count(*) FROM {TABLE}")[0] == 0)  # noqa: S608 - constant


def stores_in(directory: Path) -> dict[str, ExtractStore]:
    """The extracts of a directory by stream, as their manifests name them.

    Raises:
        IntegrityError: a manifest is none.
    """
    found = {}
    for path in sorted(directory.glob(f"*{MANIFEST_SUFFIX}")):
        stream = Manifest.read(path).stream
        found[stream] = ExtractStore(directory, path.name.removesuffix(MANIFEST_SUFFIX), stream)
    return found
