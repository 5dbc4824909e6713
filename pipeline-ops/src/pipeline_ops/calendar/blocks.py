"""Whether the project has what the calendar wants to run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from pipeline_core.errors import ConfigError
from pipeline_ops.calendar.lines import nearest

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline_ops.calendar.settings import CloseCalendar


def check_blocks(calendar: CloseCalendar, project: Path) -> None:
    """Look up every job and plugin in ``meltano.yml``.

    A project in several files (``include_paths``) is not looked through; Meltano itself then says
    what it lacks.

    Raises:
        ConfigError: names the event and what the project does not have.
    """
    try:
        described = yaml.safe_load((project / "meltano.yml").read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        message = f"{project / 'meltano.yml'} cannot be read: {error}"
        raise ConfigError(message) from error
    if described.get("include_paths"):
        return
    known = _names(described)
    for group in calendar.groups:
        for event in group.events:
            for block in event.blocks:
                if block.partition(":")[0] not in known:
                    message = (
                        f"{calendar.path.name}: event {event.name} runs {block!r}, which "
                        f"meltano.yml does not have{nearest(block, sorted(known))}"
                    )
                    raise ConfigError(message)


def _names(described: dict[str, Any]) -> set[str]:
    jobs = {str(job["name"]) for job in described.get("jobs") or []}
    plugins = [
        plugin for kind in (described.get("plugins") or {}).values() for plugin in kind or []
    ]
    mappings = {
        str(mapping["name"]) for plugin in plugins for mapping in plugin.get("mappings") or []
    }
    return jobs | mappings | {str(plugin["name"]) for plugin in plugins}
