"""Bodies, documents and links that a fault has rewritten."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest

from contoso_sandbox.faults import (
    Fault,
    Page,
    added_column,
    body,
    byte_order_mark,
    changed_value,
    counted_as,
    counts_of,
    document,
    dropped_column,
    dropped_row,
    duplicate_key,
    empty_body,
    empty_page_with_link,
    endless_links,
    garbage,
    invalid_utf8,
    link_at,
    link_to_itself,
    link_to_the_first_page,
    link_with_userinfo,
    login_page,
    next_link,
    no_link,
    no_value,
    percent_encoded_link,
    recoded,
    relative_link,
    renamed_column,
    repeated_at_the_edge,
    repeated_row,
    reversed_rows,
    second_value,
    token_for,
    truncated_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sandbox.d365.site import Site

    from contoso_sandbox.faults import Action

TABLE = "GeneralJournalAccountEntryBiEntities"
ENTRIES = f"/data/{TABLE}"
FIRST = 5637144576


def struck(site: Site, action: Action, path: str = ENTRIES, **options: str) -> tuple[bytes, bytes]:
    """Return the real body and the one after ``action``."""
    real = site.get(path, **options).sent_bytes
    site.d365.faults.add(Fault(action))
    answered = site.get(path, **options)
    assert answered.status == 200
    return real, answered.sent_bytes


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        pytest.param(truncated_json(), lambda real: real[: len(real) // 2], id="truncated"),
        pytest.param(truncated_json(0.1), lambda real: real[: len(real) // 10], id="cut early"),
        pytest.param(empty_body(), lambda _: b"", id="empty"),
        pytest.param(byte_order_mark(), lambda real: b"\xef\xbb\xbf" + real, id="mark"),
        pytest.param(second_value(), lambda real: real[:-1] + b',"value":[]}', id="second value"),
        pytest.param(body(bytes.upper, "loud"), bytes.upper, id="any function"),
    ],
)
def test_a_body_is_replaced_by_a_function_of_it(
    faulty: Site, action: Action, expected: Callable[[bytes], bytes]
) -> None:
    real, sent = struck(faulty, action)
    assert sent == expected(real)


def test_a_login_page_comes_with_200_as_html(faulty: Site) -> None:
    faulty.d365.faults.add(Fault(login_page()))
    answered = faulty.get(ENTRIES)
    assert answered.status == 200
    assert answered.headers["content-type"].startswith("text/html")
    assert "<form" in answered.text


@pytest.mark.parametrize("declared", [True, False])
def test_text_is_recoded_and_says_so_or_not(faulty: Site, declared: bool) -> None:  # noqa: FBT001 - a case
    path = "/data/VendorsV2?cross-company=true"
    real = faulty.get(path).text
    faulty.d365.faults.add(Fault(recoded("utf-16", declared=declared)))
    answered = faulty.get(path)
    assert answered.sent_bytes.decode("utf-16") == real
    assert ("charset=utf-16" in answered.headers["content-type"]) is declared


def test_invalid_utf8_is_within_the_rows(faulty: Site) -> None:
    real, sent = struck(faulty, invalid_utf8())
    assert sent.replace(b"\xff", b"") == real
    with pytest.raises(UnicodeDecodeError):
        sent.decode()


def test_garbage_is_the_same_each_time(faulty: Site) -> None:
    real, sent = struck(faulty, garbage())
    assert len(sent) == len(real)
    assert sent != real
    assert faulty.get(ENTRIES).sent_bytes == sent


def test_a_property_is_named_twice_in_the_first_row(faulty: Site) -> None:
    _, sent = struck(faulty, duplicate_key("Text", '"other"'))
    rows = json.loads(sent, object_pairs_hook=list)
    values = dict(rows)["value"]
    assert [value for name, value in values[0] if name == "Text"] == ["other", "Entry 0"]
    assert [value for name, value in values[1] if name == "Text"] == ["Entry 1"]


def test_a_bare_token_stands_for_the_first_number(faulty: Site) -> None:
    _, sent = struck(faulty, token_for("AccountingCurrencyAmount", "NaN"))
    amounts = [str(row["AccountingCurrencyAmount"]) for row in json.loads(sent)["value"]]
    assert amounts[0] == "nan"
    assert "nan" not in amounts[1:]


def rewritten(site: Site, action: Action, path: str = ENTRIES, **options: str) -> Any:  # noqa: ANN401 - JSON
    _, sent = struck(site, action, path, **options)
    return json.loads(sent, parse_float=Decimal)


def test_a_rewritten_document_keeps_every_digit(faulty: Site) -> None:
    path = "/data/ExchangeRates"
    real, sent = struck(faulty, document(lambda page, _: page, "as it is"), path)
    assert sent == real
    assert b"0.0000000000000001" in sent


def test_value_can_be_left_out(faulty: Site) -> None:
    assert "value" not in rewritten(faulty, no_value())


def test_rows_are_dropped_repeated_and_turned(faulty: Site) -> None:
    def keys(action: Action) -> list[int]:
        faulty.d365.faults.clear()
        page = rewritten(faulty, action)
        return [row["SourceKey"] - FIRST for row in page["value"]]

    assert keys(dropped_row()) == [*range(9)]
    assert keys(dropped_row(3)) == [0, 1, 2, *range(4, 10)]
    assert keys(repeated_row()) == [*range(10), 9]
    assert keys(repeated_row(0)) == [*range(10), 0]
    assert keys(reversed_rows()) == [*reversed(range(10))]


def test_columns_are_dropped_added_renamed_and_changed(faulty: Site) -> None:
    faulty.d365.faults.add(
        Fault(dropped_column("AccountingCurrencyAmount")),
        Fault(added_column("Surprise", {"deep": [1]})),
        Fault(renamed_column("Text", "Txt")),
        Fault(changed_value("SourceKey", str)),
        Fault(changed_value("SourceKey", None, index=1)),
    )
    first, second, *_ = faulty.get(ENTRIES).rows
    del first["@odata.etag"]
    assert first == {"SourceKey": str(FIRST), "Txt": "Entry 0", "Surprise": {"deep": [1]}}
    assert second["SourceKey"] is None


@pytest.mark.parametrize("text", ["\ud800", "a\x00b", "\udc00\ud800"])
def test_a_value_can_be_text_that_utf8_or_c_cannot_hold(faulty: Site, text: str) -> None:
    faulty.d365.faults.add(Fault(changed_value("Text", text, index=0)))
    assert [row["Text"] for row in faulty.get(ENTRIES).rows[:2]] == [text, "Entry 1"]


def test_a_count_lies_in_both_forms(faulty: Site) -> None:
    assert rewritten(faulty, counted_as(99), count="true")["@odata.count"] == 99
    faulty.d365.faults.clear()
    faulty.d365.faults.add(Fault(counted_as(lambda real: real - 1), on=counts_of(TABLE)))
    assert faulty.get(f"{ENTRIES}/$count").text == "24"


def test_an_empty_page_leads_on_without_loss(faulty: Site) -> None:
    faulty.d365.faults.add(Fault(empty_page_with_link(), on=TABLE, nth=2))
    pages = faulty.walk(ENTRIES)
    assert [len(page.rows) for page in pages] == [10, 0, 10, 5]


def test_an_empty_first_page_leads_on(faulty: Site) -> None:
    faulty.d365.faults.add(Fault(empty_page_with_link(), on=TABLE, nth=1))
    assert [len(page.rows) for page in faulty.walk(ENTRIES)] == [0, 10, 10, 5]


def test_the_last_row_comes_again_on_the_next_page(faulty: Site) -> None:
    faulty.d365.faults.add(Fault(repeated_at_the_edge(), on=TABLE))
    pages = faulty.walk(ENTRIES)
    keys = [[row["SourceKey"] - FIRST for row in page.rows] for page in pages]
    assert keys == [[*range(10)], [9, *range(10, 20)], [19, *range(20, 25)]]


def links_of_a_walk(site: Site, most: int = 4) -> list[str]:
    links: list[str] = []
    target = ENTRIES
    while len(links) < most:
        link = site.request("GET", target).json.get("@odata.nextLink")
        if link is None:
            break
        links.append(link)
        target = link.removeprefix(site.url)
    return links


def test_a_link_leads_to_its_own_page(faulty: Site) -> None:
    faulty.d365.faults.add(Fault(link_to_itself(), on=TABLE))
    assert links_of_a_walk(faulty) == [f"{faulty.url}{ENTRIES}"] * 4


def test_links_lead_back_and_forth(faulty: Site) -> None:
    faulty.d365.faults.add(Fault(link_to_the_first_page(), on=TABLE))
    there, back, again, _ = links_of_a_walk(faulty)
    assert back == f"{faulty.url}{ENTRIES}"
    assert again == there


def test_a_walk_without_end_never_repeats_a_link(faulty: Site) -> None:
    faulty.d365.faults.add(Fault(endless_links(), on=TABLE))
    links = links_of_a_walk(faulty, most=30)
    assert len(set(links)) == 30


def test_a_link_can_be_taken_away_or_put_where_none_was(faulty: Site) -> None:
    faulty.d365.faults.add(Fault(no_link(), on=TABLE))
    assert links_of_a_walk(faulty) == []
    faulty.d365.faults.clear()
    faulty.d365.faults.add(Fault(next_link("not a link"), on="VendorGroups", page=Page.LAST))
    assert faulty.get("/data/VendorGroups").json["@odata.nextLink"] == "not a link"


@pytest.mark.parametrize(
    ("action", "start"),
    [
        pytest.param(link_at(scheme="http"), "http://127.0.0.1:{port}/data/", id="http"),
        pytest.param(
            link_at(netloc="other.example"), "https://other.example/data/", id="other host"
        ),
        pytest.param(link_at(netloc="127.0.0.1:1"), "https://127.0.0.1:1/data/", id="other port"),
        pytest.param(link_at(netloc="[::1]:443"), "https://[::1]:443/data/", id="IPv6"),
        pytest.param(
            link_at(netloc="bücher.example"), "https://bücher.example/data/", id="IDN"
        ),
        pytest.param(
            link_with_userinfo(), "https://someone:secret@127.0.0.1:{port}/data/", id="userinfo"
        ),
        pytest.param(link_at(path="/api/x"), "https://127.0.0.1:{port}/api/x?", id="other path"),
        pytest.param(relative_link(), TABLE + "?", id="relative"),
    ],
)  # fmt: skip
def test_a_link_leads_elsewhere_with_the_same_query(
    faulty: Site, action: Action, start: str
) -> None:
    real = faulty.get(ENTRIES).json["@odata.nextLink"]
    faulty.d365.faults.add(Fault(action, on=TABLE))
    link = faulty.get(ENTRIES).json["@odata.nextLink"]
    assert link.startswith(start.format(port=urlsplit(faulty.url).port))
    assert urlsplit(link).query == urlsplit(real).query


def test_a_last_page_stays_the_last_when_links_lead_elsewhere(faulty: Site) -> None:
    for action in (
        link_at(netloc="other.example"), link_with_userinfo(), relative_link(),
        percent_encoded_link(),
    ):  # fmt: skip
        faulty.d365.faults.clear()
        faulty.d365.faults.add(Fault(action))
        assert "@odata.nextLink" not in faulty.get("/data/VendorGroups").json


def test_option_names_of_a_link_are_percent_encoded(faulty: Site) -> None:
    real = faulty.get(ENTRIES).json["@odata.nextLink"]
    faulty.d365.faults.add(Fault(percent_encoded_link(), on=TABLE))
    link = faulty.get(ENTRIES).json["@odata.nextLink"]
    assert "%24skip=10" in link
    assert unquote(link) == unquote(real)
    assert [len(page.rows) for page in faulty.walk(ENTRIES)] == [10, 10, 5]
