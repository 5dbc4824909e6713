"""What is delivered as one: a data source with its content, whether of one stream or of several.

The courier asks a parcel for figures to decide by, for the file to send, and tells it what the
server confirmed. Files that only a delivery needs are made when it asks for them.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, Self

from target_tableau_hyper.delivery.describe import describe_one
from target_tableau_hyper.delivery.gather import manifest_path
from target_tableau_hyper.delivery.package import write_package
from target_tableau_hyper.delivery.update import actions
from target_tableau_hyper.extract.combined import CombinedManifest
from target_tableau_hyper.extract.engine import start_engine

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from target_tableau_hyper.delivery.describe import Description
    from target_tableau_hyper.delivery.gather import Combined
    from target_tableau_hyper.extract.engine import Engine
    from target_tableau_hyper.extract.manifest import Delivery
    from target_tableau_hyper.extract.merge import Delta
    from target_tableau_hyper.loading import Sealed
    from target_tableau_hyper.run import Run


class Parcel(Protocol):
    """A data source after a run."""

    @property
    def name(self) -> str:
        """Of the data source."""

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams whose rows it holds."""

    @property
    def project(self) -> str | None:
        """Its project's path; ``None`` for the default one."""

    @property
    def about(self) -> str | None:
        """Its description."""

    @property
    def sha256(self) -> str:
        """Seal of what it shall hold."""

    @property
    def base_sha256(self) -> str | None:
        """Seal of what the run's changes start from."""

    @property
    def as_of(self) -> str:
        """ISO instant at which its data were found current."""

    @property
    def rows(self) -> int:
        """How many it shall hold."""

    @property
    def delta(self) -> Delta:
        """What the run changed."""

    @property
    def seconds(self) -> float:
        """What merging and sealing took."""

    @property
    def payload_bytes(self) -> int | None:
        """Size of the changed rows; ``None`` where they are not at hand."""

    @property
    def delivered(self) -> Delivery | None:
        """What Tableau confirmed last."""

    @property
    def package_refused(self) -> str | None:
        """The attempt at a package that the server refused."""

    def describe(self) -> Description:
        """What its package would say."""

    def hyper(self) -> Path:
        """The bare file; it must not be changed."""

    def package(self, document: bytes) -> Path:
        """The packaged file."""

    def update(self) -> tuple[Path, list[dict[str, Any]]]:
        """The changed rows, and what the server shall do with them."""

    def confirm(self, delivery: Delivery, *, package_refused: str | None) -> None:
        """Note what the server confirmed, so that the next run knows."""


class Workshop:
    """Where files for deliveries are made: a folder of the run, and a hyperd when one is needed."""

    def __init__(self, run: Run) -> None:
        """Begin without either."""
        self._run = run
        self._stack = ExitStack()
        self._engine: Engine | None = None

    def __enter__(self) -> Self:
        """Nothing is started yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop hyperd; the folder goes with the run."""
        self._stack.__exit__(kind, error, trace)

    @property
    def engine(self) -> Engine:
        """A running hyperd for the file format that is set."""
        if self._engine is None:
            self._engine = self._stack.enter_context(
                start_engine(
                    hyper_version=self._run.settings.hyper_version,
                    memory_limit=self._run.settings.memory_limit,
                )
            )
        return self._engine

    def file(self, stem: str, name: str) -> Path:
        """Path of a file to make; one of that name from an earlier attempt is gone."""
        folder = self._run.staging / f"{stem}.delivery"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).unlink(missing_ok=True)
        return folder / name


class OneStream:
    """The data source of one stream."""

    def __init__(self, run: Run, sealed: Sealed, workshop: Workshop) -> None:
        """Deliver a stream's extract as it is sealed."""
        self._run = run
        self._sealed = sealed
        self._settings = run.settings.datasource(sealed.manifest.stream)
        self._workshop = workshop
        self.name = sealed.manifest.datasource
        self.streams = (sealed.manifest.stream,)
        self.project = self._settings.project
        self.about = self._settings.description
        self.sha256 = sealed.manifest.sha256
        self.base_sha256 = sealed.manifest.previous_sha256
        self.as_of = sealed.manifest.as_of
        self.rows = sealed.manifest.rows
        self.delta = sealed.delta
        self.seconds = sealed.seconds
        self.payload_bytes = sealed.payload.stat().st_size if sealed.payload else None
        self.delivered = sealed.manifest.delivered
        self.package_refused = sealed.manifest.package_refused

    def describe(self) -> Description:
        """Captions and descriptions are the schema's."""
        return describe_one(self._sealed.manifest, self._settings, stem=self._sealed.store.stem)

    def hyper(self) -> Path:
        """The extract itself."""
        return self._sealed.store.extract

    def package(self, document: bytes) -> Path:
        """The extract and its document."""
        stem = self._sealed.store.stem
        target = self._workshop.file(stem, f"{stem}.tdsx")
        write_package(target, stem=stem, document=document, hyper=self.hyper())
        return target

    def update(self) -> tuple[Path, list[dict[str, Any]]]:
        """The rows that the merge set aside."""
        assert self._sealed.payload is not None  # noqa: S101 - the plan asked for it
        # Appended rows may share a key with older ones, which an upsert would replace.
        appending = self._run.settings.load_method == "append-only"
        return self._sealed.payload, actions(
            () if appending else self._sealed.manifest.keys,
            deletes=bool(self.delta.deleted),
            upserts=bool(self.delta.inserted or self.delta.updated),
        )

    def confirm(self, delivery: Delivery, *, package_refused: str | None) -> None:
        """Into the extract's manifest."""
        manifest = self._sealed.manifest.with_delivery(delivery)
        self._sealed.store.update(replace(manifest, package_refused=package_refused))


class SeveralStreams:
    """A data source of several streams."""

    def __init__(self, run: Run, combined: Combined, workshop: Workshop) -> None:
        """Deliver the sealed extracts of all its streams together."""
        self._run = run
        self._combined = combined
        self._workshop = workshop
        self.name = combined.settings.name
        self.streams = tuple(combined.manifests)
        self.project = combined.settings.project
        self.about = combined.settings.description
        self.sha256 = combined.sha256
        self.base_sha256 = combined.base_sha256
        self.as_of = min(manifest.as_of for manifest in combined.manifests.values())
        self.rows = combined.rows
        self.delta = combined.delta
        self.seconds = 0.0
        self.payload_bytes = combined.payload_bytes
        self.delivered = combined.known.delivered if combined.known else None
        self.package_refused = combined.known.package_refused if combined.known else None
        self._hyper: Path | None = None

    def describe(self) -> Description:
        """What schemas and settings say."""
        return self._combined.describe()

    def hyper(self) -> Path:
        """A proved file of all tables, made once."""
        if self._hyper is None:
            path = self._workshop.file(self._combined.stem, "combined.hyper")
            self._combined.build(self._workshop.engine, path)
            self._hyper = path
        return self._hyper

    def package(self, document: bytes) -> Path:
        """That file and its document."""
        stem = self._combined.stem
        target = self._workshop.file(stem, f"{stem}.tdsx")
        write_package(target, stem=stem, document=document, hyper=self.hyper())
        return target

    def update(self) -> tuple[Path, list[dict[str, Any]]]:
        """The changed rows of every table in one file."""
        path = self._workshop.file(self._combined.stem, "payload.hyper")
        return path, self._combined.build_payload(self._workshop.engine, path)

    def confirm(self, delivery: Delivery, *, package_refused: str | None) -> None:
        """Into a manifest of its own."""
        CombinedManifest(
            datasource=self.name,
            run_id=self._run.run_id,
            as_of=self._run.now(),
            tables={
                stream: {
                    "rows": manifest.rows,
                    "totals": manifest.totals,
                    "sha256": manifest.sha256,
                }
                for stream, manifest in self._combined.manifests.items()
            },
            sha256=self.sha256,
            delivered=delivery,
            package_refused=package_refused,
        ).write(manifest_path(self._run.settings.output_dir, self._combined.stem))
