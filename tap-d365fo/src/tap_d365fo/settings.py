"""The tap's settings: a JSON Schema for Singer, one typed object for the rest of the code."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from singer_sdk import typing as th

from pipeline_core.errors import ConfigError
from tap_d365fo.batch import FullReads, batch_config
from tap_d365fo.names import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from singer_sdk.helpers._batch import BatchConfig

_STRATEGIES = ("auto", "full", "cursor", "high_water", "etag_scan")

#: How the pages of a long read are addressed.
_PAGINGS = ("auto", "position", "keyset")

CONFIG_JSONSCHEMA: dict[str, Any] = th.PropertiesList(
    th.Property(
        "environment_url",
        th.StringType,
        required=True,
        title="Environment URL",
        description="Address of the F&O environment, as in the browser, without a path.",
        examples=["https://contoso.operations.dynamics.com"],
    ),
    th.Property(
        "tenant_id",
        th.StringType,
        required=True,
        title="Tenant",
        description="Directory (tenant) id or domain of the environment in Microsoft Entra ID.",
        examples=["contoso.onmicrosoft.com"],
    ),
    th.Property(
        "client_id",
        th.StringType,
        required=True,
        title="Client id",
        description=(
            "Application (client) id. It must also be registered in F&O under System "
            "administration > Setup > Microsoft Entra ID applications."
        ),
    ),
    th.Property(
        "client_secret",
        th.StringType,
        secret=True,
        title="Client secret",
        description="Secret of the application; either this or `client_certificate`.",
    ),
    th.Property(
        "client_certificate",
        th.StringType,
        title="Client certificate",
        description="Path to a PEM file that holds the application's private key and certificate.",
    ),
    th.Property(
        "authority_host",
        th.StringType,
        default="https://login.microsoftonline.com",
        title="Authority host",
        description="Entra ID endpoint; another one in sovereign clouds.",
        examples=["https://login.microsoftonline.us"],
    ),
    th.Property(
        "ca_bundle",
        th.StringType,
        title="CA bundle",
        description="PEM file with the certificate authorities to trust instead of the usual ones.",
    ),
    th.Property(
        "entities",
        th.ArrayType(th.StringType),
        default=["preset:finance"],
        title="Entities",
        description=(
            "Entity sets to offer: names, globs such as `Vend*`, and `preset:finance` (vendors, "
            "purchase orders, vendor invoices, main accounts, posted journal entries and what they "
            "refer to)."
        ),
    ),
    th.Property(
        "companies",
        th.ArrayType(th.StringType),
        default=["all"],
        title="Companies",
        description="Company ids (`dataAreaId`) to read, or `all` that the application may see.",
        examples=[["usmf", "demf"]],
    ),
    th.Property(
        "start_date",
        th.DateTimeType,
        title="Start date",
        description="Rows changed before this instant are left out of the first incremental read.",
    ),
    th.Property(
        "entity_settings",
        th.ObjectType(
            additional_properties=th.ObjectType(
                th.Property(
                    "replication",
                    th.StringType,
                    allowed_values=list(_STRATEGIES),
                    description="Reading strategy; `auto` chooses by the entity's metadata.",
                ),
                th.Property(
                    "replication_key",
                    th.StringType,
                    description=(
                        "Property to follow: a time of change for `cursor`, an Int64 for "
                        "`high_water`."
                    ),
                ),
                th.Property(
                    "lookback",
                    th.IntegerType(minimum=0),
                    description=(
                        "What is read again before the bookmark: seconds for `cursor` (300), "
                        "numbers for `high_water` (10000)."
                    ),
                ),
                th.Property(
                    "filter",
                    th.StringType,
                    description="OData `$filter` that is added to every request for the entity.",
                ),
                th.Property(
                    "select",
                    th.ArrayType(th.StringType),
                    description=(
                        "Properties to read; the key and the replication key always come. The "
                        "catalog's own selection narrows it further."
                    ),
                ),
                th.Property(
                    "expand",
                    th.ArrayType(th.StringType),
                    description=(
                        "Navigation properties to read along, one level: each becomes a column "
                        "with an object or an array of objects."
                    ),
                ),
                th.Property(
                    "paging",
                    th.StringType,
                    allowed_values=list(_PAGINGS),
                    description=(
                        "`position` follows the server's links, `keyset` asks for what lies behind "
                        "the last key; `auto` follows links and uses the key to resume."
                    ),
                ),
                th.Property(
                    "window_days",
                    th.IntegerType(minimum=1),
                    description=(
                        "`cursor` only: read in windows of so many days, so that no request asks "
                        "the server to sort the whole table."
                    ),
                ),
                additional_properties=False,
            )
        ),
        default={},
        title="Entity settings",
        description=(
            "Per entity set: `replication`, `replication_key`, `lookback`, `filter`, `select`, "
            "`expand`, `paging`, `window_days`."
        ),
        examples=[{"MainAccounts": {"filter": "IsSuspended eq 0"}}],
    ),
    th.Property(
        "max_concurrency",
        th.IntegerType(minimum=1, maximum=32),
        default=4,
        title="Concurrency",
        description=(
            "Requests under way at the same time, at most; fewer for a while after the environment "
            "has throttled one."
        ),
    ),
    th.Property(
        "on_partition_error",
        th.StringType,
        allowed_values=["finish", "fail_fast"],
        default="finish",
        title="On partition error",
        description=(
            "When one company of one entity cannot be read: `finish` reads all others, keeps their "
            "state and fails at the end; `fail_fast` stops at once."
        ),
    ),
    th.Property(
        "snapshot_path",
        th.StringType,
        title="Snapshots",
        description=(
            "Directory for what `etag_scan` remembers of each row (key and etag). Without it "
            "entities without a time of change are read whole each time."
        ),
    ),
    th.Property(
        "max_delete_fraction",
        th.NumberType(minimum=0, maximum=1),
        default=0.2,
        title="Largest share of deletions",
        description=(
            "`etag_scan` stops the run when a larger share of a company's rows seems to have been "
            "deleted (and more than 10 rows)."
        ),
    ),
    th.Property(
        "metadata_cache_path",
        th.StringType,
        title="Metadata cache",
        description="Directory where metadata and labels are kept between runs, per environment.",
    ),
    th.Property(
        "metadata_max_age",
        th.IntegerType(minimum=0),
        default=86400,
        title="Metadata age",
        description=(
            "Seconds after which cached metadata is fetched anew; `--discover` always fetches."
        ),
    ),
    th.Property(
        "label_language",
        th.StringType,
        title="Language of labels",
        description=(
            "Language of the `title` in schemas, such as `en-us` or `de`. Unset: "
            "no labels are asked for (each is a request of its own, once, and then cached)."
        ),
        examples=["en-us"],
    ),
    th.Property(
        "archive_path",
        th.StringType,
        title="Archive",
        description=(
            "Directory where every page is kept as it was received, compressed, a folder a run; "
            "`replay_run_id` reads it again."
        ),
    ),
    th.Property(
        "replay_run_id",
        th.StringType,
        title="Replay",
        description=(
            "Run of the archive to emit once more: same pages, same records, no network. Needs "
            "`archive_path`."
        ),
    ),
    th.Property(
        "batch_full_reads",
        th.StringType,
        allowed_values=[policy.value for policy in FullReads],
        default=FullReads.RECORDS.value,
        title="Whole readings in batches",
        description=(
            "With `batch_config`, how a reading of all rows travels: `records` keeps to RECORD "
            "messages, so that the target can remove what is gone; `batches` writes files and "
            "leaves that out; `versioned_batches` is for targets that know the version of a BATCH."
        ),
    ),
    th.Property(
        "null_sentinels",
        th.BooleanType,
        default=True,
        title="Null sentinels",
        description=(
            "F&O has no empty date or GUID and sends 1900-01-01 and zeros instead; turn them into "
            "null (never in a key)."
        ),
    ),
    th.Property(
        "request_timeout",
        th.IntegerType(minimum=1),
        default=300,
        title="Request timeout",
        description="Seconds that one attempt at one page may take from first to last byte.",
    ),
    th.Property(
        "run_timeout",
        th.IntegerType(minimum=1),
        default=21600,
        title="Run timeout",
        description=(
            "Seconds after which nothing more is asked for; what has come is kept, and the next "
            "run goes on."
        ),
    ),
    th.Property(
        "ledger_path",
        th.StringType,
        title="Ledger",
        description="SQLite file of the audit ledger; without it no ledger is kept.",
    ),
).to_dict()


_NAMES = tuple(CONFIG_JSONSCHEMA["properties"])

_logger = logging.getLogger("tap-d365fo.settings")


@dataclass(frozen=True, slots=True)
class EntitySettings:
    """What ``entity_settings`` says about one entity set."""

    replication: str = "auto"
    replication_key: str | None = None
    lookback: int | None = None
    filter: str | None = None
    select: tuple[str, ...] = ()
    expand: tuple[str, ...] = ()
    paging: str = "auto"
    window_days: int | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """The validated configuration.

    Attributes:
        environment_url: Scheme and host, lower case, no trailing slash: also the token's audience.
        companies: Lower-case ids; empty means all.
    """

    environment_url: str
    tenant_id: str
    client_id: str
    client_secret: str | None = field(repr=False)
    client_certificate: Path | None
    authority_host: str
    ca_bundle: Path | None
    entities: tuple[str, ...]
    companies: tuple[str, ...]
    start_date: datetime | None
    entity_settings: Mapping[str, EntitySettings]
    max_concurrency: int
    fail_fast: bool
    snapshot_path: Path | None
    max_delete_fraction: float
    metadata_cache_path: Path | None
    metadata_max_age_s: int
    label_language: str | None
    archive_path: Path | None
    replay_run_id: str | None
    batch: BatchConfig | None
    batch_full_reads: FullReads
    null_sentinels: bool
    request_timeout_s: int
    run_timeout_s: int
    ledger_path: Path | None

    @property
    def sends_versions(self) -> bool:
        """Whether a reading of all rows ends with ACTIVATE_VERSION."""
        return self.batch_full_reads.applied(self.batch, 1)[1] is not None

    def of(self, entity_set: str) -> EntitySettings:
        """What ``entity_settings`` says of one set, or the defaults."""
        return self.entity_settings.get(entity_set, EntitySettings())

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """Check what a JSON Schema cannot, and give every value its type.

        Raises:
            ConfigError: says which setting is wrong and what it should hold.
        """
        for name in set(config) - set(CONFIG_JSONSCHEMA["properties"]):
            _logger.warning("there is no setting %r%s", name, nearest(name, _NAMES))
        secret, certificate = config.get("client_secret"), _path(config, "client_certificate")
        if bool(secret) == bool(certificate):
            message = "set exactly one of client_secret and client_certificate"
            raise ConfigError(message)
        if not config["companies"]:
            message = "companies must name at least one company, or all"
            raise ConfigError(message)
        if config.get("replay_run_id") and not config.get("archive_path"):
            message = "replay_run_id needs archive_path: the directory that holds the recorded run"
            raise ConfigError(message)
        companies = tuple(dict.fromkeys(c.strip().lower() for c in config["companies"]))
        return cls(
            environment_url=_origin(config["environment_url"], "environment_url"),
            tenant_id=config["tenant_id"],
            client_id=config["client_id"],
            client_secret=secret or None,
            client_certificate=certificate,
            authority_host=_origin(config["authority_host"], "authority_host"),
            ca_bundle=_path(config, "ca_bundle"),
            entities=tuple(config["entities"]),
            companies=() if "all" in companies else companies,
            start_date=_instant(config.get("start_date")),
            entity_settings={
                name: EntitySettings(
                    replication=given.get("replication", "auto"),
                    replication_key=given.get("replication_key"),
                    lookback=given.get("lookback"),
                    filter=given.get("filter"),
                    select=tuple(given.get("select") or ()),
                    expand=tuple(given.get("expand") or ()),
                    paging=given.get("paging", "auto"),
                    window_days=given.get("window_days"),
                )
                for name, given in config["entity_settings"].items()
            },
            max_concurrency=config["max_concurrency"],
            fail_fast=config["on_partition_error"] == "fail_fast",
            snapshot_path=_directory(config, "snapshot_path"),
            max_delete_fraction=config["max_delete_fraction"],
            metadata_cache_path=_directory(config, "metadata_cache_path"),
            metadata_max_age_s=config["metadata_max_age"],
            label_language=config.get("label_language") or None,
            archive_path=_directory(config, "archive_path"),
            replay_run_id=config.get("replay_run_id") or None,
            batch=batch_config(config),
            batch_full_reads=FullReads(config["batch_full_reads"]),
            null_sentinels=config["null_sentinels"],
            request_timeout_s=config["request_timeout"],
            run_timeout_s=config["run_timeout"],
            ledger_path=Path(config["ledger_path"]) if config.get("ledger_path") else None,
        )


def _origin(url: str, setting: str) -> str:
    """Scheme and host of ``url`` in the form that Entra ID knows as audience."""
    parts = urlsplit(url.strip())
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.query:
        message = (
            f"{setting} must be an https address such as https://contoso.operations.dynamics.com"
        )
        raise ConfigError(message)
    # On-premises environments are served below a path (/namespaces/AXSF), whose case counts.
    return f"https://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _path(config: Mapping[str, Any], setting: str) -> Path | None:
    given = config.get(setting)
    if not given:
        return None
    path = Path(given)
    if not path.is_file():
        message = f"{setting} names no readable file: {given}"
        raise ConfigError(message)
    return path


def _directory(config: Mapping[str, Any], setting: str) -> Path | None:
    """A directory that is made when it is first needed."""
    given = config.get(setting)
    if not given:
        return None
    path = Path(given)
    if path.exists() and not path.is_dir():
        message = f"{setting} must name a directory: {given}"
        raise ConfigError(message)
    return path


def _instant(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        message = "start_date must be an ISO 8601 date or instant such as 2025-01-01T00:00:00Z"
        raise ConfigError(message) from error
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
