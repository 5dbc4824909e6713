"""The preview of real extracts, and the page in a real browser."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.ops.chromium import LOWEST_CONTRAST

from target_tableau_hyper.extract.engine import TABLE, start_engine

if TYPE_CHECKING:
    from tests.ops.chromium import Browser

COMMAND = Path(sys.executable).with_name("d365fo-tableau")

TABLES = {
    "VendTransBiEntities": (
        (
            '"dataAreaId" TEXT, "AccountNum" TEXT, "CurrencyCode" TEXT, "TransType" TEXT, '
            '"DueDate" DATE, "Closed" DATE, "AmountCur" NUMERIC(38,6), '
            '"SettleAmountCur" NUMERIC(18,6), '
            '"ReportingCurrencyAmount" NUMERIC(38,6), '
            '"SettleAmountReporting" NUMERIC(18,6)'
        ),
        [
            "('usmf', 'US-1', 'USD', 'Purch', DATE '2026-10-01', NULL, -10.10, 0, -10.10, 0)",
            "('usmf', 'US-1', 'EUR', 'Vend', DATE '2026-10-01', NULL, -8, -3, -9.20, -3.45)",
            "('usmf', 'US-2', 'USD', 'Vend', DATE '2026-11-20', DATE '2026-11-21', -5, -5, -5, -5)",
            "('usmf', 'US-2', 'USD', 'Payment', NULL, DATE '2026-11-21', 5, 5, 5, 5)",
            "('2', 'CH-1', 'CHF', 'Vend', NULL, NULL, -90071992547409929.99, 0, -1, 0)",
        ],
    ),
    "VendorsV2": (
        '"dataAreaId" TEXT, "VendorAccountNumber" TEXT, "VendorOrganizationName" TEXT',
        ["('usmf', 'US-1', '<b>Markup</b> & Co')", "('usmf', 'US-2', '')"],
    ),
    "Ledgers": ('"LegalEntityId" TEXT, "ReportingCurrency" TEXT', ["('USMF', 'USD')"]),
    "GeneralJournalAccountEntries": (
        (
            '"dataAreaId" TEXT, "ReportingCurrency" TEXT, "AccountingDate" DATE, '
            '"ReportingCurrencyAmount" NUMERIC(38,6)'
        ),
        [
            "('usmf', 'USD', DATE '2026-09-30', 12.345678)",
            "('usmf', 'USD', DATE '2026-09-30', -12.345678)",
            "('usmf', 'USD', DATE '2026-11-01', 3)",
        ],
    ),
}


def write_extracts(directory: Path, tables: dict[str, tuple[str, list[str]]]) -> None:
    with start_engine(hyper_version=3) as engine:
        for name, (columns, rows) in tables.items():
            with engine.open(directory / f"{name}.hyper", create=True) as database:
                database.run('CREATE SCHEMA "Extract"')
                database.run(f"CREATE TABLE {TABLE} ({columns})")
                if rows:
                    database.run(f"INSERT INTO {TABLE} VALUES {', '.join(rows)}")  # noqa: S608 - ours


@pytest.fixture(scope="module")
def extracts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("extracts")
    write_extracts(directory, TABLES)
    return directory


def run(directory: Path, page: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(COMMAND), "preview", "--output-dir", str(directory), "--html", str(page)]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def page(extracts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    page = tmp_path_factory.mktemp("page") / "preview.html"
    done = run(extracts, page, "--day", "2026-11-24")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{page}: spend by vendor, payables by age, general ledger")
    return page


def test_extracts_are_only_read(extracts: Path, tmp_path: Path) -> None:
    def seals() -> dict[str, str]:
        return {
            file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in extracts.iterdir()
        }

    before = seals()
    assert run(extracts, tmp_path / "page.html").returncode == 0
    assert seals() == before


def test_figures_are_exact_and_in_the_reporting_currency(page: Path) -> None:
    html = page.read_text()
    assert '<td class="number">19.30</td>' in html  # 10.10 + 9.20, not 10.10 + 8
    assert '<td class="number">90,071,992,547,409,929.99</td>' in html  # no float holds it
    assert '<td class="number">15.85</td>' in html  # open: 10.10 + (9.20 - 3.45)
    assert '<td class="number">12.345678</td>' in html


def test_texts_of_the_ledger_are_texts(page: Path) -> None:
    html = page.read_text()
    assert "<b>Markup" not in html
    assert "&lt;b&gt;Markup&lt;/b&gt; &amp; Co" in html
    assert "<script" not in html


def test_a_missing_column_or_extract_is_told_and_the_rest_drawn(tmp_path: Path) -> None:
    columns, _ = TABLES["GeneralJournalAccountEntries"]
    lacking = columns.replace('"ReportingCurrency" TEXT', '"Currency" TEXT')
    write_extracts(
        tmp_path,
        {
            "VendTransBiEntities": TABLES["VendTransBiEntities"],
            "GeneralJournalAccountEntries": (lacking, []),
        },
    )
    done = run(tmp_path, tmp_path / "page.html")
    assert done.returncode == 0
    told = "the extract of GeneralJournalAccountEntries lacks ReportingCurrency"
    assert told in done.stderr
    html = (tmp_path / "page.html").read_text()
    assert told in html
    assert '<td class="number">8.00</td>' in html  # without ledgers, in the currency of the invoice


def test_the_standard_products_ledger_is_joined_from_lines_and_headers(tmp_path: Path) -> None:
    write_extracts(
        tmp_path,
        {
            "GeneralJournalAccountEntryBiEntities": (
                '"GeneralJournalEntry" BIGINT, "ReportingCurrencyAmount" NUMERIC(38,6)',
                ["(7, 10.5)", "(7, -10.5)", "(8, 3)", "(9, 99)"],
            ),
            "GeneralJournalEntryBiEntities": (
                '"SourceKey" BIGINT, "AccountingDate" DATE, "SubledgerVoucherDataAreaId" TEXT',
                ["(7, DATE '2026-01-31', 'USMF')", "(8, DATE '2026-03-01', 'usmf')"],
            ),
            "Ledgers": TABLES["Ledgers"],
        },
    )
    done = run(tmp_path, tmp_path / "page.html")
    assert done.returncode == 0, done.stderr
    assert "general ledger by month" in done.stdout
    html = (tmp_path / "page.html").read_text()
    assert "from GeneralJournalAccountEntryBiEntities" in html
    assert "<td>2026-03</td>" in html
    lost = '<th scope="row">unknown</th><td>without a date</td><td class="number">1</td>'
    assert f'{lost}<td class="number">99.00</td>' in html  # a line whose header is not there
    assert '<td>2026-01</td><td class="number">2</td><td class="number">10.50</td>' in html


def test_a_run_that_goes_on_is_not_waited_for(extracts: Path, tmp_path: Path) -> None:
    lock = os.open(extracts / ".lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert run(extracts, tmp_path / "page.html").returncode == 0
    finally:
        os.close(lock)
        (extracts / ".lock").unlink()


def test_told_to_stop_it_leaves_no_copy_behind(tmp_path: Path) -> None:
    """A copy of a ledger must not stay in the temporary directory."""
    program = (
        "import os, signal, sys\n"
        "from pipeline_ops.preview import extracts\n"
        "real = extracts.shutil.copyfile\n"
        "def copyfile(*paths):\n"
        "    real(*paths)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "extracts.shutil.copyfile = copyfile\n"
        "from pipeline_ops.cli import main\n"
        "main()\n"
    )
    output, scratch = tmp_path / "output", tmp_path / "tmp"
    output.mkdir()
    scratch.mkdir()
    write_extracts(output, {"VendTransBiEntities": TABLES["VendTransBiEntities"]})
    page = tmp_path / "page.html"
    stopped = subprocess.run(
        [sys.executable, "-c", program, "preview", "--output-dir", output, "--html", page],
        env={**os.environ, "TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert stopped.returncode == 143
    assert stopped.stderr.splitlines()[-1].endswith("told to stop (SIGTERM); no page was written")
    assert not page.exists()
    assert list(scratch.rglob("*.hyper")) == []


def test_floats_are_not_added_up(tmp_path: Path) -> None:
    columns, rows = TABLES["GeneralJournalAccountEntries"]
    write_extracts(
        tmp_path,
        {
            "GeneralJournalAccountEntries": (
                columns.replace("NUMERIC(38,6)", "DOUBLE PRECISION"),
                rows,
            )
        },
    )
    done = run(tmp_path, tmp_path / "page.html")
    assert done.returncode == 78
    assert "ReportingCurrencyAmount of GeneralJournalAccountEntries holds floating-point" in (
        done.stderr
    )
    assert not (tmp_path / "page.html").exists()


def test_a_damaged_extract_ends_it(tmp_path: Path) -> None:
    (tmp_path / "VendTransBiEntities.hyper").write_bytes(b"no extract")
    done = run(tmp_path, tmp_path / "page.html")
    assert done.returncode == 65
    assert "VendTransBiEntities.hyper cannot be read" in done.stderr.splitlines()[-1]


def test_without_a_directory_it_says_so(tmp_path: Path) -> None:
    done = run(tmp_path / "none", tmp_path / "page.html")
    assert done.returncode == 78
    assert "is no directory" in done.stderr


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1100, 400])
def test_page_in_a_browser(browser: Browser, page: Path, *, dark: bool, width: int) -> None:
    browser.open(page, dark=dark, width=width)
    assert browser.requested() == [page.resolve().as_uri()]
    assert browser.complaints() == []
    assert browser.value("document.documentElement.scrollWidth") <= width
    ratio, text = browser.value(LOWEST_CONTRAST)
    assert ratio >= 4.5, text
    kind = "narrow" if width == 400 else "wide"
    assert browser.value(
        "[...document.querySelectorAll('figure svg')].filter(s => s.getClientRects().length)"
        f".every(s => s.closest('.{kind}'))"
    )


def test_screen_readers_get_marks_and_captions(browser: Browser, page: Path) -> None:
    browser.open(page)
    tables = browser.value("[...document.querySelectorAll('table')].map(t => !!t.caption)")
    assert tables
    assert all(tables)
    labels = browser.value(
        "[...document.querySelectorAll('.wide [aria-label]')].map(e => e.ariaLabel)"
    )
    assert "<b>Markup</b> & Co: 19.30" in labels
    assert "usmf, 2026-09: debits of 12.345678 USD" in labels
