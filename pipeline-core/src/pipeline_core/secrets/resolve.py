"""Put values in the place of references, within the process that needs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline_core.redaction import REDACTOR
from pipeline_core.secrets.reference import Reference, is_reference
from pipeline_core.secrets.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pipeline_core.secrets.stores import SecretStore


@dataclass(frozen=True, slots=True)
class Use:
    """A secret that a run has taken from a store: what the ledger may know of it.

    Attributes:
        setting: The setting that it is for.
        reference: Where it came from.
        revision: Which of its values, as the store counts them; empty where it does not.
    """

    setting: str
    reference: Reference
    revision: str


def secret_settings(schema: Mapping[str, Any]) -> list[str]:
    """Names of the settings that a plugin's schema marks as secret."""
    return [
        name
        for name, definition in schema.get("properties", {}).items()
        if definition.get("secret") or definition.get("writeOnly")
    ]


def resolve_secrets(
    config: Mapping[str, Any],
    names: list[str],
    *,
    store: Callable[[str], SecretStore] = open_store,
) -> tuple[dict[str, Any], list[Use]]:
    """The settings with every reference resolved, and what was taken.

    Each value, plain or resolved, is masked from now on in whatever this process writes.

    Args:
        config: Settings as given; not changed.
        names: Those of them that are secret.
        store: Opens a store by its name.

    Raises:
        ConfigError: a reference leads nowhere, or its store cannot be opened.
    """
    resolved, uses = dict(config), []
    for name in names:
        value = config.get(name)
        if is_reference(value):
            reference = Reference.parse(str(value), setting=name)
            secret = store(reference.store).get(reference)
            resolved[name] = secret.value
            uses.append(Use(name, reference, secret.revision))
        if resolved.get(name):
            REDACTOR.add(str(resolved[name]))
    return resolved, uses


def told(uses: Sequence[Use]) -> dict[str, dict[str, str]]:
    """What an event of the ledger says about secrets: setting -> reference and revision."""
    if not uses:
        return {}
    return {
        "secrets": {
            use.setting: f"{use.reference}{f' revision {use.revision}' if use.revision else ''}"
            for use in uses
        }
    }
