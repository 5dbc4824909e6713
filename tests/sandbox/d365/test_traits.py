"""Ways of other servers, each a switch."""

from __future__ import annotations

from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING
from urllib.parse import urljoin
from xml.etree import ElementTree as ET

import pytest
from tests.sandbox.d365.site import PAGE_SIZE, Site, options_of
from tests.sandbox.d365.small import ENVIRONMENT

from contoso_sandbox.d365 import NumbersAsStrings, Traits
from contoso_sandbox.d365.csdl import edmx
from contoso_sandbox.entities import contoso_environment
from contoso_sandbox.model import AxType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sandbox.d365.site import Answer

    from contoso_sandbox.contoso import Contoso
    from contoso_sandbox.tls import Tls

TABLE = "GeneralJournalAccountEntryBiEntities"
ENTRIES = f"/data/{TABLE}"
FIRST = 5637144576
EDM = "{http://docs.oasis-open.org/odata/ns/edm}"


@pytest.fixture
def other(faulty: Site) -> Iterator[Site]:
    """The small environment for a test that sets traits."""
    yield faulty
    faulty.d365.traits = Traits()


def walk(site: Site, target: str) -> list[Answer]:
    """Follow links however they are written."""
    pages = [site.request("GET", target)]
    while link := pages[-1].json.get("@odata.nextLink"):
        assert len(pages) < 100, "the walk does not end"
        base = f"{site.url}/data/"
        pages.append(site.request("GET", urljoin(base, link).removeprefix(site.url)))
    return pages


def keys(pages: list[Answer]) -> list[list[int]]:
    return [[row["SourceKey"] - FIRST for row in page.rows] for page in pages]


WHOLE = [[*range(10)], [*range(10, 20)], [*range(20, 25)]]


@pytest.mark.parametrize(
    ("traits", "start"),
    [
        pytest.param(Traits(relative_links=True), TABLE + "?$skip=10&$top=10", id="relative"),
        pytest.param(
            Traits(encoded_links=True), "{url}" + ENTRIES + "?%24skip=10&%24top=10", id="encoded"
        ),
        pytest.param(
            Traits(relative_links=True, encoded_links=True), TABLE + "?%24skip=10", id="both"
        ),
        pytest.param(Traits(skip_tokens=True), "{url}" + ENTRIES + "?$skiptoken=", id="token"),
    ],
)
def test_links_are_spelled_otherwise_and_lead_through_the_same_rows(
    other: Site, traits: Traits, start: str
) -> None:
    other.d365.traits = traits
    pages = walk(other, ENTRIES)
    assert pages[0].json["@odata.nextLink"].startswith(start.format(url=other.url))
    assert keys(pages) == WHOLE


@pytest.mark.parametrize("top", [1, 9, 10, 11, 20, 21, 25, 100])
def test_a_token_remembers_how_much_is_wanted(other: Site, top: int) -> None:
    other.d365.traits = Traits(skip_tokens=True)
    pages = walk(other, f"{ENTRIES}?$top={top}&$skip=2&$orderby=SourceKey&$count=true")
    assert list(chain.from_iterable(keys(pages))) == list(range(2, 25))[:top]
    later = pages[-1].json if len(pages) > 1 else {"@odata.count": 25}
    assert later["@odata.count"] == 25


def test_a_token_keeps_the_other_options(other: Site) -> None:
    other.d365.traits = Traits(skip_tokens=True)
    link = other.get(ENTRIES, select="SourceKey", orderby="SourceKey desc").json["@odata.nextLink"]
    assert options_of(link).startswith("$select=SourceKey&$orderby=SourceKey%20desc&$skiptoken=")


@pytest.mark.parametrize("token", ["soon", "====", "bm8=", "é"])
def test_a_token_of_another_make_is_refused(other: Site, token: str) -> None:
    other.d365.traits = Traits(skip_tokens=True)
    assert other.get(ENTRIES, skiptoken=token).status == 400


def test_without_the_trait_a_token_is_an_unknown_option(other: Site) -> None:
    assert other.get(ENTRIES, skiptoken="MTAv").status == 400


@pytest.mark.parametrize(
    ("rows", "lengths"),
    [
        pytest.param(0, [0], id="no rows"),
        pytest.param(PAGE_SIZE - 1, [9], id="less than a page"),
        pytest.param(PAGE_SIZE, [10, 0], id="exactly a page"),
        pytest.param(2 * PAGE_SIZE, [10, 10, 0], id="exactly two pages"),
        pytest.param(2 * PAGE_SIZE + 1, [10, 10, 1], id="and one row"),
    ],
)
@pytest.mark.parametrize("skip_tokens", [False, True], ids=["skip", "token"])
def test_a_full_last_page_leads_to_an_empty_one(
    tls: Tls, rows: int, lengths: list[int], *, skip_tokens: bool
) -> None:
    with Site.small(tls, account_entries=rows) as site:
        site.d365.traits = Traits(empty_last_page=True, skip_tokens=skip_tokens)
        assert [len(page.rows) for page in walk(site, ENTRIES)] == lengths


@pytest.mark.parametrize("skip_tokens", [False, True], ids=["skip", "token"])
def test_an_edge_row_comes_twice_and_the_walk_still_ends(other: Site, *, skip_tokens: bool) -> None:
    other.d365.traits = Traits(repeated_edge_row=True, skip_tokens=skip_tokens)
    assert keys(walk(other, ENTRIES)) == [[*range(10)], [*range(9, 19)], [*range(18, 25)]]


STRINGS = "application/json;IEEE754Compatible=true"


@pytest.mark.parametrize(
    ("when", "accept", "expected"),
    [
        pytest.param(NumbersAsStrings.NEVER, STRINGS, False, id="F&O takes no notice"),
        pytest.param(NumbersAsStrings.ASKED, STRINGS, True, id="asked"),
        pytest.param(NumbersAsStrings.ASKED, "application/json", False, id="not asked"),
        pytest.param(NumbersAsStrings.ALWAYS, "application/json", True, id="always"),
    ],
)
def test_exact_numbers_are_strings(
    other: Site, when: NumbersAsStrings, accept: str, *, expected: bool
) -> None:
    other.d365.traits = Traits(numbers_as_strings=when)
    path = "/data/VendorsV2?cross-company=true&$count=true"
    answer = other.request("GET", path, {"Accept": accept})
    row = next(r for r in answer.rows if r["VendorAccountNumber"] == " RFI-1")
    numbers = (row["CreditLimit"], row["PrimaryContactRecordId"], answer.json["@odata.count"])
    exact = ("-0.05", "9007199254740993", "5")
    assert numbers == (exact if expected else (Decimal("-0.05"), 9007199254740993, 5))
    assert row["PersonBirthYear"] == 0  # 32 bits are safe
    assert ("IEEE754Compatible=true" in answer.headers["content-type"]) is expected
    single = other.request("GET", f"{ENTRIES}({FIRST})", {"Accept": accept}).json
    assert isinstance(single["SourceKey"], str) is expected


def test_facets_are_published_where_a_build_has_them(other: Site) -> None:
    assert b"MaxLength" not in edmx(contoso_environment())
    other.d365.traits = Traits(facets=True)
    assert other.get("/data/$metadata").text.encode() == edmx(ENVIRONMENT, facets=True)
    document = ET.fromstring(edmx(contoso_environment(), facets=True))  # noqa: S314 - our own text
    rates = document.find(f".//{EDM}EntityType[@Name='ExchangeRate']")
    assert rates is not None
    facets = {
        p.attrib["Name"]: (p.get("MaxLength"), p.get("Precision"), p.get("Scale"))
        for p in rates.findall(f"{EDM}Property")
    }
    assert facets["RateTypeName"] == ("60", None, None)
    assert facets["RateTypeDescription"] == (None, None, None)
    assert facets["Rate"] == (None, "38", "16")


def test_no_value_of_contoso_is_longer_than_its_facet(contoso: Contoso) -> None:
    with contoso.world.cursor() as cursor:
        for entity_set in contoso_environment().entity_sets.values():
            for column in entity_set.properties:
                if column.ax_type is AxType.STRING and column.max_length is not None:
                    longest = cursor.execute(
                        f'SELECT coalesce(max(length("{column.name}")), 0) FROM {entity_set.name}'  # noqa: S608
                    ).fetchone()
                    assert longest is not None
                    assert longest[0] <= column.max_length, (entity_set.name, column.name)


def test_a_long_query_is_refused_before_anything_looks_at_it(other: Site) -> None:
    query = "$filter=SourceKey eq 1" + " or SourceKey eq 1" * 120
    assert other.request("GET", f"{ENTRIES}?{query}").status == 200
    other.d365.traits = Traits(max_query_chars=2048)
    refused = other.request("GET", f"{ENTRIES}?{query}", {"Authorization": ""})
    assert refused.status == 404
    assert refused.headers["content-type"] == "text/html"
    assert other.request("GET", ENTRIES + "?" + "x" * 2048).status == 200
    assert other.request("GET", ENTRIES + "?" + "x" * 2049).status == 404


def test_an_environment_can_have_no_metadata_service(other: Site) -> None:
    other.d365.traits = Traits(metadata_service=False)
    for path in ("/metadata", "/metadata/PublicEntities", "/Metadata/PublicEntities('VendorV2')"):
        refused = other.get(path)
        assert refused.status == 404
        assert "No HTTP resource was found" in refused.json["Message"]
    assert other.get("/data/$metadata").status == 200
    assert len(other.get(ENTRIES).rows) == 10
