"""Write the settings table of a plugin's README from what the plugin itself says (``--about``).

A README has the table between two markers, each on a line of its own::

    <!-- settings:begin -->
    <!-- settings:end -->

The plugin is the command named like the README's folder::

    python docs/settings_tables.py tap-d365fo/README.md target-tableau-hyper/README.md
    python docs/settings_tables.py --check target-tableau-hyper/README.md
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

BEGIN = "<!-- settings:begin -->"
END = "<!-- settings:end -->"


def about(command: str) -> dict[str, Any]:
    """What ``command --about --format json`` prints; it must be installed beside this Python."""
    program = Path(sys.executable).parent / command
    told = subprocess.run(  # noqa: S603 - a command of this workspace
        [program, "--about", "--format", "json"], capture_output=True, check=True
    )
    content: dict[str, Any] = json.loads(told.stdout)
    return content


def table(settings: dict[str, Any]) -> str:
    """A Markdown table of a settings schema, in its own order."""
    required = set(settings.get("required", ()))
    lines = ["| Setting | Default | Meaning |", "|---|---|---|"]
    for name, definition in settings["properties"].items():
        if name in required:
            default = "required"
        elif "default" in definition:
            default = f"`{json.dumps(definition['default'])}`"
        else:
            default = ""
        lines.append(f"| `{name}` | {default} | {_meaning(definition)} |")
    return "\n".join(lines)


def renewed(readme: str, new_table: str) -> str:
    """The README's text with ``new_table`` between the markers.

    Raises:
        ValueError: the markers are missing.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        message = f"the README has no {BEGIN} and {END}"
        raise ValueError(message)
    return f"{before}{BEGIN}\n{new_table}\n{END}{after}"


def main(arguments: list[str]) -> int:
    """Renew, or only check, the tables of the READMEs named; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only tell whether they are current")
    parser.add_argument("readme", nargs="+", type=Path)
    options = parser.parse_args(arguments)
    outdated = []
    for path in options.readme:
        old = path.read_text(encoding="utf-8")
        new = renewed(old, table(about(path.resolve().parent.name)["settings"]))
        if new != old:
            outdated.append(str(path))
            if not options.check:
                path.write_text(new, encoding="utf-8")
    if options.check and outdated:
        print(f"settings tables are not current: {', '.join(outdated)}", file=sys.stderr)  # noqa: T201 - a command
        return 1
    return 0


def _meaning(definition: dict[str, Any]) -> str:
    text = " ".join(str(definition.get("description", "")).split()).replace("|", "\\|")
    allowed = [value for value in definition.get("enum", ()) if value is not None]
    if allowed:
        text += f" One of {', '.join(f'`{value}`' for value in allowed)}."
    if definition.get("secret"):
        text += " **Secret.**"
    return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
