"""The command as a process: exit codes, signals, stdout, and what is left behind."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from tests.target.faults import Fault
from tests.target.messages import audit, dump, record, schema, state

from pipeline_core.ledger import Ledger
from target_tableau_hyper.cli import main
from target_tableau_hyper.lock import hold_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.target.harness import Tableau

SCHEMA = schema("gl", {"id": {"type": "integer"}, "amount": {"type": "number"}})
ROWS = [record("gl", {"id": i, "amount": Decimal(i)}) for i in range(3)]


def command(tmp_path: Path, **config: object) -> list[str]:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"output_dir": str(tmp_path / "output"), **config}))
    script = "from target_tableau_hyper.cli import main; main()"
    return [sys.executable, "-c", script, "--config", str(path)]


def run(
    tmp_path: Path, messages: Sequence[dict[str, Any] | str], **config: object
) -> subprocess.CompletedProcess[str]:
    lines = "".join(f"{m if isinstance(m, str) else dump(m)}\n" for m in messages)
    return subprocess.run(
        command(tmp_path, **config),
        input=lines,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(autouse=True)
def no_log_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK would bind its log handlers to one test's stderr for good."""
    monkeypatch.setattr("singer_sdk.plugin_base._setup_console_logging", lambda **_: None)


@pytest.fixture
def in_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command in this process: exit code, stdout, stderr."""

    def start(messages: Sequence[dict[str, Any] | str], **config: object) -> tuple[int, str, str]:
        text = "".join(f"{m if isinstance(m, str) else dump(m)}\n" for m in messages)
        monkeypatch.setattr("sys.argv", ["target-tableau-hyper", *command(tmp_path, **config)[3:]])
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        with pytest.raises(SystemExit) as leaving:
            main()
        assert isinstance(leaving.value.code, int)
        return leaving.value.code, *capsys.readouterr()

    return start


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


def test_state_goes_to_stdout_and_everything_else_to_stderr(tmp_path: Path) -> None:
    value = {"bookmarks": {"gl": {"at": "2024-01-01", "n": Decimal("1.10")}}}
    done = run(tmp_path, [SCHEMA, *ROWS, state(value)])
    assert done.returncode == 0, done.stderr
    assert done.stdout == '{"bookmarks":{"gl":{"at":"2024-01-01","n":1.10}}}\n'
    assert "gl: 3 rows, 3 inserted, 0 updated, 0 deleted" in done.stderr


@pytest.mark.parametrize(
    ("messages", "config", "code", "said"),
    [
        pytest.param(["{", ""], {}, 65, "line 1 of the input is no JSON", id="no JSON"),
        pytest.param(['{"a": "s3cret"}'], {}, 65, "has no type", id="no message"),
        pytest.param([[1]], {}, 65, "has no type", id="not an object"),
        pytest.param([{"type": "NEWS"}], {}, 65, "unknown type 'NEWS'", id="unknown type"),
        pytest.param([{"type": "RECORD"}], {}, 65, "lacks record, stream", id="half a RECORD"),
        pytest.param([{"type": "STATE"}], {}, 65, "lacks value", id="half a STATE"),
        pytest.param(
            [SCHEMA, record("gl", [])],  # type: ignore[arg-type]
            {},
            65,
            "holds no object",
            id="record that is a list",
        ),
        pytest.param(ROWS, {}, 65, "'gl' came before its SCHEMA", id="RECORD before SCHEMA"),
        pytest.param(
            [{"type": "SCHEMA", "stream": "gl", "schema": {}}], {}, 65, "no properties", id="SCHEMA"
        ),
        pytest.param(
            [SCHEMA, {"type": "BATCH", "stream": "gl", "manifest": ["/x"], "encoding": {}}],
            {},
            65,
            "this target takes jsonl",
            id="BATCH",
        ),
        pytest.param(
            [audit("r", {}, complete=False), SCHEMA, *ROWS], {}, 70, "ended before", id="tap died"
        ),
        pytest.param(
            [],
            {"datasources": {"a": {"titel": "x"}}},
            78,
            "datasources.a: may only have name, project, file, description",
            id="setting inside an object",
        ),
        pytest.param(
            [SCHEMA], {"ledger_path": "/dev/null/x"}, 78, "ledger_path /dev/null/x", id="ledger"
        ),
        pytest.param(
            [SCHEMA], {"output_dir": "/dev/null/x"}, 78, "cannot be written to", id="output_dir"
        ),
        pytest.param([], {"memory_limit": "4 GB"}, 78, "memory_limit: ", id="amount of memory"),
        pytest.param([], {"load_method": "merge"}, 78, "load_method: must be one of", id="setting"),
        pytest.param(
            [], {"tableau_token_value": 42424242}, 78, "must be string", id="secret of a wrong type"
        ),
        pytest.param(
            [],
            {"tableau_server_url": "https://x", "tableau_token_name": "n"},
            78,
            "tableau_token_value is not",
            id="secret missing",
        ),
        pytest.param(
            [],
            {
                "tableau_server_url": "https://x",
                "tableau_token_name": "n",
                "tableau_token_value": "geheimnis",
                "ca_bundle": "/nowhere.pem",
            },
            78,
            "ca_bundle names '/nowhere.pem'",
            id="CA bundle missing",
        ),
    ],
)
def test_l06_failure_ends_in_one_sentence_and_its_exit_code(
    in_process: Callable[..., tuple[int, str, str]],
    messages: list[dict[str, Any] | str],
    config: dict[str, Any],
    code: int,
    said: str,
) -> None:
    found, out, err = in_process(messages, **config)
    assert found == code, err
    assert last_line(err).startswith("target-tableau-hyper: ")
    assert said in last_line(err)
    assert "Traceback" not in err
    assert not {"s3cret", "42424242", "geheimnis"} & set(err.split())
    assert out == ""


@pytest.mark.parametrize("content", [None, "{"], ids=["missing", "torn"])
def test_unreadable_config_file_is_a_config_error(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: str | None,
) -> None:
    path = tmp_path / "settings.json"
    if content is not None:
        path.write_text(content)
    monkeypatch.setattr("sys.argv", ["target-tableau-hyper", "--config", str(path)])
    with pytest.raises(SystemExit) as leaving:
        main()
    assert leaving.value.code == 78
    assert "cannot be read as JSON" in last_line(capsys.readouterr().err)


def test_misspelt_setting_is_told_with_the_right_name(
    in_process: Callable[..., tuple[int, str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    code, _, _ = in_process([], tableau_sever_url="https://x")
    assert code == 0
    assert "did you mean 'tableau_server_url'?" in caplog.text


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A target that has taken rows and waits for more."""
    process = subprocess.Popen(
        command(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write("".join(f"{dump(m)}\n" for m in [SCHEMA, *ROWS, state({"a": 1})]))
    process.stdin.flush()
    deadline = time.monotonic() + 30
    while not (tmp_path / "output" / ".staging").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    yield process
    process.kill()
    process.communicate()


def test_l02_sigterm_writes_nothing_and_exits_143(
    busy: subprocess.Popen[str], tmp_path: Path
) -> None:
    busy.send_signal(signal.SIGTERM)
    out, err = busy.communicate(timeout=30)
    assert busy.returncode == 143
    assert out == ""
    assert "told to stop (SIGTERM)" in last_line(err)
    left = {path.name for path in (tmp_path / "output").iterdir()}
    assert left <= {".lock", ".staging"}
    assert list((tmp_path / "output" / ".staging").iterdir()) == []


def test_sigint_writes_nothing(busy: subprocess.Popen[str], tmp_path: Path) -> None:
    busy.send_signal(signal.SIGINT)
    out, _ = busy.communicate(timeout=30)
    assert (busy.returncode, out) == (130, "")
    assert list((tmp_path / "output").glob("*.hyper")) == []


def test_l02_sigterm_while_delivering_passes_no_state_on(tmp_path: Path, tableau: Tableau) -> None:
    tableau.faulty.faults.append(Fault("GET", "/jobs/", times=1000))
    path = tmp_path / "ledger.db"
    process = subprocess.Popen(
        command(tmp_path, **tableau.config, ledger_path=str(path)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    second = {**SCHEMA, "stream": "ap"}
    messages = [SCHEMA, *ROWS, second, state({"a": 1})]
    process.stdin.write("".join(f"{dump(m)}\n" for m in messages))
    process.stdin.close()
    process.stdin = None
    try:
        deadline = time.monotonic() + 30
        while not any("/jobs/" in request.path for request in tableau.server.requests):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, out) == (143, ""), err
    assert "told to stop (SIGTERM)" in last_line(err)
    with Ledger(path, run_id="x", actor="x") as ledger:
        ends = [event.event for event in ledger.events()][-3:]
        assert ends == ["delivery.failed", "delivery.failed", "run.failed"]
        assert ledger.verify()
    assert tableau.calls("POST", "/signout") == 1
    manifest = json.loads((tmp_path / "output" / "gl.manifest.json").read_text())
    assert manifest["rows"] == 3, "what was sealed stays"
    assert manifest["delivered"] is None, "the next run delivers it"


def test_l13_what_a_killed_run_left_is_removed_by_the_next(
    busy: subprocess.Popen[str], tmp_path: Path
) -> None:
    busy.send_signal(signal.SIGKILL)
    busy.communicate(timeout=30)
    staging = tmp_path / "output" / ".staging"
    assert list(staging.iterdir())
    done = run(tmp_path, [SCHEMA, *ROWS])
    assert done.returncode == 0, done.stderr
    assert "removed what unfinished runs left behind" in done.stderr
    assert list(staging.iterdir()) == []


def test_l10_second_target_on_one_directory_exits_busy(
    busy: subprocess.Popen[str],
    in_process: Callable[..., tuple[int, str, str]],
) -> None:
    code, _, err = in_process([SCHEMA, *ROWS], lock_timeout=0)
    assert code == 73
    assert "another target-tableau-hyper is writing" in last_line(err)
    assert busy.poll() is None


def test_l10_lock_is_waited_for(tmp_path: Path) -> None:
    waits: list[float] = []

    class Other:
        """Lets go of the lock during the second wait."""

        def __init__(self) -> None:
            self.holder = hold_directory(tmp_path, wait_s=0)
            self.holder.__enter__()

        def sleep(self, seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 2:
                self.holder.__exit__(None, None, None)

    with hold_directory(tmp_path, wait_s=60, sleep=Other().sleep):
        assert len(waits) == 2


def test_meltano_test_stream_is_taken_and_kept_nowhere(tmp_path: Path, tableau: Tableau) -> None:
    """The lines of `meltano config test`; it fails on any line with "error" or "exception"."""
    properties = {
        "id": {"type": "integer"},
        "name": {"type": "string"},
        "created_at": {"type": "string", "format": "date-time"},
    }
    values = {"id": 1, "name": "Meltano Test Record", "created_at": "2025-09-29T00:00:00Z"}
    stream = "meltano_test_stream"
    done = run(
        tmp_path,
        [
            schema(stream, properties),
            record(stream, values),
            state({"bookmarks": {stream: {"last_record": 1}}}),
            {"type": "ACTIVATE_VERSION", "stream": stream, "version": 1},
        ],
        **tableau.config,
    )
    assert done.returncode == 0, done.stderr
    lines = (done.stdout + done.stderr).lower()
    assert "error" not in lines
    assert "exception" not in lines
    assert {path.name for path in (tmp_path / "output").iterdir()} == {".lock", ".staging"}
    assert tableau.server.datasources() == []
    assert tableau.calls("POST", "/signin") == 1, "the test proves that Tableau can be reached"


def test_reader_that_goes_away_is_told(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            command(tmp_path),
            input="".join(f"{dump(m)}\n" for m in [SCHEMA, *ROWS, state({"a": 1})]),
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    finally:
        os.close(write)
    assert done.returncode == 74
    assert "the process that reads our STATE has gone away" in last_line(done.stderr)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        pytest.param("--help", "Exit codes: 0 done, 65", id="help"),
        pytest.param("--version", "target-tableau-hyper v", id="version"),
        pytest.param("--about", "output_dir", id="about"),
    ],
)
def test_help_about_and_version(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str, said: str
) -> None:
    monkeypatch.setattr("sys.argv", ["target-tableau-hyper", option])
    with pytest.raises(SystemExit) as leaving:
        main()
    assert leaving.value.code == 0
    assert said in capsys.readouterr().out
