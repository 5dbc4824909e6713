"""meltano.yml and the plugins' own settings say the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.e2e.meltano import PROJECT

from tap_d365fo.entities import FINANCE

#: How Meltano names the types of JSON Schema.
KINDS = {
    "string": "string",
    "integer": "integer",
    "number": "decimal",
    "boolean": "boolean",
    "array": "array",
    "object": "object",
}

#: The SDK's own settings, which Meltano passes on without being told of them.
BUILT_IN = {"stream_maps", "stream_map_config", "faker_config", "batch_config"}


@pytest.mark.parametrize(
    ("group", "name"), [("extractors", "tap-d365fo"), ("loaders", "target-tableau-hyper")]
)
def test_settings_agree(group: str, name: str) -> None:
    project = yaml.safe_load((PROJECT / "meltano.yml").read_text(encoding="utf-8"))
    (plugin,) = (p for p in project["plugins"][group] if p["name"] == name)
    declared = {setting["name"]: setting for setting in plugin["settings"]}
    about = json.loads(
        subprocess.run(
            [str(Path(sys.executable).with_name(name)), "--about", "--format=json"],
            capture_output=True,
            check=True,
        ).stdout
    )
    own = {
        setting: definition
        for setting, definition in about["settings"]["properties"].items()
        if setting not in BUILT_IN and not setting.startswith("flattening_")
    }
    assert declared.keys() == own.keys()
    for setting, definition in own.items():
        there = declared[setting]
        assert there["kind"] == kind_of(definition), setting
        assert there.get("sensitive", False) == bool(definition.get("secret")), setting
        assert there["label"] == definition["title"], setting
        assert " ".join(there["description"].split()) == definition["description"], setting


def test_controls_of_prod_look_at_what_the_standard_product_publishes() -> None:
    """A control whose stream is never loaded checks nothing."""
    project = yaml.safe_load((PROJECT / "meltano.yml").read_text(encoding="utf-8"))
    (loader,) = project["plugins"]["loaders"]
    (prod,) = (one for one in project["environments"] if one["name"] == "prod")
    (own,) = prod["config"]["plugins"]["loaders"]
    controls = {**loader["config"]["controls"], **own["config"]["controls"]}
    streams = {c[part] for c in controls.values() for part in ("stream", "refers_to") if part in c}
    preset = {name for names in FINANCE.values() for name in names}
    assert streams - {"*"} <= preset - {"GeneralJournalAccountEntries"}
    assert {control["type"] for control in controls.values()} >= {"balance", "references"}


def test_settings_of_the_utility_are_the_loaders() -> None:
    """They share the variables, so a value must mean the same to both."""
    project = yaml.safe_load((PROJECT / "meltano.yml").read_text(encoding="utf-8"))
    (loader,) = project["plugins"]["loaders"]
    (utility,) = project["plugins"]["utilities"]
    assert utility["namespace"] == loader["namespace"]
    settings = {setting["name"]: setting for setting in loader["settings"]}
    for setting in utility["settings"]:
        same = settings[setting["name"]]
        for part in ("kind", "label", "sensitive"):
            assert setting.get(part) == same.get(part), (setting["name"], part)


def kind_of(definition: dict[str, Any]) -> str:
    if definition.get("format") == "date-time":
        return "date_iso8601"
    types = definition["type"]
    (kind,) = (t for t in ([types] if isinstance(types, str) else types) if t != "null")
    # A number as an option would reach the plugin as text when it comes from a variable.
    return "options" if "enum" in definition and kind == "string" else KINDS[kind]
