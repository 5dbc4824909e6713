"""Trace, replay and lineage of real runs: Meltano between the sandbox's D365 and its Tableau."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.books import assert_same, expected_rows, published_rows
from tests.e2e.meltano import PROJECT, RUN, Meltano

from contoso_sandbox.contoso import Contoso
from pipeline_core.ledger import Ledger
from target_tableau_hyper.extract.content import content_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COMMAND = Path(sys.executable).with_name("d365fo-tableau")

#: A cursor by company and an etag scan of a shared set.
ENTITIES = ("MainAccounts", "VendTransBiEntities")


@dataclass(frozen=True)
class Archived(Meltano):
    """A project that keeps its pages."""

    metadata: bool = False

    @property
    def archive(self) -> Path:
        """Where the pages are."""
        return self.home / "archive"

    def environment(self) -> dict[str, str]:
        return {
            **super().environment(),
            "TAP_D365FO_ARCHIVE_PATH": str(self.archive),
            "TAP_D365FO_SNAPSHOT_PATH": str(self.home / "snapshots"),
            "TAP_D365FO_METADATA_CACHE_PATH": str(self.home / "metadata"),
            **({"TARGET_TABLEAU_HYPER_ADD_RECORD_METADATA": "true"} if self.metadata else {}),
        }

    def ops(
        self, *arguments: str, ledger_first: bool = False, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """The command, in the project's folder."""
        group, *rest = arguments
        option = ["--ledger", str(self.ledger)]
        given = [group, *option, *rest] if ledger_first else [group, *rest, *option]
        return subprocess.run(
            [str(COMMAND), *given],
            cwd=PROJECT,
            env={**self.environment(), **variables},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def runs(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """A command of ``runs``."""
        return self.ops("runs", *arguments, ledger_first=True, **variables)


@dataclass(frozen=True)
class Pipeline:
    """A project with two runs, a business day between them."""

    meltano: Archived
    first: str
    second: str


@pytest.fixture(scope="module")
def pipeline(
    contoso_home: Callable[[float, int], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pipeline]:
    with Contoso.start(contoso_home(0.05, 7), page_size=50) as contoso:
        meltano = Archived(contoso, tmp_path_factory.mktemp("home"), ENTITIES)
        output = meltano.run(*RUN)
        contoso.world.advance(2)
        output = meltano.run(*RUN)
        listed = json.loads(meltano.runs("list", "--format", "json").stdout)
        first, second = (run["run_id"] for run in listed)
        with Ledger(meltano.ledger, run_id="reader", actor="test") as ledger:
            assert f"ledger head {ledger.anchor}" in output
        yield Pipeline(meltano, first, second)


def a_row(meltano: Archived, *, of_run: str) -> dict[str, Any]:
    """A row of vendor transactions as D365 sent it in a run."""
    index = meltano.archive / of_run / "index.jsonl"
    for line in index.read_text().splitlines():
        entry = json.loads(line)
        if "/data/VendTransBiEntities" in entry["target"]:
            page = unpacked(meltano.archive / of_run / "bodies" / f"{entry['sha256']}.json.gz")
            rows = json.loads(page, parse_float=Decimal)["value"]
            if rows:
                row: dict[str, Any] = rows[-1]
                return row
    pytest.fail("no page with rows")


def unpacked(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


def key_of(meltano: Archived, row: dict[str, Any]) -> list[str]:
    entity = meltano.contoso.world.environment.entity_sets["VendTransBiEntities"]
    return [part for name in entity.key for part in ("--key", f"{name}={row[name]}")]


def shows_the_books(meltano: Archived, scratch: Path) -> None:
    for name in ENTITIES:
        entity_set = meltano.contoso.world.environment.entity_sets[name]
        file = meltano.contoso.tableau.hyper_file(name)
        published = published_rows(file, entity_set.key, scratch)
        assert_same(name, expected_rows(meltano.contoso.world, entity_set), published)


def test_the_story_names_companies_sums_and_jobs(pipeline: Pipeline) -> None:
    told = json.loads(pipeline.meltano.runs("show", pipeline.first, "--format", "json").stdout)
    assert told["outcome"] == "complete"
    assert told["figures_agree"] is True
    assert {part["company"] for part in told["read"]} > {"usmf", "demf", None}
    assert told["archived"]["pages"] > len(told["read"])
    assert len(told["also"]) == 1, "nobody set MELTANO_RUN_ID"
    jobs = {job.id for job in pipeline.meltano.contoso.tableau.jobs()}
    delivered = [done for done in told["outside"] if done["kind"] == "delivery"]
    assert {done["what"] for done in delivered} == set(ENTITIES)
    assert {done["confirmed"]["job_id"] for done in delivered} <= jobs
    text = pipeline.meltano.runs("show", pipeline.second).stdout
    assert "VendTransBiEntities [usmf]: " in text
    assert "sent and received agree" in text


def test_a_cell_is_traced_to_the_digits_that_the_server_sent(pipeline: Pipeline) -> None:
    """The extract has no _audit_run_id: the archive alone tells which run brought the row."""
    meltano = pipeline.meltano
    row = a_row(meltano, of_run=pipeline.second)
    trace = ("trace", "--datasource", "VendTransBiEntities", *key_of(meltano, row))
    done = meltano.runs(*trace, "--column", "AmountMST", "--format", "json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["run_id"] == pipeline.second
    assert Decimal(told["page"]["values"]["AmountMST"]) == row["AmountMST"]
    assert Decimal(told["row"]["AmountMST"]) == row["AmountMST"]
    assert told["page"]["equal"] == {"AmountMST": True}
    raw = unpacked(Path(told["page"]["file"]))
    assert f'"AmountMST":{told["page"]["values"]["AmountMST"]}'.encode() in raw
    assert told["deliveries"][-1]["outcome"] == "done"

    text = meltano.runs(*trace).stdout
    assert "NOT THE SAME" not in text
    assert text.count("   the same") > 20, "without --column, every property is compared"


def test_a_trace_without_archive_says_so_in_clear_words(pipeline: Pipeline, tmp_path: Path) -> None:
    meltano = pipeline.meltano
    row = a_row(meltano, of_run=pipeline.second)
    trace = ["trace", "--datasource", "VendTransBiEntities", *key_of(meltano, row)]
    trace += ["--output-dir", str(meltano.extracts)]
    none = meltano.runs(*trace)
    assert none.returncode == 0
    assert "not known, because no archive is known: set the tap's archive_path" in none.stdout
    gone = meltano.runs(*trace, "--archive", str(tmp_path))
    assert f"the pages of run {pipeline.second} are not in {tmp_path}" in gone.stdout


def test_a_page_that_was_changed_proves_nothing(pipeline: Pipeline, tmp_path: Path) -> None:
    meltano = pipeline.meltano
    row = a_row(meltano, of_run=pipeline.second)
    archive = shutil.copytree(meltano.archive, tmp_path / "archive")
    for body in (archive / pipeline.second / "bodies").iterdir():
        body.write_bytes(body.read_bytes()[:-9])
    trace = ["trace", "--datasource", "VendTransBiEntities", *key_of(meltano, row)]
    options = ["--output-dir", str(meltano.extracts), "--archive", str(archive)]
    done = meltano.runs(*trace, *options)
    assert done.returncode == 70
    assert "cannot be unpacked" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        pytest.param(
            ["--key", "dataAreaId=usmf"], "rows with dataAreaId=usmf; its key is", id="many"
        ),
        pytest.param(["--key", "Voucher=none such"], "has 0 rows", id="none"),
        pytest.param(["--key", "Colour=red"], "has no column 'Colour'", id="no such column"),
        pytest.param(["--key", "AmountMST=much"], "holds numbers", id="no number"),
    ],
)
def test_a_row_that_is_not_named_clearly_is_asked_for_again(
    pipeline: Pipeline, arguments: list[str], why: str
) -> None:
    options = ["--output-dir", str(pipeline.meltano.extracts)]
    source = ["--datasource", "VendTransBiEntities"]
    done = pipeline.meltano.runs("trace", *source, *arguments, *options)
    assert done.returncode == 78
    assert why in done.stderr.splitlines()[-1]


def test_pages_and_extracts_give_the_same_again_without_d365(pipeline: Pipeline) -> None:
    """[A02] The latest run: totals and row hashes are those of the run."""
    meltano = pipeline.meltano
    meltano.contoso.d365.requests.clear()
    done = meltano.ops("replay", pipeline.second, "--format", "json")
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert told["replay_of"] == pipeline.second
    assert len(meltano.contoso.d365.requests) == 0
    for compared in told["compared"]:
        assert compared["figures_same"] is True
        assert compared["rows_same"] is True
        assert compared["sealed_same"] is True
    listed = json.loads(meltano.runs("list", "--format", "json").stdout)
    (replay,) = [run for run in listed if run["run_id"] == told["run_id"]]
    assert (replay["outcome"], replay["replay_of"]) == ("complete", pipeline.second)

    before = len(meltano.contoso.tableau.jobs())
    done = meltano.ops("replay", pipeline.second, "--from", "extract", "--format", "json")
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(meltano.contoso.tableau.jobs()) == before + len(ENTITIES)
    assert {one["outcome"] for one in json.loads(done.stdout)["delivered"]} == {"done"}

    done = meltano.ops("replay", pipeline.second, "--from", "delivery")
    assert done.returncode == 0
    assert "waits: Tableau has confirmed all of it" in done.stdout


def test_runs_replayed_in_order_elsewhere_give_the_same_extracts(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    """[A02] Only to look: neither Tableau nor the extracts nor the state get to know."""
    meltano = pipeline.meltano
    manifests = {p.name: p.read_bytes() for p in meltano.extracts.glob("*.manifest.json")}
    jobs = len(meltano.contoso.tableau.jobs())
    state = meltano.run("state", "get", "sandbox:tap-d365fo-to-target-tableau-hyper")
    aside = tmp_path / "aside"
    for run in (pipeline.first, pipeline.second):
        done = meltano.ops("replay", run, "--into", str(aside), "--format", "json")
        assert done.returncode == 0, done.stderr[-3000:]
        told = json.loads(done.stdout)
        assert all(compared["figures_same"] for compared in told["compared"])
    for compared in told["compared"]:
        stream = compared["stream"]
        manifest = json.loads(manifests[f"{stream}.manifest.json"])
        columns = [column["name"] for column in manifest["columns"]]
        there = content_of(meltano.extracts / manifest["file"], columns)
        assert (compared["rows"], compared["digest"]) == (there.rows, there.digest)
    assert manifests == {p.name: p.read_bytes() for p in meltano.extracts.glob("*.manifest.json")}
    assert len(meltano.contoso.tableau.jobs()) == jobs
    again = meltano.run("state", "get", "sandbox:tap-d365fo-to-target-tableau-hyper")
    assert again.splitlines()[-1] == state.splitlines()[-1]
    for options, why in (
        (["--into", str(meltano.extracts)], "must name another directory"),
        (["--into", str(aside), "--from", "extract"], "--into goes with --from pages"),
    ):
        done = meltano.ops("replay", pipeline.second, *options)
        assert done.returncode == 78
        assert why in done.stderr


def test_told_to_stop_a_replay_stops_what_it_started(pipeline: Pipeline) -> None:
    meltano = pipeline.meltano
    options = [pipeline.second, "--ledger", str(meltano.ledger)]
    with subprocess.Popen(
        [str(COMMAND), "replay", *options],
        cwd=PROJECT,
        env=meltano.environment(),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "replay of run" in line:  # the tap has begun
                break
        process.terminate()
        rest = process.stderr.read()  # to its end: nobody is left who could write
    assert process.returncode == 143
    assert "told to stop (SIGTERM)" in rest.splitlines()[-1]
    with Ledger.reading(meltano.ledger) as ledger:
        *_, intent, failed = ledger.events(prefix="replay.")
    assert (failed.event, failed.body["intent"]) == ("replay.failed", intent.seq)


def test_going_back_in_time_is_refused_and_nothing_is_touched(pipeline: Pipeline) -> None:
    meltano = pipeline.meltano
    with Ledger(meltano.ledger, run_id="reader", actor="test") as ledger:
        head = ledger.anchor
    for arguments, why in (
        ([], "later runs have changed VendTransBiEntities"),
        (["--force"], "--force needs --reason"),
        (["--force", "--reason", " "], "--force needs --reason"),
    ):
        done = meltano.ops("replay", pipeline.first, *arguments)
        assert done.returncode == 78
        assert why in done.stderr.splitlines()[-1]
    with Ledger(meltano.ledger, run_id="reader", actor="test") as ledger:
        assert ledger.anchor == head


def test_an_extract_that_a_later_run_replaced_is_not_there_any_more(pipeline: Pipeline) -> None:
    for forced in ((), ("--force", "--reason", "the auditor asks")):
        done = pipeline.meltano.ops("replay", pipeline.first, "--from", "extract", *forced)
        assert done.returncode == 78
        assert "VendTransBiEntities.hyper is no longer as run" in done.stderr


class Receiver(BaseHTTPRequestHandler):
    """Takes OpenLineage events as an endpoint does."""

    server: Listening

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, self.headers["Authorization"], json.loads(body)))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Listening(ThreadingHTTPServer):
    """Keeps what it got."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.got: list[tuple[str, str | None, dict[str, Any]]] = []
        self.status = 201


@pytest.fixture
def endpoint() -> Iterator[Listening]:
    with Listening() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_lineage_says_what_was_made_of_what(
    pipeline: Pipeline, endpoint: Listening, tmp_path: Path
) -> None:
    meltano = pipeline.meltano
    file = tmp_path / "events.jsonl"
    assert meltano.runs("lineage", pipeline.first, "--to", str(file)).returncode == 0
    start, end = map(json.loads, file.read_text().splitlines())
    assert (start["eventType"], end["eventType"]) == ("START", "COMPLETE")
    inputs = {one["name"]: one for one in end["inputs"]}
    assert {"MainAccounts", "VendTransBiEntities/usmf"} <= inputs.keys()
    outputs = {(one["namespace"].partition(":")[0], one["name"]): one for one in end["outputs"]}
    extract = outputs["file", f"{meltano.extracts}/VendTransBiEntities.hyper"]
    published = outputs["tableau", "default/default/VendTransBiEntities"]
    rows = sum(
        one["inputFacets"]["inputStatistics"]["rowCount"]
        for name, one in inputs.items()
        if name.startswith("VendTransBiEntities/")
    )
    for one in (extract, published):
        assert one["outputFacets"]["outputStatistics"]["rowCount"] == rows
        fields = {field["name"]: field["type"] for field in one["facets"]["schema"]["fields"]}
        assert fields["AmountMST"].startswith("NUMERIC(")
    totals = extract["outputFacets"]["d365fo_controlTotals"]["totals"]
    sums = [
        Decimal(one["inputFacets"]["d365fo_controlTotals"]["totals"]["AmountMST"])
        for name, one in inputs.items()
        if name.startswith("VendTransBiEntities/")
    ]
    assert Decimal(totals["AmountMST"]) == sum(sums)

    url = f"http://127.0.0.1:{endpoint.server_port}"
    key = {"OPENLINEAGE_API_KEY": "a-key-that-nobody-knows"}
    done = meltano.runs("lineage", pipeline.first, "--to", url, **key)
    assert done.returncode == 0, done.stderr
    assert [path for path, _, _ in endpoint.got] == ["/api/v1/lineage"] * 2
    assert {sent for _, sent, _ in endpoint.got} == {"Bearer a-key-that-nobody-knows"}
    assert [body for _, _, body in endpoint.got] == [start, end]


def test_an_endpoint_that_refuses_is_told_without_the_key(
    pipeline: Pipeline, endpoint: Listening
) -> None:
    endpoint.status = 403
    url = f"http://127.0.0.1:{endpoint.server_port}"
    key = {"OPENLINEAGE_API_KEY": "a-key-that-nobody-knows"}
    done = pipeline.meltano.runs("lineage", pipeline.first, "--to", url, **key)
    assert done.returncode == 77
    assert "HTTP 403" in done.stderr
    assert "a-key-that-nobody-knows" not in done.stderr
    done = pipeline.meltano.runs("lineage", pipeline.first, "--to", "http://example.com/", **key)
    assert done.returncode == 78
    assert "must be https" in done.stderr


def test_a_forced_replay_is_in_the_ledger_and_the_next_run_converges(
    contoso_home: Callable[[float, int], Path], tmp_path: Path
) -> None:
    """Also a delivery that Tableau never got: it is completed, and said to be."""
    with Contoso.start(contoso_home(0.05, 7), page_size=250) as contoso:
        meltano = Archived(contoso, tmp_path / "home", ENTITIES, metadata=True)
        meltano.run(*RUN)
        before = published_rows(
            contoso.tableau.hyper_file("VendTransBiEntities"), ("SourceKey",), tmp_path
        )
        contoso.world.advance(2)
        first = json.loads(meltano.runs("list", "--format", "json").stdout)[0]["run_id"]

        # The second run reaches D365, but not Tableau.
        wrong = {**meltano.environment(), "TARGET_TABLEAU_HYPER_TABLEAU_TOKEN_VALUE": "no such"}
        process = subprocess.run(
            [str(PROJECT / ".venv/bin/meltano"), f"--cwd={PROJECT}", *RUN],
            env=wrong,
            capture_output=True,
            check=False,
        )
        assert process.returncode == 1
        shown = meltano.runs("show", "latest").stdout
        assert "failed" in shown.splitlines()[0]
        assert "AuthError" in shown
        done = meltano.ops("replay", "latest", "--from", "delivery")
        assert done.returncode == 0, done.stderr[-3000:]
        assert "VendTransBiEntities: done, job" in done.stdout
        shows_the_books(meltano, tmp_path)

        second = json.loads(meltano.runs("list", "--format", "json").stdout)[1]["run_id"]
        reason = "what did the auditor see?"
        done = meltano.ops("replay", first, "--force", "--reason", reason)
        assert done.returncode == 0, done.stderr[-3000:]
        went_back = published_rows(
            contoso.tableau.hyper_file("VendTransBiEntities"), ("SourceKey",), tmp_path
        )
        assert went_back.keys() == before.keys()
        row = a_row(meltano, of_run=first)
        trace = ("trace", "--datasource", "VendTransBiEntities", *key_of(meltano, row))
        done = meltano.runs(*trace, "--format", "json")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["page"]["run_id"] == first, "a replay's pages are those of the run it repeats"
        assert told["known_by"] == "the row's _audit_run_id"
        with Ledger(meltano.ledger, run_id="reader", actor="test") as ledger:
            intent = list(ledger.events(prefix="replay.intent"))[-1].body
            assert ledger.verify() > 0
        assert (intent["reason"], intent["forced"]) == (reason, True)
        assert intent["user"]
        assert "VendTransBiEntities" in intent["later"]

        done = meltano.ops("replay", second, "--force", "--reason", "and what did we see?")
        assert done.returncode == 0, done.stderr[-3000:]
        shows_the_books(meltano, tmp_path)

        contoso.world.advance(1)
        meltano.run(*RUN)
        shows_the_books(meltano, tmp_path)
        done = meltano.ops("replay", first, "--force", "--reason", reason)
        assert done.returncode == 0, done.stderr[-3000:]
        done = meltano.ops("replay", "latest", "--force", "--reason", reason)
        assert done.returncode == 78
        assert "would be left out for good" in done.stderr.splitlines()[-1]
        meltano.run(*RUN)
        shows_the_books(meltano, tmp_path)
