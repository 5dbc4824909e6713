"""The README's settings table is what the plugin itself says."""

from __future__ import annotations

from pathlib import Path

import pytest
from docs.settings_tables import main, renewed, table

from target_tableau_hyper.settings import CONFIG_JSONSCHEMA

README = Path(__file__).parents[2] / "target-tableau-hyper" / "README.md"


def test_settings_table_is_current() -> None:
    assert main(["--check", str(README)]) == 0


def test_outdated_table_is_told_and_renewed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = tmp_path / "target-tableau-hyper" / "README.md"
    readme.parent.mkdir()
    readme.write_text("a\n<!-- settings:begin -->\nold\n<!-- settings:end -->\nz\n")
    assert main(["--check", str(readme)]) == 1
    assert "not current" in capsys.readouterr().err
    assert main([str(readme)]) == 0
    assert main(["--check", str(readme)]) == 0
    assert "`tableau_token_value`" in readme.read_text()


def test_readme_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="has no <!-- settings:begin -->"):
        renewed("text", "table")


def test_table_shows_defaults_choices_and_secrets() -> None:
    lines = table(
        {
            "required": ["a"],
            "properties": {
                "a": {"description": "x | y"},
                "b": {"default": [1], "enum": ["u", "v", None], "description": "Which."},
                "c": {"secret": True, "description": "Hidden."},
            },
        }
    ).splitlines()
    assert lines[2:] == [
        r"| `a` | required | x \| y |",
        "| `b` | `[1]` | Which. One of `u`, `v`. |",
        "| `c` |  | Hidden. **Secret.** |",
    ]


@pytest.mark.parametrize("name", CONFIG_JSONSCHEMA["properties"])
def test_every_setting_is_described(name: str) -> None:
    definition = CONFIG_JSONSCHEMA["properties"][name]
    assert definition.get("title")
    assert definition.get("description")
    assert definition.get("examples")
