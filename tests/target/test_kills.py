"""L03: killed at any named moment, a run loses nothing, and the next one converges.

How often each moment is tried says ``KILL_TRIALS``; ``make test-all`` takes 25. Data, and what
stands in Tableau already, differ from trial to trial, by a seed that the test's name tells.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from tests.target.messages import dump, record, schema, state

from target_tableau_hyper.extract.manifest import sha256_of
from target_tableau_hyper.failpoints import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.target.harness import Rows, Tableau

TRIALS = int(os.environ.get("KILL_TRIALS", "1"))

KEYED, KEYLESS, APPENDED = "keyed", "keyless", "append-only"

#: Moments that come only when rows are appended, or only when rows are replaced.
_ONLY = {"commit.undo": (KEYLESS, APPENDED), "merge.deleted": (KEYED,)}


@dataclass
class Zygote:
    """The target's command, many times."""

    process: subprocess.Popen[str]
    directory: Path

    def run(
        self, config: dict[str, Any], messages: list[dict[str, Any]], failpoint: str = ""
    ) -> tuple[int, list[Any]]:
        """One run: its exit status, and the STATEs that it wrote."""
        files = {name: self.directory / name for name in ("input", "output", "errors", "config")}
        files["input"].write_text("".join(f"{dump(message)}\n" for message in messages))
        files["config"].write_text(json.dumps(config))
        job = {
            "env": {"TARGET_TABLEAU_HYPER_FAILPOINT": failpoint},
            "arguments": ["--config", str(files["config"])],
            **{name: str(files[name]) for name in ("input", "output", "errors")},
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{json.dumps(job)}\n")
        self.process.stdin.flush()
        status = int(self.process.stdout.readline())
        return status, [json.loads(line) for line in files["output"].read_text().splitlines()]

    @property
    def said(self) -> str:
        """The last run's log."""
        return (self.directory / "errors").read_text()


@pytest.fixture(scope="module")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.target.zygote"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Zygote(process, tmp_path_factory.mktemp("zygote"))
        assert process.stdin is not None
        process.stdin.close()


@dataclass
class Source:
    """What a tap would send, and what must be there in the end."""

    name: str
    kind: str
    chance: random.Random
    table: dict[int, str] = field(default_factory=dict)

    def change(self, rows: int) -> list[dict[str, Any]]:
        """Messages of a run that adds rows and, of a keyed stream, changes and deletes some."""
        keys = ["id"] if self.kind != KEYLESS else []
        properties = {"id": {"type": "integer"}, "text": {"type": "string"}}
        messages = [schema(self.name, properties, keys=keys)]
        old = list(self.table)
        for n in range(rows):
            number = len(self.table) + 1_000 * self.chance.randrange(1, 1_000_000)
            if self.kind == KEYED and old and (n == 0 or self.chance.random() < 0.4):
                number = old.pop(self.chance.randrange(len(old)))
            self.table[number] = f"text {self.chance.randrange(10**9)}"
            messages.append(record(self.name, {"id": number, "text": self.table[number]}))
        if self.kind == KEYED and old and self.chance.random() < 0.7:
            gone = old.pop()
            del self.table[gone]
            values = {"id": gone, "_sdc_deleted_at": "2026-01-01T00:00:00Z"}
            messages.append(record(self.name, values))
        return messages

    def rows(self) -> list[tuple[int, str]]:
        return sorted(self.table.items())


def published(tableau: Tableau, rows: Rows, name: str) -> list[tuple[Any, ...]] | None:
    """What Tableau shows; ``None`` where there is no such data source."""
    if all(source.name != name for source in tableau.server.datasources()):
        return None
    return sorted(rows(tableau.server.hyper_file(name)))


@pytest.mark.parametrize("trial", range(TRIALS))
@pytest.mark.parametrize("moment", NAMES)
def test_l03_killed_at_any_moment_the_next_run_converges(  # noqa: PLR0917 - fixtures
    zygote: Zygote, tableau: Tableau, rows: Rows, tmp_path: Path, moment: str, trial: int
) -> None:
    chance = random.Random(f"{moment} {trial}")  # noqa: S311 - to be repeated
    kind = chance.choice(_ONLY.get(moment, (KEYED, KEYLESS, APPENDED)))
    source = Source(f"{moment} {trial}", kind, chance)
    config = {**tableau.config, "output_dir": str(tmp_path / "output"), "chunk_size_mb": 1}
    if kind == APPENDED:
        config["load_method"] = "append-only"
    if moment == "merge.deleted" or chance.random() < 0.7:
        status, states = zygote.run(
            config, [*source.change(chance.randrange(5, 40)), state({"run": 0})]
        )
        assert (status, states) == (0, [{"run": 0}]), zygote.said
    before = published(tableau, rows, source.name)
    messages = source.change(chance.randrange(1, 20))
    after = source.rows()

    status, states = zygote.run(config, [*messages, state({"run": 1})], moment)
    assert status == -signal.SIGKILL, zygote.said
    shown = published(tableau, rows, source.name)
    assert shown in (before, after)
    assert states == ([{"run": 1}] if moment == "state.written" else [])
    assert not states or shown == after

    # The tap goes on from the last STATE that it was given back.
    again = messages[:1] if states else messages
    status, states = zygote.run(config, [*again, state({"run": 2})])
    assert (status, states) == (0, [{"run": 2}]), zygote.said
    shown = published(tableau, rows, source.name)
    if moment == "state.settled" and kind != KEYED:
        # The one moment that is told in the README: the rows are taken for acknowledged.
        assert sorted(set(shown or [])) == after
    else:
        assert shown == after
    directory = tmp_path / "output"
    (manifest,) = directory.glob("*.manifest.json")
    extract = directory / json.loads(manifest.read_text())["file"]
    assert sorted(rows(extract)) == shown
    assert json.loads(manifest.read_text())["sha256"] == sha256_of(extract)
    assert not any((directory / ".staging").iterdir())
    assert not list(directory.glob("*.next.json"))
    undo = directory / ".undo"
    assert not undo.exists() or not any(undo.iterdir())
