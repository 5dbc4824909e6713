"""The Singer tap: wires settings, metadata, streams and figures together."""

from __future__ import annotations

import functools
import io
import json
import signal
import sys
import threading
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from singer_sdk import Tap
from singer_sdk import singerlib as singer
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers.capabilities import PluginCapabilities, TapCapabilities

from pipeline_core.config import describe_config_errors
from pipeline_core.errors import ConfigError, PipelineError, TerminatedError
from pipeline_core.ledger import Ledger, NoLedger, open_ledger, tell_head
from pipeline_core.run_id import current_run_id
from pipeline_core.secrets.resolve import resolve_secrets, secret_settings, told
from tap_d365fo.access.replay import shaping_digests
from tap_d365fo.audit import RunAudit
from tap_d365fo.companies import (
    check_requested,
    companies_read_before,
    companies_with_rows,
    existing_companies,
    require_list,
)
from tap_d365fo.environment import Environment
from tap_d365fo.failures import is_fatal, summary
from tap_d365fo.metadata.catalog import read_selected, write_catalog
from tap_d365fo.partition import Source
from tap_d365fo.reading.pool import FetchPool
from tap_d365fo.reading.snapshots import SnapshotFolder
from tap_d365fo.scope import Scope
from tap_d365fo.settings import CONFIG_JSONSCHEMA, EntitySettings, Settings
from tap_d365fo.state import checked_state
from tap_d365fo.stream import EntityStream
from tap_d365fo.writer import AuditingWriter, reader_may_leave

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    import click

    from tap_d365fo.access.replay import ReplayedPages
    from tap_d365fo.failures import PartitionFailure
    from tap_d365fo.reading.pool import Feed
    from tap_d365fo.reading.portion import Portion


#: Characters of a failure's sentence that the ledger keeps.
_REASON_LENGTH = 500

#: ``\b`` keeps click from rewrapping a paragraph.
_HELP = """Read Dynamics 365 Finance & Operations and write Singer messages.

Nothing is ever written to D365.

\b
  tap-d365fo --config config.json --discover > catalog.json
  tap-d365fo --config config.json --test            one row of each entity
  tap-d365fo --config config.json --state state.json | target-tableau-hyper
  tap-d365fo --about                                all settings
  TAP_D365FO_TENANT_ID=... tap-d365fo --config ENV  settings from variables

\b
Exit codes: 0 complete; 65 data, 70 integrity, 75 try again later,
77 access refused, 78 configuration, 143 told to stop. The last line
on stderr says what failed and what to do.
"""


class TapD365FO(Tap):
    """Singer tap for Microsoft Dynamics 365 Finance & Operations (OData v4)."""

    name = "tap-d365fo"
    dynamic_catalog = True
    config_jsonschema: ClassVar[dict[str, Any]] = CONFIG_JSONSCHEMA
    capabilities: ClassVar[list[Any]] = [
        TapCapabilities.CATALOG,
        TapCapabilities.STATE,
        TapCapabilities.DISCOVER,
        PluginCapabilities.ABOUT,
        PluginCapabilities.BATCH,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401 - the SDK's constructor
        """Check the configuration; the first request comes with discovery."""
        self._audit = RunAudit(current_run_id())
        self.failures: list[PartitionFailure] = []
        self.failed_in_a_row = 0
        self._seen_companies: dict[str, bool] = {}
        self._looking = threading.Lock()
        self._looking_for: dict[str, threading.Lock] = {}
        self.writer = AuditingWriter(self._audit)
        super().__init__(message_writer=self.writer, **kwargs)

    def discover_streams(self) -> Sequence[EntityStream]:
        """One stream for each entity set in scope; with a catalog only for those it selects."""
        return [EntityStream(self, entity) for entity in self._scope.entities(self.input_catalog)]

    def run_discovery(self) -> str:
        """Write the catalog to stdout, entity by entity, as the environment is now.

        Returns:
            Nothing: the catalog of a whole environment is too much for one string.
        """
        with reader_may_leave():
            write_catalog(self._scope.catalog_entries(), sys.stdout.buffer)
        return ""

    @classmethod
    def invoke(
        cls,
        *,
        catalog: IO[str] | None = None,
        state: IO[str] | None = None,
        **options: Any,  # noqa: ANN401 - the SDK's own
    ) -> None:
        """Run a sync; of the catalog, only what is selected is looked at."""
        if state is not None:
            state = io.StringIO(checked_state(state.read()))
        selected = None
        if catalog is not None:
            content = getattr(catalog, "buffer", catalog).read()
            selected = io.StringIO(json.dumps(read_selected(content)))
        super().invoke(catalog=selected, state=state, **options)

    def setup_mapper(self) -> None:
        """As the SDK does, after the selected streams of a catalog have got their titles."""
        if self.input_catalog is not None and self._settings.label_language:
            self._scope.add_titles(self.input_catalog)
        super().setup_mapper()

    def sync_all(self) -> None:  # type: ignore[misc]  # final in the SDK, which has no closing message
        """Sync all streams, then say that this run is complete; the ledger learns of either end."""
        ledger = self._ledger  # what cannot be recorded is not begun
        try:
            self._sync_everything()
        except BaseException as error:
            self._record_failure(error)
            raise
        finally:
            self.pool.close()
            self.environment.close()
            tell_head(ledger, self.logger)
            ledger.close()

    def _sync_everything(self) -> None:
        self._scope.check_catalog(self.input_catalog, self.streams)
        selected = [name for name, stream in self.streams.items() if stream.selected]
        if not selected:
            message = "no stream is selected; check the catalog and the select rules"
            raise ConfigError(message)
        if self.environment.snapshot_path is not None:
            SnapshotFolder(self.environment.snapshot_path).check_writable()
        self._tell_companies_left_out()
        ledger = self.source.ledger
        archive, replayed = self.environment.archive, self.environment.replayed
        if replayed is not None:
            self._begin_replay(replayed)
        self._check_named_companies()
        ledger.append(
            "run.started",
            streams=selected,
            companies=self.source.companies,
            environment=urlsplit(self._settings.environment_url).netloc,
            version=self.plugin_version,
            archived=archive is not None,
            **told(self._secret_uses),
            **({"replay_of": replayed.run.run_id} if replayed else {}),
        )
        if archive is not None:
            self.environment.record(
                archive,
                state=self.state,
                companies=self.source.companies,
                entities=[stream.entity for stream in self._selected_entities()],
                snapshots=[f for s in self._selected_entities() for f in s.snapshot_files()],
                config=self.config,
                tap_version=self.plugin_version,
            )
        self._announce_figures()
        super().sync_all()
        if self.failures:
            raise summary(self.failures)
        if archive is not None:
            seal = archive.finish()
            ledger.append("run.archived", pages=seal.pages, index_sha256=seal.index_sha256)
        self._audit.complete = True
        # Not by the state writer: it swallows a STATE that equals the one before.
        self.write_message(singer.StateMessage(value=dict(self.state)))
        ledger.append("run.finished", figures=self._audit.snapshot()["streams"])

    def _record_failure(self, error: BaseException) -> None:
        """Say in the ledger why the run ends; a ledger that takes nothing hides no failure."""
        self._ledger.append_failure(
            "run.failed",
            error=f"{type(error).__name__}: {error}"[:_REASON_LENGTH],
            partitions=len(self.failures),
        )

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """The SDK's command with a help text that tells what to type."""
        command = super().get_singer_command()
        command.help = _HELP
        return command

    @property
    def audit(self) -> RunAudit:
        """The figures of this run."""
        return self._audit

    def settings_of(self, entity_set: str) -> EntitySettings:
        """What ``entity_settings`` says of one set, or the defaults."""
        return self._settings.of(entity_set)

    @property
    def has_snapshots(self) -> bool:
        """Whether there is a place for what ``etag_scan`` remembers."""
        return self._settings.snapshot_path is not None

    @functools.cached_property
    def pool(self) -> FetchPool:
        """The workers that fetch."""
        return FetchPool(self._settings.max_concurrency)

    def prepare_ahead(self, stream: EntityStream) -> None:
        """Let the workers go on with the streams after ``stream`` when they have no more of it."""
        selected = self._selected_entities()
        for following in selected[selected.index(stream) + 1 :]:
            if self.pool.queued >= self._settings.max_concurrency:
                return
            try:
                following.prepare()
            except PipelineError:
                return  # raised again, and told, when it is that stream's turn

    def forget_metadata(self, entity_set: str) -> None:
        """Let the next run ask anew what the entity looks like."""
        self.environment.metadata.forget(entity_set)

    def sees_company(self, company: str) -> bool:
        """Whether any selected stream shows a row of ``company``; looked up once a run."""
        with self._looking:
            looking = self._looking_for.setdefault(company, threading.Lock())
        with looking:
            if company not in self._seen_companies:
                with self.pool.out_of_turn():
                    self._seen_companies[company] = any(
                        stream.shows(company) for stream in self._selected_entities()
                    )
            return self._seen_companies[company]

    def _selected_entities(self) -> list[EntityStream]:
        streams = self.streams.values()
        return [s for s in streams if isinstance(s, EntityStream) and s.selected]

    def _begin_replay(self, replayed: ReplayedPages) -> None:
        """Start from the recorded state, whatever was given, so that the requests are equal."""
        run = replayed.run
        replayed.tell_differences(shaping_digests(self.config), self.plugin_version)
        given = "; the given state is not used" if self.state and self.state != run.state else ""
        self.logger.info("replay of run %s of %s%s", run.run_id, run.started_at.isoformat(), given)
        self.state.pop("bookmarks", None)  # in place: the streams hold this very dict
        self.load_state(run.state)

    def _announce_figures(self) -> None:
        """Let the first message be a STATE with figures: the SDK sends one only where it was given.

        A target that has seen figures knows that a run which ends without ``complete`` was cut off.
        Without them, it would take a tap that dies within its first page for one that sends none.
        """
        if not self.state:
            self.write_message(singer.StateMessage(value={"bookmarks": {}}))

    def _tell_companies_left_out(self) -> None:
        """Rows of a company that is no longer read stay in the target: say so."""
        left_out = set().union(*(self.left_out(s.name) for s in self._selected_entities()))
        for company in sorted(left_out):
            self.logger.warning(
                "company %s was read before and is not any more: its rows stay in the target "
                "until a full refresh, and so does what is gone of entities that are read whole",
                company,
            )

    def left_out(self, stream: str) -> set[str]:
        """Companies that earlier runs have read of a stream, and this one does not."""
        return companies_read_before(self.state, stream).difference(self.source.companies)

    def _check_named_companies(self) -> None:
        """A company that the settings name must show something; one of which rows are known has.

        Raises:
            ConfigError: it does not. F&O answers for a company without access with no rows and no
                error, which must not pass for a company without data.
        """
        known = companies_with_rows(self.state, [s.name for s in self._selected_entities()])
        looks = [
            (company, self.pool.submit(company, functools.partial(self._look_for, company)))
            for company in self._settings.companies
            if company in self.source.companies and company not in known
        ]
        for company, look in looks:
            self._check_visible(company, look)

    def _look_for(self, company: str) -> Iterator[Portion]:
        """Ask for any row of ``company``; no row of it is read for anybody."""
        self.sees_company(company)
        return iter(())

    def _check_visible(self, company: str, look: Feed) -> None:
        try:
            self.pool.take(look)
            visible = self.sees_company(company)
        except PipelineError as error:
            if is_fatal(error):
                raise
            # The stream that cannot be read is told of, and fails the run, in its turn.
            self.logger.warning("company %s could not be looked for: %s", company, error)
            return
        if not visible:
            message = (
                f"companies: the application's user sees no row of company {company} in any "
                "selected entity; give access to the company, or leave it out"
            )
            raise ConfigError(message)

    def _companies(self) -> tuple[str, ...]:
        """The companies to read; none where nothing that is selected belongs to one."""
        if not any(stream.per_company for stream in self._selected_entities()):
            return ()
        existing = existing_companies(
            self.environment.reader, self._settings.environment_url, self._scope.published
        )
        if existing is None:
            return require_list(self._settings.companies)
        return check_requested(self._settings.companies or existing, existing)

    @functools.cached_property
    def source(self) -> Source:
        """What the streams read from; asks for the companies when first needed."""
        return Source(
            settings=replace(self._settings, snapshot_path=self.environment.snapshot_path),
            reader=self.environment.reader,
            ledger=self._ledger,
            companies=self._companies(),
            started_at=self.environment.started_at,
            sees_company=self.sees_company,
            run_id=self.environment.recorded_run_id,
        )

    @functools.cached_property
    def _settings(self) -> Settings:
        return Settings.from_config(self.config)

    @functools.cached_property
    def _ledger(self) -> Ledger | NoLedger:
        return open_ledger(self._settings.ledger_path, run_id=self._audit.run_id, actor=self.name)

    @functools.cached_property
    def environment(self) -> Environment:
        """What reaches D365, or stands for it."""
        return Environment(
            self._settings, self._audit.run_id, before_unpacking=self.pool.await_turn
        )

    @functools.cached_property
    def _scope(self) -> Scope:
        return Scope(self.environment.metadata, self._settings)

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """As the SDK does, but without the refused values: one of them may be a secret.

        References to secrets are resolved here, before anything else looks at the settings.
        """
        self._config, self._secret_uses = resolve_secrets(
            self._config, secret_settings(self.config_jsonschema)
        )
        try:
            return super()._validate_config(raise_errors=raise_errors)
        except ConfigValidationError as error:
            raise ConfigError(
                describe_config_errors(self.config_jsonschema, self._config)
            ) from error

    def _setup_signal_handlers(self) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._handle_termination)

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Stop at once and say so: the SDK would leave with 0, as if the run were complete."""
        message = "told to stop (SIGTERM); the next run goes on from the last committed state"
        raise TerminatedError(message)
