"""A row of an extract by its key, and one digest of all its rows; the file stays as it is."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from tests.target.messages import record, schema, state

from pipeline_core.errors import ConfigError
from target_tableau_hyper.extract.content import content_of
from target_tableau_hyper.extract.lookup import look_up
from target_tableau_hyper.extract.manifest import sha256_of

if TYPE_CHECKING:
    from tests.target.harness import Extracts

PROPERTIES: dict[str, Any] = {
    "id": {"type": "integer"},
    "company": {"type": "string"},
    "amount": {"type": ["null", "number"], "multipleOf": 0.01},
    "day": {"type": ["null", "string"], "format": "date"},
    "at": {"type": ["null", "string"], "format": "date-time"},
}
ROWS = [
    {"id": 1, "company": "usmf", "amount": -0.05, "day": "2024-03-31", "at": None},
    {"id": 2, "company": "usmf", "amount": 7, "day": None, "at": "2024-03-31T22:00:00Z"},
    {"id": 3, "company": "it's", "amount": None, "day": None, "at": None},
]


def load(extracts: Extracts, rows: list[dict[str, Any]], **config: Any) -> None:  # noqa: ANN401
    messages = [schema("gl", PROPERTIES), *(record("gl", row) for row in rows), state({"n": 1})]
    extracts.run(messages, **config)


def digest(extracts: Extracts) -> str:
    columns = [column["name"] for column in extracts.manifest("gl")["columns"]]
    return content_of(extracts.path("gl"), columns).digest


def test_a_row_is_found_with_the_values_of_python(extracts: Extracts) -> None:
    load(extracts, ROWS)
    before = sha256_of(extracts.path("gl"))
    found = look_up(extracts.path("gl"), {"id": "1", "company": "USMF"})
    assert found.count == 1
    assert found.first == {
        "id": 1,
        "company": "usmf",
        "amount": Decimal("-0.05"),
        "day": date(2024, 3, 31),
        "at": None,
    }
    second = look_up(extracts.path("gl"), {"amount": "7.00"}).first
    assert second is not None
    assert second["at"] == datetime(2024, 3, 31, 22, tzinfo=UTC)
    assert look_up(extracts.path("gl"), {"day": "2024-03-31"}).count == 1
    assert look_up(extracts.path("gl"), {"company": "it's"}).count == 1
    assert look_up(extracts.path("gl"), {"company": "usmf"}).count == 2
    assert look_up(extracts.path("gl"), {"company": "' OR '1'='1"}).first is None
    assert sha256_of(extracts.path("gl")) == before, "not a byte of the extract changes"


@pytest.mark.parametrize(
    ("key", "why"),
    [
        pytest.param({"colour": "red"}, "has no column 'colour'; its columns are id,", id="name"),
        pytest.param(
            {"amount": "much"}, "amount holds numbers, and 'much' is none of them", id="number"
        ),
        pytest.param({"amount": "NaN"}, "holds numbers", id="no number at all"),
        pytest.param({"amount": "1e400"}, "holds numbers", id="beyond all columns"),
    ],
)
def test_a_key_that_cannot_be_is_told(extracts: Extracts, key: dict[str, str], why: str) -> None:
    load(extracts, ROWS)
    with pytest.raises(ConfigError, match=why):
        look_up(extracts.path("gl"), key)


def test_the_digest_is_of_the_rows_not_of_the_file(extracts: Extracts) -> None:
    load(extracts, ROWS)
    one, file = digest(extracts), sha256_of(extracts.path("gl"))
    load(extracts, [{**ROWS[0], "amount": 9}])
    other = digest(extracts)
    assert other != one
    load(extracts, [ROWS[0]])
    assert digest(extracts) == one
    assert sha256_of(extracts.path("gl")) != file


def test_the_targets_own_columns_and_the_order_do_not_count(extracts: Extracts) -> None:
    load(extracts, ROWS)
    one = digest(extracts)
    extracts.path("gl").unlink()
    extracts.path("gl").with_name("gl.manifest.json").unlink()
    load(extracts, ROWS[::-1], add_record_metadata=True)
    assert digest(extracts) == one
