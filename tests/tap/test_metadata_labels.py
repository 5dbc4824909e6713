"""Titles from the label service: each asked for once, none of them fatal."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.tap.conftest import MADE_UP, Output, asked, settings_for

from contoso_sandbox.faults import Fault, answer
from tap_d365fo.metadata.labels import Labels
from tap_d365fo.tap import TapD365FO

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from contoso_sandbox.contoso import Contoso
    from contoso_sandbox.environment_box import EnvironmentBox
    from contoso_sandbox.model import EntitySet

    RunTap = Callable[..., Output]

NOW = datetime(2026, 11, 23, 7, 0, 0, tzinfo=UTC)
SET, OTHER, THIRD = list(MADE_UP.entity_sets.values())[:3]
#: The column whose label is missing, or whose title somebody has written by hand.
COLUMN = SET.properties[-1]


def labels_of(entity_set: EntitySet) -> dict[str, str]:
    """Text by id, of the set and of its properties."""
    return {entity_set.label_id: entity_set.label} | {
        p.label_id: p.label for p in entity_set.properties
    }


def columns_of(entity_set: EntitySet) -> dict[str, str]:
    """Label by property."""
    return {p.name: p.label for p in entity_set.properties}


def configured(box: EnvironmentBox, path: Path, **changes: object) -> dict[str, Any]:
    given: dict[str, object] = {
        "companies": ["usmf"],
        "entities": [SET.name],
        "metadata_cache_path": str(path),
        "label_language": "en-us",
    }
    return settings_for(box, **{**given, **changes})


def asked_labels(box: EnvironmentBox) -> list[str]:
    return sorted(path for path in asked(box) if path.startswith("/metadata/Labels"))


def addresses(labels: dict[str, str], language: str = "en-us") -> list[str]:
    return sorted(f"/metadata/Labels(Id='{name}',Language='{language}')" for name in labels)


def titles(schema: dict[str, Any]) -> dict[str, str | None]:
    return {name: column.get("title") for name, column in schema["properties"].items()}


def test_labels_reach_the_schema_message(
    made_up: EnvironmentBox, run_tap: RunTap, tmp_path: Path
) -> None:
    output = run_tap(configured(made_up, tmp_path))
    (message,) = output.of("SCHEMA")
    assert message["schema"]["title"] == SET.label
    assert titles(message["schema"]) == columns_of(SET)
    assert asked_labels(made_up) == addresses(labels_of(SET))


def test_a_label_is_asked_for_once(
    made_up: EnvironmentBox, run_tap: RunTap, tmp_path: Path
) -> None:
    made_up.d365.faults.add(Fault(answer(404), on=rf"/metadata/Labels\(Id='{COLUMN.label_id}'.*"))
    first = run_tap(configured(made_up, tmp_path))
    assert asked_labels(made_up) == addresses(labels_of(SET))
    made_up.d365.requests.clear()
    second = run_tap(configured(made_up, tmp_path, metadata_max_age=0))
    assert asked_labels(made_up) == []
    assert first.of("SCHEMA") == second.of("SCHEMA")
    assert titles(first.of("SCHEMA")[0]["schema"]) == {**columns_of(SET), COLUMN.name: None}
    run_tap(configured(made_up, tmp_path, label_language="de"))
    assert asked_labels(made_up) == addresses(labels_of(SET), "de")


def test_without_a_language_no_label_is_asked_for(
    made_up: EnvironmentBox, run_tap: RunTap, tmp_path: Path
) -> None:
    output = run_tap(configured(made_up, tmp_path, label_language=None))
    assert asked_labels(made_up) == []
    assert set(titles(output.of("SCHEMA")[0]["schema"]).values()) == {None}


def test_a_label_service_that_fails_is_no_reason_to_fail(
    made_up: EnvironmentBox,
    run_tap: RunTap,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    made_up.d365.faults.add(Fault(answer(403), on=r"/metadata/Labels\(.*"))
    entities = [SET.name, OTHER.name, THIRD.name]
    with caplog.at_level(logging.WARNING):
        output = run_tap(configured(made_up, tmp_path, entities=entities))
    assert len(output.of("SCHEMA")) == 3
    assert sum("labels are left out" in r.getMessage() for r in caplog.records) == 1
    # Those under way when the first failed; none for the entities after it.
    assert 0 < len(asked_labels(made_up)) <= len(labels_of(SET))
    made_up.d365.faults.clear()
    again = run_tap(configured(made_up, tmp_path, entities=entities))
    found = {m["stream"]: titles(m["schema"]) for m in again.of("SCHEMA")}
    assert found == {s.name: columns_of(s) for s in (SET, OTHER, THIRD)}


def test_a_catalog_without_titles_gets_them(
    made_up: EnvironmentBox, run_tap: RunTap, tmp_path: Path
) -> None:
    plain = configured(made_up, tmp_path, label_language=None)
    catalog = TapD365FO(config=plain).catalog_dict
    columns = catalog["streams"][0]["schema"]["properties"]
    columns[COLUMN.name]["title"] = "By hand"
    missing = SET.properties[-2].name
    del columns[missing]
    output = run_tap(configured(made_up, tmp_path), catalog=catalog)
    (message,) = output.of("SCHEMA")
    assert message["schema"]["title"] == SET.label
    expected = {**columns_of(SET), COLUMN.name: "By hand"}
    del expected[missing]
    assert titles(message["schema"]) == expected


def test_the_whole_environment_is_not_asked_for_its_labels(
    made_up: EnvironmentBox,
    run_tap: RunTap,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A hundred thousand requests would take hours; what is known is shown."""
    run_tap(configured(made_up, tmp_path))
    made_up.d365.requests.clear()
    everything = configured(made_up, tmp_path, entities=["*"])
    TapD365FO(config=everything, setup_mapper=False).run_discovery()
    assert asked_labels(made_up) == []
    streams = json.loads(capsys.readouterr().out)["streams"]
    shown = {s["tap_stream_id"]: s["schema"] for s in streams}
    known = labels_of(SET)
    assert {name: schema.get("title") for name, schema in shown.items()} == {
        s.name: known.get(s.label_id) for s in MADE_UP.entity_sets.values()
    }
    assert {name: titles(schema) for name, schema in shown.items()} == {
        s.name: {p.name: known.get(p.label_id) for p in s.properties}
        for s in MADE_UP.entity_sets.values()
    }


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
