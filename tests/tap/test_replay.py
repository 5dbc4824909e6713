"""A recorded run, emitted again without the network: the same lines, or a clear refusal."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.tap.conftest import Output, settings_for
from tests.tap.test_process import COMMAND

from pipeline_core.errors import ConfigError, DataError, IntegrityError
from pipeline_core.ledger import Ledger
from tap_d365fo.access.archive import Archive, RecordedRun
from tap_d365fo.access.replay import ReplayedPages, shaping_digests
from tap_d365fo.tap import TapD365FO

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from contoso_sandbox.contoso import Contoso

    Lines = Callable[..., list[str]]

#: One of each strategy that reads on its own: high_water, cursor, full per company, full shared.
ENTITIES = [
    "GeneralJournalAccountEntryBiEntities",
    "MainAccounts",
    "VendTransBiEntities",
    "VendorsV2",
]
URL = "https://contoso.example/data/VendorsV2?cross-company=true"
AT = datetime(2026, 11, 23, 7, 0, 0, 1, tzinfo=UTC)


@pytest.fixture
def lines_of(capsys: pytest.CaptureFixture[str]) -> Lines:
    """Run the tap and give its lines; those of a STATE without the run id, which is the run's."""

    def run(config: Mapping[str, Any], *, state: Mapping[str, Any] | None = None) -> list[str]:
        capsys.readouterr()
        TapD365FO(config=dict(config), state=dict(state) if state else None).sync_all()
        return without_run_id(capsys.readouterr().out)

    return run


def without_run_id(output: str) -> list[str]:
    lines = output.splitlines()
    for number, line in enumerate(lines):
        if line.startswith('{"type":"STATE"'):
            run_id = json.loads(line)["value"]["audit"]["run_id"]
            lines[number] = line.replace(run_id, "RUN")
    return lines


def only_run(archive: Path) -> str:
    (folder,) = archive.iterdir()
    return folder.name


def recording(directory: Path, *pages: tuple[str, bytes], sealed: bool = True) -> ReplayedPages:
    """Pages recorded one second after another, opened for replay."""
    archive = Archive(directory, "run-1")
    archive.begin(RecordedRun("run-1", "0.1.0", AT, {}, (), {}))
    for number, (url, body) in enumerate(pages):
        archive.keep(url, body, AT + timedelta(seconds=number))
    if sealed:
        archive.finish()
    archive.close()
    return ReplayedPages(directory, "run-1")


def test_a_replay_is_byte_identical(
    new_contoso: Callable[..., Contoso], tmp_path: Path, lines_of: Lines
) -> None:
    contoso = new_contoso()
    config = settings_for(contoso, entities=ENTITIES, archive_path=str(tmp_path))
    recorded = lines_of(config)
    contoso.stop()
    replayed = lines_of({**config, "replay_run_id": only_run(tmp_path)})
    assert len(recorded) > 1000
    assert replayed == recorded
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("later", [False, True], ids=["first", "of changes"])
def test_a_scan_of_changes_is_replayed_to_the_byte(
    new_contoso: Callable[..., Contoso],
    tmp_path: Path,
    lines_of: Lines,
    later: bool,  # noqa: FBT001 - a case
) -> None:
    """Bookmarks included, though the snapshots are gone by then; and it leaves nothing behind."""
    contoso = new_contoso()
    archive, snapshots = tmp_path / "archive", tmp_path / "snapshots"
    names = ["PurchaseOrderLinesV2", "VendorsV2", "MainAccounts"]
    config = settings_for(contoso, entities=names, snapshot_path=str(snapshots))
    state = None
    if later:
        state = json.loads(lines_of(config)[-1])["value"]
        contoso.world.advance(2)
    recorded = lines_of({**config, "archive_path": str(archive)}, state=state)
    last = json.loads(recorded[-1])["value"]
    assert not later or last["audit"]["streams"]["PurchaseOrderLinesV2"]["deletes"] > 0
    replay = {**config, "archive_path": str(archive), "replay_run_id": only_run(archive)}
    before = sorted(snapshots.rglob("*"))
    assert lines_of(replay, state=state) == recorded
    assert sorted(snapshots.rglob("*")) == before
    shutil.rmtree(snapshots)
    assert lines_of(replay) == recorded
    assert not snapshots.exists()


def test_a_later_run_is_replayed_from_its_own_state(
    new_contoso: Callable[..., Contoso],
    tmp_path: Path,
    lines_of: Lines,
    caplog: pytest.LogCaptureFixture,
) -> None:
    contoso = new_contoso()
    config = settings_for(contoso, entities=ENTITIES)
    first = lines_of(config)
    state = json.loads(first[-1])["value"]
    contoso.world.advance(2)
    recording_config = {**config, "archive_path": str(tmp_path)}
    second = lines_of(recording_config, state=state)
    contoso.stop()
    assert 10 < len(second) < len(first)
    caplog.set_level(logging.INFO)
    replay = {**recording_config, "replay_run_id": only_run(tmp_path)}
    states: list[dict[str, Any] | None] = [
        None,
        state,
        {"bookmarks": {"VendorsV2": {"partitions": []}}},
    ]
    for given in states:
        assert lines_of(replay, state=given) == second
    assert "the given state is not used" in caplog.text


def test_pages_are_matched_by_address_not_by_order(tmp_path: Path) -> None:
    replayed = recording(tmp_path, (f"{URL}&a", b'{"n":1}'), (f"{URL}&b", b'{"n":2}'))
    assert replayed.get(f"{URL}&b").document == {"n": 2}
    assert replayed.get(f"{URL}&a").document == {"n": 1}


def test_another_host_is_no_other_page(tmp_path: Path) -> None:
    """An environment may have moved, or a proxy may have another port."""
    replayed = recording(tmp_path, (URL, b'{"n":1}'))
    assert replayed.get(URL.replace("contoso.example", "other.example:8443")).document == {"n": 1}


def test_an_address_that_was_asked_twice_is_answered_in_order(tmp_path: Path) -> None:
    replayed = recording(tmp_path, (URL, b'{"n":1}'), (f"{URL}&b", b"{}"), (URL, b'{"n":2}'))
    answers = [replayed.get(URL), replayed.get(URL)]
    assert [a.document for a in answers] == [{"n": 1}, {"n": 2}]
    assert [a.received_at for a in answers] == [AT, AT + timedelta(seconds=2)]
    with pytest.raises(DataError, match="no further answer for GET /data/VendorsV2 "):
        replayed.get(URL)


def test_threads_share_the_answers(tmp_path: Path) -> None:
    pages = [(URL, b'{"n":%d}' % number) for number in range(64)]
    replayed = recording(tmp_path, *pages)
    got: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: got.extend(replayed.get(URL).document["n"] for _ in range(8))
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == list(range(64))


def test_what_was_not_recorded_is_an_error(
    new_contoso: Callable[..., Contoso],
    tmp_path: Path,
    lines_of: Lines,
    caplog: pytest.LogCaptureFixture,
) -> None:
    contoso = new_contoso()
    config = settings_for(contoso, entities=["MainAccounts"], archive_path=str(tmp_path))
    lines_of(config)
    contoso.stop()
    other = {"MainAccounts": {"filter": "MainAccountId eq 'secret'"}}
    replay = {**config, "replay_run_id": only_run(tmp_path), "entity_settings": other}
    with pytest.raises(DataError, match="no answer for GET /data/MainAccounts ") as failed:
        lines_of(replay)
    assert "settings, catalog or tap version differ" in str(failed.value)
    assert "secret" not in str(failed.value)
    assert "not as recorded: entity_settings" in caplog.text


def test_another_version_of_the_tap_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recording(tmp_path, (URL, b"{}")).tell_differences({}, "0.2.0")
    assert "the version of the tap (0.1.0 recorded it)" in caplog.text


def test_a_digest_tells_a_change_and_not_the_value() -> None:
    before = shaping_digests({"companies": ["usmf"], "client_secret": "hush"})
    assert before == shaping_digests({"companies": ["usmf"], "client_secret": "other"})
    assert before["companies"] != shaping_digests({"companies": ["demf"]})["companies"]
    assert "usmf" not in str(before)


def test_a_changed_body_is_refused(tmp_path: Path) -> None:
    """Whichever bit of the file was flipped: the body is what was received, or it is refused."""
    recording(tmp_path, (URL, b'{"value":[{"AmountCur":12.50}]}'))
    (path,) = (tmp_path / "run-1/bodies").iterdir()
    good = path.read_bytes()
    refused = 0
    for position in range(len(good)):
        path.write_bytes(good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :])
        try:
            answer = ReplayedPages(tmp_path, "run-1").get(URL)
        except IntegrityError as error:
            refused += 1
            assert "archived run run-1" in str(error)  # noqa: PT017 - both ends are right
        else:
            assert str(answer.document["value"][0]["AmountCur"]) == "12.50"
    assert refused >= len(good) - 10  # time, system and such in gzip's header mean nothing here


@pytest.mark.parametrize(
    ("name", "change"),
    [
        pytest.param("bodies", lambda body: body[:-9], id="a body cut short"),
        pytest.param("index.jsonl", lambda body: body.replace(b"VendorsV2", b"V", 1), id="a line"),
        pytest.param("index.jsonl", lambda body: body.split(b"\n", 1)[1], id="a lost line"),
        pytest.param("run.json", lambda body: body[:-1], id="the run"),
        pytest.param("seal.json", lambda body: body[:-1], id="the seal"),
    ],
)
def test_a_changed_recording_is_refused(
    tmp_path: Path, name: str, change: Callable[[bytes], bytes]
) -> None:
    recording(tmp_path, (URL, b"{}"), (f"{URL}&b", b'{"a":1}'))
    path = tmp_path / "run-1" / name
    for file in path.iterdir() if path.is_dir() else [path]:
        file.write_bytes(change(file.read_bytes()))
    with pytest.raises(IntegrityError, match="the recording was changed"):
        ReplayedPages(tmp_path, "run-1").get(URL)


@pytest.mark.parametrize("lost", [0, 1], ids=["first line", "middle line"])
def test_an_unsealed_index_with_a_hole_is_refused(tmp_path: Path, lost: int) -> None:
    pages = [(f"{URL}&n={n}", b"{}") for n in range(3)]
    recording(tmp_path, *pages, sealed=False)
    path = tmp_path / "run-1/index.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    del lines[lost]
    path.write_bytes(b"".join(lines))
    with pytest.raises(IntegrityError, match="lacks a line"):
        ReplayedPages(tmp_path, "run-1")


def test_a_missing_body_is_refused(tmp_path: Path) -> None:
    replayed = recording(tmp_path, (URL, b"{}"))
    shutil.rmtree(tmp_path / "run-1/bodies")
    with pytest.raises(IntegrityError, match="cannot be unpacked"):
        replayed.get(URL)


def test_a_torn_last_line_never_was(tmp_path: Path) -> None:
    """What a kill in the middle of an append leaves."""
    recording(tmp_path, (URL, b'{"n":1}'), (f"{URL}&b", b'{"n":2}'), sealed=False)
    path = tmp_path / "run-1/index.jsonl"
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for end in range(first, len(whole)):
        path.write_bytes(whole[:end])
        replayed = ReplayedPages(tmp_path, "run-1")
        assert replayed.get(URL).document == {"n": 1}
        with pytest.raises(DataError, match="the recording was interrupted before it"):
            replayed.get(f"{URL}&b")


def test_a_run_that_is_not_there_gets_the_nearest_names(tmp_path: Path) -> None:
    recording(tmp_path, (URL, b"{}"))
    with pytest.raises(ConfigError, match="holds no run run-2; did you mean run-1"):
        ReplayedPages(tmp_path, "run-2")


def test_another_layout_is_refused(tmp_path: Path) -> None:
    run = replace(recording(tmp_path, (URL, b"{}")).run, layout=2)
    archive = Archive(tmp_path, "run-2")
    archive.begin(run)
    archive.close()
    with pytest.raises(ConfigError, match="another version of the tap"):
        ReplayedPages(tmp_path, "run-2")


def test_a_killed_recording_is_replayed_as_far_as_it_goes(
    new_contoso: Callable[..., Contoso], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every line that got out can be emitted again: its page was kept before. [T20]"""
    contoso = new_contoso(page_size=20)
    config = settings_for(
        contoso, entities=["VendTransBiEntities"], archive_path=str(tmp_path / "archive")
    )
    config_file = tmp_path / "config.json"
    config_file.write_text(json.dumps(config))
    process = subprocess.Popen(
        [COMMAND, "--config", str(config_file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PATH": ""},
    )
    assert process.stdout is not None
    head = b"".join(process.stdout.readline() for _ in range(100))
    process.kill()  # it waits for a reader: the pipe is full long before the last page
    output = (head + process.stdout.read()).decode()
    process.stdout.close()
    process.wait()
    contoso.stop()
    replay = {**config, "replay_run_id": only_run(tmp_path / "archive")}
    capsys.readouterr()
    with pytest.raises(DataError, match="the recording was interrupted"):
        TapD365FO(config=replay).sync_all()
    replayed = without_run_id(capsys.readouterr().out)
    emitted = without_run_id(output[: output.rindex("\n")])
    assert len(emitted) >= 100
    assert replayed[: len(emitted)] == emitted
    assert not any('"complete":true' in line for line in replayed)


def test_discovery_in_a_replay_offers_what_the_run_read(
    new_contoso: Callable[..., Contoso], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A runner discovers whenever a setting has changed, and `replay_run_id` is one."""
    contoso = new_contoso()
    config = settings_for(contoso, entities=["MainAccounts", "Vend*"], archive_path=str(tmp_path))
    tap = TapD365FO(config=config)
    tap.run_discovery()
    catalog = json.loads(capfd.readouterr().out)
    assert len(catalog["streams"]) > 2
    read = [s for s in catalog["streams"] if s["stream"] in {"MainAccounts", "VendorsV2"}]
    TapD365FO(config=config, catalog={"streams": read}).sync_all()
    contoso.stop()
    capfd.readouterr()
    replaying = TapD365FO(config={**config, "replay_run_id": only_run(tmp_path)})
    replaying.run_discovery()
    assert json.loads(capfd.readouterr().out)["streams"] == read


def test_the_ledger_tells_what_was_replayed(
    new_contoso: Callable[..., Contoso], tmp_path: Path, run_tap: Callable[..., Output]
) -> None:
    contoso = new_contoso()
    config = settings_for(
        contoso,
        entities=["MainAccounts"],
        archive_path=str(tmp_path / "archive"),
        ledger_path=str(tmp_path / "ledger.db"),
    )
    first = run_tap(config).states[-1]["audit"]
    contoso.stop()
    second = run_tap({**config, "replay_run_id": first["run_id"]}).states[-1]["audit"]
    assert first["run_id"] != second["run_id"]
    assert {**first, "run_id": ""} == {**second, "run_id": ""}
    with Ledger(tmp_path / "ledger.db", run_id="reader", actor="test") as ledger:
        started = {e.run_id: e.body for e in ledger.events() if e.event == "run.started"}
        archived = [e for e in ledger.events() if e.event == "run.archived"]
    assert "replay_of" not in started[first["run_id"]]
    assert started[second["run_id"]]["replay_of"] == first["run_id"]
    assert [e.run_id for e in archived] == [first["run_id"]]
    index = tmp_path / "archive" / first["run_id"] / "index.jsonl"
    assert archived[0].body["pages"] == index.read_bytes().count(b"\n")
