"""Settings: what users may set, and the same as typed values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th

from pipeline_core.errors import ConfigError
from target_tableau_hyper import settings_datasources, settings_identity
from target_tableau_hyper.controls import settings as control_settings
from target_tableau_hyper.controls.settings import ControlSettings
from target_tableau_hyper.delivery import settings as delivery_settings
from target_tableau_hyper.delivery.settings import DeliverySettings
from target_tableau_hyper.extract import settings as engine_settings
from target_tableau_hyper.refresh.settings import REFRESH_PROPERTY, RefreshSettings
from target_tableau_hyper.settings_datasources import Datasources, DatasourceSettings
from target_tableau_hyper.settings_identity import identity_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_tableau_hyper.settings_identity import ConnectedApp, PersonalToken

CONFIG_JSONSCHEMA: dict[str, Any] = th.PropertiesList(
    th.Property(
        "output_dir",
        th.StringType,
        default="output",
        title="Output Directory",
        description=(
            "Where the extracts and their manifests lie. Keep it between runs: an extract is "
            "changed in place, and only one target may use a directory at a time."
        ),
        examples=["output", "/var/lib/finance/extracts"],
    ),
    th.Property(
        "lock_timeout",
        th.IntegerType(minimum=0),
        default=5,
        title="Lock Timeout (s)",
        description="How many seconds another target that works in `output_dir` is waited for.",
        examples=[600],
    ),
    *engine_settings.PROPERTIES,
    th.Property(
        "load_method",
        th.StringType,
        default="upsert",
        allowed_values=["upsert", "append-only", "overwrite"],
        title="Load Method",
        description=(
            "`upsert` replaces rows by key (rows without a key are appended), `append-only` adds "
            "every record, `overwrite` makes the run's records the whole table."
        ),
        examples=["upsert"],
    ),
    th.Property(
        "hard_delete",
        th.BooleanType,
        default=True,
        title="Hard Delete",
        description=(
            "Remove deleted rows. When off, they stay with `_sdc_deleted_at` set. Applies to "
            "deletion records and to rows that a full read no longer brought (ACTIVATE_VERSION)."
        ),
        examples=[True],
    ),
    th.Property(
        "completeness",
        th.StringType,
        default="strict",
        allowed_values=["strict", "complete", "off"],
        title="Completeness",
        description=(
            "`strict` compares the figures that the tap sends with every STATE (`audit`: records, "
            "deletions, sums) with what arrived and demands that the tap finished; `complete` only "
            "demands that the tap finished (for mappers that drop rows); `off` asks for nothing. A "
            "tap that sends no figures works with all three."
        ),
        examples=["strict"],
    ),
    th.Property(
        "state_after",
        th.StringType,
        default="delivered",
        allowed_values=["delivered", "sealed"],
        title="State After",
        description=(
            "When the STATE is passed on: after everything is `delivered` to Tableau, or once it "
            "is `sealed` on disk (then keep `output_dir`: the next run delivers what is pending)."
        ),
        examples=["delivered"],
    ),
    th.Property(
        "add_record_metadata",
        th.BooleanType,
        default=False,
        title="Add Record Metadata",
        description=(
            "Add the Singer SDK's `_sdc_*` columns and `_audit_run_id`, `_audit_source`, "
            "`_audit_row_hash` and `_audit_loaded_at`. A row whose own values did not change keeps "
            "the metadata of its last change."
        ),
        examples=[False],
    ),
    th.Property(
        "number_type",
        th.StringType,
        default="exact",
        allowed_values=["exact", "double"],
        title="Number Type",
        description=(
            "`exact` stores every number as NUMERIC with all its digits. `double` stores a plain "
            "`number` as a floating-point column; one of which the schema says how many digits it "
            "has (`x-singer.decimal`, `multipleOf`, `x-sql-datatype-properties`) stays exact."
        ),
        examples=["exact"],
    ),
    th.Property(
        "hyper_version",
        th.IntegerType,
        default=3,
        allowed_values=[2, 3, 4],
        title="Hyper File Version",
        description=(
            "File format: 2 for Tableau Server 2021.1 or later (decimals of up to 18 digits), 3 "
            "for 2023.1 or later (38 digits), 4 for 2024.3 or later."
        ),
        examples=[3],
    ),
    *settings_datasources.PROPERTIES,
    th.Property(
        "publish",
        th.StringType,
        default="auto",
        allowed_values=["auto", "overwrite", "update", "none"],
        title="Publish",
        description=(
            "`auto` sends nothing when nothing changed, the changed rows when they are few, and "
            "the whole extract otherwise; `overwrite` always sends the whole extract of a change; "
            "`update` sends changed rows as long as they fit into one request; `none` only writes "
            "files."
        ),
        examples=["auto"],
    ),
    th.Property(
        "tableau_server_url",
        th.StringType,
        title="Tableau Server URL",
        description="Address of Tableau Server or Cloud. Without it nothing is published.",
        examples=["https://prod-useast-a.online.tableau.com"],
    ),
    th.Property(
        "tableau_site",
        th.StringType,
        default="",
        title="Tableau Site",
        description="The site's name in its URL (content URL); empty for Server's default site.",
        examples=["contoso-finance"],
    ),
    *settings_identity.PROPERTIES,
    th.Property(
        "tableau_project",
        th.StringType,
        default="default",
        title="Tableau Project",
        description="Project for all data sources without an own one; `A/B` for nested projects.",
        examples=["Finance/Ledger"],
    ),
    th.Property(
        "create_project",
        th.BooleanType,
        default=False,
        title="Create Project",
        description=(
            "Create projects that do not exist yet, level by level; the user then needs the right "
            "to do so."
        ),
        examples=[True],
    ),
    th.Property(
        "ca_bundle",
        th.StringType,
        title="CA Bundle",
        description=(
            "PEM file with the authorities to trust for Tableau Server, instead of the usual ones. "
            "TLS is always verified."
        ),
        examples=["/etc/ssl/certs/contoso-ca.pem"],
    ),
    th.Property(
        "chunk_size_mb",
        th.IntegerType(minimum=1, maximum=64),
        default=16,
        title="Chunk Size (MB)",
        description="Files travel in pieces of this size; Tableau takes at most 64 MB in one.",
        examples=[16],
    ),
    *delivery_settings.PROPERTIES,
    *control_settings.PROPERTIES,
    REFRESH_PROPERTY,
    th.Property(
        "ledger_path",
        th.StringType,
        title="Ledger Path",
        description="SQLite file to which every outside effect is recorded, hash-chained.",
        examples=["var/ledger.db"],
    ),
    th.Property(
        "on_bad_record",
        th.StringType,
        default="fail",
        allowed_values=["fail", "quarantine"],
        title="On Bad Record",
        description=(
            "A record that does not fit or breaks its schema ends the run (`fail`), or is set "
            "aside in `quarantine/` of `output_dir`, whole, for the owner of the file alone, and "
            "the run goes on."
        ),
        examples=["fail"],
    ),
    th.Property(
        "validate_records",
        th.BooleanType,
        default=True,
        title="Validate Records",
        description=(
            "Refuse a record that breaks its schema. When off, whatever fits its column without "
            "loss is stored (for taps that break their own schema)."
        ),
        examples=[True],
    ),
).to_dict()


@dataclass(frozen=True, slots=True)
class TableauSettings:
    """What is needed to publish."""

    server_url: str
    site: str
    identity: PersonalToken | ConnectedApp
    project: str
    create_project: bool
    ca_bundle: Path | None
    chunk_bytes: int
    job_timeout_s: float


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a run. ``tableau`` is ``None`` where nothing is published."""

    output_dir: Path
    lock_timeout_s: float
    memory_limit: str | None
    load_method: str
    hard_delete: bool
    completeness: str
    state_after: str
    hyper_version: int
    number_type: str
    publish: str
    validate_records: bool
    on_bad_record: str
    datasources: Datasources
    package: str
    tableau: TableauSettings | None
    delivery: DeliverySettings
    controls: ControlSettings
    refresh: RefreshSettings
    ledger_path: Path | None

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """Typed values of a validated config.

        Raises:
            ConfigError: settings that belong together are not all there.
        """
        ledger_path = config.get("ledger_path")
        return cls(
            output_dir=Path(config["output_dir"]),
            lock_timeout_s=float(config["lock_timeout"]),
            memory_limit=config.get("memory_limit"),
            load_method=config["load_method"],
            hard_delete=config["hard_delete"],
            completeness=config["completeness"],
            state_after=config["state_after"],
            hyper_version=config["hyper_version"],
            number_type=config["number_type"],
            publish=config["publish"],
            validate_records=config["validate_records"],
            on_bad_record=config["on_bad_record"],
            datasources=Datasources.from_config(config.get("datasources")),
            package=config["package"],
            tableau=_tableau(config),
            delivery=DeliverySettings.from_config(config),
            controls=ControlSettings.from_config(config),
            refresh=RefreshSettings.from_config(config),
            ledger_path=Path(ledger_path) if ledger_path else None,
        )

    def datasource(self, stream: str) -> DatasourceSettings:
        """Names for a stream."""
        return self.datasources.single.get(stream, DatasourceSettings())


def _tableau(config: Mapping[str, Any]) -> TableauSettings | None:
    url = config.get("tableau_server_url")
    if not url or config["publish"] == "none":
        return None
    if not str(url).startswith(("https://", "http://")):
        message = "tableau_server_url must start with https://"
        raise ConfigError(message)
    bundle = config.get("ca_bundle")
    if bundle and not Path(bundle).is_file():
        message = f"ca_bundle names {bundle!r}, which is no file"
        raise ConfigError(message)
    return TableauSettings(
        server_url=str(url).rstrip("/"),
        site=config["tableau_site"],
        identity=identity_of(config),
        project=config["tableau_project"],
        create_project=config["create_project"],
        ca_bundle=Path(bundle) if bundle else None,
        chunk_bytes=config["chunk_size_mb"] * 2**20,
        job_timeout_s=float(config["job_timeout"]),
    )
