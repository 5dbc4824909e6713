"""Served environments for the tests of the D365 part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.sandbox.d365.site import Site

from contoso_sandbox.tls import Tls, create_tls

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return create_tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def site(tls: Tls) -> Iterator[Site]:
    """The small environment, shared: read it, do not change it."""
    with Site.small(tls) as served:
        yield served


@pytest.fixture
def own_site(tls: Tls) -> Iterator[Site]:
    """The small environment for a test that changes its rows."""
    with Site.small(tls) as served:
        yield served


@pytest.fixture(scope="module")
def _faulty(tls: Tls) -> Iterator[Site]:
    with Site.small(tls) as served:
        yield served


@pytest.fixture
def faulty(_faulty: Site) -> Iterator[Site]:
    """The small environment for a test that scripts faults; the next test finds it behaving."""
    _faulty.d365.requests.clear()
    yield _faulty
    _faulty.d365.faults.clear()
