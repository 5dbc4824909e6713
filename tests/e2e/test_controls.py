"""The controls of ``meltano.yml`` hold up a ledger that cannot be right."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.e2e.meltano import RUN, Meltano
from tests.e2e.test_pipeline import assert_tableau_shows_the_books

from pipeline_core.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from contoso_sandbox.contoso import Contoso

LINES = "GeneralJournalAccountEntries"
INVOICES = "VendInvoiceJourBiEntities"
VENDORS = "VendorsV2"
ENTITIES = (LINES, "MainAccounts", INVOICES, VENDORS)


class Missing:
    """Rows that are taken out of Contoso's books, to be put back as they were."""

    def __init__(self, contoso: Contoso) -> None:
        self._books = contoso.world.cursor()
        self._taken: list[str] = []

    def first(self, query: str) -> tuple[Any, ...]:
        """The first row of a query."""
        found: tuple[Any, ...] | None = self._books.execute(query).fetchone()
        assert found is not None, query
        return found

    def take(self, entity_set: str, where: str) -> int:
        """Take out rows; returns how many."""
        self._books.execute(
            f'CREATE TEMP TABLE "taken {entity_set}" AS FROM "{entity_set}" WHERE {where}'
        )
        self._books.execute(f'DELETE FROM "{entity_set}" WHERE {where}')  # noqa: S608
        self._taken.append(entity_set)
        return int(self.first(f'SELECT count(*) FROM "taken {entity_set}"')[0])  # noqa: S608

    def put_back(self) -> None:
        """Undo every ``take``."""
        for name in self._taken:
            self._books.execute(f'INSERT INTO "{name}" FROM "taken {name}"')


def outcomes(meltano: Meltano, stream: str) -> dict[str, str]:
    """How the controls about a stream came out, as its manifest says."""
    manifest = json.loads((meltano.extracts / f"{stream}.manifest.json").read_text())
    return {result["name"]: result["outcome"] for result in manifest["controls"]}


def test_a_journal_line_and_a_vendor_that_are_missing_hold_up_the_run_until_they_are_back(
    new_contoso: Callable[..., Contoso], tmp_path: Path
) -> None:
    # Invoices are read whole each time: a reading of what changed would not see that rows are gone.
    whole = {"TAP_D365FO_ENTITY_SETTINGS": json.dumps({INVOICES: {"replication": "full"}})}
    meltano = Meltano(new_contoso(page_size=500), tmp_path / "home", ENTITIES, whole)
    contoso = meltano.contoso
    meltano.run(*RUN)
    stamps = {source.name: source.updated_at for source in contoso.tableau.datasources()}
    assert outcomes(meltano, LINES) == {
        "every journal entry balances": "passed",
        "account entries have their main account": "passed",
        f"no table shrinks at once: {LINES}": "passed",
    }

    # A line of a journal that was posted today is not there, nor a vendor with invoices, nor every
    # third invoice.
    contoso.world.advance(1)
    missing = Missing(contoso)
    line, company, journal = missing.first(
        f'SELECT __rec_id, "dataAreaId", "JournalNumber" FROM "{LINES}" '  # noqa: S608 - a constant
        'WHERE "AccountingCurrencyAmount" <> 0 ORDER BY 1 DESC'
    )
    assert missing.take(LINES, f"__rec_id = {line}") == 1
    of, vendor = missing.first(
        f'SELECT "dataAreaId", "InvoiceAccount" FROM "{INVOICES}" WHERE __rec_id % 3 <> 0'  # noqa: S608
    )
    where = f"\"dataAreaId\" = '{of}' AND \"VendorAccountNumber\" = '{vendor}'"
    assert missing.take(VENDORS, where) == 1
    assert missing.take(INVOICES, "__rec_id % 3 = 0") > 30

    process = meltano.start("--log-format=key_value", *RUN)
    output, _ = process.communicate(timeout=300)
    assert process.returncode != 0, output
    assert "exit_codes={<PluginType.LOADERS: 'loaders'>: 70}" in output
    assert "control 'every journal entry balances' failed: 1 of" in output
    assert f"(the first: {company.lower()}, {journal})" in output
    assert "control 'posted invoices have their vendor' failed" in output
    assert f"{of.lower()}, {vendor}" in output
    assert f"control 'no table shrinks at once: {INVOICES}' failed: {INVOICES} fell from" in output
    assert "Nothing was replaced or published" in output
    assert stamps == {s.name: s.updated_at for s in contoso.tableau.datasources()}
    with Ledger(meltano.ledger, run_id="check", actor="test") as ledger:
        checked = [e.body for e in ledger.events() if e.event == "control.checked"]
    failed = {event["name"] for event in checked if event["outcome"] == "failed"}
    assert failed == {
        "every journal entry balances",
        "posted invoices have their vendor",
        f"no table shrinks at once: {INVOICES}",
    }
    assert set(outcomes(meltano, INVOICES).values()) == {"passed"}, "of the run before"

    # The next run, one like any other, reads both.
    missing.put_back()
    meltano.run(*RUN)
    assert_tableau_shows_the_books(meltano, tmp_path)
    assert stamps[LINES] != {s.name: s.updated_at for s in contoso.tableau.datasources()}[LINES]
