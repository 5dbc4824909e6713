"""The whole pipeline in BATCH mode under Meltano, against its slowest stage alone."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from benchmarks.figures.tap_commands import SOURCE, tap_command
from benchmarks.figures.target_commands import load
from benchmarks.measuring.figure import Amount, Figure, at_most
from benchmarks.measuring.meltano import Plugin, Project
from benchmarks.measuring.meter import Cost, alternately, run
from benchmarks.measuring.workshop import program
from benchmarks.replay.plan import Replay
from benchmarks.replay.running import replaying

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.measuring.workshop import Workshop

_BATCH_ROWS = 100_000
_PIPED, _EXTRACTS = "piped-batches", "piped-extracts"


def measure(workshop: Workshop) -> Iterator[Figure]:
    """Tap alone, target alone on what that wrote, then both under ``meltano run``."""
    home, rows = workshop.scratch("pipeline"), workshop.sizes.ledger_rows
    messages = home / "messages.singer"
    with replaying(Replay(SOURCE, rows, ahead=True), home) as config:
        # Our target gives the version of a BATCH to its rows; else a first load comes as records.
        versioned = config | {"batch_full_reads": "versioned_batches"}
        settings = versioned | {"batch_config": _batches(home / "batches")}
        command = tap_command(home, settings)
        project = _project(home, settings)
        tap, target, whole = alternately(
            workshop.repetitions,
            lambda: run(command, stdout=messages),
            lambda: load(home, messages),
            lambda: _anew(home, project),
        )
    slowest = max(tap, target, key=lambda cost: cost.seconds)
    yield Figure(
        "pipeline BATCH, tap + Meltano + target",
        f"the {'tap' if slowest is tap else 'target'} alone",
        Amount(slowest.seconds, "s"),
        Amount(whole.seconds, "s"),
        at_most(1.3),
        f"{rows:,} ledger rows; tap alone {tap.seconds:.1f} s, target alone {target.seconds:.1f} s",
    )


def _batches(folder: Path) -> dict[str, Any]:
    return {
        "encoding": {"format": "parquet"},
        "storage": {"root": f"file://{folder}"},
        "batch_size": _BATCH_ROWS,
    }


def _project(home: Path, settings: dict[str, Any]) -> Project:
    project = Project(
        home / "meltano",
        Plugin(
            "tap-d365fo",
            program("tap-d365fo"),
            settings | {"batch_config": _batches(home / _PIPED)},
        ),
        Plugin(
            "target-tableau-hyper",
            program("target-tableau-hyper"),
            {"output_dir": str(home / _EXTRACTS)},
        ),
    )
    project.write()
    return project


def _anew(home: Path, project: Project) -> Cost:
    """A first load: without the state and the extract of an earlier one."""
    for name in (_PIPED, _EXTRACTS):
        shutil.rmtree(home / name, ignore_errors=True)
    return project.run("--full-refresh")
