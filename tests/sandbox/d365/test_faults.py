"""Which requests a fault strikes, what is answered instead, and what the log says."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import pytest
import requests

from contoso_sandbox.faults import (
    Fault,
    Hold,
    Page,
    answer,
    before,
    changed_value,
    counts_of,
    delay,
    dropped_row,
    held,
    pages_of,
    redirect,
    reset_before_headers,
    rows_of,
    server_error,
    throttled,
    truncated_json,
    unauthorized,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.sandbox.d365.site import Site

    from contoso_sandbox.faults import Asked

TABLE = "GeneralJournalAccountEntryBiEntities"
ENTRIES = f"/data/{TABLE}"
FIRST = 5637144576


def statuses(site: Site, path: str = ENTRIES, times: int = 5) -> list[int]:
    return [site.get(path).status for _ in range(times)]


@pytest.mark.parametrize(
    ("nth", "times", "expected"),
    [
        pytest.param(None, None, [503, 503, 503, 503, 503], id="every request"),
        pytest.param(None, 2, [503, 503, 200, 200, 200], id="the first two"),
        pytest.param(1, None, [503, 200, 200, 200, 200], id="the first"),
        pytest.param(3, None, [200, 200, 503, 200, 200], id="the third"),
        pytest.param((2, 5), None, [200, 503, 200, 200, 503], id="the second and the fifth"),
        pytest.param(range(2, 5), 2, [200, 503, 503, 200, 200], id="two of a range"),
    ],
)
def test_ordinals_choose_among_the_requests(
    faulty: Site, nth: int | Collection[int] | None, times: int | None, expected: list[int]
) -> None:
    faulty.d365.faults.add(Fault(server_error(503), on=TABLE, nth=nth, times=times))
    assert statuses(faulty) == expected


@pytest.mark.parametrize(
    ("on", "struck"),
    [
        pytest.param(TABLE, {ENTRIES, f"{ENTRIES}/$count", f"{ENTRIES}({FIRST})"}, id="set"),
        pytest.param("Vendor.*", {"/data/VendorGroups"}, id="sets by pattern"),
        pytest.param("General", set(), id="a part of a name is no match"),
        pytest.param("/metadata/.*", {"/metadata/DataEntities"}, id="path by pattern"),
        pytest.param(pages_of(TABLE), {ENTRIES}, id="rows"),
        pytest.param(counts_of(TABLE), {f"{ENTRIES}/$count"}, id="counts"),
        pytest.param(rows_of(TABLE), {f"{ENTRIES}({FIRST})"}, id="single rows"),
        pytest.param(lambda asked: "Group" in asked.url, {"/data/VendorGroups"}, id="function"),
    ],
)
def test_a_matcher_selects_by_set_path_or_function(faulty: Site, on: str, struck: set[str]) -> None:
    paths = [
        ENTRIES, f"{ENTRIES}/$count", f"{ENTRIES}({FIRST})", "/data/VendorGroups",
        "/metadata/DataEntities",
    ]  # fmt: skip
    faulty.d365.faults.add(Fault(unauthorized(), on=on))
    assert {path for path in paths if faulty.get(path).status == 401} == struck


@pytest.mark.parametrize(
    ("page", "lengths"),
    [
        pytest.param(Page.FIRST, [9, 10, 5], id="first"),
        pytest.param(Page.MIDDLE, [10, 9, 5], id="middle"),
        pytest.param(Page.LAST, [10, 10, 4], id="last"),
    ],
)
def test_a_page_of_the_walk_is_struck(faulty: Site, page: Page, lengths: list[int]) -> None:
    faulty.d365.faults.add(Fault(dropped_row(), on=TABLE, page=page))
    assert [len(answered.rows) for answered in faulty.walk(ENTRIES)] == lengths


def test_an_answer_instead_of_the_last_page_is_the_last_pages(faulty: Site) -> None:
    faulty.d365.faults.add(Fault(throttled(3), on=TABLE, page=Page.LAST, times=1))
    link = faulty.get(ENTRIES).json["@odata.nextLink"].removeprefix(faulty.url)
    last = faulty.request("GET", link).json["@odata.nextLink"].removeprefix(faulty.url)
    refused = faulty.request("GET", last)
    assert refused.status == 429
    assert refused.headers["retry-after"] == "3"
    assert len(faulty.request("GET", last).rows) == 5


def test_faults_compose_in_the_order_of_the_script(faulty: Site) -> None:
    faulty.d365.faults.add(
        Fault(changed_value("Text", "seen"), on=TABLE),
        Fault(dropped_row(0), on=TABLE),
    )
    texts = {row["Text"] for row in faulty.get(ENTRIES).rows}
    assert texts == {"seen"}
    assert len(faulty.get(ENTRIES).rows) == 9
    assert [a.name for a in faulty.d365.faults.applied[:2]] == ["changed Text", "dropped row"]


def test_clear_ends_the_script_and_forgets(faulty: Site) -> None:
    faulty.d365.faults.add(Fault(server_error(), on=TABLE))
    assert faulty.get(ENTRIES).status == 500
    assert faulty.d365.faults.applied[0].asked.path == ENTRIES
    faulty.d365.faults.clear()
    assert faulty.get(ENTRIES).status == 200
    assert faulty.d365.faults.applied == []


@pytest.mark.parametrize(
    ("retry_after", "sent"),
    [
        pytest.param(3, "3", id="seconds"),
        pytest.param("soon", "soon", id="malformed"),
        pytest.param(
            datetime(2026, 11, 23, 7, 0, 30, tzinfo=UTC), "Mon, 23 Nov 2026 07:00:30 GMT", id="date"
        ),
        pytest.param(None, None, id="absent"),
    ],
)
def test_a_throttled_answer_says_when_to_come_again(
    faulty: Site, retry_after: float | str | datetime | None, sent: str | None
) -> None:
    faulty.d365.faults.add(Fault(throttled(retry_after)))
    refused = faulty.get(ENTRIES)
    assert refused.status == 429
    assert refused.headers.get("retry-after") == sent
    assert "high resource utilization" in refused.json["Message"]


def test_the_date_header_is_the_true_time_unless_a_fault_sets_it(faulty: Site) -> None:
    true = parsedate_to_datetime(faulty.get(ENTRIES).headers["date"])
    assert abs(datetime.now(UTC) - true) < timedelta(minutes=1)
    skewed = datetime(2020, 1, 1, tzinfo=UTC)
    faulty.d365.faults.add(Fault(throttled(3, date=skewed)))
    assert faulty.get(ENTRIES).headers["date"] == "Wed, 01 Jan 2020 00:00:00 GMT"


def test_an_answer_is_sent_as_it_is_scripted(faulty: Site) -> None:
    faulty.d365.faults.add(Fault(answer(418, "short", headers={"X-Own": "1"})))
    answered = faulty.get(ENTRIES)
    assert (answered.status, answered.text, answered.headers["x-own"]) == (418, "short", "1")


def test_a_redirect_names_its_target(faulty: Site) -> None:
    faulty.d365.faults.add(Fault(redirect(lambda asked: asked.url + "&elsewhere=1"), times=1))
    answered = faulty.get(ENTRIES, top="1")  # followed by requests
    assert answered.status == 200
    queries = [(logged.status, logged.query) for logged in faulty.d365.requests]
    assert queries == [(302, "%24top=1"), (200, "%24top=1&elsewhere=1")]


def test_rows_can_move_while_a_client_pages(own_site: Site) -> None:
    def delete_the_first_row(_asked: Asked) -> None:
        with own_site.database.cursor() as cursor:
            cursor.execute(f"DELETE FROM {TABLE} WHERE SourceKey = {FIRST}")  # noqa: S608

    own_site.d365.faults.add(Fault(before(delete_the_first_row), on=TABLE, nth=2))
    pages = own_site.walk(ENTRIES)
    keys = [row["SourceKey"] - FIRST for page in pages for row in page.rows]
    # The row after the first page has moved onto it: positional paging never shows it.
    assert keys == [*range(10), *range(11, 25)]


def test_rows_can_move_before_the_last_page(own_site: Site) -> None:
    def insert(_asked: Asked) -> None:
        with own_site.database.cursor() as cursor:
            cursor.execute(f"INSERT INTO {TABLE} VALUES (1, 1, 'new', 1, 1)")  # noqa: S608

    own_site.d365.faults.add(Fault(before(insert), on=TABLE, page=Page.LAST, times=1))
    pages = own_site.walk(ENTRIES, orderby="SourceKey")
    keys = [row["SourceKey"] - FIRST for page in pages for row in page.rows]
    assert keys == [*range(20), *range(19, 25)]


def test_a_delay_waits_by_the_layers_own_pause(own_site: Site) -> None:
    waited: list[float] = []

    async def pause(seconds: float) -> None:
        waited.append(seconds)

    own_site.d365.faults.pause = pause
    own_site.d365.faults.add(Fault(delay(90), on=TABLE))
    assert own_site.get(ENTRIES).status == 200
    assert waited == [90]


def test_held_requests_are_open_together_until_released(faulty: Site) -> None:
    hold = Hold()
    faulty.d365.faults.add(Fault(held(hold), on=TABLE))
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(faulty.get, ENTRIES)
        hold.wait_until_reached()
        assert not late.done()
        hold.release()
        assert late.result(timeout=30).status == 200
    assert faulty.d365.faults.most_at_once == 1


def test_a_hold_that_nothing_reaches_says_so() -> None:
    with pytest.raises(TimeoutError, match="no request reached"):
        Hold().wait_until_reached(0.001)


def test_the_log_shows_what_was_really_sent(faulty: Site) -> None:
    faulty.d365.faults.add(
        Fault(server_error(503), on=TABLE, nth=1),
        Fault(dropped_row(), on=TABLE, nth=2),
        Fault(truncated_json(), on=TABLE, nth=3),
        Fault(delay(0), on=TABLE, nth=4),
    )
    for _ in range(5):
        faulty.get(ENTRIES)
    logged = [(r.status, r.rows, r.fault, r.entity_set) for r in faulty.d365.requests]
    assert logged == [
        (503, 0, "answer 503", TABLE),
        (200, 9, "dropped row", TABLE),
        (200, 0, "truncated JSON", TABLE),
        (200, 10, "delay 0 s", TABLE),
        (200, 10, "", TABLE),
    ]


def test_the_log_has_status_zero_for_a_broken_connection(faulty: Site) -> None:
    faulty.d365.faults.add(Fault(reset_before_headers(), on=TABLE))
    with pytest.raises(requests.ConnectionError):
        faulty.get(ENTRIES)
    assert [(r.status, r.rows, r.bytes) for r in faulty.d365.requests] == [(0, 0, 0)]
