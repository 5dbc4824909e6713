"""The ledger: durable, ordered, and unable to hide a change."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from pipeline_core.errors import ConfigError, IntegrityError, TransientError
from pipeline_core.ledger import GENESIS, Ledger, NoLedger, open_ledger, tell_head
from pipeline_core.redaction import REDACTOR

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline_core.errors import PipelineError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger(path, run_id="run-1", actor="tap-d365fo") as opened:
        for number in range(5):
            opened.append("page.read", number=number, amount="-0.05")
        yield opened


def tamper(path: Path, *statements: str) -> None:
    """Change the file as someone with a SQL client would, triggers dropped first."""
    db = sqlite3.connect(path)
    db.execute("DROP TRIGGER ledger_no_update")
    db.execute("DROP TRIGGER ledger_no_delete")
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


def test_events_come_back_in_order_with_their_fields(ledger: Ledger) -> None:
    events = list(ledger.events())
    assert [e.body["number"] for e in events] == [0, 1, 2, 3, 4]
    assert events[0].prev_hash == GENESIS
    assert ledger.verify() == 5
    assert ledger.head == (5, events[-1].hash)


@pytest.mark.parametrize(
    ("statement", "row"),
    [
        pytest.param(
            "UPDATE ledger SET body_json = replace(body_json, '-0.05', '0.05') WHERE seq = 3",
            3,
            id="a changed amount",
        ),
        pytest.param("DELETE FROM ledger WHERE seq = 2", 3, id="a removed row"),
        pytest.param("UPDATE ledger SET run_id = 'run-2' WHERE seq = 4", 4, id="another run"),
        pytest.param("UPDATE ledger SET ts = '2020' WHERE seq = 1", 1, id="another time"),
        pytest.param(
            "UPDATE ledger SET seq = CASE seq WHEN 2 THEN -3 ELSE -2 END WHERE seq IN (2, 3)",
            -3,
            id="two rows that changed places",
        ),
    ],
)
def test_tampering_is_found_at_its_row(
    path: Path, ledger: Ledger, statement: str, row: int
) -> None:
    tamper(path, statement)
    with pytest.raises(IntegrityError, match=f"broken at row {row} "):
        ledger.verify()


@pytest.mark.parametrize("statement", ["UPDATE ledger SET actor = 'x'", "DELETE FROM ledger"])
def test_the_file_refuses_changes(path: Path, ledger: Ledger, statement: str) -> None:
    db = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.execute(statement)
    db.close()
    assert ledger.verify() == 5


def test_an_effect_records_intent_and_confirmation(path: Path) -> None:
    with Ledger(path, run_id="r", actor="target") as ledger:
        with ledger.effect("publish", datasource="GL") as effect:
            effect.verified(job="j-1")
        intent, verified = ledger.events()
    assert (intent.event, intent.body) == ("publish.intent", {"datasource": "GL"})
    assert (verified.event, verified.body) == ("publish.verified", {"intent": 1, "job": "j-1"})


def test_a_failed_effect_is_recorded_and_goes_on(path: Path) -> None:
    with Ledger(path, run_id="r", actor="target") as ledger:
        reason = "server away"
        with pytest.raises(TransientError), ledger.effect("publish"):
            raise TransientError(reason)
        assert [e.event for e in ledger.events()] == ["publish.intent", "publish.failed"]


def fill(ledger: Ledger) -> int:
    """Let the ledger take no further page, as on a full disk; returns the rows that fitted."""
    (pages,) = ledger._db.execute("PRAGMA page_count").fetchone()  # noqa: SLF001
    ledger._db.execute(f"PRAGMA max_page_count={pages}")  # noqa: SLF001 - SQLITE_FULL for real
    with suppress(TransientError):
        while True:
            ledger.append("tick", text="x" * 100)
    return ledger.head[0]


def test_a_full_disk_is_told_with_what_to_do_and_room_mends_it(ledger: Ledger) -> None:
    rows = fill(ledger)
    with pytest.raises(TransientError, match=r"ledger\.db .*page\.read.* full; free space on"):
        ledger.append("page.read", text="x" * 5000)
    ledger._db.execute("PRAGMA max_page_count=100000")  # noqa: SLF001 - somebody made room
    ledger.append("page.read", text="x" * 5000)
    assert ledger.verify() == rows + 1


def test_a_ledger_that_is_full_hides_no_failure_of_an_effect(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    reason = "server away " + "x" * 5000

    def publish() -> None:
        with ledger.effect("publish"):
            fill(ledger)
            raise TransientError(reason)

    with pytest.raises(TransientError) as raised:
        publish()
    assert str(raised.value) == reason
    assert "a failure is not recorded: the ledger" in caplog.text
    assert "publish.failed" not in [event.event for event in ledger.events()]


def test_a_limit_on_the_size_of_files_ends_a_command_in_one_sentence(path: Path) -> None:
    """The write itself fails, as it does on a disk that is full or over a quota."""
    script = (
        "import pathlib, resource, sys\n"
        "from pipeline_core.edge import run_guarded\n"
        "from pipeline_core.ledger import open_ledger\n"
        "def run():\n"
        "    ledger = open_ledger(pathlib.Path(sys.argv[1]), run_id='r', actor='tap')\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "    while True: ledger.append('page.read', text='x' * 5000)\n"
        "run_guarded(run, name='tap-d365fo')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == TransientError.exit_code
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"tap-d365fo: ledger_path {path} does not take the event page.read: ")
    assert "run again" in line
    with Ledger(path, run_id="r", actor="next") as ledger:
        assert ledger.verify() > 5


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        pytest.param(b"no database" * 200, ConfigError, "is no ledger", id="another file"),
        pytest.param(None, ConfigError, "the right to write", id="a folder"),
    ],
)
def test_what_cannot_be_opened_to_write_is_told(
    path: Path, content: bytes | None, kind: type[PipelineError], words: str
) -> None:
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(kind, match=rf"ledger\.db cannot be opened: .*{words}"):
        open_ledger(path, run_id="r", actor="tap")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be opened: File exists; give this user"):
        open_ledger(tmp_path / "file" / "ledger.db", run_id="r", actor="tap")


def test_a_damaged_file_is_no_unexpected_failure(path: Path, ledger: Ledger) -> None:
    for _ in range(100):
        ledger.append("tick", text="x" * 500)
    ledger.close()
    content = bytearray(path.read_bytes())
    content[4096 * 5 : 4096 * 9] = bytes(4096 * 4)
    path.write_bytes(content)
    with Ledger.reading(path) as reader, pytest.raises(IntegrityError, match=r"verified|broken"):
        reader.verify()


def test_a_wrong_use_stays_our_own_defect(ledger: Ledger) -> None:
    ledger.close()
    with pytest.raises(sqlite3.ProgrammingError):
        ledger.append("tick")


def test_tap_and_target_write_one_chain_at_the_same_time(path: Path) -> None:
    def write(actor: str) -> None:
        with Ledger(path, run_id="r", actor=actor) as ledger:
            for number in range(25):
                ledger.append("tick", number=number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, ["tap", "target", "ops", "tap"]))
    with Ledger(path, run_id="r", actor="check") as ledger:
        assert ledger.verify() == 100


def test_a_killed_writer_leaves_a_chain_that_goes_on(path: Path) -> None:
    script = (
        "import os, sys, pathlib\n"
        "from pipeline_core.ledger import Ledger\n"
        "ledger = Ledger(pathlib.Path(sys.argv[1]), run_id='r', actor='victim')\n"
        "for n in range(3): ledger.append('tick', number=n)\n"
        "ledger._db.execute('BEGIN IMMEDIATE')\n"
        "os._exit(137)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert done.returncode == 137
    with Ledger(path, run_id="r", actor="next") as ledger:
        ledger.append("tick", number=3)
        assert ledger.verify() == 4


def test_known_secrets_never_reach_the_file(path: Path) -> None:
    REDACTOR.add("correct-horse-battery")
    with Ledger(path, run_id="r", actor="tap") as ledger:
        ledger.append("oops", text="token=correct-horse-battery")
    assert b"correct-horse" not in path.read_bytes()


def test_without_a_path_nothing_is_kept_and_the_calls_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ledger = open_ledger(None, run_id="r", actor="tap")
    ledger.append("tick", number=1)
    with ledger.effect("publish") as effect:
        effect.verified(job="j")
    ledger.close()
    assert effect.confirmed == {"job": "j"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        pytest.param("UPDATE ledger SET ts = '2020' WHERE seq = 4", "at row 4 ", id="a change"),
        pytest.param("DELETE FROM ledger WHERE seq = 2", "ends at row 5 and has 4", id="a gap"),
        pytest.param("DELETE FROM ledger WHERE seq = 1", "ends at row 5 and has 4", id="the first"),
        pytest.param("UPDATE ledger SET prev_hash = 'x' WHERE seq = 5", "at row 5 ", id="a link"),
        pytest.param("UPDATE ledger SET ts = '2020' WHERE seq = 1", "at row 1 ", id="row 1"),
    ],
)
def test_a01_no_plugin_adds_to_a_chain_whose_end_does_not_hold(
    path: Path, ledger: Ledger, statement: str, told: str
) -> None:
    ledger.verify_end()
    ledger.close()
    tamper(path, statement)
    before = path.read_bytes()
    with pytest.raises(IntegrityError, match=told):
        open_ledger(path, run_id="r", actor="tap")
    assert path.read_bytes() == before, "nothing was added, and nothing repaired"


def test_the_end_is_checked_and_what_lies_before_it_is_left_to_others(
    path: Path, ledger: Ledger
) -> None:
    tamper(path, "UPDATE ledger SET ts = '2020' WHERE seq = 2")
    ledger.verify_end(rows=3)
    with pytest.raises(IntegrityError, match="at row 2 "):
        ledger.verify_end(rows=4)


def test_an_anchored_head_is_still_in_the_chain_after_later_rows(
    path: Path, ledger: Ledger
) -> None:
    anchor = ledger.anchor
    ledger.append("later")
    ledger.verify_head(anchor)
    ledger.verify_head(f"{GENESIS}@0")
    with Ledger(path.with_name("other.db"), run_id="r", actor="a") as empty:
        assert empty.anchor == f"{GENESIS}@0"


def test_a_chain_that_was_cut_off_fits_in_itself_but_not_to_its_anchor(
    path: Path, ledger: Ledger
) -> None:
    anchor = ledger.anchor
    tamper(path, "DELETE FROM ledger WHERE seq > 3")
    assert ledger.verify() == 3
    with pytest.raises(IntegrityError, match="ends at row 3, before the anchored row 5"):
        ledger.verify_head(anchor)


def test_a_chain_that_was_written_anew_does_not_fit_to_its_anchor(
    path: Path, ledger: Ledger
) -> None:
    anchor = ledger.anchor
    tamper(path, "DELETE FROM ledger")
    for number in range(5):
        ledger.append("page.read", number=number, amount="-0.04")
    assert ledger.verify() == 5
    with pytest.raises(IntegrityError, match="row 5 of the ledger is not the anchored one"):
        ledger.verify_head(anchor)


@pytest.mark.parametrize("text", ["", "abc", f"{GENESIS}", f"{GENESIS}@", f"{GENESIS}@x"])
def test_what_is_no_head_is_told(ledger: Ledger, text: str) -> None:
    with pytest.raises(ConfigError, match="64 hexadecimal digits"):
        ledger.verify_head(text)


def test_a_reader_changes_nothing_and_sees_what_is_in_the_log(path: Path, ledger: Ledger) -> None:
    with Ledger.reading(path) as reader:
        assert reader.verify() == 5
        ledger.append("later")
        assert reader.head[0] == 6
        with pytest.raises(ConfigError, match="readonly"):
            reader.append("no")


def test_a_copy_on_a_medium_that_cannot_be_written_is_verified(path: Path, ledger: Ledger) -> None:
    ledger.close()
    before = path.read_bytes()
    path.chmod(0o444)
    path.parent.chmod(0o555)
    try:
        with Ledger.reading(path) as reader:
            assert reader.verify() == 5
    finally:
        path.parent.chmod(0o755)
    assert path.read_bytes() == before


def test_what_is_no_ledger_cannot_be_read(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    db = sqlite3.connect(other)
    db.execute("CREATE TABLE something (n)")
    db.commit()
    db.close()
    with pytest.raises(ConfigError, match=r"other\.db cannot be opened"):
        Ledger.reading(other)


def test_a_head_that_cannot_be_read_hides_no_failure(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    logger = logging.getLogger("test")
    tell_head(ledger, logger)
    assert f"ledger head {ledger.anchor}" in caplog.text
    tell_head(NoLedger(), logger)
    ledger.close()
    tell_head(ledger, logger)
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"]
