"""Who signs in, for how long, and what happens when somebody else does."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from tests.target.faults import Fault, xml_error
from tests.target.harness import TOKEN_NAME, TOKEN_VALUE
from tests.target.messages import record, schema, state

from contoso_sandbox.serving import HttpsServer
from contoso_sandbox.tableau import TableauServer
from contoso_sandbox.tableau.scopes import allows
from pipeline_core.errors import AuthError, ConfigError
from target_tableau_hyper.settings_identity import ConnectedApp, PersonalToken, identity_of
from target_tableau_hyper.tableau import identity
from target_tableau_hyper.tableau.identity import credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.target.harness import Extracts, Rows, Tableau

SCHEMA = schema("gl", {"id": {"type": "integer"}}, keys=["id"])
RUN = [SCHEMA, record("gl", {"id": 1}), state({"run": 1})]
ENDED = xml_error("401002")

APP = ConnectedApp("client-1", "secret-1", "analyst", "a secret of at least thirty-two bytes")
APP_CONFIG = {
    "tableau_client_id": APP.client_id,
    "tableau_secret_id": APP.secret_id,
    "tableau_secret_value": APP.secret_value,
    "tableau_username": APP.username,
}
TOKEN_CONFIG = {"tableau_token_name": "t", "tableau_token_value": "v"}


# -- which identity --------------------------------------------------------------------------------


def test_an_identity_is_a_token_or_a_connected_app() -> None:
    assert identity_of(TOKEN_CONFIG) == PersonalToken("t", "v")
    assert identity_of(APP_CONFIG) == APP
    assert APP.secret_value not in repr(APP)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        pytest.param({}, "tableau_token_name and tableau_token_value is not", id="none"),
        pytest.param({"tableau_token_name": "t"}, "tableau_token_value is not", id="half a token"),
        pytest.param(
            {"tableau_client_id": "c", "tableau_username": "u"},
            "tableau_secret_id and tableau_secret_value is not",
            id="half an app",
        ),
        pytest.param({**TOKEN_CONFIG, **APP_CONFIG}, "two ways of signing in", id="both"),
    ],
)
def test_an_identity_in_part_or_twice_is_refused(config: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        identity_of(config)


def test_every_web_token_is_new_and_short_lived() -> None:
    now = datetime.now(UTC)
    made = [credentials(APP, "contoso", now=now).credentials["jwt"] for _ in range(2)]
    claims = [
        jwt.decode(token, APP.secret_value, algorithms=["HS256"], audience="tableau")
        for token in made
    ]
    assert claims[0]["jti"] != claims[1]["jti"]
    assert claims[0]["exp"] - now.timestamp() <= 600
    assert jwt.get_unverified_header(made[0])["kid"] == APP.secret_id


# -- on a server -----------------------------------------------------------------------------------


@pytest.fixture
def app_config(tableau: Tableau) -> dict[str, Any]:
    plain = {k: v for k, v in tableau.config.items() if not k.startswith("tableau_token")}
    return {**plain, **APP_CONFIG}


@pytest.fixture(scope="module", autouse=True)
def trusted(tableau_server: Tableau) -> None:
    tableau_server.server.add_connected_app(APP.client_id, APP.secret_id, APP.secret_value)


def test_a_connected_app_publishes(
    extracts: Extracts, tableau: Tableau, app_config: dict[str, Any]
) -> None:
    assert extracts.run(RUN, **app_config) == ['{"run":1}']
    assert [d.name for d in tableau.server.datasources()] == ["gl"]
    assert [r.status for r in tableau.server.requests if "signout" in r.path] == [204]


def test_a_connected_app_may_do_all_that_a_run_asks_for(
    extracts: Extracts, tableau: Tableau, app_config: dict[str, Any]
) -> None:
    everything = {
        **app_config,
        "tableau_project": "Made/By us",
        "create_project": True,
        "tags": ["finance"],
    }
    extracts.run(RUN, **everything)
    extracts.run([*RUN[:-1], record("gl", {"id": 9}), RUN[-1]], **everything)
    assert extracts.manifest("gl")["delivered"]["how"] == "update"
    (found,) = tableau.server.datasources()
    assert set(found.tags) == {"finance"}
    assert all(request.status < 400 for request in tableau.server.requests), tableau.server.requests
    scopes = frozenset(identity._SCOPES)  # noqa: SLF001
    assert allows(scopes, "POST", "/api/3.26/sites/s/datasources/d/refresh")
    assert allows(scopes, "POST", "/api/3.26/sites/s/workbooks/w/refresh")
    assert allows(scopes, "PUT", "/api/3.26/sites/s/jobs/j")


def test_a_scope_that_is_missing_is_told(
    extracts: Extracts, app_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    scopes = tuple(s for s in identity._SCOPES if s != "tableau:file_uploads:create")  # noqa: SLF001
    monkeypatch.setattr(identity, "_SCOPES", scopes)
    with pytest.raises(AuthError, match="does the connected app lack the scope"):
        extracts.run(RUN, **app_config)


def test_a_connected_app_signs_in_again_with_a_new_token(
    extracts: Extracts, tableau: Tableau, app_config: dict[str, Any]
) -> None:
    tableau.faulty.faults = [Fault("GET", "/jobs/", status=401, body=ENDED)]
    assert extracts.run(RUN, **app_config) == ['{"run":1}']
    assert tableau.calls("POST", "/signin") == 2


@pytest.mark.parametrize("setting", APP_CONFIG)
def test_a_connected_app_that_is_not_right_is_refused(
    extracts: Extracts, app_config: dict[str, Any], setting: str, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = {**app_config, setting: "something else of at least 32 bytes"}
    with pytest.raises(AuthError, match=r"was refused for connected app .*tableau_username"):
        extracts.run(RUN, **wrong)
    assert not re.search(r"eyJ[\w-]+\.eyJ", caplog.text)


def test_l07_a_connected_app_is_not_told_of_tokens(
    extracts: Extracts, tableau: Tableau, app_config: dict[str, Any]
) -> None:
    tableau.faulty.faults = [
        Fault("GET", "/projects", status=401, body=ENDED),
        Fault("PUT", "/fileUploads/", status=401, body=ENDED),
    ]
    with pytest.raises(AuthError, match="check the scopes that the connected app") as caught:
        extracts.run(RUN, **app_config)
    assert "another process signs in with the same token" not in str(caught.value)


def test_l07_two_processes_with_one_token_stop_instead_of_fighting(
    extracts: Extracts, tableau: Tableau
) -> None:
    tableau.faulty.faults = [
        Fault("GET", "/projects", status=401, body=ENDED),
        Fault("PUT", "/fileUploads/", status=401, body=ENDED),
    ]
    with pytest.raises(AuthError, match=f"session of token '{TOKEN_NAME}' was ended again after"):
        extracts.run(RUN, **tableau.config)
    assert extracts.said == ""


def test_l07_a_token_that_is_revoked_while_a_file_travels_ends_the_run_and_loses_nothing(
    extracts: Extracts, tableau: Tableau, rows: Rows
) -> None:
    extracts.run(RUN, **tableau.config)
    before = rows(tableau.server.hyper_file("gl"))
    changed = [*RUN[:-1], record("gl", {"id": 99}), state({"run": 2})]
    tableau.faulty.faults = [
        Fault("PUT", "/fileUploads/", status=401, body=ENDED),
        Fault("POST", "/signin", at=2, times=99, status=401, body=xml_error("401001")),
    ]
    with pytest.raises(
        AuthError, match=rf"was refused for token '{TOKEN_NAME}' on site 'contoso'"
    ) as caught:
        extracts.run(changed, **tableau.config, publish="overwrite")
    assert TOKEN_VALUE not in str(caught.value)
    assert extracts.said == ""
    assert tableau.calls("POST", "/signin") == 3, "one of the first run, two of the second"
    assert rows(tableau.server.hyper_file("gl")) == before
    assert extracts.manifest("gl")["pending"]
    tableau.faulty.faults.clear()
    assert extracts.run([RUN[0], state({"run": 3})], **tableau.config) == ['{"run":3}']
    assert rows(tableau.server.hyper_file("gl")) == [*before, (99,)]


@pytest.fixture
def slow_day(
    tableau: Tableau, tmp_path: Path
) -> Iterator[Callable[..., tuple[Tableau, list[timedelta]]]]:
    """Starts a server whose clock a test may move."""
    stops: list[Callable[[], None]] = []

    def start(minutes: int) -> tuple[Tableau, list[timedelta]]:
        ahead = [timedelta()]
        server = TableauServer(
            tmp_path / "tableau",
            job_seconds=0.01,
            token_minutes=minutes,
            clock=lambda: datetime.now(UTC) + ahead[0],
            middleware=tableau.faulty,
        )
        server.add_token(TOKEN_NAME, TOKEN_VALUE)
        web = HttpsServer(server.app, tableau.tls).start()
        stops.extend([server.close, web.stop])
        return replace(tableau, server=server, web=web), ahead

    yield start
    for stop in reversed(stops):
        stop()


@pytest.mark.parametrize("minutes", [120, 240])
def test_l07_a_run_that_outlives_its_session_goes_on(
    extracts: Extracts, slow_day: Callable[..., tuple[Tableau, list[timedelta]]], minutes: int
) -> None:
    """Tableau Cloud ends sessions after 120 minutes, Server after 240, however busy they are."""
    there, ahead = slow_day(minutes)

    def pass_the_day(scope: dict[str, Any]) -> bool:
        if scope["method"] == "PUT" and not ahead[0]:
            ahead[0] = timedelta(minutes=minutes, seconds=1)
        return False

    there.faulty.faults = [Watch(pass_the_day)]
    assert extracts.run(RUN, **there.config) == ['{"run":1}']
    assert ahead[0]
    assert [d.name for d in there.server.datasources()] == ["gl"]
    assert there.calls("POST", "/signin") == 2


class Watch(Fault):
    """Looks at every request and does nothing to it."""

    def __init__(self, look: Callable[[Any], bool]) -> None:
        super().__init__("", "")
        self.look = look

    def hits(self, scope: Any) -> bool:  # noqa: ANN401
        return self.look(scope)
