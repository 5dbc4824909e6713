"""A client that speaks JSON, as tableau-api-lib and tableau-cli do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.types import ASGIApp, Receive, Scope, Send
    from tests.sandbox.tableau.conftest import Hypers, Running


def test_projects_are_created_and_listed(running: Running) -> None:
    rest = running.rest("application/json")
    created = rest.call(
        "POST", "/sites/{site}/projects", json={"project": {"name": "JSON", "description": "ä & <"}}
    )
    assert created.status_code == 201
    assert created.headers["Content-Type"] == "application/json;charset=utf-8"
    project = created.json()["project"]
    assert (project["name"], project["description"]) == ("JSON", "ä & <")
    assert project["topLevelProject"] is True
    query = "?filter=name:eq:JSON&pageSize=10&pageNumber=1&fields=_default_"
    listed = rest.call("GET", f"/sites/{{site}}/projects{query}").json()
    assert listed["pagination"] == {"pageNumber": "1", "pageSize": "10", "totalAvailable": "1"}
    assert listed["projects"]["project"] == [project]


def test_an_empty_list_is_an_empty_object(running: Running) -> None:
    rest = running.rest("application/json")
    listed = rest.call("GET", "/sites/{site}/datasources?filter=name:eq:none").json()
    assert listed["pagination"]["totalAvailable"] == "0"
    assert listed["datasources"] == {}


def test_publish_query_tag_download_delete(running: Running, hypers: Hypers) -> None:
    rest = running.rest("application/json")
    file = hypers.table('"k" INT', "(1)")
    published = rest.publish(file, "By JSON")
    assert published.status_code == 201
    item = published.json()["datasource"]
    one = f"/sites/{{site}}/datasources/{item['id']}"
    assert rest.call("GET", one).json()["datasource"] == item
    assert item["project"]["name"] == "default"
    tagged = rest.call("PUT", f"{one}/tags", json={"tags": {"tag": [{"label": "x"}]}})
    assert tagged.json() == {"tags": {"tag": [{"label": "x"}]}}
    assert rest.call("GET", one).json()["datasource"]["tags"]["tag"] == [{"label": "x"}]
    (connection,) = rest.call("GET", f"{one}/connections").json()["connections"]["connection"]
    assert connection["type"] == "hyper"
    changed = rest.call("PUT", one, json={"datasource": {"description": "new", "name": "Renamed"}})
    assert changed.json()["datasource"]["description"] == "new"
    content = rest.call("GET", f"{one}/content")
    assert content.content == file.read_bytes()
    disposition = 'name="tableau_datasource"; filename="Renamed.hyper"'
    assert content.headers["Content-Disposition"] == disposition
    assert rest.call("DELETE", one).status_code == 204
    assert rest.error(rest.call("GET", one)) == "404004"


def test_a_job_is_shown_with_the_data_source_that_it_changes(
    running: Running, hypers: Hypers, extract_tds: str, pack: Callable[..., Path]
) -> None:
    rest = running.rest("application/json")
    rest.publish(pack(extract_tds, hypers.table('"k" INT', "(1)")), "Refreshed by JSON")
    item = running.server.datasources()[-1]
    queued = rest.call("POST", f"/sites/{{site}}/datasources/{item.id}/refresh", json={})
    assert queued.status_code == 202
    job = queued.json()["job"]
    assert (job["mode"], job["type"]) == ("Asynchronous", "RefreshExtract")
    shown = rest.call("GET", f"/sites/{{site}}/jobs/{job['id']}").json()["job"]
    assert shown["extractRefreshJob"]["datasource"] == {"id": item.id, "name": item.name}
    assert shown["finishCode"] in ("0", "1")


def test_a_refusal_is_json_too(running: Running) -> None:
    rest = running.rest("application/json")
    answer = rest.call("GET", "/sites/{site}/users/7a8f8f0e-0000-4000-8000-000000000000")
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert (error["code"], error["summary"]) == ("404002", "Resource Not Found")
    assert "could not be found" in error["detail"]


def test_json_in_the_body_alone_is_answered_in_xml(running: Running) -> None:
    """tableauserverclient sends the actions of an update as JSON and parses XML."""
    rest = running.rest()
    answer = rest.call("POST", "/sites/{site}/projects", json={"project": {"name": "XML"}})
    assert answer.status_code == 201
    assert answer.headers["Content-Type"] == "application/xml;charset=utf-8"


def test_the_current_session_and_the_site_can_be_read(running: Running) -> None:
    rest = running.rest("application/json")
    session = rest.call("GET", "/sessions/current").json()["session"]
    assert session["user"]["name"] == "analyst"
    assert session["site"] == rest.call("GET", "/sites/{site}").json()["site"]
    users = rest.call("GET", "/sites/{site}/users").json()["users"]["user"]
    assert session["user"] in users


def test_every_request_is_in_the_log(running: Running) -> None:
    rest = running.rest()
    before = len(running.server.requests)
    rest.call("POST", "/sites/{site}/projects?x=1", data=b"12345", headers={"RequestID": "r-1"})
    (noted,) = running.server.requests[before:]
    assert (noted.method, noted.query, noted.status) == ("POST", "x=1", 400)
    assert (noted.request_bytes, noted.request_id) == (5, "r-1")
    assert noted.path == f"/api/3.29/sites/{running.server.site_id}/projects"


def test_what_is_wrapped_around_the_application_is_in_the_log(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    """The place for scripted faults: it sees every request first, and the log sees what it does."""

    def unavailable_once(app: ASGIApp) -> ASGIApp:
        answers = iter([PlainTextResponse("try again", 503, {"Retry-After": "1"})])

        async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
            await next(answers, app)(scope, receive, send)

        return middleware

    running = start(tmp_path, middleware=unavailable_once)
    rest = running.rest(signed_in=False)
    assert rest.call("GET", "/serverInfo").headers["Retry-After"] == "1"
    assert rest.call("GET", "/serverInfo").ok
    assert [noted.status for noted in running.server.requests] == [503, 200]
