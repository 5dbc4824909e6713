"""Clocks that jump, and clocks that are wrong (T23)."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from tests.faults.books import Keeper, books
from tests.faults.test_tokens import note_tokens
from tests.faults.ways import CURSOR, FULL, HIGH_WATER, MIDDLE, RESCAN

from contoso_sandbox.faults import Fault, before, pages_of, throttled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.conftest import Bench
    from tests.faults.ways import Way

HOUR_S = 3600.0

JUMPS = pytest.mark.parametrize(
    "jump_s",
    [
        pytest.param(HOUR_S, id="T23 an hour ahead"),
        pytest.param(-HOUR_S, id="T23 an hour back"),
        pytest.param(86400 * 365.0, id="T23 a year ahead"),
        pytest.param(-86400 * 365.0, id="T23 a year back"),
    ],
)


@pytest.mark.parametrize(
    ("way", "jump_s"),
    [
        pytest.param(FULL, HOUR_S, id="T23 full, an hour ahead"),
        pytest.param(CURSOR, -HOUR_S, id="T23 cursor, an hour back"),
        pytest.param(HIGH_WATER, 86400 * 365.0, id="T23 high_water, a year ahead"),
        pytest.param(RESCAN, -86400 * 365.0, id="T23 etag_scan of changes, a year back"),
    ],
)
def test_t23_a_jump_changes_no_wait_and_no_deadline(bench: Bench, way: Way, jump_s: float) -> None:
    def jump(_asked: object) -> None:
        bench.clock.wall_error_s = jump_s

    pages = pages_of(way.entity_set)
    bench.survives(
        way,
        Fault(before(jump), on=pages, nth=2),
        Fault(throttled(30), on=pages, nth=3),
        run_timeout=600,
    )
    assert bench.clock.slept == [30]


@JUMPS
def test_t23_tokens_outlive_a_jump(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, jump_s: float
) -> None:
    """MSAL asks the wall clock whether its token still lives: at worst it asks for another."""
    jumping = SimpleNamespace(time=time.time)
    for module in ("token_cache", "application"):
        monkeypatch.setattr(f"msal.{module}.time", jumping)

    def jump(_asked: object) -> None:
        jumping.time = lambda: time.time() + jump_s

    tokens = note_tokens(bench)
    bench.survives(CURSOR, Fault(before(jump), on=pages_of(CURSOR.entity_set), nth=2))
    assert len(tokens) <= 2


def test_t23_a_token_that_ended_while_the_clock_stood_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the wrong clock the token has hours to live; the environment knows better."""
    back = SimpleNamespace(time=lambda: time.time() - 2 * HOUR_S)
    for module in ("token_cache", "application"):
        monkeypatch.setattr(f"msal.{module}.time", back)
    tokens = note_tokens(bench)
    revoke = before(lambda _: bench.contoso.tenant.roll_key())
    bench.survives(CURSOR, MIDDLE.fault(revoke, CURSOR))
    assert len(tokens) == 2


def test_t23_a_token_that_begins_in_the_future_is_used(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entra ID's clock is four minutes ahead of ours: that is its and F&O's affair."""
    monkeypatch.setattr(bench.contoso.tenant, "_clock", lambda: time.time() + 240)
    bench.survives(FULL)


def set_clock(monkeypatch: pytest.MonkeyPatch, instant: datetime) -> None:
    """Let a run begin at ``instant``, by the clock of this machine."""
    monkeypatch.setattr(
        "tap_d365fo.environment.datetime", SimpleNamespace(now=lambda _zone: instant)
    )


def newest(bench: Bench) -> datetime:
    """When the last change was made, by the environment's clock."""
    with bench.contoso.world.cursor() as cursor:
        found = cursor.execute(
            'SELECT max("SysModifiedDateTime") FROM "VendTransBiEntities" '
            "WHERE lower(\"dataAreaId\") = 'usmf'"
        ).fetchone()
    assert found is not None
    last: datetime = found[0]
    return last.replace(tzinfo=UTC)


def test_t23_what_a_clock_that_is_behind_left_out_comes_with_the_next_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = Keeper(bench.contoso)
    with monkeypatch.context() as behind:
        set_clock(behind, newest(bench) - timedelta(hours=1))
        first = bench.run(CURSOR.settings(bench.tmp_path))
    assert first.error is None
    assert len(first.output.of("RECORD")) < len(books(bench.contoso, CURSOR.entity_set))
    keeper.take(first.output.messages)
    second = bench.run(CURSOR.settings(bench.tmp_path), first.state)
    keeper.take(second.output.messages)
    bench.check_books(CURSOR, keeper)


def test_t23_a_clock_that_is_ahead_hides_no_later_change(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bookmark is the time of a row, never that of this machine."""
    keeper = Keeper(bench.contoso)
    with monkeypatch.context() as ahead:
        set_clock(ahead, datetime.now(UTC) + timedelta(days=365))
        first = bench.run(CURSOR.settings(bench.tmp_path))
    keeper.take(first.output.messages)
    bench.check_books(CURSOR, keeper)
    with bench.contoso.world.cursor() as cursor:
        cursor.execute(
            'UPDATE "VendTransBiEntities" SET "AmountCur" = "AmountCur" + 1, '
            '"SysModifiedDateTime" = ?, __rec_version = __rec_version + 1 WHERE __rec_id IN '
            '(SELECT min(__rec_id) FROM "VendTransBiEntities" '
            "WHERE lower(\"dataAreaId\") = 'usmf')",
            [(newest(bench) + timedelta(seconds=1)).replace(tzinfo=None)],
        )
    second = bench.run(CURSOR.settings(bench.tmp_path), first.state)
    assert second.output.of("RECORD")
    keeper.take(second.output.messages)
    bench.check_books(CURSOR, keeper)


@pytest.fixture
def zone(request: pytest.FixtureRequest) -> Iterator[str]:
    """This machine's time zone, for a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


@pytest.mark.parametrize(
    "zone",
    [
        pytest.param("America/Adak", id="T23 far west"),
        pytest.param("Pacific/Kiritimati", id="T23 far east"),
        pytest.param("Europe/Berlin", id="T23 with summer time"),
    ],
    indirect=True,
)
def test_t23_the_zone_of_the_machine_changes_nothing(bench: Bench, zone: str) -> None:
    """Instants are compared, and bookmarks written, in UTC."""
    first = bench.survives(CURSOR)
    (partition,) = first.state["bookmarks"][CURSOR.entity_set]["partitions"]
    assert partition["replication_key_value"] == newest(bench).strftime("%Y-%m-%dT%H:%M:%SZ"), zone
    second = bench.run(CURSOR.settings(bench.tmp_path), first.state)
    sent = [r["SysModifiedDateTime"] for r in second.output.records(CURSOR.entity_set)]
    assert sent
    since = newest(bench) - timedelta(seconds=1000)
    assert min(sent) >= since.strftime("%Y-%m-%dT%H:%M:%SZ")
