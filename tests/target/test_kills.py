"""L03: killed at any named moment, a run loses nothing, and the next one converges.

How often each moment is tried says ``KILL_TRIALS``; ``make test-all`` takes 25. Data, what stands
in Tableau already, and how rows are loaded and removed differ from trial to trial, by a seed that
the test's name tells.
"""

from __future__ import annotations

import json
import os
import random
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from tests.target.messages import record, schema, state

from target_tableau_hyper.extract.manifest import sha256_of
from target_tableau_hyper.failpoints import NAMES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.target.harness import Rows, Tableau
    from tests.target.killed import Zygote

TRIALS = int(os.environ.get("KILL_TRIALS", "1"))

KEYED, KEYLESS, APPENDED = "keyed", "keyless", "append-only"
SOFT, OVERWRITE = "soft deletes", "overwrite"

#: What each needs in the settings.
SETTINGS: dict[str, dict[str, object]] = {
    KEYED: {},
    KEYLESS: {},
    APPENDED: {"load_method": "append-only"},
    SOFT: {"hard_delete": False},
    OVERWRITE: {"load_method": "overwrite"},
}

#: Rows that come again are found by their keys, or replace all others.
AGAIN = (KEYED, SOFT, OVERWRITE)

#: Moments that come only when rows are appended, or only when rows are replaced.
_ONLY = {"commit.undo": (KEYLESS, APPENDED), "merge.deleted": (KEYED,)}

#: A file in pieces of which not the first is lost; it takes its time.
LATER_CHUNK = "upload.chunk:2"

CASES = [
    *((moment, trial) for moment in NAMES for trial in range(TRIALS)),
    *((LATER_CHUNK, trial) for trial in range(max(1, TRIALS // 8))),
]


@dataclass
class Source:
    """What a tap would send, and what must be there in the end."""

    name: str
    kind: str
    chance: random.Random
    text_bytes: int = 0
    table: dict[int, str] = field(default_factory=dict)

    def change(self, rows: int) -> list[dict[str, Any]]:
        """Messages of a run that adds rows and, of a keyed stream, changes and deletes some.

        A STATE comes in the middle, too.
        """
        keys = ["id"] if self.kind != KEYLESS else []
        properties: dict[str, Any] = {"id": {"type": "integer"}, "text": {"type": "string"}}
        if self.titled:
            properties["text"]["title"] = "What it says"  # a reason to publish a package
        messages = [schema(self.name, properties, keys=keys)]
        if self.kind == OVERWRITE:
            self.table.clear()
        old, keyed = list(self.table), self.kind in {KEYED, SOFT}
        for n in range(rows):
            number = len(self.table) + 1_000 * self.chance.randrange(1, 1_000_000)
            if keyed and old and (n == 0 or self.chance.random() < 0.4):
                number = old.pop(self.chance.randrange(len(old)))
            self.table[number] = f"text {self.chance.randrange(10**9)}"
            self.table[number] += self.chance.randbytes(self.text_bytes).hex()
            messages.append(record(self.name, {"id": number, "text": self.table[number]}))
            if n == 0:
                messages.append(state({"run": "is not over"}))
        if keyed and old and self.chance.random() < 0.7:
            gone = old.pop()
            del self.table[gone]
            values = {"id": gone, "_sdc_deleted_at": "2026-01-01T00:00:00Z"}
            messages.append(record(self.name, values))
        return messages

    @property
    def titled(self) -> bool:
        """Whether its schema has something to say to Tableau."""
        return len(self.name) % 2 == 0

    def rows(self) -> list[tuple[int, str]]:
        return sorted(self.table.items())


def published(tableau: Tableau, rows: Rows, name: str) -> list[tuple[Any, ...]] | None:
    """What Tableau shows; ``None`` where there is no such data source."""
    if all(source.name != name for source in tableau.server.datasources()):
        return None
    return present(rows(tableau.server.hyper_file(name)))


def present(found: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows without those that are deleted softly, and without the mark."""
    return sorted(row[:2] for row in found if row[2:] in {(), (None,)})


@pytest.mark.parametrize(("moment", "trial"), CASES)
def test_l03_killed_at_any_moment_the_next_run_converges(  # noqa: PLR0917 - fixtures
    zygote: Zygote, tableau: Tableau, rows: Rows, tmp_path: Path, moment: str, trial: int
) -> None:
    chance = random.Random(f"{moment} {trial}")  # noqa: S311 - to be repeated
    kind = chance.choice(_ONLY.get(moment, tuple(SETTINGS)))
    large = moment == LATER_CHUNK
    source = Source(f"{moment} {trial}", kind, chance, text_bytes=100_000 if large else 0)
    config = {
        **tableau.config,
        **SETTINGS[kind],
        "output_dir": str(tmp_path / "output"),
        "chunk_size_mb": 1,
    }
    if moment == "merge.deleted" or chance.random() < 0.7:
        status, states = zygote.run(
            config, [*source.change(chance.randrange(5, 40)), state({"run": 0})]
        )
        assert (status, states) == (0, [{"run": 0}]), zygote.said
    before = published(tableau, rows, source.name)
    messages = source.change(chance.randrange(25, 30) if large else chance.randrange(1, 20))
    after = source.rows()

    status, states = zygote.run(config, [*messages, state({"run": 1})], moment)
    assert status == -signal.SIGKILL, zygote.said
    shown = published(tableau, rows, source.name)
    assert shown in (before, after)
    assert states == ([{"run": 1}] if moment == "state.written" else [])
    assert not states or shown == after

    # The tap goes on from the last STATE that it was given back.
    again = messages[:1] if states and kind != OVERWRITE else messages
    status, states = zygote.run(config, [*again, state({"run": 2})])
    assert (status, states) == (0, [{"run": 2}]), zygote.said
    shown = published(tableau, rows, source.name)
    if moment == "state.settled" and kind not in AGAIN:
        # The one moment that is told in the README: the rows are taken for acknowledged.
        assert sorted(set(shown or [])) == after
    else:
        assert shown == after
    directory = tmp_path / "output"
    (manifest,) = directory.glob("*.manifest.json")
    extract = directory / json.loads(manifest.read_text())["file"]
    assert present(rows(extract)) == shown
    assert json.loads(manifest.read_text())["sha256"] == sha256_of(extract)
    assert not any((directory / ".staging").iterdir())
    assert not list(directory.glob(".commit*"))
    undo = directory / ".undo"
    assert not undo.exists() or not any(undo.iterdir())
