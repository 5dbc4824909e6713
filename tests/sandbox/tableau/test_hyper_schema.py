"""What the server makes of a file's format, tables and types."""

from __future__ import annotations

import pytest

from contoso_sandbox.tableau.hyper_schema import (
    HyperContent,
    Link,
    Table,
    file_version,
    fits,
    newest_file_version,
    why_not_publishable,
)


def tables(count: int, *links: tuple[int, int]) -> HyperContent:
    names = tuple(Table("Extract", f"t{number}", ()) for number in range(count))
    return HyperContent(names, tuple(Link(*link) for link in links))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(tables(1), None, id="one table"),
        pytest.param(tables(3, (0, 1), (0, 2)), None, id="a star"),
        pytest.param(tables(3, (0, 1), (1, 2)), None, id="a snowflake"),
        pytest.param(tables(2, (0, 1), (0, 1)), None, id="a key of two columns"),
        pytest.param(tables(2, (0, 1), (0, 0)), None, id="a table that refers to itself"),
        pytest.param(tables(0), "no table", id="nothing"),
        pytest.param(tables(2), "one fact table", id="no relation"),
        pytest.param(tables(3, (0, 2), (1, 2)), "one fact table", id="two facts"),
        pytest.param(tables(2, (0, 1), (1, 0)), "one fact table", id="a circle"),
        pytest.param(tables(3, (1, 2), (2, 1)), "one tree", id="a circle beside a fact"),
        pytest.param(tables(4, (0, 1), (0, 2), (1, 3), (2, 3)), "one tree", id="a diamond"),
    ],
)
def test_several_tables_form_one_tree(content: HyperContent, reason: str | None) -> None:
    found = why_not_publishable(content, "2026.2.0")
    assert found is None if reason is None else reason in (found or "")


@pytest.mark.parametrize(
    ("product_version", "name", "count", "taken"),
    [
        ("2019.4.0", "Extract", 1, True),
        ("2019.4.0", "GL", 1, False),
        ("2020.1.0", "GL", 1, True),
        ("2021.3.9", "GL", 2, False),
        ("2021.4.0", "GL", 2, True),
    ],
)
def test_older_servers_take_less(product_version: str, name: str, count: int, taken: bool) -> None:  # noqa: FBT001
    found = tuple(Table("Extract", f"{name}{'' if n == 0 else n}", ()) for n in range(count))
    links = tuple(Link(0, n) for n in range(1, count))
    assert (why_not_publishable(HyperContent(found, links), product_version) is None) is taken


@pytest.mark.parametrize(
    ("product_version", "newest"),
    [("2018.1.0", 0), ("2020.4.15", 1), ("2021.1.12", 2), ("2023.1.0", 3), ("2026.2.0", 4)],
)
def test_the_newest_file_version_a_server_reads(product_version: str, newest: int) -> None:
    assert newest_file_version(product_version) == newest


@pytest.mark.parametrize(
    ("head", "version"),
    [
        pytest.param(b"Hyper\x08\x00\x00\x01\x00\x03\x00", 3, id="version 3"),
        pytest.param(b"Hyper", None, id="cut"),
        pytest.param(b"PK\x03\x04" + bytes(12), None, id="a zip"),
        pytest.param(b"", None, id="nothing"),
    ],
)
def test_the_format_version_stands_in_the_header(head: bytes, version: int | None) -> None:
    assert file_version(head) == version


@pytest.mark.parametrize(
    ("source", "target", "fit"),
    [
        ("NUMERIC(18, 2)", "NUMERIC(18, 2)", True),
        ("NUMERIC(18, 2)", "NUMERIC(32, 6)", True),
        ("NUMERIC(18, 6)", "NUMERIC(18, 2)", False),
        ("NUMERIC(18, 2)", "NUMERIC(18, 4)", False),
        ("NUMERIC(18, 2)", "DOUBLE", False),
        ("DOUBLE", "NUMERIC(18, 2)", False),
        ("SMALL_INT", "BIG_INT", True),
        ("BIG_INT", "INT", False),
        ("INT", "NUMERIC(12, 2)", True),
        ("INT", "NUMERIC(11, 2)", False),
        ("BIG_INT", "NUMERIC(18, 0)", False),
        ("VARCHAR(10)", "TEXT", True),
        ("TEXT", "VARCHAR(10)", False),
        ("DATE", "TIMESTAMP", False),
    ],
)
def test_a_type_fits_when_no_value_changes(source: str, target: str, fit: bool) -> None:  # noqa: FBT001
    assert fits(source, target) is fit


def test_a_table_without_a_schema_must_be_the_only_one_of_its_name() -> None:
    here, there = Table("a", "t", ()), Table("b", "t", ())
    alone = Table("b", "alone", ())
    content = HyperContent((here, there, alone))
    assert content.find("t", "a") is here
    assert content.find("t", None) is None
    assert content.find("alone", None) is alone
    assert content.find("alone", "a") is None
