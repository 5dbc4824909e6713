"""An environment as large as a real one."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from tests.sandbox.signed_in import Client

from contoso_sandbox.d365.prepared import Prepared
from contoso_sandbox.entities.synthetic import LONGEST_NAME, synthetic
from contoso_sandbox.model import AxType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contoso_sandbox.environment_box import EnvironmentBox


@pytest.fixture(scope="module")
def client(synthetic_environment: EnvironmentBox) -> Client:
    return Client(synthetic_environment.settings())


@pytest.fixture(scope="module")
def packed(client: Client) -> bytes:
    """``PublicEntities`` as it travels."""
    with client.session.get(
        f"{client.url}/metadata/PublicEntities", stream=True, timeout=60
    ) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        return bytes(answer.raw.read(decode_content=False))


@pytest.fixture(scope="module")
def entities(packed: bytes) -> list[dict[str, Any]]:
    document: dict[str, Any] = json.loads(gzip.decompress(packed))
    return list(document["value"])


def test_equal_arguments_give_equal_environments() -> None:
    assert synthetic(50) == synthetic(50)
    assert synthetic(50) != synthetic(50, seed=8)


def test_types_are_spread_as_in_a_real_environment() -> None:
    environment = synthetic(500)
    columns = [p for s in environment.entity_sets.values() for p in s.properties]
    assert 70 <= len(columns) / 500 <= 90
    shares = {t: sum(p.ax_type is t for p in columns) / len(columns) for t in AxType}
    assert 0.4 < shares[AxType.STRING] < 0.6
    assert 0.2 < shares[AxType.ENUM] < 0.3
    assert all(share > 0 for share in shares.values())


def test_names_are_unique_and_as_long_as_names_can_be() -> None:
    environment = synthetic(500)
    sets = environment.entity_sets.values()
    assert len(sets) == len({s.entity for s in sets}) == len({s.data_entity for s in sets}) == 500
    names = {p.name for s in sets for p in s.properties} | set(environment.entity_sets)
    assert max(map(len, names)) == LONGEST_NAME
    for entity_set in sets:
        published = [p.name for p in entity_set.properties]
        assert len(set(published)) == len(published)


def test_a_label_says_the_same_wherever_it_is_used() -> None:
    sets = synthetic(500).entity_sets.values()
    used = {(s.label_id, s.label) for s in sets}
    used |= {(p.label_id, p.label) for s in sets for p in s.properties}
    assert len({label_id for label_id, _ in used}) == len(used)
    # Fewer than names: properties share them, as they do in F&O.
    assert len(used) < 500 + len({p.name for s in sets for p in s.properties})


def test_the_collection_is_large_and_small_on_the_wire(
    packed: bytes, entities: list[dict[str, Any]]
) -> None:
    assert len(entities) == 4_000
    assert len(packed) < 20_000_000
    unpacked, stream = 0, zlib.decompressobj(wbits=31)
    data = packed
    while not stream.eof:
        unpacked += len(stream.decompress(data, 1 << 20))
        data = stream.unconsumed_tail
    assert unpacked > 90_000_000


def test_a_client_without_gzip_gets_the_same_bytes_with_their_length(
    client: Client, packed: bytes
) -> None:
    length, crc = 0, 0
    with client.session.get(
        f"{client.url}/metadata/PublicEntities",
        headers={"Accept-Encoding": "identity"},
        stream=True,
        timeout=60,
    ) as answer:
        assert "content-encoding" not in answer.headers
        for piece in answer.iter_content(1 << 20):
            length += len(piece)
            crc = zlib.crc32(piece, crc)
        assert length == int(answer.headers["content-length"])
    assert crc == int.from_bytes(packed[-8:-4], "little")


def test_one_entity_by_its_key_is_that_of_the_collection(
    client: Client, entities: list[dict[str, Any]]
) -> None:
    for listed in (entities[0], entities[1234], entities[-1]):
        single = client.json(f"/metadata/PublicEntities('{listed['Name']}')")
        del single["@odata.context"]
        assert single == listed


def test_the_collections_page_select_and_filter(
    client: Client, entities: list[dict[str, Any]]
) -> None:
    page = client.json(
        "/metadata/PublicEntities", select="Name,EntitySetName", top="5", skip="100", count="true"
    )
    assert page["@odata.count"] == 4_000
    assert page["value"] == [
        {"Name": e["Name"], "EntitySetName": e["EntitySetName"]} for e in entities[100:105]
    ]
    name = entities[7]["EntitySetName"]
    found = client.json("/metadata/PublicEntities", filter=f"EntitySetName eq '{name}'")
    assert found["value"] == [entities[7]]


def test_data_entities_list_those_that_are_no_sets(client: Client) -> None:
    listed = client.json("/metadata/DataEntities")["value"]
    assert sum(e["DataServiceEnabled"] for e in listed) == 4_000
    assert sum(not e["DataServiceEnabled"] for e in listed) == 400


def test_every_set_answers_with_an_empty_page(
    client: Client, entities: list[dict[str, Any]]
) -> None:
    entity = entities[42]
    path = f"/data/{entity['EntitySetName']}"
    assert client.json(path, count="true")["value"] == []
    assert client.json(path, count="true")["@odata.count"] == 0
    assert client.get(f"{path}/$count").text == "0"
    assert client.get(path, filter="Nonsense eq 1").status_code == 400
    key = entity["Properties"][0]["Name"]
    assert client.json(path, orderby=key, select=key, top="10")["value"] == []


def test_a_row_by_key_is_not_there(client: Client) -> None:
    environment = synthetic()
    entity_set = next(
        s
        for s in environment.entity_sets.values()
        if len(s.key) == 1 and s.properties[0].ax_type is AxType.STRING
    )
    assert client.get(f"/data/{entity_set.name}('x')").status_code == 404


def test_the_schema_document_is_there_too(client: Client) -> None:
    with client.session.get(f"{client.url}/data/$metadata", stream=True, timeout=60) as answer:
        assert int(answer.headers["content-length"]) < 20_000_000
        packed = answer.raw.read(decode_content=False)
    assert gzip.decompress(packed).count(b"<EntityType ") == 4_000


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 1_000_000])
def test_a_prepared_body_is_what_went_in(size: int) -> None:
    text = bytes(number % 251 for number in range(size))

    def pieces() -> Iterator[bytes]:
        for start in range(0, size, 1000):
            yield text[start : start + 1000]

    prepared = Prepared.of(pieces())
    assert b"".join(prepared.plain()) == text
    assert gzip.decompress(b"".join(prepared.packed())) == text
    assert prepared.plain_bytes == size
