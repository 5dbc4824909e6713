"""L02 and L04: told to stop at any named moment, and while hyperd does not answer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from tests.target.messages import dump, record, schema, state

from target_tableau_hyper.extract.engine import start_engine
from target_tableau_hyper.extract.manifest import sha256_of
from target_tableau_hyper.extract.patience import limited_patience
from target_tableau_hyper.failpoints import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.target.harness import Extracts, Rows, Tableau

#: Rows are replaced here, so what is kept for rows that are appended never comes.
MOMENTS = [name for name in NAMES if name != "commit.undo"]

#: A process that ends only when it is killed.
SLEEPER = [sys.executable, "-c", "import signal; signal.pause()"]

#: Up to here nothing is replaced.
BEFORE_REPLACING = MOMENTS[: MOMENTS.index("commit.together")]


def messages(texts: dict[int, str], run: int) -> list[dict[str, Any]]:
    properties = {"id": {"type": "integer"}, "text": {"type": "string"}}
    records = [record("gl", {"id": number, "text": text}) for number, text in texts.items()]
    return [schema("gl", properties), *records, state({"run": run})]


def stopped_at(
    moment: str, extracts: Extracts, sent: list[dict[str, Any]]
) -> subprocess.CompletedProcess[str]:
    """A run in a process of its own that is told to stop at a moment."""
    path = extracts.directory.parent / "config.json"
    path.write_text(json.dumps({**extracts.config, "output_dir": str(extracts.directory)}))
    script = "from target_tableau_hyper.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", script, "--config", str(path)],
        input="".join(f"{dump(message)}\n" for message in sent),
        env={**os.environ, "TARGET_TABLEAU_HYPER_FAILPOINT": f"{moment}=term"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("moment", MOMENTS)
def test_l02_told_to_stop_at_any_moment_a_run_tidies_up_and_the_next_converges(
    extracts: Extracts, tableau: Tableau, rows: Rows, moment: str
) -> None:
    extracts.config = tableau.config
    before, after = [(1, "one"), (2, "two")], [(1, "uno"), (2, "two"), (3, "three")]
    extracts.run(messages({1: "one", 2: "two"}, 1))
    changes = {1: "uno", 3: "three"}

    stopped = stopped_at(moment, extracts, messages(changes, 2))
    assert stopped.returncode == 143, stopped.stderr
    assert "told to stop (SIGTERM)" in stopped.stderr.strip().splitlines()[-1]
    assert "Traceback" not in stopped.stderr
    shown = rows(tableau.server.hyper_file("gl"))
    assert shown in (before, after)
    if moment in BEFORE_REPLACING:
        assert shown == rows(extracts.path("gl")) == before
    written = moment == "state.written"
    assert stopped.stdout == ('{"run":2}\n' if written else "")
    assert not written or shown == after
    assert extracts.left_over() == []

    assert extracts.run(messages(changes, 3)) == ['{"run":3}']
    assert rows(tableau.server.hyper_file("gl")) == after
    assert rows(extracts.path("gl")) == after
    assert extracts.manifest("gl")["sha256"] == sha256_of(extracts.path("gl"))


class Told(Exception):  # noqa: N818 - what a handler raises
    """SIGTERM has been acted upon."""


@pytest.fixture
def handled() -> Iterator[None]:
    """SIGTERM raises, as it does in a run."""

    def handle(*_: object) -> None:
        raise Told

    before = signal.signal(signal.SIGTERM, handle)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("target_tableau_hyper.extract.patience.GRACE_S", 0.2)


@pytest.mark.usefixtures("handled", "short")
@pytest.mark.parametrize("outer", [False, True], ids=["alone", "inside another"])
def test_l04_told_to_stop_while_hyperd_hangs_the_run_ends(
    tmp_path: Path,
    outer: bool,  # noqa: FBT001 - a case
) -> None:
    """SIGSTOP makes hyperd hang; the statement could not end by itself."""
    suspended: list[psutil.Process] = []

    def hang() -> None:
        known = {child.pid for child in psutil.Process().children()}
        with (
            start_engine(hyper_version=3) as engine,
            engine.open(tmp_path / "x.hyper", create=True) as database,
        ):
            suspended.extend(c for c in psutil.Process().children() if c.pid not in known)
            suspended[0].suspend()
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
            with start_engine(hyper_version=3) if outer else nullcontext():
                database.rows("SELECT 1")

    with pytest.raises(Told):
        hang()
    (hyperd,) = suspended
    assert not hyperd.is_running()


@pytest.mark.usefixtures("handled", "short")
def test_a_statement_that_ends_soon_is_not_disturbed() -> None:
    with subprocess.Popen(SLEEPER) as other:
        with pytest.raises(Told), limited_patience(other.pid, grace_s=60):
            os.kill(os.getpid(), signal.SIGTERM)
        assert other.poll() is None
        other.kill()


def test_other_signals_kill_nothing() -> None:
    signal.signal(signal.SIGUSR1, lambda *_: None)
    with subprocess.Popen(SLEEPER) as other:
        with limited_patience(other.pid, grace_s=0):
            os.kill(os.getpid(), signal.SIGUSR1)
        assert other.poll() is None
        other.kill()
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)


def test_a_thread_that_hears_of_no_signals_watches_nothing() -> None:
    before = threading.active_count()
    counts = []

    def work() -> None:
        with limited_patience(os.getpid()):
            counts.append(threading.active_count())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert counts == [before + 1]
