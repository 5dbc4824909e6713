"""The check against running systems, over HTTPS, in health and in every kind of trouble."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tableauserverclient as TSC  # noqa: N812 - its own documentation's name
from tests.ops.test_preview import write_extracts
from tests.target.faults import Fault as TableauFault
from tests.target.faults import Faulty, xml_error

from contoso_sandbox.contoso import Contoso
from contoso_sandbox.faults import Fault, answer, rows
from contoso_sandbox.serving import HttpsServer
from contoso_sandbox.tableau import TableauServer
from contoso_sandbox.tls import create_tls
from pipeline_core.errors import AuthError, ConfigError, TransientError
from pipeline_ops.check import d365, machine
from pipeline_ops.check.clock import check_clock
from pipeline_ops.check.findings import Checklist, Finding, Verdict
from pipeline_ops.check.run import Configs, run_checks
from target_tableau_hyper.tableau import session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contoso_sandbox.faults import Asked

COMMAND = Path(sys.executable).with_name("d365fo-tableau")

PROJECTS = """<?xml version="1.0" encoding="UTF-8"?><tsResponse xmlns="http://tableau.com/api">
<pagination pageNumber="1" pageSize="100" totalAvailable="1"/><projects>
<project id="7a1c3e52-7d4c-4a52-9b3c-3a4c4b1f0f11" name="default"
 contentPermissions="ManagedByOwner" topLevelProject="true" writeable="{writeable}">
<owner id="x"/></project></projects></tsResponse>"""

USER = """<?xml version="1.0" encoding="UTF-8"?><tsResponse xmlns="http://tableau.com/api">
<user id="u" name="viewer" siteRole="Viewer" externalAuthUserId="" fullName="v"/></tsResponse>"""

INFO = """<?xml version="1.0" encoding="UTF-8"?><tsResponse xmlns="http://tableau.com/api">
<serverInfo><productVersion build="1">{product}</productVersion>
<restApiVersion>{rest}</restApiVersion></serverInfo></tsResponse>"""

WEBHOOKS = """<?xml version="1.0" encoding="UTF-8"?><tsResponse xmlns="http://tableau.com/api">
<webhooks/></tsResponse>"""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contoso]:
    with Contoso.start(tmp_path_factory.mktemp("box"), scale=0.02) as box:
        yield box


@pytest.fixture
def contoso(box: Contoso) -> Iterator[Contoso]:
    """The box, with faults and registrations of the test's own."""
    registered = set(box.d365.applications)
    box.d365.requests.clear()
    box.tableau.requests.clear()
    yield box
    box.d365.faults.clear()
    box.d365.applications.clear()
    box.d365.applications.update(registered)


def tap_config(contoso: Contoso, **changes: object) -> dict[str, Any]:
    given = contoso.settings()
    names = ("environment_url", "tenant_id", "client_id", "client_secret", "authority_host")
    config: dict[str, Any] = {name: given[f"TAP_D365FO_{name.upper()}"] for name in names}
    return {**config, "ca_bundle": given["TAP_D365FO_CA_BUNDLE"], "companies": ["all"], **changes}


def target_config(contoso: Contoso, output_dir: Path, **changes: object) -> dict[str, Any]:
    prefix = "TARGET_TABLEAU_HYPER_"
    given = {
        name.removeprefix(prefix).lower(): value
        for name, value in contoso.settings().items()
        if name.startswith(prefix)
    }
    return {**given, "output_dir": str(output_dir), **changes}


def look(
    tap: dict[str, Any] | None = None,
    target: dict[str, Any] | None = None,
    project: Path | None = None,
) -> Checklist:
    checks = Checklist()
    run_checks(checks, Configs(tap, target, project), counts=True)
    return checks


def of(checks: Checklist, subject: str, area: str = "") -> Finding:
    (found,) = [f for f in checks.findings if f.subject == subject and area in f.area]
    return found


def failed(checks: Checklist) -> list[tuple[str, int]]:
    return [(f.subject, f.exit_code) for f in checks.findings if f.verdict is Verdict.FAILED]


def test_in_health_nothing_fails_and_nothing_is_changed(contoso: Contoso, tmp_path: Path) -> None:
    output = tmp_path / "output"
    snapshots = str(tmp_path / "snapshots")
    checks = look(
        tap_config(contoso, entities=["preset:finance"], snapshot_path=snapshots),
        target_config(contoso, output),
    )
    assert failed(checks) == []
    assert checks.conclusion() is None
    vendors = of(checks, "entity VendorsV2")
    assert vendors.verdict is Verdict.OK
    assert "rows, etag_scan: " in vendors.found
    companies = [f.subject for f in checks.findings if f.subject.startswith("company ")]
    assert companies == ["company 2", "company demf", "company gbsi", "company usmf"]
    assert "SiteAdministratorCreator" in of(checks, "sign-in").found
    assert of(checks, "project default").verdict is Verdict.OK
    assert of(checks, "hyperd").verdict is Verdict.OK
    assert list(tmp_path.iterdir()) == []
    asked = {(r.method, r.path.rpartition("/")[2]) for r in contoso.tableau.requests}
    assert {a for a in asked if a[0] != "GET"} == {("POST", "signin"), ("POST", "signout")}


def test_a_wrong_secret_is_an_identity_refused(contoso: Contoso) -> None:
    checks = look(tap_config(contoso, client_secret="wrong-secret-of-somebody"))
    assert failed(checks) == [("Entra ID token", 77)]
    assert "invalid_client" in of(checks, "Entra ID token").found
    assert "check client_id and the secret" in of(checks, "Entra ID token").todo
    assert of(checks, "everything else").verdict is Verdict.WARNING
    assert not [f for f in checks.findings if f.subject.startswith("entity")]


def test_an_application_that_fo_does_not_know(contoso: Contoso) -> None:
    contoso.d365.applications.clear()
    checks = look(tap_config(contoso))
    assert of(checks, "Entra ID token").verdict is Verdict.OK
    assert failed(checks) == [("application in F&O", 77)]
    assert "Microsoft Entra ID applications" in of(checks, "application in F&O").todo


def test_companies_that_do_not_exist_or_show_nothing(contoso: Contoso) -> None:
    def of_demf(asked: Asked) -> bool:
        return "'demf'" in asked.options.get("$filter", "")

    contoso.d365.faults.add(Fault(rows(lambda _: [], "no rows"), on=of_demf))
    named = look(tap_config(contoso, entities=["VendorsV2"], companies=["usmf", "usfm", "demf"]))
    assert failed(named) == [("company usfm", 78), ("company demf", 78)]
    assert "did you mean usmf?" in of(named, "company usfm").todo
    assert "give the application's user access" in of(named, "company demf").todo
    every = look(tap_config(contoso, entities=["VendorsV2"]))
    assert failed(every) == []
    assert of(every, "company demf").verdict is Verdict.WARNING


def test_entities_that_are_unknown_denied_or_empty(contoso: Contoso) -> None:
    contoso.d365.faults.add(
        Fault(answer(403), on="PurchaseOrderLinesV2"),
        Fault(rows(lambda _: [], "no rows"), on="ExchangeRates"),
    )
    checks = look(
        tap_config(
            contoso,
            entities=["VendorsV22", "PurchaseOrderLinesV2", "ExchangeRates", "VendorGroups"],
            entity_settings={"VendorGroups": {"filter": "VendorGroupId eq '10'"}},
        )
    )
    assert failed(checks) == [("entities VendorsV22", 78), ("entity PurchaseOrderLinesV2", 77)]
    assert "VendorsV2" in of(checks, "entities VendorsV22").found
    assert "privilege to view this entity" in of(checks, "entity PurchaseOrderLinesV2").todo
    assert of(checks, "entity ExchangeRates").verdict is Verdict.WARNING
    assert of(checks, "entity VendorGroups").found.startswith("4 rows, full: ")
    conclusion = checks.conclusion()
    assert conclusion is not None
    assert conclusion.exit_code == 78


def test_a_preset_says_what_is_not_published(contoso: Contoso) -> None:
    def without_groups(_: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [row for row in _ if row.get("PublicCollectionName") != "VendorGroups"]

    contoso.d365.faults.add(Fault(rows(without_groups, "hidden"), on="/metadata/DataEntities"))
    checks = look(tap_config(contoso, entities=["preset:finance"]))
    missing = of(checks, "entities preset:finance")
    assert missing.verdict is Verdict.WARNING
    assert "vendor groups (looked for VendorGroups)" in missing.found


def test_an_environment_that_does_not_answer_is_transient(
    contoso: Contoso, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(d365, "_FIRST_ANSWER_S", 1)
    contoso.d365.faults.add(Fault(answer(503, retry_after=600)))
    checks = look(tap_config(contoso))
    assert failed(checks) == [("application in F&O", 75)]


@pytest.mark.parametrize(
    ("ahead_s", "verdict"),
    [
        pytest.param(0, Verdict.OK, id="equal"),
        pytest.param(20, Verdict.OK, id="within what the header can tell"),
        pytest.param(90, Verdict.WARNING, id="a minute ahead"),
        pytest.param(-90, Verdict.WARNING, id="a minute behind"),
        pytest.param(-400, Verdict.FAILED, id="beyond what signed sign-ins bear"),
    ],
)
def test_clock(contoso: Contoso, ahead_s: int, verdict: Verdict) -> None:
    checks = Checklist()
    here = datetime.now(UTC) + timedelta(seconds=ahead_s)
    check_clock(checks, "D365", f"{contoso.d365_url}/data", contoso.ca_bundle, now=lambda: here)
    (found,) = checks.findings
    assert found.verdict is verdict
    if ahead_s < 0:
        assert "behind" in found.found


def test_what_a_person_must_see_to_comes_before_what_may_pass() -> None:
    checks = Checklist()
    assert checks.conclusion() is None
    away = "away; run again later"
    checks.fail("D365", "entity A", TransientError(away))
    first = checks.conclusion()
    assert first is not None
    assert (first.exit_code, str(first)) == (
        75,
        "1 of 1 checks failed; first see to D365, entity A: away; run again later",
    )
    checks.fail("Tableau", "sign-in", AuthError(away))
    checks.fail("Tableau", "project A", ConfigError(away))
    then = checks.conclusion()
    assert then is not None
    assert then.exit_code == 77


def test_settings_that_do_not_fit_keep_the_other_side_going(
    contoso: Contoso, tmp_path: Path
) -> None:
    tap = tap_config(contoso, max_concurrency="many")
    checks = look(tap, target_config(contoso, tmp_path))
    assert failed(checks) == [("tap-d365fo", 78)]
    assert "max_concurrency must be of type integer" in of(checks, "tap-d365fo").found
    assert of(checks, "sign-in").verdict is Verdict.OK


def test_secrets_in_clear_are_told_with_what_that_means(contoso: Contoso, tmp_path: Path) -> None:
    tap = tap_config(contoso, entities=["VendorGroups"])
    subject = "tap-d365fo client_secret"
    assert "in the environment or in Meltano's database" in of(look(tap), subject).found
    (tmp_path / ".env").write_text(f"TAP_D365FO_CLIENT_SECRET={tap['client_secret']}\n")
    (tmp_path / ".env").chmod(0o644)
    exposed = of(look(tap, project=tmp_path), subject)
    assert exposed.verdict is Verdict.WARNING
    assert "which other users of this machine can read" in exposed.found
    (tmp_path / "meltano.yml").write_text(f"client_secret: {tap['client_secret']}\n")
    committed = of(look(tap, project=tmp_path), subject)
    assert "in version control" in committed.found
    assert "secret://vault/d365fo#client_secret" in committed.todo
    assert tap["client_secret"] not in str(committed)


def test_references_are_followed(
    contoso: Contoso, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("D365FO_TABLEAU_SECRETS_DIR", str(tmp_path))
    secret = tap_config(contoso)["client_secret"]
    (tmp_path / "d365fo").mkdir()
    (tmp_path / "d365fo" / "client_secret").write_text(secret)
    (tmp_path / "d365fo" / "client_secret").chmod(0o600)
    reference = "secret://file/d365fo#client_secret"
    kept = look(tap_config(contoso, client_secret=reference, entities=["VendorGroups"]))
    assert failed(kept) == []
    assert of(kept, "tap-d365fo client_secret").found == f"kept as {reference}"
    astray = look(tap_config(contoso, client_secret="secret://file/d365fo#nothing"))
    assert failed(astray) == [("tap-d365fo", 78)]


@contextmanager
def tableau_with(faulty: Faulty, directory: Path) -> Iterator[dict[str, Any]]:
    tls = create_tls(directory / "tls")
    server = TableauServer(directory / "tableau", job_seconds=0.01, middleware=faulty)
    server.add_token("pipeline", "correct-horse-battery-staple")
    web = HttpsServer(server.app, tls).start()
    try:
        yield {
            "output_dir": str(directory / "output"),
            "tableau_server_url": web.url,
            "tableau_token_name": "pipeline",
            "tableau_token_value": "correct-horse-battery-staple",
            "ca_bundle": str(tls.ca_bundle),
        }
    finally:
        web.stop()
        server.close()


@pytest.fixture(scope="module")
def tableau(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Faulty, dict[str, Any]]]:
    faulty = Faulty()
    with tableau_with(faulty, tmp_path_factory.mktemp("tableau")) as config:
        yield faulty, config


@pytest.mark.parametrize(
    ("fault", "changes", "expected"),
    [
        pytest.param(
            None,
            {"tableau_token_value": "wrong-token-value"},
            ("sign-in", 77, "check tableau_token_name"),
            id="a wrong token",
        ),
        pytest.param(
            None,
            {"tableau_project": "Finanze"},
            ("project Finanze", 78, "has no project 'Finanze'"),
            id="an unknown project",
        ),
        pytest.param(
            TableauFault(
                "GET", "/projects", status=200, body=PROJECTS.format(writeable="false").encode()
            ),
            {},
            ("project default", 77, "grant the capability Publish"),
            id="no right to publish",
        ),
        pytest.param(
            TableauFault("GET", "/users/", status=200, body=USER.encode()),
            {},
            ("sign-in", 77, "as viewer (Viewer), and that role cannot publish"),
            id="a role that cannot publish",
        ),
        pytest.param(
            TableauFault(
                "GET",
                "erver",
                times=9,
                status=200,
                body=INFO.format(product="2022.1.3", rest="3.15").encode(),
            ),
            {},
            ("server version", 78, "set hyper_version to 2"),
            id="a server too old for the file format",
        ),
        pytest.param(
            None,
            {"refresh": {"workbooks": ["Finance/Spend"]}},
            ("refresh", 78, "the site has no workbook 'Finance/Spend'"),
            id="nothing to refresh there",
        ),
    ],
)
def test_what_tableau_refuses(
    tableau: tuple[Faulty, dict[str, Any]],
    fault: TableauFault | None,
    changes: dict[str, Any],
    expected: tuple[str, int, str],
) -> None:
    faulty, config = tableau
    faulty.faults[:] = [fault] if fault else []
    checks = look(target={**config, **changes})
    subject, code, told = expected
    assert failed(checks) == [(subject, code)]
    found = next(f for f in checks.findings if f.verdict is Verdict.FAILED)
    assert told in f"{found.found}; {found.todo}"


def test_webhooks_are_for_administrators(tableau: tuple[Faulty, dict[str, Any]]) -> None:
    faulty, config = tableau
    faulty.faults[:] = [TableauFault("GET", "/webhooks", status=403, body=xml_error("403004"))]
    assert "may not see or register" in of(look(target=config), "webhooks").found
    faulty.faults[:] = [TableauFault("GET", "/webhooks", status=200, body=WEBHOOKS.encode())]
    assert of(look(target=config), "webhooks").verdict is Verdict.OK


def test_a_project_that_the_run_creates_is_not_created(
    tableau: tuple[Faulty, dict[str, Any]],
) -> None:
    faulty, config = tableau
    faulty.faults.clear()
    for _ in range(2):  # had the first created it, the second would find it
        checks = look(target={**config, "tableau_project": "New", "create_project": True})
        assert of(checks, "project New").verdict is Verdict.WARNING
        assert "the run will create it" in of(checks, "project New").found


def test_a_data_source_of_somebody_else_is_told(
    contoso: Contoso, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "output" / "Ledgers.hyper"
    file.parent.mkdir()
    write_extracts(file.parent, {"Ledgers": ('"LegalEntityId" TEXT', ["('usmf')"])})
    contoso.tableau.add_token("somebody", "token-of-somebody-else", user="somebody")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(contoso.ca_bundle))
    server = TSC.Server(contoso.tableau_url)  # type: ignore[no-untyped-call]
    server.use_server_version()  # type: ignore[no-untyped-call]
    token = TSC.PersonalAccessTokenAuth("somebody", "token-of-somebody-else")
    with server.auth.sign_in(token):
        (project,) = [p for p in TSC.Pager(server.projects) if p.name == "default"]
        item = TSC.DatasourceItem(project.id, "Ledgers")
        published = server.datasources.publish(item, file, "CreateNew")
        try:
            config = target_config(contoso, file.parent)
            theirs = of(look(target=config), "data source Ledgers")
            assert theirs.verdict is Verdict.WARNING
            assert "belongs to another user" in theirs.found
        finally:
            server.datasources.delete(str(published.id))


def test_a_server_that_is_away_is_transient(
    tableau: tuple[Faulty, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "PAUSE_S", 0.0)
    faulty, config = tableau
    faulty.faults[:] = [TableauFault("GET", "erver", times=99)]
    checks = look(target=config)
    assert failed(checks) == [("sign-in", 75)]
    assert "s3cret" not in str(checks.findings)


def test_a_run_that_goes_on_keeps_its_session(
    tableau: tuple[Faulty, dict[str, Any]], tmp_path: Path
) -> None:
    faulty, config = tableau
    faulty.faults.clear()
    lock = os.open(tmp_path / ".lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        checks = look(target={**config, "output_dir": str(tmp_path)})
    finally:
        os.close(lock)
    assert of(checks, "sign-in").verdict is Verdict.WARNING
    assert "a run goes on" in of(checks, "sign-in").found
    assert of(look(target={**config, "output_dir": str(tmp_path)}), "sign-in").verdict is Verdict.OK


def test_files_only_needs_no_tableau(tmp_path: Path) -> None:
    checks = look(target={"output_dir": str(tmp_path)})
    assert failed(checks) == []
    assert "nothing is published" in of(checks, "publishing").found


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    checks = look(target={"output_dir": str(tmp_path / "file" / "output")})
    assert ("output_dir", 78) in failed(checks)
    list_of = Checklist()
    machine.check_path(list_of, "ledger_path", tmp_path / "file" / "ledger.db")
    assert list_of.findings[0].verdict is Verdict.FAILED


def run(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMMAND), "check", *arguments],
        cwd=cwd,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_command_reads_files_and_ends_with_the_code_of_the_failure(
    contoso: Contoso, tmp_path: Path
) -> None:
    config = tap_config(contoso, entities=["VendorGroups"])
    (tmp_path / "tap.json").write_text(json.dumps(config))
    good = run("--tap-config", "tap.json", "--format", "json", cwd=tmp_path)
    assert good.returncode == 0, good.stderr
    assert {f["area"] for f in json.loads(good.stdout)} == {"settings", "D365"}
    config["client_secret"] = "wrong-secret-of-somebody"
    (tmp_path / "tap.json").write_text(json.dumps(config))
    bad = run("--tap-config", "tap.json", cwd=tmp_path)
    assert bad.returncode == 77
    assert "1 failed" in bad.stdout.splitlines()[-1]
    last = bad.stderr.splitlines()[-1]
    assert last.startswith("d365fo-tableau: 1 of ")
    assert "first see to D365, Entra ID token: Entra ID refused the application" in last
    assert "wrong-secret-of-somebody" not in bad.stdout + bad.stderr
    (tmp_path / "tap.json").write_text("[]")
    assert run("--tap-config", "tap.json", cwd=tmp_path).returncode == 78


def test_command_takes_the_settings_of_the_meltano_project(
    contoso: Contoso, tmp_path: Path
) -> None:
    (tmp_path / "meltano.yml").write_text(
        "default_environment: dev\nenvironments:\n- name: dev\n  config:\n    plugins:\n"
        "      extractors:\n      - name: tap-d365fo\n        config: {entities: [VendorGroups]}\n"
        "plugins:\n  extractors:\n  - name: tap-d365fo\n    namespace: tap_d365fo\n"
        "    executable: tap-d365fo\n    settings:\n"
        + "".join(
            f"    - name: {name}\n"
            for name in ("environment_url", "tenant_id", "client_id", "authority_host", "ca_bundle")
        )
        + "    - {name: client_secret, sensitive: true}\n    - {name: entities, kind: array}\n"
    )
    (tmp_path / "below").mkdir()
    found = run("--only", "d365", "--format", "json", cwd=tmp_path / "below", **contoso.settings())
    assert found.returncode == 0, found.stderr
    subjects = [f["subject"] for f in json.loads(found.stdout)]
    assert [s for s in subjects if s.startswith("entity ")] == ["entity VendorGroups"]
    unknown = run("--only", "tableau", cwd=tmp_path)
    assert unknown.returncode == 78
    assert "does not tell the settings of target-tableau-hyper" in unknown.stderr.splitlines()[-1]


def test_command_outside_of_a_project_says_so(tmp_path: Path) -> None:
    lost = run(cwd=tmp_path)
    assert lost.returncode == 78
    assert "there is no meltano.yml" in lost.stderr.splitlines()[-1]
