"""What is kept of an environment between runs, and what is asked for again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.tap.conftest import Output, settings_for

from pipeline_core.errors import ConfigError
from tap_d365fo.metadata.cache import MetadataCache
from tap_d365fo.metadata.model import Entity, EntityListing, Navigation, Property, Published
from tap_d365fo.tap import TapD365FO

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from contoso_sandbox.contoso import Contoso
    from contoso_sandbox.pytest_plugin import NewContoso

    RunTap = Callable[..., Output]

URL = "https://contoso.operations.dynamics.com"
NOW = datetime(2026, 11, 23, 7, 0, 0, tzinfo=UTC)
DAY_S = 86400

THINGS = Entity(
    "Things",
    (
        Property("Id", "Edm.Int64", "Int64", is_key=True, label_id="@SYS1"),
        Property("Amount", "Edm.Decimal", "Real", is_key=False, precision=32, scale=6),
        Property("Name", "Edm.String", "String", is_key=False, max_length=60, description="Its"),
    ),
    "Master",
    navigations=(Navigation("Parts", "Part", many=True),),
    label_id="@SYS2",
)
PUBLISHED = Published({"Things": EntityListing("Thing", "Things", "Master")}, frozenset({"Others"}))


class Clock:
    """The time that a test wants."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def opened(directory: Path, url: str = URL, clock: Clock | None = None) -> MetadataCache:
    return MetadataCache(directory, url, max_age_s=DAY_S, now=clock or Clock())


def test_what_is_kept_comes_back_as_it_was(tmp_path: Path) -> None:
    opened(tmp_path).keep_entity(THINGS)
    opened(tmp_path).keep_published(PUBLISHED)
    assert opened(tmp_path).entity("Things") == THINGS
    assert opened(tmp_path).published() == PUBLISHED
    assert opened(tmp_path).entity("Other") is None


@pytest.mark.parametrize(
    ("age", "fresh"),
    [
        pytest.param(timedelta(), True, id="just now"),
        pytest.param(timedelta(seconds=DAY_S - 1), True, id="within its age"),
        pytest.param(timedelta(seconds=DAY_S), False, id="too old"),
        pytest.param(timedelta(seconds=-1), False, id="from the future: some clock was wrong"),
    ],
)
def test_age_counts_from_the_time_in_the_file(
    tmp_path: Path,
    age: timedelta,
    fresh: bool,  # noqa: FBT001 - an expectation
) -> None:
    clock = Clock()
    cache = opened(tmp_path, clock=clock)
    cache.keep_entity(THINGS)
    cache.keep_published(PUBLISHED)
    clock.now = NOW + age
    assert (cache.entity("Things") is not None) is fresh
    assert (cache.published() is not None) is fresh


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b'{"format":1', id="cut short"),
        pytest.param(b"\xff\xfe\x00", id="no text"),
        pytest.param(b"[]", id="other JSON"),
        pytest.param(b'{"format":1,"environment":"x","fetched_at":"now","content":{}}', id="alien"),
    ],
)
def test_a_broken_file_is_as_none_and_is_replaced(tmp_path: Path, content: bytes) -> None:
    cache = opened(tmp_path)
    cache.keep_entity(THINGS)
    (file,) = cache.folder.iterdir()
    file.write_bytes(content)
    assert cache.entity("Things") is None
    cache.keep_entity(THINGS)
    assert cache.entity("Things") == THINGS


def test_a_file_of_another_format_or_environment_is_as_none(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    cache.keep_entity(THINGS)
    (file,) = cache.folder.iterdir()
    whole = file.read_text()
    for ours, theirs in (('"format":1', '"format":2'), (URL, "https://fabrikam.example")):
        assert ours in whole
        file.write_text(whole.replace(ours, theirs))
        assert cache.entity("Things") is None


def test_environments_do_not_mix(tmp_path: Path) -> None:
    opened(tmp_path).keep_entity(THINGS)
    assert opened(tmp_path, "https://fabrikam.operations.dynamics.com").entity("Things") is None
    names = {opened(tmp_path, f"{URL}{path}").folder.name for path in ("", "/a", "/b")}
    assert len(names) == 3
    assert all(name.startswith("contoso.operations.dynamics.com-") for name in names)


def test_names_of_sets_are_no_paths(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    names = ["../../up", "a/b", "THINGS", "Things", "Th\x00ings", "x" * 500]
    for name in names:
        cache.keep_entity(replace(THINGS, entity_set=name))
    assert len(list(cache.folder.iterdir())) == len(names)
    for name in names:
        kept = cache.entity(name)
        assert kept is not None
        assert kept.entity_set == name
    # Where the file system ignores case, the names still differ.
    assert len({f.name.lower() for f in cache.folder.iterdir()}) == len(names)


def test_what_is_forgotten_is_not_known(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    cache.keep_entity(THINGS)
    assert cache.holds("Things")
    cache.forget("Things")
    cache.forget("Things")
    assert not cache.holds("Things")
    assert cache.entity("Things") is None


def test_a_cache_that_cannot_be_written_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    cache = opened(tmp_path / "file")
    cache.keep_entity(THINGS)
    cache.forget("Things")
    assert cache.entity("Things") is None
    assert "metadata_cache_path cannot be written" in caplog.text


def metadata_requests(contoso: Contoso) -> list[str]:
    """Paths below ``/metadata`` that were asked for, and ``$metadata``."""
    return [r.path for r in contoso.d365.requests if "metadata" in r.path]


def configured(contoso: Contoso, tmp_path: Path, **changes: object) -> dict[str, Any]:
    return settings_for(
        contoso,
        entities=["VendorGroups", "MainAccounts"],
        metadata_cache_path=str(tmp_path / "metadata"),
        **changes,
    )


def test_a_warm_run_asks_for_no_metadata(
    new_contoso: NewContoso, run_tap: RunTap, tmp_path: Path
) -> None:
    contoso = new_contoso()
    config = configured(contoso, tmp_path)
    cold = run_tap(config)
    assert len(metadata_requests(contoso)) == 3
    contoso.d365.requests.clear()
    warm = run_tap(config)
    assert metadata_requests(contoso) == []
    assert len(contoso.d365.requests) > 0
    assert warm.counts == cold.counts
    assert warm.of("SCHEMA") == cold.of("SCHEMA")


def test_a_catalog_run_asks_for_what_it_selects(
    new_contoso: NewContoso, run_tap: RunTap, tmp_path: Path
) -> None:
    contoso = new_contoso()
    config = configured(contoso, tmp_path)
    catalog = TapD365FO(config=settings_for(contoso, entities=config["entities"])).catalog_dict
    for entry in catalog["streams"]:
        root = next(m for m in entry["metadata"] if not m["breadcrumb"])
        root["metadata"]["selected"] = entry["tap_stream_id"] == "VendorGroups"
    contoso.d365.requests.clear()
    output = run_tap(config, catalog=catalog)
    assert set(output.counts) == {"VendorGroups"}
    asked = metadata_requests(contoso)
    assert len(asked) == 2
    assert any("VendorGroup" in path for path in asked)


def test_discovery_asks_whatever_is_known(
    new_contoso: NewContoso, run_tap: RunTap, tmp_path: Path
) -> None:
    contoso = new_contoso()
    config = configured(contoso, tmp_path)
    for _ in range(2):
        contoso.d365.requests.clear()
        TapD365FO(config=config, setup_mapper=False).run_discovery()
        assert len(metadata_requests(contoso)) == 3
    contoso.d365.requests.clear()
    run_tap(config)
    assert metadata_requests(contoso) == []


def test_metadata_that_are_too_old_are_fetched(
    new_contoso: NewContoso, run_tap: RunTap, tmp_path: Path
) -> None:
    contoso = new_contoso()
    config = configured(contoso, tmp_path, metadata_max_age=0)
    run_tap(config)
    contoso.d365.requests.clear()
    run_tap(config)
    assert len(metadata_requests(contoso)) == 3


def test_a_column_that_the_catalog_knows_and_the_cache_does_not(
    new_contoso: NewContoso, run_tap: RunTap, tmp_path: Path
) -> None:
    """The cache may be older than the catalog: it is brought up to date, once."""
    contoso = new_contoso()
    config = configured(contoso, tmp_path)
    tap = TapD365FO(config=config)
    catalog = tap.catalog_dict
    cache = MetadataCache(tmp_path / "metadata", tap.config["environment_url"], max_age_s=DAY_S)
    known = cache.entity("MainAccounts")
    assert known is not None
    cache.keep_entity(replace(known, properties=known.properties[:-1]))
    contoso.d365.requests.clear()
    output = run_tap(config, catalog=catalog)
    assert len(metadata_requests(contoso)) == 1
    assert known.properties[-1].name in output.records("MainAccounts")[0]


def test_a_column_that_nobody_publishes_ends_the_run(
    contoso: Contoso, run_tap: RunTap, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(contoso, tmp_path)
    catalog = TapD365FO(config=config).catalog_dict
    entry = next(s for s in catalog["streams"] if s["tap_stream_id"] == "MainAccounts")
    entry["schema"]["properties"]["Nmae"] = {"type": ["string", "null"]}
    gone = {"breadcrumb": ["properties", "Nmae"], "metadata": {"inclusion": "available"}}
    entry["metadata"].append(gone)
    with pytest.raises(ConfigError, match=r"selects Nmae of MainAccounts.*did you mean Name"):
        run_tap(config, catalog=catalog)
    assert '"RECORD"' not in capsys.readouterr().out
    gone["metadata"]["selected"] = False  # type: ignore[index]
    assert run_tap(config, catalog=catalog).records("MainAccounts")


def test_a_forgotten_entity_is_asked_for_again(new_contoso: NewContoso, tmp_path: Path) -> None:
    contoso = new_contoso()
    tap = TapD365FO(config=configured(contoso, tmp_path))
    service = tap.environment.metadata
    listing = service.published().listings["MainAccounts"]
    contoso.d365.requests.clear()
    assert service.entity(listing).entity_set == "MainAccounts"
    assert metadata_requests(contoso) == []
    service.forget("MainAccounts")
    assert service.entity(listing).entity_set == "MainAccounts"
    assert len(metadata_requests(contoso)) == 1
