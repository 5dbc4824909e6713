"""``d365fo-tableau secrets``, as a person uses it."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline_core.secrets.keyrings import SERVICE

COMMAND = Path(sys.executable).with_name("d365fo-tableau")
SECRET = "canary-Typed-9917"


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    places = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_DATA_HOME": str(tmp_path / "data")}
    return {**os.environ, **places}


def secrets(
    home: dict[str, str], *arguments: str, given: str = "", code: int = 0
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [COMMAND, "secrets", *arguments],
        env=home,
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr
    return done


def test_from_an_empty_vault_to_a_rotated_one(home: dict[str, str], tmp_path: Path) -> None:
    made = secrets(home, "init").stdout
    assert str(tmp_path / "data/d365fo-tableau/vault.json") in made
    assert str(tmp_path / "config/d365fo-tableau/vault.key") in made
    assert "the vault is empty" in secrets(home, "list").stdout
    told = secrets(home, "set", "d365fo", "client_secret", given=f"{SECRET}\n").stdout
    assert "secret://vault/d365fo#client_secret is set (revision 1 of d365fo)" in told
    (tmp_path / "token.txt").write_text("from a file\r\n")
    secrets(home, "set", "tableau", "token_value", "--from-file", str(tmp_path / "token.txt"))
    listed = secrets(home, "list").stdout
    assert "secret://vault/tableau#token_value" in listed
    key = secrets(home, "export-key", "--yes").stdout
    assert "2 sets are encrypted with a new key" in secrets(home, "rotate").stdout
    assert secrets(home, "export-key", "--yes").stdout != key
    secrets(home, "remove", "tableau", "--yes")
    assert "tableau" not in secrets(home, "list").stdout


def test_a_value_is_typed_without_being_shown(home: dict[str, str]) -> None:
    secrets(home, "init")
    control, terminal = pty.openpty()
    with subprocess.Popen(
        [COMMAND, "secrets", "set", "d365fo", "client_secret"],
        env=home,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    ) as process:
        os.close(terminal)
        shown = b""
        for wanted in (b"client_secret of d365fo: ", b"once more: "):
            while not shown.endswith(wanted):
                shown += os.read(control, 1000)
            os.write(control, f"{SECRET}\n".encode())
        while b"revision 1" not in shown:
            shown += os.read(control, 1000)
        assert process.wait(timeout=30) == 0
    os.close(control)
    assert SECRET.encode() not in shown
    assert "client_secret" in secrets(home, "list").stdout


@pytest.mark.parametrize(
    ("arguments", "given", "code", "message"),
    [
        (("set", "d365fo", "client_secret"), "", 78, "an empty value is no secret"),
        (("set", "../x", "client_secret"), "value", 78, "is no name"),
        (("remove", "sap", "--yes"), "", 78, "no set sap"),
        (("init",), "", 78, "there is a vault"),
    ],
)
def test_mistakes_are_told_and_change_nothing(
    home: dict[str, str], arguments: tuple[str, ...], given: str, code: int, message: str
) -> None:
    secrets(home, "init")
    before = secrets(home, "list").stdout
    assert message in secrets(home, *arguments, given=given, code=code).stderr
    assert secrets(home, "list").stdout == before


#: Stands for systemd: takes the properties that we use, puts the credential there, and runs.
SYSTEMD_RUN = f"""\
#!{sys.executable}
import os, pathlib, subprocess, sys
options = [word for word in sys.argv[1:] if word.startswith("--")]
command = [word for word in sys.argv[1:] if not word.startswith("--")]
command = sys.argv[sys.argv.index(command[0]):]
assert "--property=LoadCredentialEncrypted=d365fo-tableau-key" in options
assert "--uid=d365fo-tableau" in options and "--pipe" in options
places = pathlib.Path(os.environ["CREDSTORE"])
environment = {{"PATH": os.environ["PATH"], "CREDENTIALS_DIRECTORY": str(places)}}
for option in options:
    if option.startswith("--setenv="):
        name, _, value = option.removeprefix("--setenv=").partition("=")
        environment[name] = value
sys.exit(subprocess.run(command, env=environment).returncode)
"""


def test_on_the_host_of_the_recipe_secrets_and_key_are_renewed(tmp_path: Path) -> None:
    """The steps of docs/deployment.md: the key is nowhere but in the credential."""
    project = Path(__file__).parents[2]
    store, etc, tools = (tmp_path / name for name in ("credstore", "etc", "bin"))
    for folder in (store, etc / "vault", tools):
        folder.mkdir(parents=True)
    key = tmp_path / "shm/vault.key"
    recipe = project / "deploy/systemd"
    unit = (recipe / "d365fo-tableau-run.service").read_text()
    (tmp_path / "unit").write_text(unit.replace("/etc/d365fo-tableau", str(etc)))
    script = (recipe / "d365fo-tableau-by-hand").read_text()
    script = script.replace("/opt/d365fo-tableau", str(project))
    script = re.sub(r"unit=.*", f"unit={tmp_path / 'unit'}", script)
    (tools / "by-hand").write_text(script)
    (tools / "systemd-run").write_text(SYSTEMD_RUN)
    for tool in tools.iterdir():
        tool.chmod(0o755)
    vault = {"D365FO_TABLEAU_VAULT": str(etc / "vault/vault.json")}
    secrets({**os.environ, **vault, "D365FO_TABLEAU_KEY_FILE": str(key)}, "init")

    def encrypt(file: Path) -> None:
        """As systemd-creds does, and shred after it."""
        shutil.move(file, store / "d365fo-tableau-key")

    def by_hand(*words: str, given: str = "", code: int = 0) -> str:
        done = subprocess.run(
            [tools / "by-hand", "secrets", *words],
            env={"PATH": f"{tools}:{os.environ['PATH']}", "CREDSTORE": str(store)},
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    encrypt(key)
    told = by_hand("set", "d365fo", "client_secret", given=SECRET)
    assert "revision 1 of d365fo" in told
    assert "secrets rotate --new-key FILE" in by_hand("rotate", code=78)
    new = tmp_path / "shm/new.key"
    told = by_hand("rotate", f"--new-key={new}")
    assert f"{new} /etc/credstore.encrypted/d365fo-tableau-key && shred -u {new}" in told
    assert "another key than the one" in by_hand("list", code=70)
    encrypt(new)
    assert "secret://vault/d365fo#client_secret" in by_hand("list")


def test_without_a_vault_it_says_how_to_make_one(home: dict[str, str]) -> None:
    failed = secrets(home, "list", code=78)
    assert failed.stderr.strip().splitlines()[-1].endswith("d365fo-tableau secrets init")


#: A back end of the test's own, in a file, for programs that are started.
RING = """
import json, pathlib
from keyring.backend import KeyringBackend
class Ring(KeyringBackend):
    priority = 1
    path = pathlib.Path(__file__).with_name("ring.json")
    def _all(self):
        return json.loads(self.path.read_text()) if self.path.exists() else {}
    def get_password(self, service, name):
        return self._all().get(service + "/" + name)
    def set_password(self, service, name, value):
        self.path.write_text(json.dumps({**self._all(), service + "/" + name: value}))
"""

#: The command with that back end among the trusted ones.
TRUSTING = """
import sys
from pipeline_core.secrets import keyrings
keyrings._TRUSTED = frozenset({"ring"})
from pipeline_ops.cli import main
main()
"""


def test_a_secret_and_the_vaults_key_in_the_keyring(tmp_path: Path) -> None:
    """As docs/credentials.md says it: `keyring set`, and `secrets init --keyring`."""
    (tmp_path / "ring.py").write_text(RING)
    environment = {
        **os.environ,
        "PYTHONPATH": str(tmp_path),
        "PYTHON_KEYRING_BACKEND": "ring.Ring",
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_DATA_HOME": str(tmp_path / "data"),
    }

    def run(*words: str, given: str = "") -> str:
        return subprocess.run(
            [sys.executable, *words],
            input=given,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    run("-m", "keyring", "set", SERVICE, "d365fo#client_secret", given="from the keyring")
    script = (
        "from pipeline_core.secrets import keyrings; keyrings._TRUSTED = frozenset({'ring'});"
        "from pipeline_core.secrets.resolve import resolve_secrets;"
        "print(resolve_secrets({'s': 'secret://keyring/d365fo#client_secret'}, ['s'])[0]['s'])"
    )
    assert run("-c", script) == "from the keyring\n"
    assert "key:   the system's keyring" in run("-c", TRUSTING, "secrets", "init", "--keyring")
    run("-c", TRUSTING, "secrets", "set", "tableau", "token_value", given="a token")
    former = run("-c", TRUSTING, "secrets", "export-key", "--yes")
    told = run("-c", TRUSTING, "secrets", "rotate")
    assert "1 sets are encrypted with a new key, kept at the system's keyring" in told
    assert run("-c", TRUSTING, "secrets", "export-key", "--yes") != former
    assert "secret://vault/tableau#token_value" in run("-c", TRUSTING, "secrets", "list")
    assert not (tmp_path / "config").exists()
