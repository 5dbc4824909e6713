"""Faults of a whole box: at the tenant as well as at the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests
from tests.sandbox.signed_in import Client

from contoso_sandbox.faults import (
    Fault,
    before,
    closed_before_headers,
    expires_in,
    pages_of,
    server_error,
    throttled,
    token_refused,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contoso_sandbox.contoso import Contoso
    from contoso_sandbox.pytest_plugin import NewContoso

TOKEN = ".*/oauth2/v2.0/token"


@pytest.fixture
def box(new_contoso: NewContoso) -> Iterator[Contoso]:
    with new_contoso(scale=0.02) as box:
        yield box


def ask_for_token(box: Contoso) -> requests.Response:
    settings = box.settings()
    tenant = settings["TAP_D365FO_TENANT_ID"]
    with requests.Session() as session:
        session.trust_env = False
        return session.post(
            f"{box.entra_url}/{tenant}/oauth2/v2.0/token",
            {
                "grant_type": "client_credentials",
                "client_id": settings["TAP_D365FO_CLIENT_ID"],
                "client_secret": settings["TAP_D365FO_CLIENT_SECRET"],
                "scope": f"{box.d365_url}/.default",
            },
            verify=str(box.ca_bundle),
            timeout=30,
        )


def test_the_token_endpoint_fails_on_command_and_recovers(box: Contoso) -> None:
    box.entra_faults.add(
        Fault(token_refused("invalid_client", 7000215), on=TOKEN, nth=1),
        Fault(server_error(503), on=TOKEN, nth=2),
        Fault(expires_in(-5), on=TOKEN, nth=3),
    )
    answers: list[Any] = [ask_for_token(box) for _ in range(4)]
    assert [answered.status_code for answered in answers] == [401, 503, 200, 200]
    assert answers[0].json()["error"] == "invalid_client"
    assert answers[0].json()["error_codes"] == [7000215]
    assert [answered.json()["expires_in"] for answered in answers[2:]] == [-5, 3599]


def test_the_token_endpoint_can_break_its_connections(box: Contoso) -> None:
    box.entra_faults.add(Fault(closed_before_headers(), on=TOKEN, times=1))
    with pytest.raises(requests.ConnectionError):
        ask_for_token(box)
    assert ask_for_token(box).status_code == 200


def test_faults_of_the_environment_leave_the_tenant_alone(box: Contoso) -> None:
    box.d365.faults.add(Fault(throttled(1)))
    token = ask_for_token(box).json()["access_token"]
    with requests.Session() as session:
        session.trust_env = False
        refused = session.get(
            f"{box.d365_url}/data",
            headers={"Authorization": f"Bearer {token}"},
            verify=str(box.ca_bundle),
            timeout=30,
        )
    assert refused.status_code == 429
    assert [applied.name for applied in box.d365.faults.applied] == ["answer 429"]
    assert box.entra_faults.applied == []


def test_the_world_changes_while_a_client_pages(new_contoso: NewContoso) -> None:
    with new_contoso(scale=0.02, page_size=5) as box:
        client = Client(box.settings())
        path = "/data/VendorGroups?cross-company=true"
        groups = client.walk(path)
        first = {name: groups[0][name] for name in ("dataAreaId", "VendorGroupId")}
        tags = {row["@odata.etag"] for row in client.json(path)["value"]}
        box.d365.faults.add(
            Fault(
                before(lambda _: box.world.delete("VendorGroups", first)),
                nth=2,
                on=pages_of("VendorGroups"),
            ),
        )
        # A row was deleted on the page that was read, so the sixth moved there and is never seen.
        assert client.walk(path) == groups[:5] + groups[6:]
        key = {name: groups[1][name] for name in first}
        box.world.change("VendorGroups", key, Description="changed")
        changed = client.json(path)["value"][0]
        assert changed["Description"] == "changed"
        assert changed["@odata.etag"] not in tags
