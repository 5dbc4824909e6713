"""Every failure ends in one sentence and one exit code."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from pipeline_core.config import describe_config_errors
from pipeline_core.edge import run_guarded
from pipeline_core.errors import (
    AuthError,
    BusyError,
    ConfigError,
    DataError,
    IntegrityError,
    ReaderGoneError,
    TerminatedError,
    TransientError,
)
from pipeline_core.redaction import REDACTOR
from pipeline_core.run_id import current_run_id, uuid7

if TYPE_CHECKING:
    from collections.abc import Callable


def raising(error: BaseException) -> Callable[[], None]:
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(ConfigError("x"), 78, id="configuration"),
        pytest.param(AuthError("x"), 77, id="access"),
        pytest.param(TransientError("x"), 75, id="try again later"),
        pytest.param(DataError("x"), 65, id="data"),
        pytest.param(IntegrityError("x"), 70, id="integrity"),
        pytest.param(BusyError("x"), 73, id="busy"),
        pytest.param(TerminatedError("x"), 143, id="told to stop"),
        pytest.param(KeyboardInterrupt(), 130, id="interrupted"),
        pytest.param(ReaderGoneError("x"), 74, id="reader gone"),
        pytest.param(ZeroDivisionError("x"), 1, id="defect"),
        pytest.param(SystemExit(3), 3, id="exit code kept"),
        pytest.param(SystemExit(None), 0, id="plain exit"),
        pytest.param(SystemExit("text"), 1, id="exit with text"),
    ],
)
def test_exit_codes(error: BaseException, code: int) -> None:
    with pytest.raises(SystemExit) as leaving:
        run_guarded(raising(error), name="tap")
    assert leaving.value.code == code


def test_success_is_zero() -> None:
    with pytest.raises(SystemExit) as leaving:
        run_guarded(lambda: None, name="tap")
    assert leaving.value.code == 0


def test_the_last_line_says_what_and_when(capsys: pytest.CaptureFixture[str]) -> None:
    REDACTOR.add("very-secret-value")
    retry_at = datetime(2026, 11, 23, 7, 0, 30, tzinfo=UTC)
    error = TransientError("busy\n  with very-secret-value", retry_at=retry_at)
    with pytest.raises(SystemExit):
        run_guarded(raising(error), name="tap-d365fo")
    assert capsys.readouterr().err.splitlines() == [
        "tap-d365fo: busy with *** (retry at 2026-11-23T07:00:30+00:00)"
    ]


@pytest.mark.parametrize("handler", [None, "plain"])
def test_a_defect_tells_where_it_happened_but_no_secret(handler: str | None) -> None:
    """With no handler at all, Python's last resort prints; with one, nobody put a filter on it."""
    script = (
        "import logging, sys\n"
        "from pipeline_core.edge import run_guarded\n"
        "from pipeline_core.redaction import REDACTOR\n"
        "def broken():\n"
        "    REDACTOR.add(sys.argv[1])\n"
        "    try:\n"
        "        {}[sys.argv[1]]\n"
        "    except KeyError as error:\n"
        "        raise ValueError('bad ' + sys.argv[1]) from error\n"
        "if sys.argv[2] == 'plain': logging.basicConfig()\n"
        "run_guarded(broken, name='x')\n"
    )
    secret = "canary-'\"\\-value"
    done = subprocess.run(
        [sys.executable, "-c", script, secret, str(handler)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "in broken" in done.stderr
    assert "ValueError: bad ***" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("x: unexpected ValueError: bad ***; please")
    assert "canary" not in done.stdout + done.stderr


def test_config_errors_name_settings_but_not_values() -> None:
    schema = {
        "properties": {
            "secret": {"type": ["object", "null"]},
            "mode": {"enum": ["a", "b"]},
            "rows": {"type": "integer", "minimum": 1},
            "nested": {"properties": {"known": {}}, "additionalProperties": False},
        },
        "required": ["url", "tenant"],
    }
    config = {"secret": "hunter2", "mode": "hunter2", "rows": 0, "nested": {"hunter": 2}}
    text = describe_config_errors(schema, config)
    assert "lacks url, tenant" in text
    assert "secret must be of type object or null" in text
    assert "mode must be one of a, b" in text
    assert "rows does not satisfy minimum 1" in text
    assert "nested has no hunter (known: known)" in text
    assert "hunter2" not in text


def test_run_ids_are_inherited_or_ordered_in_time() -> None:
    assert current_run_id({"MELTANO_RUN_ID": "from-meltano"}) == "from-meltano"
    ids = [uuid7() for _ in range(3)]
    assert {i.version for i in ids} == {7}
    assert [i.int >> 80 for i in ids] == sorted(i.int >> 80 for i in ids)
    assert current_run_id({}) != current_run_id({})


def test_standard_error_is_where_it_goes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run_guarded(raising(SystemExit("goodbye")), name="x")
    assert capsys.readouterr().err == "goodbye\n"
    assert sys.stderr is not None
