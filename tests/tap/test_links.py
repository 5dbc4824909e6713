"""A link decides the path and the query, never the place (fault T13)."""

from __future__ import annotations

import pytest

from pipeline_core.errors import DataError
from tap_d365fo.access.links import LinkRebaser

HOME = "https://contoso.operations.dynamics.com"
CURRENT = f"{HOME}/data/VendorsV2?cross-company=true"
NEXT = "/data/VendorsV2?cross-company=true&$skip=10000&$top=10000"


@pytest.mark.parametrize(
    "link",
    [
        pytest.param(f"{HOME}{NEXT}", id="absolute"),
        pytest.param(NEXT, id="relative to the host"),
        pytest.param(NEXT.removeprefix("/data/"), id="relative to the page"),
        pytest.param(f"http://contoso.operations.dynamics.com{NEXT}", id="http"),
        pytest.param(f"https://aos-7.internal:8443{NEXT}", id="another host"),
        pytest.param(f"https://[::1]:8443{NEXT}", id="IPv6"),
        pytest.param(f"https://cöntoso.example{NEXT}", id="IDN"),
        pytest.param(f" {HOME}{NEXT} ", id="blanks around"),
    ],
)
def test_requests_stay_at_home(link: str) -> None:
    assert LinkRebaser(HOME).rebase(link, current=CURRENT) == f"{HOME}{NEXT}"


def test_the_prefix_of_an_on_premises_environment_is_kept() -> None:
    home = "https://ax.contoso.local/namespaces/AXSF"
    link = f"https://ax.contoso.local/namespaces/AXSF{NEXT}"
    current = f"{home}/data/VendorsV2"
    assert LinkRebaser(home).rebase(link, current=current) == f"{home}{NEXT}"
    assert LinkRebaser(home).rebase("VendorsV2?$skip=1", current=current) == (
        f"{home}/data/VendorsV2?$skip=1"
    )


@pytest.mark.parametrize(
    "link",
    [
        pytest.param("https://user:pw@contoso.operations.dynamics.com/data/X", id="user info"),
        pytest.param("https://@evil.example/data/X", id="empty user info"),
        pytest.param(f"{HOME}/api/connector/enqueue/1", id="another service"),
        pytest.param(f"{HOME}/data/../api/X", id="climbs out"),
        pytest.param(f"{HOME}/data/%2e%2e/api/X", id="climbs out, encoded"),
        pytest.param(f"{HOME}/data/..\\api", id="climbs out by backslash"),
        pytest.param("https://[broken/data/X", id="no address"),
        pytest.param("https://host:99999/data/X", id="no port"),
        pytest.param("javascript:alert(1)", id="no path"),
    ],
)
def test_strange_links_are_fatal(link: str) -> None:
    with pytest.raises(DataError, match="/data/VendorsV2 answered with a nextLink"):
        LinkRebaser(HOME).rebase(link, current=CURRENT)
