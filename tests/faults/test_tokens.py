"""Tokens that end, are revoked, or cannot be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.faults.books import books
from tests.faults.conftest import plant_canaries
from tests.faults.ways import CURSOR, FULL, LAST, MIDDLE, spots, ways

from contoso_sandbox.faults import (
    Fault,
    Hold,
    answer,
    before,
    body,
    dripping,
    dripping_headers,
    expires_in,
    held,
    login_page,
    pages_of,
    server_error,
    token_refused,
    unauthorized,
)
from pipeline_core.errors import AuthError, PipelineError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.conftest import Bench
    from tests.faults.ways import Spot, Way

    from contoso_sandbox.contoso import Contoso
    from contoso_sandbox.faults import Action

TOKEN = ".*/oauth2/v2.0/token"


def note_tokens(bench: Bench) -> list[object]:
    """Every token that Entra ID is asked for from now on."""
    asked: list[object] = []
    bench.contoso.entra_faults.add(Fault(before(asked.append), on=TOKEN))
    return asked


@spots("T05")
def test_t05_a_refused_token_is_renewed_once_and_the_page_read(
    bench: Bench, way: Way, spot: Spot
) -> None:
    bench.survives(way, spot.fault(unauthorized(), way))
    struck, again = bench.after("answer 401")[:2]
    assert again.asked.url == struck.asked.url
    assert again.asked.headers["authorization"] != struck.asked.headers["authorization"]
    assert bench.clock.slept == []


@ways("T05")
def test_t05_a_refused_new_token_ends_the_run(bench: Bench, way: Way) -> None:
    run = bench.converges(way, MIDDLE.fault(unauthorized(), way, times=2))
    assert isinstance(run.error, AuthError)
    assert run.exit_code == 77
    assert "Microsoft Entra ID applications" in str(run.error)


def test_t05_nothing_is_asked_after_the_second_refusal(bench: Bench) -> None:
    bench.run_way(FULL, MIDDLE.fault(unauthorized(), FULL, times=9))
    assert len(bench.after("answer 401")) == 2


def test_t05_tokens_may_end_several_times_in_a_run(bench: Bench) -> None:
    """Each page may need a new one: a long run outlives many tokens."""
    tokens = note_tokens(bench)
    revoke = before(lambda _: bench.contoso.tenant.roll_key())
    bench.survives(CURSOR, Fault(revoke, on=pages_of(CURSOR.entity_set), nth=(2, 4)))
    assert len(tokens) == 3


def test_t05_workers_that_are_refused_together_ask_for_one_token(bench: Bench) -> None:
    tokens = note_tokens(bench)
    revoke = before(lambda _: bench.contoso.tenant.roll_key())
    bench.contoso.d365.faults.add(Fault(revoke, on=pages_of("VendorsV2"), nth=1))
    sets = ["PurchaseOrderLinesV2", "VendorsV2", "VendTransBiEntities"]
    run = bench.run({"entities": sets, "max_concurrency": 4})
    assert run.error is None
    assert len(tokens) == 2
    for name in sets:
        assert run.output.counts[name] == len(books(bench.contoso, name, company=None))


@pytest.mark.parametrize(
    ("action", "error", "exit_code"),
    [
        pytest.param(
            token_refused("invalid_client", 7000215), AuthError, 77, id="T06 wrong secret"
        ),
        pytest.param(
            token_refused("invalid_client", 7000222), AuthError, 77, id="T06 expired secret"
        ),
        pytest.param(
            token_refused("unauthorized_client", 700016, status=400),
            AuthError,
            77,
            id="T06 unknown",
        ),
        pytest.param(answer(404, b""), PipelineError, 78, id="T06 no such place"),
    ],
)
def test_t06_a_refusal_is_not_asked_about_again(
    bench: Bench, action: Action, error: type[PipelineError], exit_code: int
) -> None:
    bench.contoso.entra_faults.add(Fault(action, on=TOKEN))
    tokens = note_tokens(bench)
    run = bench.run(FULL.settings(bench.tmp_path))
    assert isinstance(run.error, error), repr(run.error)
    assert run.exit_code == exit_code
    assert len(tokens) == 1
    assert run.output.messages == []
    assert bench.data() == []


def test_t06_a_wait_for_a_token_ends_with_the_run(bench: Bench) -> None:
    bench.contoso.entra_faults.add(Fault(server_error(503, retry_after=250), on=TOKEN))
    run = bench.run(FULL.settings(bench.tmp_path, run_timeout=60))
    assert isinstance(run.error, TransientError)
    assert "run_timeout leaves no time to wait" in str(run.error)
    assert bench.clock.slept == []


OUT_OF_ORDER = [
    *(pytest.param(server_error(s), id=f"T06 {s}") for s in (500, 502, 504)),
    pytest.param(answer(429), id="T06 429"),
    pytest.param(token_refused("temporarily_unavailable", 90033, status=400), id="T06 unavailable"),
    pytest.param(login_page(), id="T06 a page in place of a token"),
    pytest.param(body(lambda text: text[:-20]), id="T06 half a token"),
    pytest.param(body(lambda _: b""), id="T06 nothing"),
]


@pytest.mark.parametrize("action", OUT_OF_ORDER)
def test_t06_a_token_endpoint_out_of_order_is_waited_for(bench: Bench, action: Action) -> None:
    bench.contoso.entra_faults.add(Fault(action, on=TOKEN, times=2))
    bench.survives(FULL)
    assert len(bench.clock.slept) == 2


@pytest.mark.parametrize("action", OUT_OF_ORDER[2:7:2])
def test_t06_a_token_endpoint_that_stays_out_of_order_is_given_up(
    bench: Bench, action: Action
) -> None:
    bench.contoso.entra_faults.add(Fault(action, on=TOKEN))
    run = bench.converges(FULL)
    assert isinstance(run.error, TransientError), repr(run.error)
    assert len(bench.clock.slept) == 4


def test_t06_a_wait_that_entra_id_names_is_kept(bench: Bench) -> None:
    busy = answer(429, retry_after=120)
    bench.contoso.entra_faults.add(Fault(busy, on=TOKEN, times=1))
    bench.survives(FULL)
    assert bench.clock.slept == [120]


def test_t06_a_long_wait_that_entra_id_names_is_not_cut_short(bench: Bench) -> None:
    busy = answer(503, retry_after=7200)
    bench.contoso.entra_faults.add(Fault(busy, on=TOKEN))
    tokens = note_tokens(bench)
    run = bench.converges(FULL)
    assert isinstance(run.error, TransientError)
    assert run.error.retry_at is not None
    assert bench.clock.slept == []
    assert len(tokens) == 1


def test_t06_a_token_endpoint_out_of_order_in_the_middle_of_a_run(bench: Bench) -> None:
    bench.contoso.entra_faults.add(Fault(server_error(503), on=TOKEN, nth=(2, 3)))
    revoke = before(lambda _: bench.contoso.tenant.roll_key())
    bench.survives(CURSOR, Fault(revoke, on=pages_of(CURSOR.entity_set), nth=2))


def test_t06_a_token_endpoint_that_says_nothing_ends_at_a_deadline(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tap_d365fo.access.auth._TOKEN_TIMEOUT_S", (10, 0.2))
    hold = Hold()
    bench.contoso.entra_faults.add(Fault(held(hold), on=TOKEN))
    run = bench.converges(FULL)
    hold.release()
    assert isinstance(run.error, TransientError)
    assert "cannot be reached (ReadTimeout)" in str(run.error)


@pytest.mark.parametrize("drip", [dripping, dripping_headers])
def test_t06_a_token_that_drips_ends_at_a_deadline(
    bench: Bench, drip: Callable[[float], Action]
) -> None:
    """A byte now and then keeps every receive in time: 1,500 bytes would take an hour."""
    bench.contoso.entra_faults.add(Fault(drip(2.0), on=TOKEN))
    tokens = note_tokens(bench)
    run = bench.converges(FULL)
    assert isinstance(run.error, TransientError)
    assert "no whole answer within 120 s" in str(run.error)
    assert len(tokens) == 5


@pytest.mark.parametrize(
    "life",
    [
        pytest.param(0, id="T06 expires_in 0"),
        pytest.param(-5, id="T06 expires_in negative"),
        pytest.param("3599", id="T06 expires_in as text, as the older endpoint sends it"),
        pytest.param(1, id="T06 expires_in 1"),
    ],
)
def test_t06_a_short_life_only_costs_further_tokens(bench: Bench, life: object) -> None:
    bench.contoso.entra_faults.add(Fault(expires_in(life), on=TOKEN))
    bench.survives(FULL)


def test_t06_a_token_that_ends_before_it_said(
    new_contoso: Callable[..., Contoso], new_bench: Callable[[Contoso], Bench]
) -> None:
    """Entra ID promises an hour, the environment takes the token for a moment."""
    bench = new_bench(new_contoso(page_size=50))
    bench.contoso.entra_faults.add(Fault(expires_in(86400), on=TOKEN))
    revoke = before(lambda _: bench.contoso.tenant.roll_key())
    plant_canaries(bench.contoso)
    bench.survives(CURSOR, LAST.fault(revoke, CURSOR))
    assert [r.status for r in bench.contoso.d365.requests].count(401) == 1


@pytest.mark.parametrize(
    "life", [pytest.param(None, id="T06 expires_in null"), pytest.param("soon", id="T06 a word")]
)
def test_t06_a_life_that_is_no_number_is_a_broken_answer(bench: Bench, life: object) -> None:
    bench.contoso.entra_faults.add(Fault(expires_in(life), on=TOKEN))
    run = bench.converges(FULL)
    assert isinstance(run.error, TransientError), repr(run.error)
