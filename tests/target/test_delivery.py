"""Publishing to a Tableau Server that really stores and changes .hyper files."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import tableauserverclient as TSC  # noqa: N812 - its own documentation's name
from tests.target.faults import Fault, xml_error
from tests.target.harness import TOKEN_VALUE, Extracts, Tableau
from tests.target.messages import record, schema, state

from pipeline_core.errors import AuthError, ConfigError, TransientError
from pipeline_core.ledger import Ledger
from target_tableau_hyper.delivery.update import start_update
from target_tableau_hyper.extract.engine import TABLE
from target_tableau_hyper.extract.figures import Figures, measure, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.target.harness import Rows

    from target_tableau_hyper.extract.engine import Engine
    from target_tableau_hyper.extract.layout import TableColumn


SCHEMA = schema(
    "gl",
    {
        "company": {"type": "string"},
        "id": {"type": "integer"},
        "amount": {"type": ["null", "number"]},
        "text": {"type": ["null", "string"]},
    },
    keys=["company", "id"],
)


def entry(number: int, amount: str = "-0.05", company: str = "dat") -> dict[str, Any]:
    values = {"company": company, "id": number, "amount": Decimal(amount), "text": f"t{number}"}
    return record("gl", values)


def gone(number: int) -> dict[str, Any]:
    values = {"company": "dat", "id": number, "_sdc_deleted_at": "2024-01-01T00:00:00Z"}
    return record("gl", values)


FIRST = [SCHEMA, *(entry(i) for i in range(20)), state({"run": 1})]
SECOND = [
    SCHEMA,
    entry(1, "7.5"),
    entry(50, "999999999999.99"),
    gone(2),
    entry(3, "1", company="DAT"),
    state({"run": 2}),
]


@pytest.fixture
def published(extracts: Extracts, tableau: Tableau) -> Extracts:
    """An extract that Tableau has."""
    extracts.config = tableau.config
    assert extracts.run(FIRST) == ['{"run":1}']
    tableau.server.requests.clear()
    return extracts


def same(extracts: Extracts, tableau: Tableau, rows: Rows) -> bool:
    """Whether the published rows are those of the extract."""
    there = rows(tableau.server.hyper_file("gl"))
    here = rows(extracts.path("gl"))
    return sorted(there, key=str) == sorted(here, key=str)


def test_new_extract_is_published_whole(extracts: Extracts, tableau: Tableau, rows: Rows) -> None:
    extracts.config = {**tableau.config, "ledger_path": str(extracts.directory.parent / "l.db")}
    assert extracts.run(FIRST) == ['{"run":1}']
    assert same(extracts, tableau, rows)
    (datasource,) = tableau.server.datasources()
    delivered = extracts.manifest("gl")["delivered"]
    assert delivered["how"] == "overwrite"
    assert delivered["sha256"] == extracts.manifest("gl")["sha256"]
    assert delivered["datasource_id"] == datasource.id
    with Ledger(extracts.directory.parent / "l.db", run_id="x", actor="x") as ledger:
        assert ledger.verify() > 0
        events = [event.event for event in ledger.events()]
    assert events == [
        "run.started",
        "input.received",
        "extract.sealed",
        "delivery.intent",
        "delivery.verified",
        "state.written",
        "run.finished",
    ]


def test_unchanged_extract_sends_nothing(published: Extracts, tableau: Tableau) -> None:
    assert published.run(FIRST) == ['{"run":1}']
    assert tableau.calls("POST", "/fileUploads") == 0
    assert tableau.calls("POST", "/signout") == 1


def test_changed_rows_travel_alone(published: Extracts, tableau: Tableau, rows: Rows) -> None:
    assert published.run(SECOND) == ['{"run":2}']
    assert tableau.calls("PATCH", "/data") == 1
    assert tableau.calls("POST", "/datasources") == 0
    assert same(published, tableau, rows)
    assert len(rows(published.path("gl"))) == 21
    assert published.manifest("gl")["delivered"]["how"] == "update"


def test_updates_follow_each_other(published: Extracts, tableau: Tableau, rows: Rows) -> None:
    for number in range(3):
        published.run([SCHEMA, entry(number, f"{number}.25"), entry(100 + number)])
        assert same(published, tableau, rows)
    assert tableau.calls("PATCH", "/data") == 3


def test_rows_without_a_key_are_inserted(extracts: Extracts, tableau: Tableau, rows: Rows) -> None:
    extracts.config = tableau.config
    keyless = {**SCHEMA, "key_properties": []}
    extracts.run([keyless, *(entry(i) for i in range(9))])
    extracts.run([keyless, entry(1), entry(1)])
    assert tableau.calls("PATCH", "/data") == 1
    assert same(extracts, tableau, rows)
    assert len(rows(extracts.path("gl"))) == 11


def test_appended_rows_are_not_upserted(extracts: Extracts, tableau: Tableau, rows: Rows) -> None:
    extracts.config = {**tableau.config, "load_method": "append-only"}
    extracts.run(FIRST)
    extracts.run([SCHEMA, entry(1, "5.00")])
    assert tableau.calls("PATCH", "/data") == 1
    assert same(extracts, tableau, rows)


def test_a_renamed_data_source_is_published_though_no_row_changed(
    published: Extracts, tableau: Tableau, rows: Rows
) -> None:
    published.run(FIRST, datasources={"gl": {"name": "General Ledger"}})
    assert {source.name for source in tableau.server.datasources()} == {"gl", "General Ledger"}
    assert rows(tableau.server.hyper_file("General Ledger")) == rows(published.path("gl"))


@pytest.mark.parametrize(
    ("messages", "config"),
    [
        pytest.param([SCHEMA, *(entry(i, "1") for i in range(11))], {}, id="most rows changed"),
        pytest.param([SCHEMA, entry(1, "0.123456")], {}, id="column widened"),
        pytest.param([SCHEMA, entry(1, "5")], {"publish": "overwrite"}, id="as set"),
    ],
)
def test_larger_changes_are_published_whole(
    published: Extracts,
    tableau: Tableau,
    rows: Rows,
    messages: list[dict[str, Any]],
    config: dict[str, Any],
) -> None:
    luid = tableau.server.datasources()[0].id
    published.run(messages, **config)
    assert tableau.calls("PATCH", "/data") == 0
    assert same(published, tableau, rows)
    assert tableau.server.datasources()[0].id == luid, "an overwrite keeps the data source"


def test_data_source_that_somebody_else_replaced_is_published_whole(
    published: Extracts, tableau: Tableau, rows: Rows
) -> None:
    manifest = published.directory / "gl.manifest.json"
    content = json.loads(manifest.read_text())
    content["delivered"]["updated_at"] = "2020-01-01T00:00:00+00:00"
    manifest.write_text(json.dumps(content))
    published.run(SECOND)
    assert tableau.calls("PATCH", "/data") == 0
    assert same(published, tableau, rows)


def test_nothing_changed_here_but_somebody_published_there(
    published: Extracts, tableau: Tableau, rows: Rows, tmp_path: Path
) -> None:
    other = Extracts(tmp_path / "other", tableau.config)
    other.run([SCHEMA, entry(99)])
    path = published.directory / "gl.manifest.json"
    content = json.loads(path.read_text())
    # The server's clock has whole seconds; as if the other had published a minute later.
    content["delivered"]["updated_at"] = "2020-01-01T00:00:00+00:00"
    path.write_text(json.dumps(content))
    published.run(FIRST)
    assert same(published, tableau, rows)


def test_data_source_that_was_deleted_is_published_again(
    published: Extracts, tableau: Tableau, rows: Rows
) -> None:
    with tableau.client() as server:
        server.datasources.delete(tableau.server.datasources()[0].id)
    assert published.run(FIRST) == ['{"run":1}']
    assert same(published, tableau, rows)


def test_publish_none_and_missing_url_send_nothing(extracts: Extracts, tableau: Tableau) -> None:
    extracts.run(FIRST, **{**tableau.config, "publish": "none"})
    extracts.run(FIRST)
    assert tableau.calls("POST", "/signin") == 0


def test_names_projects_and_descriptions(extracts: Extracts, tableau: Tableau, rows: Rows) -> None:
    with tableau.client() as server:
        finance = server.projects.create(TSC.ProjectItem("Finance"))
        server.projects.create(TSC.ProjectItem("Ledger", parent_id=finance.id))
        server.projects.create(TSC.ProjectItem("Ledger"))
    names = {
        "gl": {
            "name": "General ledger, posted",
            "project": "Finance/Ledger",
            "file": "general-ledger",
            "description": "Posted entries",
        }
    }
    extracts.run(FIRST, datasources=names, **tableau.config)
    (datasource,) = tableau.server.datasources()
    assert datasource.name == "General ledger, posted"
    assert datasource.description.startswith("Posted entries\n\nAs of 20")
    assert extracts.manifest("general-ledger")["delivered"]["project"] == "Finance/Ledger"
    assert rows(tableau.server.hyper_file("General ledger, posted")) == rows(
        extracts.path("general-ledger")
    )
    tableau.server.requests.clear()
    extracts.run(FIRST, datasources=names, **tableau.config)
    assert tableau.calls("POST", "/fileUploads") == 0


def test_unknown_project_is_told_with_its_neighbours(extracts: Extracts, tableau: Tableau) -> None:
    config = {**tableau.config, "tableau_project": "Defualt"}
    with pytest.raises(ConfigError, match=r"no project 'Defualt'.*'default'"):
        extracts.run(FIRST, **config)
    assert extracts.manifest("gl")["delivered"] is None


def test_projects_are_created_level_by_level_where_that_is_wanted(
    extracts: Extracts, tableau: Tableau
) -> None:
    config = {**tableau.config, "tableau_project": "Treasury/Payables/2026", "create_project": True}
    # The answer to the second creation is lost: it is found, not made twice.
    tableau.faulty.faults = [Fault("POST", "/projects", at=2, after=True)]
    extracts.run(FIRST, **config)
    extracts.run(SECOND, **config)
    with tableau.client() as client:
        projects = {p.id: p for p in TSC.Pager(client.projects)}
        (found,) = [p for p in projects.values() if p.name == "2026"]
        parents = [projects[found.parent_id], projects[projects[found.parent_id].parent_id]]
        assert [p.name for p in parents] == ["Payables", "Treasury"]
        assert sum(p.name in {"Payables", "Treasury", "2026"} for p in projects.values()) == 3
        client.projects.delete(str(parents[1].id))


def test_large_extract_travels_in_chunks(extracts: Extracts, tableau: Tableau, rows: Rows) -> None:
    blob = [os.urandom(40_000).hex() for _ in range(40)]
    messages = [
        SCHEMA,
        *(record("gl", {"company": t, "id": i, "text": t}) for i, t in enumerate(blob)),
    ]
    extracts.run(messages, **tableau.config, chunk_size_mb=1)
    size = extracts.path("gl").stat().st_size
    chunks = [r for r in tableau.server.requests if r.method == "PUT" and "fileUploads" in r.path]
    assert len(chunks) == -(-size // 2**20) > 2
    assert same(extracts, tableau, rows)


@pytest.fixture(autouse=True)
def quick_seal(engines: dict[int, Engine], monkeypatch: pytest.MonkeyPatch) -> None:
    """Count and add up without starting a second hyperd; what pantab finds is test_seal's."""

    def read(path: Path, columns: Sequence[TableColumn]) -> Figures:
        with engines[3].open(path) as database:
            return measure(database, TABLE, quoted(columns))

    monkeypatch.setattr("target_tableau_hyper.extract.seal.read_back", read)


RECOVERED = [
    pytest.param([Fault("GET", "/serverInfo")], id="server info: 503"),
    pytest.param(
        [Fault("POST", "/signin", status=429, headers={"Retry-After": "0"})], id="sign-in: 429"
    ),
    pytest.param([Fault("GET", "/projects", status=0)], id="projects: connection dropped"),
    pytest.param([Fault("POST", "/fileUploads")], id="upload session: 503"),
    pytest.param([Fault("PUT", "/fileUploads/", at=1)], id="first chunk: 503"),
    pytest.param([Fault("PUT", "/fileUploads/", at=2, status=0)], id="chunk: dropped"),
    pytest.param([Fault("PUT", "/fileUploads/", at=2, after=True)], id="chunk: answer lost"),
    pytest.param(
        [Fault("PUT", "/fileUploads/", at=2, status=404, body=xml_error("404015"))],
        id="upload session lost",
    ),
    pytest.param([Fault("PUT", "/fileUploads/", at=1, times=3, status=502)], id="three bad chunks"),
    pytest.param([Fault("POST", "/datasources")], id="publish: 503"),
    pytest.param([Fault("POST", "/datasources", after=True)], id="publish: answer lost"),
    pytest.param([Fault("POST", "/datasources", status=0, after=True)], id="publish: cut off"),
    pytest.param([Fault("GET", "/jobs/", times=3)], id="job: 503 while asking"),
    pytest.param([Fault("GET", "/jobs/", status=0, times=2)], id="job: dropped while asking"),
    pytest.param(
        [Fault("GET", "/jobs/", status=404, body=xml_error("404031"), times=99)], id="job: purged"
    ),
    pytest.param(
        [Fault("PUT", "/fileUploads/", status=401, body=xml_error("401002"))],
        id="session ended in mid-upload",
    ),
    pytest.param(
        [Fault("GET", "/jobs/", status=401, body=xml_error("401000"))],
        id="session ended while asking",
    ),
    pytest.param([Fault("POST", "/signout", times=99)], id="sign-out fails"),
]


@pytest.mark.parametrize("faults", RECOVERED)
def test_l07_l08_l11_publishing_recovers_within_the_run(
    extracts: Extracts, tableau: Tableau, rows: Rows, faults: list[Fault]
) -> None:
    tableau.faulty.faults += faults
    extracts.config = {**tableau.config, "chunk_size_mb": 1}
    filler = [record("gl", {"company": os.urandom(600_000).hex(), "id": i}) for i in range(2)]
    assert extracts.run([*FIRST[:-1], *filler, state({"run": 1})]) == ['{"run":1}']
    assert same(extracts, tableau, rows)
    assert all(fault.seen >= fault.at for fault in faults), "a fault was never met"


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault("PATCH", "/data"), id="503"),
        pytest.param(Fault("PATCH", "/data", status=0), id="dropped"),
        pytest.param(
            Fault("PATCH", "/data", after=True), id="answer lost after the server took it"
        ),
    ],
)
def test_l09_repeated_update_has_one_effect(
    extracts: Extracts, tableau: Tableau, rows: Rows, fault: Fault
) -> None:
    extracts.config = tableau.config
    extracts.run(FIRST)
    tableau.faulty.faults.append(fault)
    assert extracts.run(SECOND) == ['{"run":2}']
    requests = [r for r in tableau.server.requests if r.method == "PATCH"]
    assert len(requests) == 2
    assert len({r.request_id for r in requests}) == 1
    assert same(extracts, tableau, rows)


def test_failed_update_job_falls_back_to_publishing(
    extracts: Extracts,
    tableau: Tableau,
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    extracts.config = tableau.config
    extracts.run(FIRST)
    monkeypatch.setattr("target_tableau_hyper.delivery.update.UPSERTS", "missing_table")
    assert extracts.run(SECOND) == ['{"run":2}']
    assert extracts.manifest("gl")["delivered"]["how"] == "overwrite"
    assert same(extracts, tableau, rows)


NOT_DELIVERED = [
    pytest.param(Fault("GET", "/serverInfo", times=99), TransientError, "503", id="server away"),
    pytest.param(
        Fault("POST", "/signin", times=99, status=401, body=xml_error("401001")),
        AuthError,
        "check tableau_token_name",
        id="token refused",
    ),
    pytest.param(
        Fault("POST", "/datasources", times=99, status=403, body=xml_error("403004")),
        AuthError,
        "Publish capability",
        id="no permission",
    ),
    pytest.param(
        Fault("PUT", "/fileUploads/", times=99), TransientError, "HTTP 503", id="chunks never pass"
    ),
    pytest.param(
        Fault("POST", "/fileUploads", times=99, status=507), ConfigError, "storage", id="site full"
    ),
    pytest.param(
        Fault("PUT", "/fileUploads/", times=99, status=413, body=xml_error("413000")),
        ConfigError,
        "lower chunk_size_mb",
        id="chunks too large for what stands in between",
    ),
    pytest.param(
        Fault("POST", "/fileUploads", times=99, status=429, headers={"Retry-After": "86400"}),
        TransientError,
        "longer pause",
        id="asked to wait a day",
    ),
    pytest.param(
        Fault("GET", "/projects", times=99, status=302, headers={"Location": "https://evil/"}),
        ConfigError,
        "redirects",
        id="redirect to another host",
    ),
]


@pytest.mark.parametrize(("fault", "failure", "said"), NOT_DELIVERED)
def test_l16_failed_delivery_is_made_good_by_the_next_run_without_new_rows(  # noqa: PLR0917 - a case has three parts
    extracts: Extracts,
    tableau: Tableau,
    rows: Rows,
    fault: Fault,
    failure: type[Exception],
    said: str,
) -> None:
    tableau.faulty.faults.append(fault)
    extracts.config = tableau.config
    with pytest.raises(failure, match=said) as caught:
        extracts.run(FIRST)
    assert "s3cret" not in str(caught.value)
    assert TOKEN_VALUE not in str(caught.value)
    assert extracts.manifest("gl")["rows"] == 20, "the sealed extract stays"
    assert tableau.server.datasources() == []
    tableau.faulty.faults.clear()
    assert extracts.run([SCHEMA, state({"run": 1})]) == ['{"run":1}']
    assert same(extracts, tableau, rows)


def test_state_is_not_passed_on_when_delivery_fails(
    extracts: Extracts, tableau: Tableau, capsys: pytest.CaptureFixture[str]
) -> None:
    tableau.faulty.faults.append(Fault("POST", "/datasources", times=99))
    for state_after, passed_on in (("delivered", ""), ("sealed", '{"run":1}\n')):
        with pytest.raises(TransientError):
            extracts.run(FIRST, **tableau.config, state_after=state_after)
        assert extracts.said == passed_on
    capsys.readouterr()


def test_update_after_an_unconfirmed_delivery_is_not_sent(
    extracts: Extracts, tableau: Tableau, rows: Rows
) -> None:
    """An update is right only on top of exactly what its rows were compared with."""
    extracts.config = tableau.config
    extracts.run(FIRST)
    tableau.faulty.faults.append(Fault("PUT", "/fileUploads/", times=99))
    with pytest.raises(TransientError):
        extracts.run(SECOND)
    tableau.faulty.faults.clear()
    tableau.server.requests.clear()
    extracts.run([SCHEMA, entry(4, "8"), state({"run": 3})])
    assert tableau.calls("PATCH", "/data") == 0
    assert same(extracts, tableau, rows)


def test_one_failing_data_source_does_not_hold_up_the_others(
    extracts: Extracts, tableau: Tableau, rows: Rows
) -> None:
    tableau.faulty.faults.append(Fault("POST", "/datasources", times=3))
    second = schema("ap", {"id": {"type": "integer"}})
    with pytest.raises(TransientError, match="'gl'"):
        extracts.run([*FIRST, second, record("ap", {"id": 1})], **tableau.config)
    assert rows(tableau.server.hyper_file("ap")) == [(1,)]
    assert [d.name for d in tableau.server.datasources()] == ["ap"]


def test_l11_a_publish_that_does_not_end_in_time_is_cancelled_and_made_good(
    extracts: Extracts, tableau: Tableau, rows: Rows
) -> None:
    extracts.config = tableau.config
    tableau.server.publishing_seconds = 3_600.0
    with pytest.raises(TransientError, match="is not over after 1 s and was cancelled"):
        extracts.run(FIRST, job_timeout=1)
    assert tableau.server.jobs()[-1].finish_code == 2
    tableau.server.publishing_seconds = 0.0
    assert extracts.run([SCHEMA, state({"run": 1})]) == ['{"run":1}']
    assert same(extracts, tableau, rows)


# -- L10: others at the same data source -----------------------------------------------------------


@pytest.fixture
def other(tmp_path: Path, tableau: Tableau) -> Extracts:
    """A second target with a directory of its own, and the same data source."""
    return Extracts(tmp_path / "other", tableau.config)


def test_l10_another_directory_published_in_between_so_the_whole_is_sent(
    extracts: Extracts, other: Extracts, tableau: Tableau, rows: Rows
) -> None:
    extracts.config = tableau.config
    extracts.run(FIRST)
    other.run([SCHEMA, entry(900)])
    assert same(other, tableau, rows)
    extracts.run(SECOND)
    assert extracts.manifest("gl")["delivered"]["how"] == "overwrite"
    assert same(extracts, tableau, rows)


def test_l10_another_directory_publishes_while_an_update_is_on_its_way(
    extracts: Extracts,
    other: Extracts,
    tableau: Tableau,
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The changed rows come into the other's table, and must not stay there."""
    extracts.config = tableau.config
    extracts.run(FIRST)

    def late(*arguments: Any, **more: Any) -> TSC.JobItem:  # noqa: ANN401
        other.run([SCHEMA, entry(900)])
        return start_update(*arguments, **more)

    monkeypatch.setattr("target_tableau_hyper.delivery.deliver.start_update", late)
    assert extracts.run(SECOND) == ['{"run":2}']
    assert extracts.manifest("gl")["delivered"]["how"] == "overwrite"
    assert same(extracts, tableau, rows)


@pytest.mark.parametrize(("method", "ending"), [("POST", "/datasources"), ("PATCH", "/data")])
@pytest.mark.parametrize("times", [1, 99], ids=["once", "always"])
def test_l10_a_conflict_is_waited_through_or_left_to_the_next_run(  # noqa: PLR0917 - fixtures
    extracts: Extracts, tableau: Tableau, rows: Rows, method: str, ending: str, times: int
) -> None:
    extracts.config = {**tableau.config, "publish": "update" if method == "PATCH" else "overwrite"}
    extracts.run(FIRST)
    tableau.faulty.faults = [
        Fault(method, ending, times=times, status=409, body=xml_error("409004"))
    ]
    if times == 1:
        assert extracts.run(SECOND) == ['{"run":2}']
    else:
        with pytest.raises(TransientError, match="answered 409004"):
            extracts.run(SECOND)
        assert extracts.said == ""
        tableau.faulty.faults.clear()
        assert extracts.run([SCHEMA, state({"run": 3})]) == ['{"run":3}']
    assert same(extracts, tableau, rows)


# -- several at a time -----------------------------------------------------------------------------


def test_what_a_person_must_see_to_is_told_before_what_passes_by_itself(
    extracts: Extracts, tableau: Tableau
) -> None:
    """The first data source meets a server that is away, the second lacks a right."""
    tableau.faulty.faults += [
        Fault("POST", "/datasources", times=3),
        Fault("POST", "/datasources", times=99, status=403, body=xml_error("403004")),
    ]
    second = schema("ap", {"id": {"type": "integer"}})
    with pytest.raises(AuthError, match="'ap'"):
        extracts.run([*FIRST, second, record("ap", {"id": 1})], **tableau.config)


def test_untrusted_certificate_is_refused(extracts: Extracts, tableau: Tableau) -> None:
    config = {**tableau.config}
    del config["ca_bundle"]
    with pytest.raises(ConfigError, match="certificate is not trusted; set ca_bundle"):
        extracts.run(FIRST, **config)


def test_ca_bundle_setting_wins_over_the_environment(
    extracts: Extracts, tableau: Tableau, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")
    assert extracts.run(FIRST, **tableau.config) == ['{"run":1}']


def test_credentials_of_netrc_are_never_sent(
    extracts: Extracts,
    tableau: Tableau,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    extracts.run(FIRST, **tableau.config)
    assert b"x-tableau-auth" in tableau.faulty.header_names
    assert b"authorization" not in tableau.faulty.header_names


def test_token_never_gets_into_manifest_ledger_or_log(
    extracts: Extracts, tableau: Tableau, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = extracts.directory.parent / "ledger.db"
    caplog.set_level("DEBUG")
    extracts.run(FIRST, **tableau.config, ledger_path=str(ledger))
    files = [
        p
        for p in extracts.directory.parent.rglob("*")
        if p.is_file() and "tableau" not in str(p.parent)
    ]
    assert files
    for path in files:
        assert TOKEN_VALUE.encode() not in path.read_bytes(), path
    assert TOKEN_VALUE not in caplog.text
