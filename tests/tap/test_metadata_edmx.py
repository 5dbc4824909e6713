"""``$metadata`` as a stream: the model that the metadata service gives, and no attack gets in."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import IO, TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tap.scripted import FakeClock, FakeTokens, Script

from contoso_sandbox.d365.csdl import edmx
from contoso_sandbox.d365.metadata import MetadataService as Described
from pipeline_core.errors import ConfigError, DataError, TransientError
from tap_d365fo.access import client as client_module
from tap_d365fo.access.client import D365Client
from tap_d365fo.access.document import UnreadableError
from tap_d365fo.access.links import LinkRebaser
from tap_d365fo.metadata.access import Access
from tap_d365fo.metadata.documents import public_entity
from tap_d365fo.metadata.edmx import read_index, read_types
from tap_d365fo.metadata.edmx_source import MetadataDocument
from tap_d365fo.metadata.model import Entity, EntityListing, Navigation, Property
from tap_d365fo.reading.pages import PageReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contoso_sandbox.contoso import Contoso
    from tap_d365fo.access.auth import TokenProvider

URL = "https://contoso.example"
HEAD = b'<?xml version="1.0"?><E><Schema Namespace="N">'
TAIL = b'<EntityContainer><EntitySet Name="S" EntityType="N.T"/></EntityContainer></Schema></E>'


def document(*answers: Any) -> tuple[MetadataDocument, Script]:  # noqa: ANN401 - see Script
    script = Script(list(answers))
    links = LinkRebaser(URL)
    client = D365Client(
        script.session,
        cast("TokenProvider", FakeTokens()),
        request_timeout_s=300,
        run_timeout_s=3600,
        timing=FakeClock().timing(),
    )
    access = Access(URL, PageReader(client, links), client, links, threads=1)
    return MetadataDocument(access), script


def entities(body: bytes) -> dict[str, Entity]:
    """All that a document describes."""
    source, _ = document((200, body))
    listings = list(source.published().listings.values())
    return {entity.entity_set: entity for entity in source.entities(listings)}


def test_both_sources_describe_contoso_alike(contoso: Contoso) -> None:
    environment = contoso.world.environment
    described = entities(edmx(environment))
    assert set(described) == set(environment.entity_sets)
    service = Described(environment)
    for name, entity_set in environment.entity_sets.items():
        answer = service.answer("PublicEntities", f"'{entity_set.entity}'", "", root=f"{URL}/")
        listing = EntityListing(entity_set.entity, name, "")
        assert described[name] == public_entity(json.loads(b"".join(answer)), listing)


DOCUMENT = b"""<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="Acme.Base" Alias="B" xmlns="http://docs.oasis-open.org/odata/ns/edm">
  <EntityType Name="Late" BaseType="B.Common"><Property Name="Own" Type="B.Shade"/></EntityType>
  <EntityType Name="Common" Abstract="true" BaseType="Acme.Base.Root">
    <Property Name="Changed" Type="Edm.DateTimeOffset" Precision="0"/></EntityType>
  <EntityType Name="Root"><Key><PropertyRef Name="Id"/></Key>
    <Property Name="Id" Type="Edm.Int64" Nullable="false"/></EntityType>
  <EnumType Name="Shade"><Member Name="Dark"/></EnumType>
  <EntityType Name="Shade"><Key><PropertyRef Name="Name"/></Key>
    <Property Name="Name" Type="Edm.String" MaxLength="20">
      <Annotation Term="Org.OData.Core.V1.Description" String="What it is called"/></Property>
    <Property Name="Text" Type="Edm.String" MaxLength="max"/>
    <Property Name="Price" Type="Edm.Decimal" Precision="32" Scale="6"/>
    <Property Name="Rate" Type="Edm.Decimal" Precision="20" Scale="variable"/>
    <Property Name="Kind" Type="B.Shade"/>
    <Property Name="Place" Type="B.Address"/>
    <Property Name="Tags" Type="Collection(Edm.String)"/>
    <Property Name="Photo" Type="Edm.Stream"/>
    <Property Name="Posted" Type="Edm.DateTimeOffset">
      <Annotation Term="Microsoft.Dynamics.OData.Core.V1.AXType"
        EnumMember="Microsoft.Dynamics.OData.Core.V1.AXType/Date"/>
      <Annotation Term="Microsoft.Dynamics.OData.Core.V1.LabelId" String="@SYS1"/></Property>
    <NavigationProperty Name="Relatives" Type="Collection(B.Shade)">
      <Annotation Term="Microsoft.Dynamics.OData.Core.V1.LabelId" String="@NAV"/>
    </NavigationProperty>
    <NavigationProperty Name="Owner" Type="Acme.Base.Late"/>
    <Annotation Term="Microsoft.Dynamics.OData.Core.V1.LabelId" String="@SYS2"/>
  </EntityType>
  <ComplexType Name="Address"><Property Name="City" Type="Edm.String"/></ComplexType>
</Schema>
<Schema Namespace="Acme.Service" xmlns="http://docs.oasis-open.org/odata/ns/edm">
  <EntityContainer Name="Resources">
    <EntitySet Name="Shades" EntityType="B.Shade"/>
    <EntitySet Name="Lates" EntityType="Acme.Base.Late"/>
    <EntitySet Name="Ghosts" EntityType="Acme.Base.Nowhere"/>
  </EntityContainer></Schema></edmx:DataServices></edmx:Edmx>"""


def of_acme(*names: str) -> dict[str, Entity]:
    source, _ = document((200, DOCUMENT))
    listings = source.published().listings
    return {e.entity_set: e for e in source.entities([listings[name] for name in names])}


def test_types_facets_and_notes_are_read() -> None:
    shades = of_acme("Shades")["Shades"]
    text = "Edm.String"
    moment = "Edm.DateTimeOffset"
    assert shades.properties == (
        Property(
            *("Name", text, "String"),
            is_key=True,
            max_length=20,
            description="What it is called",
        ),
        Property("Text", text, "String", is_key=False),
        Property("Price", "Edm.Decimal", "Real", is_key=False, precision=32, scale=6),
        Property("Rate", "Edm.Decimal", "Real", is_key=False, precision=20),
        Property("Kind", "Acme.Base.Shade", "Enum", is_key=False),
        Property("Place", "Acme.Base.Address", "Record", is_key=False),
        Property("Tags", "Collection(Edm.String)", "Enum", is_key=False),
        Property("Posted", moment, "Date", is_key=False, label_id="@SYS1"),
    )
    assert shades.navigations == (
        Navigation("Relatives", "Shade", many=True),
        Navigation("Owner", "Late", many=False),
    )
    assert shades.label_id == "@SYS2"


def test_what_is_inherited_comes_first_wherever_it_stands() -> None:
    lates = of_acme("Lates")["Lates"]
    assert [p.name for p in lates.properties] == ["Id", "Changed", "Own"]
    assert lates.key == ("Id",)
    # Without AXType an instant is the reading that loses nothing.
    assert lates.properties[1].data_type == "UtcDateTime"


def test_a_set_of_an_unknown_type_is_told_when_it_is_wanted() -> None:
    assert set(of_acme("Lates", "Shades")) == {"Lates", "Shades"}
    with pytest.raises(DataError, match="describes no properties for Ghosts"):
        of_acme("Ghosts")


def test_a_type_that_inherits_from_itself_is_refused() -> None:
    body = HEAD + b'<EntityType Name="T" BaseType="N.U"/><EntityType Name="U" BaseType="N.T"/>'
    with pytest.raises(DataError, match="inherits from itself"):
        entities(body + TAIL)


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaaaaaaaa">'
    b'<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><b>&b;</b>'
)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(BOMB, "document type", id="entities that multiply [T24]"),
        pytest.param(
            b'<!DOCTYPE e SYSTEM "file:///etc/passwd"><e/>', "document type", id="a DTD [T24]"
        ),
        pytest.param(b"<html><body>Sign in</body></html>", "no entity set", id="a login page"),
        pytest.param(b"<e>" * 200 + b"</e>" * 200, "nested", id="bottomless"),
    ],
)
def test_what_is_no_metadata_is_refused_at_once(body: bytes, reason: str) -> None:
    source, script = document((200, body))
    with pytest.raises(DataError, match=reason):
        source.published()
    assert len(script.sent) == 1


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param((200, DOCUMENT[:-100]), id="cut short"),
        pytest.param((200, b""), id="empty"),
        pytest.param((200, b"not XML"), id="text"),
        pytest.param((200, b'<?xml version="1.0" encoding="klingon"?><e/>'), id="encoding"),
        pytest.param((503,), id="busy"),
    ],
)
def test_a_broken_document_is_fetched_again(broken: tuple[Any, ...]) -> None:
    source, script = document(broken, (200, DOCUMENT))
    assert set(source.published().listings) == {"Shades", "Lates", "Ghosts"}
    assert len(script.sent) == 2
    assert script.sent[0].headers["Accept"] == "application/xml"
    list(source.entities([source.published().listings["Shades"]]))
    assert len(script.sent) == 2


def test_a_document_that_never_comes_whole_is_a_failure_of_the_data() -> None:
    source, _ = document(*[(200, DOCUMENT[:-1])] * 8)
    with pytest.raises(DataError, match="failed 8 times, last with a body that is no complete"):
        source.published()


def test_a_document_that_does_not_come_is_a_failure_of_the_moment() -> None:
    source, _ = document(*[(502,)] * 8)
    with pytest.raises(TransientError, match="failed 8 times"):
        source.published()


def test_a_document_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_LARGEST_DOWNLOAD_BYTES", 1000)
    source, script = document((200, DOCUMENT))
    with pytest.raises(DataError, match="unpacks to more than"):
        source.published()
    assert len(script.sent) == 1


def test_no_document_at_all_is_told() -> None:
    source, _ = document((404,))
    with pytest.raises(ConfigError, match="HTTP 404"):
        source.published()


class Endless(io.RawIOBase):
    """A document of so many types, made while it is read."""

    def __init__(self, types: int) -> None:
        self._types = types
        self.seek(0)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        assert (offset, whence) == (0, 0)
        self._parts = self._document()
        self.size = 0
        return 0

    def read(self, _size: int = -1, /) -> bytes:
        part = next(self._parts, b"")
        self.size += len(part)
        return part

    def _document(self) -> Iterator[bytes]:
        columns = "".join(f'<Property Name="C{n}" Type="Edm.String"/>' for n in range(100))
        yield HEAD
        for number in range(self._types):
            yield f'<EntityType Name="E{number}">{columns}</EntityType>'.encode()
        yield b'<EntityType Name="T"><Property Name="A" Type="Edm.Int32"/></EntityType>' + TAIL


def test_a_document_of_any_size_is_read_in_little_memory() -> None:
    made = Endless(types=3000)
    file = cast("IO[bytes]", made)
    tracemalloc.start()
    try:
        index = read_index(file)
        (found,) = read_types(file, index, {"N.T"})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [p.name for p in found.properties] == ["A"]
    assert made.size > 10e6
    assert peak < 2e6


@given(st.binary(max_size=200), st.integers(0, len(DOCUMENT)))
def test_no_bytes_do_worse_than_be_refused(noise: bytes, at: int) -> None:
    body = io.BytesIO(DOCUMENT[:at] + noise + DOCUMENT[at + len(noise) :])
    try:
        index = read_index(body)
        list(read_types(body, index, set(index.sets.values())))
    except (UnreadableError, DataError):
        pass
