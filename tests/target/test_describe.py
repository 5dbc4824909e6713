"""What a data source says of itself, in which form, and what an update does to its tables."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pipeline_core.errors import ConfigError, IntegrityError
from target_tableau_hyper.delivery.describe import describe_one, describe_several
from target_tableau_hyper.delivery.form import BARE, attempt_of, choose_form
from target_tableau_hyper.delivery.table_updates import TableUpdate, table_actions
from target_tableau_hyper.extract.combine import Reference
from target_tableau_hyper.extract.combined import CombinedManifest, combined_sha
from target_tableau_hyper.extract.combined_payload import join_payloads
from target_tableau_hyper.extract.described import described_columns
from target_tableau_hyper.extract.manifest import Delivery, Manifest
from target_tableau_hyper.settings_datasources import Datasources, DatasourceSettings, Folder
from target_tableau_hyper.tableau.tds import FieldFolder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from target_tableau_hyper.delivery.describe import Description
    from target_tableau_hyper.extract.engine import Engine
    from target_tableau_hyper.settings_datasources import CombinedSettings


def manifest(stream: str, *columns: tuple[str, str], keys: str, **texts: str) -> Manifest:
    return Manifest(
        stream=stream,
        datasource=stream,
        file=f"{stream}.hyper",
        run_id="r",
        as_of="",
        checked_by="r",
        rows=0,
        totals={},
        columns=[
            {"name": name, "type": kind, "nullable": True}
            | ({"title": texts[name]} if name in texts else {})
            for name, kind in columns
        ],
        keys=keys.split(),
        hyper_version=3,
        size=1,
        sha256=f"sha of {stream}",
        previous_sha256=None,
        delta={},
    )


BILLS = manifest(
    "bills",
    ("id", "BIGINT"),
    ("account", "TEXT"),
    ("area", "TEXT"),
    ("amount", "NUMERIC(38,2)"),
    keys="id",
)
VENDORS = manifest(
    "vendors", ("number", "TEXT"), ("area", "TEXT"), ("limit", "NUMERIC(18,2)"), keys="area number"
)
MANIFESTS = {"bills": BILLS, "vendors": VENDORS}


def settings(on: dict[str, str], folders: dict[str, list[str]] | None = None) -> CombinedSettings:
    relationship = {"from": "bills", "to": "vendors", "on": on}
    entry: dict[str, Any] = {"tables": ["bills", "vendors"], "relationships": [relationship]}
    if folders:
        entry["folders"] = folders
    return Datasources.from_config({"AP": entry}).combined["AP"]


BY_KEY = {"account": "number", "area": "area"}


def described() -> Description:
    return describe_several(settings(BY_KEY), MANIFESTS, stem="AP")


def test_keys_and_columns_of_relationships_are_dimensions() -> None:
    document = described().document
    assert [(table.name, sorted(table.dimensions)) for table in document.tables] == [
        ("bills", ["account", "area", "id"]),
        ("vendors", ["area", "number"]),
    ]
    assert document.hyper == "Data/Extracts/AP.hyper"
    assert document.links[0].on == (("account", "number"), ("area", "area"))


WRONG = [
    pytest.param({"acount": "number", "area": "area"}, "'acount'.*mean 'account'", id="typing"),
    pytest.param({"account": "numbr", "area": "area"}, "'vendors' does not have", id="other side"),
    pytest.param({"account": "number"}, "name 'area' as well", id="half a key"),
    pytest.param({"id": "number", "area": "area"}, "integer and the other text", id="types"),
]


@pytest.mark.parametrize(("on", "said"), WRONG)
def test_relationships_that_do_not_fit_the_columns_are_refused(
    on: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        describe_several(settings(on), MANIFESTS, stem="AP")


def test_numbers_of_different_width_compare() -> None:
    whole = manifest("vendors", ("number", "NUMERIC(18,2)"), keys="number")
    describe_several(settings({"id": "number"}), {"bills": BILLS, "vendors": whole}, stem="AP")


def test_folders_find_their_columns() -> None:
    folders = {
        "Amounts": ["amount", "limit"],
        "Who": ["vendors.area", "bills.account", "area", "nobody", "bills.amount"],
        "Empty": ["nothing"],
    }
    description = describe_several(settings(BY_KEY, folders), MANIFESTS, stem="AP")
    assert description.document.folders == (
        FieldFolder("Amounts", (("bills", "amount"), ("vendors", "limit"))),
        FieldFolder("Who", (("vendors", "area"), ("bills", "account"))),
    )
    # Two tables have an area; an amount that lies in a folder lies in no other.
    assert description.unknown == ("area", "nobody", "bills.amount", "nothing")


def test_one_stream_has_folders_too() -> None:
    names = DatasourceSettings(folders=(Folder("Money", ("amount",)),))
    document = describe_one(BILLS, names, stem="bills").document
    assert document.folders == (FieldFolder("Money", (("Extract", "amount"),)),)
    assert document.tables[0].dimensions == {"id"}


def test_a_type_that_is_not_ours_is_told() -> None:
    with pytest.raises(IntegrityError, match="'id' of type 'INTERVAL'"):
        described_columns(manifest("bills", ("id", "INTERVAL"), keys="id"))


TITLED = manifest("bills", ("id", "BIGINT"), keys="id", id="Number")
PLAIN = manifest("bills", ("id", "BIGINT"), keys="id")
ODD = manifest("bills", ("i\x01d", "BIGINT"), ("t", "TEXT"), keys="", t="Text")

FORMS = [
    pytest.param("auto", TITLED, "tdsx", id="auto: a title is worth a package"),
    pytest.param("auto", PLAIN, "hyper", id="auto: nothing to say"),
    pytest.param("auto", ODD, "hyper", id="auto: names that no package can hold"),
    pytest.param("tdsx", PLAIN, "tdsx", id="a package is asked for"),
    pytest.param("hyper", TITLED, "hyper", id="the bare file is asked for"),
]


@pytest.mark.parametrize(("setting", "of", "kind"), FORMS)
def test_form_follows_the_setting(setting: str, of: Manifest, kind: str) -> None:
    description = describe_one(of, DatasourceSettings(), stem="bills")
    assert choose_form(setting, description, refused=None, attempt="a").kind == kind


def test_refused_attempt_is_not_repeated() -> None:
    description = described()
    assert choose_form("auto", description, refused="a", attempt="a").kind == "hyper"
    assert choose_form("auto", description, refused="a", attempt="b").kind == "tdsx"


def test_package_that_cannot_be_is_refused_where_it_is_asked_for() -> None:
    description = describe_one(ODD, DatasourceSettings(), stem="bills")
    with pytest.raises(ConfigError, match=r"cannot be packaged: .* 'i\\x01d'; rename them"):
        choose_form("tdsx", description, refused=None, attempt="a")


def test_form_differs_when_what_is_said_differs() -> None:
    forms = [
        choose_form(
            "tdsx", describe_one(of, DatasourceSettings(), stem="b"), refused=None, attempt=""
        )
        for of in (PLAIN, TITLED, PLAIN)
    ]
    assert forms[0].fingerprint == forms[2].fingerprint
    assert len({form.fingerprint for form in (*forms, BARE)}) == 3


def attempt(description: Description, server: str = "https://t", version: str = "3.29") -> str:
    return attempt_of(description, server_url=server, api_version=version)


def test_refusal_ends_with_version_server_or_settings_but_not_with_a_column() -> None:
    known = attempt(described())
    assert attempt(described()) == known
    assert attempt(described(), server="https://other") != known
    assert attempt(described(), version="3.30") != known
    foldered = describe_several(settings(BY_KEY, {"A": ["amount"]}), MANIFESTS, stem="AP")
    assert attempt(foldered) != known
    wider = replace(BILLS, columns=[*BILLS.columns, {**BILLS.columns[0], "name": "new"}])
    grown = describe_several(settings(BY_KEY), {**MANIFESTS, "bills": wider}, stem="AP")
    assert attempt(grown) == known


def test_each_table_is_changed_by_its_own_rows() -> None:
    steps = table_actions(
        [
            TableUpdate("bills", ("id",), deletes=True, upserts=True),
            TableUpdate("notes", (), deletes=False, upserts=True),
            TableUpdate("vendors", ("area", "number"), deletes=True, upserts=False),
        ]
    )
    told = [(s["action"], s["source-table"], s["target-schema"], s["target-table"]) for s in steps]
    assert told == [
        ("delete", "deletes 0", "Extract", "bills"),
        ("upsert", "upserts 0", "Extract", "bills"),
        ("insert", "upserts 1", "Extract", "notes"),
        ("delete", "deletes 2", "Extract", "vendors"),
    ]
    assert steps[3]["condition"]["args"][1] == {
        "op": "eq",
        "source-col": "number",
        "target-col": "number",
    }


def test_payloads_keep_their_rows_apart(
    engines: dict[int, Engine],
    tmp_path: Path,
    query: Callable[[Path, str], list[tuple[Any, ...]]],
) -> None:
    paths = []
    for number in range(2):
        path = tmp_path / f"payload{number}.hyper"
        with engines[3].open(path, create=True) as database:
            database.run('CREATE SCHEMA "Extract"')
            for table in ("upserts", "deletes")[: 2 - number]:
                database.run(f'CREATE TABLE "Extract"."{table}" (a NUMERIC(38,2), t TEXT NOT NULL)')
                database.run(f'INSERT INTO "Extract"."{table}" VALUES ({number}.05, \'{table}\')')  # noqa: S608
        paths.append(path)
    join_payloads(engines[3], paths, tmp_path / "joined.hyper")
    tables = query(
        tmp_path / "joined.hyper", "SELECT relname FROM pg_catalog.pg_class WHERE relkind = 'r'"
    )
    ours = {str(name) for (name,) in tables if str(name).startswith(("upserts", "deletes"))}
    assert ours == {"upserts 0", "deletes 0", "upserts 1"}
    found = query(tmp_path / "joined.hyper", 'SELECT CAST(a AS TEXT), t FROM "Extract"."upserts 1"')
    assert found == [("1.05", "upserts")]


def test_seal_of_several_changes_with_each_of_them() -> None:
    keys = (Reference("bills", "vendors", (("account", "number"),)),)
    one = combined_sha({"bills": "1", "vendors": "2"}, keys)
    assert combined_sha({"vendors": "2", "bills": "1"}, keys) == one
    others = [
        combined_sha({"bills": "1", "vendors": "3"}, keys),
        combined_sha({"bills": "2", "vendors": "1"}, keys),
        combined_sha({"bills": "1", "vendors": "2"}, ()),
        combined_sha({"bills": "1"}, ()),
    ]
    assert len({one, *others}) == 5


def test_manifest_of_several_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "AP.datasource.json"
    assert CombinedManifest.read(path) is None
    delivered = Delivery(*(["x"] * 11))
    kept = CombinedManifest("AP", "r", "now", {"bills": {"rows": 1}}, "sha", delivered, "attempt")
    kept.write(path)
    assert CombinedManifest.read(path) == kept
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(IntegrityError, match="remove it, and the next run publishes"):
        CombinedManifest.read(path)
