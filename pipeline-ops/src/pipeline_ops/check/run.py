"""All checks in order: settings, D365, Tableau, this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline_ops.check.d365 import check_d365
from pipeline_ops.check.machine import check_machine, check_path, run_goes_on
from pipeline_ops.check.settings import AREA, check_secrets, effective
from pipeline_ops.check.tableau import check_tableau
from tap_d365fo.settings import CONFIG_JSONSCHEMA as TAP_SCHEMA
from tap_d365fo.settings import Settings as TapSettings
from target_tableau_hyper.settings import CONFIG_JSONSCHEMA as TARGET_SCHEMA
from target_tableau_hyper.settings import Settings as TargetSettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pipeline_ops.check.findings import Checklist

TAP, TARGET = "tap-d365fo", "target-tableau-hyper"


@dataclass(frozen=True, slots=True)
class Configs:
    """What the plugins are set to, secrets unresolved.

    Attributes:
        tap, target: Settings; ``None`` for a side that is not to be checked.
        project: Folder of the Meltano project that they come from, if they do.
    """

    tap: Mapping[str, Any] | None
    target: Mapping[str, Any] | None
    project: Path | None


def run_checks(checks: Checklist, configs: Configs, *, counts: bool) -> None:
    """Look at everything that can be looked at; a failure ends only what depends on it."""
    tap: TapSettings | None = None
    target: TargetSettings | None = None
    if configs.tap is not None:
        check_secrets(checks, TAP, configs.tap, TAP_SCHEMA, configs.project)
        with checks.trying(AREA, TAP):
            tap = TapSettings.from_config(effective(configs.tap, TAP_SCHEMA))
            checks.ok(AREA, TAP, "valid")
    if configs.target is not None:
        check_secrets(checks, TARGET, configs.target, TARGET_SCHEMA, configs.project)
        with checks.trying(AREA, TARGET):
            target = TargetSettings.from_config(effective(configs.target, TARGET_SCHEMA))
            checks.ok(AREA, TARGET, "valid")
    if tap is not None:
        check_d365(checks, tap, counts=counts)
        for setting, path in (
            ("snapshot_path", tap.snapshot_path),
            ("metadata_cache_path", tap.metadata_cache_path),
            ("archive_path", tap.archive_path),
            ("ledger_path", tap.ledger_path),
        ):
            check_path(checks, setting, path)
    if target is not None:
        check_tableau(checks, target, run_goes_on=run_goes_on(target.output_dir))
        check_machine(checks, target)
        if tap is None or tap.ledger_path != target.ledger_path:
            check_path(checks, "ledger_path", target.ledger_path)
