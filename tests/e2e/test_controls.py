"""The controls of ``meltano.yml`` hold up a ledger that cannot be right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.meltano import RUN, Meltano
from tests.e2e.test_pipeline import assert_tableau_shows_the_books

from pipeline_core.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from contoso_sandbox.contoso import Contoso

LINES = "GeneralJournalAccountEntries"
ENTITIES = (LINES, "MainAccounts", "VendInvoiceJourBiEntities", "VendorsV2")


def test_a_journal_line_and_a_vendor_that_are_missing_hold_up_the_run(
    new_contoso: Callable[..., Contoso], tmp_path: Path
) -> None:
    meltano = Meltano(new_contoso(page_size=500), tmp_path / "home", ENTITIES)
    contoso = meltano.contoso
    meltano.run(*RUN)
    stamps = {source.name: source.updated_at for source in contoso.tableau.datasources()}

    # What stands in the books and is not shown: a line of a new journal, a vendor with invoices.
    contoso.world.advance(1)
    books = contoso.world.cursor()
    line, amount = books.execute(
        f'SELECT __rec_id, "AccountingCurrencyAmount" FROM "{LINES}" ORDER BY 1 DESC LIMIT 1'  # noqa: S608 - a constant
    ).fetchall()[0]
    books.execute(
        f'UPDATE "{LINES}" SET "AccountingCurrencyAmount" = 0 WHERE __rec_id = ?',  # noqa: S608 - a constant
        [line],
    )
    company, vendor = books.execute(
        'SELECT "dataAreaId", "InvoiceAccount" FROM "VendInvoiceJourBiEntities" LIMIT 1'
    ).fetchall()[0]
    contoso.world.delete("VendorsV2", {"dataAreaId": company, "VendorAccountNumber": vendor})

    process = meltano.start(*RUN)
    output, _ = process.communicate(timeout=300)
    assert process.returncode != 0, output
    assert "control 'every journal entry balances' failed: 1 of" in output
    assert "control 'posted invoices have their vendor' failed" in output
    assert f"{company.lower()}, {vendor}" in output
    assert "Nothing was replaced or published" in output
    assert stamps == {s.name: s.updated_at for s in contoso.tableau.datasources()}
    with Ledger(meltano.ledger, run_id="check", actor="test") as ledger:
        checked = [e.body for e in ledger.events() if e.event == "control.checked"]
    failed = {event["name"] for event in checked if event["outcome"] == "failed"}
    assert failed == {"every journal entry balances", "posted invoices have their vendor"}

    books.execute(
        f'UPDATE "{LINES}" SET "AccountingCurrencyAmount" = ? WHERE __rec_id = ?',  # noqa: S608 - a constant
        [amount, line],
    )
    books.execute(
        'DELETE FROM "VendInvoiceJourBiEntities" WHERE "dataAreaId" = ? AND "InvoiceAccount" = ?',
        [company, vendor],
    )
    meltano.run("run", "--full-refresh", *RUN[1:])
    assert_tableau_shows_the_books(meltano, tmp_path)
