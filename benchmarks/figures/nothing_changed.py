"""A run with nothing changed, against Meltano with a tap and a target that do nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from benchmarks.measuring.figure import at_most, timed
from benchmarks.measuring.meltano import Plugin, Project
from benchmarks.measuring.meter import alternately
from benchmarks.measuring.sandbox import TAP, TARGET, contoso, settings_of
from benchmarks.measuring.workshop import FLOORS, program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from benchmarks.measuring.figure import Figure
    from benchmarks.measuring.workshop import Workshop

_SCALE = 1


def measure(workshop: Workshop) -> Iterator[Figure]:
    """The finance preset of Contoso, published to its Tableau; the first load is not counted."""
    home = workshop.scratch("nothing-changed")
    idle = Project(
        home / "idle",
        Plugin("tap-idle", _script(home, "idle_tap")),
        Plugin("target-idle", _script(home, "idle_target")),
    )
    importing = Project(
        home / "importing",
        Plugin("tap-importing", _script(home, "idle_tap", imports="singer_sdk")),
        Plugin("target-importing", _script(home, "idle_target", imports="singer_sdk")),
    )
    with contoso(home / "contoso", _SCALE) as variables:
        ours = _project(home, variables)
        for project in (idle, importing, ours):
            project.write()
            project.run()
        nothing, imported, unchanged = alternately(
            workshop.sizes.idle_runs, idle.run, importing.run, ours.run
        )
    yield timed(
        "meltano run with nothing changed",
        "meltano run of a tap and a target that do nothing",
        nothing,
        unchanged,
        goal=at_most(1.5),
        note="finance preset of Contoso; snapshots, ledger and metadata cache as in meltano.yml; "
        f"a tap and a target that import the Singer SDK and do nothing: {imported.seconds:.2f} s",
    )


def _project(home: Path, variables: Mapping[str, str]) -> Project:
    kept = {"ledger_path": str(home / "ledger.db")}
    tap = {
        **settings_of(variables, TAP),
        **kept,
        "entities": ["preset:finance"],
        "snapshot_path": str(home / "snapshots"),
        "metadata_cache_path": str(home / "metadata"),
        "label_language": "en-us",
    }
    target = {
        **settings_of(variables, TARGET),
        **kept,
        "tableau_project": "default",
        "output_dir": str(home / "output"),
    }
    return Project(
        home / "ours",
        Plugin("tap-d365fo", program("tap-d365fo"), tap),
        Plugin("target-tableau-hyper", program("target-tableau-hyper"), target),
    )


def _script(home: Path, name: str, *, imports: str = "") -> Path:
    """A command that starts a floor with this Python, as an installed plugin's does."""
    path = home / f"{name}{imports}"
    text = (FLOORS / f"{name}.py").read_text()
    if imports:
        before, last, after = text.partition("\nimport sys\n")
        assert last  # noqa: S101 - else this would be the plain floor
        text = f"{before}{last}\nimport {imports}\n{after}"
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o755)
    return path
