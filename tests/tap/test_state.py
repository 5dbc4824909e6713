"""The state that a run is given."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline_core.errors import ConfigError
from tap_d365fo.state import checked_state

GOOD: dict[str, Any] = {
    "bookmarks": {
        "VendorsV2": {"partitions": [{"context": {"company": "usmf"}, "rows": 3, "snapshot": []}]},
        "MainAccounts": {"resume": {"after": ["'1'"], "begun": "x"}, "foreign": 1},
        "Ledger": {"replication_key_value": 5, "settled": {"up_to": None, "rows": 0}},
    },
    "audit": {"complete": True},
}


@pytest.mark.parametrize(
    "given", [pytest.param(GOOD, id="a state"), pytest.param({}, id="an empty one")]
)
def test_a_state_is_taken_as_it_is(given: dict[str, Any]) -> None:
    assert json.loads(checked_state(json.dumps(given))) == given


def test_a_state_message_is_taken_for_what_it_holds() -> None:
    """``tail -1`` of a tap's output is what people try first."""
    assert json.loads(checked_state(json.dumps({"type": "STATE", "value": GOOD}))) == GOOD


@pytest.mark.parametrize(
    ("given", "says"),
    [
        pytest.param("", "no JSON object", id="nothing"),
        pytest.param('{"bookmarks": ', "no JSON object", id="cut off"),
        pytest.param("[]", "no JSON object", id="a list"),
        pytest.param('{"type": "RECORD", "record": {}}', "no bookmarks", id="another message"),
        pytest.param('{"singer_state": {}}', "no bookmarks", id="wrapped"),
        pytest.param('{"bookmarks": [1]}', "no object", id="bookmarks in a list"),
        pytest.param('{"bookmarks": {"V": 1}}', "damaged at V", id="a bookmark that is none"),
        pytest.param(
            '{"bookmarks": {"V": {"partitions": [{"context": 1}]}}}', "damaged at V", id="a context"
        ),
        pytest.param('{"bookmarks": {"V": {"rows": "3"}}}', "damaged at V", id="a number as text"),
        pytest.param(
            '{"bookmarks": {"V": {"settled": {"up_to": "x"}}}}', "damaged at V", id="a mark"
        ),
    ],
)
def test_what_is_no_state_is_refused(given: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        checked_state(given)
