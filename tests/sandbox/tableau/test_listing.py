"""Filters, sorting and pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contoso_sandbox.tableau.errors import RestError
from contoso_sandbox.tableau.listing import select

if TYPE_CHECKING:
    from contoso_sandbox.tableau.listing import Fields


@dataclass(frozen=True)
class Item:
    name: str
    size: int = 0
    at: datetime | None = None
    certified: bool = False
    tags: tuple[str, ...] = ()


FIELDS: Fields[Item] = {
    "name": lambda item: item.name,
    "size": lambda item: item.size,
    "createdAt": lambda item: item.at,
    "isCertified": lambda item: item.certified,
    "tags": lambda item: item.tags,
}
ITEMS = [
    Item("GL", 3, datetime(2026, 1, 1, tzinfo=UTC), certified=True, tags=("finance",)),
    Item("GL 2026", 20, datetime(2026, 2, 1, tzinfo=UTC), tags=("finance", "new")),
    Item("AP", 100, None),
    Item("12:30, noon", 1, datetime(2025, 1, 1, tzinfo=UTC)),
]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        pytest.param("name:eq:GL", ["GL"], id="equal is the whole name"),
        pytest.param("name:eq:gl", [], id="equal minds the case"),
        pytest.param("name:has:gl", ["GL", "GL 2026"], id="has does not"),
        pytest.param("name:in:[AP,GL]", ["GL", "AP"], id="in"),
        pytest.param("size:gt:3", ["GL 2026", "AP"], id="numbers compare as numbers"),
        pytest.param("size:gte:3,size:lt:100", ["GL", "GL 2026"], id="and"),
        pytest.param("createdAt:gte:2026-01-01T00:00:00Z", ["GL", "GL 2026"], id="instants"),
        pytest.param(
            "createdAt:lt:2026-01-01T00:00:00Z", ["12:30, noon"], id="missing is no match"
        ),
        pytest.param("isCertified:eq:true", ["GL"], id="booleans"),
        pytest.param("tags:eq:new", ["GL 2026"], id="one of the tags"),
        pytest.param("tags:in:[new,old]", ["GL 2026"], id="one of the tags in a list"),
    ],
)
def test_filters(query: str, names: list[str]) -> None:
    items, page = select(ITEMS, {"filter": query}, FIELDS)
    assert [item.name for item in items] == names
    assert page.total == len(names)


@pytest.mark.parametrize(
    "query", ["name", "name:eq", "colour:eq:red", "size:eq:many", "name:like:x", "createdAt:gt:now"]
)
def test_a_filter_that_cannot_be_read_is_refused(query: str) -> None:
    with pytest.raises(RestError) as caught:
        select(ITEMS, {"filter": query}, FIELDS)
    assert caught.value.code == "400000"


def test_sorting_by_several_fields() -> None:
    items, _ = select(ITEMS, {"sort": "isCertified:desc,size:asc"}, FIELDS)
    assert [item.size for item in items] == [3, 1, 20, 100]
    with pytest.raises(RestError):
        select(ITEMS, {"sort": "name:sideways"}, FIELDS)


@given(count=st.integers(0, 50), size=st.integers(1, 20))
def test_pages_together_are_the_list(count: int, size: int) -> None:
    items = [Item(str(number)) for number in range(count)]
    found: list[Item] = []
    for number in range(1, max(1, -(-count // size)) + 1):
        query = {"pageNumber": str(number), "pageSize": str(size)}
        listed, page = select(items, query, FIELDS)
        assert (page.number, page.size, page.total) == (number, size, count)
        found += listed
    assert found == items


@pytest.mark.parametrize(
    ("query", "code"),
    [
        pytest.param({"pageNumber": "0"}, "400006", id="page zero"),
        pytest.param({"pageNumber": "2"}, "400006", id="behind the last page"),
        pytest.param({"pageNumber": "x"}, "400006", id="no number"),
        pytest.param({"pageSize": "0"}, "400007", id="empty pages"),
        pytest.param({"pageSize": "1001"}, "400007", id="pages too long"),
        pytest.param({"pageSize": "-1"}, "400007", id="a negative size"),
    ],
)
def test_a_page_that_is_not_there_is_refused(query: dict[str, str], code: str) -> None:
    with pytest.raises(RestError) as caught:
        select(ITEMS, query, FIELDS)
    assert caught.value.code == code
