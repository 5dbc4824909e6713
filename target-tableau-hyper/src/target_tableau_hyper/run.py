"""One run: what it holds while messages arrive, and how all of it is let go of again."""

from __future__ import annotations

import shutil
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError, PipelineError, TransientError
from pipeline_core.ledger import NoLedger, open_ledger, tell_head
from pipeline_core.run_id import current_run_id
from pipeline_core.secrets.resolve import told
from target_tableau_hyper.audit import Completeness
from target_tableau_hyper.extract.commit import finish_replacing
from target_tableau_hyper.extract.hashes import Hashes
from target_tableau_hyper.extract.layout import max_digits
from target_tableau_hyper.extract.quarantine import Quarantine
from target_tableau_hyper.extract.staged import StagedStream, clear_staging
from target_tableau_hyper.extract.staging import Budget
from target_tableau_hyper.extract.store import (
    ExtractStore,
    file_stem,
    free_stem,
    stem_of_setting,
    stems_in,
)
from target_tableau_hyper.lock import hold_directory

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pipeline_core.ledger import Ledger
    from pipeline_core.secrets.resolve import Use
    from target_tableau_hyper.extract.staging import SegmentWriter
    from target_tableau_hyper.settings import Settings

#: Stream that ``meltano config test`` writes; it is taken through everything but kept nowhere.
TEST_STREAM = "meltano_test_stream"


class Run:
    """The lock, the staging area, the ledger and the streams of one run."""

    def __init__(
        self, settings: Settings, logger: logging.Logger, *, secret_uses: Sequence[Use] = ()
    ) -> None:
        """Prepare; nothing is touched before :meth:`open`."""
        self._secret_uses = secret_uses
        self.settings = settings
        self.logger = logger
        self.run_id = current_run_id()
        self.started_at = self.now()
        self.completeness = Completeness(settings.completeness)
        self.budget = Budget()
        self.max_digits = max_digits(settings.hyper_version)
        self.ledger: Ledger | NoLedger = NoLedger()
        self.streams: dict[str, StagedStream] = {}
        self.hashes = Hashes()
        self._writers: dict[str, SegmentWriter] = {}
        self._stems: dict[str, str] = {}
        self._resources = ExitStack()
        self._is_open = False
        self._source: str | None = None

    @property
    def staging(self) -> Path:
        """Where this run's segments and copies lie."""
        return self.settings.output_dir.resolve() / ".staging" / file_stem(self.run_id)

    def open(self) -> None:
        """Take the output directory's lock and clear what dead runs left.

        Raises:
            BusyError: another target works there.
            ConfigError: the directory cannot be written to.
        """
        if self._is_open:
            return
        self._is_open = True
        try:
            self._resources.enter_context(
                hold_directory(self.settings.output_dir, wait_s=self.settings.lock_timeout_s)
            )
            # Without the lock, what lies there is another target's, be it under the same run id.
            self._resources.callback(shutil.rmtree, self.staging, ignore_errors=True)
            late = finish_replacing(self.settings.output_dir.resolve())
            left = clear_staging(self.staging.parent)
            self.staging.mkdir(parents=True)
        except OSError as error:
            self._resources.close()
            directory = str(self.settings.output_dir)
            message = f"output_dir {directory!r} cannot be written to: {error.strerror}"
            raise ConfigError(message) from error
        if left:
            self.logger.info("removed what unfinished runs left behind: %s", ", ".join(left))
        try:
            self.ledger = open_ledger(
                self.settings.ledger_path, run_id=self.run_id, actor="target-tableau-hyper"
            )
        except PipelineError:
            self.close()
            raise
        self._resources.callback(self.hashes.close)
        self._resources.callback(self.ledger.close)
        self._resources.callback(tell_head, self.ledger, self.logger)
        self.ledger.append(
            "run.started", output_dir=str(self.settings.output_dir), **told(self._secret_uses)
        )
        if late:
            self.logger.info(
                "a run died while its extracts took their places; done for: %s", ", ".join(late)
            )
            self.ledger.append("replacement.finished", extracts=late)

    def tell_source(self) -> None:
        """Note the tap's run, where it has an id of its own: no runner told both one."""
        source = self.completeness.run_id
        if source is not None and source not in (self.run_id, self._source):
            self._source = source
            self.ledger.append("input.from", source_run=source)

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Hold everything while messages are read; let go of it at once when that fails."""
        try:
            self.open()
            yield
        except OSError as error:
            self.abort(error)
            message = (
                f"writing below {str(self.settings.output_dir)!r} failed: "
                f"{error.strerror or error}; nothing more was replaced or published, check the "
                "disk and run again"
            )
            raise TransientError(message) from error
        except BaseException as error:
            self.abort(error)
            raise

    def abort(self, error: BaseException) -> None:
        """Forget everything received: nothing of this run counts."""
        if not self._is_open:
            return
        for writer in self._writers.values():
            writer.abandon()
        try:
            self.ledger.append_failure("run.failed", error=f"{type(error).__name__}: {error}"[:500])
        finally:
            self.close()

    def close(self) -> None:
        """Remove the staging area and give back the lock."""
        if self._is_open:
            self._resources.close()
            self._is_open = False

    def staged_stream(self, stream: str) -> StagedStream:
        """The staging area of a stream, made on first use.

        Raises:
            ConfigError: two streams would share a file or a data source.
        """
        if stream not in self.streams:
            stem = self.stem(stream)
            for other in self.streams:
                if self.stem(other).casefold() == stem.casefold():
                    message = (
                        f"streams {other!r} and {stream!r} would both be stored in {stem}.hyper; "
                        "give each its own datasources.<stream>.file"
                    )
                    raise ConfigError(message)
            place = self._published_as(stream)
            owner = self._taken_places().get(place) if place else None
            if place and owner:
                message = (
                    f"{owner} and {stream!r} would both be published as {place[1]!r}; give "
                    "each its own name in datasources"
                )
                raise ConfigError(message)
            staged = StagedStream(stream, self.staging / stem)
            if self.settings.on_bad_record == "quarantine":
                staged.quarantine = Quarantine(stream, self.run_id, staged.directory)
            self.streams[stream] = staged
            self.hashes.begin(self.store(stream).extract)
        return self.streams[stream]

    def store(self, stream: str) -> ExtractStore:
        """Where a stream's extract lies, or is to lie."""
        return ExtractStore(self.settings.output_dir.resolve(), self.stem(stream), stream)

    def _published_as(self, stream: str) -> tuple[str | None, str] | None:
        """Project and name of a stream's own data source; ``None`` where it has none."""
        if not self.settings.datasources.is_published_alone(stream):
            return None
        names = self.settings.datasource(stream)
        return names.project or self._default_project, names.name or stream

    def _taken_places(self) -> dict[tuple[str | None, str] | None, str]:
        """Project and name of every other data source, and whose it is."""
        several = {
            (combined.project or self._default_project, combined.name): f"datasources.{key}"
            for key, combined in self.settings.datasources.combined.items()
        }
        return several | {self._published_as(other): f"stream {other!r}" for other in self.streams}

    @property
    def _default_project(self) -> str | None:
        return self.settings.tableau.project if self.settings.tableau else None

    def stem(self, stream: str) -> str:
        """File name of a stream's extract, without ``.hyper``."""
        if stream not in self._stems:
            wanted = self.settings.datasource(stream).file
            taken = stems_in(self.settings.output_dir.resolve()).union(self._stems.values())
            self._stems[stream] = (
                stem_of_setting(stream, wanted) if wanted else free_stem(stream, taken)
            )
        return self._stems[stream]

    def add_writer(self, stream: str, writer: SegmentWriter) -> None:
        """Let a new schema's writer take over; what the former one holds comes first."""
        former = self._writers.get(stream)
        if former is not None:
            former.close()
            self.budget.writers.remove(former)
            self._warn_of_unknown(stream, former)
        self._writers[stream] = writer

    def finish_segments(self) -> None:
        """Write the last rows of every stream."""
        for stream, writer in self._writers.items():
            writer.close()
            self._warn_of_unknown(stream, writer)

    @staticmethod
    def now() -> str:
        """The present instant, as manifests hold it."""
        return datetime.now(UTC).isoformat(timespec="seconds")

    def _warn_of_unknown(self, stream: str, writer: SegmentWriter) -> None:
        if writer.unknown:
            self.logger.warning(
                "stream %r: no schema for %s; these properties of its records are not stored",
                stream,
                ", ".join(sorted(writer.unknown)[:10]),
            )
