"""Which files make a data source, and which do not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import requests
    from tests.sandbox.tableau.conftest import Hypers, Running

CUSTOMER = 'CREATE TABLE "Extract"."cust" (id BIGINT NOT NULL, n TEXT, ASSUMED PRIMARY KEY (id))'
REGION = 'CREATE TABLE "Extract"."region" (id BIGINT NOT NULL, ASSUMED PRIMARY KEY (id))'


def fact(name: str, *references: str) -> str:
    columns = "".join(f", {other}_id BIGINT" for other in references)
    keys = "".join(
        f', ASSUMED FOREIGN KEY ({other}_id) REFERENCES "Extract"."{other}" (id)'
        for other in references
    )
    return f'CREATE TABLE "Extract"."{name}" (k BIGINT{columns}{keys})'


@pytest.mark.parametrize(
    ("statements", "detail"),
    [
        pytest.param([CUSTOMER, fact("sales", "cust")], None, id="a fact and its dimension"),
        pytest.param(
            [CUSTOMER, REGION, fact("sales", "cust", "region")], None, id="one fact, two dimensions"
        ),
        pytest.param([fact("anything")], None, id="one table of any name"),
        pytest.param([], "no table", id="no table"),
        pytest.param(
            [CUSTOMER, fact("sales")], "exactly one fact table", id="two tables without a key"
        ),
        pytest.param(
            [CUSTOMER, fact("sales", "cust"), fact("returns", "cust")],
            "exactly one fact table",
            id="two facts share a dimension",
        ),
    ],
)
def test_the_tables_of_a_raw_file_form_one_tree(
    running: Running,
    hypers: Hypers,
    statements: list[str],
    detail: str | None,
    request: pytest.FixtureRequest,
) -> None:
    rest = running.rest("application/json")
    answer = rest.publish(hypers.write(statements), request.node.name)
    if detail is None:
        assert answer.status_code == 201, answer.text
    else:
        assert rest.error(answer) == "400011"
        assert detail in answer.json()["error"]["detail"]


@pytest.mark.parametrize(
    ("product_version", "file_version", "status"),
    [
        pytest.param("2026.2.0", 4, 201, id="2026 reads version 4"),
        pytest.param("2023.1.0", 3, 201, id="2023 reads version 3"),
        pytest.param("2023.1.0", 4, 400, id="2023 does not read version 4"),
        pytest.param("2022.1.2", 3, 400, id="2022 does not read version 3"),
        pytest.param("2022.1.2", 2, 201, id="2022 reads version 2"),
    ],
)
def test_a_file_newer_than_the_server_is_refused(
    *,
    start: Callable[..., Running],
    tmp_path: Path,
    hypers: Hypers,
    product_version: str,
    file_version: int,
    status: int,
) -> None:
    running = start(tmp_path, product_version=product_version)
    rest = running.rest("application/json")
    answer = rest.publish(hypers.table('"k" INT', "(1)", version=file_version), "Versioned")
    assert answer.status_code == status
    if status == 400:
        assert rest.error(answer) == "400011"
        assert f"format version {file_version}" in answer.text


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda _: b"", id="empty"),
        pytest.param(lambda _: b"no database" * 100, id="something else"),
        pytest.param(lambda content: content[: len(content) // 2], id="cut"),
    ],
)
def test_a_file_that_hyperd_cannot_open_is_refused(
    running: Running, hypers: Hypers, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    rest = running.rest("application/json")
    file = tmp_path / "damaged.hyper"
    file.write_bytes(damage(hypers.table('"k" INT', "(1)").read_bytes()))
    assert rest.error(rest.publish(file, "Damaged")) == "400011"
    as_job = rest.publish(file, "Damaged", "&asJob=true")
    assert as_job.status_code == 202
    job_id = as_job.json()["job"]["id"]
    shown = poll(rest.call, job_id)
    assert shown["finishCode"] == "1"
    assert shown["statusNotes"]["statusNote"][0]["value"] == "400011"
    assert all(item.name != "Damaged" for item in running.server.datasources())


def test_a_live_package_is_stored_and_packed_again_after_an_update(
    running: Running, hypers: Hypers, live_tds: str, pack: Callable[..., Path], tmp_path: Path
) -> None:
    rest = running.rest("application/json")
    package = pack(live_tds, hypers.table('"k" INT', "(1)", "(2)"))
    published = rest.publish(package, "Packed")
    assert published.status_code == 201, published.text
    item = running.server.datasources()[-1]
    assert (item.type, item.live_to_hyper) == ("tdsx", True)
    condition = {"op": "eq", "target-col": "k", "const": {"type": "integer", "v": 1}}
    action = {"action": "delete", "target-table": "Extract", "condition": condition}
    accepted = rest.call(
        "PATCH",
        f"/sites/{{site}}/datasources/{item.id}/data",
        json={"actions": [action]},
        headers={"RequestID": "packed"},
    )
    assert poll(rest.call, accepted.json()["job"]["id"])["finishCode"] == "0"
    content = f"/sites/{{site}}/datasources/{item.id}/content"
    downloaded = tmp_path / "again.tdsx"
    downloaded.write_bytes(rest.call("GET", content).content)
    again = rest.publish(downloaded, "Packed again")
    assert again.status_code == 201, again.text
    assert hypers.rows(running.server.hyper_file("Packed again")) == [[2]]
    downloaded.write_bytes(rest.call("GET", f"{content}?includeExtract=False").content)
    assert rest.error(rest.publish(downloaded, "Without data")) == "400011"


def test_an_extract_of_another_source_cannot_be_patched(
    running: Running, hypers: Hypers, live_tds: str, pack: Callable[..., Path]
) -> None:
    extract = (
        "<extract count='-1' enabled='true' units='records'><connection class='hyper'"
        " dbname='Data/Extracts/GL.hyper' schema='Extract' tablename='Extract'/></extract>"
    )
    document = live_tds.replace("class='hyper'", "class='sqlserver'", 1)
    document = document.replace("</datasource>", f"{extract}</datasource>")
    rest = running.rest("application/json")
    published = rest.publish(pack(document, hypers.table('"k" INT', "(1)")), "Extracted")
    assert published.status_code == 201, published.text
    item = running.server.datasources()[-1]
    assert not item.live_to_hyper
    refused = rest.call(
        "PATCH",
        f"/sites/{{site}}/datasources/{item.id}/data",
        json={"actions": []},
        headers={"RequestID": "x"},
    )
    assert rest.error(refused) == "400000"
    assert "live-to-Hyper" in refused.text


@pytest.mark.parametrize(
    ("old", "new", "detail"),
    [
        pytest.param("GL.hyper'", "Other.hyper'", "does not hold", id="another file"),
        pytest.param("[Extract].[Extract]", "[Extract].[no]", "does not hold", id="another table"),
        pytest.param("</connection>\n <c", "<c", "well-formed", id="not well-formed"),
        pytest.param("<datasource ", "<!DOCTYPE d><datasource ", "DTD", id="with a DTD"),
        pytest.param("class='hyper'", "class='mysql'", "0 connections", id="no hyper connection"),
    ],
)
def test_a_package_that_does_not_fit_together_is_refused(
    *,
    running: Running,
    hypers: Hypers,
    live_tds: str,
    pack: Callable[..., Path],
    old: str,
    new: str,
    detail: str,
) -> None:
    assert old in live_tds
    rest = running.rest("application/json")
    package = pack(live_tds.replace(old, new, 1), hypers.table('"k" INT', "(1)"))
    answer = rest.publish(package, "Broken")
    assert rest.error(answer) == "400011"
    assert detail in answer.json()["error"]["detail"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        pytest.param("?datasourceType=tde", "400011", id="a type that is not taken"),
        pytest.param("?overwrite=true&append=true", "400000", id="overwrite and append"),
        pytest.param("?append=true", "400000", id="nothing to append to"),
    ],
)
def test_a_publish_request_that_contradicts_itself_is_refused(
    running: Running, hypers: Hypers, query: str, code: str
) -> None:
    rest = running.rest("application/json")
    file = hypers.table('"k" INT', "(1)")
    parts = [
        ("request_payload", "", "text/xml", b'<tsRequest><datasource name="No"/></tsRequest>'),
        ("tableau_datasource", "x.hyper", "application/octet-stream", file.read_bytes()),
    ]
    assert rest.error(rest.multipart("POST", f"/sites/{{site}}/datasources{query}", parts)) == code


@pytest.mark.parametrize(
    ("document", "code"),
    [
        pytest.param(b'<tsRequest><datasource name="No"/></tsRequest>', "400020", id="no file"),
        pytest.param(b"<tsRequest><datasource/></tsRequest>", "400000", id="no name"),
        pytest.param(b"<tsRequest/>", "400000", id="no data source"),
        pytest.param(
            b'<tsRequest><datasource name="No"><project id="x"/></datasource></tsRequest>',
            "400020",
            id="no file for an unknown project",
        ),
    ],
)
def test_a_publish_request_that_lacks_something_is_refused(
    running: Running, document: bytes, code: str
) -> None:
    rest = running.rest("application/json")
    parts = [("request_payload", "", "text/xml", document)]
    assert rest.error(rest.multipart("POST", "/sites/{site}/datasources", parts)) == code


def test_an_unknown_project_is_404005(running: Running, hypers: Hypers) -> None:
    rest = running.rest("application/json")
    document = b'<tsRequest><datasource name="No"><project id="x"/></datasource></tsRequest>'
    content = hypers.table('"k" INT', "(1)").read_bytes()
    parts = [
        ("request_payload", "", "text/xml", document),
        ("tableau_datasource", "x.hyper", "application/octet-stream", content),
    ]
    assert rest.error(rest.multipart("POST", "/sites/{site}/datasources", parts)) == "404005"


def poll(call: Callable[..., requests.Response], job_id: str) -> dict[str, Any]:
    """The job, once it is done."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        answer = call("GET", f"/sites/{{site}}/jobs/{job_id}")
        job: dict[str, Any] = answer.json()["job"]
        if "completedAt" in job:
            return job
        time.sleep(0.02)
    raise TimeoutError
