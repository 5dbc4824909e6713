"""The real tap against a real box that goes wrong on command; nobody really waits.

The ids in the tests' names are those of the fault matrix.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from tests.faults.books import Keeper, books, check_figures
from tests.faults.clock import SkippingClock
from tests.faults.ways import CURSOR, FILTER_CANARY, FULL, HIGH_WATER, LEDGER, ROW_CANARY
from tests.tap.conftest import Output, settings_for

from contoso_sandbox.contoso import Contoso
from contoso_sandbox.faults import Fault, before
from pipeline_core.errors import PipelineError
from tap_d365fo.access.auth import TokenProvider
from tap_d365fo.tap import TapD365FO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.faults.ways import Way

    from contoso_sandbox.faults import Asked

#: Several pages in every set of ``ways``.
PAGE_SIZE = 25

#: Rows that a set keeps: four or five pages have a middle, and many runs can read them.
ROWS = 4 * PAGE_SIZE - 12

#: Text of what the faults answer with, and of tokens: none of it belongs into a log.
FORBIDDEN = (
    *(FILTER_CANARY, ROW_CANARY, "$filter=", "%24filter=", "eyJ", "access_token"),
    *("could not be processed at this time", "stacktrace", "Service unavailable"),
    *("Sign in to your account", "loginfmt", "client_assertion"),
)


@dataclass
class Run:
    """What one run of the tap left behind.

    Attributes:
        error: What ended it, if it did not complete.
    """

    output: Output
    error: Exception | None

    @property
    def state(self) -> dict[str, Any]:
        """The last STATE; empty where none was written."""
        return self.output.states[-1] if self.output.states else {}

    @property
    def complete(self) -> bool:
        """Whether it says of itself that it sent everything."""
        return bool(self.state.get("audit", {}).get("complete"))

    @property
    def exit_code(self) -> int:
        """The exit code that the command would end with."""
        if self.error is None:
            return 0
        return self.error.exit_code if isinstance(self.error, PipelineError) else 1


@dataclass
class Arrival:
    """A request as the environment saw it.

    Attributes:
        at: Seconds of the test's clock.
    """

    asked: Asked
    at: float


@dataclass
class Bench:
    """A box, a clock, and the tap between them."""

    contoso: Contoso
    clock: SkippingClock
    tmp_path: Path
    capsys: pytest.CaptureFixture[str]
    caplog: pytest.LogCaptureFixture
    arrivals: list[Arrival] = field(default_factory=list)
    state_before: dict[str, Any] | None = None

    def run(self, config: Mapping[str, Any], state: Mapping[str, Any] | None = None) -> Run:
        """Run the tap; its end, good or bad, is part of the result."""
        self.capsys.readouterr()
        self.arrivals.clear()
        error: Exception | None = None
        try:
            TapD365FO(config=settings_for(self.contoso, **config), state=state).sync_all()
        except Exception as failure:  # noqa: BLE001 - what it is, the test asks
            error = failure
        captured = self.capsys.readouterr()
        self._sweep(captured.err + str(error))
        run = Run(Output(captured.out), error)
        check_figures(run.output.messages)
        assert run.complete is (error is None)
        return run

    def run_way(self, way: Way, *faults: Fault, **changes: object) -> tuple[Run, Keeper]:
        """Read by ``way`` while ``faults`` strike; also what a target holds then."""
        changes.setdefault("max_concurrency", 1)
        config = way.settings(self.tmp_path, **changes)
        keeper = Keeper(self.contoso)
        state = None
        if way.later:
            first = self.run(config)
            assert first.error is None
            keeper.take(first.output.messages)
            state = first.state
            way.touch(self.contoso)
        self.contoso.d365.faults.add(*faults)
        self.state_before = state
        run = self.run(config, state)
        keeper.take(run.output.messages)
        return run, keeper

    def survives(self, way: Way, *faults: Fault, **changes: object) -> Run:
        """Read by ``way``: in spite of ``faults`` everything must come, and each row once."""
        run, keeper = self.run_way(way, *faults, **changes)
        assert run.error is None, repr(run.error)
        rows = self.check_books(way, keeper)
        assert len(run.output.of("RECORD")) == (20 if way.later else rows)
        return run

    def converges(self, way: Way, *faults: Fault, **changes: object) -> Run:
        """Read by ``way``: ``faults`` end the run, and the next one without them has it all."""
        run, keeper = self.run_way(way, *faults, **changes)
        assert run.error is not None
        self.check_nothing_wrong(way, keeper)
        self.heal()
        changes.setdefault("max_concurrency", 1)
        state = run.state or self.state_before
        again = self.run(way.settings(self.tmp_path, **changes), state)
        assert again.error is None, repr(again.error)
        keeper.take(again.output.messages)
        self.check_books(way, keeper)
        return run

    def heal(self) -> None:
        """No more faults; arrivals are noted on."""
        self.contoso.d365.faults.clear()
        self.contoso.entra_faults.clear()
        self.contoso.d365.faults.add(Fault(before(self.note)))

    def note(self, asked: Asked) -> None:
        """Write an arrival down."""
        self.arrivals.append(Arrival(asked, self.clock.monotonic()))

    def check_books(self, way: Way, keeper: Keeper) -> int:
        """The target holds Contoso's rows, value for value; returns how many."""
        expected = books(self.contoso, way.entity_set)
        held = keeper.rows(way.entity_set)
        assert held.keys() == expected.keys()
        for key, record in expected.items():
            assert held[key] == record
        return len(expected)

    def check_nothing_wrong(self, way: Way, keeper: Keeper) -> None:
        """What the target holds is a part of Contoso's rows, perhaps older than the last change."""
        expected = books(self.contoso, way.entity_set)
        changing = {way.amount}
        for key, record in keeper.rows(way.entity_set).items():
            for name, value in record.items():
                assert name in changing or value == expected[key][name], name

    def after(self, name: str) -> list[Arrival]:
        """From the first request that the fault ``name`` struck: it, and all that came then."""
        struck = next(a.asked for a in self.contoso.d365.faults.applied if a.name == name)
        position = next(i for i, a in enumerate(self.arrivals) if a.asked is struck)
        return self.arrivals[position:]

    def data(self) -> list[Arrival]:
        """The requests for rows."""
        return [a for a in self.arrivals if a.asked.path.startswith("/data/")]

    def _sweep(self, said: str) -> None:
        """No secret, token, query, value of a row or body in anything that was said."""
        secret = self.contoso.credentials.client_secret
        # The command silences urllib3 and msal; uvicorn is the sandbox's.
        own = [r for r in self.caplog.records if r.name.startswith(("tap-d365fo", "singer_sdk"))]
        formatter = logging.Formatter()
        text = said + "\n".join(formatter.format(record) for record in own)
        for canary in (secret, *FORBIDDEN):
            assert canary not in text


@pytest.fixture(scope="session")
def small_pages(contoso_home: Callable[[float, int], Path]) -> Iterator[Contoso]:
    """One box for all tests that leave its rows where they are."""
    with Contoso.start(contoso_home(0.05, 7), page_size=PAGE_SIZE) as box:
        plant_canaries(box)
        yield box


@pytest.fixture
def clock() -> SkippingClock:
    """The time of the test."""
    return SkippingClock()


@pytest.fixture
def new_bench(
    clock: SkippingClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Callable[[Contoso], Bench]:
    """Put the tap on a box, with the test's clock in its hands."""
    caplog.set_level(logging.DEBUG, logger="tap-d365fo")
    monkeypatch.setattr("tap_d365fo.access.client.Timing", clock.timing)
    provider = partial(TokenProvider, sleep=clock.sleep, monotonic=clock.monotonic)
    monkeypatch.setattr("tap_d365fo.environment.TokenProvider", provider)

    def put_on(box: Contoso) -> Bench:
        made = Bench(box, clock, tmp_path, capsys, caplog)
        box.d365.faults.pause = clock.pause
        box.entra_faults.pause = clock.pause
        made.heal()
        return made

    return put_on


@pytest.fixture
def bench(small_pages: Contoso, new_bench: Callable[[Contoso], Bench]) -> Iterator[Bench]:
    """The tap on the box that all tests share."""
    yield new_bench(small_pages)
    small_pages.d365.faults.clear()
    small_pages.entra_faults.clear()
    small_pages.d365.requests.clear()


def plant_canaries(box: Contoso) -> None:
    """Put text that must not be logged into every row that the ways read; few rows are kept."""
    with box.world.cursor() as cursor:
        # Gaps between the numbers, for rows that are committed late.
        cursor.execute(f'UPDATE "{LEDGER}" SET "SourceKey" = 2 * "SourceKey"')  # noqa: S608
        for way in (FULL, CURSOR, HIGH_WATER):
            name, column, own = way.entity_set, way.text, way.own_rows
            cursor.execute(
                f'DELETE FROM "{name}" WHERE {own} AND __rec_id NOT IN '  # noqa: S608 - names of the sandbox
                f'(SELECT __rec_id FROM "{name}" WHERE {own} ORDER BY 1 DESC LIMIT {ROWS})'
            )
            cursor.execute(
                f'UPDATE "{name}" SET "{column}" = ? || "{column}", '  # noqa: S608 - names of the sandbox
                "__rec_version = __rec_version + 1",
                [ROW_CANARY],
            )
