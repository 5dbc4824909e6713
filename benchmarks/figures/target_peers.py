"""Other targets with the same records, each in an environment of its own, as it comes.

They are slow, so they take the first so many records of the file and rows a second are compared:
start-up weighs more on them than on ours, by about a second in ten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.data.records import write_lines
from benchmarks.measuring.figure import Amount, Figure, at_least
from benchmarks.measuring.meter import run
from benchmarks.measuring.workshop import written
from tests.interop.peers import TARGET_CSV, TARGET_POSTGRES, Peer, scripts_of
from tests.interop.postgres import private_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.measuring.workshop import Workshop

#: singer-python; Apache-2.0. Does not validate unless asked to.
TARGET_DUCKDB = Peer("target-duckdb", "0.8.0")


@dataclass(frozen=True, slots=True)
class Race:
    """The same records for every peer.

    Attributes:
        home: Where peers write.
        messages: The records.
        rows: How many.
        ours: Our rate, in rows a second.
    """

    home: Path
    messages: Path
    rows: int
    ours: float

    def against(self, peer: Peer, script: str, config: dict[str, Any]) -> Figure:
        """Let one peer load the records."""
        settings = written(self.home / script, config)
        command: list[str | Path] = [scripts_of(peer) / script, "--config", settings]
        seconds = run(command, stdin=self.messages).seconds
        return Figure(
            f"target RECORD, against {peer.name}",
            f"{peer.requirement} as it comes",
            Amount(self.rows / seconds, "rows/s"),
            Amount(self.ours, "rows/s"),
            at_least(8),
            f"the peer took {self.rows:,} of the records; rows a second are compared",
        )


def against_peers(workshop: Workshop, ours: float) -> Iterator[Figure]:
    """One figure for each peer; PostgreSQL's server may be missing, so it comes last."""
    home, rows = workshop.scratch("target-peers"), workshop.sizes.peer_rows
    messages = workshop.kept(f"{rows}.singer", lambda path: write_lines(path, rows))
    race = Race(home, messages, rows, ours)
    database = {"path": str(home / "peer.duckdb"), "default_target_schema": "main"}
    yield race.against(TARGET_DUCKDB, "target-duckdb", database)
    folder = home / "csv"
    folder.mkdir()
    yield race.against(TARGET_CSV, "target-csv", {"output_path": str(folder)})
    with private_postgres() as server:
        config = {"sqlalchemy_url": server.sqlalchemy_url}
        yield race.against(TARGET_POSTGRES, "target-postgres", config)
