"""pytest fixtures: a running Contoso for tests.

``contoso`` is shared by the whole session; a test that changes the data (``world.advance``) or that
counts requests takes ``new_contoso`` instead. ``synthetic_environment`` and ``odd_environment`` are
other environments than Contoso's, each with a tenant of its own.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from contoso_sandbox.contoso import Contoso
    from contoso_sandbox.environment_box import EnvironmentBox

#: Small enough to start in about two seconds, large enough that most sets fill several pages.
SCALE = 0.05
PAGE_SIZE = 250
ODD_PAGE_SIZE = 2


class NewContoso(Protocol):
    """What the fixture ``new_contoso`` gives: a factory of private boxes."""

    def __call__(
        self, *, scale: float = ..., seed: int = ..., page_size: int = ..., token_life_s: int = ...
    ) -> Contoso:
        """Start a box in a directory of its own; the test's end stops it."""


@pytest.fixture(scope="session")
def contoso_home(tmp_path_factory: pytest.TempPathFactory) -> Callable[[float, int], Path]:
    """Make directories with fresh books; equal scale and seed are drawn once and then copied."""
    # Here: the servers are loaded only where a test asks for them.
    from contoso_sandbox.world import World  # noqa: PLC0415

    drawn: dict[tuple[float, int], Path] = {}

    def home(scale: float = SCALE, seed: int = 7) -> Path:
        if (scale, seed) not in drawn:
            drawn[scale, seed] = tmp_path_factory.mktemp("books")
            World.open(drawn[scale, seed], seed=seed, scale=scale).close()
        directory = tmp_path_factory.mktemp("contoso")
        return shutil.copytree(drawn[scale, seed], directory, dirs_exist_ok=True)

    return home


@pytest.fixture(scope="session")
def contoso(contoso_home: Callable[[float, int], Path]) -> Iterator[Contoso]:
    """Run one box for the session; leave its data as it is."""
    from contoso_sandbox.contoso import Contoso  # noqa: PLC0415

    with Contoso.start(contoso_home(SCALE, 7), page_size=PAGE_SIZE) as box:
        yield box


@pytest.fixture
def new_contoso(contoso_home: Callable[[float, int], Path]) -> Iterator[NewContoso]:
    """Start boxes that belong to one test."""
    from contoso_sandbox.contoso import Contoso  # noqa: PLC0415

    with ExitStack() as boxes:

        def start(
            *,
            scale: float = SCALE,
            seed: int = 7,
            page_size: int = PAGE_SIZE,
            token_life_s: int = 3599,
        ) -> Contoso:
            box = Contoso.start(
                contoso_home(scale, seed), page_size=page_size, token_life_s=token_life_s
            )
            return boxes.enter_context(box)

        yield start


@pytest.fixture(scope="session")
def synthetic_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EnvironmentBox]:
    """Run an environment of a real one's size, for the session: 4,000 sets, all of them empty.

    Its metadata documents are written at the start, which takes some seconds.
    """
    from contoso_sandbox.entities.synthetic import synthetic  # noqa: PLC0415
    from contoso_sandbox.environment_box import EnvironmentBox  # noqa: PLC0415

    directory = tmp_path_factory.mktemp("synthetic")
    with EnvironmentBox(directory, synthetic(), stored=False) as box:
        box.d365.prepare()
        yield box


@pytest.fixture(scope="session")
def new_odd_environment(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[], EnvironmentBox]]:
    """Start environments of oddities for tests that change them: pages of two rows.

    They share credentials and certificate authority, and stop with the session.
    """
    from contoso_sandbox.entities.odd import odd  # noqa: PLC0415
    from contoso_sandbox.entities.odd_rows import fill  # noqa: PLC0415
    from contoso_sandbox.environment_box import EnvironmentBox  # noqa: PLC0415

    home = tmp_path_factory.mktemp("odd")
    with ExitStack() as boxes:

        def start() -> EnvironmentBox:
            box = boxes.enter_context(EnvironmentBox(home, odd(), page_size=ODD_PAGE_SIZE))
            fill(box.tables)
            return box

        yield start


@pytest.fixture(scope="session")
def odd_environment(new_odd_environment: Callable[[], EnvironmentBox]) -> EnvironmentBox:
    """Run one environment of oddities for the session; leave its rows as they are."""
    return new_odd_environment()
