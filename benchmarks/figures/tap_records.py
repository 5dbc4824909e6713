"""The tap in RECORD mode: against the bare loop, and against a plain tap of the Singer SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.figures.tap_commands import SOURCE, tap_command
from benchmarks.measuring.figure import Amount, Figure, at_least, at_most, timed
from benchmarks.measuring.meter import Cost, alternately, run
from benchmarks.measuring.workshop import floor, written
from benchmarks.replay.plan import TOKEN, Replay
from benchmarks.replay.running import replaying

from contoso_sandbox.entities import contoso_environment
from contoso_sandbox.model import AxType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from benchmarks.measuring.workshop import Workshop

    from contoso_sandbox.model import EntitySet

_KINDS = {
    AxType.INT32: "integer",
    AxType.INT64: "integer",
    AxType.REAL: "number",
    AxType.DATE: "date-time",
    AxType.UTC_DATE_TIME: "date-time",
}


def measure(workshop: Workshop) -> Iterator[Figure]:
    """Both figures; the slow tap reads fewer rows, and rows a second are compared."""
    home, sizes = workshop.scratch("tap-records"), workshop.sizes
    with replaying(Replay(SOURCE, sizes.ledger_rows, ahead=True), home) as config:
        bare, ours = alternately(workshop.repetitions, lambda: _bare(config), _ours(home, config))
    yield timed(
        "tap RECORD, 26-column ledger pages",
        "bare loop (same requests, unpacking, msgspec decoding)",
        bare,
        ours,
        goal=at_most(1.5),
        note=f"{sizes.ledger_rows:,} rows; both are processes, start and imports included; "
        f"{ours.peak('tap-d365fo').rss_mb:.0f} MB peak",
    )
    rows = sizes.sdk_tap_rows
    with replaying(Replay(SOURCE, rows, ahead=True), home) as config:
        plain = run(_plain_tap(home, config))
    yield Figure(
        "tap RECORD, against a plain SDK tap",
        "a singer-sdk RESTStream tap on the same pages",
        Amount(rows / plain.seconds, "rows/s"),
        Amount(sizes.ledger_rows / ours.seconds, "rows/s"),
        at_least(8),
        f"the plain tap read {rows:,} rows of them; rows a second are compared",
    )


def _bare(config: Mapping[str, Any]) -> Cost:
    url = f"{config['environment_url']}/data/{SOURCE}?cross-company=true&$orderby=SourceKey"
    return run(floor("bare_loop", url, config["ca_bundle"], TOKEN))


def _ours(home: Path, config: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a callable
    command = tap_command(home, config)
    return lambda: run(command)


def _plain_tap(home: Path, config: Mapping[str, Any]) -> list[str]:
    entity_set: EntitySet = contoso_environment().entity_sets[SOURCE]
    properties = {p.name: _KINDS.get(p.ax_type, "string") for p in entity_set.properties}
    settings = {
        "environment_url": config["environment_url"],
        "ca_bundle": config["ca_bundle"],
        "token": TOKEN,
        "entity_set": SOURCE,
        "key": list(entity_set.key),
        "properties": properties,
    }
    return floor("sdk_tap", "--config", written(home / "plain.json", settings))
