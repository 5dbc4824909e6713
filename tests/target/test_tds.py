"""Documents of packaged data sources, parsed again by a parser that knows nothing of the writer."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contoso_sandbox.tableau.document_checks import why_not_fitting
from contoso_sandbox.tableau.documents import read_live_document
from contoso_sandbox.tableau.hyper_schema import Column, HyperContent
from contoso_sandbox.tableau.hyper_schema import Table as HyperTable
from target_tableau_hyper.extract.described import DescribedColumn
from target_tableau_hyper.extract.layout import TableColumn
from target_tableau_hyper.extract.schema import Kind
from target_tableau_hyper.tableau.tds import Document, FieldFolder, Link, bracketed, render
from target_tableau_hyper.tableau.tds_fields import MONEY, Table, fields_of, unreadable

if TYPE_CHECKING:
    from contoso_sandbox.tableau.documents import Document as Parsed

_HYPER_TYPES = {
    Kind.TEXT: "TEXT",
    Kind.INTEGER: "BIG_INT",
    Kind.NUMERIC: "NUMERIC(18, 2)",
    Kind.DOUBLE: "DOUBLE",
    Kind.BOOLEAN: "BOOL",
    Kind.DATE: "DATE",
    Kind.TIME: "TIME",
    Kind.TIMESTAMP: "TIMESTAMP_TZ",
}


def column(name: str, kind: Kind = Kind.TEXT, title: str = "", about: str = "") -> DescribedColumn:
    numeric = (18, 2) if kind is Kind.NUMERIC else (0, 0)
    return DescribedColumn(TableColumn(name, kind, *numeric), title or None, about or None)


def table(name: str, *columns: DescribedColumn, caption: str = "", keys: str = "") -> Table:
    return Table(name, caption or name, columns, frozenset(keys.split()))


def document(
    *tables: Table, links: tuple[Link, ...] = (), folders: tuple[FieldFolder, ...] = ()
) -> Document:
    return Document("Payables", "Data/Extracts/Payables.hyper", tables, links, folders)


def parsed(described: Document) -> Parsed:
    """The document as the sandbox's reader understands it, proved against a file of its tables."""
    content = read_live_document(ET.fromstring(render(described)))  # noqa: S314 - our own
    file = HyperContent(
        tuple(
            HyperTable(
                "Extract",
                item.name,
                tuple(Column(c.name, _HYPER_TYPES[c.column.kind]) for c in item.columns),
            )
            for item in described.tables
        )
    )
    assert why_not_fitting(content, file) is None
    return content


HEADERS = table(
    "headers",
    column("id", Kind.INTEGER, "Header"),
    column("account", about="Who is paid"),
    column("area", title="Company"),
    column("amount", Kind.NUMERIC, "Amount", "In the\nvendor's currency"),
    caption="Invoices",
    keys="id account area",
)
VENDORS = table(
    "vendors",
    column("number", title="Vendor"),
    column("area", title="Company"),
    column("amount", Kind.NUMERIC, "Credit limit"),
    caption="Vendors",
    keys="number area",
)
TO_VENDORS = Link("headers", "vendors", (("account", "number"), ("area", "area")))


def test_one_table_is_read_live_from_the_file() -> None:
    root = ET.fromstring(render(document(HEADERS)))  # noqa: S314 - our own
    (named,) = root.iter("named-connection")
    (connection,) = named
    assert connection.get("class") == "hyper"
    assert connection.get("dbname") == "Data/Extracts/Payables.hyper"
    assert root.find("extract") is None, "an extract could not be updated"
    assert root.find("connection/cols") is None
    content = parsed(document(HEADERS))
    assert [(r.name, r.schema, r.table) for r in content.relations] == [
        ("headers", "Extract", "headers")
    ]


def test_captions_and_descriptions_are_the_schemas() -> None:
    fields = {field.local: field for field in parsed(document(HEADERS)).fields}
    assert fields["amount"].caption == "Amount"
    assert fields["amount"].description == "In the\nvendor's currency"
    assert fields["account"].caption is None
    assert fields["account"].description == "Who is paid"
    assert fields["area"].description is None


def test_related_tables_share_names_but_not_fields() -> None:
    content = parsed(document(HEADERS, VENDORS, links=(TO_VENDORS,)))
    captions = {field.local: field.caption for field in content.fields}
    assert captions["area"] == "Company"
    assert captions["area (vendors)"] == "Company (Vendors)"
    assert captions["amount (vendors)"] == "Credit limit"
    (relationship,) = content.relationships
    assert relationship.pairs == (("account", "number"), ("area", "area (vendors)"))
    assert content.objects[relationship.first].table == "headers"
    assert content.objects[relationship.second].table == "vendors"
    assert sorted(content.captions.values()) == ["Invoices", "Vendors"]


def test_one_column_relates_without_and() -> None:
    link = Link("headers", "vendors", (("account", "number"),))
    root = ET.fromstring(render(document(HEADERS, VENDORS, links=(link,))))  # noqa: S314
    expression = root.find("object-graph/relationships/relationship/expression")
    assert expression is not None
    assert expression.get("op") == "="


def test_folders_hold_fields_of_any_table() -> None:
    folders = (
        FieldFolder("Amounts", (("headers", "amount"), ("vendors", "amount"))),
        FieldFolder("Who & where", (("vendors", "number"),)),
    )
    content = parsed(document(HEADERS, VENDORS, links=(TO_VENDORS,), folders=folders))
    assert content.folders == {
        "Amounts": ("amount", "amount (vendors)"),
        "Who & where": ("number",),
    }


ROLES = [
    pytest.param("InvoiceAmount", Kind.NUMERIC, "measure", MONEY, id="money"),
    pytest.param("ExchangeRate", Kind.NUMERIC, "measure", None, id="a rate keeps its digits"),
    pytest.param("DiscountPercentage", Kind.NUMERIC, "measure", None, id="so does a percentage"),
    pytest.param("OrderedQuantity", Kind.NUMERIC, "measure", None, id="and a quantity"),
    pytest.param("LineNumber", Kind.NUMERIC, "dimension", None, id="a key is no amount"),
    pytest.param("InvoiceCount", Kind.INTEGER, "measure", None, id="whole number"),
    pytest.param("ReasonRefRecId", Kind.INTEGER, "dimension", None, id="RecId"),
    pytest.param("VendorId", Kind.INTEGER, "dimension", None, id="Id"),
    pytest.param("vendor_id", Kind.INTEGER, "dimension", None, id="snake case"),
    pytest.param("id", Kind.INTEGER, "dimension", None, id="id"),
    pytest.param("DaysPaid", Kind.INTEGER, "measure", None, id="no Id at all"),
    pytest.param("InvoiceDate", Kind.DATE, "dimension", None, id="date"),
    pytest.param("Changed", Kind.TIMESTAMP, "dimension", None, id="instant"),
    pytest.param("Name", Kind.TEXT, "dimension", None, id="text"),
    pytest.param("Closed", Kind.BOOLEAN, "dimension", None, id="yes or no"),
]


@pytest.mark.parametrize(("name", "kind", "role", "number_format"), ROLES)
def test_roles_and_formats_follow_from_type_and_name(
    name: str, kind: Kind, role: str, number_format: str | None
) -> None:
    (field,) = parsed(document(table("t", column(name, kind), keys="LineNumber"))).fields
    assert (field.role, field.default_format) == (role, number_format)


def test_same_values_give_the_same_bytes() -> None:
    described = document(HEADERS, VENDORS, links=(TO_VENDORS,))
    assert render(described) == render(described)
    assert render(described).startswith(b"<?xml version='1.0' encoding='utf-8' ?>")


def test_elements_stand_in_tableaus_order() -> None:
    folders = (FieldFolder("One", (("headers", "amount"),)),)
    root = ET.fromstring(render(document(HEADERS, folders=folders)))  # noqa: S314
    order = list(dict.fromkeys(child.tag for child in root))
    assert order == [
        "connection",
        "aliases",
        "column",
        "folders-common",
        "layout",
        "object-graph",
    ]


SAYS = [
    pytest.param(document(table("t", column("a"))), False, id="names alone"),
    pytest.param(document(table("t", column("a", title="a"))), False, id="title like the name"),
    pytest.param(document(table("t", column("a", title="A"))), True, id="a title"),
    pytest.param(document(table("t", column("a", about="x"))), True, id="a description"),
    pytest.param(document(HEADERS, VENDORS, links=(TO_VENDORS,)), True, id="relationships"),
    pytest.param(
        document(table("t", column("a")), folders=(FieldFolder("f", (("t", "a"),)),)),
        True,
        id="folders",
    ),
]


@pytest.mark.parametrize(("described", "something"), SAYS)
def test_a_package_is_worth_it_where_there_is_something_to_say(
    described: Document, *, something: bool
) -> None:
    assert described.says_something is something


TEXTS = st.text(
    st.sampled_from("[]()'\"<>&;. \t\nä€😀a1") | st.characters(codec="utf-8"),
    min_size=1,
    max_size=8,
)
NAMES = TEXTS.filter(lambda name: not unreadable([name]))


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """A table whose first column is text, so that it can be related to another one's."""
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    kinds = [Kind.TEXT, *(draw(st.sampled_from(Kind)) for _ in names[1:])]
    columns = [
        column(name, kind, draw(st.just("") | TEXTS), draw(st.just("") | TEXTS))
        for name, kind in zip(names, kinds, strict=True)
    ]
    return table(draw(NAMES), *columns, caption=draw(TEXTS))


@settings(max_examples=60)
@given(st.lists(tables(), min_size=1, max_size=3, unique_by=lambda item: item.name))
def test_any_names_and_texts_survive(described: list[Table]) -> None:
    """Brackets, quotes, markup, line ends: the reader finds the columns of the file again."""
    first = described[0]
    links = tuple(
        Link(first.name, item.name, ((first.columns[0].name, item.columns[0].name),))
        for item in described[1:]
    )
    read = parsed(document(*described, links=links))
    places = {(record.relation, record.column) for record in read.records}
    assert places == {(item.name, c.name) for item in described for c in item.columns}
    locals_ = [field.local for field in read.fields]
    assert len({name.casefold() for name in locals_}) == len(locals_)


def test_texts_lose_what_xml_cannot_hold_and_names_are_told() -> None:
    described = document(table("t", column("a", title="a\x00b", about="x\x1by\r\nz")))
    (field,) = parsed(described).fields
    assert (field.caption, field.description) == ("a b", "x y\nz")
    assert unreadable(["a\x01", "b\ufffe", "f\r", "c\td", "e😀"]) == ["a\x01", "b\ufffe", "f\r"]


def test_a_caption_is_never_the_name_of_another_column() -> None:
    fields = fields_of([table("t", column("Name", title="Search name"), column("X", title="Name"))])
    assert [field.caption for field in fields] == ["Search name", "Name (t)"]


def test_brackets_within_names_are_doubled() -> None:
    assert bracketed("Extract", "a]b") == "[Extract].[a]]b]"
