"""When a failed publish says that the server does not take packages, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import pytest
from tableauserverclient.server.endpoint.exceptions import (
    InternalServerError,
    ServerResponseError,
)
from tests.target.faults import Fault
from tests.target.messages import record, schema

from contoso_sandbox.tableau.publishing import Refusal as ServerRefusal
from pipeline_core.errors import ConfigError, IntegrityError, PipelineError, TransientError
from target_tableau_hyper.delivery.refusal import JobFailedError, Refusal, refusal_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.target.harness import Extracts, Tableau


VENDOR = {"id": {"type": "integer", "title": "Vendor"}, "name": {"type": ["null", "string"]}}
CITY = {**VENDOR, "city": {"type": ["null", "string"]}}


class Reply:
    """What tableauserverclient looks at of an answer."""

    status_code = 500
    content = b""


def caused_by(cause: Exception) -> PipelineError:
    error = TransientError("x")
    error.__cause__ = cause
    return error


JUDGED = [
    pytest.param(
        caused_by(ServerResponseError("400011", "", "")), Refusal.CERTAIN, id="unusable file"
    ),
    pytest.param(
        caused_by(ServerResponseError("403004", "", "")), Refusal.NONE, id="no permission"
    ),
    pytest.param(
        caused_by(ServerResponseError("404015", "", "")), Refusal.NONE, id="upload session gone"
    ),
    pytest.param(caused_by(InternalServerError(Reply())), Refusal.PERHAPS, id="500"),
    pytest.param(caused_by(ConnectionError()), Refusal.NONE, id="server away"),
    pytest.param(TransientError("x"), Refusal.NONE, id="nothing is known"),
    pytest.param(JobFailedError("x"), Refusal.PERHAPS, id="failed job"),
    pytest.param(JobFailedError("x", cancelled=True), Refusal.NONE, id="cancelled job"),
]


@pytest.mark.parametrize(("error", "refusal"), JUDGED)
def test_a_failure_is_judged_by_its_cause(error: PipelineError, refusal: Refusal) -> None:
    assert refusal_of(error) is refusal


@pytest.fixture
def vendors(extracts: Extracts, tableau: Tableau) -> Iterator[Extracts]:
    extracts.config = tableau.config
    yield extracts
    tableau.server.refuse_packages(ServerRefusal.NEVER)


def sent(tableau: Tableau) -> list[str]:
    """Kinds of files that were sent to be published since this was last asked."""
    publishes = [r for r in tableau.server.requests if r.path.endswith("/datasources")]
    kinds = [parse_qs(r.query)["datasourceType"][0] for r in publishes if r.method == "POST"]
    tableau.server.requests.clear()
    return kinds


def test_a_package_that_was_taken_before_is_tried_again_after_a_failed_job(
    vendors: Extracts, tableau: Tableau
) -> None:
    """A job may fail for many reasons; captions must not be gone for good by one of them."""
    vendors.run([schema("v", VENDOR), record("v", {"id": 1})])
    assert sent(tableau) == ["tdsx"]
    tableau.server.refuse_packages(ServerRefusal.IN_JOB)
    vendors.run([schema("v", CITY), record("v", {"id": 2})])
    assert sent(tableau) == ["tdsx", "hyper"]
    tableau.server.refuse_packages(ServerRefusal.NEVER)
    vendors.run([schema("v", CITY)])
    assert sent(tableau) == ["tdsx"]
    assert vendors.manifest("v")["package_refused"] is None


def test_jobs_that_fail_time_and_again_end_the_attempts(
    vendors: Extracts, tableau: Tableau
) -> None:
    vendors.run([schema("v", VENDOR), record("v", {"id": 1})])
    tableau.server.refuse_packages(ServerRefusal.IN_JOB)
    for kinds in (["tdsx", "hyper"], ["tdsx", "hyper"], []):
        tableau.server.requests.clear()
        vendors.run([schema("v", CITY), record("v", {"id": 2})])
        assert sent(tableau) == kinds
    assert vendors.manifest("v")["package_refused"]


def test_a_package_that_is_clearly_refused_is_not_tried_again(
    vendors: Extracts, tableau: Tableau
) -> None:
    vendors.run([schema("v", VENDOR), record("v", {"id": 1})])
    tableau.server.refuse_packages(ServerRefusal.AT_ONCE)
    for kinds in (["tdsx", "hyper"], []):
        tableau.server.requests.clear()
        vendors.run([schema("v", CITY), record("v", {"id": 2})])
        assert sent(tableau) == kinds


def test_bare_500_may_be_the_package(vendors: Extracts, tableau: Tableau) -> None:
    tableau.faulty.faults.append(Fault("POST", "/datasources", times=3, status=500))
    vendors.run([schema("v", VENDOR), record("v", {"id": 1})])
    assert sent(tableau)[-1] == "hyper"
    assert tableau.server.datasources()[0].type == "hyper"


TWO = {
    "Both": {
        "tables": ["bills", "v"],
        "relationships": [{"from": "bills", "to": "v", "on": {"vendor": "id"}}],
    }
}
BILLS = schema("bills", {"id": {"type": "integer"}, "vendor": {"type": "integer"}})


def test_extract_of_an_earlier_run_that_was_altered_is_not_published(
    vendors: Extracts, tableau: Tableau
) -> None:
    vendors.run([schema("v", VENDOR), record("v", {"id": 1})], datasources=TWO)
    vendors.path("v").write_bytes(vendors.path("v").read_bytes()[:-1])
    with pytest.raises(IntegrityError, match=r"v\.hyper was altered"):
        vendors.run([BILLS, record("bills", {"id": 1, "vendor": 1})], datasources=TWO)
    assert tableau.server.datasources() == []


def test_extract_of_a_newer_file_format_is_told(vendors: Extracts, tableau: Tableau) -> None:
    vendors.run([schema("v", VENDOR), record("v", {"id": 1})], datasources=TWO)
    bill = [BILLS, record("bills", {"id": 1, "vendor": 1})]
    with pytest.raises(ConfigError, match="'v' has file format 3, but hyper_version is 2"):
        vendors.run(bill, datasources=TWO, hyper_version=2)
    again = [*bill, schema("v", VENDOR)]
    vendors.run(again, datasources=TWO, hyper_version=2)
    assert [source.name for source in tableau.server.datasources()] == ["Both"]


def test_tables_without_rows_are_published(vendors: Extracts, tableau: Tableau) -> None:
    vendors.run([BILLS, schema("v", VENDOR)], datasources=TWO)
    assert sent(tableau) == ["tdsx"]
    vendors.run([BILLS, schema("v", VENDOR)], datasources=TWO)
    assert sent(tableau) == []
