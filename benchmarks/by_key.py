"""Measure the ways to fetch some rows of a wide entity by key: what `etag_scan` does with changes.

    python -m benchmarks.by_key [--scale 5] [--rows 500]

Three ways: an `or` of keys in one `$filter` (as long as an address may be), a GET for each row, and
`$batch` with 100 GETs in a POST. Each without and with a delay for every answer, because a real
environment is not on the same machine. Beside them a page of all rows, as the floor for "read
everything". Requests, bytes and seconds; nothing here decides a test.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import uuid
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from contoso_sandbox.contoso import Contoso
from contoso_sandbox.faults import Fault, delay
from tap_d365fo.access.auth import TokenProvider
from tap_d365fo.access.session import new_session
from tap_d365fo.environment import Environment
from tap_d365fo.reading.by_key import fetch_by_key
from tap_d365fo.reading.keys import KeyForm
from tap_d365fo.reading.query import Query, text_literal
from tap_d365fo.settings import CONFIG_JSONSCHEMA, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tap_d365fo.reading.typed_rows import Row

SET = "VendorsV2"
KEY = ("dataAreaId", "VendorAccountNumber")
COMPANY = "usmf"
BATCH = 100


def settings_for(box: Contoso) -> Settings:
    """The tap's settings for a running box."""
    given = {
        name.removeprefix("TAP_D365FO_").lower(): value
        for name, value in box.settings().items()
        if name.startswith("TAP_D365FO_")
    }
    properties = CONFIG_JSONSCHEMA["properties"]
    defaults = {name: p["default"] for name, p in properties.items() if "default" in p}
    return Settings.from_config({**defaults, **given})


def batch_of(rows: list[Row]) -> tuple[str, str]:
    """Body and content type of a `$batch` that reads ``rows`` by key."""
    boundary = f"batch_{uuid.uuid4().hex}"
    parts = [
        f"--{boundary}\r\nContent-Type: application/http\r\n"
        "Content-Transfer-Encoding: binary\r\n\r\n"
        f"GET {path_of(row)} HTTP/1.1\r\nAccept: application/json\r\n\r\n\r\n"
        for row in rows
    ]
    return "".join(parts) + f"--{boundary}--\r\n", f"multipart/mixed; boundary={boundary}"


def path_of(row: Row) -> str:
    """Address of one row below ``/data``."""
    key = ",".join(f"{name}={text_literal(row[name])}" for name in KEY)
    return f"{SET}({quote(key)})?cross-company=true"


def chunks(rows: list[Row]) -> Iterator[list[Row]]:
    """Cut ``rows`` into batches."""
    left = iter(rows)
    while chunk := list(islice(left, BATCH)):
        yield chunk


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scale", type=float, default=5.0)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--delay-ms", type=float, nargs="*", default=[0.0, 100.0])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, Contoso.start(Path(home), scale=asked.scale) as box:
        measure(box, asked.rows, asked.delay_ms)


def measure(box: Contoso, wanted: int, delays_ms: Iterable[float]) -> None:
    """Print a table for one box."""
    settings = settings_for(box)
    environment = Environment(settings, str(uuid.uuid4()))
    reader, url = environment.reader, settings.environment_url
    listing = environment.metadata.published().listings[SET]
    form = KeyForm(environment.metadata.entity(listing))
    query = Query(SET, conditions=(f"dataAreaId eq '{COMPANY}'",), order=KEY)
    everything = [row for page in reader.walk(query.url(url)) for row in page.rows]
    rows = everything[:: max(1, len(everything) // wanted)][:wanted]
    http = new_session(settings.ca_bundle)
    token = TokenProvider(settings, new_session(settings.ca_bundle)).token()
    http.headers["Authorization"] = f"Bearer {token}"

    wanted_keys = {tuple(row[name] for name in KEY) for row in rows}

    def by_filter() -> int:  # others may come, too: F&O does not tell "A" from "a"
        pages = fetch_by_key(reader, query, url, rows, form)
        found = {tuple(row[name] for name in KEY) for page in pages for row in page.rows}
        return len(found & wanted_keys)

    def one_by_one() -> int:
        answers = [http.get(f"{url}/data/{path_of(row)}") for row in rows]
        return sum(answer.ok for answer in answers)

    def by_batch() -> int:
        found = 0
        for chunk in chunks(rows):
            body, content_type = batch_of(chunk)
            headers = {"Content-Type": content_type}
            answer = http.post(f"{url}/data/$batch", data=body.encode(), headers=headers)
            found += answer.content.count(b"HTTP/1.1 200")
        return found

    def all_rows() -> int:
        return sum(len(page.rows) for page in reader.walk(query.url(url)))

    tell(f"{len(rows)} of {len(everything)} rows of {SET} [{COMPANY}], one worker")
    for delay_ms in delays_ms:
        box.d365.faults.clear()
        if delay_ms:
            box.d365.faults.add(Fault(delay(delay_ms / 1000), on=".*"))
        tell(f"  every answer {delay_ms:g} ms late")
        report(box, "or of keys in $filter", by_filter, len(rows))
        report(box, "a GET for each row", one_by_one, len(rows))
        report(box, f"$batch of {BATCH}", by_batch, len(rows))
        report(box, "all rows in pages", all_rows, len(everything))


def tell(line: str) -> None:
    """Write one line of the report."""
    sys.stdout.write(f"{line}\n")


def report(box: Contoso, name: str, work: Callable[[], int], expected: int) -> None:
    """Do the work twice and print the better time."""
    seconds = []
    for _ in range(2):
        box.d365.requests.clear()
        begun = time.perf_counter()
        found = work()
        seconds.append(time.perf_counter() - begun)
        if found != expected:
            message = f"{name}: {found} rows instead of {expected}"
            raise SystemExit(message)
    sent = list(box.d365.requests)
    tell(
        f"    {name:24} {len(sent):5} requests {sum(r.bytes for r in sent) / 1e6:7.2f} MB "
        f"{min(seconds):7.2f} s"
    )


if __name__ == "__main__":
    main()
