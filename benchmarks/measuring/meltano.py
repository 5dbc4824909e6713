"""A Meltano project of one tap and one target, and its run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.measuring.meter import Cost, run
from benchmarks.measuring.workshop import program, written

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_KINDS = {dict: "object", list: "array", bool: "boolean", int: "integer"}
_TAP_CAPABILITIES = ("catalog", "discover", "state")


@dataclass(frozen=True, slots=True)
class Plugin:
    """One side of the pipe.

    Attributes:
        name: As Meltano calls it.
        executable: Its program.
        config: Its configuration.
    """

    name: str
    executable: Path
    config: Mapping[str, Any] = field(default_factory=dict)

    def entry(self, *capabilities: str) -> dict[str, Any]:
        """The plugin in ``meltano.yml``."""
        settings = [
            {"name": name, "kind": _KINDS.get(type(value), "string")}
            for name, value in self.config.items()
        ]
        return {
            "name": self.name,
            "namespace": self.name.replace("-", "_"),
            "executable": str(self.executable),
            "capabilities": list(capabilities),
            "settings": settings,
            "config": dict(self.config),
        }


@dataclass(frozen=True, slots=True)
class Project:
    """A project in a folder of its own."""

    folder: Path
    tap: Plugin
    target: Plugin

    def write(self) -> None:
        """Write ``meltano.yml``; JSON is YAML."""
        self.folder.mkdir(parents=True)
        content = {
            "project_id": self.folder.name,
            "send_anonymous_usage_stats": False,
            "auto_install": False,
            "default_environment": "bench",
            "environments": [{"name": "bench"}],
            "plugins": {
                "extractors": [self.tap.entry(*_TAP_CAPABILITIES)],
                "loaders": [self.target.entry()],
            },
        }
        written(self.folder / "meltano.yml", content)

    def run(self, *options: str) -> Cost:
        """``meltano run`` of the pair."""
        command: list[str | Path] = [
            program("meltano"),
            "run",
            *options,
            self.tap.name,
            self.target.name,
        ]
        variables = {
            "MELTANO_CLI_DISABLE_VERSION_CHECK": "1",
            "XDG_STATE_HOME": str(self.folder / "state"),
        }
        return run(command, variables=variables, cwd=self.folder)
