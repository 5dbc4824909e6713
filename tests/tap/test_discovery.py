"""What discovery writes: the SDK's catalog, without the SDK's cost, for an environment of any size.

Times and memory are measured by ``benchmarks/discovery.py``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from benchmarks.environment import Environment
from singer_sdk.singerlib import Catalog, MetadataMapping
from tests.tap.conftest import settings_for

from contoso_sandbox.d365.csdl import edmx
from contoso_sandbox.tls import create_tls
from pipeline_core.errors import ConfigError, DataError
from tap_d365fo.entities import resolve_entities
from tap_d365fo.metadata import endpoints
from tap_d365fo.metadata.catalog import catalog_entry, is_selected, read_selected, shape_of
from tap_d365fo.metadata.model import Entity, Property
from tap_d365fo.settings import EntitySettings
from tap_d365fo.tap import TapD365FO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.tap.conftest import Output

    from contoso_sandbox.contoso import Contoso
    from contoso_sandbox.pytest_plugin import NewContoso

    RunTap = Callable[..., Output]

COMMAND = str(Path(sys.executable).with_name("tap-d365fo"))

#: Meltano reads discovery line by line, and breaks at this length.
LONGEST_LINE = 64 * 1024

SETS, WIDTH = 300, 12
READABLE = {f"Synthetic{n:05}Set" for n in range(SETS) if n % 7}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    environment = Environment(SETS, WIDTH, create_tls(tmp_path_factory.mktemp("tls"))).start()
    yield environment
    environment.stop()


@pytest.fixture
def environment(served: Environment) -> Environment:
    """A large environment, as it was when it was started."""
    served.asked.clear()
    served.refused.clear()
    served.page_size = None
    return served


def discovered(config: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What ``--discover`` prints, by stream."""
    capsys.readouterr()
    TapD365FO(config=config, setup_mapper=False).run_discovery()
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) < LONGEST_LINE
    streams = json.loads(text)["streams"]
    assert [s["tap_stream_id"] for s in streams] == sorted(s["tap_stream_id"] for s in streams)
    return {s["tap_stream_id"]: s for s in streams}


def sdk_catalog(config: dict[str, Any]) -> dict[str, Any]:
    """What the SDK would print, by stream."""
    text = TapD365FO(config=config, setup_mapper=False).catalog_json_text
    return {s["tap_stream_id"]: s for s in json.loads(text)["streams"]}


@pytest.mark.parametrize("snapshots", [False, True])
def test_the_catalog_is_that_of_the_sdk(
    contoso: Contoso, capsys: pytest.CaptureFixture[str], tmp_path: Path, *, snapshots: bool
) -> None:
    config = settings_for(
        contoso,
        entities=["*"],
        **({"snapshot_path": str(tmp_path)} if snapshots else {}),
        label_language="en-us",
        entity_settings={
            "PurchaseOrderHeadersV2": {"replication": "full"},
            "VendorsV2": {"select": ["VendorOrganizationName", "CreditLimit"]},
        },
    )
    ours = discovered(config, capsys)
    assert ours == sdk_catalog(config)
    assert set(ours) == set(contoso.world.environment.entity_sets)
    assert set(ours["VendorsV2"]["schema"]["properties"]) == {
        *("dataAreaId", "VendorAccountNumber", "VendorOrganizationName", "CreditLimit"),
        *(["_sdc_deleted_at"] if snapshots else []),
    }


def test_a_catalog_with_the_mark_of_deletions_is_taken(
    contoso: Contoso, run_tap: RunTap, tmp_path: Path
) -> None:
    config = settings_for(contoso, entities=["VendorGroups"], snapshot_path=str(tmp_path))
    catalog = TapD365FO(config=config).catalog_dict
    for given in (config, settings_for(contoso, entities=["VendorGroups"])):
        output = run_tap(given, catalog=catalog)
        assert "_sdc_deleted_at" in output.of("SCHEMA")[0]["schema"]["properties"]
        assert output.records("VendorGroups")


def test_an_environment_of_any_size_is_the_same_catalog(
    environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {**environment.settings(), "entities": ["*"]}
    ours = discovered(config, capsys)
    assert environment.asked == ["/metadata/DataEntities", "/metadata/PublicEntities"]
    assert set(ours) == READABLE
    assert ours == sdk_catalog(config)
    binary = next(
        m for m in ours["Synthetic00001Set"]["metadata"] if "Column009" in m["breadcrumb"]
    )
    assert binary["metadata"]["selected-by-default"] is False


def test_the_collection_may_come_in_pages(
    environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.page_size = 99
    config = {**environment.settings(), "entities": ["*"]}
    environment._pages.clear()  # noqa: SLF001 - the fixture's own
    assert set(discovered(config, capsys)) == READABLE
    assert environment.asked.count("/metadata/PublicEntities") == 4
    environment._pages.clear()  # noqa: SLF001


def test_a_small_scope_asks_for_its_entities_alone(
    environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {**environment.settings(), "entities": ["Synthetic0010?Set"]}
    ours = discovered(config, capsys)
    assert len(ours) == 9  # one of ten cannot be read
    assert len(environment.asked) == 10
    assert "/metadata/PublicEntities" not in environment.asked


def test_one_way_or_the_other_an_entity_is_the_same(
    environment: Environment,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = {**environment.settings(), "entities": ["Synthetic0010?Set"]}
    single = discovered(config, capsys)
    monkeypatch.setattr(endpoints, "MOST_SINGLE", 2)
    assert discovered(config, capsys) == single
    assert "/metadata/PublicEntities" in environment.asked


def test_an_entity_that_is_listed_but_not_described_is_told(
    environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = environment.entities.pop("Synthetic00001Set")
    environment._pages.clear()  # noqa: SLF001
    try:
        with pytest.raises(DataError, match="Synthetic00001Set but does not describe it"):
            discovered({**environment.settings(), "entities": ["*"]}, capsys)
    finally:
        environment.entities = {"Synthetic00001Set": gone, **environment.entities}
        environment._pages.clear()  # noqa: SLF001


def run_command(config: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [COMMAND, "--config", str(config), *arguments],
        capture_output=True,
        env={"PATH": ""},
        check=False,
        timeout=120,
    )


def test_of_a_large_catalog_only_the_selected_streams_are_looked_at(
    environment: Environment, tmp_path: Path
) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({**environment.settings(), "entities": ["*"]}))
    written = run_command(config, "--discover")
    assert written.returncode == 0, written.stderr.decode()
    catalog = json.loads(written.stdout)
    selected = ["Synthetic00010Set", "Synthetic00011Set", "Synthetic00299Set"]
    for entry in catalog["streams"]:
        root = next(m["metadata"] for m in entry["metadata"] if not m["breadcrumb"])
        root["selected"] = entry["tap_stream_id"] in selected
    (tmp_path / "catalog.json").write_text(json.dumps(catalog))
    environment.asked.clear()
    run = run_command(config, "--catalog", str(tmp_path / "catalog.json"))
    assert run.returncode == 0, run.stderr.decode()
    described = [path for path in environment.asked if path.startswith("/metadata/Public")]
    assert sorted(described) == [
        f"/metadata/PublicEntities('{name.removesuffix('Set')}')" for name in selected
    ]
    messages = [json.loads(line) for line in run.stdout.splitlines()]
    assert [m["stream"] for m in messages if m["type"] == "SCHEMA"] == selected
    assert messages[-1]["value"]["audit"]["complete"] is True


def test_a_catalog_that_is_none_is_told(environment: Environment, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({**environment.settings(), "entities": ["*"]}))
    run = run_command(config, "--catalog", str(config.with_name("config.json")))
    assert run.returncode == 78
    assert b"no stream is selected" in run.stderr.splitlines()[-1]
    (tmp_path / "broken.json").write_text('{"streams": [')
    run = run_command(config, "--catalog", str(tmp_path / "broken.json"))
    assert run.returncode == 78
    assert b"is no Singer catalog" in run.stderr.splitlines()[-1]


def test_a_reader_of_the_catalog_that_goes_away_is_told(
    environment: Environment, tmp_path: Path
) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({**environment.settings(), "entities": ["*"]}))
    process = subprocess.Popen(
        [COMMAND, "--config", str(config), "--discover"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": ""},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 74, errors.decode()
    assert b"has gone away" in errors.splitlines()[-1]


ROOTS = [
    pytest.param({}, id="nothing said"),
    pytest.param({"selected": True}, id="selected"),
    pytest.param({"selected": False, "selected-by-default": True}, id="deselected"),
    pytest.param({"selected-by-default": True}, id="by default"),
    pytest.param({"selected-by-default": False}, id="not by default"),
    pytest.param({"inclusion": "unsupported", "selected": True}, id="unsupported"),
    pytest.param({"inclusion": "automatic", "selected": False}, id="automatic"),
    pytest.param({"inclusion": "available"}, id="available"),
]


@pytest.mark.parametrize("root", ROOTS)
def test_what_counts_as_selected_is_what_the_sdk_says(root: dict[str, Any]) -> None:
    entry: dict[str, Any] = {
        "tap_stream_id": "Things",
        "schema": {"properties": {}},
        "metadata": [{"breadcrumb": [], "metadata": root}],
    }
    parsed = Catalog.from_dict({"streams": [entry]})["Things"]
    expected = parsed.metadata.resolve_selection()[()]
    assert is_selected(parsed) is expected
    content = json.dumps({"streams": [entry]})
    assert [s["tap_stream_id"] for s in read_selected(content)["streams"]] == (
        ["Things"] if expected else []
    )


def test_a_stream_without_metadata_is_selected() -> None:
    for entry in ({"tap_stream_id": "a"}, {"tap_stream_id": "a", "metadata": []}):
        assert read_selected(json.dumps({"streams": [entry]})) == {"streams": [entry]}
        assert is_selected(Catalog.from_dict({"streams": [entry]})["a"])


def test_what_is_expanded_is_in_the_catalog(contoso: Contoso) -> None:
    sets = contoso.world.environment.entity_sets.values()
    name, navigation = next((s.name, s.navigations[0].name) for s in sets if s.navigations)
    config = settings_for(
        contoso, entities=[name], entity_settings={name: {"expand": [navigation]}}
    )
    (entry,) = TapD365FO(config=config).catalog_dict["streams"]
    (types,) = (entry["schema"]["properties"][navigation]["type"],)
    assert types in (["array", "null"], ["object", "null"])


def test_a_forced_method_is_written_as_the_sdk_writes_it() -> None:
    columns = [Property(n, "Edm.String", "String", is_key=n == "Id") for n in ("Id", "Name")]
    shape = shape_of(Entity("Things", tuple(columns)), EntitySettings())
    expected = MetadataMapping.get_standard_metadata(
        schema=shape.schema,
        replication_method="LOG_BASED",
        key_properties=["Id"],
        selected_by_default=True,
    )
    expected.root.selected = True
    entry = catalog_entry("Things", replace(shape, forced_method="LOG_BASED"))
    assert entry["replication_method"] == "LOG_BASED"
    assert entry["metadata"] == json.loads(json.dumps(expected.to_list()))


def test_columns_that_differ_by_case_are_both_offered() -> None:
    columns = [Property(n, "Edm.String", "String", is_key=False) for n in ("Name", "NAME")]
    entry = catalog_entry("Things", shape_of(Entity("Things", tuple(columns)), EntitySettings()))
    assert list(entry["schema"]["properties"]) == ["Name", "NAME"]
    assert [m["breadcrumb"] for m in entry["metadata"]] == [
        ["properties", "Name"],
        ["properties", "NAME"],
        [],
    ]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param(
            {"entities": ["Synthetic00007Set"]},
            r"entities: Synthetic00007Set exists, but cannot be read by OData, only exported",
            id="an entity for packages",
        ),
        pytest.param(
            {"entities": ["Synthetic00007Entity"]},
            "Synthetic00007Entity exists, but cannot be read by OData",
            id="its internal name",
        ),
        pytest.param(
            {"entity_settings": {"Synthetic00014Set": {}}},
            "entity_settings: Synthetic00014Set exists, but cannot be read",
            id="settings for such an entity",
        ),
        pytest.param(
            {"entities": ["synthetic00001set"]},
            "no entity set 'synthetic00001set'; did you mean Synthetic00001Set",
            id="wrong case",
        ),
        pytest.param(
            {"entity_settings": {"Synthetic00001Set": {"select": ["Colunm003"]}}},
            r"entity_settings.Synthetic00001Set.select: there is no property 'Colunm003'; "
            r"did you mean Column003",
            id="select",
        ),
        pytest.param(
            {"entity_settings": {"Synthetic00001Set": {"replication_key": "Column07"}}},
            r"replication_key: there is no property 'Column07'; did you mean Column007",
            id="replication key",
        ),
        pytest.param(
            {"entity_settings": {"Synthetic00001Set": {"expand": ["Lines"]}}},
            r"entity_settings.Synthetic00001Set.expand: there is no navigation property 'Lines'",
            id="expand",
        ),
    ],
)
def test_mistakes_in_names_end_with_one_sentence(
    environment: Environment,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    says: str,
) -> None:
    config = {**environment.settings(), "entities": ["Synthetic00001Set"], **changes}
    with pytest.raises(ConfigError, match=says):
        TapD365FO(config=config).sync_all()
    with pytest.raises(ConfigError, match=says):
        TapD365FO(config=config, setup_mapper=False).run_discovery()
    assert '"RECORD"' not in capsys.readouterr().out


def test_a_catalog_entry_for_an_entity_of_packages_is_told(environment: Environment) -> None:
    config = {**environment.settings(), "entities": ["Synthetic00001Set"]}
    catalog = TapD365FO(config=config).catalog_dict
    catalog["streams"][0] |= {"tap_stream_id": "Synthetic00007Set", "stream": "Synthetic00007Set"}
    with pytest.raises(ConfigError, match=r"selects Synthetic00007Set.*cannot be read by OData"):
        TapD365FO(config=config, catalog=catalog).sync_all()


def test_a_glob_does_not_reach_what_cannot_be_read() -> None:
    assert resolve_entities(["A*"], {"Ab", "Ac"}, {"Ad"}) == ("Ab", "Ac")


def test_an_environment_without_a_metadata_service_is_read_by_its_document(
    environment: Environment,
    contoso: Contoso,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    environment.refused["/metadata/DataEntities"] = 404
    environment.edmx = edmx(contoso.world.environment)
    config = {
        **environment.settings(),
        "entities": ["VendorGroups", "MainAccounts"],
        "metadata_cache_path": str(tmp_path),
    }
    ours = discovered(config, capsys)
    assert environment.asked == ["/metadata/DataEntities", "/data/$metadata"]
    theirs = discovered(settings_for(contoso, entities=config["entities"]), capsys)
    assert ours == theirs
    environment.asked.clear()
    assert TapD365FO(config=config).streams.keys() == ours.keys()
    assert environment.asked == []
    assert TapD365FO(config={**config, "entities": ["Ledgers"]}).streams.keys() == {"Ledgers"}
    assert environment.asked == ["/data/$metadata"]
    environment.asked.clear()
    tap = TapD365FO(config=config)
    service = tap.environment.metadata
    tap.forget_metadata("MainAccounts")
    assert service.entity(service.published().listings["MainAccounts"]).key
    assert environment.asked == ["/data/$metadata"]


def test_an_environment_without_any_metadata_is_told(environment: Environment) -> None:
    environment.refused |= {"/metadata/DataEntities": 404, "/data/$metadata": 404}
    with pytest.raises(ConfigError, match="neither /metadata nor /data/"):
        TapD365FO(config=environment.settings())


def test_an_entity_that_is_gone_since_the_list_was_kept(
    environment: Environment, tmp_path: Path
) -> None:
    """The list is renewed with the failure, so that a pattern finds what is left next time."""
    config = {
        **environment.settings(),
        "entities": ["Synthetic0010?Set"],
        "metadata_cache_path": str(tmp_path),
    }
    assert len(TapD365FO(config={**config, "entities": ["Synthetic00101Set"]}).streams) == 1
    gone = environment.entities.pop("Synthetic00102Set")
    listings = environment.listings
    environment.listings = [r for r in listings if r["PublicEntityName"] != gone["Name"]]
    try:
        with pytest.raises(ConfigError, match="no longer publishes Synthetic00102Set"):
            TapD365FO(config=config)
        assert len(TapD365FO(config=config).streams) == 8
    finally:
        environment.listings = listings
        environment.entities["Synthetic00102Set"] = gone


def test_narrowing_keeps_the_key() -> None:
    entity = Entity(
        "Things",
        (
            Property("Id", "Edm.Int64", "Int64", is_key=True),
            Property("A", "Edm.String", "String", is_key=False),
            Property("B", "Edm.String", "String", is_key=False),
        ),
    )
    assert entity.narrowed({"B"}) == replace(
        entity, properties=(entity.properties[0], entity.properties[2]), partial=True
    )
    assert entity.narrowed({"A", "B"}) == entity


def test_what_the_settings_select_is_all_that_travels(
    new_contoso: NewContoso, run_tap: RunTap
) -> None:
    contoso = new_contoso()
    config = settings_for(
        contoso, entities=["MainAccounts"], entity_settings={"MainAccounts": {"select": ["Name"]}}
    )
    output = run_tap(config)
    (request,) = [r for r in contoso.d365.requests if r.entity_set == "MainAccounts"][:1]
    assert "$select=ChartOfAccounts,MainAccountId,Name" in unquote(request.query)
    assert set(output.records("MainAccounts")[0]) == {"ChartOfAccounts", "MainAccountId", "Name"}
    assert len(output.of("SCHEMA")[0]["schema"]["properties"]) == 3
