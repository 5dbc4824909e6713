"""From staged segments to sealed extracts: merge on copies, check and prove them, then replace.

Replacing starts only when every stream is proved and every control has passed, so a run that fails
leaves every extract as it was.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from pipeline_core.errors import TerminatedError
from target_tableau_hyper.controls.look import Book, Look, closest, sealed_book
from target_tableau_hyper.controls.runner import ControlRun
from target_tableau_hyper.extract.commit import Replacement, replace_together
from target_tableau_hyper.extract.compaction import Density
from target_tableau_hyper.extract.engine import start_engine
from target_tableau_hyper.extract.manifest import Manifest, totals_text
from target_tableau_hyper.extract.merge import Delta, Merged, merge
from target_tableau_hyper.extract.rows import Policy
from target_tableau_hyper.extract.seal import prove
from target_tableau_hyper.extract.store import ExtractStore, stores_in
from target_tableau_hyper.failpoints import reach
from target_tableau_hyper.run import TEST_STREAM

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from target_tableau_hyper.extract.engine import Engine
    from target_tableau_hyper.extract.layout import TableColumn
    from target_tableau_hyper.extract.staged import StagedStream
    from target_tableau_hyper.run import Run


@dataclass(frozen=True, slots=True)
class Sealed:
    """One stream's extract after this run.

    Attributes:
        store: Where it lives.
        manifest: Its seal.
        delta: What this run changed.
        payload: File with the changed rows, where an update may be sent.
        seconds: What merging and sealing took.
    """

    store: ExtractStore
    manifest: Manifest
    delta: Delta
    payload: Path | None
    seconds: float


@dataclass(frozen=True, slots=True)
class _Work:
    """One stream on its way to a seal; ``merged`` is ``None`` where nothing changed."""

    staged: StagedStream
    store: ExtractStore
    old: Manifest | None
    merged: Merged | None
    started: float

    def book(self) -> Book:
        """The stream as controls see it."""
        if self.merged is None:
            assert self.old is not None  # noqa: S101 - a new extract is always merged
            return sealed_book(self.store.extract, self.old)
        return Book(
            stream=self.staged.stream,
            path=self.merged.path,
            is_sealed=False,
            types={column.name: column.sql_type for column in self.merged.columns},
            rows=self.merged.expected.rows,
            totals=self.merged.expected.totals,
            before=self.old,
            extract=self.store.extract,
            changed=True,
        )


class Loader:
    """Turns a run's staged streams into sealed extracts."""

    def __init__(self, run: Run) -> None:
        """Use the run's settings, streams and staging area."""
        self._run = run
        self._now = run.now()
        self._stack = ExitStack()
        self._engine: Engine | None = None
        self._results: dict[str, list[dict[str, Any]]] = {}
        self._types_before: dict[str, dict[str, str]] = {}
        #: By stream, how many records were set aside and where.
        self._aside: dict[str, str] = {}

    def load(self) -> list[Sealed]:
        """Merge, prove and replace.

        Returns:
            The extracts of this run's streams, in the order of their first SCHEMA.
        """
        streams = [staged for staged in self._run.streams.values() if self._has_columns(staged)]
        for (
            staged
        ) in streams:  # whatever keeps the run from counting, what was set aside may be why
            self._settle_quarantine(staged)
        with self._stack:
            merged = [self._merge(staged) for staged in streams]
            self._types_before = {
                work.staged.stream: _types(work.old) for work in merged if work.old is not None
            }
            self._results = self._check(merged)
            prepared = [self._seal(work) for work in merged]
        kept = []
        for sealed, copy in prepared:
            if sealed.manifest.stream == TEST_STREAM:
                self._run.logger.info(
                    "test stream taken and dropped again: %d rows", sealed.manifest.rows
                )
            else:
                kept.append((sealed, copy))
        self._replace([(sealed, copy) for sealed, copy in kept if copy is not None])
        for sealed, copy in kept:
            if copy is None:
                sealed.store.update(sealed.manifest)
                self._record_unchanged(sealed.manifest)
            else:
                self._record(sealed)
        return [sealed for sealed, _ in kept]

    def _replace(self, changed: Sequence[tuple[Sealed, Path]]) -> None:
        """Let the copies of changed extracts take their places."""
        for sealed, _ in changed:
            if self._appends(sealed):
                sealed.store.keep_for_undo()
        replace_together(
            self._run.settings.output_dir.resolve(),
            [Replacement(sealed.store, copy, sealed.manifest) for sealed, copy in changed],
        )

    def _settle_quarantine(self, staged: StagedStream) -> None:
        """Keep and tell what was set aside."""
        if staged.quarantine is None or not staged.quarantine.count:
            return
        run = self._run
        path = staged.quarantine.settle(run.settings.output_dir.resolve(), run.stem(staged.stream))
        assert path is not None  # noqa: S101 - something was set aside
        name = f"{path.parent.name}/{path.name}"
        self._aside[staged.stream] = f"{staged.quarantine.count:,} of {staged.stream} (see {name})"
        run.logger.warning(
            "stream %r: %d records do not fit and are not stored; see %s in output_dir",
            *(staged.stream, staged.quarantine.count, name),
        )
        run.ledger.append(
            "records.quarantined", stream=staged.stream, records=staged.quarantine.count, file=name
        )

    def _appends(self, sealed: Sealed) -> bool:
        """Whether the rows would come twice, if the run ended before its STATE went out."""
        settings = self._run.settings
        appending = settings.load_method == "append-only" or not sealed.manifest.keys
        return appending and settings.state_after == "delivered"

    def _has_columns(self, staged: StagedStream) -> bool:
        if not staged.columns:
            self._run.logger.warning("stream %r has no columns and is left out", staged.stream)
        return bool(staged.columns)

    def _merge(self, staged: StagedStream) -> _Work:
        """Merge one stream into a copy, where it brings anything."""
        started = time.monotonic()
        run, settings = self._run, self._run.settings
        store = run.store(staged.stream)
        if store.roll_back():
            run.logger.info(
                "%s: the last run's rows were not acknowledged and come again; taken back",
                staged.stream,
            )
        old = store.read_manifest()
        unchanged = old is not None and self._brings_nothing(staged, old)
        if old is not None and (unchanged or not old.rows):
            old = store.proved(old, run.hashes.sha256(store.extract))
        if unchanged:
            return _Work(staged, store, old, None, started)
        staged.directory.mkdir(parents=True, exist_ok=True)
        with self._proved_meanwhile(store, old):
            merged = merge(
                self._running_engine(),
                staged,
                base=store.extract if old else None,
                before=old.figures if old else None,
                directory=staged.directory,
                policy=Policy(settings.load_method, settings.hard_delete, self._now),
                hyper_version=settings.hyper_version,
                payload=staged.directory / "payload.hyper" if self._wants_payload(old) else None,
                density=Density.of(old.density) if old else None,
            )
        reach("merged")
        unchanged = old is not None and not merged.delta.changed
        return _Work(staged, store, old, None if unchanged else merged, started)

    @contextmanager
    def _proved_meanwhile(self, store: ExtractStore, old: Manifest | None) -> Iterator[None]:
        """Prove the extract while the body works on a copy of it.

        Raises:
            IntegrityError: it is not the sealed one, which explains whatever the body met.
        """

        def prove_it() -> None:
            if old is not None and old.rows:  # one without rows has been proved
                store.proved(old, self._run.hashes.sha256(store.extract))

        try:
            yield
        except TerminatedError:
            raise  # nobody waits for a hash then
        except Exception:
            prove_it()
            raise
        prove_it()

    def _check(self, merged: Sequence[_Work]) -> dict[str, list[dict[str, Any]]]:
        """Run the controls on what the extracts will be.

        Raises:
            IntegrityError: one did not pass.
        """
        books = {
            work.staged.stream: work.book() for work in merged if work.staged.stream != TEST_STREAM
        }
        settings = self._run.settings
        sums = {stream: tuple(book.totals) for stream, book in books.items()}
        controls = settings.controls.controls(sums)
        self._tell_missing_sums(sums)
        if not controls or not books:
            return {}
        on_disk = stores_in(settings.output_dir.resolve())
        concerned = {
            stream
            for control in controls
            if not books.keys().isdisjoint(control.check.streams)
            for stream in control.check.streams
        }
        for stream in concerned.difference(books) & on_disk.keys():
            manifest = on_disk[stream].load()
            if manifest is not None:
                books[stream] = sealed_book(on_disk[stream].extract, manifest)
        return ControlRun(
            Look(books, self._running_engine, self._run.staging / "controls"),
            brought={work.staged.stream: work.old for work in merged},
            known=[*books, *on_disk],
            aside=self._aside,
            ledger=self._run.ledger,
            logger=self._run.logger,
            now=self._now,
            run_id=self._run.run_id,
        ).check(controls)

    def _tell_missing_sums(self, sums: Mapping[str, Sequence[str]]) -> None:
        """A column that no stream has may be one of another run, or a slip of the pen."""
        known = dict.fromkeys(column for columns in sums.values() for column in columns)
        for name, column in self._run.settings.controls.without_sum(sums):
            hint = closest(column, known)
            tell = self._run.logger.warning if hint else self._run.logger.info
            tell(
                "control %r looks at column %r, of which no stream of this run has a sum%s",
                *(name, column, hint),
            )

    def _seal(self, work: _Work) -> tuple[Sealed, Path | None]:
        """Prove a copy; the path is the copy, or ``None`` where nothing changed."""
        staged, old, merged, run = work.staged, work.old, work.merged, self._run
        results = self._results.get(staged.stream, [])
        if merged is None:
            assert old is not None  # noqa: S101 - a new extract is always merged
            self._log(staged, Delta(), old.rows, work.started)
            kept = replace(
                old,
                as_of=self._now,
                checked_by=run.run_id,
                datasource=run.settings.datasource(staged.stream).name or staged.stream,
                columns=[_retitled(staged, column) for column in old.columns],
                controls=results,
                quarantined=staged.quarantine.count if staged.quarantine else 0,
            )
            return Sealed(work.store, kept, Delta(), None, time.monotonic() - work.started), None
        if merged.expected.rows:  # beside the proof, which leaves all but empty tables alone
            run.hashes.begin(merged.path)
        figures = prove(staged.stream, merged.path, merged.columns, merged.expected)
        reach("proved")
        manifest = self._manifest(staged, work.store, merged, old, totals_text(figures))
        self._log(staged, merged.delta, figures.rows, work.started)
        return (
            Sealed(
                work.store,
                replace(manifest, controls=results),
                merged.delta,
                merged.payload,
                time.monotonic() - work.started,
            ),
            merged.path,
        )

    def _brings_nothing(self, staged: StagedStream, old: Manifest) -> bool:
        """Whether the extract can stay as it is without looking into it."""
        return (
            not staged.rows
            and staged.activated is None
            and self._run.settings.load_method != "overwrite"
            and old.hyper_version == self._run.settings.hyper_version
            and old.keys == list(staged.keys)
            and staged.columns.keys() <= {column["name"] for column in old.columns}
        )

    def _wants_payload(self, old: Manifest | None) -> bool:
        settings = self._run.settings
        return (
            settings.tableau is not None
            and settings.publish in {"auto", "update"}
            and old is not None
            and (old.is_delivered or bool(settings.datasources.containing(old.stream)))
        )

    def _manifest(
        self,
        staged: StagedStream,
        store: ExtractStore,
        merged: Merged,
        old: Manifest | None,
        totals: dict[str, str],
    ) -> Manifest:
        names = self._run.settings.datasource(staged.stream)
        return Manifest(
            stream=staged.stream,
            datasource=names.name or staged.stream,
            file=store.extract.name,
            run_id=self._run.run_id,
            as_of=self._now,
            checked_by=self._run.run_id,
            rows=merged.expected.rows,
            totals=totals,
            columns=[_described(staged, column) for column in merged.columns],
            keys=list(staged.keys),
            hyper_version=self._run.settings.hyper_version,
            size=merged.path.stat().st_size,
            sha256=self._run.hashes.sha256(merged.path),
            previous_sha256=old.sha256 if old else None,
            delta=asdict(merged.delta),
            delivered=old.delivered if old else None,
            pending=self._is_to_be_delivered(staged.stream),
            quarantined=staged.quarantine.count if staged.quarantine else 0,
            density=asdict(merged.density),
        )

    def _is_to_be_delivered(self, stream: str) -> bool:
        settings = self._run.settings
        return settings.tableau is not None and settings.datasources.is_published_alone(stream)

    def _running_engine(self) -> Engine:
        if self._engine is None:
            reach("engine.start")
            self._engine = self._stack.enter_context(
                start_engine(
                    hyper_version=self._run.settings.hyper_version,
                    memory_limit=self._run.settings.memory_limit,
                )
            )
        return self._engine

    def _log(self, staged: StagedStream, delta: Delta, rows: int, started: float) -> None:
        self._run.logger.info(
            "%s: %d records merged in %.1f s: %d inserted, %d updated, %d deleted; %d rows%s",
            staged.stream,
            staged.rows,
            time.monotonic() - started,
            delta.inserted,
            delta.updated,
            delta.deleted,
            rows,
            ", sealed" if delta.changed else ", nothing changed",
        )

    def _record(self, sealed: Sealed) -> None:
        manifest = sealed.manifest
        self._run.ledger.append(
            "extract.sealed",
            stream=manifest.stream,
            file=manifest.file,
            rows=manifest.rows,
            totals=manifest.totals,
            sha256=manifest.sha256,
            delta=manifest.delta,
            seconds=round(sealed.seconds, 3),
            **(self._new_columns(manifest)),
        )

    def _new_columns(self, manifest: Manifest) -> dict[str, Any]:
        """Names and types, where they differ from the seal before: a ledger is kept for ever."""
        types = _types(manifest)
        return {} if types == self._types_before.get(manifest.stream) else {"columns": types}

    def _record_unchanged(self, manifest: Manifest) -> None:
        self._run.ledger.append(
            "extract.unchanged",
            stream=manifest.stream,
            file=manifest.file,
            rows=manifest.rows,
            totals=manifest.totals,
            sha256=manifest.sha256,
            sealed_by=manifest.run_id,
        )


def _types(manifest: Manifest) -> dict[str, str]:
    return {column["name"]: column["type"] for column in manifest.columns}


def _described(staged: StagedStream, column: TableColumn) -> dict[str, object]:
    return _retitled(
        staged,
        {"name": column.name, "type": column.sql_type, "nullable": column.nullable},
    )


def _retitled(staged: StagedStream, described: dict[str, object]) -> dict[str, object]:
    """A column of a manifest with the texts that the schema has for it now."""
    known = staged.columns.get(str(described["name"]))
    if known is None:
        return described
    texts = {"title": known.title, "description": known.description}
    kept = {name: value for name, value in described.items() if name not in texts}
    return kept | {name: text for name, text in texts.items() if text}
