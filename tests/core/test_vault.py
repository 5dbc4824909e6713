"""The encrypted file of credentials and its key."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet

from pipeline_core.errors import BusyError, ConfigError, IntegrityError
from pipeline_core.secrets.keys import CREDENTIAL, KeyFile, find_keys
from pipeline_core.secrets.reference import Reference
from pipeline_core.secrets.vault import Vault, vault_path

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "canary-Vault-5521"
WHERE = Reference("vault", "d365fo", "client_secret")


@pytest.fixture
def holder(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "keys" / "vault.key")


@pytest.fixture
def vault(tmp_path: Path, holder: KeyFile) -> Vault:
    return Vault.create(tmp_path / "data" / "vault.json", holder)


def reopened(vault: Vault) -> Vault:
    return Vault.open(vault.path, vault.holder)


def test_a_value_comes_back_and_is_nowhere_in_clear(vault: Vault, tmp_path: Path) -> None:
    vault.put("d365fo", "client_secret", SECRET)
    vault.put("tableau", "token_value", "another")
    found = reopened(vault).get(WHERE)
    assert (found.value, found.revision) == (SECRET, "1")
    assert SECRET not in repr(found)
    assert SECRET not in repr(vault.sets())
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or SECRET.encode() not in path.read_bytes()


def test_files_are_for_their_owner_alone(vault: Vault, holder: KeyFile) -> None:
    vault.put("d365fo", "client_secret", SECRET)
    assert vault.path.stat().st_mode & 0o777 == 0o600
    assert holder.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("which", ["vault", "key"])
def test_a_file_that_others_may_read_is_refused(vault: Vault, holder: KeyFile, which: str) -> None:
    path = vault.path if which == "vault" else holder.path
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        reopened(vault)


def test_fields_of_a_set_grow_and_revisions_count(vault: Vault) -> None:
    vault.put("d365fo", "client_secret", "one")
    vault.put("d365fo", "other", "two")
    changed = vault.put("d365fo", "client_secret", "three")
    assert changed.revision == 3
    assert dict(reopened(vault).sets()[0].fields) == {"client_secret": "three", "other": "two"}


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        (Reference("vault", "sap", "x"), "no set sap .it has d365fo"),
        (Reference("vault", "d365fo", "x"), "no x .it has client_secret"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(
    vault: Vault, reference: Reference, told: str
) -> None:
    vault.put("d365fo", "client_secret", SECRET)
    with pytest.raises(ConfigError, match=told):
        vault.get(reference)


def test_tokens_that_were_swapped_do_not_pass_for_each_other(vault: Vault) -> None:
    vault.put("d365fo", "client_secret", SECRET)
    vault.put("tableau", "client_secret", "another")
    content = json.loads(vault.path.read_text())
    sets = content["sets"]
    sets["d365fo"], sets["tableau"] = sets["tableau"], sets["d365fo"]
    vault.path.write_text(json.dumps(content))
    with pytest.raises(IntegrityError, match="holds set tableau"):
        reopened(vault).get(WHERE)


def test_one_changed_character_is_noticed(vault: Vault) -> None:
    vault.put("d365fo", "client_secret", SECRET)
    content = json.loads(vault.path.read_text())
    token = content["sets"]["d365fo"]
    content["sets"]["d365fo"] = token[:40] + ("A" if token[40] != "A" else "B") + token[41:]
    vault.path.write_text(json.dumps(content))
    with pytest.raises(IntegrityError, match="damaged, or of another key"):
        reopened(vault).get(WHERE)


def test_another_key_opens_nothing(vault: Vault, holder: KeyFile) -> None:
    vault.put("d365fo", "client_secret", SECRET)
    holder.write([Fernet.generate_key().decode()])
    with pytest.raises(IntegrityError, match="another key"):
        reopened(vault).get(WHERE)


def test_a_rotation_retires_the_old_key(vault: Vault, holder: KeyFile) -> None:
    vault.put("d365fo", "client_secret", SECRET)
    old, before = holder.read(), vault.path.read_bytes()
    assert vault.rotate() == 1
    assert len(holder.read()) == 1
    assert holder.read() != old
    assert vault.get(WHERE).value == reopened(vault).get(WHERE).value == SECRET
    vault.path.write_bytes(before)
    with pytest.raises(IntegrityError):
        reopened(vault).get(WHERE)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_rotation_that_dies_loses_nothing(vault: Vault, holder: KeyFile, step: int) -> None:
    """Killed right after the new key, the new vault, or the old key's end is on disk."""
    vault.put("d365fo", "client_secret", SECRET)
    script = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        from pipeline_core import files
        from pipeline_core.secrets import keys, vault
        left = [{step}]
        real = files.write_atomically
        def dying(*args, **kwargs):
            real(*args, **kwargs)
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
        keys.write_atomically = vault.write_atomically = dying
        holder = keys.KeyFile(Path({str(holder.path)!r}))
        vault.Vault.open(Path({str(vault.path)!r}), holder).rotate()
    """)
    done = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert reopened(vault).get(WHERE).value == SECRET
    reopened(vault).rotate()
    assert reopened(vault).get(WHERE).value == SECRET
    assert len(holder.read()) == 1


def test_a_key_that_the_system_keeps_is_replaced_by_one_in_a_file(
    vault: Vault, holder: KeyFile, tmp_path: Path
) -> None:
    vault.put("d365fo", "client_secret", SECRET)
    kept = KeyFile(holder.path, read_only=True)
    with pytest.raises(ConfigError, match="secrets rotate --new-key FILE"):
        Vault.open(vault.path, kept).rotate()
    new = KeyFile(tmp_path / "new/vault.key")
    assert Vault.open(vault.path, kept).rotate(new) == 1
    assert new.path.stat().st_mode & 0o777 == 0o600
    assert Vault.open(vault.path, new).get(WHERE).value == SECRET
    with pytest.raises(IntegrityError):
        Vault.open(vault.path, kept).get(WHERE)


def test_a_rotation_to_a_file_goes_on_where_it_was_cut_off(
    vault: Vault, holder: KeyFile, tmp_path: Path
) -> None:
    vault.put("d365fo", "client_secret", SECRET)
    new = KeyFile(tmp_path / "new/vault.key")
    key = Fernet.generate_key().decode()
    new.write([key, *holder.read()])
    assert vault.rotate(new) == 1
    assert new.read() == [key]
    assert Vault.open(vault.path, new).get(WHERE).value == SECRET


def test_a_key_of_something_else_is_not_taken_for_a_new_one(
    vault: Vault, holder: KeyFile, tmp_path: Path
) -> None:
    vault.put("d365fo", "client_secret", SECRET)
    other = KeyFile(tmp_path / "other/vault.key")
    other.write([Fernet.generate_key().decode()])
    before = other.read(), holder.read(), vault.path.read_bytes()
    with pytest.raises(ConfigError, match="holds another key already"):
        vault.rotate(other)
    assert (other.read(), holder.read(), vault.path.read_bytes()) == before


def test_two_changes_at_once_are_refused(vault: Vault) -> None:
    with vault.path.with_name(f".{vault.path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BusyError, match="another process"):
            reopened(vault).put("d365fo", "client_secret", SECRET)


def test_a_vault_is_not_made_twice(vault: Vault) -> None:
    with pytest.raises(ConfigError, match="there is a vault"):
        Vault.create(vault.path, vault.holder)


def test_something_else_is_no_vault(vault: Vault) -> None:
    vault.path.write_text('{"format": 99, "sets": {}}')
    with pytest.raises(IntegrityError, match="no vault of this version"):
        reopened(vault).sets()


def test_a_missing_vault_or_key_is_told_with_what_to_do(vault: Vault, holder: KeyFile) -> None:
    holder.path.unlink()
    with pytest.raises(ConfigError, match="there is no key at"):
        reopened(vault)
    vault.path.unlink()
    with pytest.raises(ConfigError, match="secrets init"):
        reopened(vault)


def test_the_key_comes_from_systemd_before_anything_else(tmp_path: Path) -> None:
    (tmp_path / "creds").mkdir()
    credential = tmp_path / "creds" / CREDENTIAL
    key = Fernet.generate_key().decode()
    credential.write_text(key)
    credential.chmod(0o400)
    named = KeyFile(tmp_path / "named.key")
    named.write([Fernet.generate_key().decode()])
    environment = {
        "CREDENTIALS_DIRECTORY": str(credential.parent),
        "D365FO_TABLEAU_KEY_FILE": str(named.path),
    }
    vault = tmp_path / "data" / "vault.json"
    found = find_keys(environment, vault=vault)
    assert found.read() == [key]
    with pytest.raises(ConfigError, match="kept by the system"):
        found.write([])
    del environment["CREDENTIALS_DIRECTORY"]
    assert find_keys(environment, vault=vault).read() == named.read()


def test_a_key_beside_the_vault_is_refused(tmp_path: Path) -> None:
    environment = {"D365FO_TABLEAU_KEY_FILE": str(tmp_path / "vault.key")}
    with pytest.raises(ConfigError, match="the same folder"):
        find_keys(environment, vault=tmp_path / "vault.json")


def test_the_usual_places(tmp_path: Path) -> None:
    home = {"XDG_CONFIG_HOME": str(tmp_path / "c"), "XDG_DATA_HOME": str(tmp_path / "d")}
    vault = vault_path(home)
    assert vault == tmp_path / "d" / "d365fo-tableau" / "vault.json"
    assert find_keys(home, vault=vault).place == str(tmp_path / "c" / "d365fo-tableau/vault.key")
    assert vault_path({"D365FO_TABLEAU_VAULT": os.fspath(tmp_path / "v")}) == tmp_path / "v"


def test_a_key_file_that_holds_something_else_is_told(vault: Vault, holder: KeyFile) -> None:
    holder.path.write_text("not a key\n")
    with pytest.raises(ConfigError, match="no key of a vault") as caught:
        reopened(vault)
    assert "not a key" not in str(caught.value).replace("no key", "")
