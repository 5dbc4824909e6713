"""A metadata service that sends XML traps, or more than anybody can hold (T24)."""

from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from tests.faults.test_nextlinks import elsewhere
from tests.faults.ways import FULL

from contoso_sandbox.faults import Fault, answer, body, gzip_bomb
from pipeline_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.conftest import Bench

PLACES = pytest.mark.parametrize(
    "place",
    [
        pytest.param("/metadata/DataEntities", id="T24 the list of entities"),
        pytest.param(r"/metadata/PublicEntities.*", id="T24 one entity"),
    ],
)


def bomb(_port: int) -> str:
    """Ten entities, each ten times the one before: 10 GB, where they are expanded."""
    entities = ['<!ENTITY e0 "canary">']
    entities += [f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 11)]
    return f'<?xml version="1.0"?><!DOCTYPE x [{"".join(entities)}]><x>&e10;</x>'


def external_dtd(port: int) -> str:
    """A DTD that lies elsewhere."""
    return f'<?xml version="1.0"?><!DOCTYPE x SYSTEM "http://127.0.0.1:{port}/x.dtd"><x/>'


def external_entity(port: int) -> str:
    """An entity that names a file, and one that calls home."""
    return (
        '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">'
        f'<!ENTITY b SYSTEM "http://127.0.0.1:{port}/b">]><x>&a;&b;</x>'
    )


@PLACES
@pytest.mark.parametrize("trap", [bomb, external_dtd, external_entity], ids=lambda f: f.__name__)
def test_t24_xml_in_place_of_json_is_not_parsed(
    bench: Bench, place: str, trap: Callable[[int], str]
) -> None:
    with elsewhere() as other:
        xml = answer(200, trap(other.port), headers={"content-type": "application/xml"})
        run = bench.converges(FULL, Fault(xml, on=place))
        other.assert_nobody_came()
    assert isinstance(run.error, DataError), repr(run.error)
    assert run.exit_code == 65
    assert run.output.messages == []
    assert "root:" not in str(run.error)


@PLACES
def test_t24_a_metadata_answer_of_200_mb_is_left_unpacked(bench: Bench, place: str) -> None:
    tracemalloc.start()
    try:
        run = bench.converges(FULL, Fault(gzip_bomb(200), on=place))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(run.error, DataError), repr(run.error)
    assert run.output.messages == []
    assert peak_bytes < 100e6


@PLACES
def test_t24_an_answer_beyond_the_limit_is_refused(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """As real text, which no ratio gives away; the limit is lowered to keep the test small."""

    def grown(text: bytes) -> bytes:
        filler = json.dumps([f"{n:x}" for n in range(200_000)]).encode()
        return text[:-1] + b',"Filler":' + filler + b"}"

    with monkeypatch.context() as low:
        low.setattr("tap_d365fo.access.client._LARGEST_BODY_BYTES", 1_000_000)
        run, _ = bench.run_way(FULL, Fault(body(grown), on=place))
    assert isinstance(run.error, DataError), repr(run.error)
    assert run.output.messages == []


@pytest.mark.parametrize(
    "entities",
    [
        pytest.param([], id="T24 no properties"),
        pytest.param([{"Name": "x"}], id="T24 a property without a type"),
        pytest.param("all", id="T24 no list"),
        pytest.param([7], id="T24 numbers"),
    ],
)
def test_t24_an_entity_that_says_nothing_is_refused(bench: Bench, entities: object) -> None:
    said = answer(200, json={"Name": "PurchaseOrderLineV2", "Properties": entities})
    run = bench.converges(FULL, Fault(said, on=r"/metadata/PublicEntities.*"))
    assert isinstance(run.error, DataError), repr(run.error)
