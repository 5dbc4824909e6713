"""What discovery writes: the SDK's catalog, without the SDK's cost, for an environment of any size.

Times and memory are measured by ``benchmarks/discovery.py``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from singer_sdk.singerlib import Catalog, MetadataMapping
from tests.tap.conftest import MADE_UP, asked, settings_for

from contoso_sandbox.d365 import Traits
from contoso_sandbox.entities import contoso_environment
from contoso_sandbox.environment_box import EnvironmentBox
from contoso_sandbox.faults import Asked, Fault, answer, document, rows
from contoso_sandbox.model import AxType
from pipeline_core.errors import ConfigError, DataError
from tap_d365fo.entities import resolve_entities
from tap_d365fo.metadata import endpoints
from tap_d365fo.metadata.catalog import catalog_entry, is_selected, read_selected, shape_of
from tap_d365fo.metadata.model import Entity, Property
from tap_d365fo.settings import EntitySettings
from tap_d365fo.tap import TapD365FO

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.tap.conftest import Output

    from contoso_sandbox.contoso import Contoso
    from contoso_sandbox.pytest_plugin import NewContoso

    RunTap = Callable[..., Output]

COMMAND = str(Path(sys.executable).with_name("tap-d365fo"))

#: Meltano reads discovery line by line, and breaks at this length.
LONGEST_LINE = 64 * 1024

SETS = list(MADE_UP.entity_sets.values())
PACKAGED = MADE_UP.unserved
#: A letter that was typed twice and one that was forgotten.
COLUMN, OTHER_COLUMN = (p.name for p in SETS[0].properties[-2:])
DOUBLED, SHORTENED = f"{COLUMN[0]}{COLUMN}", OTHER_COLUMN[:-1]

#: The last five sets, by their numbers; the five entities after them are no sets.
A_FEW, NAMED = "*30?Set", {s.name for s in SETS[-5:]}
COLLECTION = "/metadata/PublicEntities"


def config_for(box: EnvironmentBox, *entities: str, **changes: object) -> dict[str, Any]:
    return settings_for(box, companies=["usmf"], entities=list(entities or ["*"]), **changes)


def without(member: str, name: str) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    """Takes one document out of a collection."""
    return lambda value: [one for one in value if one[member] != name]


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


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the labels of all of Contoso are kept once they were asked for, one by one."""
    return tmp_path_factory.mktemp("labels")


@pytest.mark.parametrize("snapshots", [False, True])
def test_the_catalog_is_that_of_the_sdk(
    contoso: Contoso,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    labels: Path,
    *,
    snapshots: bool,
) -> None:
    config = settings_for(
        contoso,
        entities=["*"],
        **({"snapshot_path": str(tmp_path)} if snapshots else {}),
        label_language="en-us",
        metadata_cache_path=str(labels),
        entity_settings={
            "PurchaseOrderHeadersV2": {"replication": "full"},
            "VendorsV2": {"select": ["VendorOrganizationName", "CreditLimit"]},
        },
    )
    ours = discovered(config, capsys)
    assert ours == sdk_catalog(config)
    sets = contoso.world.environment.entity_sets
    assert set(ours) == set(sets)
    assert {name: s["schema"]["title"] for name, s in ours.items()} == {
        name: entity_set.label for name, entity_set in sets.items()
    }
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
    made_up: EnvironmentBox, capsys: pytest.CaptureFixture[str]
) -> None:
    config = config_for(made_up)
    ours = discovered(config, capsys)
    assert asked(made_up) == ["/metadata/DataEntities", COLLECTION]
    assert set(ours) == set(MADE_UP.entity_sets)
    assert ours == sdk_catalog(config)
    offered = {
        (name, m["breadcrumb"][1]): m["metadata"].get("selected-by-default")
        for name, stream in ours.items()
        for m in stream["metadata"]
        if m["breadcrumb"]
    }
    binaries = {
        (s.name, p.name) for s in SETS for p in s.properties if p.ax_type is AxType.CONTAINER
    }
    assert binaries
    assert {column for column, by_default in offered.items() if by_default is False} == binaries


def in_pages(page: dict[str, Any], request: Asked, *, size: int) -> None:
    """Send ``size`` documents and a link, as from behind a balancer that names its own host."""
    rest = len(page["value"]) - size
    if rest > 0:
        del page["value"][size:]
        start = int(request.options.get("$skip", 0)) + size
        page["@odata.nextLink"] = f"http://internal{COLLECTION}?$skip={start}"


def test_the_collection_may_come_in_pages(
    made_up: EnvironmentBox, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = discovered(config_for(made_up), capsys)
    made_up.d365.requests.clear()
    made_up.d365.faults.add(Fault(document(partial(in_pages, size=99), "pages"), on=COLLECTION))
    assert discovered(config_for(made_up), capsys) == whole
    assert asked(made_up).count(COLLECTION) == 4


def test_a_small_scope_asks_for_its_entities_alone(
    made_up: EnvironmentBox, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = discovered(config_for(made_up, A_FEW), capsys)
    assert set(ours) == NAMED
    single = {f"{COLLECTION}('{s.entity}')" for s in SETS if s.name in NAMED}
    assert sorted(asked(made_up)) == sorted({"/metadata/DataEntities", *single})


def test_one_way_or_the_other_an_entity_is_the_same(
    made_up: EnvironmentBox,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = config_for(made_up, A_FEW)
    single = discovered(config, capsys)
    monkeypatch.setattr(endpoints, "MOST_SINGLE", 2)
    assert discovered(config, capsys) == single
    assert COLLECTION in asked(made_up)


def test_an_entity_that_is_listed_but_not_described_is_told(
    made_up: EnvironmentBox, capsys: pytest.CaptureFixture[str]
) -> None:
    name = SETS[1].name
    made_up.d365.faults.add(Fault(rows(without("EntitySetName", name), "gone"), on=COLLECTION))
    with pytest.raises(DataError, match=f"{name} but does not describe it"):
        discovered(config_for(made_up), capsys)


def run_command(config: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [COMMAND, "--config", str(config), *arguments],
        capture_output=True,
        env={"PATH": ""},
        check=False,
        timeout=120,
    )


def test_of_a_large_catalog_only_the_selected_streams_are_looked_at(
    made_up: EnvironmentBox, tmp_path: Path
) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(config_for(made_up)))
    written = run_command(config, "--discover")
    assert written.returncode == 0, written.stderr.decode()
    catalog = json.loads(written.stdout)
    selected = sorted(SETS[number].name for number in (10, 11, -1))
    for entry in catalog["streams"]:
        root = next(m["metadata"] for m in entry["metadata"] if not m["breadcrumb"])
        root["selected"] = entry["tap_stream_id"] in selected
    (tmp_path / "catalog.json").write_text(json.dumps(catalog))
    # All sets are empty here; a company that was read before may have become so.
    before = {
        "partitions": [{"context": {"company": "usmf"}, "replication_key_value": "once read"}]
    }
    state = tmp_path / "state.json"
    state.write_text(json.dumps({"bookmarks": dict.fromkeys(selected, before)}))
    made_up.d365.requests.clear()
    run = run_command(config, "--catalog", str(tmp_path / "catalog.json"), "--state", str(state))
    assert run.returncode == 0, run.stderr.decode()
    described = [path for path in asked(made_up) if path.startswith(COLLECTION)]
    assert sorted(described) == [f"{COLLECTION}('{name.removesuffix('Set')}')" for name in selected]
    messages = [json.loads(line) for line in run.stdout.splitlines()]
    assert [m["stream"] for m in messages if m["type"] == "SCHEMA"] == selected
    assert messages[-1]["value"]["audit"]["complete"] is True


def test_a_catalog_that_is_none_is_told(made_up: EnvironmentBox, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(config_for(made_up)))
    run = run_command(config, "--catalog", str(config.with_name("config.json")))
    assert run.returncode == 78
    assert b"no stream is selected" in run.stderr.splitlines()[-1]
    (tmp_path / "broken.json").write_text('{"streams": [')
    run = run_command(config, "--catalog", str(tmp_path / "broken.json"))
    assert run.returncode == 78
    assert b"is no Singer catalog" in run.stderr.splitlines()[-1]


def test_a_reader_of_the_catalog_that_goes_away_is_told(
    made_up: EnvironmentBox, tmp_path: Path
) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(config_for(made_up)))
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
            {"entities": [PACKAGED[0].name]},
            f"entities: {PACKAGED[0].name} exists, but cannot be read by OData, only exported",
            id="an entity for packages",
        ),
        pytest.param(
            {"entities": [PACKAGED[0].data_entity]},
            f"{PACKAGED[0].data_entity} exists, but cannot be read by OData",
            id="its internal name",
        ),
        pytest.param(
            {"entity_settings": {PACKAGED[1].name: {}}},
            f"entity_settings: {PACKAGED[1].name} exists, but cannot be read",
            id="settings for such an entity",
        ),
        pytest.param(
            {"entities": [SETS[0].name.lower()]},
            f"no entity set '{SETS[0].name.lower()}'; did you mean {SETS[0].name}",
            id="wrong case",
        ),
        pytest.param(
            {"entity_settings": {SETS[0].name: {"select": [DOUBLED]}}},
            f"entity_settings.{SETS[0].name}.select: there is no property '{DOUBLED}'; "
            f"did you mean {COLUMN}",
            id="select",
        ),
        pytest.param(
            {"entity_settings": {SETS[0].name: {"replication_key": SHORTENED}}},
            f"replication_key: there is no property '{SHORTENED}'; did you mean {OTHER_COLUMN}",
            id="replication key",
        ),
        pytest.param(
            {"entity_settings": {SETS[0].name: {"expand": ["Lines"]}}},
            f"entity_settings.{SETS[0].name}.expand: there is no navigation property 'Lines'",
            id="expand",
        ),
        pytest.param(
            {"entity_settings": {SETS[0].name: {"filter": f"{DOUBLED} eq 'x'"}}},
            f"entity_settings.{SETS[0].name}.filter: there is no property '{DOUBLED}'; "
            f"did you mean {COLUMN}",
            id="filter",
        ),
    ],
)
def test_mistakes_in_names_end_with_one_sentence(
    made_up: EnvironmentBox,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    says: str,
) -> None:
    config = {**config_for(made_up, SETS[0].name), **changes}
    with pytest.raises(ConfigError, match=says):
        TapD365FO(config=config).sync_all()
    with pytest.raises(ConfigError, match=says):
        TapD365FO(config=config, setup_mapper=False).run_discovery()
    assert '"RECORD"' not in capsys.readouterr().out


def test_a_catalog_entry_for_an_entity_of_packages_is_told(made_up: EnvironmentBox) -> None:
    config = config_for(made_up, SETS[0].name)
    catalog = TapD365FO(config=config).catalog_dict
    name = PACKAGED[0].name
    catalog["streams"][0] |= {"tap_stream_id": name, "stream": name}
    with pytest.raises(ConfigError, match=f"selects {name}.*cannot be read by OData"):
        TapD365FO(config=config, catalog=catalog).sync_all()


def test_a_glob_does_not_reach_what_cannot_be_read() -> None:
    assert resolve_entities(["A*"], {"Ab", "Ac"}, {"Ad"}) == ("Ab", "Ac")


def test_an_environment_without_a_metadata_service_is_read_by_its_document(
    contoso: Contoso,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scope = ["VendorGroups", "MainAccounts"]
    old = Traits(metadata_service=False)
    with EnvironmentBox(tmp_path, contoso_environment(), stored=False, traits=old) as box:
        config = config_for(box, *scope, metadata_cache_path=str(tmp_path / "cache"))
        ours = discovered(config, capsys)
        assert asked(box) == ["/metadata/DataEntities", "/data/$metadata"]
        assert ours == discovered(settings_for(contoso, entities=scope), capsys)
        box.d365.requests.clear()
        assert TapD365FO(config=config).streams.keys() == ours.keys()
        assert asked(box) == []
        assert TapD365FO(config={**config, "entities": ["Ledgers"]}).streams.keys() == {"Ledgers"}
        assert asked(box) == ["/data/$metadata"]
        box.d365.requests.clear()
        tap = TapD365FO(config=config)
        service = tap.environment.metadata
        tap.forget_metadata("MainAccounts")
        assert service.entity(service.published().listings["MainAccounts"]).key
        assert asked(box) == ["/data/$metadata"]


def test_an_environment_without_any_metadata_is_told(made_up: EnvironmentBox) -> None:
    made_up.d365.traits = Traits(metadata_service=False)
    made_up.d365.faults.add(Fault(answer(404), on=r"/data/\$metadata"))
    with pytest.raises(ConfigError, match="neither /metadata nor /data/"):
        TapD365FO(config=config_for(made_up))


def test_an_entity_that_is_gone_since_the_list_was_kept(
    made_up: EnvironmentBox, tmp_path: Path
) -> None:
    """The list is renewed with the failure, so that a pattern finds what is left next time."""
    kept, gone = SETS[-1], SETS[-2]
    config = config_for(made_up, A_FEW, metadata_cache_path=str(tmp_path))
    assert len(TapD365FO(config={**config, "entities": [kept.name]}).streams) == 1
    made_up.d365.faults.add(
        Fault(rows(without("PublicEntityName", gone.entity), "gone"), on="/metadata/DataEntities"),
        Fault(answer(404), on=rf"{COLLECTION}\('{gone.entity}'\)"),
    )
    with pytest.raises(ConfigError, match=f"no longer publishes {gone.name}"):
        TapD365FO(config=config)
    assert TapD365FO(config=config).streams.keys() == NAMED - {gone.name}


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


def test_columns_that_a_catalog_does_not_know_are_told(
    contoso: Contoso, run_tap: RunTap, caplog: pytest.LogCaptureFixture
) -> None:
    """The environment was updated since discovery; what is new is not read, and that is said."""
    config = settings_for(contoso, entities=["VendorGroups", "MainAccounts"])
    catalog = TapD365FO(config=config).catalog_dict
    known = run_tap(config, catalog=catalog)
    assert "discovery again" not in caplog.text
    groups = next(s for s in catalog["streams"] if s["tap_stream_id"] == "VendorGroups")
    gone = [name for name in groups["schema"]["properties"] if name.startswith("D")][:2]
    for name in gone:
        del groups["schema"]["properties"][name]
    run_tap(config, catalog=catalog, state=known.states[-1])
    (told,) = [r.getMessage() for r in caplog.records if "discovery again" in r.getMessage()]
    assert told.startswith("VendorGroups: ")
    assert ", ".join(sorted(gone)) in told
