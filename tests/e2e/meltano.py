"""Run Meltano on the repository's own project, with everything it keeps in a folder of the test."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from contoso_sandbox.contoso import Contoso

PROJECT = Path(__file__).parents[2]
RUN = ("run", "tap-d365fo", "target-tableau-hyper")


@dataclass(frozen=True)
class Meltano:
    """One Meltano installation of its own beside one Contoso."""

    contoso: Contoso
    home: Path
    entities: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def extracts(self) -> Path:
        """Where the target writes."""
        return self.home / "output"

    @property
    def ledger(self) -> Path:
        """Where tap and target record what they do."""
        return self.home / "ledger.db"

    def environment(self) -> dict[str, str]:
        """The variables of a user's shell."""
        return {
            **os.environ,
            **self.contoso.settings(),
            **({"TAP_D365FO_ENTITIES": json.dumps(self.entities)} if self.entities else {}),
            "TAP_D365FO_LEDGER_PATH": str(self.ledger),
            "TARGET_TABLEAU_HYPER_LEDGER_PATH": str(self.ledger),
            "TARGET_TABLEAU_HYPER_OUTPUT_DIR": str(self.extracts),
            "MELTANO_DATABASE_URI": f"sqlite:///{self.home}/meltano.db",
            "MELTANO_SYS_DIR_ROOT": str(self.home / "meltano"),
            "XDG_STATE_HOME": str(self.home / "state"),
            "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
            "MELTANO_CLI_DISABLE_VERSION_CHECK": "1",
            **self.variables,
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command; its output is one pipe."""
        return subprocess.Popen(
            [str(PROJECT / ".venv/bin/meltano"), f"--cwd={PROJECT}", *arguments],
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str) -> str:
        """Run a command that must succeed, and return what it printed."""
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
        return output
