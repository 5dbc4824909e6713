"""Entries of `controls` that are wrong are refused: at start, or once the columns are known."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.target.journal import BALANCE, GOOD, LINES, REFERS, line

from pipeline_core.errors import ConfigError
from target_tableau_hyper.controls.settings import ControlSettings

if TYPE_CHECKING:
    from tests.target.harness import Extracts

PROJECT = Path(__file__).parents[2]


def test_the_examples_of_the_documentation_are_right() -> None:
    text = (PROJECT / "docs/controls.md").read_text(encoding="utf-8")
    examples = [yaml.safe_load(part) for part in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    controls = {name: entry for example in examples for name, entry in example.items()}
    assert len(controls) == len(examples) == 5
    made = ControlSettings.from_config({"controls": controls, "accept_drop": []})
    assert len({control.kind for control in made.controls({"any": ["InvoiceAmount"]})}) == 5


@pytest.mark.parametrize(
    ("control", "message"),
    [
        ({"type": "balance", "amount": "a", "by": ["b"]}, "controls.c: stream must be a name"),
        ({**BALANCE, "by": []}, "by must be a list of names"),
        ({**BALANCE, "tolerance": "much"}, "tolerance must be a number"),
        ({**BALANCE, "tolerance": -1}, "tolerance must be a number of zero or more"),
        ({**BALANCE, "total": "x"}, "total means nothing to type balance"),
        ({**REFERS, "refers_to_columns": ["a"]}, "must be as many as columns"),
        ({**REFERS, "required": "yes"}, "required must be true or false"),
        ({"type": "max_drop", "stream": "x"}, "must say how much may go"),
        ({"type": "max_drop", "stream": "x", "totals": 1}, "must map columns to shares"),
        ({"type": "not_empty", "stream": "x", "min_rows": -1}, "min_rows must be a whole number"),
        ({"type": "sql", "query": "SELECT 1"}, "must name at least one stream"),
        (
            {**BALANCE, "stream": "*"},
            r"stream must name one stream; '\*' is for max_drop and not_empty",
        ),
        ({**REFERS, "stream": "*"}, r"stream must name one stream; '\*' is for"),
        ({**REFERS, "refers_to": "*"}, r"refers_to must name one stream; '\*' is for"),
        ({"type": "sql", "query": "SELECT * FROM {*}"}, r"query must name one stream; '\*' is for"),
        ({"type": "max_drop", "stream": "*"}, "must say how much may go"),
        ({"type": "max_drop", "stream": "*", "rows": "much"}, "rows must be a number"),
        ({"type": "max_drop", "stream": "*", "totals": {"a": "x"}}, r"totals\.a must be a number"),
        ({"type": "max_drop", "stream": "x", "rows": 20}, "rows must be a share from 0 to 1"),
        ({"type": "not_empty", "stream": "*", "min_row": 1}, "min_row means nothing to type not_"),
    ],
)
def test_settings_that_are_wrong(control: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ControlSettings.from_config({"controls": {"c": control}, "accept_drop": []})


@pytest.mark.parametrize(
    ("control", "message"),
    [
        ({**BALANCE, "amount": "amuont"}, "no column 'amuont'; did you mean 'amount'"),
        ({**BALANCE, "amount": "entry"}, "column 'entry' of stream 'lines' holds TEXT, no amounts"),
        ({**REFERS, "refers_to": "lines", "refers_to_columns": ["company", "x"]}, "no column 'x'"),
        ({"type": "max_drop", "stream": "lines", "totals": {"id": 1}, "min_rows": 0}, "has no sum"),
    ],
)
def test_columns_that_do_not_exist(
    extracts: Extracts, control: dict[str, Any], message: str
) -> None:
    extracts.run(GOOD)
    with pytest.raises(ConfigError, match=f"control 'c': .*{message}"):
        extracts.run([LINES, line(9, "J", "1")], controls={"c": control})
    with pytest.raises(ConfigError, match=r"wrong settings: controls\.c\.type: must be one of"):
        extracts.run(GOOD, controls={"c": {**control, "type": "magic"}})
