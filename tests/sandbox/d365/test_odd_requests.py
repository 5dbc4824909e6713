"""Whatever a client asks, it gets an answer in F&O's shape."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sandbox.d365.small import ENVIRONMENT, create_database

from contoso_sandbox.d365.listing import Listings
from contoso_sandbox.d365.reading import Reader
from contoso_sandbox.d365.service import Call, Service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contoso_sandbox.d365.service import Reply


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with create_database() as database:
        yield Service(Reader(ENVIRONMENT, database.cursor, Listings(), "usmf", 10))


def ask(service: Service, path: str, query: str = "") -> Reply:
    return service.answer(Call("GET", path, query, "application/json", "https://host"))


names = st.sampled_from(
    ["dataAreaId", "VendorOrganizationName", "CreditLimit", "PrimaryContactRecordId", "Nmae",
     "OnHoldStatus", "SSIValidityDate", "PartyGuid", "IsSynchronized", "PersonBirthYear"]
)  # fmt: skip
literals = st.one_of(
    st.integers().map(str),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.text(max_size=6).map(lambda text: "'" + text.replace("'", "''") + "'"),
    st.datetimes().map(lambda instant: instant.strftime("%Y-%m-%dT%H:%M:%SZ").zfill(20)),
    st.sampled_from(
        ["null", "true", "false", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00+14:00", "2026-01-01",
         "Microsoft.Dynamics.DataEntities.NoYes'Yes'", "00000000-0000-0000-0000-000000000000"]
    ),
)  # fmt: skip
operators = st.sampled_from(
    ["eq", "ne", "gt", "le", "add", "sub", "mul", "div", "divby", "mod", "and", "or", "in", "has"]
)
expressions = st.recursive(
    names | literals,
    lambda inner: st.one_of(
        st.tuples(inner, operators, inner).map(lambda parts: f"({' '.join(parts)})"),
        inner.map(lambda text: f"not {text}"),
        inner.map(lambda text: f"-{text}"),
        st.tuples(inner, inner).map(lambda parts: f"contains({parts[0]},{parts[1]})"),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(text=expressions)
def test_any_filter_is_answered(service: Service, text: str) -> None:
    for path in ("/data/VendorsV2", "/metadata/DataEntities"):
        reply = ask(service, path, f"$filter={quote(text)}&$count=true")
        assert reply.status in {200, 400, 500}
        document = json.loads(reply.body)
        assert ("value" if reply.status == 200 else "error") in document


@settings(max_examples=200, deadline=None)
@given(
    path=st.text(max_size=30),
    prefix=st.sampled_from(
        ["/", "/data/", "/data/VendorsV2(", "/data/VendorsV2", "/metadata/Labels("]
    ),
    query=st.text(max_size=30),
    option=st.sampled_from(
        ["$filter=", "$select=", "$orderby=", "$expand=", "$top=", "$skip=", ""]
    ),
)
def test_any_url_is_answered(
    service: Service, prefix: str, path: str, option: str, query: str
) -> None:
    reply = ask(service, prefix + path, option + quote(query))
    assert reply.status in {200, 400, 404}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("CreditLimit lt 1" + "0" * 60, id="sixty digits"),
        pytest.param("CreditLimit lt 1e999999999", id="huge exponent"),
        pytest.param("CreditLimit gt 1e-999999999", id="tiny exponent"),
        pytest.param("SSIValidityDate lt 0001-01-01T00:00:00+14:00", id="before the calendar"),
    ],
)
def test_a_literal_that_no_type_holds_is_a_400(service: Service, text: str) -> None:
    reply = ask(service, "/data/VendorsV2", f"$filter={quote(text)}")
    assert reply.status == 400
    assert b"Unrecognized literal" in reply.body


def test_a_count_of_a_single_row_is_no_route(service: Service) -> None:
    reply = ask(service, "/data/GeneralJournalAccountEntryBiEntities(5637144577)/$count")
    assert reply.status == 404
