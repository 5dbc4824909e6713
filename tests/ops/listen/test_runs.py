"""From business events to runs: coalesced, one in flight, retried, taken up after a kill -9."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ops.listen.conftest import finance
from tests.ops.listen.listening import COMMAND, D365_SECRET, until, vendor_invoice

from pipeline_core.ledger import Ledger
from pipeline_ops.listen.coalesce import Waiting, starts_at, wants
from pipeline_ops.listen.events import BusinessEvent, receive
from pipeline_ops.listen.inbox import Inbox
from pipeline_ops.listen.settings import Backoff, Pipeline, Trigger
from pipeline_ops.listen.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ops.listen.listening import Listener

_SEED = 20261124


def pipeline(*triggers: Trigger, quiet: float = 300, longest: float = 1800) -> Pipeline:
    return Pipeline("p", ("p",), None, triggers, quiet, longest, Backoff(3, 60, 900), 3600)


@pytest.mark.parametrize(
    ("first", "last", "now", "paused", "begins"),
    [
        pytest.param(0, 0, 0, 0, 300, id="one event: after the quiet time"),
        pytest.param(0, 200, 200, 0, 500, id="a later one puts it off"),
        pytest.param(0, 1700, 1700, 0, 1800, id="never later than the longest wait"),
        pytest.param(0, 9000, 9000, 0, 1800, id="events that never become quiet"),
        pytest.param(0, 0, 0, 700, 700, id="a pause after a failure"),
        pytest.param(9000, 9000, 100, 0, 100, id="the clock was set back: at once"),
        pytest.param(0, 0, 100, 90_000, 300, id="a pause of another clock"),
    ],
)
def test_a_run_begins_when_it_has_become_quiet(
    first: float, last: float, now: float, paused: float, begins: float
) -> None:
    waiting = Waiting((1,), first, last)
    assert starts_at(waiting, pipeline(), now=now, paused_until=paused) == begins


@given(st.integers(1, 10**6), st.floats(0.1, 1e4), st.floats(0.1, 1e5))
def test_pauses_grow_up_to_the_longest(failures: int, first: float, longest: float) -> None:
    backoff = Backoff(5, first, longest)
    assert 0 < backoff.wait_s(failures) <= longest
    assert backoff.wait_s(failures) <= backoff.wait_s(failures + 1)


@pytest.mark.parametrize(
    ("trigger", "kind", "company", "starts"),
    [
        (Trigger("A", frozenset()), "A", "usmf", True),
        (Trigger("A", frozenset()), "AB", "usmf", False),
        (Trigger("VendorInvoice*", frozenset()), "vendorinvoicejournalposted", "", True),
        (Trigger("A", frozenset({"usmf"})), "A", "usmf", True),
        (Trigger("A", frozenset({"usmf"})), "A", "demf", False),
        (Trigger("A", frozenset({"usmf"})), "A", "", True),
    ],
)
def test_an_event_starts_what_names_it(
    trigger: Trigger, kind: str, company: str, *, starts: bool
) -> None:
    assert wants(pipeline(trigger), BusinessEvent(kind, "e", company)) is starts


def test_many_events_make_one_run_and_their_ids_stand_beside_its_own(
    new_listener: Callable[..., Listener],
) -> None:
    listener = new_listener(pipelines=[finance()])
    listener.use_stand_in()
    listener.start()
    listener.tell_d365(*(vendor_invoice(f"E-{n}") for n in range(10)))
    listener.tell_d365(vendor_invoice("other", BusinessEventId="SomethingElse"))
    until(listener.ended, "the run")
    until(lambda: listener.states().count("done") == 10, "its events")
    assert listener.states().count("ignored") == 1
    (line,) = listener.begun()
    run_id = line.split()[0]
    assert line.split(maxsplit=1)[1] == f"--cwd {listener.folder} --environment prod run finance"
    (intent,) = listener.ledger("listen.run.intent")
    assert intent.run_id == run_id
    assert intent.body["events"] == [f"d365:e-{n}" for n in range(10)]
    (verified,) = listener.ledger("listen.run.verified")
    assert verified.body["intent"] == intent.seq


def test_of_hundreds_of_events_every_id_stands_in_the_ledger(
    new_listener: Callable[..., Listener],
) -> None:
    listener = new_listener(pipelines=[finance()])
    listener.use_stand_in()
    listener.start()
    listener.stop()
    with Store(listener.folder / "var/listen/inbox.db") as store:
        for number in range(450):
            event = receive("d365", json.dumps(vendor_invoice(f"e-{number}")).encode())
            assert isinstance(event, list)
            Inbox(store).put(event)
    listener.start()
    until(listener.ended, "the run")
    (intent,) = listener.ledger("listen.run.intent")
    more = listener.ledger("listen.run.events")
    assert {row.run_id for row in more} == {intent.run_id}
    told = [key for row in (intent, *more) for key in row.body["events"]]
    assert told == [f"d365:e-{number}" for number in range(450)]
    assert intent.body["event_count"] == 450


def command(listener: Listener, *words: str, code: int = 0) -> str:
    config = f"--config={listener.folder / 'listen.yml'}"
    done = subprocess.run(
        [COMMAND, "listen", config, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_what_was_set_aside_or_ignored_is_taken_up_again_by_hand(
    new_listener: Callable[..., Listener],
) -> None:
    """D365 resends under the id that is known already, which starts nothing."""
    listener = new_listener(pipelines=[finance(retry={"attempts": 0})])
    listener.use_stand_in()
    (listener.folder / "codes").write_text("1\n")
    listener.start()
    listener.tell_d365(vendor_invoice("e-1"), vendor_invoice("e-2", BusinessEventId="Payment"))
    until(lambda: listener.states() == ["set aside", "ignored"], "a run that failed for good")
    listener.tell_d365(vendor_invoice("e-1"))
    listener.stop()
    assert "1 event will be taken up again" in command(listener, "redo", "1")
    listener.start()
    until(lambda: listener.states() == ["done", "ignored"], "its run")
    assert len(listener.begun()) == 2
    listener.stop()
    listener.settings["pipelines"][0]["events"].append({"event": "Payment"})
    listener.write()
    command(listener, "redo", "2")
    listener.start()
    until(lambda: listener.states() == ["done", "done"], "what is mapped by now")


def test_what_cannot_be_done_again_is_told_and_nothing_is_changed(
    new_listener: Callable[..., Listener],
) -> None:
    listener = new_listener(pipelines=[finance()])
    listener.use_stand_in()
    listener.start()
    listener.tell_d365(vendor_invoice("e-1"), vendor_invoice("e-2", BusinessEventId="Payment"))
    assert listener.post(f"/d365/{D365_SECRET}", b"[1]").status_code == 204
    until(lambda: listener.states() == ["done", "ignored", "set aside"], "all is settled")
    listener.stop()
    assert "event 1 is done (run " in command(listener, "redo", "2", "1", code=78)
    assert "event 3 cannot be read" in command(listener, "redo", "3", code=78)
    assert "event 9 is not in the inbox" in command(listener, "redo", "9", code=78)
    assert "name the numbers" in command(listener, "redo", code=78)
    assert "0 events" in command(listener, "redo", "--set-aside")
    assert listener.states() == ["done", "ignored", "set aside"]
    command(listener, "redo", "2", "2")
    assert "waits already" in command(listener, "redo", "2", code=78)


def test_one_run_is_in_flight_and_events_meanwhile_make_the_next(
    new_listener: Callable[..., Listener],
) -> None:
    listener = new_listener(pipelines=[finance()])
    listener.use_stand_in()
    (listener.folder / "hold").touch()
    (listener.folder / "orders").write_text("hold")
    listener.start()
    listener.tell_d365(vendor_invoice("e-1"))
    until(listener.begun, "the first run")
    listener.tell_d365(vendor_invoice("e-2"), vendor_invoice("e-3"))
    time.sleep(2.5)
    assert len(listener.begun()) == 1
    (listener.folder / "hold").unlink()
    until(lambda: len(listener.ended()) == 2, "the second run")
    until(lambda: listener.states() == ["done"] * 3, "all settled")
    assert [one.body["event_count"] for one in listener.ledger("listen.run.intent")] == [1, 2]


def test_a_run_that_fails_is_repeated_and_then_told(new_listener: Callable[..., Listener]) -> None:
    told = "alert.json"
    command = ["sh", "-c", f"cat >> {told}; echo >> {told}"]
    listener = new_listener(pipelines=[finance()], alerts=[{"kind": "command", "command": command}])
    listener.use_stand_in()
    codes = listener.folder / "codes"
    codes.write_text("1\n75\n1\n")
    program = listener.folder / "meltano-stand-in"
    note = (
        f'{sys.executable} -c "import os, pathlib; from pipeline_core.ledger import Ledger;'
        f" Ledger(pathlib.Path('{listener.folder}/var/ledger.db'),"
        " run_id=os.environ['MELTANO_RUN_ID'], actor='tap-d365fo')"
        ".append('run.failed', error='AuthError: AADSTS7000222 expired')\""
    )
    program.write_text(program.read_text().replace("#!/bin/sh\n", f"#!/bin/sh\n{note}\n"))
    listener.start()
    listener.tell_d365(vendor_invoice("e-1"))
    (listener.folder / told).touch()
    until(lambda: "\n" in (listener.folder / told).read_text(), "an alert")
    assert len(listener.begun()) == 3
    assert listener.states() == ["set aside"]
    alert = json.loads((listener.folder / told).read_text().splitlines()[0])
    assert alert["kind"] == "run_failed"
    assert "pipeline finance failed 3 times" in alert["text"]
    assert "tap-d365fo: AuthError: AADSTS7000222 expired" in alert["text"]
    assert alert["run_id"] == listener.begun()[-1].split()[0]
    assert len({line.split()[0] for line in listener.begun()}) == 3
    listener.tell_d365(vendor_invoice("e-2"))
    until(listener.ended, "the next event starts it again")
    until(lambda: "run_recovered" in (listener.folder / told).read_text(), "the all-clear")


def test_two_failures_and_a_success_alert_nobody(new_listener: Callable[..., Listener]) -> None:
    listener = new_listener(
        pipelines=[finance()], alerts=[{"kind": "command", "command": ["touch", "alerted"]}]
    )
    listener.use_stand_in()
    (listener.folder / "codes").write_text("1\n1\n")
    listener.start()
    listener.tell_d365(vendor_invoice("e-1"))
    until(lambda: listener.states() == ["done"], "the third try")
    assert len(listener.ledger("listen.run.failed")) == 2
    assert not (listener.folder / "alerted").exists()


def test_sigterm_hands_the_lease_back_and_the_next_start_goes_on(
    new_listener: Callable[..., Listener],
) -> None:
    listener = new_listener(pipelines=[finance()])
    listener.use_stand_in()
    (listener.folder / "hold").touch()
    (listener.folder / "orders").write_text("hold")
    listener.start()
    listener.tell_d365(vendor_invoice("e-1"))
    until(listener.begun, "the run")
    assert listener.stop() == 0
    assert listener.inbox("SELECT state FROM run") == [("interrupted",)]
    assert listener.states() == ["waiting"]
    assert listener.ended() == []
    (failed,) = listener.ledger("listen.run.failed")
    assert failed.body["error"] == "the service was told to stop"
    (listener.folder / "hold").unlink()
    listener.start()
    until(lambda: listener.states() == ["done"], "the second start's run")
    assert len(listener.begun()) == 2


def test_sigterm_finishes_the_answers_at_hand(new_listener: Callable[..., Listener]) -> None:
    listener = new_listener(body_timeout=10)
    listener.start()
    body = json.dumps(vendor_invoice("e-1")).encode()
    head = (
        f"POST /d365/{D365_SECRET} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    with listener.raw(head + body[:10]) as connection:
        time.sleep(0.5)
        assert listener.process is not None
        listener.process.terminate()
        time.sleep(0.5)
        connection.sendall(body[10:])
        assert connection.recv(65536).startswith(b"HTTP/1.1 204")
    assert listener.stop() == 0
    assert listener.states() in (["new"], ["ignored"])


def test_r01_a_run_that_outlives_its_service_is_waited_for(
    new_listener: Callable[..., Listener],
) -> None:
    """kill -9 of the service while Meltano works: no second run beside the first."""
    listener = new_listener(pipelines=[finance()])
    listener.use_stand_in()
    (listener.folder / "hold").touch()
    (listener.folder / "orders").write_text("hold")
    listener.start()
    listener.tell_d365(vendor_invoice("e-1"))
    until(listener.begun, "the run")
    listener.kill()
    listener.start()
    until(lambda: "run of an earlier start is in flight" in listener.log, "it is noticed")
    time.sleep(1)
    assert len(listener.begun()) == 1
    (listener.folder / "hold").unlink()
    # The ledger holds no end of the target's, so the events wait for another run.
    until(lambda: len(listener.ended()) == 2, "the run after it")
    until(lambda: listener.states() == ["done"], "settled")


def test_r01_a_run_that_was_finished_while_nobody_looked_is_not_repeated(
    new_listener: Callable[..., Listener],
) -> None:
    listener = new_listener(pipelines=[finance()])
    listener.use_stand_in()
    (listener.folder / "hold").touch()
    (listener.folder / "orders").write_text("hold")
    listener.start()
    listener.tell_d365(vendor_invoice("e-1"))
    run_id = until(listener.begun, "the run")[0].split()[0]
    listener.kill()
    path = listener.folder / "var/ledger.db"
    with Ledger(path, run_id=run_id, actor="target-tableau-hyper") as ledger:
        ledger.append("run.finished", streams=1)
    (listener.folder / "hold").unlink()
    until(lambda: listener.ended() == [run_id], "its end")
    listener.start()
    until(lambda: listener.states() == ["done"], "settled")
    time.sleep(1)
    assert len(listener.begun()) == 1


def test_r01_killed_between_the_note_of_a_run_and_its_start(
    new_listener: Callable[..., Listener],
) -> None:
    listener = new_listener(pipelines=[finance(coalesce={"quiet": 60, "longest": 60})])
    listener.use_stand_in()
    listener.start()
    listener.tell_d365(vendor_invoice("e-1"))
    until(lambda: listener.states() == ["waiting"], "it waits")
    listener.kill()
    path = listener.folder / "var/listen/inbox.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(
            "INSERT INTO run (run_id, pipeline, state, began_at)"
            " VALUES ('r', 'finance', 'running', ?)",
            (time.time() - 10,),
        )
        database.execute("UPDATE due SET run_id = 'r'")
    listener.settings["pipelines"] = [finance()]
    listener.start()
    until(lambda: listener.states() == ["done"], "another run")
    assert [row[0] for row in listener.inbox("SELECT state FROM run ORDER BY began_at")] == [
        "interrupted",
        "succeeded",
    ]
    assert len(listener.begun()) == 1


@pytest.mark.parametrize("trial", range(5))
def test_r01_killed_between_the_inbox_and_the_work_every_event_gets_its_run(
    new_listener: Callable[..., Listener], trial: int
) -> None:
    """The service is killed at a random moment after the answer; runs too, every other time."""
    chance = random.Random(_SEED + trial)  # noqa: S311 - repeatable
    listener = new_listener(pipelines=[finance(coalesce={"quiet": 0.05, "longest": 0.2})])
    listener.use_stand_in()
    sent: list[str] = []
    for _ in range(4):
        listener.start()
        sent += [f"e-{len(sent) + n}" for n in range(3)]
        listener.tell_d365(*(vendor_invoice(one) for one in sent[-3:]))
        time.sleep(chance.uniform(0.0, 0.6))
        listener.kill()
    listener.start()
    until(lambda: listener.states() == ["done"] * len(sent), "every event", within_s=60)
    whole = {one.run_id for one in listener.ledger("listen.run.verified")}
    covered: set[str] = set()
    for intent in listener.ledger("listen.run.intent"):
        covered |= set(intent.body["events"]) if intent.run_id in whole else set()
    assert covered == {f"d365:{one}" for one in sent}
    # Never two at a time: each run began after the one before it was over, or had been given up.
    states = [row[0] for row in listener.inbox("SELECT state FROM run ORDER BY began_at")]
    assert set(states) <= {"succeeded", "interrupted"}


def test_events_of_a_pipeline_that_is_taken_out_are_set_aside(
    new_listener: Callable[..., Listener],
) -> None:
    slow = {"quiet": 60, "longest": 60}
    listener = new_listener(
        pipelines=[finance(coalesce=slow), finance(name="spend", coalesce=slow)]
    )
    listener.use_stand_in()
    listener.start()
    listener.tell_d365(vendor_invoice("e-1"))
    until(lambda: listener.states() == ["waiting"], "both wait")
    listener.stop()
    listener.settings["pipelines"] = [finance(name="other")]
    listener.start()
    until(lambda: listener.states() == ["set aside"], "nobody waits")
    told = "their pipeline is not set up any more"
    until(lambda: listener.log.count(told) == 2, "two lines")
    assert listener.inbox("SELECT count(*) FROM due") == [(0,)]
    assert listener.begun() == []


def test_a_second_service_on_one_inbox_is_refused(new_listener: Callable[..., Listener]) -> None:
    first, second = new_listener(pipelines=[finance()]), new_listener(pipelines=[finance()])
    second.settings |= {"state_dir": str(first.folder / "var/listen")}
    first.start()
    with pytest.raises(AssertionError, match=r"another service works on .*; only one may"):
        second.start()
    assert second.process is not None
    assert second.process.wait() in (73, -9)


def test_a01_a_ledger_that_was_tampered_with_stops_runs_and_the_service(
    new_listener: Callable[..., Listener],
) -> None:
    listener = new_listener(pipelines=[finance(retry={"attempts": 0})])
    listener.use_stand_in()
    listener.start()
    listener.tell_d365(vendor_invoice("e-1"))
    until(lambda: listener.states() == ["done"], "a first run")
    database = sqlite3.connect(listener.folder / "var/ledger.db")
    database.execute("DROP TRIGGER ledger_no_update")
    database.execute("UPDATE ledger SET body_json = '{}' WHERE seq = 1")
    database.commit()
    database.close()
    listener.tell_d365(vendor_invoice("e-2"))
    until(lambda: listener.states() == ["done", "set aside"], "no second run")
    assert len(listener.begun()) == 1
    until(lambda: "row 1" in listener.log, "the reason in the log")
    listener.kill()
    with pytest.raises(AssertionError, match="the ledger is broken at row 1"):
        listener.start()
    assert listener.process is not None
    assert listener.process.returncode in (70, -9)
