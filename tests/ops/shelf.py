"""An output directory and a ledger as runs leave them, in every state that there is."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pipeline_core.errors import TransientError
from pipeline_core.ledger import Ledger
from target_tableau_hyper.extract.combined import CombinedManifest
from target_tableau_hyper.extract.manifest import Delivery, Manifest

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
RUN = "0197a000-0000-7000-8000-000000000002"


def delivery(name: str, sha256: str) -> Delivery:
    return Delivery(
        sha256=sha256,
        server="https://tableau.contoso.com",
        site="finance",
        project="Finance/Ledger",
        name=name,
        datasource_id="f8ca6361-515e-4f25-8670-b4905d1ce59d",
        updated_at="2026-11-23T06:03:00+00:00",
        job_id="j-1",
        how="update",
        run_id=RUN,
        at="2026-11-23T06:03:00+00:00",
    )


def put(directory: Path, name: str, *, age_h: float = 2, **changes: Any) -> Manifest:  # noqa: ANN401 - any field
    """One extract with its manifest: delivered, and found current ``age_h`` hours before now."""
    sha256 = changes.pop("sha256", f"sha-of-{name}")
    fields: dict[str, Any] = {
        "stream": name,
        "datasource": name,
        "file": f"{name}.hyper",
        "run_id": RUN,
        "as_of": (NOW - timedelta(hours=age_h)).isoformat(),
        "checked_by": RUN,
        "rows": 12345,
        "totals": {"AmountMST": "-130425213973189.305868", "Tax1099Amount": "0.00"},
        "columns": [],
        "keys": ["dataAreaId"],
        "hyper_version": 3,
        "size": 10,
        "sha256": sha256,
        "previous_sha256": None,
        "delta": {},
        "delivered": delivery(name, sha256),
    }
    manifest = Manifest(**(fields | changes))
    manifest.write(directory / f"{name}.manifest.json")
    (directory / manifest.file).write_bytes(b"an extract")
    return manifest


def combine(directory: Path, name: str, *parts: Manifest, **known: str) -> None:
    """A data source of several streams; ``known`` gives seals that differ from the extracts'."""
    tables: dict[str, dict[str, Any]] = {
        part.stream: {
            "rows": part.rows,
            "totals": part.totals,
            "sha256": known.get(part.stream, part.sha256),
        }
        for part in parts
    }
    CombinedManifest(
        name, RUN, parts[0].as_of, tables, "combined", delivery(name, "combined")
    ).write(directory / f"{name}.datasource.json")


def messy(directory: Path) -> Path:
    """Every state at once; returns the ledger."""
    put(directory, "Ledgers")
    put(directory, "MainAccounts", age_h=50)
    put(directory, "VendorsV2", delivered=None, pending=True)
    put(directory, "ExchangeRates", delivered=None)
    put(directory, "VendTransBiEntities")
    put(directory, "GeneralJournalAccountEntries", quarantined=3)
    put(directory, "PurchaseOrderLinesV2")
    (directory / "PurchaseOrderLinesV2.hyper").unlink()
    (directory / "Torn.manifest.json").write_text("{")
    lines = put(directory, "VendorInvoiceLines", delivered=None)
    headers = put(directory, "VendorInvoiceHeaders", delivered=None)
    combine(directory, "Payables", lines, headers)
    combine(directory, "Orders", put(directory, "Orders0", delivered=None), Orders0="older")
    (directory / ".refresh.json").write_text('{"format": 1, "due": ["workbook:Finance/Cash"]}')
    return write_ledger(directory / "ledger.db")


def write_ledger(path: Path) -> Path:
    moment = iter(NOW - timedelta(hours=2) + timedelta(seconds=n) for n in range(1000))

    def of(run_id: str, actor: str) -> Ledger:
        return Ledger(path, run_id=run_id, actor=actor, now=lambda: next(moment))

    with of("0197a000-0000-7000-8000-000000000001", "target-tableau-hyper") as ledger:
        ledger.append("run.started", output_dir="output")
        with ledger.effect("delivery", datasource="VendTransBiEntities", way="update") as effect:
            effect.verified(job_id="j-0")
        ledger.append("run.finished", streams=1)
    with of(RUN, "tap-d365fo") as ledger:
        ledger.append("run.started", streams=["VendTransBiEntities"])
        ledger.append("partition.read", stream="VendTransBiEntities", company="usmf", rows=1200)
        ledger.append("partition.read", stream="Ledgers", company=None, rows=34)
        ledger.append(
            "partition.failed",
            stream="GeneralJournalAccountEntries",
            company="demf",
            error="DeniedError",
        )
        ledger.append("run.failed", partitions=1)
    with of(RUN, "target-tableau-hyper") as ledger:
        ledger.append("run.started", output_dir="output")
        ledger.append("extract.sealed", stream="VendTransBiEntities", rows=12345)
        reason = "Tableau answered HTTP 503; <script>alert(1)</script> run again later"
        about = {"datasource": "VendTransBiEntities", "way": "update"}
        with suppress(TransientError), ledger.effect("delivery", **about):
            raise TransientError(reason)
        with ledger.effect("refresh", kind="workbook", item="Finance/Spend") as effect:
            effect.verified(job_id="j-2", followed=True)
        about = {"kind": "workbook", "item": "Finance/Close"}
        with suppress(TransientError), ledger.effect("refresh", **about):
            raise TransientError(reason)
        ledger.append("delivery.intent", datasource="VendorsV2", way="overwrite")
        ledger.append("run.failed", error=f"TransientError: {reason}")
    return path
