"""Servers and programs of others, started once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.interop.postgres import Postgres, private_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with private_postgres() as server:
        yield server
