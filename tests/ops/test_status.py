"""The status of an output directory and a ledger, as page, table and JSON."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.ops import shelf
from tests.ops.chromium import LOWEST_CONTRAST

from pipeline_core.errors import ConfigError
from pipeline_core.ledger import Ledger
from pipeline_ops.status.gather import gather
from pipeline_ops.status.history import quoted
from pipeline_ops.status.model import Standing, Status
from pipeline_ops.status.page import headline, status_json, status_page, status_table

if TYPE_CHECKING:
    from tests.ops.chromium import Browser

COMMAND = Path(sys.executable).with_name("d365fo-tableau")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("output")
    shelf.messy(directory)
    return directory


def look(directory: Path, ledger: Path | None = None) -> Status:
    ledger = ledger or directory / "ledger.db"
    return gather(directory, ledger, now=shelf.NOW, late_after=timedelta(hours=36))


@pytest.fixture(scope="module")
def status(directory: Path) -> Status:
    return look(directory)


def test_what_needs_somebody_comes_first(status: Status) -> None:
    assert [(one.name, one.standing) for one in status.datasources] == [
        ("GeneralJournalAccountEntries", Standing.FAILED),
        ("PurchaseOrderLinesV2", Standing.FAILED),
        ("Torn", Standing.FAILED),
        ("VendTransBiEntities", Standing.FAILED),
        ("Orders", Standing.PENDING),
        ("VendorsV2", Standing.PENDING),
        ("MainAccounts", Standing.LATE),
        ("ExchangeRates", Standing.UNPUBLISHED),
        ("Ledgers", Standing.CURRENT),
        ("Payables", Standing.CURRENT),
    ]
    assert headline(status) == (
        "4 failed, 2 not delivered, 1 late; 3 of 10 data sources are current; the last run failed."
    )


def test_each_failure_says_what_happened(status: Status) -> None:
    why = {one.name: " ".join(one.why) for one in status.datasources}
    assert why["GeneralJournalAccountEntries"] == (
        "It could not be read from D365 for company demf (DeniedError)."
    )
    assert "PurchaseOrderLinesV2.hyper is gone" in why["PurchaseOrderLinesV2"]
    assert "Torn.manifest.json is no manifest" in why["Torn"]
    assert why["VendTransBiEntities"].startswith("The last delivery to Tableau failed: Transient")
    assert why["VendorsV2"] == "A delivery was begun and its end is not known yet."
    assert "the next run delivers it" in why["Orders"]


def test_a_table_of_a_combined_data_source_is_no_data_source(status: Status) -> None:
    names = {one.name for one in status.datasources}
    assert "VendorInvoiceLines" not in names
    (payables,) = [one for one in status.datasources if one.name == "Payables"]
    assert payables.rows == 2 * 12345


def test_a_later_delivery_settles_an_earlier_failure(tmp_path: Path) -> None:
    ledger = shelf.messy(tmp_path)
    with Ledger(ledger, run_id="later", actor="target-tableau-hyper") as writing:
        with writing.effect("delivery", datasource="VendTransBiEntities") as effect:
            effect.verified(job_id="j")
        writing.append("run.finished", streams=1)
    after = {one.name: one.standing for one in look(tmp_path).datasources}
    assert after["VendTransBiEntities"] is Standing.CURRENT


def test_controls_that_neither_passed_nor_failed_are_noted(tmp_path: Path) -> None:
    controls = [
        {"name": "journals", "outcome": "warned", "saying": "1 of 2 entries do not balance"},
        {"name": "vendors", "outcome": "not_checked", "saying": "there is no extract of vendors"},
        {"name": "rows", "outcome": "passed", "saying": "all is well"},
    ]
    shelf.put(tmp_path, "Ledgers", controls=controls)
    (one,) = look(tmp_path).datasources
    assert one.standing is Standing.CURRENT
    assert list(one.notes) == [
        "The control \u2018journals\u2019 warns: 1 of 2 entries do not balance.",
        "The control \u2018vendors\u2019 was not checked: there is no extract of vendors.",
    ]


def test_a_failed_control_marks_its_streams_until_a_run_passes(tmp_path: Path) -> None:
    shelf.put(tmp_path, "Ledgers")
    path = tmp_path / "ledger.db"

    def run(run_id: str, outcome: str) -> Standing:
        with Ledger(path, run_id=run_id, actor="target-tableau-hyper") as ledger:
            ledger.append("extract.sealed", stream="Ledgers")
            ledger.append(
                "control.checked",
                streams=["Ledgers"],
                name="balances",
                outcome=outcome,
                saying="2 entries do not balance",
            )
        (one,) = look(tmp_path).datasources
        return one.standing

    assert run("1", "failed") is Standing.FAILED
    (why,) = look(tmp_path).datasources[0].why
    assert why == f"The control {quoted('balances')} failed: 2 entries do not balance."
    assert run("2", "passed") is Standing.CURRENT


def test_runs_tell_outcome_error_and_open_effects(status: Status) -> None:
    latest, first = status.runs
    assert (latest.run_id, latest.outcome, latest.rows) == (shelf.RUN, "failed", 1234)
    assert latest.open_effects == ["delivery VendorsV2"]
    assert (first.outcome, first.deliveries) == ("complete", 1)
    assert [(r.item, r.outcome) for r in status.refreshes] == [
        ("Finance/Close", "failed"),
        ("workbook:Finance/Cash", "waiting"),
        ("Finance/Spend", "refreshed"),
    ]


def test_the_last_run_of_either_plugin_counts(tmp_path: Path) -> None:
    shelf.put(tmp_path, "Ledgers")
    path = tmp_path / "ledger.db"

    def run(run_id: str, actor: str, event: str) -> str:
        with Ledger(path, run_id=run_id, actor=actor) as ledger:
            ledger.append("run.started")
            ledger.append(event)
        return headline(look(tmp_path))

    good, bad = "The one data source is current.", "The one data source is current; the last"
    assert run("1", "target-tableau-hyper", "run.failed").startswith(bad)
    assert run("2", "tap-d365fo", "run.finished").startswith(bad)
    assert run("3", "target-tableau-hyper", "run.finished") == good
    assert run("4", "tap-d365fo", "run.failed").startswith(bad)
    assert run("5", "tap-d365fo", "run.finished") == good


def test_a_run_that_made_good_what_failed_is_complete(tmp_path: Path) -> None:
    shelf.put(tmp_path, "Ledgers")
    with Ledger(tmp_path / "ledger.db", run_id="1", actor="target-tableau-hyper") as ledger:
        ledger.append("delivery.intent", datasource="Ledgers", package="tdsx")
        ledger.append("delivery.failed", intent=1, error="RefusedError: no package")
        ledger.append("delivery.intent", datasource="Ledgers", package="hyper")
        ledger.append("delivery.verified", intent=3, job_id="j")
        ledger.append("run.finished", streams=1)
    found = look(tmp_path)
    assert [(run.outcome, run.error, run.deliveries) for run in found.runs] == [("complete", "", 1)]
    assert found.datasources[0].standing is Standing.CURRENT


def test_without_a_ledger_the_manifests_still_speak(directory: Path, tmp_path: Path) -> None:
    alone = look(directory, tmp_path / "none.db")
    assert alone.runs == []
    assert "no ledger" in alone.ledger
    assert not (tmp_path / "none.db").exists()
    assert len(alone.datasources) == 10


def test_looking_changes_nothing_of_the_ledger(tmp_path: Path) -> None:
    """Triggers that somebody dropped are evidence: looking must not put them back."""
    ledger = shelf.messy(tmp_path)
    with closing(sqlite3.connect(ledger)) as db:
        db.execute("DROP TRIGGER ledger_no_update")
        db.execute("PRAGMA journal_mode=DELETE")
    before = ledger.read_bytes()
    ledger.chmod(0o444)
    look(tmp_path)
    assert ledger.read_bytes() == before
    assert [path.name for path in tmp_path.glob("ledger.db*")] == ["ledger.db"]


def test_a_ledger_that_was_changed_is_told(tmp_path: Path) -> None:
    ledger = shelf.messy(tmp_path)
    db = sqlite3.connect(ledger)
    db.execute("DROP TRIGGER ledger_no_update")
    db.execute("UPDATE ledger SET body_json = replace(body_json, '1200', '1201')")
    db.commit()
    db.close()
    found = look(tmp_path)
    assert found.ledger_broken
    assert "The ledger does not prove the past." in status_page(found)
    assert "broken at row" in found.ledger


def test_a_ledger_that_is_none_leaves_the_manifests(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"no database at all, but as long as one is" * 100)
    found = look(directory, tmp_path / "ledger.db")
    assert found.ledger_broken
    assert "cannot be read (file is not a database)" in found.ledger
    assert len(found.datasources) == 10


def test_without_a_directory_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no directory"):
        look(tmp_path / "none")


def test_an_empty_directory_is_told(tmp_path: Path) -> None:
    assert "the pipeline has not run" in status_page(look(tmp_path))


def test_page_escapes_what_servers_say(status: Status) -> None:
    page = status_page(status)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "\N{MINUS SIGN}130,425,213,973,189.305868" in page
    assert 'http-equiv="refresh"' not in page
    assert '<meta http-equiv="refresh" content="60">' in status_page(status, refresh_s=60)


def test_table_fits_the_terminal(status: Status) -> None:
    lines = list(status_table(status, width=150))
    assert max(map(len, lines)) <= 150
    assert any("Failed" in line and "VendTransBiEntities" in line for line in lines)


def test_json_holds_decimals_as_text(status: Status) -> None:
    told: dict[str, Any] = json.loads(status_json(status))
    (ledgers,) = [one for one in told["datasources"] if one["name"] == "Ledgers"]
    assert ledgers["tables"][0]["totals"]["AmountMST"] == "-130425213973189.305868"
    assert ledgers["as_of"] == "2026-11-24T06:00:00+00:00"
    assert ledgers["standing"] == "current"


def test_command_writes_page_table_and_json(directory: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        given = ["--output-dir", str(directory), "--ledger", str(directory / "ledger.db")]
        command = [str(COMMAND), "status", *given, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    page = tmp_path / "deep" / "status.html"
    written = run("--html", str(page), "--format", "json")
    assert written.returncode == 0
    assert page.stat().st_mode & 0o777 == 0o640
    assert json.loads(written.stdout)["headline"] in written.stderr
    assert run().stdout.splitlines()[2].startswith("STATE")
    refused = run("--html", "/proc/none/status.html")
    assert refused.returncode == 78
    assert "choose another --html" in refused.stderr.splitlines()[-1]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1100, 400])
def test_page_in_a_browser(
    browser: Browser, status: Status, tmp_path: Path, *, dark: bool, width: int
) -> None:
    page = tmp_path / "status.html"
    page.write_text(status_page(status))
    browser.open(page, dark=dark, width=width)
    assert browser.requested() == [page.resolve().as_uri()]
    assert browser.complaints() == []
    assert browser.value("document.documentElement.scrollWidth") <= width
    browser.value("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert browser.value("document.documentElement.scrollWidth") <= width
    ratio, text = browser.value(LOWEST_CONTRAST)
    assert ratio >= 4.5, text
    assert browser.value("[...document.querySelectorAll('table')].every(t => !!t.caption)")
    assert "VendTransBiEntities" in " ".join(browser.names("rowheader"))
    assert any("Failed" in name for name in browser.names("cell"))
    states = browser.value("[...document.querySelectorAll('.state')].map(e => e.innerText.trim())")
    assert all(len(words.split()) >= 2 for words in states)  # a sign and words, never colour alone
