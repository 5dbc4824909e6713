"""``d365fo-tableau listen``: the service, and a look into its inbox."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline_core.errors import ConfigError
from pipeline_ops.extras import needs_extra

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline_ops.listen.inbox import Inbox
    from pipeline_ops.listen.settings import ListenSettings

_HELP = """Take calls of Tableau and D365 F&O, and act on them. Runs until SIGTERM.

\b
  /tableau/SECRET      webhooks of Tableau: a refresh that failed is confirmed
                       by the REST API, repeated with pauses, and alerted
  /d365/SECRET         business events over HTTPS: a Meltano job is started
                       once the events have become quiet
  /event-grid/SECRET   the same through Azure Event Grid
  /status/SECRET       the status page, for people
  /healthz, /readyz    for whoever watches the service

Settings are in listen.yml beside meltano.yml. An event is on disk before its
sender is answered; a service that was killed goes on where it was.

\b
Exit codes: 0 stopped as told, 70 the ledger was tampered with, 73 the port is
taken, 78 a setting is wrong.
"""

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("listen.yml"),
    show_default=True,
    envvar="D365FO_TABLEAU_LISTEN_CONFIG",
    help="The service's settings.",
)


def load_settings(path: Path) -> ListenSettings:
    """The settings.

    Raises:
        ConfigError: they are wrong, or the extra is not installed.
    """
    with needs_extra("listen"):
        from pipeline_ops.listen.settings import load  # noqa: PLC0415

        return load(path)


@click.group(invoke_without_command=True, help=_HELP)
@config_option
@click.pass_context
def listen(context: click.Context, config_path: Path) -> None:
    """The service."""
    context.obj = config_path
    if context.invoked_subcommand is not None:
        return
    settings = load_settings(config_path)
    with needs_extra("listen"):
        from pipeline_ops.listen.log import set_up  # noqa: PLC0415
        from pipeline_ops.listen.service import Service  # noqa: PLC0415
    set_up(sys.stderr)
    Service(settings).run()


@listen.command()
@click.pass_obj
def check(config_path: Path) -> None:
    """Read the settings and resolve the secrets, without serving; 78 tells what is wrong."""
    settings = load_settings(config_path)
    with needs_extra("listen"):
        from pipeline_ops.listen.service import Service  # noqa: PLC0415
    Service(settings).close()
    click.echo(f"{config_path} is right")
    for sender in settings.senders:
        secrets = len(sender.secrets)
        click.echo(f"  {sender.name}: {secrets} secret{'s' if secrets > 1 else ''}")
    for pipeline in settings.pipelines:
        events = ", ".join(trigger.event for trigger in pipeline.triggers)
        click.echo(
            f"  pipeline {pipeline.name}: meltano run {' '.join(pipeline.blocks)} on {events}"
        )
    for channel in settings.alerts:
        click.echo(f"  alert {channel.name}: {', '.join(sorted(channel.about))}")


@listen.command()
@click.option("--last", type=click.IntRange(1), default=20, show_default=True, help="How many.")
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "json"]),
    default="table",
    help="How they are written.",
)
@click.option("--body", "seq", type=int, help="Write the body of the event of this number instead.")
@click.pass_obj
def events(config_path: Path, *, last: int, output_format: str, seq: int | None) -> None:
    """The latest events of the inbox, the latest last: what came and what became of it."""
    with _inbox(config_path) as inbox:
        found = inbox.latest(last) if seq is None else inbox.get([seq])
    if seq is not None:
        if not found:
            message = f"the inbox has no event {seq}"
            raise ConfigError(message)
        sys.stdout.buffer.write(found[0].body + b"\n")
        return
    for one in found:
        at = datetime.fromtimestamp(one.received_at, UTC).isoformat(timespec="seconds")
        if output_format == "json":
            told = {name: value for name, value in asdict(one).items() if name != "body"}
            click.echo(json.dumps({**told, "received_at": at}, ensure_ascii=False))
            continue
        times = f" x{one.copies}" if one.copies > 1 else ""
        click.echo(
            f"{one.seq:>6}  {at[:19].replace('T', ' ')}  {one.sender:10}  {one.state:9}"
            f"  {_plain(one.kind)}{times}  {_plain(one.note)}"
        )


@listen.command()
@click.argument("seqs", metavar="NUMBER...", nargs=-1, type=int)
@click.option("--set-aside", is_flag=True, help="All that are set aside and can be read.")
@click.pass_obj
def redo(config_path: Path, *, seqs: tuple[int, ...], set_aside: bool) -> None:
    """Take events up again that were set aside or ignored, by their numbers in `listen events`.

    A service at work takes them up within half a minute, by the settings of today. What D365
    resends has the same id, so it is known and starts nothing.
    """
    if bool(seqs) == set_aside:
        message = "name the numbers of events, or give --set-aside for all that are set aside"
        raise ConfigError(message)
    with _inbox(config_path) as inbox:
        chosen = list(dict.fromkeys(seqs)) if seqs else inbox.set_aside()
        inbox.redo(chosen)
    click.echo(f"{len(chosen)} event{'' if len(chosen) == 1 else 's'} will be taken up again")


@contextmanager
def _inbox(config_path: Path) -> Iterator[Inbox]:
    """The inbox that the settings name.

    Raises:
        ConfigError: there is none yet.
    """
    settings = load_settings(config_path)
    with needs_extra("listen"):
        from pipeline_ops.listen.inbox import Inbox  # noqa: PLC0415
        from pipeline_ops.listen.store import Store  # noqa: PLC0415
    if not settings.inbox_path.is_file():
        message = f"there is no inbox at {settings.inbox_path}; the service has not run yet"
        raise ConfigError(message)
    with Store(settings.inbox_path) as store:
        yield Inbox(store)


def _plain(text: str) -> str:
    """Without control characters: senders choose these texts."""
    return "".join(c if c.isprintable() else "?" for c in text)
