"""The ``$filter`` language: what it selects, what it refuses."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sandbox.d365.small import ENVIRONMENT, VENDORS, create_database

from contoso_sandbox.d365.errors import RefusedError
from contoso_sandbox.d365.filters.parser import parse_filter
from contoso_sandbox.d365.filters.sql import compile_filter
from contoso_sandbox.model import AxType, EntitySet, Property

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from duckdb import DuckDBPyConnection

US1, US2, RFI, GB, DE = "US-101", "US-102", " RFI-1", "GB-1", "DE-O'Hara/1"
ENUMS = "Microsoft.Dynamics.DataEntities."


@pytest.fixture(scope="module")
def vendors() -> Iterator[Callable[[str], list[str]]]:
    """Return the accounts that a filter selects, in RecId order."""
    with create_database() as database:

        def select(text: str) -> list[str]:
            condition = compile_filter(parse_filter(text), VENDORS, ENVIRONMENT.enums)
            found = database.execute(
                "SELECT VendorAccountNumber FROM VendorsV2 t "  # noqa: S608 - under test
                f"WHERE {condition.sql} ORDER BY __rec_id",
                condition.parameters,
            )
            return [account for (account,) in found.fetchall()]

        yield select


@pytest.mark.parametrize(
    ("text", "accounts"),
    [
        # Strings compare as SQL Server's collation compares them.
        pytest.param("VendorAccountNumber eq 'US-101'", [US1], id="equal"),
        pytest.param("VendorAccountNumber eq 'us-101'", [US1], id="equal in another case"),
        pytest.param("dataAreaId eq 'usmf'", [US2, US1, RFI], id="company in mixed case"),
        pytest.param("VendorAccountNumber eq 'DE-O''Hara/1'", [DE], id="doubled quote"),
        pytest.param("VendorAccountNumber eq 'RFI-1'", [], id="a leading blank counts"),
        pytest.param("VendorAccountNumber gt 'us-101'", [US2], id="greater, any case"),
        pytest.param("VendorOrganizationName eq ''", [RFI], id="empty is not null"),
        pytest.param("VendorOrganizationName eq null", [DE], id="null"),
        pytest.param("VendorOrganizationName ne null", [US2, US1, RFI, GB], id="not null"),
        pytest.param("null eq VendorOrganizationName", [DE], id="null on the left"),
        pytest.param(
            "VendorOrganizationName ne 'Tailspin Toys'", [US1, RFI, GB, DE], id="null differs"
        ),
        pytest.param("VendorOrganizationName gt ''", [US2, US1, GB], id="null is not greater"),
        pytest.param(
            "not (VendorOrganizationName gt '')", [RFI, DE], id="and not of that holds for null"
        ),
        # The wildcard stands inside eq and ne.
        pytest.param("VendorOrganizationName eq '*toys*'", [US2], id="wildcard contains"),
        pytest.param("VendorAccountNumber eq 'US-*'", [US2, US1], id="wildcard begins"),
        pytest.param("VendorAccountNumber ne 'US-*'", [RFI, GB, DE], id="wildcard ne"),
        pytest.param("VendorOrganizationName eq '*_*'", [], id="underscore is a character"),
        pytest.param("VendorOrganizationName eq '*%*'", [], id="percent is a character"),
        pytest.param("VendorOrganizationName eq '*\\*'", [US1], id="backslash is a character"),
        pytest.param("VendorOrganizationName ge '*'", [US2, US1, GB], id="no wildcard in an order"),
        pytest.param("startswith(VendorAccountNumber,'us')", [US2, US1], id="startswith"),
        pytest.param("endswith(VendorAccountNumber,'1')", [US1, RFI, GB, DE], id="endswith"),
        pytest.param("contains(VendorOrganizationName,'IN T')", [US2], id="contains"),
        pytest.param(
            "not contains(VendorOrganizationName,'i')", [RFI, DE], id="not of a function, null"
        ),
        # Numbers.
        pytest.param("CreditLimit eq 750", [US1], id="decimal equals whole literal"),
        pytest.param("CreditLimit eq 33.33", [US2], id="decimal literal"),
        pytest.param("CreditLimit eq 33.330000000", [US2], id="more digits than the column"),
        pytest.param("CreditLimit eq -0.05", [RFI], id="negative literal"),
        pytest.param("-CreditLimit eq 0.05", [RFI], id="negation"),
        pytest.param("CreditLimit lt 1e2", [US2, RFI, DE], id="exponent"),
        pytest.param("CreditLimit ge 999999999999.99", [GB], id="large"),
        pytest.param("PrimaryContactRecordId eq 9007199254740993", [RFI], id="Int64 to the unit"),
        pytest.param(
            "PrimaryContactRecordId lt 99999999999999999999",
            [US2, US1, RFI, GB, DE],
            id="beyond Int64",
        ),
        pytest.param("PersonBirthYear add 20 eq 2000", [US1], id="add"),
        pytest.param("PersonBirthYear sub 1 eq -2", [GB], id="sub"),
        pytest.param("PersonBirthYear mul 2 eq 3960", [US1], id="mul"),
        pytest.param("PersonBirthYear div 1000 eq 1", [US1], id="div of integers is whole"),
        pytest.param("PersonBirthYear divby 1000 eq 1.98", [US1], id="divby is not"),
        pytest.param("PersonBirthYear mod 7 eq 6", [US1], id="mod"),
        pytest.param("CreditLimit div PersonBirthYear gt 0", [US1], id="division by zero is null"),
        pytest.param("1 add 2 mul 3 eq PersonBirthYear sub 1973", [US1], id="product before sum"),
        # Dates, enums, guids, booleans.
        pytest.param("SSIValidityDate ge 2026-01-01T00:00:00Z", [US1], id="instant"),
        pytest.param("SSIValidityDate eq 2026-06-26T14:00:00+02:00", [US1], id="with offset"),
        pytest.param("SSIValidityDate eq 2026-06-26T12:00Z", [US1], id="without seconds"),
        pytest.param(
            "AddressValidFrom eq 2154-12-31T23:59:59.0000000Z", [RFI], id="seven fraction digits"
        ),
        pytest.param(f"OnHoldStatus eq {ENUMS}CustVendorBlocked'All'", [US2], id="enum"),
        pytest.param(f"OnHoldStatus eq {ENUMS}CustVendorBlocked'2'", [US2], id="enum by number"),
        pytest.param(f"OnHoldStatus ne {ENUMS}CustVendorBlocked'No'", [US2, RFI], id="enum ne"),
        pytest.param("OnHoldStatus eq null", [RFI], id="enum without a member"),
        pytest.param("PartyGuid eq 0F8FAD5B-d9cb-469f-a165-70867728950e", [US1], id="guid"),
        pytest.param("IsSynchronized", [US1], id="boolean property"),
        pytest.param("IsSynchronized eq false and CreditLimit eq 0", [DE], id="boolean literal"),
        pytest.param("true", [US2, US1, RFI, GB, DE], id="true"),
        # Logic.
        pytest.param(
            "dataAreaId eq 'gbsi' or dataAreaId eq 'demf' and CreditLimit eq 1",
            [GB],
            id="and binds before or",
        ),
        pytest.param(
            "(dataAreaId eq 'gbsi' or dataAreaId eq 'demf') and CreditLimit eq 0",
            [DE],
            id="parentheses",
        ),
        pytest.param("not (dataAreaId eq 'usmf')", [GB, DE], id="not"),
        pytest.param("not not (dataAreaId eq 'gbsi')", [GB], id="not not"),
        pytest.param("not IsSynchronized and CreditLimit gt 100", [GB], id="not binds tightest"),
        pytest.param("  dataAreaId   eq 'gbsi'  ", [GB], id="blanks"),
        pytest.param(
            "dataAreaId eq 'usmf' and (VendorAccountNumber gt 'US-101' or "
            "(VendorAccountNumber eq 'US-101' and CreditLimit gt 5))",
            [US2, US1],
            id="keyset",
        ),
    ],
)
def test_a_filter_selects(
    vendors: Callable[[str], list[str]], text: str, accounts: list[str]
) -> None:
    assert vendors(text) == accounts


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(
            "Nmae eq 'x'", "Could not find a property named 'Nmae'", id="unknown property"
        ),
        pytest.param("dataareaid eq 'x'", "named 'dataareaid'", id="names are case-sensitive"),
        pytest.param("dataAreaId in ('a','b')", "operator 'in' is not supported", id="in"),
        pytest.param(f"OnHoldStatus has {ENUMS}NoYes'Yes'", "'has' is not supported", id="has"),
        pytest.param(f"OnHoldStatus gt {ENUMS}CustVendorBlocked'No'", "GreaterThan", id="enum gt"),
        pytest.param("OnHoldStatus eq 'All'", "incompatible types", id="enum against string"),
        pytest.param(f"OnHoldStatus eq {ENUMS}NoYes'Yes'", "incompatible types", id="other enum"),
        pytest.param(f"OnHoldStatus eq {ENUMS}CustVendorBlocked'Al'", "'Al' is not", id="member"),
        pytest.param("OnHoldStatus eq NoYes'Yes'", "Unrecognized 'NoYes'", id="enum unqualified"),
        pytest.param("CreditLimit eq '750'", "incompatible types", id="quoted number"),
        pytest.param("dataAreaId eq 5", "'Edm.String' and 'Edm.Int64'", id="bare string"),
        pytest.param("SSIValidityDate ge '2026-01-01'", "incompatible", id="quoted date"),
        pytest.param("SSIValidityDate ge 2026-01-01", "'Edm.Date'", id="calendar day"),
        pytest.param("SSIValidityDate ge 2026-13-01T00:00:00Z", "literal", id="month 13"),
        pytest.param(
            "SSIValidityDate ge datetime'2026-01-01T00:00:00'", "'datetime'", id="OData 2"
        ),
        pytest.param("PartyGuid eq guid'0f8fad5b'", "Unrecognized 'guid'", id="OData 2 guid"),
        pytest.param("tolower(dataAreaId) eq 'x'", "unknown function", id="function not here"),
        pytest.param("contains(dataAreaId)", "No function signature", id="missing argument"),
        pytest.param("contains(CreditLimit,'7')", "No function signature", id="wrong argument"),
        pytest.param("dataAreaId", "single boolean value", id="no condition"),
        pytest.param("CreditLimit add 1", "single boolean value", id="a number"),
        pytest.param("dataAreaId eq 'x' and CreditLimit", "operator kind 'And'", id="and a number"),
        pytest.param("not CreditLimit eq 1", "'Not'", id="not without parentheses"),
        pytest.param("-dataAreaId eq 'x'", "'Negate'", id="minus a string"),
        pytest.param("dataAreaId add 1 eq 1", "operator kind 'Add'", id="sum with a string"),
        pytest.param("dataAreaId eq", "Syntax error", id="nothing on the right"),
        pytest.param("dataAreaId eq 'x", "not valid at position 14", id="open quote"),
        pytest.param("(dataAreaId eq 'x'", "Syntax error", id="open parenthesis"),
        pytest.param("dataAreaId eq 'x')", "Syntax error", id="closing parenthesis"),
        pytest.param("dataAreaId = 'x'", "Syntax error", id="equals sign"),
        pytest.param("dataAreaId eq 'x' or", "Syntax error", id="dangling or"),
        pytest.param("dataAreaId eq 'x'; drop table VendorsV2", "';' is not valid", id="SQL"),
        pytest.param("CreditLimit eq 5m", "not valid", id="OData 3 suffix"),
        pytest.param("", "Syntax error", id="empty"),
        pytest.param("(" * 200 + "true" + ")" * 200, "depth limit", id="too deep"),
    ],
)
def test_a_filter_is_refused(vendors: Callable[[str], list[str]], text: str, reason: str) -> None:
    with pytest.raises(RefusedError) as refusal:
        vendors(text)
    assert refusal.value.status == 400
    assert reason in refusal.value.body.decode()


def test_a_filter_over_a_thousand_keys_is_taken(vendors: Callable[[str], list[str]]) -> None:
    """Changed rows are read back by key, many in one request."""
    text = " or ".join(f"VendorAccountNumber eq 'V-{number}'" for number in range(1000))
    assert vendors(f"{text} or VendorAccountNumber eq 'US-101'") == [US1]


# A second implementation of the semantics, in Python, to compare with over random filters.

TABLE = EntitySet(
    "Rows", "Row", "Row", "Document", "", key=("Id",),
    properties=(
        Property("Id", AxType.INT64),
        Property("Text", AxType.STRING, nullable=True),
        Property("Amount", AxType.REAL),
        Property("Day", AxType.DATE),
    ),
)  # fmt: skip
Row = dict[str, object]
EPOCH = datetime(2020, 1, 1, 12, tzinfo=UTC)

texts = st.text("aAbB*%_'ß ", max_size=4)
amounts = st.decimals(min_value=-5, max_value=5, places=2)
days = st.integers(-3, 3).map(lambda number: EPOCH + timedelta(days=number))
rows = st.lists(
    st.fixed_dictionaries(
        {"Id": st.integers(-3, 3), "Text": st.none() | texts, "Amount": amounts, "Day": days}
    ),
    min_size=1,
    max_size=8,
)


@dataclass(frozen=True)
class Case:
    """A filter as text, and the Python function that it must agree with."""

    text: str
    holds: Callable[[Row], bool]


def quoted(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(value)


def compare(name: str, operator: str, value: object) -> Case:
    def holds(row: Row) -> bool:
        left, right = row[name], value
        if isinstance(left, str):
            left = left.lower()
        if isinstance(right, str):
            right = right.lower()
            if "*" in right and operator in {"eq", "ne"}:
                like = isinstance(left, str) and wildcard(left, right.split("*"))
                return like is (operator == "eq")
        if operator in {"eq", "ne"}:
            return (left == right) is (operator == "eq")
        if left is None or right is None:
            return False
        order = (left > right) - (left < right)  # type: ignore[operator]  # same type by design
        return bool(
            {"gt": order > 0, "ge": order >= 0, "lt": order < 0, "le": order <= 0}[operator]
        )

    return Case(f"{name} {operator} {quoted(value)}", holds)


def wildcard(text: str, parts: list[str]) -> bool:
    """Match greedily from both ends: the plain meaning of ``*``."""
    first, *middle, last = parts
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    text = text[len(first) : len(text) - len(last)]
    for part in middle:
        position = text.find(part)
        if position < 0:
            return False
        text = text[position + len(part) :]
    return True


operators = st.sampled_from(["eq", "ne", "gt", "ge", "lt", "le"])
comparisons = st.one_of(
    st.builds(compare, st.just("Text"), operators, st.none() | texts),
    st.builds(compare, st.just("Amount"), operators, amounts | st.integers(-5, 5)),
    st.builds(compare, st.just("Id"), operators, st.integers(-4, 4) | amounts),
    st.builds(compare, st.just("Day"), operators, days),
)


def both(left: Case, right: Case) -> Case:
    return Case(f"({left.text}) and {right.text}", lambda row: left.holds(row) and right.holds(row))


def either(left: Case, right: Case) -> Case:
    return Case(f"({left.text} or {right.text})", lambda row: left.holds(row) or right.holds(row))


def neither(case: Case) -> Case:
    return Case(f"not ({case.text})", lambda row: not case.holds(row))


filters = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds(both, inner, inner), st.builds(either, inner, inner), st.builds(neither, inner)
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def scratch() -> Iterator[DuckDBPyConnection]:
    with duckdb.connect() as database:
        yield database


@settings(max_examples=250, deadline=None)
@given(rows=rows, case=filters)
def test_sql_and_python_agree(scratch: DuckDBPyConnection, rows: list[Row], case: Case) -> None:
    values = [
        f"({row['Id']}, {quoted(row['Text'])}, {row['Amount']}, "
        f"TIMESTAMP {quoted(str(row['Day'])[:19])}, {number})"
        for number, row in enumerate(rows)
    ]
    columns = ", ".join(f'"{p.name}" {p.sql_type}' for p in TABLE.properties)
    scratch.execute(f"CREATE OR REPLACE TABLE Rows ({columns}, n BIGINT)")
    scratch.execute(f"INSERT INTO Rows VALUES {', '.join(values)}")  # noqa: S608 - a test's own
    condition = compile_filter(parse_filter(case.text), TABLE, {})
    found = scratch.execute(
        f"SELECT n FROM Rows WHERE {condition.sql} ORDER BY n",  # noqa: S608 - under test
        condition.parameters,
    ).fetchall()
    assert [number for (number,) in found] == [
        number for number, row in enumerate(rows) if case.holds(row)
    ]


@settings(max_examples=300, deadline=None)
@given(text=st.text(st.sampled_from("abc 'eqandornot()-,.*0123456789TZ:/"), max_size=40))
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        parse_filter(text)
    except RefusedError as refusal:
        assert refusal.status == 400  # noqa: PT017 - either outcome is right


def test_decimal_literals_stay_exact() -> None:
    condition = compile_filter(parse_filter("Amount eq 0.1"), TABLE, {})
    assert condition.parameters == (Decimal("0.1"),)
