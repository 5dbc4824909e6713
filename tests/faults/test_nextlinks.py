"""nextLinks that lead in circles, astray, or on over nothing."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.faults.ways import CURSOR, FULL, HIGH_WATER, MIDDLE, SCAN, spots, ways

from contoso_sandbox.faults import (
    Fault,
    empty_page_with_link,
    endless_links,
    link_at,
    link_to_itself,
    link_to_the_first_page,
    link_with_userinfo,
    next_link,
    pages_of,
    percent_encoded_link,
    redirect,
    relative_link,
)
from pipeline_core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.conftest import Bench
    from tests.faults.ways import Spot, Way

    from contoso_sandbox.faults import Action


@pytest.mark.parametrize(
    "links",
    [
        pytest.param(link_to_itself, id="T12 A leads to A"),
        pytest.param(endless_links, id="T12 a next page for ever"),
    ],
)
@ways("T12", FULL, CURSOR, HIGH_WATER, SCAN)
def test_t12_a_walk_without_an_end_is_ended(
    bench: Bench, way: Way, links: Callable[[], Action]
) -> None:
    run = bench.converges(way, Fault(links(), on=pages_of(way.entity_set)))
    assert isinstance(run.error, DataError), repr(run.error)
    assert run.exit_code == 65
    assert len(bench.data()) < 200


@ways("T12", FULL, SCAN)
def test_t12_a_circle_of_pages_is_left(bench: Bench, way: Way) -> None:
    """A leads to B leads to A."""
    run = bench.converges(way, Fault(link_to_the_first_page(), on=pages_of(way.entity_set)))
    assert isinstance(run.error, DataError), repr(run.error)


@ways("T12", CURSOR, HIGH_WATER)
def test_t12_who_pages_by_value_needs_no_link(bench: Bench, way: Way) -> None:
    """That there is one says that rows follow; where it leads does not matter."""
    astray = next_link(lambda real, _: real and f"/data/{way.entity_set}", "astray")
    bench.survives(way, Fault(astray, on=pages_of(way.entity_set)))


@pytest.mark.parametrize(
    "links",
    [
        pytest.param(link_to_itself, id="T12 A leads to A"),
        pytest.param(endless_links, id="T12 a next page for ever"),
    ],
)
def test_t12_the_list_of_entities_in_circles(bench: Bench, links: Callable[[], Action]) -> None:
    run = bench.converges(FULL, Fault(links(), on="/metadata/DataEntities"))
    assert isinstance(run.error, DataError)
    assert run.output.messages == []


class Elsewhere:
    """A port on this machine that is not the environment: nobody may come."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self.port: int = listening.getsockname()[1]

    def assert_nobody_came(self) -> None:
        """Fail if a connection waits."""
        self._listening.setblocking(False)  # noqa: FBT003 - the name is the socket module's
        with pytest.raises(BlockingIOError):
            self._listening.accept()


@contextmanager
def elsewhere() -> Iterator[Elsewhere]:
    """Listen on another port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield Elsewhere(listening)


@pytest.mark.parametrize(
    "place",
    [
        pytest.param({"netloc": "127.0.0.1:{port}"}, id="T13 another port"),
        pytest.param({"netloc": "localhost:{port}"}, id="T13 another host"),
        pytest.param({"netloc": "[::1]:{port}"}, id="T13 IPv6"),
        pytest.param({"netloc": "xn--contso-yxa.example"}, id="T13 IDN"),
        pytest.param({"netloc": "contöso.example"}, id="T13 IDN, not encoded"),
        pytest.param({"scheme": "http"}, id="T13 http"),
        pytest.param({"scheme": "http", "netloc": "127.0.0.1:{port}"}, id="T13 http elsewhere"),
    ],
)
def test_t13_only_path_and_query_of_a_link_are_used(bench: Bench, place: dict[str, str]) -> None:
    with elsewhere() as other:
        at = {name: text.format(port=other.port) for name, text in place.items()}
        bench.survives(FULL, Fault(link_at(**at), on=pages_of(FULL.entity_set)))
        other.assert_nobody_came()


@pytest.mark.parametrize(
    "links",
    [
        pytest.param(link_with_userinfo(), id="T13 userinfo"),
        pytest.param(link_with_userinfo(""), id="T13 empty userinfo"),
        pytest.param(link_at(path="/api/connector/enqueue/x"), id="T13 another service"),
        pytest.param(link_at(path="/data/../api/x"), id="T13 climbs out"),
        pytest.param(link_at(path="/data/%2e%2e/api/x"), id="T13 climbs out, encoded"),
        pytest.param(next_link("javascript:alert(1)"), id="T13 no address"),
        pytest.param(next_link("https://[::1/data/X"), id="T13 half an address"),
        pytest.param(
            next_link(lambda _link, _asked: "https://host:99999/data/X"), id="T13 no port"
        ),
    ],
)
def test_t13_a_link_that_the_service_does_not_send_is_fatal(bench: Bench, links: Action) -> None:
    run = bench.converges(FULL, MIDDLE.fault(links, FULL, times=9))
    assert isinstance(run.error, DataError), repr(run.error)
    # Nothing was asked but what the environment's own addresses say.
    assert all(a.asked.path.startswith(("/data/", "/metadata/")) for a in bench.arrivals)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_t13_a_redirect_is_not_followed(bench: Bench, status: int) -> None:
    with elsewhere() as other:
        to = f"https://127.0.0.1:{other.port}/data/{FULL.entity_set}"
        run = bench.converges(FULL, MIDDLE.fault(redirect(to, status), FULL))
        other.assert_nobody_came()
    assert isinstance(run.error, ConfigError)
    assert run.exit_code == 78


def test_t13_a_redirect_of_the_token_endpoint_is_not_followed(bench: Bench) -> None:
    with elsewhere() as other:
        to = f"https://127.0.0.1:{other.port}/token"
        bench.contoso.entra_faults.add(Fault(redirect(to, 307), on=".*/token"))
        run = bench.converges(FULL)
        other.assert_nobody_came()
    assert run.error is not None


@pytest.mark.parametrize(
    "links",
    [
        pytest.param(relative_link(), id="T13 relative"),
        pytest.param(percent_encoded_link(), id="T13 percent-encoded"),
    ],
)
@ways("", FULL, CURSOR, HIGH_WATER, SCAN)
def test_t13_links_in_other_spellings_are_followed(bench: Bench, way: Way, links: Action) -> None:
    bench.survives(way, Fault(links, on=pages_of(way.entity_set)))


@spots("T14")
def test_t14_an_empty_page_with_a_link_is_no_end(bench: Bench, way: Way, spot: Spot) -> None:
    bench.survives(way, spot.fault(empty_page_with_link(), way))


def test_t14_an_empty_page_in_the_list_of_entities_is_no_end(bench: Bench) -> None:
    bench.survives(FULL, Fault(empty_page_with_link(), on="/metadata/DataEntities", nth=1))
