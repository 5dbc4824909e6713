"""Measure the tap and the target as ratios against a floor in the same run.

    make bench

Timings on shared machines are noisy; the ratio of two measurements of one run is what counts. Each
is the least of several repetitions. Nothing here decides a test.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msal
import msgspec
import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq
import requests
from tableauhyperapi import Connection, CreateMode, HyperProcess, Telemetry

from contoso_sandbox.state import Credentials, RunningBox, meltano_settings

if TYPE_CHECKING:
    from collections.abc import Callable

STREAM = "GeneralJournalAccountEntryBiEntities"
BIN = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Ratio:
    """One measured figure."""

    name: str
    rows: int
    floor_s: float
    ours_s: float

    def __str__(self) -> str:
        """One line of the report."""
        ratio = self.ours_s / self.floor_s
        return (
            f"{self.name:44} {self.rows:>9,} rows   floor {self.floor_s:7.2f} s   "
            f"ours {self.ours_s:7.2f} s   ratio {ratio:5.2f}"
        )


def least(repetitions: int, work: Callable[[], object]) -> float:
    """Seconds of the fastest repetition."""
    times = []
    for _ in range(repetitions):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)


class Box:
    """A Contoso in a process of its own, so that it does not share our interpreter's lock."""

    def __init__(self, directory: Path, scale: float) -> None:
        """Start it and wait until it answers."""
        self.directory = directory
        command = [str(BIN / "contoso-sandbox"), "serve", "--any-port", f"--scale={scale}"]
        command += ["--dir", str(directory)]
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            command, stdout=subprocess.DEVNULL
        )
        while (running := RunningBox.of(directory)) is None:
            if self._process.poll() is not None:
                message = "the sandbox did not start"
                raise SystemExit(message)
            time.sleep(0.05)
        self.running = running

    def tap_config(self) -> dict[str, Any]:
        """The tap's configuration for this box."""
        variables = meltano_settings(self.running, Credentials.kept_in(self.directory))
        prefix = "TAP_D365FO_"
        config: dict[str, Any] = {
            name.removeprefix(prefix).lower(): value
            for name, value in variables.items()
            if name.startswith(prefix)
        }
        return config | {"entities": [STREAM]}

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()


def measure_tap(box: Box, work: Path, repetitions: int) -> Ratio:
    """RECORD messages against the bare loop: same requests, unpacking, JSON decoding."""
    config = box.tap_config()
    rows = 0

    def floor() -> None:
        nonlocal rows
        rows = 0
        authority = f"{config['authority_host']}/{config['tenant_id']}"
        with requests.Session() as session:
            session.verify, session.trust_env = config["ca_bundle"], False
            app = msal.ConfidentialClientApplication(
                config["client_id"],
                authority=authority,
                client_credential=config["client_secret"],
                http_client=session,
                instance_discovery=False,
            )
            scope = f"{config['environment_url']}/.default"
            token = app.acquire_token_for_client([scope])["access_token"]
            session.headers["Authorization"] = f"Bearer {token}"
            url: str | None = (
                f"{config['environment_url']}/data/{STREAM}?cross-company=true&$orderby=SourceKey"
            )
            while url:
                page = msgspec.json.decode(session.get(url).content)
                rows += len(page["value"])
                url = page.get("@odata.nextLink")

    (work / "tap.json").write_text(json.dumps(config))
    tap = [str(BIN / "tap-d365fo"), "--config", str(work / "tap.json")]
    with (work / "catalog.json").open("wb") as catalog:
        subprocess.run([*tap, "--discover"], stdout=catalog, stderr=subprocess.DEVNULL, check=True)  # noqa: S603

    def ours() -> None:
        with (work / "records.singer").open("wb") as out:
            command = [*tap, "--catalog", str(work / "catalog.json")]
            subprocess.run(command, stdout=out, stderr=subprocess.DEVNULL, check=True)  # noqa: S603

    return Ratio(
        "tap, RECORD / bare download and parse", *_timed(floor, ours, repetitions, lambda: rows)
    )


def measure_target(work: Path, repetitions: int) -> Ratio:
    """RECORD messages to a sealed extract, against pyarrow's JSON reader and a bare insert."""
    records = work / "records.jsonl"
    with (work / "records.singer").open("rb") as lines, records.open("wb") as out:
        for line in lines:
            message = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
            if bytes(message["type"]) == b'"RECORD"':
                out.write(bytes(message["record"]) + b"\n")
    arrow = _arrow_schema(_schema_of(work / "records.singer"))
    rows = 0

    def floor() -> None:
        nonlocal rows
        options = pa.json.ParseOptions(explicit_schema=arrow)
        table = pa.json.read_json(records, parse_options=options)
        rows = table.num_rows
        pq.write_table(table, work / "floor.parquet")
        _bare_insert(work / "floor.hyper", [work / "floor.parquet"])

    def ours() -> None:
        _load(work, work / "records.singer")

    name = "target, RECORD / JSON to Arrow and bare insert"
    return Ratio(name, *_timed(floor, ours, repetitions, lambda: rows))


def measure_batches(work: Path, repetitions: int) -> Ratio:
    """BATCH messages with Parquet files to a sealed extract, against a bare insert of the files."""
    schema = _schema_of(work / "records.singer")
    table = pa.json.read_json(
        work / "records.jsonl",
        parse_options=pa.json.ParseOptions(explicit_schema=_arrow_schema(schema)),
    )
    files = []
    for number, start in enumerate(range(0, table.num_rows, 250_000)):
        files.append(work / f"batch-{number}.parquet")
        pq.write_table(table.slice(start, 250_000), files[-1])
    batch = {
        "type": "BATCH",
        "stream": STREAM,
        "encoding": {"format": "parquet", "compression": "none"},
        "manifest": [str(file) for file in files],
    }
    start_message = {
        "type": "SCHEMA",
        "stream": STREAM,
        "schema": schema,
        "key_properties": ["SourceKey"],
    }
    lines = b"\n".join(map(msgspec.json.encode, (start_message, batch)))
    (work / "batches.singer").write_bytes(lines + b"\n")

    def floor() -> None:
        _bare_insert(work / "floor.hyper", files)

    def ours() -> None:
        _load(work, work / "batches.singer")

    name = "target, BATCH Parquet / bare insert of the files"
    return Ratio(name, *_timed(floor, ours, repetitions, lambda: table.num_rows))


def _timed(
    floor: Callable[[], None],
    ours: Callable[[], None],
    repetitions: int,
    rows: Callable[[], int],
) -> tuple[int, float, float]:
    floor_s = least(repetitions, floor)
    ours_s = least(repetitions, ours)
    return rows(), floor_s, ours_s


def _bare_insert(extract: Path, files: list[Path]) -> None:
    """What hyperd takes for the same rows, start and end of its process included."""
    parameters = {"log_config": "", "default_database_version": "3"}
    listed = ", ".join(f"'{file}'" for file in files)
    with (
        HyperProcess(Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters=parameters) as hyperd,
        Connection(hyperd.endpoint, str(extract), CreateMode.CREATE_AND_REPLACE) as connection,
    ):
        connection.execute_command(
            f"CREATE TABLE t AS SELECT * FROM external(ARRAY[{listed}], FORMAT => 'parquet')"  # noqa: S608 - ours
        )


def _load(work: Path, messages: Path) -> None:
    """The target's whole way, from its start to a sealed extract."""
    shutil.rmtree(work / "output", ignore_errors=True)
    (work / "target.json").write_text(json.dumps({"output_dir": str(work / "output")}))
    command = [str(BIN / "target-tableau-hyper"), "--config", str(work / "target.json")]
    with messages.open("rb") as lines:
        subprocess.run(  # noqa: S603 - our own command
            command,
            stdin=lines,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )


def _schema_of(messages: Path) -> dict[str, Any]:
    """The first SCHEMA of a stream of messages."""
    with messages.open("rb") as lines:
        for line in lines:
            message = msgspec.json.decode(line)
            if message["type"] == "SCHEMA":
                schema: dict[str, Any] = message["schema"]
                return schema
    message = f"{messages} has no SCHEMA"
    raise SystemExit(message)


def _arrow_schema(schema: dict[str, Any]) -> pa.Schema:
    return pa.schema([(name, _arrow_type(p)) for name, p in schema["properties"].items()])


def _arrow_type(definition: dict[str, Any]) -> pa.DataType:
    types = definition["type"]
    if "integer" in types:
        return pa.int64()
    if "number" in types:
        return pa.decimal128(38, 6)
    return pa.date32() if definition.get("format") == "date" else pa.string()


def main() -> None:
    """Measure, print, and write ``benchmarks/results.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=10, help="size of Contoso's data")
    parser.add_argument("--repetitions", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        box = Box(work / "sandbox", arguments.scale)
        try:
            figures = [measure_tap(box, work, arguments.repetitions)]
        finally:
            box.stop()
        print(figures[0], flush=True)  # noqa: T201 - this is what the command is for
        for measure in (measure_target, measure_batches):
            figures.append(measure(work, arguments.repetitions))
            print(figures[-1], flush=True)  # noqa: T201
    results = Path(__file__).with_name("results.json")
    results.write_text(json.dumps([asdict(figure) for figure in figures], indent=2) + "\n")


if __name__ == "__main__":
    main()
