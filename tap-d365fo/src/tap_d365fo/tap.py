"""The Singer tap: wires settings, metadata, streams and figures together."""

from __future__ import annotations

import functools
import io
import json
import signal
import sys
import threading
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, ClassVar

from singer_sdk import Tap
from singer_sdk import singerlib as singer
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers.capabilities import PluginCapabilities, TapCapabilities

from pipeline_core.config import describe_config_errors
from pipeline_core.errors import ConfigError, TerminatedError
from pipeline_core.ledger import Ledger, NoLedger, open_ledger
from pipeline_core.run_id import current_run_id
from tap_d365fo.access.auth import TokenProvider
from tap_d365fo.access.client import D365Client
from tap_d365fo.access.links import LinkRebaser
from tap_d365fo.access.session import new_session
from tap_d365fo.audit import RunAudit
from tap_d365fo.companies import check_requested, existing_companies, require_list
from tap_d365fo.entities import resolve_entities
from tap_d365fo.metadata.access import Access
from tap_d365fo.metadata.catalog import (
    catalog_entry,
    is_selected,
    read_selected,
    shape_of,
    write_catalog,
)
from tap_d365fo.metadata.checks import (
    check_catalog,
    check_published,
    check_settings,
    unknown_columns,
    wanted_part,
)
from tap_d365fo.metadata.service import open_metadata
from tap_d365fo.partition import Source
from tap_d365fo.reading.pages import PageReader
from tap_d365fo.settings import CONFIG_JSONSCHEMA, EntitySettings, Settings
from tap_d365fo.stream import EntityStream
from tap_d365fo.writer import AuditingWriter, reader_may_leave

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    import click
    from singer_sdk.singerlib import Catalog
    from singer_sdk.singerlib.catalog import CatalogEntry

    from tap_d365fo.metadata.model import Entity, EntityListing
    from tap_d365fo.metadata.service import MetadataService


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
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401 - the SDK's constructor
        """Check the configuration; the first request comes with discovery."""
        self._audit = RunAudit(current_run_id())
        super().__init__(message_writer=AuditingWriter(self._audit), **kwargs)

    def discover_streams(self) -> Sequence[EntityStream]:
        """One stream for each entity set in scope; with a catalog only for those it selects."""
        if self.input_catalog is None:
            return [EntityStream(self, entity) for entity in self._described(self._in_scope())]
        entries = {name: entry for name, entry in self.input_catalog.items() if is_selected(entry)}
        selected = [listing for listing in self._in_scope() if listing.entity_set in entries]
        return [
            EntityStream(self, self._as_catalogued(entity, entries[entity.entity_set]))
            for entity in self._metadata.entities(selected)
        ]

    def run_discovery(self) -> str:
        """Write the catalog to stdout, entity by entity, as the environment is now.

        Returns:
            Nothing: the catalog of a whole environment is too much for one string.
        """
        entities = self._described(self._in_scope(anew=True), anew=True)
        entries = (
            catalog_entry(e.entity_set, shape_of(e, self.settings_of(e.entity_set)))
            for e in entities
        )
        with reader_may_leave():
            write_catalog(entries, sys.stdout.buffer)
        return ""

    @classmethod
    def invoke(
        cls,
        *,
        catalog: IO[str] | None = None,
        **options: Any,  # noqa: ANN401 - the SDK's own
    ) -> None:
        """Run a sync; of the catalog, only what is selected is looked at."""
        selected = None
        if catalog is not None:
            content = getattr(catalog, "buffer", catalog).read()
            selected = io.StringIO(json.dumps(read_selected(content)))
        super().invoke(catalog=selected, **options)

    def setup_mapper(self) -> None:
        """As the SDK does, after the selected streams of a catalog have got their titles."""
        if self.input_catalog is not None and self._settings.label_language:
            self._add_titles(self.input_catalog)
        super().setup_mapper()

    def sync_all(self) -> None:  # type: ignore[misc]  # final in the SDK, which has no closing message
        """Sync all streams, then say that this run is complete."""
        self._check_catalog()
        selected = [name for name, stream in self.streams.items() if stream.selected]
        if not selected:
            message = "no stream is selected; check the catalog and the select rules"
            raise ConfigError(message)
        ledger = self.source.ledger
        try:
            ledger.append("run.started", streams=selected, companies=self.source.companies)
            super().sync_all()
            self._audit.complete = True
            # Not by the state writer: it swallows a STATE that equals the one before.
            self.write_message(singer.StateMessage(value=dict(self.state)))
            ledger.append("run.finished", figures=self._audit.snapshot()["streams"])
        finally:
            ledger.close()

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """The SDK's command with a help text that tells what to type."""
        command = super().get_singer_command()
        command.help = _HELP
        return command

    def settings_of(self, entity_set: str) -> EntitySettings:
        """What ``entity_settings`` says of one set, or the defaults."""
        return self._settings.entity_settings.get(entity_set, EntitySettings())

    def sees_company(self, company: str) -> bool:
        """Whether any selected stream shows a row of ``company``."""
        return any(stream.shows(company) for stream in self._selected_entities())

    def _selected_entities(self) -> list[EntityStream]:
        streams = self.streams.values()
        return [s for s in streams if isinstance(s, EntityStream) and s.selected]

    def _in_scope(self, *, anew: bool = False) -> list[EntityListing]:
        """The entity sets that the ``entities`` setting stands for."""
        published = self._metadata.published(anew=anew)
        check_published(self._settings.entity_settings, published, where="entity_settings")
        listings = published.listings
        chosen = resolve_entities(self._settings.entities, listings, published.packages_only)
        self.logger.info("%d of %d published entity sets are in scope", len(chosen), len(listings))
        return [listings[name] for name in chosen]

    def _described(
        self, listings: Sequence[EntityListing], *, anew: bool = False
    ) -> Iterator[Entity]:
        """The entities of ``listings`` as the settings want them read.

        Raises:
            ConfigError: the settings name a property that an entity does not have.
        """
        for entity in self._metadata.entities(listings, anew=anew):
            settings = self.settings_of(entity.entity_set)
            check_settings(entity, settings)
            yield wanted_part(entity, settings)

    def _as_catalogued(self, entity: Entity, entry: CatalogEntry) -> Entity:
        """The entity as the settings want it read, with all that the catalog selects.

        Raises:
            ConfigError: it lacks something, and what is known of it is not merely out of date.
        """
        name = entity.entity_set
        if unknown_columns(entity, entry) and self._metadata.came_from_cache(name):
            (entity,) = self._metadata.entities([self._listings[name]], anew=True)
        check_catalog(entity, entry)
        settings = self.settings_of(name)
        check_settings(entity, settings)
        return wanted_part(entity, settings)

    def _add_titles(self, catalog: Catalog) -> None:
        """Put labels into schemas that were discovered without them."""
        listings = self._listings
        entries = {name: e for name, e in catalog.items() if name in listings and is_selected(e)}
        for entity in self._metadata.entities([listings[name] for name in entries]):
            schema = entries[entity.entity_set].schema
            schema.title = schema.title or entity.label
            columns = schema.properties or {}
            for prop in entity.properties:
                if (column := columns.get(prop.name)) is not None:
                    column.title = column.title or prop.label

    def _check_catalog(self) -> None:
        """A selected stream that is no longer published must not pass for one without changes.

        Raises:
            ConfigError: names the stream and the nearest ones.
        """
        for entry in self.input_catalog.streams if self.input_catalog else ():
            name = entry.tap_stream_id
            if is_selected(entry) and name not in self.streams:
                check_published(
                    [name], self._metadata.published(), where=f"the catalog selects {name}"
                )
                message = (
                    f"the catalog selects {name}, which is not among the `entities` of the "
                    "settings; add it there, or run discovery again"
                )
                raise ConfigError(message)

    def _companies(self) -> tuple[str, ...]:
        """The companies to read; none where nothing that is selected belongs to one."""
        if not any(stream.per_company for stream in self._selected_entities()):
            return ()
        existing = existing_companies(self._reader, self._settings.environment_url, self._listings)
        if existing is None:
            return require_list(self._settings.companies)
        return check_requested(self._settings.companies or existing, existing)

    @functools.cached_property
    def source(self) -> Source:
        """What the streams read from; asks for the companies when first needed."""
        return Source(
            settings=self._settings,
            reader=self._reader,
            ledger=self._ledger,
            companies=self._companies(),
            started_at=datetime.now(UTC),
        )

    @functools.cached_property
    def _settings(self) -> Settings:
        return Settings.from_config(self.config)

    @functools.cached_property
    def _ledger(self) -> Ledger | NoLedger:
        return open_ledger(self._settings.ledger_path, run_id=self._audit.run_id, actor=self.name)

    @functools.cached_property
    def _client(self) -> D365Client:
        settings = self._settings
        return D365Client(
            new_session(settings.ca_bundle),
            TokenProvider(settings, new_session(settings.ca_bundle)),
            request_timeout_s=settings.request_timeout_s,
            run_timeout_s=settings.run_timeout_s,
        )

    @functools.cached_property
    def _reader(self) -> PageReader:
        return PageReader(self._client, LinkRebaser(self._settings.environment_url))

    @functools.cached_property
    def _metadata(self) -> MetadataService:
        settings = self._settings
        access = Access(
            environment_url=settings.environment_url,
            reader=self._reader,
            client=self._client,
            links=LinkRebaser(settings.environment_url),
            threads=settings.max_concurrency,
        )
        return open_metadata(
            access,
            cache_path=settings.metadata_cache_path,
            max_age_s=settings.metadata_max_age_s,
            label_language=settings.label_language,
        )

    @property
    def _listings(self) -> dict[str, EntityListing]:
        return self._metadata.published().listings

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """As the SDK does, but without the refused values: one of them may be a secret."""
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
