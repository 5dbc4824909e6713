"""What all subcommands share: dispatch, help, settings, and the Singer command as it was."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING

import pytest
from tests.target.messages import dump, record, schema, state

from target_tableau_hyper.cli import COMMANDS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.target.commands import Commands
    from tests.target.harness import Tableau

ROOT_HELP = "Load Singer messages into Hyper extracts"


def test_help_of_the_singer_command_names_every_subcommand(command: Commands) -> None:
    done = command.bare("--help")
    assert done.code == 0
    assert ROOT_HELP in done.out
    for name in COMMANDS:
        assert f"target-tableau-hyper {name}" in done.out


@pytest.mark.parametrize("name", COMMANDS)
def test_each_subcommand_has_help_with_examples_and_exit_codes(
    name: str, command: Commands
) -> None:
    done = command.bare(name, "--help")
    assert done.code == 0
    assert f"Usage: target-tableau-hyper {name} " in done.out
    assert "Examples:" in done.out
    assert f"  target-tableau-hyper {name} " in done.out
    assert "Exit codes: 0 " in done.out
    assert re.search(r"--config FILE\|ENV", done.out)
    assert ROOT_HELP not in done.out


@pytest.mark.parametrize(
    ("first", "said"),
    [
        pytest.param("refesh", "No such command 'refesh'; did you mean 'refresh'?", id="close"),
        pytest.param("x", "there are refresh, publish, verify, inspect", id="far"),
    ],
)
def test_unknown_command_is_told(first: str, said: str, command: Commands) -> None:
    done = command.bare(first)
    assert done.code == 2
    assert said in done.err


@pytest.mark.parametrize(
    "arguments", [("refresh", "--nonsense"), ("inspect",), ("refresh", "--timeout", "0")]
)
def test_wrong_usage_is_2(arguments: tuple[str, ...], command: Commands) -> None:
    assert command.bare(*arguments).code == 2


def test_the_singer_command_is_as_it_was(
    command: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options first, no word before them: that is how Meltano and shells call it."""
    messages = [schema("gl", {"id": {"type": "integer"}}), record("gl", {"id": 1}), state({"a": 1})]
    text = "".join(f"{dump(message)}\n" for message in messages)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    path = tmp_path / "target.json"
    path.write_text(json.dumps({"output_dir": str(tmp_path / "out")}))
    done = command.bare("--config", str(path))
    assert (done.code, done.out) == (0, '{"a":1}\n')
    assert (tmp_path / "out" / "gl.hyper").exists()
    assert command.bare("--version").out.startswith("target-tableau-hyper v")
    about = command.bare("--about", "--format=json").json
    assert "refresh" in about["settings"]["properties"]


def test_settings_come_from_the_environment_too(
    command: Commands, tableau: Tableau, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in tableau.config.items():
        monkeypatch.setenv(f"TARGET_TABLEAU_HYPER_{name.upper()}", str(value))
    done = command.bare("refresh", "--config", "ENV", "--workbook", "Nowhere")
    assert done.code == 78
    assert "the site has no workbook 'Nowhere'" in done.last_line


@pytest.mark.parametrize(
    ("config", "said"),
    [
        pytest.param(
            {"output_dri": 1, "job_timeout": "x"}, "job_timeout: must be integer", id="type"
        ),
        pytest.param({"tableau_server_url": "https://x"}, "tableau_token_name and", id="half"),
        pytest.param({}, "tableau_server_url is not set; give it with --config", id="missing"),
    ],
)
def test_wrong_settings_are_told(command: Commands, config: dict[str, object], said: str) -> None:
    done = command("refresh", "--workbook", "x", **config)
    assert done.code == 78
    assert said in done.last_line


def test_settings_file_that_is_none(command: Commands, tmp_path: Path) -> None:
    done = command.bare("verify", "--config", str(tmp_path / "nowhere.json"))
    assert done.code == 78
    assert "cannot be read as JSON" in done.last_line
