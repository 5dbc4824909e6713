"""Pages, nextLinks and order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.sandbox.d365.site import PAGE_SIZE, Site, options_of

if TYPE_CHECKING:
    from tests.sandbox.d365.site import Answer

ENTRIES = "/data/GeneralJournalAccountEntryBiEntities"
TABLE = "GeneralJournalAccountEntryBiEntities"
FIRST = 5637144576


def keys(pages: list[Answer]) -> list[int]:
    return [row["SourceKey"] for page in pages for row in page.rows]


def test_a_walk_over_all_pages_is_the_table_in_record_id_order(site: Site) -> None:
    pages = site.walk(ENTRIES)
    assert [len(page.rows) for page in pages] == [PAGE_SIZE, PAGE_SIZE, 5]
    assert keys(pages) == [FIRST + number for number in range(25)]


def test_without_orderby_rows_come_by_record_id_not_by_key(site: Site) -> None:
    numbers = [row["VendorAccountNumber"] for row in site.get("/data/VendorsV2").rows]
    assert numbers == ["US-102", "US-101", " RFI-1"]


def test_a_next_link_is_absolute_and_keeps_the_other_options(site: Site) -> None:
    answer = site.get(
        ENTRIES,
        cross_company="true",
        filter="AccountingCurrencyAmount ge 0",
        orderby="SourceKey desc",
        select="SourceKey",
        count="true",
    )
    link = answer.json["@odata.nextLink"]
    assert link.startswith(f"{site.url}{ENTRIES}?cross-company=true&$filter=")
    assert options_of(link).endswith("&$skip=10&$top=10")
    assert "$filter=AccountingCurrencyAmount%20ge%200&$orderby=SourceKey%20desc" in link
    assert "&$select=SourceKey&$count=true" in link


def test_a_page_that_ends_the_set_exactly_has_no_next_link(tls: object) -> None:
    with Site.small(tls, account_entries=2 * PAGE_SIZE) as site:  # type: ignore[arg-type]
        assert [len(page.rows) for page in site.walk(ENTRIES)] == [PAGE_SIZE, PAGE_SIZE]


@pytest.mark.parametrize(
    ("top", "page_lengths"),
    [
        pytest.param(0, [0], id="nothing"),
        pytest.param(2, [2], id="less than a page: no link though more rows exist"),
        pytest.param(10, [10], id="exactly a page: no link"),
        pytest.param(12, [10, 2], id="more than a page"),
        pytest.param(20, [10, 10], id="exactly two pages"),
        pytest.param(21, [10, 10, 1], id="two pages and one row"),
        pytest.param(100, [10, 10, 5], id="more than there are"),
    ],
)
def test_top_limits_the_whole_walk(site: Site, top: int, page_lengths: list[int]) -> None:
    pages = site.walk(ENTRIES, top=str(top))
    assert [len(page.rows) for page in pages] == page_lengths
    assert keys(pages) == [FIRST + number for number in range(min(top, 25))]


@pytest.mark.parametrize("skip", [0, 1, 10, 24, 25, 1000])
def test_skip_is_positional(site: Site, skip: int) -> None:
    pages = site.walk(ENTRIES, skip=str(skip))
    assert keys(pages) == [FIRST + number for number in range(skip, 25)]


def test_a_client_that_drives_skip_and_top_itself_reads_all(site: Site) -> None:
    seen: list[int] = []
    while rows := site.get(ENTRIES, top="7", skip=str(len(seen)), orderby="SourceKey").rows:
        seen += [row["SourceKey"] for row in rows]
    assert seen == [FIRST + number for number in range(25)]


def test_count_ignores_top_and_comes_before_the_rows(site: Site) -> None:
    answer = site.get(ENTRIES, count="true", top="1")
    assert answer.json["@odata.count"] == 25
    assert len(answer.rows) == 1
    assert list(answer.json) == ["@odata.context", "@odata.count", "value"]


def test_the_next_link_comes_last(site: Site) -> None:
    assert list(site.get(ENTRIES).json) == ["@odata.context", "value", "@odata.nextLink"]


def test_count_alone_is_plain_text(site: Site) -> None:
    answer = site.get(f"{ENTRIES}/$count", filter="SourceKey lt 5637144580")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text == "4"


def test_rows_shift_when_an_earlier_row_is_deleted_during_the_walk(own_site: Site) -> None:
    """The missed row of positional paging is F&O's, and clients must survive it."""
    first = own_site.get(ENTRIES, orderby="SourceKey")
    own_site.get(ENTRIES, orderby="SourceKey", skip="10")  # so that an order is remembered
    own_site.database.cursor().execute(f"DELETE FROM {TABLE} WHERE SourceKey = {FIRST}")  # noqa: S608
    second = own_site.request("GET", first.json["@odata.nextLink"].removeprefix(own_site.url))
    assert second.rows[0]["SourceKey"] == FIRST + PAGE_SIZE + 1


def test_an_inserted_row_pushes_the_others_back(own_site: Site) -> None:
    own_site.get(ENTRIES, orderby="SourceKey", skip="10")
    own_site.database.cursor().execute(f"INSERT INTO {TABLE} VALUES (1, 0, '', 1, 1)")  # noqa: S608
    assert own_site.get(ENTRIES, orderby="SourceKey", skip="10").rows[0]["SourceKey"] == FIRST + 9


def test_an_updated_row_moves_in_a_remembered_order(own_site: Site) -> None:
    order = "AccountingCurrencyAmount,SourceKey"
    last = own_site.walk(ENTRIES, orderby=order)[-1].rows[-1]
    assert last["SourceKey"] != FIRST
    own_site.database.cursor().execute(
        f"UPDATE {TABLE} SET AccountingCurrencyAmount = 1000, __rec_version = 901775392 "  # noqa: S608
        f"WHERE SourceKey = {FIRST}"
    )
    assert own_site.walk(ENTRIES, orderby=order)[-1].rows[-1]["SourceKey"] == FIRST


@pytest.mark.parametrize(
    ("orderby", "expected"),
    [
        pytest.param(
            "VendorAccountNumber",
            [" RFI-1", "DE-O'Hara/1", "GB-1", "US-101", "US-102"],
            id="ascending by default",
        ),
        pytest.param(
            "VendorAccountNumber desc",
            ["US-102", "US-101", "GB-1", "DE-O'Hara/1", " RFI-1"],
            id="descending",
        ),
        pytest.param(
            "dataAreaId asc,VendorAccountNumber asc",
            ["DE-O'Hara/1", "GB-1", " RFI-1", "US-101", "US-102"],
            id="by company in whatever case, then by account",
        ),
        pytest.param(
            "OnHoldStatus,CreditLimit desc",
            [" RFI-1", "US-102", "GB-1", "US-101", "DE-O'Hara/1"],
            id="nulls first, then two keys",
        ),
    ],
)
def test_orderby(site: Site, orderby: str, expected: list[str]) -> None:
    rows = site.get("/data/VendorsV2", orderby=orderby, cross_company="true").rows
    assert [row["VendorAccountNumber"] for row in rows] == expected


def test_text_orders_without_regard_to_case(own_site: Site) -> None:
    cursor = own_site.database.cursor()
    cursor.execute("DELETE FROM VendorGroups")
    for number, name in enumerate(["b", "A", "a", "B", "_"]):
        cursor.execute("INSERT INTO VendorGroups VALUES ('usmf', ?, ?, ?, 1)", [name, name, number])
    rows = own_site.get("/data/VendorGroups", orderby="VendorGroupId").rows
    assert [row["VendorGroupId"] for row in rows] == ["_", "A", "a", "B", "b"]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None
)
@given(
    size=st.integers(0, 60),
    top=st.none() | st.integers(0, 70),
    skip=st.integers(0, 70),
    descending=st.booleans(),
)
def test_any_walk_gives_the_slice_that_was_asked_for(
    own_site: Site, size: int, top: int | None, skip: int, *, descending: bool
) -> None:
    cursor = own_site.database.cursor()
    cursor.execute(f"DELETE FROM {TABLE}")  # noqa: S608 - a constant
    cursor.execute(
        f"INSERT INTO {TABLE} SELECT n, n, '', n, 1 FROM range({size}) numbers(n)"  # noqa: S608
    )
    options = {"skip": str(skip), "orderby": "SourceKey" + (" desc" if descending else "")}
    if top is not None:
        options["top"] = str(top)
    if top == PAGE_SIZE and skip > 0:
        return  # indistinguishable from the link of an unlimited walk, which goes on
    expected = sorted(range(size), reverse=descending)[skip:]
    assert keys(own_site.walk(ENTRIES, **options)) == expected[:top]
