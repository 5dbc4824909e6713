"""``d365fo-tableau runs lineage``: a run as OpenLineage events."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from pipeline_core.errors import AuthError, ConfigError, TransientError
from pipeline_core.files import write_atomically
from pipeline_core.redaction import REDACTOR
from pipeline_ops.audit.choose import Runs, opened
from pipeline_ops.audit.story import tell
from pipeline_ops.extras import needs_extra

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

_TIMEOUT_S = 30.0
_REFUSED = (401, 403)
_FAULT_OF_OURS = (400, 500)


@click.command("lineage")
@click.argument("run")
@click.option("--to", required=True, metavar="FILE|URL", help="JSON lines, or an HTTPS endpoint.")
@click.option(
    "--namespace", default="d365fo-tableau", show_default=True, help="Namespace of the job."
)
@click.option(
    "--ca-bundle",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="PEM file with the authorities to trust, for an endpoint with a private one.",
)
@click.pass_obj
def lineage_command(
    ledger_path: Path, run: str, to: str, namespace: str, ca_bundle: Path | None
) -> None:
    """Export RUN as OpenLineage events: its start and its end.

    Inputs are the entity sets by company, outputs the extracts and the data sources that Tableau
    confirmed, with columns, row counts, controls, and exact sums in a facet of their own. Marquez,
    DataHub, Egeria and others read them. An API key for the endpoint is taken from the variable
    OPENLINEAGE_API_KEY.
    """
    with needs_extra("lineage"):
        from pipeline_ops.audit.lineage import columns_known, lineage_of  # noqa: PLC0415

    with opened(ledger_path) as ledger:
        runs = Runs.of(ledger)
        events = runs.events(runs.find(run))
        columns = columns_known(ledger.events(prefix="extract.sealed"), until=events[-1].seq)
    made = lineage_of(tell(events), columns, namespace=namespace)
    if "://" in to:
        _send(made, to, ca_bundle)
    else:
        _write(made, Path(to))
    click.echo(f"{len(made)} events of run {made[0].run.runId} to {to.partition('?')[0]}")


def _write(events: list[RunEvent], path: Path) -> None:
    from openlineage.client.serde import Serde  # noqa: PLC0415 - an extra

    lines = "".join(f"{Serde.to_json(event)}\n" for event in events)
    try:
        write_atomically(path, lines.encode())
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        raise ConfigError(message) from error


def _send(events: list[RunEvent], url: str, ca_bundle: Path | None) -> None:
    """Hand the events to an endpoint, in order.

    Raises:
        AuthError: it refuses the key.
        ConfigError: it is no such endpoint, or not one to send business facts to in clear.
        TransientError: it does not answer.
    """
    import requests  # noqa: PLC0415 - an extra
    from openlineage.client.transport.http import (  # noqa: PLC0415
        ApiKeyTokenProvider,
        HttpConfig,
        HttpTransport,
    )

    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_local(parts.hostname)):
        message = "--to must be https: the events tell amounts of your ledger"
        raise ConfigError(message)
    key = os.environ.get("OPENLINEAGE_API_KEY", "")
    settings = {"url": f"{parts.scheme}://{parts.netloc}", "timeout": _TIMEOUT_S}
    if parts.path.strip("/"):
        settings["endpoint"] = parts.path.lstrip("/")
    if ca_bundle is not None:
        settings["sslContext"] = {"caCertPath": str(ca_bundle)}
    config = HttpConfig.from_dict(settings)
    if key:
        REDACTOR.add(key)
        config.auth = ApiKeyTokenProvider({"api_key": key})
    transport = HttpTransport(config)
    try:
        for event in events:
            transport.emit(event)
    except requests.HTTPError as error:
        status = error.response.status_code
        message = f"{parts.netloc} refused the events (HTTP {status})"
        if status in _REFUSED:
            message += "; set OPENLINEAGE_API_KEY"
            raise AuthError(message) from error
        low, high = _FAULT_OF_OURS
        raise (ConfigError if low <= status < high else TransientError)(message) from error
    except (requests.RequestException, OSError) as error:
        message = f"{parts.netloc} did not take the events: {type(error).__name__}; try again later"
        raise TransientError(message) from error
    finally:
        transport.close()


def _is_local(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
