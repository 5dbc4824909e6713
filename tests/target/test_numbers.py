"""Numbers of every kind: exact by default, floats where that is asked for."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from tests.target.messages import record, schema

from pipeline_core.errors import DataError

if TYPE_CHECKING:
    from tests.target.harness import Extracts, Rows


def start(**properties: Any) -> dict[str, Any]:  # noqa: ANN401
    return schema("s", {"id": {"type": "integer"}, **properties}, keys=["id"])


def types(extracts: Extracts) -> dict[str, str]:
    return {column["name"]: column["type"] for column in extracts.manifest("s")["columns"]}


INTEGER = start(n={"type": ["null", "integer"]})
NUMBER = start(n={"type": ["null", "number"]})


def test_integers_beyond_64_bits_become_decimals_and_stay_so(
    extracts: Extracts, rows: Rows
) -> None:
    extracts.run([INTEGER, record("s", {"id": 1, "n": 2**63 - 1})])
    assert types(extracts)["n"] == "BIGINT"
    extracts.run([INTEGER, *(record("s", {"id": i, "n": 2**62 + i}) for i in (2, 3)),
                  record("s", {"id": 4, "n": -(2**64)})])  # fmt: skip
    extracts.run([INTEGER, record("s", {"id": 5, "n": 7}), record("s", {"id": 6, "n": None})])
    assert types(extracts)["n"] == "NUMERIC(38,0)"
    assert rows(extracts.path("s")) == [
        (1, Decimal(2**63 - 1)),
        (2, Decimal(2**62 + 2)),
        (3, Decimal(2**62 + 3)),
        (4, Decimal(-(2**64))),
        (5, Decimal(7)),
        (6, None),
    ]


def test_they_may_take_all_the_digits_that_there_are(extracts: Extracts, rows: Rows) -> None:
    extracts.run([INTEGER, record("s", {"id": 1, "n": 10**38 - 1}), record("s", {"id": 2, "n": 1})])
    assert [row[1] for row in rows(extracts.path("s"))] == [10**38 - 1, 1]
    with pytest.raises(DataError, match=r'column .n., key \{"id":3\}'):
        extracts.run([INTEGER, record("s", {"id": 3, "n": 10**38})])


def test_a_fraction_is_no_integer_even_then(extracts: Extracts) -> None:
    messages = [
        INTEGER,
        record("s", {"id": 1, "n": 2**64}),
        record("s", {"id": 2, "n": Decimal("1.5")}),
    ]
    with pytest.raises(DataError, match=r'key \{"id":2\}: expected integer'):
        extracts.run(messages)


def test_multiples_of_a_cent_have_two_decimals_and_of_more_have_more(extracts: Extracts) -> None:
    fine = {"type": "number", "multipleOf": 0.0001}
    extracts.run(
        [
            start(n=fine, m={"type": "number", "multipleOf": 5}),
            record("s", {"id": 1, "n": 1, "m": 5}),
        ]
    )
    assert types(extracts)["n"] == "NUMERIC(18,4)"
    assert types(extracts)["m"] == "NUMERIC(18,2)"


def test_a_plain_number_can_be_a_float_and_money_cannot(extracts: Extracts, rows: Rows) -> None:
    money = {"type": "number", "x-sql-datatype-properties": {"precision": 32, "scale": 6}}
    messages = [
        start(
            n={"type": ["null", "number"]},
            cents={"type": "number", "multipleOf": 0.01},
            text={"type": "string", "format": "x-singer.decimal"},
            money=money,
        ),
        record(
            "s", {"id": 1, "n": Decimal("0.1"), "cents": 1, "text": "1.5", "money": Decimal("0.1")}
        ),
        record("s", {"id": 2, "n": None, "cents": 1, "text": "1.5", "money": 2}),
        record("s", {"id": 3, "n": 10**25, "cents": 1, "text": "1.5", "money": 2}),
    ]
    extracts.run(messages, number_type="double")
    assert types(extracts)["n"] == "DOUBLE PRECISION"
    assert all(types(extracts)[name].startswith("NUMERIC") for name in ("cents", "text", "money"))
    assert [row[1] for row in rows(extracts.path("s"), '"id", "n"')] == [0.1, None, 1e25]
    assert set(extracts.manifest("s")["totals"]) == {"cents", "text", "money"}
    extracts.run(messages, number_type="double")
    assert extracts.manifest("s")["delta"]["inserted"] == 3


@pytest.mark.parametrize("value", ["1e400", True, "NaN", "x"])
def test_what_is_no_float_is_told_with_its_key(extracts: Extracts, value: Any) -> None:  # noqa: ANN401
    number = Decimal(value) if value == "1e400" else value
    with pytest.raises(DataError, match=r"column 'n', key \{\"id\":1\}"):
        extracts.run([NUMBER, record("s", {"id": 1, "n": number})], number_type="double")


@pytest.mark.parametrize(("first", "then"), [("exact", "double"), ("double", "exact")])
def test_exact_and_float_do_not_become_each_other(
    extracts: Extracts, first: str, then: str
) -> None:
    extracts.run([NUMBER, record("s", {"id": 1, "n": Decimal("1.5")})], number_type=first)
    sealed = extracts.manifest("s")["sha256"]
    with pytest.raises(DataError, match="set number_type back, or remove the extract"):
        extracts.run([NUMBER, record("s", {"id": 2, "n": Decimal("1.5")})], number_type=then)
    assert extracts.manifest("s")["sha256"] == sealed


def test_nul_characters_are_kept(extracts: Extracts, rows: Rows) -> None:
    extracts.run([start(t={"type": "string"}), record("s", {"id": 1, "t": "a\x00b\x00"})])
    assert rows(extracts.path("s"), '"t", octet_length("t")') == [("a\x00b\x00", 4)]
