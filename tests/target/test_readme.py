"""The README's settings table is what the plugin itself says."""

from __future__ import annotations

from pathlib import Path

import pytest
from docs.claims import unproved
from docs.settings_tables import main, renewed, table

from target_tableau_hyper.settings import CONFIG_JSONSCHEMA

README = Path(__file__).parents[2] / "target-tableau-hyper" / "README.md"


def test_settings_table_is_current() -> None:
    assert main(["--check", str(README)]) == 0


def test_every_claim_beside_other_tools_links_to_a_test_that_is_there() -> None:
    claims, without = unproved(README)
    assert claims > 10
    assert without == []


def test_a_claim_without_a_test_is_found(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text("def test_yes() -> None: ...\n")
    readme = tmp_path / "README.md"
    readme.write_text(
        "## Beside other tools\n\n| | us | shown by |\n|---|---|---|\n"
        "| one | yes | [test_yes](test_a.py) |\n| two | yes | [test_no](test_a.py) |\n"
        "| three | yes | [test_yes](gone.py) |\n| four | yes | |\n\n## Next\n\n| no | claim |\n"
    )
    claims, without = unproved(readme)
    assert (claims, [row.split("|")[1].strip() for row in without]) == (4, ["two", "three", "four"])


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
