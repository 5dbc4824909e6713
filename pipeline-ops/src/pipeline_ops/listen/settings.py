"""``listen.yml``: what the service listens for, and what it does then."""

from __future__ import annotations

import copy
import re
import shlex
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml
from jsonschema import Draft7Validator

from pipeline_core.config import describe_config_errors
from pipeline_core.errors import ConfigError
from pipeline_core.secrets.reference import is_reference
from pipeline_core.secrets.resolve import resolve_secrets
from pipeline_ops.listen.doors import D365, EVENT_GRID, STATUS, TABLEAU, Sender
from pipeline_ops.listen.settings_schema import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pipeline_core.secrets.resolve import Use

#: Letters of a URL's path that nobody quotes; 32 of them hold 190 bits.
_URL_SECRET = re.compile(r"[A-Za-z0-9_\-]{32,200}")

#: Event Grid sends batches of up to 1 MB (Azure documentation, "Event Grid quotas and limits").
_GRID_BODY_BYTES = 1024 * 1024

#: What may be alerted about.
ABOUT = ("refresh_failed", "refresh_gave_up", "refresh_recovered", "run_failed", "run_recovered")


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often something is tried again, and after which pauses (seconds)."""

    attempts: int
    first_wait_s: float
    longest_wait_s: float

    def wait_s(self, failures: int) -> float:
        """The pause after that many failures: doubled each time, up to the longest."""
        return float(min(self.longest_wait_s, self.first_wait_s * 2.0 ** min(failures - 1, 60)))


@dataclass(frozen=True, slots=True)
class TableauSide:
    """Tableau, as the service reaches it.

    Attributes:
        identity: Settings of the sign-in, named as the target's are.
        datasources: LUIDs or names that are looked after; empty for all of the site.
        refresh: How a failed refresh is repeated.
        job_timeout_s: When a refresh that does not end is given up.
        poll_s: Between two looks at a job.
    """

    server_url: str
    site: str
    ca_bundle: Path | None
    identity: Mapping[str, str] = field(repr=False)
    datasources: frozenset[str]
    refresh: Backoff
    job_timeout_s: float
    poll_s: float


@dataclass(frozen=True, slots=True)
class StatusSide:
    """The status page.

    Attributes:
        output_dir: The target's.
        late_after_h: Age in hours from which a data source is late.
    """

    output_dir: Path
    late_after_h: float


@dataclass(frozen=True, slots=True)
class Trigger:
    """Business events that start a pipeline.

    Attributes:
        event: ``BusinessEventId``, with ``*`` for any letters.
        companies: Legal entities in lower case; empty for all.
    """

    event: str
    companies: frozenset[str]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A Meltano job and the events that start it.

    Attributes:
        blocks: What ``meltano run`` is given.
        quiet_s: It starts once no event has come for so long,
        longest_s: but so long after the first event at the latest.
        timeout_s: A run that takes longer is told to stop.
    """

    name: str
    blocks: tuple[str, ...]
    environment: str | None
    triggers: tuple[Trigger, ...]
    quiet_s: float
    longest_s: float
    retry: Backoff
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Channel:
    """One way to alert somebody.

    Attributes:
        kind: ``webhook``, ``email`` or ``command``.
        about: What for.
        options: Its own settings.
    """

    name: str
    kind: str
    about: frozenset[str]
    options: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ListenSettings:
    """All settings of the service.

    Attributes:
        folder: Where the file lies; paths in it are relative to that.
        public_url: How senders reach the service; ``None`` where it was not told.
        certificate: Certificate and key, where the service speaks TLS itself.
        project: The Meltano project, where it is not found from the file upwards.
        meltano: The command, where it is neither beside ours nor on PATH.
        uses: Secrets that were taken from a store.
        plain_secrets: Names of settings that hold a secret itself.
    """

    folder: Path
    bind: str
    port: int
    public_url: str | None
    certificate: tuple[Path, Path] | None
    state_dir: Path
    ledger_path: Path
    keep_days: int
    stop_timeout_s: float
    body_timeout_s: float
    project: Path | None
    meltano: Path | None
    senders: tuple[Sender, ...]
    tableau: TableauSide | None
    pipelines: tuple[Pipeline, ...]
    alerts: tuple[Channel, ...]
    status: StatusSide | None = None
    uses: tuple[Use, ...] = ()
    plain_secrets: tuple[str, ...] = ()

    @property
    def inbox_path(self) -> Path:
        """The service's memory."""
        return self.state_dir / "inbox.db"

    def sender(self, name: str) -> Sender | None:
        """A sender that is set up."""
        return next((one for one in self.senders if one.name == name), None)


def load(path: Path) -> ListenSettings:
    """Read the file, resolve its secrets, check it.

    Raises:
        ConfigError: names what is wrong, and never a value.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        message = f"there is no {path}; write one (docs/listen.md) or name it with --config"
        raise ConfigError(message) from None
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path} cannot be read: {error.__class__.__name__}"
        raise ConfigError(message) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark is not None else ""
        message = f"{path} is no YAML{where}"
        raise ConfigError(message) from None  # its text quotes the line, which may hold a secret
    if not isinstance(content, dict):
        message = f"{path} must hold settings, as `name: value`"
        raise ConfigError(message)
    if not Draft7Validator(SCHEMA).is_valid(content):
        message = f"{path}: {describe_config_errors(SCHEMA, content)}"
        raise ConfigError(message)
    try:
        settings = _settings(content, path.resolve().parent)
        if stat.S_IMODE(path.stat().st_mode) & stat.S_IROTH:
            _check_references(settings)
    except ConfigError as error:
        message = f"{path}: {error}"
        raise ConfigError(message) from error
    return settings


def _settings(content: dict[str, Any], folder: Path) -> ListenSettings:
    values, uses, plain = _with_secrets(content)
    tls = values.get("tls")
    settings = ListenSettings(
        folder=folder,
        bind=values.get("bind", "127.0.0.1"),
        port=values.get("port", 8321),
        public_url=values.get("public_url", "").rstrip("/") or None,
        certificate=(
            (
                _file(folder, tls["certificate"], "tls.certificate"),
                _file(folder, tls["key"], "tls.key"),
            )
            if tls
            else None
        ),
        state_dir=folder / values.get("state_dir", "var/listen"),
        ledger_path=folder / values.get("ledger_path", "var/ledger.db"),
        keep_days=values.get("keep_days", 30),
        stop_timeout_s=values.get("stop_timeout", 30),
        body_timeout_s=values.get("body_timeout", 10),
        project=folder / values["project"] if "project" in values else None,
        meltano=_file(folder, values["meltano"], "meltano") if "meltano" in values else None,
        senders=_senders(values),
        tableau=_tableau(values.get("tableau"), folder),
        pipelines=tuple(_pipeline(one) for one in values.get("pipelines", [])),
        alerts=tuple(_channel(one, n) for n, one in enumerate(values.get("alerts", []), start=1)),
        status=_status(values.get("status"), folder),
        uses=tuple(uses),
        plain_secrets=tuple(plain),
    )
    _check(settings)
    return settings


def _check(settings: ListenSettings) -> None:
    """What a schema cannot say.

    Raises:
        ConfigError: something does not go together.
    """
    _check_senders(settings.senders)
    _check_pipelines(settings.pipelines)
    for channel in settings.alerts:
        if "password" in channel.options and channel.options.get("security") == "none":
            message = f"alert {channel.name}: a password would travel in clear; use starttls or tls"
            raise ConfigError(message)


def _check_senders(senders: Sequence[Sender]) -> None:
    if not senders:
        message = "nobody may call: set url_secrets under tableau, d365, event_grid or status"
        raise ConfigError(message)
    owners: dict[str, str] = {}
    for sender in senders:
        for secret in sender.secrets:
            if not _URL_SECRET.fullmatch(secret):
                message = (
                    f"a secret of {sender.name}.url_secrets is too short or not made of letters, "
                    "digits, '-' and '_' alone; make one with `openssl rand -hex 32`"
                )
                raise ConfigError(message)
            if owners.setdefault(secret, sender.name) != sender.name:
                message = (
                    f"{owners[secret]} and {sender.name} have the same url secret; each needs its "
                    "own, or one can speak for the other"
                )
                raise ConfigError(message)


def _check_pipelines(pipelines: Sequence[Pipeline]) -> None:
    names = [pipeline.name for pipeline in pipelines]
    doubled = {name for name in names if names.count(name) > 1}
    if doubled:
        message = f"two pipelines are named {', '.join(sorted(doubled))}"
        raise ConfigError(message)
    for pipeline in pipelines:
        if pipeline.longest_s < pipeline.quiet_s:
            message = f"pipeline {pipeline.name}: coalesce.longest is less than coalesce.quiet"
            raise ConfigError(message)


def _check_references(settings: ListenSettings) -> None:
    """Of a file that everybody may read.

    Raises:
        ConfigError: it holds a secret in clear.
    """
    if settings.plain_secrets:
        message = (
            f"{settings.plain_secrets[0]} holds a secret in clear, and every user of the machine "
            "may read the file; chmod o-r it, or write a secret:// reference"
        )
        raise ConfigError(message)


def _with_secrets(content: dict[str, Any]) -> tuple[dict[str, Any], list[Use], list[str]]:
    """The content with its references resolved, what was taken, and which settings are none."""
    values = copy.deepcopy(content)
    slots = dict(_secret_slots(values))
    flat = {name: holder[key] for name, (holder, key) in slots.items()}
    resolved, uses = resolve_secrets(flat, list(flat))
    for name, (holder, key) in slots.items():
        holder[key] = resolved[name]
    return values, uses, [name for name, value in flat.items() if not is_reference(value)]


def _secret_slots(values: dict[str, Any]) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Every secret there is: its name for messages, and where it stands."""
    for part in ("tableau", "d365", "event_grid", "status"):
        found = values.get(part, {})
        secrets = found.get("url_secrets", [])
        for position in range(len(secrets)):
            yield f"{part}.url_secrets {position + 1}", (secrets, position)
        for name in ("token_value", "secret_value"):
            if name in found:
                yield f"{part}.{name}", (found, name)
    for number, alert in enumerate(values.get("alerts", []), start=1):
        for name in ("url", "password"):
            if name in alert:
                yield f"alerts {number} {name}", (alert, name)


def _senders(values: Mapping[str, Any]) -> tuple[Sender, ...]:
    found = []
    parts = {"tableau": TABLEAU, "d365": D365, "event_grid": EVENT_GRID, "status": STATUS}
    for part, name in parts.items():
        secrets = tuple(values.get(part, {}).get("url_secrets", []))
        if secrets:
            limit = {"max_body_bytes": _GRID_BODY_BYTES} if name == EVENT_GRID else {}
            found.append(Sender(name, secrets, **limit))
    return tuple(found)


def _status(values: Mapping[str, Any] | None, folder: Path) -> StatusSide | None:
    if values is None:
        return None
    return StatusSide(
        output_dir=folder / values.get("output_dir", "output"),
        late_after_h=values.get("late_after", 36),
    )


def _tableau(values: Mapping[str, Any] | None, folder: Path) -> TableauSide | None:
    if values is None:
        return None
    bundle = values.get("ca_bundle")
    return TableauSide(
        server_url=values["server_url"].rstrip("/"),
        site=values.get("site", ""),
        ca_bundle=_file(folder, bundle, "tableau.ca_bundle") if bundle else None,
        identity={
            f"tableau_{name}": values[name]
            for name in (
                *("token_name", "token_value"),
                *("client_id", "secret_id", "secret_value", "username"),
            )
            if name in values
        },
        datasources=frozenset(one.lower() for one in values.get("datasources", [])),
        refresh=_backoff(values.get("refresh", {}), attempts=3, first=60, longest=3600),
        job_timeout_s=values.get("job_timeout", 7200),
        poll_s=values.get("poll", 15),
    )


def _pipeline(values: Mapping[str, Any]) -> Pipeline:
    coalesce = values.get("coalesce", {})
    blocks = values.get("run", values["name"])
    return Pipeline(
        name=values["name"],
        blocks=tuple(shlex.split(blocks) if isinstance(blocks, str) else blocks),
        environment=values.get("environment"),
        triggers=tuple(
            Trigger(one["event"], frozenset(c.lower() for c in one.get("companies", [])))
            for one in values["events"]
        ),
        quiet_s=coalesce.get("quiet", 300),
        longest_s=coalesce.get("longest", max(1800, coalesce.get("quiet", 300))),
        retry=_backoff(values.get("retry", {}), attempts=5, first=60, longest=900),
        timeout_s=values.get("timeout", 6 * 3600),
    )


def _channel(values: Mapping[str, Any], number: int) -> Channel:
    options = {name: value for name, value in values.items() if name not in ("kind", "about")}
    about = frozenset(values.get("about", ABOUT))
    return Channel(f"{values['kind']} {number}", values["kind"], about, options)


def _backoff(values: Mapping[str, Any], *, attempts: int, first: float, longest: float) -> Backoff:
    return Backoff(
        values.get("attempts", attempts),
        values.get("first_wait", first),
        values.get("longest_wait", longest),
    )


def _file(folder: Path, name: str, setting: str) -> Path:
    path = folder / name
    if not path.is_file():
        message = f"{setting} names {name!r}, which is no file"
        raise ConfigError(message)
    return path
