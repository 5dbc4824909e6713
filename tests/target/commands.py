"""Runs the command in this process, as a shell would."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from target_tableau_hyper.cli import main

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def last_line(self) -> str:
        return self.err.strip().splitlines()[-1]

    @property
    def json(self) -> Any:  # noqa: ANN401
        return json.loads(self.out)


@dataclass
class Commands:
    """Commands over one settings file."""

    directory: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, command: str, *arguments: str, **config: Any) -> Done:  # noqa: ANN401
        path = self.directory / "settings.json"
        path.write_text(json.dumps(config))
        return self.bare(command, "--config", str(path), *arguments)

    def bare(self, *arguments: str) -> Done:
        """Without a settings file."""
        self.monkeypatch.setattr("sys.argv", ["target-tableau-hyper", *arguments])
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as leaving:
            main()
        assert isinstance(leaving.value.code, int)
        return Done(leaving.value.code, *self.capsys.readouterr())
