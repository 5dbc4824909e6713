"""Titles from the label service: each asked for once, none of them fatal."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from benchmarks.environment import Environment
from tests.tap.conftest import Output, settings_for

from contoso_sandbox.tls import create_tls
from tap_d365fo.metadata.labels import Labels
from tap_d365fo.tap import TapD365FO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from contoso_sandbox.contoso import Contoso

    RunTap = Callable[..., Output]

NOW = datetime(2026, 11, 23, 7, 0, 0, tzinfo=UTC)
ENTITY = "Synthetic00001Set"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    environment = Environment(130, 6, create_tls(tmp_path_factory.mktemp("tls"))).start()
    yield environment
    environment.stop()


@pytest.fixture
def environment(served: Environment) -> Environment:
    served.asked.clear()
    served.refused.clear()
    served.unlabelled.clear()
    return served


def configured(environment: Environment, path: Path, **changes: object) -> dict[str, Any]:
    return {
        **environment.settings(),
        "entities": [ENTITY],
        "metadata_cache_path": str(path),
        "label_language": "en-us",
        **changes,
    }


def asked_labels(environment: Environment) -> list[str]:
    return sorted(path for path in environment.asked if path.startswith("/metadata/Labels"))


def titles(schema: dict[str, Any]) -> dict[str, str | None]:
    return {name: column.get("title") for name, column in schema["properties"].items()}


def test_labels_reach_the_schema_message(
    environment: Environment, run_tap: RunTap, tmp_path: Path
) -> None:
    output = run_tap(configured(environment, tmp_path))
    (message,) = output.of("SCHEMA")
    assert message["schema"]["title"] == "Label of @SYN1"
    assert titles(message["schema"])["Column000"] == "Label of Column000"
    assert len(asked_labels(environment)) == 7
    assert asked_labels(environment)[0] == "/metadata/Labels(Id='@SYN1',Language='en-us')"


def test_a_label_is_asked_for_once(
    environment: Environment, run_tap: RunTap, tmp_path: Path
) -> None:
    environment.unlabelled.add("@SYN1_Column001")
    first = run_tap(configured(environment, tmp_path))
    environment.asked.clear()
    second = run_tap(configured(environment, tmp_path, metadata_max_age=0))
    assert asked_labels(environment) == []
    assert first.of("SCHEMA") == second.of("SCHEMA")
    assert titles(first.of("SCHEMA")[0]["schema"])["Column001"] is None
    other = configured(environment, tmp_path, label_language="de")
    run_tap(other)
    assert len(asked_labels(environment)) == 7


def test_without_a_language_no_label_is_asked_for(
    environment: Environment, run_tap: RunTap, tmp_path: Path
) -> None:
    output = run_tap(configured(environment, tmp_path, label_language=None))
    assert asked_labels(environment) == []
    assert set(titles(output.of("SCHEMA")[0]["schema"]).values()) == {None}


def test_a_label_service_that_fails_is_no_reason_to_fail(
    environment: Environment,
    run_tap: RunTap,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    environment.refused["/metadata/Labels"] = 403
    entities = [ENTITY, "Synthetic00002Set", "Synthetic00003Set"]
    with caplog.at_level(logging.WARNING):
        output = run_tap(configured(environment, tmp_path, entities=entities))
    assert len(output.of("SCHEMA")) == 3
    assert sum("labels are left out" in r.getMessage() for r in caplog.records) == 1
    # Those under way when the first failed; none for the entities after it.
    assert len(asked_labels(environment)) <= 7
    environment.refused.clear()
    again = run_tap(configured(environment, tmp_path, entities=entities))
    assert titles(again.of("SCHEMA")[0]["schema"])["Column000"] == "Label of Column000"


def test_a_catalog_without_titles_gets_them(
    environment: Environment, run_tap: RunTap, tmp_path: Path
) -> None:
    plain = configured(environment, tmp_path, label_language=None)
    catalog = TapD365FO(config=plain).catalog_dict
    columns = catalog["streams"][0]["schema"]["properties"]
    columns["Column000"]["title"] = "By hand"
    del columns["Column003"]
    output = run_tap(configured(environment, tmp_path), catalog=catalog)
    (message,) = output.of("SCHEMA")
    assert message["schema"]["title"] == "Label of @SYN1"
    found = titles(message["schema"])
    assert found["Column000"] == "By hand"
    assert found["Column001"] == "Label of Column001"
    assert "Column003" not in found


def test_the_whole_environment_is_not_asked_for_its_labels(
    environment: Environment,
    run_tap: RunTap,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A hundred thousand requests would take hours; what is known is shown."""
    run_tap(configured(environment, tmp_path))
    environment.asked.clear()
    everything = configured(environment, tmp_path, entities=["*"])
    TapD365FO(config=everything, setup_mapper=False).run_discovery()
    assert asked_labels(environment) == []
    text = capsys.readouterr().out
    assert text.count('"title": "Label of Column000"') == 1


def test_contoso_has_its_labels(contoso: Contoso, run_tap: RunTap) -> None:
    config = settings_for(contoso, entities=["VendorGroups"], label_language="en-us")
    (message,) = run_tap(config).of("SCHEMA")
    entity_set = contoso.world.environment.entity_sets["VendorGroups"]
    assert titles(message["schema"]) == {p.name: p.label or None for p in entity_set.properties}
    assert message["schema"].get("title") == (entity_set.label or None)


class Access:
    """Counts what is asked for; every label has a text."""

    environment_url = "https://contoso.example"
    threads = 2

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.reader = self
        self.text: str | None = None

    def document(self, url: str) -> dict[str, Any]:
        self.asked.append(url)
        return {"Value": self.text or f"Text {len(self.asked)}"}


def labels(access: Access, folder: Path, now: datetime) -> Labels:
    return Labels(access, "en-us", folder=folder, now=lambda: now)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("age", "requests"),
    [
        pytest.param(timedelta(days=29), 1, id="a month"),
        pytest.param(timedelta(days=30), 2, id="after that a release may have changed it"),
        pytest.param(timedelta(days=-1), 2, id="from the future"),
    ],
)
def test_a_label_lasts_a_month(tmp_path: Path, age: timedelta, requests: int) -> None:
    access = Access()
    assert labels(access, tmp_path, NOW).resolve(["@SYS1"]) == {"@SYS1": "Text 1"}
    labels(access, tmp_path, NOW + age).resolve(["@SYS1"])
    assert len(access.asked) == requests


def test_a_broken_file_of_labels_is_as_none(tmp_path: Path) -> None:
    access = Access()
    labels(access, tmp_path, NOW).resolve(["@SYS1"])
    (file,) = tmp_path.iterdir()
    for content in (b"", b'{"format":9,"labels":{}}', b'{"format":1,"labels":{"a":7}}'):
        file.write_bytes(content)
        access.asked.clear()
        assert labels(access, tmp_path, NOW).resolve(["@SYS1"]) == {"@SYS1": "Text 1"}
        assert len(access.asked) == 1


def test_names_are_quoted_in_the_address(tmp_path: Path) -> None:
    access = Access()
    labels(access, tmp_path, NOW).resolve(["@A'B:C/D"])
    assert access.asked == [
        "https://contoso.example/metadata/Labels(Id='@A%27%27B%3AC%2FD',Language='en-us')"
    ]


def test_a_label_whose_text_is_its_own_name_has_none(tmp_path: Path) -> None:
    access = Access()
    access.text = "@SYS1"
    assert labels(access, tmp_path, NOW).resolve(["@SYS1"]) == {}
