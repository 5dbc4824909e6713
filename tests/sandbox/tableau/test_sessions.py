"""Signing in, and everything that keeps a request out."""

# tableauserverclient is typed in part only.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
import tableauserverclient as TSC  # noqa: N812 - as in its documentation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.sandbox.tableau.conftest import Running

PROJECTS = "/sites/{site}/projects"


def test_a_token_expires_by_the_clock(start: Callable[..., Running], tmp_path: Path) -> None:
    running = start(tmp_path, token_minutes=120)
    client, rest = running.sign_in(), running.rest()
    running.move_clock(timedelta(minutes=119))
    client.projects.get()
    running.move_clock(timedelta(minutes=121))
    with pytest.raises(TSC.FailedSignInError) as caught:
        client.projects.get()
    assert caught.value.code == "401002"
    assert rest.error(rest.call("GET", PROJECTS)) == "401002"
    assert rest.sign_in(running.token()).ok
    assert rest.call("GET", PROJECTS).ok


def test_a_request_without_a_token_is_401000(running: Running) -> None:
    rest = running.rest(signed_in=False)
    assert rest.error(rest.call("GET", PROJECTS)) == "401000"


@pytest.mark.parametrize("token", ["nonsense", "A|B|C", "' OR 1=1 --"])
def test_an_invented_token_is_401002(running: Running, token: str) -> None:
    rest = running.rest(signed_in=False)
    rest.token = token
    assert rest.error(rest.call("GET", PROJECTS)) == "401002"


def test_a_session_is_good_for_its_own_site_only(running: Running) -> None:
    rest = running.rest()
    answer = rest.call("GET", "/sites/9f0e6b6a-0000-4000-8000-000000000000/projects")
    assert rest.error(answer) == "403004"


@pytest.mark.parametrize(
    ("site", "status"),
    [
        pytest.param("contoso", 200, id="the site"),
        pytest.param("CONTOSO", 200, id="in another case"),
        pytest.param("", 200, id="the default site is the same one"),
        pytest.param("fabrikam", 401, id="a site that is not there"),
    ],
)
def test_a_sign_in_names_its_site(running: Running, site: str, status: int) -> None:
    rest = running.rest(signed_in=False)
    assert rest.sign_in(running.token(), site=site).status_code == status


@pytest.mark.parametrize(
    ("name", "secret"), [("nobody", "secret"), (None, "wrong")], ids=["name", "secret"]
)
def test_wrong_credentials_are_401001(running: Running, name: str | None, secret: str) -> None:
    rest = running.rest(signed_in=False)
    assert rest.error(rest.sign_in(name or running.token(), secret)) == "401001"


def test_a_user_with_a_password_may_sign_in(running: Running) -> None:
    running.server.add_user("operator", "passphrase")
    rest = running.rest("application/json", signed_in=False)
    credentials = {"name": "operator", "password": "passphrase", "site": {"contentUrl": ""}}
    answer = rest.call("POST", "/auth/signin", json={"credentials": credentials})
    user = answer.json()["credentials"]["user"]["id"]
    rest.token = answer.json()["credentials"]["token"]
    assert rest.call("GET", f"/sites/{{site}}/users/{user}").json()["user"]["name"] == "operator"
    credentials["password"] = ""
    assert rest.call("POST", "/auth/signin", json={"credentials": credentials}).status_code == 401


def test_a_user_without_a_password_may_not_sign_in_with_an_empty_one(running: Running) -> None:
    running.token("tokens only")
    rest = running.rest(signed_in=False)
    credentials = {"name": "tokens only", "password": "", "site": {"contentUrl": ""}}
    answer = rest.call("POST", "/auth/signin", json={"credentials": credentials})
    assert rest.error(answer) == "401001"


def test_the_answer_to_a_sign_in_has_the_recorded_form(running: Running) -> None:
    rest = running.rest(signed_in=False)
    answer = rest.sign_in(running.token())
    assert answer.headers["Content-Type"] == "application/xml;charset=utf-8"
    assert answer.text.startswith(
        "<?xml version='1.0' encoding='UTF-8'?><tsResponse xmlns=\"http://tableau.com/api\""
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        ' xsi:schemaLocation="http://tableau.com/api'
        ' https://help.tableau.com/samples/en-us/rest_api/ts-api_3_29.xsd"><credentials token="'
    )
    root = ET.fromstring(answer.content)  # noqa: S314 - our own server
    assert [child.tag for child in root] == ["{http://tableau.com/api}credentials"]
    assert re.fullmatch(r"\d\d+:\d\d:\d\d", root[0].attrib["estimatedTimeToExpiration"])
    assert re.fullmatch(r"[\w-]+\|[\w-]+\|[0-9a-f-]{36}", root[0].attrib["token"])


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<tsRequest>", id="not well-formed"),
        pytest.param(b"<tsRequest/>", id="no credentials"),
        pytest.param(b"<credentials/>", id="no tsRequest"),
        pytest.param(b"<tsRequest><credentials/></tsRequest>", id="credentials without any"),
        pytest.param(
            b'<!DOCTYPE t [<!ENTITY a "b">]><tsRequest><credentials name="&a;"/></tsRequest>',
            id="entities",
        ),
        pytest.param(b"\xff\xfe\x00", id="no text"),
    ],
)
def test_a_sign_in_that_cannot_be_read_is_400000(running: Running, body: bytes) -> None:
    rest = running.rest(signed_in=False)
    answer = rest.call("POST", "/auth/signin", data=body, headers={"Content-Type": "text/xml"})
    assert rest.error(answer) == "400000"


@pytest.mark.parametrize("spelling", ["serverInfo", "serverinfo", "SERVERINFO"])
@pytest.mark.parametrize("version", ["2.4", "3.6", "3.29"])
def test_server_info_is_open_in_any_case_and_version(
    running: Running, spelling: str, version: str
) -> None:
    rest = running.rest("application/json", signed_in=False)
    answer = rest.call("GET", f"/{spelling}", version=version).json()["serverInfo"]
    assert answer["restApiVersion"] == "3.29"
    assert answer["productVersion"]["value"] == "2026.2.0"


@pytest.mark.parametrize("version", ["3.30", "4.0", "1.9", "abc", "3"])
def test_other_api_versions_are_not_there(running: Running, version: str) -> None:
    rest = running.rest(signed_in=False)
    assert rest.error(rest.call("GET", "/serverInfo", version=version)) == "404003"


def test_unknown_resources_and_methods_are_refused(running: Running) -> None:
    rest = running.rest()
    assert rest.error(rest.call("GET", "/sites/{site}/nothing")) == "404003"
    assert rest.error(rest.call("DELETE", "/sites/{site}/projects")) == "405000"
