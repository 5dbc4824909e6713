"""``listen.yml``: what it may hold, and what is told of mistakes."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.ops.listen.listening import COMMAND, D365_SECRET, TABLEAU_SECRET

from pipeline_core.errors import ConfigError
from pipeline_ops.listen.alerts import Alert, send
from pipeline_ops.listen.settings import ABOUT, Backoff, Channel, load
from pipeline_ops.listen.settings_schema import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator

_D365 = {"d365": {"url_secrets": [D365_SECRET]}}
_PIPELINE = {"name": "finance", "events": [{"event": "X"}]}
_EMAIL = {"kind": "email", "host": "h", "from": "a@x", "to": ["b@x"]}


def written(folder: Path, content: Any, *, mode: int = 0o600) -> Path:  # noqa: ANN401
    path = folder / "listen.yml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    path.chmod(mode)
    return path


def test_defaults_and_paths(tmp_path: Path) -> None:
    settings = load(written(tmp_path, {**_D365, "pipelines": [_PIPELINE]}))
    assert (settings.bind, settings.port) == ("127.0.0.1", 8321)
    assert settings.inbox_path == tmp_path / "var/listen/inbox.db"
    assert settings.ledger_path == tmp_path / "var/ledger.db"
    (pipeline,) = settings.pipelines
    assert pipeline.blocks == ("finance",)
    assert (pipeline.quiet_s, pipeline.longest_s) == (300, 1800)
    assert pipeline.retry == Backoff(5, 60, 900)
    assert settings.plain_secrets == ("d365.url_secrets 1",)


@pytest.mark.parametrize(
    ("run", "blocks"),
    [
        ("finance", ("finance",)),
        ("tap-d365fo target-tableau-hyper", ("tap-d365fo", "target-tableau-hyper")),
        (["tap-d365fo", "target-tableau-hyper"], ("tap-d365fo", "target-tableau-hyper")),
    ],
)
def test_a_pipeline_runs_a_job_or_blocks(
    tmp_path: Path, run: str | list[str], blocks: tuple[str, ...]
) -> None:
    settings = load(written(tmp_path, {**_D365, "pipelines": [{**_PIPELINE, "run": run}]}))
    assert settings.pipelines[0].blocks == blocks


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param({}, "nobody may call", id="no sender"),
        pytest.param("a: [", "is no YAML (line 1)", id="no YAML"),
        pytest.param("- x", "must hold settings", id="a list"),
        pytest.param({**_D365, "prot": 1}, "has no prot (known: bind, port,", id="a typing error"),
        pytest.param({**_D365, "port": "x"}, "port must be of type integer", id="type"),
        pytest.param(
            {"d365": {"url_secrets": ["hunter2-short"]}}, "`openssl rand -hex 32`", id="short"
        ),
        pytest.param(
            {"d365": {"url_secrets": ["a/" * 30]}}, "letters, digits, '-' and '_'", id="letters"
        ),
        pytest.param({"d365": {"url_secrets": []}}, "d365.url_secrets", id="empty"),
        pytest.param(
            {"d365": {"url_secrets": [D365_SECRET] * 3}}, "maxItems 2", id="more than two"
        ),
        pytest.param(
            {**_D365, "event_grid": {"url_secrets": [D365_SECRET]}},
            "d365 and event-grid have the same url secret",
            id="one secret for two",
        ),
        pytest.param(
            {**_D365, "pipelines": [_PIPELINE, _PIPELINE]},
            "two pipelines are named finance",
            id="twice",
        ),
        pytest.param(
            {**_D365, "pipelines": [{**_PIPELINE, "coalesce": {"quiet": 10, "longest": 5}}]},
            "longest is less than coalesce.quiet",
            id="longest before quiet",
        ),
        pytest.param(
            {**_D365, "pipelines": [{"name": "../x", "events": [{"event": "X"}]}]},
            "pipelines.0.name",
            id="a name that is a path",
        ),
        pytest.param(
            {**_D365, "alerts": [{"kind": "pager"}]}, "must be one of webhook, email", id="alert"
        ),
        pytest.param(
            {**_D365, "alerts": [{"kind": "webhook"}]}, "lacks url", id="alert without url"
        ),
        pytest.param(
            {**_D365, "alerts": [{**_EMAIL, "about": ["everything"]}]},
            "must be one of refresh_failed",
            id="alert about what",
        ),
        pytest.param(
            {"tableau": {"server_url": "https://x", "url_secrets": ["secret://vault/x"]}},
            "tableau.url_secrets 1 begins with secret://",
            id="half a reference",
        ),
        pytest.param(
            {**_D365, "alerts": [{**_EMAIL, "security": "none", "password": "hunter2-short"}]},
            "a password would travel in clear",
            id="a password without TLS",
        ),
        pytest.param(
            {**_D365, "tls": {"certificate": "no.pem", "key": "no.pem"}},
            "tls.certificate names 'no.pem', which is no file",
            id="no certificate",
        ),
    ],
)
def test_mistakes_are_told_with_what_to_do(tmp_path: Path, content: Any, told: str) -> None:  # noqa: ANN401
    with pytest.raises(ConfigError) as refused:
        load(written(tmp_path, content))
    message = str(refused.value)
    assert told in message
    for secret in (D365_SECRET, "hunter2-short"):
        assert secret not in message


def test_a_secret_in_clear_in_a_file_for_everybody_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="chmod o-r it, or write a secret:// reference"):
        load(written(tmp_path, _D365, mode=0o644))
    assert load(written(tmp_path, _D365, mode=0o640))


def test_every_setting_is_in_the_documentation() -> None:
    text = (Path(__file__).parents[3] / "docs/listen.md").read_text()

    def names(schema: dict[str, Any]) -> Iterator[str]:
        for name, inner in schema.get("properties", {}).items():
            yield name
            yield from names(inner)
        for inner in (schema.get("items"), *schema.get("allOf", []), schema.get("then")):
            if isinstance(inner, dict):
                yield from names(inner)

    assert [name for name in names(SCHEMA) if not re.search(rf"\b{name}\b", text)] == []


def test_check_tells_what_was_understood(tmp_path: Path) -> None:
    (tmp_path / "meltano.yml").write_text("version: 1\n")
    written(tmp_path, {**_D365, "pipelines": [_PIPELINE], "alerts": [_EMAIL]})
    done = subprocess.run(
        [COMMAND, "listen", "check"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "listen.yml is right" in done.stdout
    assert "pipeline finance: meltano run finance on X" in done.stdout
    assert f"alert email 1: {', '.join(sorted(ABOUT))}" in done.stdout


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({**_D365, "pipelines": [_PIPELINE]}, "there is no meltano.yml"),
        ({"tableau": {"server_url": "https://x", "url_secrets": [TABLEAU_SECRET]}}, "token_value"),
    ],
)
def test_the_service_does_not_begin_without_what_it_needs(
    tmp_path: Path,
    content: Any,  # noqa: ANN401
    told: str,
) -> None:
    written(tmp_path, content)
    done = subprocess.run(
        [COMMAND, "listen"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 78
    assert told in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("kind", "options", "trouble"),
    [
        ("command", {"command": ["false"]}, "the command ended with 1"),
        ("command", {"command": ["/no/such/command"]}, "FileNotFoundError"),
        ("webhook", {"url": "https://127.0.0.1:1/canary-path"}, "the webhook cannot be reached"),
        (
            "email",
            {"host": "127.0.0.1", "port": 1, "from": "a@x", "to": ["b@x"]},
            "ConnectionRefusedError",
        ),
    ],
)
def test_an_alert_that_cannot_be_sent_is_told_without_its_secret(
    tmp_path: Path, kind: str, options: dict[str, Any], trouble: str
) -> None:
    alert = Alert(1, "x", "run_failed", "s", "t", "r", 0.0)
    told = send(alert, Channel("x", kind, frozenset(), options), tmp_path)
    assert trouble in told
    assert "canary" not in told
