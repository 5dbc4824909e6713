"""Data sources of several streams, and packages, on a Tableau Server that really stores them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from tests.target.faults import Fault, xml_error
from tests.target.messages import record, schema, state

from contoso_sandbox.tableau.publishing import Refusal
from pipeline_core.errors import ConfigError, DataError, TransientError
from pipeline_core.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.target.harness import Extracts, Tableau

    Query = Callable[[Path, str], list[tuple[Any, ...]]]

TABLES = ("lines", "bills", "vendors")

LINES = schema(
    "lines",
    {
        "bill": {"type": "integer"},
        "line": {"type": "integer"},
        "amount": {"type": "number", "title": "Line amount"},
    },
    keys=["bill", "line"],
)
BILLS = schema(
    "bills",
    {
        "id": {"type": "integer", "title": "Bill"},
        "area": {"type": "string", "title": "Company"},
        "account": {"type": ["null", "string"], "title": "Vendor"},
        "due": {"type": ["null", "string"], "format": "date"},
        "total": {"type": ["null", "number"], "description": "What the vendor asks for"},
    },
)
VENDORS = schema(
    "vendors",
    {
        "area": {"type": "string", "title": "Company"},
        "number": {"type": "string"},
        "name": {"type": ["null", "string"]},
    },
    keys=["area", "number"],
)


def line(bill: int, number: int, amount: str = "-0.05") -> dict[str, Any]:
    return record("lines", {"bill": bill, "line": number, "amount": Decimal(amount)})


def bill(number: int, total: str = "7.25", account: str = "V1") -> dict[str, Any]:
    values = {"id": number, "area": "dat", "account": account, "due": "2026-03-31"}
    return record("bills", {**values, "total": Decimal(total)})


def vendor(number: str, name: str = "Fabrikam", area: str = "dat") -> dict[str, Any]:
    return record("vendors", {"area": area, "number": number, "name": name})


def gone(stream: str, **key: object) -> dict[str, Any]:
    return record(stream, {**key, "_sdc_deleted_at": "2026-01-01T00:00:00Z"})


SCHEMAS = (LINES, BILLS, VENDORS)
FIRST = [
    *SCHEMAS,
    *(line(i % 10, i) for i in range(40)),
    *(bill(i, account=f"V{i % 4}") for i in range(10)),
    *(vendor(f"V{i}", area=area) for i in range(4) for area in ("dat", "usmf")),
    state({"run": 1}),
]
PAYABLES = {
    "description": "Bills with lines and vendors",
    "tables": {"lines": None, "bills": {"name": "Bills"}, "vendors": {"name": "Vendors"}},
    "relationships": [
        {"from": "lines", "to": "bills", "on": {"bill": "id"}},
        {"from": "bills", "to": "vendors", "on": {"account": "number", "area": "area"}},
    ],
    "folders": {"Amounts": ["amount", "total"]},
}


@pytest.fixture
def payables(extracts: Extracts, tableau: Tableau) -> Iterator[Extracts]:
    extracts.config = {**tableau.config, "datasources": {"Payables": PAYABLES}}
    yield extracts
    tableau.server.refuse_packages(Refusal.NEVER)


@pytest.fixture
def published(payables: Extracts, tableau: Tableau) -> Extracts:
    """A data source of three streams that Tableau has."""
    assert payables.run(FIRST) == ['{"run":1}']
    tableau.server.requests.clear()
    return payables


@pytest.fixture
def same(tableau: Tableau, query: Query) -> Callable[[Extracts], bool]:
    """Whether every published table has the rows of its extract, read through psycopg."""

    def compare(extracts: Extracts) -> bool:
        file = tableau.server.hyper_file("Payables")
        for table in TABLES:
            there = query(file, f'SELECT * FROM "Extract"."{table}"')  # noqa: S608
            here = query(extracts.path(table), 'SELECT * FROM "Extract"."Extract"')
            if sorted(there, key=str) != sorted(here, key=str):
                return False
        return True

    return compare


def packages(tableau: Tableau) -> list[str]:
    """Kinds of files that were sent to be published."""
    publishes = [r for r in tableau.server.requests if r.path.endswith("/datasources")]
    return [parse_qs(r.query)["datasourceType"][0] for r in publishes if r.method == "POST"]


def test_three_streams_become_one_data_source(
    published: Extracts, tableau: Tableau, same: Callable[[Extracts], bool]
) -> None:
    (datasource,) = tableau.server.datasources()
    assert (datasource.name, datasource.type) == ("Payables", "tdsx")
    assert datasource.description.startswith("Bills with lines and vendors\n\nAs of 20")
    assert datasource.live_to_hyper
    assert same(published)
    assert published.left_over() == []
    content = tableau.server.package("Payables")
    assert len(content.relationships) == 2
    assert sorted(content.captions.values()) == ["Bills", "Vendors", "lines"]
    assert content.folders == {"Amounts": ("amount", "total")}
    captions = {field.local: field.caption for field in content.fields}
    assert captions["area (vendors)"] == "Company (Vendors)"
    assert [field.description for field in content.fields if field.local == "total"] == [
        "What the vendor asks for"
    ]


def test_nothing_changed_builds_and_sends_nothing(
    published: Extracts, tableau: Tableau, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("target_tableau_hyper.delivery.gather.combine")
    assert published.run(FIRST) == ['{"run":1}']
    assert tableau.calls("POST", "/fileUploads") == 0


def test_changed_rows_of_all_tables_travel_in_one_update(
    published: Extracts, tableau: Tableau, same: Callable[[Extracts], bool]
) -> None:
    changes = [
        line(3, 3, "12345678901234567890.125"),
        gone("lines", bill=4, line=4),
        bill(50, "-0.05", "V9"),
        vendor("V9", 'N"in]e'),
        gone("vendors", area="usmf", number="V3"),
    ]
    published.run([*SCHEMAS, bill(51), state({"run": 2})])
    assert tableau.calls("PATCH", "/data") == 1
    assert same(published)
    lines = [*SCHEMAS, *changes, state({"run": 3})]
    assert published.run(lines) == ['{"run":3}']
    assert tableau.calls("PATCH", "/data") == 1, "new digits are another type"
    tableau.server.requests.clear()
    published.run([*SCHEMAS, bill(3, "1"), vendor("V8"), gone("lines", bill=5, line=5)])
    assert tableau.calls("PATCH", "/data") == 1
    assert packages(tableau) == []
    assert same(published)


def test_one_stream_alone_changes_its_table(
    published: Extracts, tableau: Tableau, same: Callable[[Extracts], bool]
) -> None:
    published.run([VENDORS, vendor("V1", "Renamed"), state({"run": 2})])
    assert tableau.calls("PATCH", "/data") == 1
    assert same(published)


def test_new_column_publishes_anew_and_keeps_the_data_source(
    published: Extracts, tableau: Tableau, same: Callable[[Extracts], bool]
) -> None:
    (before,) = tableau.server.datasources()
    city = {**VENDORS["schema"]["properties"], "city": {"type": "string"}}
    published.run(
        [schema("vendors", city, keys=["area", "number"]),
         record("vendors", {"area": "dat", "number": "V1", "name": "F", "city": "Malmö"})]
    )  # fmt: skip
    (after,) = tableau.server.datasources()
    assert after.id == before.id
    assert packages(tableau) == ["tdsx"]
    assert same(published)
    assert "city" in {record.column for record in tableau.server.package("Payables").records}


def test_failed_delivery_is_made_good_whole(
    published: Extracts, tableau: Tableau, same: Callable[[Extracts], bool]
) -> None:
    """An update is right only on top of exactly what its rows were compared with."""
    tableau.faulty.faults.append(Fault("PUT", "/fileUploads/", times=99))
    with pytest.raises(TransientError):
        published.run([BILLS, bill(1, "9.99"), state({"run": 2})])
    tableau.faulty.faults.clear()
    tableau.server.requests.clear()
    assert published.run([VENDORS, vendor("V1", "X"), state({"run": 3})]) == ['{"run":3}']
    assert tableau.calls("PATCH", "/data") == 0
    assert packages(tableau) == ["tdsx"]
    assert same(published)


def test_failed_update_job_falls_back_to_publishing(
    published: Extracts,
    tableau: Tableau,
    same: Callable[[Extracts], bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "target_tableau_hyper.delivery.table_updates.numbered", lambda name, _: f"no {name}"
    )
    published.run([VENDORS, vendor("V1", "X")])
    assert packages(tableau) == ["tdsx"]
    assert same(published)


def test_it_waits_for_streams_that_were_never_loaded(
    payables: Extracts, tableau: Tableau, caplog: pytest.LogCaptureFixture
) -> None:
    assert payables.run([VENDORS, vendor("V1"), state({"run": 1})]) == ['{"run":1}']
    assert tableau.server.datasources() == []
    assert "there is no extract of 'lines' and 'bills' yet" in caplog.text


def test_streams_come_one_by_one(
    payables: Extracts, tableau: Tableau, same: Callable[[Extracts], bool]
) -> None:
    for stream in TABLES:
        payables.run([m for m in FIRST[:-1] if m["stream"] == stream])
    assert packages(tableau) == ["tdsx"]
    assert same(payables)


def test_a_stream_with_an_entry_is_published_alone_as_well(
    payables: Extracts, tableau: Tableau
) -> None:
    entries = {"Payables": PAYABLES, "vendors": {"name": "Vendor list"}}
    payables.run(FIRST, datasources=entries)
    assert sorted(d.name for d in tableau.server.datasources()) == ["Payables", "Vendor list"]
    assert payables.manifest("vendors")["delivered"]
    assert payables.manifest("bills")["delivered"] is None


@pytest.mark.parametrize("setting", ["auto", "tdsx"])
@pytest.mark.parametrize("when", [Refusal.AT_ONCE, Refusal.IN_JOB])
def test_refused_package_is_followed_by_the_bare_file_and_not_sent_again(
    *,
    payables: Extracts,
    tableau: Tableau,
    same: Callable[[Extracts], bool],
    caplog: pytest.LogCaptureFixture,
    setting: str,
    when: Refusal,
) -> None:
    payables.config["package"] = setting
    tableau.server.refuse_packages(when)
    assert payables.run(FIRST) == ['{"run":1}']
    assert packages(tableau) == ["tdsx", "hyper"]
    assert same(payables)
    warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "'Payables'" in warnings[0]
    assert "package" in warnings[0]
    caplog.clear()
    tableau.server.requests.clear()
    payables.run(FIRST)
    assert packages(tableau) == []
    payables.run([VENDORS, vendor("V1", "Renamed")])
    assert tableau.calls("PATCH", "/data") == 1
    wider = {**VENDORS["schema"]["properties"], "city": {"type": "string"}}
    payables.run([schema("vendors", wider, keys=["area", "number"])])
    assert packages(tableau) == ["hyper"]
    assert same(payables)
    assert not [r for r in caplog.records if r.levelname == "WARNING"]


def test_other_settings_deserve_another_try(payables: Extracts, tableau: Tableau) -> None:
    tableau.server.refuse_packages(Refusal.IN_JOB)
    payables.run(FIRST)
    tableau.server.refuse_packages(Refusal.NEVER)
    tableau.server.requests.clear()
    payables.run(FIRST)
    assert packages(tableau) == []
    entry = {**PAYABLES, "folders": {"Money": ["amount", "total"]}}
    payables.run(FIRST, datasources={"Payables": entry})
    assert packages(tableau) == ["tdsx"]
    assert tableau.server.package("Payables").folders == {"Money": ("amount", "total")}


def test_bare_file_that_fails_too_is_a_failed_delivery(
    payables: Extracts, tableau: Tableau
) -> None:
    """Then it was not the package."""
    refused = Fault("POST", "/datasources", times=99, status=400, body=xml_error("400011"))
    tableau.faulty.faults.append(refused)
    with pytest.raises(ConfigError, match="400011"):
        payables.run(FIRST)
    tableau.faulty.faults.clear()
    tableau.server.requests.clear()
    payables.run(FIRST)
    assert packages(tableau) == ["tdsx"]


def test_server_that_is_away_is_no_refusal(payables: Extracts, tableau: Tableau) -> None:
    tableau.faulty.faults.append(Fault("POST", "/datasources", times=99))
    with pytest.raises(TransientError):
        payables.run(FIRST)
    assert set(packages(tableau)) <= {"tdsx"}


def test_bare_files_can_be_asked_for(
    payables: Extracts, tableau: Tableau, same: Callable[[Extracts], bool]
) -> None:
    payables.run(FIRST, package="hyper")
    assert packages(tableau) == ["hyper"]
    assert same(payables)


def test_other_titles_publish_anew_though_no_row_changed(
    published: Extracts, tableau: Tableau
) -> None:
    named = {**VENDORS["schema"]["properties"], "name": {"type": ["null", "string"], "title": "N"}}
    published.run([schema("vendors", named, keys=["area", "number"])])
    assert packages(tableau) == ["tdsx"]
    captions = {f.local: f.caption for f in tableau.server.package("Payables").fields}
    assert captions["name"] == "N"


def test_one_stream_is_packaged_too(payables: Extracts, tableau: Tableau, query: Query) -> None:
    entry = {"name": "Vendors", "folders": {"Who": ["number", "name", "nobody"]}}
    payables.run(FIRST, datasources={"vendors": entry})
    kinds = {source.name: source.type for source in tableau.server.datasources()}
    assert kinds == {"Vendors": "tdsx", "bills": "tdsx", "lines": "tdsx"}
    assert tableau.server.package("Vendors").folders == {"Who": ("number", "name")}
    tableau.server.requests.clear()
    payables.run([VENDORS, vendor("V1", "X")], datasources={"vendors": entry})
    assert tableau.calls("PATCH", "/data") == 1
    there = query(tableau.server.hyper_file("Vendors"), 'SELECT * FROM "Extract"."Extract"')
    here = query(payables.path("vendors"), 'SELECT * FROM "Extract"."Extract"')
    assert sorted(there, key=str) == sorted(here, key=str)


def test_rows_that_share_a_key_are_not_published(payables: Extracts, tableau: Tableau) -> None:
    twice = [*FIRST[:-1], vendor("V1", "Again"), state({"run": 1})]
    with pytest.raises(DataError, match="several rows share"):
        payables.run(twice, load_method="append-only")
    assert payables.said == ""
    assert tableau.server.datasources() == []


def test_relationship_by_an_unknown_column_is_told(payables: Extracts, tableau: Tableau) -> None:
    relationships = [{"from": "bills", "to": "vendors", "on": {"acount": "number"}}]
    entry = {"tables": ["bills", "vendors"], "relationships": relationships}
    with pytest.raises(ConfigError, match="did you mean 'account'"):
        payables.run(FIRST, datasources={"AP": entry})
    assert [source.name for source in tableau.server.datasources()] == ["lines"]


def test_two_data_sources_of_one_name_are_refused(payables: Extracts) -> None:
    entries = {"Payables": PAYABLES, "vendors": {"name": "Payables"}}
    with pytest.raises(ConfigError, match=r"datasources\.Payables and 'vendors' would both"):
        payables.run(FIRST, datasources=entries)


def test_delivery_of_several_streams_is_in_the_ledger(payables: Extracts, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    payables.run(FIRST, ledger_path=str(ledger))
    with Ledger(ledger, run_id="x", actor="x") as book:
        events = [(e.event, e.body) for e in book.events() if e.event.startswith("delivery")]
    assert [name for name, _ in events] == ["delivery.intent", "delivery.verified"]
    assert events[0][1]["datasource"] == "Payables"
