"""Interrupted anywhere, by any strategy: what came before and after is the books, and no more."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from tests.tap.conftest import Output, settings_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from contoso_sandbox.contoso import Contoso

    RunTap = Callable[..., Output]

Key = tuple[Any, ...]


def keyed(contoso: Contoso, stream: str, records: list[dict[str, Any]]) -> dict[Key, Any]:
    """Records by key, as a target keeps them."""
    key = contoso.world.environment.entity_sets[stream].key
    return {tuple(r[k] for k in key): r for r in records}


def without_mark(rows: dict[Key, Any]) -> dict[Key, Any]:
    return {k: {n: v for n, v in r.items() if n != "_sdc_deleted_at"} for k, r in rows.items()}


def cuts(whole: Output, stream: str) -> list[tuple[list[dict[str, Any]], dict[str, Any]]]:
    """What had been sent, and the state, at each STATE before the last."""
    sent: list[dict[str, Any]] = []
    found = []
    for message in whole.messages:
        if message["type"] == "RECORD" and message["stream"] == stream:
            sent.append(message["record"])
        elif message["type"] == "STATE" and not message["value"]["audit"]["complete"]:
            found.append((list(sent), message["value"]))
    return found


@pytest.mark.parametrize(
    ("stream", "settings"),
    [
        pytest.param("VendTransBiEntities", {}, id="cursor"),
        pytest.param("VendTransBiEntities", {"window_days": 60}, id="cursor in windows"),
        pytest.param("GeneralJournalAccountEntryBiEntities", {"lookback": 0}, id="high_water"),
        pytest.param("PurchaseOrderLinesV2", {"replication": "full"}, id="full, by company"),
        pytest.param("FiscalCalendars", {"replication": "full"}, id="full, shared"),
        pytest.param(
            "FiscalCalendars", {"replication": "full", "paging": "keyset"}, id="full, keyset"
        ),
        pytest.param("PurchaseOrderLinesV2", {"replication": "etag_scan"}, id="etag_scan"),
    ],
)
def test_a_first_read_goes_on_from_every_state(
    contoso: Contoso,
    run_tap: RunTap,
    tmp_path: Path,
    stream: str,
    settings: dict[str, Any],
) -> None:
    config = settings_for(
        contoso,
        entities=[stream],
        entity_settings={stream: settings},
        snapshot_path=str(tmp_path),
        max_concurrency=1,
    )
    whole = run_tap(config)
    books = keyed(contoso, stream, whole.records(stream))
    found = cuts(whole, stream)
    if settings.get("replication") == "full":
        found.pop()  # the stream was read to its end: the next full read begins anew
    assert len(found) >= 3
    for sent, state in found:
        resumed = run_tap(config, state=copy.deepcopy(state))
        together = keyed(contoso, stream, [*sent, *resumed.records(stream)])
        assert without_mark(together) == without_mark(books)
        unsettled = len(books) - len(keyed(contoso, stream, sent))
        # A cursor begins its look-back early, and looks at equal times again.
        again = 250 if "Trans" in stream else 0
        assert len(resumed.records(stream)) <= unsettled + again
        assert resumed.states[-1]["audit"]["complete"] is True
        if sent:
            assert resumed.of("ACTIVATE_VERSION") == [], "rows of the first half have another one"


def test_companies_that_a_full_read_has_finished_are_not_asked_for_again(
    contoso: Contoso, run_tap: RunTap
) -> None:
    stream = "PurchaseOrderLinesV2"
    config = settings_for(
        contoso,
        entities=[stream],
        entity_settings={stream: {"replication": "full"}},
        max_concurrency=1,
    )
    whole = run_tap(config)
    sent, state = cuts(whole, stream)[-2]
    finished = {r["dataAreaId"] for r in sent} - {sent[-1]["dataAreaId"]}
    assert finished
    contoso.d365.requests.clear()
    resumed = run_tap(config, state=copy.deepcopy(state))
    asked = [r.query for r in contoso.d365.requests if r.entity_set == stream]
    for company in finished:
        assert not any(f"dataAreaId%20eq%20'{company}'" in query for query in asked)
    # And the run after one that came to its end reads everything.
    after = run_tap(config, state=resumed.states[-1])
    assert len(after.records(stream)) == len(whole.records(stream))
    assert len(after.of("ACTIVATE_VERSION")) == 1


def test_a_key_that_cannot_be_gone_on_from_starts_over(contoso: Contoso, run_tap: RunTap) -> None:
    """``full`` of a set with an enum in its key: by position there is no safe place."""
    stream = "FiscalPeriods"
    config = settings_for(
        contoso, entities=[stream], entity_settings={stream: {"replication": "full"}}
    )
    whole = run_tap(config)
    for sent, state in cuts(whole, stream):
        resumed = run_tap(config, state=copy.deepcopy(state))
        together = keyed(contoso, stream, [*sent, *resumed.records(stream)])
        assert together == keyed(contoso, stream, whole.records(stream))


@pytest.mark.parametrize("changed_share", [0.02, 0.9], ids=["fetched by key", "all read again"])
def test_changes_go_on_from_every_state(
    new_contoso: Callable[..., Contoso], run_tap: RunTap, tmp_path: Path, changed_share: float
) -> None:
    """Interrupted behind the deletions, and between portions of changed rows."""
    contoso = new_contoso(scale=0.5)
    stream = "PurchaseOrderLinesV2"
    config = settings_for(
        contoso,
        entities=[stream],
        snapshot_path=str(tmp_path),
        max_concurrency=1,
        max_delete_fraction=1,
    )
    first = run_tap(config)
    table = f'"{stream}"'
    cursor = contoso.world.cursor()
    cursor.execute(f"DELETE FROM {table} WHERE __rec_id % 50 = 0")  # noqa: S608
    cursor.execute(
        f'UPDATE {table} SET __rec_version = __rec_version + 7, "LineAmount" = 1 '  # noqa: S608
        f"WHERE hash(__rec_id) % 1000 < {int(changed_share * 1000)}"
    )
    target = keyed(contoso, stream, first.records(stream))
    second = run_tap(config, state=copy.deepcopy(first.states[-1]))
    found = cuts(second, stream)
    assert len(found) >= 3
    books = apply(contoso, stream, target, second.records(stream))
    for sent, state in found:
        resumed = run_tap(config, state=copy.deepcopy(state))
        held = apply(contoso, stream, target, sent)
        assert apply(contoso, stream, held, resumed.records(stream)) == books
        assert len(resumed.records(stream)) == len(second.records(stream)) - len(sent)


def apply(
    contoso: Contoso, stream: str, target: dict[Key, Any], records: list[dict[str, Any]]
) -> dict[Key, Any]:
    """What a target holds after ``records``."""
    held = dict(target)
    for key, record in keyed(contoso, stream, records).items():
        if record.get("_sdc_deleted_at"):
            held.pop(key, None)
        else:
            held[key] = record
    return held


def test_days_go_by_and_the_books_stay_equal(
    new_contoso: Callable[..., Contoso], run_tap: RunTap, tmp_path: Path
) -> None:
    """Every set that changes in Contoso, by whatever strategy is chosen for it, with deletions."""
    contoso = new_contoso()
    names = ["PurchaseOrderHeadersV2", "PurchaseOrderLinesV2", "VendorInvoiceLines", "VendorsV2"]
    names += ["VendorInvoiceHeaders", "ExchangeRates"]
    config = settings_for(
        contoso, entities=names, snapshot_path=str(tmp_path), max_delete_fraction=1
    )
    output = run_tap(config)
    targets = {n: keyed(contoso, n, output.records(n)) for n in names}
    deletions = 0
    for days in (1, 3, 1):
        contoso.world.advance(days)
        output = run_tap(config, state=output.states[-1])
        for name in names:
            targets[name] = apply(contoso, name, targets[name], output.records(name))
        deletions += sum(f["deletes"] for f in output.states[-1]["audit"]["streams"].values())
    everything = run_tap({**config, "snapshot_path": str(tmp_path / "fresh")})
    for name in names:
        fresh = without_mark(keyed(contoso, name, everything.records(name)))
        assert without_mark(targets[name]) == fresh
    assert deletions > 0


def test_one_stream_is_refreshed_without_the_others(
    new_contoso: Callable[..., Contoso], run_tap: RunTap, tmp_path: Path
) -> None:
    contoso = new_contoso()
    names = ["VendorsV2", "VendorGroups", "VendTransBiEntities"]
    config = settings_for(contoso, entities=names, snapshot_path=str(tmp_path))
    first = run_tap(config)
    state = copy.deepcopy(first.states[-1])
    del state["bookmarks"]["VendorsV2"]
    second = run_tap(config, state=state)
    assert second.counts["VendorsV2"] == first.counts["VendorsV2"]
    assert [m["stream"] for m in second.of("ACTIVATE_VERSION")] == ["VendorsV2"]
    assert second.counts["VendorGroups"] == 0
    assert 0 < second.counts["VendTransBiEntities"] < first.counts["VendTransBiEntities"]


def test_another_filter_of_one_stream_leaves_the_others(
    contoso: Contoso, run_tap: RunTap, tmp_path: Path
) -> None:
    names = ["VendorsV2", "VendorGroups"]
    config = settings_for(contoso, entities=names, snapshot_path=str(tmp_path))
    first = run_tap(config)
    narrow = {"VendorGroups": {"filter": "VendorGroupId ne '10'"}}
    second = run_tap({**config, "entity_settings": narrow}, state=first.states[-1])
    assert [m["stream"] for m in second.of("ACTIVATE_VERSION")] == ["VendorGroups"]
    assert second.counts["VendorsV2"] == 0
    assert 0 < second.counts["VendorGroups"] <= first.counts["VendorGroups"]


@pytest.mark.parametrize("stream", ["VendorsV2", "VendTransBiEntities"])
def test_a_new_company_comes_whole_and_the_others_stay(
    contoso: Contoso, run_tap: RunTap, tmp_path: Path, stream: str
) -> None:
    """Without a version: it would sweep away what the other companies hold."""
    config = settings_for(contoso, entities=[stream], snapshot_path=str(tmp_path))
    first = run_tap({**config, "companies": ["usmf"]})
    second = run_tap({**config, "companies": ["usmf", "demf"]}, state=first.states[-1])
    everything = run_tap({**config, "companies": ["demf"]})
    came = keyed(contoso, stream, second.records(stream))
    assert keyed(contoso, stream, everything.records(stream)).keys() <= came.keys()
    assert second.of("ACTIVATE_VERSION") == []
    assert (
        len(came) < len(keyed(contoso, stream, first.records(stream))) + everything.counts[stream]
    )


def test_a_snapshot_that_is_gone_costs_a_full_read_with_a_version(
    contoso: Contoso, run_tap: RunTap, tmp_path: Path
) -> None:
    config = settings_for(contoso, entities=["VendorsV2"], snapshot_path=str(tmp_path))
    first = run_tap(config)
    next(tmp_path.rglob("*.snapshot")).unlink()
    second = run_tap(config, state=first.states[-1])
    assert second.counts == first.counts
    assert len(second.of("ACTIVATE_VERSION")) == 1
    assert run_tap(config, state=second.states[-1]).counts["VendorsV2"] == 0


@pytest.mark.parametrize(
    ("settings", "comes"),
    [
        pytest.param({}, False, id="beyond the look-back of a cursor"),
        pytest.param({"lookback": 400_000_000}, True, id="within it"),
        pytest.param({"replication": "etag_scan"}, True, id="times do not matter to etag_scan"),
    ],
)
def test_a_row_that_commits_long_after_its_time(
    new_contoso: Callable[..., Contoso],
    run_tap: RunTap,
    tmp_path: Path,
    settings: dict[str, Any],
    comes: bool,  # noqa: FBT001 - a case
) -> None:
    """What the README says of ``cursor``, and what it advises."""
    contoso = new_contoso()
    stream = "VendTransBiEntities"
    config = settings_for(
        contoso,
        entities=[stream],
        companies=["usmf"],
        entity_settings={stream: settings},
        snapshot_path=str(tmp_path),
    )
    cursor = contoso.world.cursor()
    late = f'SELECT * FROM "{stream}" WHERE lower("dataAreaId") = \'usmf\' ORDER BY '  # noqa: S608
    cursor.execute(f'CREATE TEMP TABLE held AS {late}"SysModifiedDateTime" LIMIT 1')
    cursor.execute(f'DELETE FROM "{stream}" WHERE __rec_id IN (SELECT __rec_id FROM held)')  # noqa: S608
    first = run_tap(config)
    cursor.execute(f'INSERT INTO "{stream}" SELECT * FROM held')  # noqa: S608
    (key,) = cursor.execute('SELECT "SourceKey" FROM held').fetchone() or ()
    second = run_tap(config, state=first.states[-1])
    assert (key in {r["SourceKey"] for r in second.records(stream)}) is comes
