"""What the tests of the ``d365fo-tableau`` command share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.ops import chromium
from tests.tools import needed

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Browser]:
    """A page of a real browser."""
    program = needed("chromium", package="chromium")
    with chromium.running(program, tmp_path_factory.mktemp("chromium")) as page:
        yield page
