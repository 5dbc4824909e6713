"""Tableau's own Document API reads the packages that the target builds, as it reads Desktop's."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.interop.peers import DOCUMENT_API, scripts_of, shell

from target_tableau_hyper.delivery.package import hyper_member, write_package
from target_tableau_hyper.extract.described import DescribedColumn
from target_tableau_hyper.extract.layout import TableColumn
from target_tableau_hyper.extract.schema import Kind
from target_tableau_hyper.tableau.tds import Document, FieldFolder, Link, render
from target_tableau_hyper.tableau.tds_fields import Table

if TYPE_CHECKING:
    from collections.abc import Callable

_SCRIPT = Path(__file__).with_name("clients") / "tableaudocumentapi_reads.py"


def column(name: str, kind: Kind, title: str = "", about: str = "") -> DescribedColumn:
    return DescribedColumn(TableColumn(name, kind), title or None, about or None)


BILLS = Table(
    "bills",
    "Bills & more",
    (
        column("id", Kind.INTEGER),
        column("Account", Kind.TEXT, "Vendor's account <number>"),
        column("Amount", Kind.NUMERIC, 'Amount "due"', "In the vendor's currency, 100 % exact"),
        column("Due", Kind.DATE, "Due date"),
        column("Posted", Kind.TIMESTAMP),
        column("Open", Kind.BOOLEAN),
    ),
    frozenset({"id", "Account"}),
)
VENDORS = Table(
    "vendors",
    "Vendors",
    (column("Account", Kind.TEXT, "Vendor's account <number>"), column("Größe", Kind.INTEGER)),
    frozenset({"Account"}),
)


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """What the Document API finds in a package of a document."""

    def read(document: Document) -> dict[str, Any]:
        hyper = tmp_path / "data.hyper"
        hyper.write_bytes(bytes(70_000))
        package = tmp_path / "Payables.tdsx"
        write_package(package, stem="Payables", document=render(document), hyper=hyper)
        done = subprocess.run(
            [scripts_of(DOCUMENT_API) / "python", _SCRIPT, package],
            capture_output=True,
            env=shell(),
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return read


def test_it_finds_connection_fields_and_texts(read: Callable[..., dict[str, Any]]) -> None:
    folders = (FieldFolder("Money", (("bills", "Amount"),)),)
    found = read(Document("Bills", hyper_member("Payables"), (BILLS,), folders=folders))
    assert found["version"] == "18.1"
    assert ["hyper", "Data/Extracts/Payables.hyper"] in found["connections"]
    fields = {field["id"]: field for field in found["fields"].values()}
    assert {name: (f["datatype"], f["role"], f["type"]) for name, f in fields.items()} == {
        "[id]": ("integer", "dimension", "ordinal"),
        "[Account]": ("string", "dimension", "nominal"),
        "[Amount]": ("real", "measure", "quantitative"),
        "[Due]": ("date", "dimension", "ordinal"),
        "[Posted]": ("datetime", "dimension", "ordinal"),
        "[Open]": ("boolean", "dimension", "nominal"),
    }
    assert fields["[Account]"]["name"] == "Vendor's account <number>"
    assert fields["[Amount]"]["caption"] == 'Amount "due"'
    assert "In the vendor's currency, 100 % exact" in fields["[Amount]"]["description"]
    assert fields["[Amount]"]["aggregation"] == "Sum"


def test_it_finds_the_fields_of_every_table(read: Callable[..., dict[str, Any]]) -> None:
    link = Link("bills", "vendors", (("Account", "Account"),))
    found = read(Document("Both", hyper_member("Payables"), (BILLS, VENDORS), (link,)))
    names = {field["id"]: field["name"] for field in found["fields"].values()}
    assert len(names) == 8
    assert names["[Account (vendors)]"] == "Vendor's account <number> (Vendors)"
    assert names["[Größe]"] == "[Größe]", "a field without a caption goes by its id"
