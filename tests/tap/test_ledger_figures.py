"""What the tap tells the ledger: figures of each company, what reading took, how a run ended."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from tests.tap.conftest import Output, settings_for

from contoso_sandbox.faults import Fault, throttled
from pipeline_core.errors import ConfigError
from pipeline_core.ledger import Ledger
from tap_d365fo.access.effort import Effort, measured, note_request, note_wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from contoso_sandbox.contoso import Contoso
    from tap_d365fo.reading.portion import Portion


def events_of(path: Path) -> list[tuple[str, dict[str, Any]]]:
    with Ledger(path, run_id="reader", actor="test") as ledger:
        assert ledger.verify() > 0
        return [(event.event, event.body) for event in ledger.events()]


def test_sums_of_the_companies_add_up_to_those_of_the_stream(
    new_contoso: Callable[..., Contoso],
    tmp_path: Path,
    run_tap: Callable[..., Output],
    caplog: pytest.LogCaptureFixture,
) -> None:
    contoso = new_contoso(page_size=50)
    contoso.d365.faults.add(Fault(throttled(1), on="VendTransBiEntities", nth=2))
    path = tmp_path / "ledger.db"
    entities = ["VendTransBiEntities", "MainAccounts", "VendorGroups"]
    caplog.set_level("INFO")
    run_tap(settings_for(contoso, entities=entities, ledger_path=str(path)))

    events = events_of(path)
    figures = next(body["figures"] for event, body in events if event == "run.finished")
    sums: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    rows: dict[str, int] = defaultdict(int)
    read = [body for event, body in events if event == "partition.read"]
    for body in read:
        rows[body["stream"]] += body["rows"]
        for column, total in body["totals"].items():
            sums[body["stream"]][column] += Decimal(total)
    assert sum(rows.values()) > 300
    for stream, told in figures.items():
        assert rows[stream] == told["records"]
        assert sums[stream] == {c: Decimal(total) for c, total in told["totals"].items()}
    assert any(total for total in sums["VendTransBiEntities"].values())

    (waited,) = [body for body in read if "retries" in body]
    assert (waited["stream"], waited["retries"]) == ("VendTransBiEntities", 1)
    assert waited["waited_s"] == 1
    assert waited["requests"] > waited["pages"]
    assert all(body["seconds"] > 0 and body["bytes"] > 0 for body in read)
    assert all(body["first_page_at"] <= body["last_page_at"] for body in read)

    started = next(body for event, body in events if event == "run.started")
    assert started["environment"] == contoso.d365.url.removeprefix("https://")
    with Ledger(path, run_id="reader", actor="test") as ledger:
        assert f"ledger head {ledger.anchor}" in caplog.text


def test_the_ledger_says_why_a_run_failed(
    new_contoso: Callable[..., Contoso], tmp_path: Path, run_tap: Callable[..., Output]
) -> None:
    contoso = new_contoso()
    path = tmp_path / "ledger.db"
    filters = {"VendorsV2": {"filter": "VendorAccountNumber eq"}}
    with pytest.raises(ConfigError):
        run_tap(
            settings_for(
                contoso, entities=["VendorsV2"], entity_settings=filters, ledger_path=str(path)
            )
        )
    events = events_of(path)
    assert events[-1][0] == "run.failed"
    assert events[-1][1]["error"].startswith("ConfigError: ")
    assert all("rejected" in b["reason"] for e, b in events if e == "partition.failed")


def test_what_two_readers_wait_for_is_not_mixed_up() -> None:
    def portions(waits: int) -> Iterator[Portion]:
        for _ in range(waits):
            note_request()
            note_wait(2.0)
        yield from ()

    first, second = Effort(), Effort()
    assert list(measured(first, portions(3))) == []
    note_wait(60.0)  # belongs to nobody
    assert list(measured(second, portions(1))) == []
    assert (first.requests, first.retries, first.waited_s) == (3, 3, 6.0)
    assert (second.requests, second.retries, second.waited_s) == (1, 1, 2.0)
    assert Effort().told() == {"seconds": 0.0, "bytes": 0}


def test_a_run_that_ends_before_its_first_request_is_in_the_ledger_too(
    new_contoso: Callable[..., Contoso], tmp_path: Path, run_tap: Callable[..., Output]
) -> None:
    contoso = new_contoso()
    path = tmp_path / "ledger.db"
    config = settings_for(contoso, entities=["VendorsV2"], ledger_path=str(path))
    with pytest.raises(ConfigError, match="no stream is selected"):
        run_tap(config, catalog={"streams": []})
    assert [event for event, _ in events_of(path)] == ["run.failed"]
