"""What the tests of the ``d365fo-tableau`` command share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.ops import chromium

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Browser]:
    """A page of a real browser."""
    if chromium.PROGRAM is None:
        pytest.skip("NOT TESTED IN A BROWSER: chromium is not installed (apt install chromium)")
    with chromium.running(tmp_path_factory.mktemp("chromium")) as page:
        yield page
