"""The tap against Contoso: what is offered, what is read, where a run resumes."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from tests.tap.conftest import Output, settings_for

from pipeline_core.errors import AuthError, ConfigError
from tap_d365fo.tap import TapD365FO

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from contoso_sandbox.contoso import Contoso

    RunTap = Callable[..., Output]

TRANSACTIONS = "VendTransBiEntities"


def bookmarks(output: Output, stream: str) -> dict[str, str]:
    """Bookmark of each company in the last STATE."""
    partitions = output.states[-1]["bookmarks"][stream]["partitions"]
    return {p["context"]["company"]: p["replication_key_value"] for p in partitions}


def test_every_row_of_every_company_comes_once(contoso: Contoso, run_tap: RunTap) -> None:
    output = run_tap(settings_for(contoso, entities=["VendorsV2", "MainAccounts"]))
    for name in ("VendorsV2", "MainAccounts"):
        entity_set = contoso.world.environment.entity_sets[name]
        stored = contoso.world.cursor().execute(f'SELECT count(*) FROM "{name}"').fetchone()  # noqa: S608
        keys = {tuple(r[k] for k in entity_set.key) for r in output.records(name)}
        assert stored is not None
        assert len(keys) == len(output.records(name)) == stored[0]
    assert {r["dataAreaId"] for r in output.records("VendorsV2")} == set(contoso.world.companies)


def test_only_the_companies_asked_for_are_read(contoso: Contoso, run_tap: RunTap) -> None:
    output = run_tap(settings_for(contoso, entities=["VendorGroups"], companies=["DEMF", "2"]))
    assert {r["dataAreaId"] for r in output.records("VendorGroups")} == {"demf", "2"}


def test_a_company_that_does_not_exist_stops_the_run_before_any_record(
    contoso: Contoso, run_tap: RunTap, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match="no company usfm"):
        run_tap(settings_for(contoso, entities=["VendorGroups"], companies=["usfm"]))
    assert capsys.readouterr().out == ""


def test_the_figures_are_those_of_the_records(contoso: Contoso, run_tap: RunTap) -> None:
    output = run_tap(settings_for(contoso, entities=[TRANSACTIONS, "MainAccounts"]))
    for position, message in enumerate(output.messages):
        if message["type"] != "STATE":
            continue
        audit = message["value"]["audit"]
        so_far = Output("")
        so_far.messages = output.messages[:position]
        for stream, figures in audit["streams"].items():
            records = so_far.records(stream)
            assert figures["records"] == len(records)
            assert figures["deletes"] == 0
            for column, total in figures["totals"].items():
                assert Decimal(total) == sum(Decimal(r[column]) for r in records if r[column])
        last = position == len(output.messages) - 1
        assert audit["complete"] is last
    totals = output.states[-1]["audit"]["streams"][TRANSACTIONS]["totals"]
    assert {"AmountCur", "AmountMST"} <= totals.keys()


def test_a_second_run_reads_only_what_changed(
    new_contoso: Callable[..., Contoso], run_tap: RunTap
) -> None:
    contoso = new_contoso()
    config = settings_for(contoso, entities=[TRANSACTIONS])
    first = run_tap(config)
    contoso.world.advance(2)
    second = run_tap(config, state=first.states[-1])
    known = {(r["dataAreaId"], r["SourceKey"]): r for r in first.records(TRANSACTIONS)}
    known.update({(r["dataAreaId"], r["SourceKey"]): r for r in second.records(TRANSACTIONS)})
    everything = run_tap(config).records(TRANSACTIONS)
    assert known == {(r["dataAreaId"], r["SourceKey"]): r for r in everything}
    assert 0 < len(second.records(TRANSACTIONS)) < len(everything) / 2


def test_an_interrupted_run_goes_on_from_its_last_page(contoso: Contoso, run_tap: RunTap) -> None:
    config = settings_for(contoso, entities=[TRANSACTIONS])
    whole = run_tap(config)
    halfway = len(whole.states) // 2
    position = [i for i, m in enumerate(whole.messages) if m["type"] == "STATE"][halfway]
    before, state = Output(""), whole.states[halfway]
    before.messages = whole.messages[:position]
    resumed = run_tap(config, state=state)
    keys = {(r["dataAreaId"], r["SourceKey"]) for r in whole.records(TRANSACTIONS)}
    both = [*before.records(TRANSACTIONS), *resumed.records(TRANSACTIONS)]
    assert {(r["dataAreaId"], r["SourceKey"]) for r in both} == keys
    assert len(resumed.records(TRANSACTIONS)) < len(keys)
    assert bookmarks(resumed, TRANSACTIONS) == bookmarks(whole, TRANSACTIONS)


def test_the_first_message_has_figures_so_that_a_tap_that_dies_early_is_no_foreign_one(
    contoso: Contoso, run_tap: RunTap
) -> None:
    output = run_tap(settings_for(contoso, entities=["MainAccounts"]))
    assert output.messages[0]["type"] == "STATE"
    assert output.states[0]["audit"]["complete"] is False
    assert output.states[0]["bookmarks"] == {}


def test_figures_of_an_earlier_run_do_not_leak_into_the_next(
    contoso: Contoso, run_tap: RunTap
) -> None:
    config = settings_for(contoso, entities=[TRANSACTIONS])
    first = run_tap(config)
    assert first.states[-1]["audit"]["complete"] is True
    second = run_tap(config, state=first.states[-1])
    echoed = second.states[0]
    assert second.messages[0]["type"] == "STATE"
    assert echoed["audit"]["complete"] is False
    assert echoed["audit"]["run_id"] != first.states[-1]["audit"]["run_id"]
    assert echoed["audit"]["streams"] == {}


def test_a_full_read_ends_with_its_version(contoso: Contoso, run_tap: RunTap) -> None:
    output = run_tap(settings_for(contoso, entities=["MainAccounts"]))
    kinds = [m["type"] for m in output.messages]
    assert kinds.index("ACTIVATE_VERSION") > len(kinds) - 1 - kinds[::-1].index("RECORD")
    (activate,) = output.of("ACTIVATE_VERSION")
    assert {m["version"] for m in output.of("RECORD")} == {activate["version"]}


def test_another_filter_starts_over(contoso: Contoso, run_tap: RunTap) -> None:
    """A bookmark speaks of the rows that were asked for."""
    narrow = {TRANSACTIONS: {"filter": "AmountCur gt 1000"}}
    config = settings_for(contoso, entities=[TRANSACTIONS])
    first = run_tap({**config, "entity_settings": narrow})
    second = run_tap(config, state=first.states[-1])
    everything = run_tap(config)
    assert len(first.records(TRANSACTIONS)) < len(everything.records(TRANSACTIONS))
    assert len(second.records(TRANSACTIONS)) == len(everything.records(TRANSACTIONS))
    assert len(second.of("ACTIVATE_VERSION")) == 1


def test_the_first_read_of_a_cursor_ends_with_a_version(contoso: Contoso, run_tap: RunTap) -> None:
    """So that a full refresh removes what has gone; later runs do not see deletions."""
    config = settings_for(contoso, entities=[TRANSACTIONS])
    first = run_tap(config)
    assert len(first.of("ACTIVATE_VERSION")) == 1
    assert run_tap(config, state=first.states[-1]).of("ACTIVATE_VERSION") == []


def test_an_old_catalog_brings_no_column_without_a_schema(
    contoso: Contoso, run_tap: RunTap
) -> None:
    config = settings_for(contoso, entities=["PurchaseOrderLinesV2"], companies=["2"])
    catalog = TapD365FO(config=config).catalog_dict
    del catalog["streams"][0]["schema"]["properties"]["LineAmount"]
    output = run_tap(config, catalog=catalog)
    (schema,) = output.of("SCHEMA")
    for record in output.records("PurchaseOrderLinesV2"):
        assert set(record) == set(schema["schema"]["properties"])


def test_a_selected_stream_that_is_gone_is_an_error(contoso: Contoso, run_tap: RunTap) -> None:
    config = settings_for(contoso, entities=["MainAccounts"])
    catalog = TapD365FO(config=config).catalog_dict
    catalog["streams"][0]["tap_stream_id"] = "MainAccountsV1"
    catalog["streams"].append(TapD365FO(config=config).catalog_dict["streams"][0])
    with pytest.raises(ConfigError, match=r"selects MainAccountsV1.*did you mean MainAccounts"):
        run_tap(config, catalog=catalog)


def test_a_named_company_that_cannot_be_seen_stops_the_run_before_any_record(
    new_contoso: Callable[..., Contoso], run_tap: RunTap, capsys: pytest.CaptureFixture[str]
) -> None:
    contoso = new_contoso()
    contoso.world.cursor().execute('DELETE FROM "VendorGroups" WHERE "dataAreaId" = \'demf\'')
    config = settings_for(contoso, entities=["VendorGroups"], companies=["usmf", "demf"])
    with pytest.raises(ConfigError, match="sees no row of company demf"):
        run_tap(config)
    assert not Output(capsys.readouterr().out).messages
    # A state in which the company has shown nothing yet does not make the next run believe it.
    read = {"context": {"company": "usmf"}, "rows": 4}
    doubtful = {"context": {"company": "demf"}, "rows": 0}
    with pytest.raises(ConfigError, match="sees no row of company demf"):
        run_tap(config, state={"bookmarks": {"VendorGroups": {"partitions": [read, doubtful]}}})


def test_a_company_that_is_locked_away_does_not_vanish(
    new_contoso: Callable[..., Contoso], run_tap: RunTap
) -> None:
    contoso = new_contoso()
    config = settings_for(contoso, entities=["VendorGroups", "VendorsV2"])
    first = run_tap(config)
    for name in ("VendorGroups", "VendorsV2"):
        contoso.world.cursor().execute(f'DELETE FROM "{name}" WHERE lower("dataAreaId") = \'demf\'')  # noqa: S608
    with pytest.raises(ConfigError, match="sees nothing of that company"):
        run_tap(config, state=first.states[-1])


@pytest.mark.parametrize(
    "then", [{}, {"filter": "Voucher ne ''"}], ids=["as before", "everything is read again"]
)
@pytest.mark.parametrize(
    "by",
    [
        pytest.param({}, id="cursor"),
        pytest.param({"replication_key": "SourceKey"}, id="high_water"),
        pytest.param({"replication": "etag_scan"}, id="etag_scan"),
        pytest.param({"replication": "full"}, id="full"),
    ],
)
def test_no_strategy_takes_a_company_that_is_locked_away_for_an_empty_one(  # noqa: PLR0917
    new_contoso: Callable[..., Contoso],
    run_tap: RunTap,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    by: dict[str, str],
    then: dict[str, str],
) -> None:
    contoso = new_contoso()
    stream = "VendTransBiEntities"
    config = settings_for(
        contoso, entities=[stream], companies=["usmf", "demf"], snapshot_path=str(tmp_path)
    )
    first = run_tap({**config, "entity_settings": {stream: by}})
    contoso.world.cursor().execute(f'DELETE FROM "{stream}" WHERE lower("dataAreaId") = \'demf\'')  # noqa: S608
    capsys.readouterr()
    with pytest.raises(ConfigError, match="sees nothing of that company"):
        run_tap({**config, "entity_settings": {stream: by | then}}, state=first.states[-1])
    assert not Output(capsys.readouterr().out).of("ACTIVATE_VERSION")


def test_a_quiet_company_costs_one_look(contoso: Contoso, run_tap: RunTap) -> None:
    """Not one for each of its entities, and none where a run brings rows."""
    names = ["VendTransBiEntities", "VendInvoiceJourBiEntities"]
    by = {"replication_key": "SourceKey", "lookback": 0}
    config = settings_for(contoso, entities=names, entity_settings=dict.fromkeys(names, by))
    first = run_tap(config)
    contoso.d365.requests.clear()
    second = run_tap(config, state=first.states[-1])
    assert second.counts == {}
    looks = [r for r in contoso.d365.requests if "$top=1" in r.query and "$count" not in r.query]
    assert len(looks) == len(contoso.world.companies)


def test_a_company_whose_last_row_went_is_empty(
    new_contoso: Callable[..., Contoso], run_tap: RunTap
) -> None:
    contoso = new_contoso()
    config = settings_for(contoso, entities=["VendorGroups", "VendorsV2"])
    first = run_tap(config)
    contoso.world.cursor().execute('DELETE FROM "VendorGroups" WHERE "dataAreaId" = \'demf\'')
    second = run_tap(config, state=first.states[-1])
    assert "demf" not in {r["dataAreaId"] for r in second.records("VendorGroups")}
    assert len(second.of("ACTIVATE_VERSION", "VendorGroups")) == 1


def test_a_filter_that_leaves_a_company_empty_is_no_locked_door(
    contoso: Contoso, run_tap: RunTap
) -> None:
    config = settings_for(contoso, entities=["VendorGroups"])
    first = run_tap(config)
    narrow = {"VendorGroups": {"filter": "dataAreaId ne 'demf'"}}
    second = run_tap({**config, "entity_settings": narrow}, state=first.states[-1])
    companies = {r["dataAreaId"] for r in second.records("VendorGroups")}
    assert companies == set(contoso.world.companies) - {"demf"}


@pytest.mark.parametrize("stream", ["VendorGroups", "VendTransBiEntities"])
def test_a_company_that_was_founded_since_appears_by_itself(
    new_contoso: Callable[..., Contoso], run_tap: RunTap, tmp_path: Path, stream: str
) -> None:
    """With ``companies: [all]``, of changes as of everything; the others are not read again."""
    contoso = new_contoso()
    config = settings_for(contoso, entities=[stream], snapshot_path=str(tmp_path))
    first = run_tap(config)
    cursor = contoso.world.cursor()
    for table, column in (("LegalEntities", "LegalEntityId"), (stream, "dataAreaId")):
        names = [c[0] for c in cursor.execute(f'SELECT * FROM "{table}"').description or ()]  # noqa: S608
        values = ", ".join(
            {column: "'newc'", "__rec_id": "__rec_id + 1000000"}.get(n, f'"{n}"') for n in names
        )
        cursor.execute(
            f'INSERT INTO "{table}" SELECT {values} FROM "{table}" '  # noqa: S608
            f"WHERE lower(\"{column}\") = 'demf'"
        )
    second = run_tap(config, state=first.states[-1])
    demf = [r for r in first.records(stream) if r["dataAreaId"] == "demf"]
    newc = [r for r in second.records(stream) if r["dataAreaId"] == "newc"]
    assert len(newc) == len(demf) > 0
    assert second.of("ACTIVATE_VERSION") == []
    contexts = [p["context"] for p in second.states[-1]["bookmarks"][stream]["partitions"]]
    assert {"company": "newc"} in contexts
    third = run_tap(config, state=second.states[-1])
    assert len([r for r in third.records(stream) if r["dataAreaId"] == "newc"]) < len(newc)


def test_a_company_that_is_left_out_is_told(
    contoso: Contoso, run_tap: RunTap, caplog: pytest.LogCaptureFixture
) -> None:
    first = run_tap(settings_for(contoso, entities=["VendorGroups"]))
    run_tap(
        settings_for(contoso, entities=["VendorGroups"], companies=["usmf", "demf", "2"]),
        state=first.states[-1],
    )
    assert "company gbsi was read before" in caplog.text


@pytest.mark.parametrize("snapshots", [False, True], ids=["full", "etag_scan"])
def test_rows_of_companies_that_are_left_out_stay(
    contoso: Contoso,
    run_tap: RunTap,
    tmp_path: Path,
    snapshots: bool,  # noqa: FBT001 - a case
) -> None:
    """Of one company after the other everything is read; that is not everything there is."""
    config = settings_for(contoso, entities=["VendorGroups"])
    if snapshots:
        config["snapshot_path"] = str(tmp_path)
    there: dict[tuple[str, str], Any] = {}
    state = None
    for companies in (["usmf"], ["demf"], ["all"], ["all"]):
        output = run_tap({**config, "companies": companies}, state=state)
        state = output.states[-1]
        came = {(r["dataAreaId"], r["VendorGroupId"]): r for r in output.records("VendorGroups")}
        there |= came
        if output.of("ACTIVATE_VERSION", "VendorGroups"):
            there = came  # as a target takes it
        if companies != ["all"]:
            assert {company for company, _ in there} >= set(companies)
    assert {company for company, _ in there} == set(contoso.world.companies)
    rows = contoso.world.cursor().execute('SELECT count(*) FROM "VendorGroups"').fetchone()
    assert (len(there),) == rows


def test_shared_entities_need_no_companies(contoso: Contoso, run_tap: RunTap) -> None:
    contoso.d365.requests.clear()
    assert run_tap(settings_for(contoso, entities=["MainAccounts"])).records("MainAccounts")
    assert all(r.entity_set != "LegalEntities" for r in contoso.d365.requests)


def test_a_filter_is_pushed_down(contoso: Contoso, run_tap: RunTap) -> None:
    settings = {"MainAccounts": {"filter": "MainAccountId eq '1*' or MainAccountId eq '2*'"}}
    output = run_tap(settings_for(contoso, entities=["MainAccounts"], entity_settings=settings))
    ids = {r["MainAccountId"] for r in output.records("MainAccounts")}
    assert ids
    assert {i[0] for i in ids} == {"1", "2"}


def test_deselected_properties_do_not_travel(contoso: Contoso, run_tap: RunTap) -> None:
    config = settings_for(contoso, entities=["VendorGroups"])
    catalog = TapD365FO(config=config).catalog_dict
    for entry in catalog["streams"][0]["metadata"]:
        if entry["breadcrumb"] == ["properties", "Description"]:
            entry["metadata"]["selected"] = False
    contoso.d365.requests.clear()
    output = run_tap(config, catalog=catalog)
    assert "Description" not in output.records("VendorGroups")[0]
    asked = [r.query for r in contoso.d365.requests if r.entity_set == "VendorGroups"]
    assert asked
    assert all("$select=" in query and "Description" not in query for query in asked)


def test_a_token_that_ends_during_the_run_is_renewed(new_contoso: Callable[..., Contoso]) -> None:
    contoso = new_contoso()
    config = settings_for(contoso, entities=["VendorsV2", TRANSACTIONS])
    tap = TapD365FO(config=config)
    assert tap.streams
    contoso.tenant.roll_key()
    tap.sync_all()
    statuses = [request.status for request in contoso.d365.requests]
    assert statuses.count(401) == 1


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        pytest.param(
            {"client_secret": "wrong-secret"}, AuthError, "AADSTS7000215", id="wrong secret"
        ),
        pytest.param(
            {"client_id": "00000000-0000-0000-0000-000000000001"},
            AuthError,
            "AADSTS700016",
            id="unknown application",
        ),
        pytest.param({"entities": ["vendorsv2"]}, ConfigError, "VendorsV2", id="wrong case"),
        pytest.param(
            {"entity_settings": {"VendorV2": {}}}, ConfigError, "VendorsV2", id="unknown settings"
        ),
        pytest.param(
            {
                "entities": ["MainAccounts"],
                "entity_settings": {"MainAccounts": {"filter": "Nope eq 1"}},
            },
            ConfigError,
            "filter: there is no property 'Nope'; did you mean Name",
            id="a filter on no property",
        ),
    ],
)
def test_mistakes_end_with_a_name_before_any_record(
    contoso: Contoso,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    error: type[Exception],
    says: str,
) -> None:
    with pytest.raises(error, match=says) as failed:
        TapD365FO(config=settings_for(contoso, **changes)).sync_all()
    assert "wrong-secret" not in str(failed.value)
    assert '"RECORD"' not in capsys.readouterr().out


def test_a_certificate_serves_as_well_as_a_secret(contoso: Contoso, run_tap: RunTap) -> None:
    config = settings_for(contoso, entities=["VendorGroups"])
    del config["client_secret"]
    config["client_certificate"] = str(contoso.credentials.client_certificate)
    assert run_tap(config).records("VendorGroups")


def test_the_wide_vendor_table_comes_with_all_its_columns(
    contoso: Contoso, run_tap: RunTap
) -> None:
    output = run_tap(settings_for(contoso, entities=["VendorsV2"], companies=["usmf"]))
    (schema,) = output.of("SCHEMA", "VendorsV2")
    assert schema["key_properties"] == ["dataAreaId", "VendorAccountNumber"]
    assert len(schema["schema"]["properties"]) == 290
    assert all(len(record) == 290 for record in output.records("VendorsV2"))
