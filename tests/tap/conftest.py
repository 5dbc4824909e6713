"""Run the tap in this process against Contoso, and read what it wrote."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import ExitStack
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from contoso_sandbox.d365.traits import FINANCE_AND_OPERATIONS
from contoso_sandbox.entities.synthetic import synthetic
from contoso_sandbox.environment_box import EnvironmentBox
from tap_d365fo.tap import TapD365FO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from contoso_sandbox.contoso import Contoso

#: More sets than are asked for one by one, and few enough for the SDK to write them, too.
MADE_UP = synthetic(305, properties=12)


def settings_for(contoso: Contoso | EnvironmentBox, **changes: object) -> dict[str, Any]:
    """The tap's configuration for a running box."""
    given = contoso.settings()
    return {
        "environment_url": given["TAP_D365FO_ENVIRONMENT_URL"],
        "tenant_id": given["TAP_D365FO_TENANT_ID"],
        "client_id": given["TAP_D365FO_CLIENT_ID"],
        "client_secret": given["TAP_D365FO_CLIENT_SECRET"],
        "authority_host": given["TAP_D365FO_AUTHORITY_HOST"],
        "ca_bundle": given["TAP_D365FO_CA_BUNDLE"],
        **changes,
    }


@pytest.fixture(scope="session")
def made_up_box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EnvironmentBox]:
    with EnvironmentBox(tmp_path_factory.mktemp("made-up"), MADE_UP, stored=False) as box:
        yield box


@pytest.fixture
def made_up(made_up_box: EnvironmentBox) -> Iterator[EnvironmentBox]:
    """An environment of hundreds of sets without rows; faults, traits and log are the test's."""
    made_up_box.d365.requests.clear()
    yield made_up_box
    made_up_box.d365.faults.clear()
    made_up_box.d365.traits = FINANCE_AND_OPERATIONS


def asked(box: EnvironmentBox) -> list[str]:
    """Paths that were asked for, in order."""
    return [request.path for request in box.d365.requests]


#: What a module started to be collected at all. In a parallel run every worker collects all of
#: them and runs some, so the end of a module's tests is not the end of it.
STARTED = ExitStack()


def pytest_sessionfinish() -> None:
    """Stop it."""
    STARTED.close()


class Output:
    """The messages of one run."""

    def __init__(self, text: str) -> None:
        # Not by splitlines(): a text may hold U+2028 and others that it takes for ends of lines.
        lines = text.removesuffix("\n").split("\n") if text else []
        self.messages = [json.loads(line, parse_float=Decimal) for line in lines]

    def of(self, kind: str, stream: str | None = None) -> list[dict[str, Any]]:
        """Messages of a type, of one stream."""
        return [
            m
            for m in self.messages
            if m["type"] == kind and (stream is None or m["stream"] == stream)
        ]

    def records(self, stream: str) -> list[dict[str, Any]]:
        """Records of one stream."""
        return [m["record"] for m in self.of("RECORD", stream)]

    @property
    def states(self) -> list[dict[str, Any]]:
        """Values of all STATE messages."""
        return [m["value"] for m in self.of("STATE")]

    @property
    def counts(self) -> Counter[str]:
        """Records by stream."""
        return Counter(m["stream"] for m in self.of("RECORD"))


@pytest.fixture
def run_tap(capsys: pytest.CaptureFixture[str]) -> Callable[..., Output]:
    """Run the tap with a configuration and an optional state and catalog."""

    def run(
        config: Mapping[str, Any],
        *,
        state: Mapping[str, Any] | None = None,
        catalog: Mapping[str, Any] | None = None,
    ) -> Output:
        capsys.readouterr()
        TapD365FO(config=dict(config), state=state, catalog=catalog).sync_all()
        return Output(capsys.readouterr().out)

    return run
