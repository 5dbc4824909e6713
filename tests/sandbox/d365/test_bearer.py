"""Who is let in: the environment's own checks of a token that Entra ID has issued."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from contoso_sandbox.d365.bearer import Gate
from contoso_sandbox.entra import Registration, Tenant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.sandbox.d365.site import Site

TENANT_ID = "5f0c1c6e-8f7e-4d55-9a5e-0d6f1f7c0001"
CLIENT_ID = "9b2d7c1a-1111-4222-8333-444455556666"
URL = "https://contoso.operations.dynamics.com"
APPLICATION = Registration(CLIENT_ID, "secret")


@dataclass
class Clock:
    now: float

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def tenant() -> Tenant:
    tenant = Tenant(TENANT_ID, clock=Clock(time.time()))
    tenant.resources |= {URL, "https://other"}
    return tenant


def token(tenant: Tenant, audience: str = URL) -> str:
    return tenant.issue(APPLICATION, audience, by_certificate=False)


def test_a_registered_application_with_a_token_for_this_environment_enters(tenant: Tenant) -> None:
    gate = Gate(tenant, TENANT_ID, {CLIENT_ID})
    assert gate.admits(f"Bearer {token(tenant)}", audience=URL)
    assert gate.admits(f"bearer {token(tenant)}", audience=URL)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(lambda _: "", id="no header"),
        pytest.param(lambda _: "Bearer ", id="no token"),
        pytest.param(lambda _: "Bearer nonsense", id="not a token"),
        pytest.param(lambda tenant: f"Basic {token(tenant)}", id="another scheme"),
        pytest.param(token, id="no scheme"),
        pytest.param(
            lambda tenant: f"Bearer {token(tenant, 'https://other')}", id="other audience"
        ),
        pytest.param(
            lambda tenant: f"Bearer {token(tenant, URL + '/')}", id="audience with a slash"
        ),
        pytest.param(lambda tenant: f"Bearer {token(tenant)[:-3]}xyz", id="bad signature"),
    ],
)
def test_everybody_else_stays_outside(tenant: Tenant, header: Callable[[Tenant], str]) -> None:
    gate = Gate(tenant, TENANT_ID, {CLIENT_ID})
    assert not gate.admits(header(tenant), audience=URL)


def test_a_valid_token_of_an_unregistered_application_stays_outside(tenant: Tenant) -> None:
    """The token is fine, the setup in F&O is missing: the error everybody meets once."""
    gate = Gate(tenant, TENANT_ID, set())
    assert not gate.admits(f"Bearer {token(tenant)}", audience=URL)
    gate.applications.add(CLIENT_ID)
    assert gate.admits(f"Bearer {token(tenant)}", audience=URL)


@dataclass
class Claims:
    """An Entra ID that vouches for whatever it is told to."""

    says: Mapping[str, object]

    def claims(self, token: str) -> Mapping[str, object] | None:
        del token
        return self.says


GOOD = {"aud": URL, "tid": TENANT_ID, "oid": "principal", "appid": CLIENT_ID}


@pytest.mark.parametrize(
    ("change", "admitted"),
    [
        pytest.param({}, True, id="all four claims"),
        pytest.param({"tid": "another"}, False, id="other tenant"),
        pytest.param({"oid": None}, False, id="no service principal"),
        pytest.param({"aud": "00000015-0000-0000-c000-000000000000"}, False, id="application id"),
        pytest.param({"appid": None}, False, id="no application"),
    ],
)
def test_every_claim_is_checked(change: dict[str, object], *, admitted: bool) -> None:
    gate = Gate(Claims(GOOD | change), TENANT_ID, {CLIENT_ID})
    assert gate.admits("Bearer x", audience=URL) is admitted


def test_an_expired_token_stays_outside(tenant: Tenant) -> None:
    clock = Clock(1_800_000_000)
    tenant = Tenant(TENANT_ID, token_life_s=60, clock=clock)
    tenant.resources.add(URL)
    gate = Gate(tenant, TENANT_ID, {CLIENT_ID})
    header = f"Bearer {token(tenant)}"
    clock.now += 59
    assert gate.admits(header, audience=URL)
    clock.now += 1
    assert not gate.admits(header, audience=URL)


@pytest.mark.parametrize("path", ["/data", "/data/VendorsV2", "/metadata/DataEntities", "/nothing"])
def test_a_401_has_no_body_and_comes_before_everything_else(site: Site, path: str) -> None:
    answer = site.request("GET", path, {"Authorization": "Bearer nonsense"})
    assert answer.status == 401
    assert answer.text == ""
    assert answer.headers["ms-dyn-aid"]
