"""The command killed, told to stop, interrupted, or left by its reader, at any moment (T20).

After each end the same run is begun again from the last STATE that had been written. What a target
keeps of the first run up to that STATE, and the second run, must be the books. One way is a run of
changes, after a first one that came to its end. ``KILL_TRIALS`` says how many ends a way meets.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.faults.books import Keeper, books, check_figures
from tests.faults.conftest import FORBIDDEN, PAGE_SIZE, plant_canaries
from tests.faults.ways import CURSOR, FIRST, FULL, HIGH_WATER, MIDDLE, RESCAN, SCAN, WAYS
from tests.tap.conftest import Output, settings_for

from contoso_sandbox.contoso import Contoso
from contoso_sandbox.faults import Fault, before, delay, pages_of, server_error, throttled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.conftest import Bench
    from tests.faults.ways import Way

COMMAND = str(Path(sys.executable).with_name("tap-d365fo"))

#: Seconds that each page takes: long enough for an end to come between two of them.
_PAGE_S = 0.02

_SEED = 20261124

#: Ends of each way; so many let every way meet every end.
_FEWEST = 6

TRIALS = len(WAYS) * max(_FEWEST, int(os.environ.get("KILL_TRIALS", "0")))


@dataclass(frozen=True, slots=True)
class Ended:
    """One run of the command, as far as it came."""

    code: int
    output: Output
    errors: str

    @property
    def state(self) -> dict[str, Any] | None:
        """The last STATE that was written whole."""
        return self.output.states[-1] if self.output.states else None

    @property
    def last_line(self) -> str:
        """What an operator reads first."""
        return self.errors.rstrip().splitlines()[-1]


@dataclass(frozen=True, slots=True)
class Trial:
    """An end at a moment.

    Attributes:
        how: ``KILL``, ``TERM``, ``INT``, or ``closed`` for the reader that goes away.
        page: It comes when the environment is asked for this page.
        late_s: So much later.
    """

    number: int
    way: Way
    how: str
    page: int
    late_s: float

    def __str__(self) -> str:
        return f"T20 {self.number}: {self.how}, {self.way.name}, page {self.page}"


def trials(count: int) -> list[Trial]:
    """So many ends, all from one seed; five of them are one of each way."""
    chance = random.Random(_SEED)  # noqa: S311 - repeatable
    pages = {FULL.name: 4, CURSOR.name: 4, HIGH_WATER.name: 5, SCAN.name: 4, RESCAN.name: 5}
    found = []
    for number in range(count):
        way = WAYS[number % 5]
        how = ("KILL", "TERM", "INT", "closed", "KILL")[(number + number // 5) % 5]
        page = chance.randint(1, pages[way.name])
        found.append(Trial(number, way, how, page, chance.uniform(0, 2 * _PAGE_S)))
    return found


@pytest.fixture(scope="module")
def box(contoso_home: Callable[[float, int], Path]) -> Iterator[Contoso]:
    """A box of this module alone; a run of changes changes some rows, and takes a few away."""
    with Contoso.start(contoso_home(0.05, 7), page_size=PAGE_SIZE) as running:
        plant_canaries(running)
        yield running


@pytest.fixture(autouse=True)
def healthy(box: Contoso) -> Iterator[None]:
    """No fault outlives its test."""
    yield
    box.d365.faults.clear()
    box.entra_faults.clear()


class Command:
    """The installed command, running; its output is read as it comes."""

    def __init__(
        self,
        box: Contoso,
        tmp_path: Path,
        config: dict[str, Any],
        state: dict[str, Any] | None = None,
    ) -> None:
        self._box = box
        path = tmp_path / "config.json"
        path.write_text(json.dumps(config))
        command = [COMMAND, "--config", str(path)]
        if state is not None:
            given = tmp_path / "state.json"
            given.write_text(json.dumps(state))
            command += ["--state", str(given)]
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": "", "TAP_D365FO_LOGLEVEL": "DEBUG"},
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._out, self._err = self._process.stdout, self._process.stderr
        self._leave = threading.Event()

    def end(self, how: str) -> None:
        """Let the end come."""
        if how == "closed":
            self._leave.set()
        else:
            self._process.send_signal(getattr(signal, f"SIG{how}"))

    def wait(self) -> Ended:
        """Read until the process is gone; only whole lines count."""
        errors: list[bytes] = []
        aside = threading.Thread(target=lambda: errors.append(self._err.read()))
        aside.start()
        received = bytearray()
        while not self._leave.is_set() and (some := os.read(self._out.fileno(), 65_536)):
            received += some
        self._out.close()
        code = self._process.wait(timeout=60)
        aside.join()
        self._err.close()
        whole = bytes(received[: received.rfind(b"\n") + 1]).decode()
        ended = Ended(code, Output(whole), errors[0].decode())
        for canary in (self._box.credentials.client_secret, *FORBIDDEN):
            # The settings' own descriptions are in the log at DEBUG.
            assert canary not in ended.errors.replace("`$filter`", ""), canary
        return ended


def as_a_shell_has_it(code: int) -> int:
    """Python lets a signal that meets it on its way out kill it: 130 or 143 in a shell, too."""
    return 128 - code if code in {-signal.SIGINT, -signal.SIGTERM} else code


@pytest.mark.parametrize("trial", trials(TRIALS), ids=str)
def test_t20_the_next_run_goes_on_from_what_was_written(
    box: Contoso, new_bench: Callable[[Contoso], Bench], tmp_path: Path, trial: Trial
) -> None:
    way = trial.way
    config = settings_for(box, **way.settings(tmp_path))
    sent, state = before_it(way, new_bench(box), tmp_path) if way.later else ([], None)
    started = threading.Event()
    commands: list[Command] = []

    def end(_asked: object) -> None:
        started.wait(30)
        timer = threading.Timer(trial.late_s, commands[0].end, [trial.how])
        timer.start()

    pages = pages_of(way.entity_set)
    box.d365.faults.add(
        Fault(before(end), on=pages, nth=trial.page), Fault(delay(_PAGE_S), on=pages)
    )
    commands.append(Command(box, tmp_path, config, state))
    started.set()
    first = commands[0].wait()
    box.d365.faults.clear()
    check_figures(first.output.messages)
    check_end(trial, first)
    second = new_bench(box).run(way.settings(tmp_path), first.state or state)
    assert second.error is None
    expected = books(box, way.entity_set)
    # All that was written; and only what the last STATE claims, as a target keeps it that throws
    # the rest away.
    for messages in (first.output.messages, up_to_the_last_state(first.output)):
        keeper = Keeper(box)
        keeper.take(sent)
        keeper.take(messages)
        keeper.take(second.output.messages)
        assert keeper.rows(way.entity_set) == expected, trial


def before_it(
    way: Way, bench: Bench, tmp_path: Path
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What a run sent that came to its end, and its state; then rows changed, came and went."""
    first = bench.run(way.settings(tmp_path))
    assert first.error is None
    way.touch(bench.contoso, rows=40)
    name = way.entity_set
    with bench.contoso.world.cursor() as cursor:
        # Those that went before another trial come back, so there are always as many rows.
        cursor.execute(f'CREATE TABLE IF NOT EXISTS away AS SELECT * FROM "{name}" LIMIT 0')  # noqa: S608
        cursor.execute(
            f'CREATE OR REPLACE TEMP TABLE leaving AS SELECT * FROM "{name}" '  # noqa: S608
            f"WHERE {way.own_rows} ORDER BY hash(__rec_id + 1) LIMIT 2"
        )
        cursor.execute(f'INSERT INTO "{name}" SELECT * FROM away')  # noqa: S608
        cursor.execute("CREATE OR REPLACE TABLE away AS SELECT * FROM leaving")
        cursor.execute(f'DELETE FROM "{name}" WHERE __rec_id IN (SELECT __rec_id FROM away)')  # noqa: S608
    return first.output.messages, first.state


def up_to_the_last_state(output: Output) -> list[dict[str, Any]]:
    """The messages that the last STATE stands behind."""
    places = [i for i, m in enumerate(output.messages) if m["type"] == "STATE"]
    return output.messages[: places[-1] + 1] if places else []


def check_end(trial: Trial, ended: Ended) -> None:
    """The exit code and the last sentence; a run may also have been over before its end came."""
    codes = {"KILL": -signal.SIGKILL, "TERM": 143, "INT": 130, "closed": 74}
    complete = ended.state is not None and ended.state["audit"]["complete"]
    if complete and as_a_shell_has_it(ended.code) in {0, codes[trial.how]}:
        return
    assert ended.code == codes[trial.how], ended.errors[-500:]
    assert not complete
    sentences = {
        "TERM": "tap-d365fo: told to stop (SIGTERM); the next run goes on from the last committed",
        "INT": "tap-d365fo: interrupted; nothing that was not finished counts",
        "closed": "tap-d365fo: the process that reads our output has gone away",
    }
    if trial.how in sentences:
        assert ended.last_line.startswith(sentences[trial.how])
        assert "Traceback" not in ended.errors


def test_t20_the_trials_hit_the_middle_of_runs() -> None:
    """The table is what it says: every way and every end, at several pages."""
    made = trials(len(WAYS) * _FEWEST)
    assert len(made) == 30
    assert min(Counter(t.how for t in made).values()) >= 5
    assert min(Counter(t.way.name for t in made).values()) >= 6
    assert len({(t.way.name, t.how) for t in made}) == 5 * 4
    assert len({t.page for t in made}) == 5


def test_t20_sigterm_while_the_server_is_silent(box: Contoso, tmp_path: Path) -> None:
    """An answer that never comes does not hold the process."""
    commands: list[Command] = []
    started = threading.Event()

    def end(_asked: object) -> None:
        started.wait(30)
        commands[0].end("TERM")

    pages = pages_of(FULL.entity_set)
    box.d365.faults.add(Fault(before(end), on=pages, nth=2), Fault(delay(60), on=pages, nth=2))
    commands.append(Command(box, tmp_path, settings_for(box, **FULL.settings(tmp_path))))
    started.set()
    ended = commands[0].wait()
    assert ended.code == 143
    assert "told to stop" in ended.last_line


@pytest.mark.parametrize(
    ("fault", "code", "sentence"),
    [
        pytest.param(
            MIDDLE.fault(throttled(86400), FULL),
            75,
            r"HTTP 429; run_timeout leaves no time to wait.*\(retry at 2\d{3}-\d\d-\d\dT",
            id="T02 a wait of a day",
        ),
        pytest.param(
            FIRST.fault(server_error(503), FULL, times=99),
            75,
            r"HTTP 503; run_timeout leaves no time to wait",
            id="T04 always 503",
        ),
    ],
)
def test_a_failed_run_ends_with_a_sentence(
    box: Contoso, tmp_path: Path, fault: Fault, code: int, sentence: str
) -> None:
    box.d365.faults.add(fault)
    config = settings_for(box, **FULL.settings(tmp_path, run_timeout=1))
    ended = Command(box, tmp_path, config).wait()
    assert ended.code == code, ended.errors[-500:]
    (line,) = [line for line in ended.errors.splitlines() if line.startswith("tap-d365fo: ")]
    assert line == ended.last_line
    assert re.search(sentence, line)
    assert "Traceback" not in ended.errors
