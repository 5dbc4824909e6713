"""The recipes in ``deploy`` are what systemd, hadolint and the Kubernetes schemas accept.

Needs Debian's ``systemd`` package for ``systemd-analyze``; no service is started.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import click
import pytest
import yaml
from tests.interop.peers import HADOLINT, KUBERNETES_VALIDATE, scripts_of, shell

from pipeline_core import errors
from pipeline_ops.cli import cli

PROJECT = Path(__file__).parents[2]
DEPLOY = PROJECT / "deploy"
SERVICES = sorted((DEPLOY / "systemd").glob("*.service"))
DOCKERFILE = DEPLOY / "docker/Dockerfile"
MANIFEST = DEPLOY / "kubernetes/d365fo-tableau.yaml"

#: Where secrets are: read by the stores, not by an option.
VAULT_VARIABLES = {
    "D365FO_TABLEAU_VAULT",
    "D365FO_TABLEAU_KEY_FILE",
    "D365FO_TABLEAU_SECRETS_DIR",
    "D365FO_TABLEAU_AZURE_VAULT_URL",
}

#: Of ten; systemd calls everything below 2 well protected.
_MOST_EXPOSED = 1.5


def run(*command: str | Path) -> str:
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=120, check=False,
        env=shell(),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def _variables_of(command: click.Command) -> set[str]:
    """What the options of a command and of those below it may be given by."""
    found = {str(p.envvar) for p in command.params if p.envvar}
    if isinstance(command, click.Group):
        found.update(*(_variables_of(below) for below in command.commands.values()))
    return found


@pytest.fixture
def units(tmp_path: Path) -> list[Path]:
    """The units as they are, but for where the project lies: programs and documents must exist."""
    made = []
    for unit in (DEPLOY / "systemd").glob("*.[st]*[er]"):
        text = unit.read_text().replace("/opt/d365fo-tableau", str(PROJECT))
        (tmp_path / unit.name).write_text(text)
        made.append(tmp_path / unit.name)
    assert len(made) == 5
    return made


def test_systemd_has_nothing_to_say_about_the_units(units: list[Path]) -> None:
    assert run("/usr/bin/systemd-analyze", "verify", "--man=no", *units) == ""
    for unit in units:
        for link in re.findall(r"^Documentation=file://(.*)$", unit.read_text(), re.MULTILINE):
            assert Path(link).is_file(), link


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.stem)
def test_services_are_locked_up(unit: Path) -> None:
    told = run("/usr/bin/systemd-analyze", "security", "--offline=true", unit)
    (exposure,) = re.findall(r"Overall exposure level for \S+: ([\d.]+)", told)
    assert float(exposure) <= _MOST_EXPOSED


def test_services_differ_in_what_they_do_alone() -> None:
    """Where state lies and what is locked up is said three times; it must be the same."""

    def shared(unit: Path) -> list[str]:
        text = unit.read_text().partition("\nUser=")[2].partition("\n[Install]")[0]
        return text.split()

    assert len(SERVICES) == 3
    assert len({tuple(shared(unit)) for unit in SERVICES}) == 1


def test_the_image_is_built_as_hadolint_likes_it() -> None:
    assert run(scripts_of(HADOLINT) / "hadolint", DOCKERFILE) == ""


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    kept = {
        line[1:]
        for line in (PROJECT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = [
        source
        for line in DOCKERFILE.read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    ]
    assert len(copied) == 9
    for source in copied:
        assert (PROJECT / source).exists(), source
        assert source in kept, source


def test_the_manifests_are_what_kubernetes_knows() -> None:
    told = run(scripts_of(KUBERNETES_VALIDATE) / "kubernetes-validate", "--strict", MANIFEST)
    assert told.count("passed") == 3


def test_jobs_are_not_tried_again_where_that_is_in_vain() -> None:
    (job,) = [d for d in yaml.safe_load_all(MANIFEST.read_text()) if d["kind"] == "CronJob"]
    (rule,) = job["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    assert set(rule["onExitCodes"]["values"]) == {
        kind.exit_code
        for kind in (errors.ConfigError, errors.AuthError, errors.DataError, errors.IntegrityError)
    }


def test_every_recipe_starts_what_ends_with_those_codes() -> None:
    """`meltano run` would end with 1; that this does not is shown in tests/ops/test_run.py."""
    (job,) = [d for d in yaml.safe_load_all(MANIFEST.read_text()) if d["kind"] == "CronJob"]
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    (rule,) = job["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"]["containerName"] == container["name"]
    (image,) = re.findall(r"^CMD (.*)$", DOCKERFILE.read_text(), re.MULTILINE)
    unit = (DEPLOY / "systemd/d365fo-tableau-run.service").read_text()
    (service,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    for words in (container["args"], json.loads(image), service.split()):
        assert Path(words[0]).name == "d365fo-tableau"
        assert words[1] in cli.commands
        assert words[1:] == ["run", "finance"]


@pytest.mark.parametrize(
    "recipe",
    [*SERVICES, DOCKERFILE, MANIFEST, DEPLOY / "systemd/environment.example"],
    ids=lambda path: path.name,
)
def test_variables_are_settings_and_no_secret_stands_there(recipe: Path) -> None:
    plugins = yaml.safe_load((PROJECT / "meltano.yml").read_text())["plugins"]
    known = {
        f"{prefix}_{setting['name'].upper()}": setting.get("sensitive", False)
        for kind, prefix in (("extractors", "TAP_D365FO"), ("loaders", "TARGET_TABLEAU_HYPER"))
        for setting in plugins[kind][0]["settings"]
    }
    commands = _variables_of(cli)
    text = recipe.read_text()
    assert set(re.findall(r"\bD365FO_TABLEAU_[A-Z_]+", text)) <= commands | VAULT_VARIABLES
    found = dict(re.findall(r"\b((?:TAP_D365FO|TARGET_TABLEAU_HYPER)_[A-Z_]+)(?:=|: )(\S*)", text))
    assert found
    for name, value in found.items():
        assert name in known
        if known[name]:
            assert value.strip('"').startswith("secret://")
