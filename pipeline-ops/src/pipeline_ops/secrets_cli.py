"""``d365fo-tableau secrets``: the vault that credentials are kept in."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pipeline_core.errors import ConfigError
from pipeline_core.secrets.keys import (
    CREDENTIAL,
    KeyFile,
    KeyHolder,
    KeyInKeyring,
    find_keys,
)
from pipeline_core.secrets.reference import NAME, Reference
from pipeline_core.secrets.vault import Vault, vault_path

_FORMS = """
\b
Settings then name the value instead of holding it:
  tap-d365fo client_secret:                  secret://vault/d365fo#client_secret
  target-tableau-hyper tableau_token_value:  secret://vault/tableau#token_value

\b
Where the vault and its key are:
  D365FO_TABLEAU_VAULT     the vault (default ~/.local/share/d365fo-tableau/vault.json)
  D365FO_TABLEAU_KEY_FILE  the key   (default ~/.config/d365fo-tableau/vault.key)
A systemd credential named d365fo-tableau-key comes before both key files; the
operating system's keyring is asked when there is no key file.
"""

_SET = """Store a value: asked for without showing it, or read from standard input.

\b
d365fo-tableau secrets set d365fo client_secret
d365fo-tableau secrets set tableau token_value < token.txt
"""

_ROTATE = """Encrypt everything with a new key; the old one opens nothing afterwards.

A key that the system keeps (a systemd credential) cannot be changed from here. Then the new one
goes into a file, and you put it in the old one's place:

\b
d365fo-tableau secrets rotate --new-key /dev/shm/vault.key
"""

_EXPORT = """Print the key, to put it into a systemd credential, a Kubernetes secret or a safe.

\b
d365fo-tableau secrets export-key --yes | systemd-creds encrypt \\
    --name=d365fo-tableau-key - /etc/credstore.encrypted/d365fo-tableau-key
"""


@click.group(epilog=_FORMS)
def secrets() -> None:
    """Keep credentials encrypted: init, set, list, remove, rotate, export-key."""


def _open() -> Vault:
    path = vault_path()
    return Vault.open(path, find_keys(vault=path))


@secrets.command()
@click.option(
    "--keyring", is_flag=True, help="Keep the key in the operating system's keyring, not in a file."
)
def init(*, keyring: bool) -> None:
    """Make an empty vault and its key."""
    path = vault_path()
    holder: KeyHolder = KeyInKeyring() if keyring else find_keys(vault=path)
    had_key = bool(holder.read())
    vault = Vault.create(path, holder)
    click.echo(f"vault: {vault.path}")
    click.echo(f"key:   {holder.place}{' (was there)' if had_key else ''}")
    if isinstance(holder, KeyFile):
        click.echo("Back up the two apart from each other: together they are the secrets in clear.")


@secrets.command("set", help=_SET)
@click.argument("set_name", metavar="SET")
@click.argument("field")
@click.option(
    "--from-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Take the value from a file, without a line break at its end.",
)
def set_value(set_name: str, field: str, from_file: Path | None) -> None:
    """Store a value."""
    for name in (set_name, field):
        if not NAME.fullmatch(name):
            message = f"{name!r} is no name: use letters, digits, '.', '_' and '-'"
            raise ConfigError(message)
    vault = _open()  # before the question, so that nobody types a secret in vain
    value = _value(f"{field} of {set_name}", from_file)
    if not value:
        message = "an empty value is no secret; nothing was changed"
        raise ConfigError(message)
    changed = vault.put(set_name, field, value)
    click.echo(
        f"{Reference('vault', set_name, field)} is set (revision {changed.revision} of {set_name})"
    )


def _value(prompt: str, from_file: Path | None) -> str:
    if from_file is not None:
        return from_file.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    if sys.stdin.isatty():
        return str(click.prompt(prompt, hide_input=True, confirmation_prompt="once more"))
    return sys.stdin.read().removesuffix("\n").removesuffix("\r")


@secrets.command("list")
def list_sets() -> None:
    """What the vault holds: sets, revisions, names of fields; never a value."""
    found = _open().sets()
    if not found:
        click.echo("the vault is empty; see `secrets set --help`")
    for each in found:
        changed = each.changed_at[:16].replace("T", " ")
        click.echo(f"{each.name}  revision {each.revision}, changed {changed} UTC")
        for field in sorted(each.fields):
            click.echo(f"    {Reference('vault', each.name, field)}")


@secrets.command()
@click.argument("set_name", metavar="SET")
@click.confirmation_option(prompt="Forget this set and all its values?")
def remove(set_name: str) -> None:
    """Forget a set."""
    _open().remove(set_name)
    click.echo(f"set {set_name} is gone")


@secrets.command(help=_ROTATE)
@click.option(
    "--new-key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the new key to this file, for its owner alone, instead of where the old one is.",
)
def rotate(new_key: Path | None) -> None:
    """Encrypt everything with a new key."""
    vault = _open()
    former = vault.holder.place
    count = vault.rotate(None if new_key is None else KeyFile(new_key.absolute()))
    click.echo(f"{count} sets are encrypted with a new key, kept at {vault.holder.place}")
    if new_key is not None:
        click.echo(f"The key at {former} opens nothing any more: put the new one in its place now.")
        click.echo(
            f"For a service of systemd: systemd-creds encrypt --name={CREDENTIAL} "
            f"{vault.holder.place} /etc/credstore.encrypted/{CREDENTIAL} && "
            f"shred -u {vault.holder.place}"
        )
    click.echo("A backup of the former vault still opens with the former key: throw both away.")


@secrets.command("export-key", help=_EXPORT)
@click.option("--yes", is_flag=True, help="Do not ask.")
def export_key(*, yes: bool) -> None:
    """Print the key."""
    vault = _open()
    if not yes and sys.stdout.isatty():
        click.confirm("The key will be on your screen. Go on?", abort=True)
    for key in vault.holder.read():
        click.echo(key)
