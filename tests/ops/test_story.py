"""What a controller reads of a run, from ledgers that were written by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from pipeline_core.errors import ConfigError
from pipeline_core.ledger import Event, Ledger
from pipeline_ops.audit.choose import Runs, find_run, matching, parse_when
from pipeline_ops.audit.replay_plan import Way, check_order, plan_replay, unconfirmed
from pipeline_ops.audit.story import effects, tell
from pipeline_ops.audit.telling import as_json, as_text
from pipeline_ops.runs import RunSummary, summarise

if TYPE_CHECKING:
    from pathlib import Path

TAP, TARGET = "tap-d365fo", "target-tableau-hyper"
BEGAN = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SHA = "ab" * 32

#: Actor, event, fields: one whole run, a second apart.
WHOLE: list[tuple[str, str, dict[str, Any]]] = [
    (TARGET, "run.started", {"output_dir": "/srv/output"}),
    (
        TAP,
        "run.started",
        {
            "streams": ["VendTransBiEntities", "MainAccounts"],
            "companies": ["demf", "usmf"],
            "environment": "contoso.example",
            "version": "0.1.0",
        },
    ),
    (
        TAP,
        "partition.read",
        {
            "stream": "VendTransBiEntities",
            "company": "usmf",
            "strategy": "cursor",
            "rows": 1200,
            "deletes": 3,
            "pages": 2,
            "totals": {"AmountMST": "-1234567.89", "ExchAdjustment": "0.00"},
            "seconds": 4.25,
            "bytes": 100,
            "requests": 4,
            "retries": 2,
            "waited_s": 3.0,
            "first_page_at": "2026-11-24T06:00:01.000+00:00",
            "last_page_at": "2026-11-24T06:00:02.000+00:00",
        },
    ),
    (
        TAP,
        "partition.read",
        {
            "stream": "VendTransBiEntities",
            "company": "demf",
            "rows": 34,
            "deletes": 0,
            "pages": 1,
            "totals": {"AmountMST": "0.89"},
        },
    ),
    (TAP, "partition.read", {"stream": "MainAccounts", "company": None, "rows": 42, "pages": 1}),
    (TAP, "run.archived", {"pages": 9, "index_sha256": "cd" * 32}),
    (
        TAP,
        "run.finished",
        {
            "figures": {
                "VendTransBiEntities": {"records": 1237, "deletes": 3, "totals": {"A": "1.0"}}
            }
        },
    ),
    (
        TARGET,
        "input.received",
        {
            "proved": True,
            "streams": {
                "VendTransBiEntities": {"records": 1237, "deletes": 3, "totals": {"A": "1"}}
            },
        },
    ),
    (
        TARGET,
        "control.checked",
        {
            "name": "journals balance",
            "kind": "balance",
            "outcome": "passed",
            "saying": "328 entries balance",
            "streams": ["GeneralJournalAccountEntries"],
        },
    ),
    (
        TARGET,
        "extract.sealed",
        {
            "stream": "VendTransBiEntities",
            "file": "VendTransBiEntities.hyper",
            "rows": 1234,
            "totals": {"AmountMST": "-1234567.00"},
            "sha256": SHA,
            "delta": {"inserted": 1234, "updated": 0, "deleted": 0},
            "seconds": 1.5,
            "columns": {"AmountMST": "NUMERIC(18, 2)"},
        },
    ),
    (
        TARGET,
        "extract.unchanged",
        {
            "stream": "MainAccounts",
            "file": "MainAccounts.hyper",
            "rows": 42,
            "totals": {},
            "sha256": "ef" * 32,
            "sealed_by": "run-0",
        },
    ),
    (
        TARGET,
        "delivery.intent",
        {
            "datasource": "VendTransBiEntities",
            "project": "Finance",
            "way": "overwrite",
            "rows": 1234,
            "sha256": SHA,
            "streams": ["VendTransBiEntities"],
        },
    ),
    (TARGET, "delivery.verified", {"intent": 12, "job_id": "job-7"}),
    (TARGET, "delivery.skipped", {"datasource": "MainAccounts", "why": "nothing changed"}),
    (TARGET, "state.written", {"after": "delivered"}),
    (TARGET, "run.finished", {"streams": 2}),
]


def write(
    path: Path,
    rows: list[tuple[str, str, dict[str, Any]]],
    *,
    run: str = "run-1",
    began: datetime = BEGAN,
) -> None:
    """Append rows, each a second after the one before."""
    for number, (actor, event, body) in enumerate(rows):
        at = partial(began.__add__, timedelta(seconds=number))
        with Ledger(path, run_id=run, actor=actor, now=at) as ledger:
            ledger.append(event, **body)


def events_of(path: Path, **which: str) -> list[Event]:
    with Ledger(path, run_id="reader", actor="test") as ledger:
        return list(ledger.events(**which))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    write(path, WHOLE)
    return path


def test_the_story_of_a_whole_run(path: Path) -> None:
    text = "\n".join(as_text(tell(events_of(path))))
    assert (
        text
        == """\
Run run-1: complete
  began 2026-11-24 06:00:00 UTC, took 15.0 s
  D365 environment contoso.example, tap 0.1.0
  companies demf, usmf

Read
  MainAccounts: 42 rows, 1 page
  VendTransBiEntities [demf]: 34 rows, 1 page
      AmountMST 0.89
  VendTransBiEntities [usmf]: 1,200 rows, 3 gone, 2 pages, cursor, 06:00:01 to 06:00:02, 4.2 s; \
2 asked again after 3.0 s of waiting
      AmountMST -1,234,567.89
  VendTransBiEntities, all companies: 1,234 rows
      AmountMST -1,234,567.00
  together 1,276 rows in 4 pages
  archived: 9 answers, index cdcdcdcdcdcd
  the target received 1,237 records: sent and received agree; complete, as the tap says

Checked
  passed: journals balance (balance): 328 entries balance

Sealed
  VendTransBiEntities.hyper: 1,234 rows, sha256 abababababab, 1,234 inserted, 1.5 s
      AmountMST -1,234,567.00
  MainAccounts.hyper: 42 rows, sha256 efefefefefef, unchanged since run run-0

Published
  Finance/VendTransBiEntities (overwrite), 1,234 rows: confirmed, job job-7, 06:00:11, 1.0 s
  MainAccounts: nothing sent, nothing changed
  the state went out at 06:00:14, after everything was delivered

Failed, and what was tried again
  2 requests to D365 were made again after 3.0 s of waiting

Time
  target-tableau-hyper: 06:00:00 to 06:00:15, 15.0 s, finished
  tap-d365fo: 06:00:01 to 06:00:06, 5.0 s, finished
  reading took 4.2 s over all companies, several at a time
  merging and sealing 1.5 s
  delivery 1.0 s, several at a time"""
    )


def test_machines_get_exact_sums(path: Path) -> None:
    told = as_json(tell(events_of(path)))
    assert told["read"][0]["totals"]["AmountMST"] == "-1234567.89"
    assert told["figures_agree"] is True
    assert told["seconds"] == 15.0


def test_a_difference_between_sent_and_received_is_shouted(path: Path) -> None:
    rows = [*WHOLE]
    rows[7] = (TARGET, "input.received", {"proved": True, "streams": {}})
    write(path, rows, run="run-2")
    story = tell(events_of(path, run_id="run-2"))
    assert story.figures_agree is False
    assert any("SENT AND RECEIVED DIFFER" in line for line in as_text(story))


def test_a_failed_run_says_what_failed_and_what_a_later_run_did_about_it(path: Path) -> None:
    failed: list[tuple[str, str, dict[str, Any]]] = [
        (TAP, "run.started", {"streams": ["VendorsV2"]}),
        (
            TAP,
            "partition.failed",
            {
                "stream": "VendorsV2",
                "company": "usmf",
                "error": "DeniedError",
                "reason": "no right",
            },
        ),
        (TARGET, "run.started", {}),
        (
            TARGET,
            "extract.sealed",
            {"stream": "V", "file": "V.hyper", "rows": 1, "totals": {}, "sha256": "11" * 32},
        ),
        (TARGET, "delivery.intent", {"datasource": "V", "sha256": "11" * 32, "way": "update"}),
    ]
    write(path, failed, run="run-2", began=BEGAN + timedelta(minutes=5))
    intent = events_of(path)[-1].seq
    ends: list[tuple[str, str, dict[str, Any]]] = [
        (TARGET, "delivery.failed", {"intent": intent, "error": "TransientError: server away"}),
        (TARGET, "run.failed", {"error": "TransientError: server away"}),
    ]
    write(path, ends, run="run-2", began=BEGAN + timedelta(minutes=6))
    later: list[tuple[str, str, dict[str, Any]]] = [
        (TARGET, "run.started", {}),
        (TARGET, "delivery.intent", {"datasource": "V", "sha256": "11" * 32, "way": "overwrite"}),
        (TARGET, "delivery.verified", {"intent": intent + 4, "job_id": "job-9"}),
    ]
    write(path, later, run="run-3", began=BEGAN + timedelta(hours=1))

    deliveries = events_of(path, prefix="delivery.")
    story = tell(events_of(path, run_id="run-2"), all_deliveries=deliveries)
    assert story.outcome == "failed"
    text = "\n".join(as_text(story))
    assert "VendorsV2 [usmf]: 0 rows, 0 pages; NOT READ TO ITS END" in text
    assert "VendorsV2 [usmf]: DeniedError: no right" in text
    assert "V (update): FAILED, 06:05:04, 56.0 s" in text
    assert "V (overwrite): confirmed by run run-3, job job-9" in text
    assert "TransientError: server away; it was done after all, see above" in text
    assert "target-tableau-hyper: TransientError: server away" in text
    assert "tap-d365fo: 06:05:00 to 06:05:01, 1.0 s, no end known" in text


def test_a_delivery_that_broke_off_has_no_known_end(path: Path) -> None:
    write(path, [(TARGET, "delivery.intent", {"datasource": "V", "sha256": SHA})], run="run-2")
    (done,) = effects(events_of(path, run_id="run-2"))
    assert (done.outcome, done.seconds) == ("unknown", None)
    story = tell(events_of(path, run_id="run-2"))
    assert any("V: BEGUN, END UNKNOWN" in line for line in as_text(story))
    assert story.outcome == "incomplete"


def test_an_update_that_failed_and_went_as_a_whole_is_no_failure(path: Path) -> None:
    rows: list[tuple[str, str, dict[str, Any]]] = [
        (TARGET, "run.started", {}),
        (TARGET, "delivery.intent", {"datasource": "V", "sha256": SHA, "way": "update"}),
        (TARGET, "delivery.failed", {"intent": 18, "error": "JobFailedError: no"}),
        (TARGET, "delivery.intent", {"datasource": "V", "sha256": SHA, "way": "overwrite"}),
        (TARGET, "delivery.verified", {"intent": 20, "job_id": "job-9"}),
        (TARGET, "run.finished", {}),
    ]
    write(path, rows, run="run-2")
    story = tell(events_of(path, run_id="run-2"))
    assert story.outcome == "complete"
    text = "\n".join(as_text(story))
    assert "delivery of V: JobFailedError: no; it was done after all" in text


def test_tap_and_target_with_an_id_each_are_one_run(path: Path) -> None:
    write(path, [(TAP, "run.started", {}), (TAP, "run.finished", {})], run="tap-2")
    target: list[tuple[str, str, dict[str, Any]]] = [
        (TARGET, "run.started", {}),
        (TARGET, "input.from", {"source_run": "tap-2"}),
        (TARGET, "run.finished", {}),
    ]
    write(path, target, run="target-2")
    with Ledger(path, run_id="reader", actor="test") as ledger:
        runs = Runs.of(ledger)
        assert [run.run_id for run in runs.summaries()] == ["run-1", "tap-2"]
        assert runs.find("target") == runs.find("latest") == runs.find("tap-2") == "tap-2"
        story = tell(runs.events("tap-2"))
    assert (story.run_id, story.also, story.outcome) == ("tap-2", ["target-2"], "complete")
    assert "  in the target and in extracts it is run target-2" in list(as_text(story))


def test_what_a_replay_wrote_elsewhere_is_no_later_change(path: Path) -> None:
    write(path, [*WHOLE[:1], *WHOLE[9:10]], run="run-2")
    aside = [(TARGET, "run.started", {"output_dir": "/srv/look"}), *WHOLE[9:10]]
    write(path, aside, run="run-3")
    with Ledger(path, run_id="reader", actor="test") as ledger:
        runs = Runs.of(ledger)
        assert plan_replay(runs, "run-1").later == {"VendTransBiEntities": "run-2"}
        assert plan_replay(runs, "run-2").later == {}


def test_a_replay_says_of_what_by_whom_and_why(path: Path) -> None:
    asked = {"replay_of": "run-1", "way": "extract", "user": "kim", "reason": "audit", "later": {}}
    rows: list[tuple[str, str, dict[str, Any]]] = [
        ("d365fo-tableau", "replay.intent", asked),
        (TARGET, "run.started", {}),
        (TARGET, "run.finished", {}),
    ]
    write(path, rows, run="run-2")
    (summary,) = summarise(events_of(path, run_id="run-2"))
    assert (summary.outcome, summary.replay_of) == ("incomplete", "run-1")
    write(path, [("d365fo-tableau", "replay.verified", {"intent": 17})], run="run-2")
    story = tell(events_of(path, run_id="run-2"))
    assert (story.outcome, story.replay_of) == ("complete", "run-1")
    text = list(as_text(story))
    assert "  a replay of run run-1" in text
    assert '  asked for by kim, because "audit"' in text
    with Ledger(path, run_id="reader", actor="test") as ledger:
        runs = Runs.of(ledger)
        assert runs.find("latest") == "run-2"
        assert runs.find("latest", replays=False) == "run-1"


def test_a_run_goes_back_in_time_only_by_force_and_with_a_reason(path: Path) -> None:
    with Ledger(path, run_id="reader", actor="test") as ledger:
        plan = plan_replay(Runs.of(ledger), "run-1")
    check_order(plan, Way.PAGES, force=False, reason=None)
    later = replace(plan, later=dict.fromkeys("ABCDE", "run-9"))
    with pytest.raises(ConfigError, match=r"changed A \(run run-9\), B .* and 2 more: a replay"):
        check_order(later, Way.PAGES, force=False, reason="because")
    with pytest.raises(ConfigError, match="--force needs --reason"):
        check_order(later, Way.PAGES, force=True, reason="  ")
    check_order(later, Way.PAGES, force=True, reason="because")
    check_order(later, Way.DELIVERY, force=False, reason=None)


def test_after_going_back_only_the_next_run_joins_on(path: Path) -> None:
    """Runs 1 to 3; 1 is replayed: then 3 would leave out what 2 brought. An ordinary run heals."""
    replayed = [
        (TAP, "run.started", {"replay_of": "run-1"}),
        (TARGET, "run.started", {"output_dir": "/srv/output"}),
        *WHOLE[9:10],
    ]
    for run in ("run-2", "run-3"):
        write(path, WHOLE, run=run)

    def gaps() -> list[dict[str, str]]:
        with Ledger(path, run_id="reader", actor="test") as ledger:
            runs = Runs.of(ledger)
            return [plan_replay(runs, f"run-{n}").gaps for n in (1, 2, 3)]

    assert gaps() == [{}, {}, {}]
    write(path, replayed, run="back")
    assert gaps() == [{}, {}, {"VendTransBiEntities": "run-1"}]
    with Ledger(path, run_id="reader", actor="test") as ledger:
        plan = plan_replay(Runs.of(ledger), "run-3")
    with pytest.raises(ConfigError, match="stands where a replay of run run-1 left it"):
        check_order(plan, Way.PAGES, force=True, reason="because")
    check_order(plan, Way.EXTRACT, force=False, reason=None)
    write(path, [(TAP, "run.started", {"replay_of": "run-2"}), *replayed[1:]], run="forward")
    assert gaps() == [{}, {}, {}]
    write(path, replayed, run="back-2")
    write(path, WHOLE, run="run-4")
    assert gaps() == [{}, {}, {}]


def test_a_delivery_waits_until_somebody_has_brought_it_about(path: Path) -> None:
    rows: list[tuple[str, str, dict[str, Any]]] = [
        (TARGET, "run.started", {}),
        (TARGET, "delivery.intent", {"datasource": "V", "sha256": "11" * 32, "streams": ["V"]}),
    ]
    write(path, rows, run="run-2")
    with Ledger(path, run_id="reader", actor="test") as ledger:
        runs = Runs.of(ledger)
        assert unconfirmed(runs, plan_replay(runs, "run-2")) == ["V"]
        assert unconfirmed(runs, plan_replay(runs, "run-1")) == []
    more: list[tuple[str, str, dict[str, Any]]] = [
        (TARGET, "delivery.intent", {"datasource": "V", "sha256": "11" * 32, "streams": ["V"]}),
        (TARGET, "delivery.verified", {"intent": 19, "job_id": "j"}),
    ]
    write(path, more, run="run-3")
    with Ledger(path, run_id="reader", actor="test") as ledger:
        runs = Runs.of(ledger)
        assert unconfirmed(runs, plan_replay(runs, "run-2")) == []


def test_a_target_that_never_began_to_end_makes_the_run_incomplete(path: Path) -> None:
    write(path, WHOLE[:-1], run="run-2")
    assert [run.outcome for run in summarise(events_of(path))] == ["complete", "incomplete"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        pytest.param("latest", "b-2", id="the one that began last"),
        pytest.param("a-1", "a-1", id="an id that begins another one"),
        pytest.param("b", "b-2", id="the beginning of one"),
        pytest.param("a-12", "a-12", id="all of one"),
    ],
)
def test_runs_are_found(wanted: str, found: str) -> None:
    assert find_run(["a-1", "a-12", "b-2"], wanted) == found


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        pytest.param("c", "has no run c", id="none"),
        pytest.param("", "has no run", id="nothing"),
        pytest.param("a", r"2 runs begin with a \(a-1, a-12\)", id="more than one"),
    ],
)
def test_a_run_that_is_not_meant_clearly_is_asked_for_again(wanted: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        find_run(["a-1", "a-12", "b-2"], wanted)
    with pytest.raises(ConfigError, match="no run latest"):
        find_run([], "latest")


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        pytest.param("2026-11-23", datetime(2026, 11, 23, tzinfo=UTC), id="a date"),
        pytest.param("2026-11-23T08:00+02:00", datetime(2026, 11, 23, 6, tzinfo=UTC), id="a zone"),
        pytest.param("12h", datetime(2026, 11, 24, tzinfo=UTC), id="hours ago"),
        pytest.param("1w", datetime(2026, 11, 17, 12, tzinfo=UTC), id="weeks ago"),
    ],
)
def test_instants_are_read(text: str, instant: datetime) -> None:
    assert parse_when(text, now=NOW) == instant


def test_what_is_no_instant_is_told() -> None:
    with pytest.raises(ConfigError, match="no date, instant or time ago"):
        parse_when("yesterday", now=NOW)


def test_runs_are_filtered() -> None:
    runs = [
        RunSummary(
            f"run-{n}", f"2026-11-2{n}T06:00:00+00:00", "", streams={"A"} if n % 2 else {"B"}
        )
        for n in range(1, 5)
    ]
    since = datetime(2026, 11, 22, 6, tzinfo=UTC)

    def ids(**which: Any) -> list[str]:  # noqa: ANN401
        return [run.run_id for run in matching(runs, **which)]

    assert ids(since=since) == ["run-2", "run-3", "run-4"]
    assert ids(until=since) == ["run-1"]
    assert ids(stream="A") == ["run-1", "run-3"]
    assert ids(stream="A", last=1) == ["run-3"]
    assert ids(last=9) == ["run-1", "run-2", "run-3", "run-4"]
    assert ids(outcome="failed") == ids(datasource="A") == []
