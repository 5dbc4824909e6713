"""Measure discovery of a whole environment against a floor in the same run.

    python -m benchmarks.discovery [--sets 4000] [--width 80]

The environment is the sandbox's made-up one; its documents are written before anything is measured.
The floor downloads the same document and decodes it. Both are processes of their own, so that time
and memory are those of the whole command, start of Python included. Timings on shared machines are
noisy; nothing here decides a test.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec

from contoso_sandbox.entities.synthetic import synthetic
from contoso_sandbox.environment_box import EnvironmentBox

#: Spares the floor the way to Entra ID.
_TOKEN = "benchmark"  # noqa: S105 - opens a made-up environment

_FLOOR = """
import sys, msgspec, requests
url, ca, token = sys.argv[1:]
headers = {"Authorization": "Bearer " + token}
body = requests.get(url + "/metadata/PublicEntities", headers=headers, verify=ca).content
assert len(msgspec.json.decode(body)["value"]) > 0
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took."""

    seconds: float
    peak_mb: float

    def __str__(self) -> str:
        """Half a line of the report."""
        return f"{self.seconds:6.2f} s {self.peak_mb:7.0f} MB"


#: Starts the command from a small process: a child begins with the peak of what forked it.
_METER = """
import resource, subprocess, sys, time
begun = time.perf_counter()
with open(sys.argv[1], "wb") as out:
    code = subprocess.call(sys.argv[2:], stdout=out)
seconds = time.perf_counter() - begun
print(seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def run(command: list[str], output: Path) -> Cost:
    """Run a command to its end, with bytecode on."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    meter = [sys.executable, "-c", _METER, str(output), *command]
    process = subprocess.run(  # noqa: S603 - our own commands
        meter, env=environment, capture_output=True, text=True, check=False
    )
    if process.returncode:
        sys.exit(process.stderr)
    seconds, peak_kb = map(float, process.stdout.split())
    return Cost(seconds, peak_kb / 1024)


def select(catalog: Path, streams: int) -> None:
    """Leave so many streams of a catalog selected."""
    document = msgspec.json.decode(catalog.read_bytes())
    for number, entry in enumerate(document["streams"]):
        entry["metadata"][-1]["metadata"]["selected"] = number < streams
    catalog.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2))


def read_before(catalog: Path) -> dict[str, object]:
    """A state that knows the company: all sets are empty, and a new company must show a row."""
    names = [
        entry["tap_stream_id"] for entry in msgspec.json.decode(catalog.read_bytes())["streams"]
    ]
    partition = {
        "partitions": [{"context": {"company": "usmf"}, "replication_key_value": "once read"}]
    }
    return {"bookmarks": dict.fromkeys(names[:3], partition)}


def configuration(box: EnvironmentBox) -> dict[str, object]:
    """The tap's, from its environment variables: everything that the environment publishes."""
    given = {name.removeprefix("TAP_D365FO_").lower(): v for name, v in box.settings().items()}
    return {**given, "companies": ["usmf"], "entities": ["*"]}


def main() -> None:
    """Print one line for each measurement."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sets", type=int, default=4000)
    arguments.add_argument("--width", type=int, default=80)
    wanted = arguments.parse_args()
    tap = str(Path(sys.executable).with_name("tap-d365fo"))
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        environment = synthetic(wanted.sets, properties=wanted.width)
        with EnvironmentBox(home / "box", environment, stored=False, fixed_tokens=(_TOKEN,)) as box:
            box.d365.prepare()
            config = home / "config.json"
            config.write_text(json.dumps(configuration(box)))
            floor = [sys.executable, "-c", _FLOOR, box.d365_url, str(box.ca_bundle), _TOKEN]
            discovery = [tap, "--config", str(config), "--discover"]
            run(discovery, home / "warm-up")  # compiles bytecode
            print(f"floor      {run(floor, home / 'floor')}")  # noqa: T201
            print(f"discovery  {run(discovery, home / 'catalog')}")  # noqa: T201
            catalog = home / "catalog"
            select(catalog, 3)
            state = home / "state.json"
            state.write_text(json.dumps(read_before(catalog)))
            sync = [tap, "--config", str(config), "--catalog", str(catalog), "--state", str(state)]
            print(f"sync of 3  {run(sync, home / 'messages')}")  # noqa: T201
            print(f"catalog    {catalog.stat().st_size / 1e6:.0f} MB")  # noqa: T201


if __name__ == "__main__":
    main()
