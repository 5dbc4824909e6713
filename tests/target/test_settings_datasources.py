"""Data sources of one stream and of several, as the settings name them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.target.messages import record, schema

from pipeline_core.errors import ConfigError
from target_tableau_hyper.settings_datasources import (
    Datasources,
    DatasourceSettings,
    Folder,
    Relationship,
)

if TYPE_CHECKING:
    from tests.target.harness import Extracts


def related(many: str, one: str, **on: str) -> dict[str, Any]:
    return {"from": many, "to": one, "on": on or {"id": "id"}}


def test_tables_make_the_difference() -> None:
    datasources = Datasources.from_config(
        {
            "vendors": {"name": "Vendors", "folders": {"Where": ["city", "street"]}},
            "Payables": {
                "project": "Finance",
                "tables": ["lines", "headers", "vendors"],
                "relationships": [
                    related("lines", "headers", header="id"),
                    related("headers", "vendors", account="number", area="area"),
                ],
            },
        }
    )
    assert datasources.single == {
        "vendors": DatasourceSettings(
            name="Vendors", folders=(Folder("Where", ("city", "street")),)
        )
    }
    payables = datasources.combined["Payables"]
    assert (payables.name, payables.project) == ("Payables", "Finance")
    assert payables.tables == {"lines": "lines", "headers": "headers", "vendors": "vendors"}
    assert payables.relationships == (
        Relationship("lines", "headers", (("header", "id"),)),
        Relationship("headers", "vendors", (("account", "number"), ("area", "area"))),
    )


def test_tables_may_have_names_of_their_own() -> None:
    payables = Datasources.from_config(
        {"AP": {"name": "Payables", "tables": {"vend": {"name": "Vendors"}}}}
    ).combined["AP"]
    assert (payables.key, payables.name) == ("AP", "Payables")
    assert payables.tables == {"vend": "Vendors"}


def test_a_table_is_published_alone_only_with_an_entry_of_its_own() -> None:
    datasources = Datasources.from_config(
        {
            "vendors": {},
            "AP": {"tables": ["bills", "vendors"], "relationships": [related("bills", "vendors")]},
        }
    )
    assert datasources.is_published_alone("vendors")
    assert not datasources.is_published_alone("bills")
    assert datasources.is_published_alone("ledger")
    assert [settings.key for settings in datasources.containing("bills")] == ["AP"]


def test_names_of_several_that_differ_in_case_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"datasources\.ap: another .* upper and lower case"):
        Datasources.from_config({"AP": {"tables": ["bills"]}, "ap": {"tables": ["bills"]}})


WRONG = [
    pytest.param({"tables": []}, "at least one stream", id="no tables"),
    pytest.param({"tables": ["a", "a"]}, "each only once", id="a stream twice"),
    pytest.param({"tables": ["a"], "file": "x"}, "both tables and file", id="one file"),
    pytest.param({"relationships": []}, "relationships, but no tables", id="relates nothing"),
    pytest.param({"tables": ["a", "b"]}, "'a' and 'b' are each referred to", id="unrelated"),
    pytest.param(
        {"tables": ["bills", "lines"], "relationships": [related("lines", "bill")]},
        "name 'bill', which is not among its tables; did you mean 'bills'?",
        id="unknown stream",
    ),
    pytest.param(
        {
            "tables": ["a", "b", "c"],
            "relationships": [related("a", "c"), related("b", "c")],
        },
        "both 'a' and 'b' refer to 'c'",
        id="two fact tables share a dimension",
    ),
    pytest.param(
        {"tables": ["a", "b"], "relationships": [related("a", "b"), related("b", "a")]},
        "refer to each other in a circle",
        id="circle",
    ),
    pytest.param(
        {
            "tables": ["a", "b", "c"],
            "relationships": [related("b", "c"), related("c", "b")],
        },
        "'b' and 'c' refer to each other in a circle, apart from 'a'",
        id="circle apart",
    ),
    pytest.param(
        {"tables": ["a"], "relationships": [related("a", "a")]}, "in a circle", id="itself"
    ),
    pytest.param(
        {"tables": ["a", "b"], "relationships": [{"from": "a", "to": "b", "on": {}}]},
        "relate 'a' to 'b' by at least one column",
        id="no columns",
    ),
    pytest.param(
        {"tables": ["a"], "folders": {"One": ["x"], "Two": ["x"]}},
        "folders name 'x' twice",
        id="a field in two folders",
    ),
]


@pytest.mark.parametrize(("entry", "said"), WRONG)
def test_entries_that_make_no_data_source_are_refused(entry: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        Datasources.from_config({"AP": entry})
    assert "datasources.AP" in str(caught.value)


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param({"tables": "a"}, id="tables as text"),
        pytest.param({"tables": {"a": {"caption": "A"}}}, id="table with another setting"),
        pytest.param({"tables": ["a"], "relationships": [{"from": "a"}]}, id="half a relationship"),
        pytest.param({"folders": {"One": "x"}}, id="folder as text"),
        pytest.param({"titel": "x"}, id="unknown setting"),
    ],
)
def test_other_shapes_break_the_schema(extracts: Extracts, entry: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"wrong settings: datasources\.AP"):
        extracts.run([], datasources={"AP": entry})


def test_old_form_still_names_files(extracts: Extracts) -> None:
    messages = [schema("vend", {"id": {"type": "integer"}}), record("vend", {"id": 1})]
    extracts.run(messages, datasources={"vend": {"file": "vendors.hyper", "name": "Vendors"}})
    assert extracts.manifest("vendors")["datasource"] == "Vendors"
