"""``d365fo-tableau webhooks``: Tableau's side of the listening service."""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from pipeline_core.errors import ConfigError, TransientError
from pipeline_ops.extras import needs_extra
from pipeline_ops.listen.cli import config_option, load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline_ops.listen.hooks import Webhook
    from pipeline_ops.listen.settings import ListenSettings
    from target_tableau_hyper.tableau.session import TableauSession

_HELP = """Tell Tableau where to report refreshes: register, list, test, remove.

The address is public_url of listen.yml with the first secret of
tableau.url_secrets. Tableau sends to https with a certificate of a public
authority alone; Tableau Cloud comes from the internet, and what is not port
443 may be refused there. The token's user must be a site administrator, and
the token must not be the pipeline's: a token has one session at a time.
"""

_REGISTER = """Make both webhooks, or bring those that are there up to date.

Those with a former secret are replaced: the new one is made first, so that
nothing is missed. One that Tableau has switched off (after four deliveries
that were not answered) is switched on again.

\b
To change the secret without a gap:
  1. put the new one before the old one in tableau.url_secrets, restart listen
  2. d365fo-tableau webhooks register
  3. take the old one out, restart listen
"""


@click.group(help=_HELP)
@config_option
@click.pass_context
def webhooks(context: click.Context, config_path: Path) -> None:
    """Look after Tableau's webhooks."""
    context.obj = config_path


class _Ours:
    """Which webhooks are ours, and by which secret."""

    def __init__(self, settings: ListenSettings) -> None:
        from pipeline_ops.listen.doors import TABLEAU  # noqa: PLC0415

        self._sender = settings.sender(TABLEAU)
        self._public_url = settings.public_url

    def current_url(self) -> str:
        """The address to register.

        Raises:
            ConfigError: it is not known.
        """
        if self._sender is None:
            message = "tableau.url_secrets is not set; make one with `openssl rand -hex 32`"
            raise ConfigError(message)
        if self._public_url is None:
            message = (
                "public_url is not set: the https address at which Tableau reaches the service"
            )
            raise ConfigError(message)
        return self._public_url + self._sender.paths()[0]

    def which(self, webhook: Webhook) -> str:
        """``current``, ``former`` (an older secret or address of ours), or empty for another's."""
        from pipeline_ops.listen.hooks import PREFIX  # noqa: PLC0415

        paths = self._sender.paths() if self._sender is not None else []
        path = urlsplit(webhook.url).path
        if self._public_url is not None and paths and webhook.url == self._public_url + paths[0]:
            return "current"
        if any(path.endswith(one) for one in paths):
            return "former"
        if webhook.name.startswith(f"{PREFIX} ") and "/tableau/" in path:
            return "former"
        return ""


@contextmanager
def _session(settings: ListenSettings) -> Iterator[TableauSession]:
    """A session by the service's own identity."""
    from pipeline_ops.listen.tableau import session_opener  # noqa: PLC0415

    if settings.tableau is None:
        message = "listen.yml has no tableau section: add server_url, site and a token of its own"
        raise ConfigError(message)
    for name in ("TSC", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with session_opener(settings.tableau)() as session:
        yield session


@webhooks.command(help=_REGISTER)
@click.option(
    "--keep-former", is_flag=True, help="Leave webhooks with a former secret as they are."
)
@click.pass_obj
def register(config_path: Path, *, keep_former: bool) -> None:
    """Make both webhooks."""
    settings = load_settings(config_path)
    with needs_extra("listen"):
        from pipeline_ops.listen import hooks  # noqa: PLC0415
    ours = _Ours(settings)
    url = ours.current_url()
    port = urlsplit(url).port
    if port not in (None, 443):
        click.echo(f"note: Tableau Cloud may refuse port {port}; 443 is the safe one", err=True)
    with _session(settings) as session:
        there = hooks.listed(session)
        for event in hooks.EVENTS:
            same = [one for one in there if (one.event, ours.which(one)) == (event, "current")]
            if not same:
                made = hooks.create(session, event, url)
                click.echo(f"{made.name}: made ({made.shown_url})")
            elif same[0].enabled:
                click.echo(f"{same[0].name}: there ({same[0].shown_url})")
            else:
                hooks.enable(session, same[0])
                click.echo(f"{same[0].name}: switched on again; it was off: {same[0].reason}")
            for former in there:
                if (former.event, ours.which(former)) == (event, "former") and not keep_former:
                    hooks.remove(session, former)
                    click.echo(f"{former.name}: the one with a former secret is removed")
    click.echo("Try them: d365fo-tableau webhooks test")


@webhooks.command("list")
@click.option("--format", "output_format", type=click.Choice(["table", "json"]), default="table")
@click.pass_obj
def list_webhooks(config_path: Path, *, output_format: str) -> None:
    """All webhooks of the site, secrets masked; 75 if one of ours is off."""
    settings = load_settings(config_path)
    with needs_extra("listen"):
        from pipeline_ops.listen import hooks  # noqa: PLC0415
    ours = _Ours(settings)
    with _session(settings) as session:
        found = [(one, ours.which(one)) for one in hooks.listed(session)]
    if output_format == "json":
        told = [
            {
                "id": one.id,
                "name": one.name,
                "event": one.event,
                "url": one.shown_url,
                "ours": which or None,
                "enabled": one.enabled,
                "reason": one.reason,
            }
            for one, which in found
        ]
        click.echo(json.dumps(told, ensure_ascii=False))
    elif not found:
        click.echo("the site has no webhooks; make them: d365fo-tableau webhooks register")
    else:
        for one, which in found:
            state = "on" if one.enabled else f"OFF: {one.reason}"
            whose = f"ours, {which} secret" if which else "another's"
            click.echo(f"{one.id}  {one.event:26}  {one.shown_url}  {whose}  {state}")
    off = [one for one, which in found if which and not one.enabled]
    if off:
        message = (
            f"{len(off)} of our webhooks are off: Tableau gave up after four deliveries without a "
            "2xx; look at the service and the proxy before it, then run "
            "d365fo-tableau webhooks register"
        )
        raise TransientError(message)


@webhooks.command()
@click.pass_obj
def test(config_path: Path) -> None:
    """Let Tableau send an empty message to each of ours; 75 if one is not answered 2xx."""
    settings = load_settings(config_path)
    with needs_extra("listen"):
        from pipeline_ops.listen import hooks  # noqa: PLC0415
    ours, failed = _Ours(settings), []
    with _session(settings) as session:
        found = [one for one in hooks.listed(session) if ours.which(one) == "current"]
        if not found:
            message = "the site has none of our webhooks; run d365fo-tableau webhooks register"
            raise ConfigError(message)
        for one in found:
            status = hooks.test(session, one)
            taken = 200 <= status < 300  # noqa: PLR2004 - every 2xx
            words = "answered" if taken else "NOT TAKEN," if status else "no answer,"
            click.echo(f"{one.name}: {words} {status}")
            if not taken:
                failed.append(f"{one.event} ({_meaning(status)})")
    if failed:
        message = f"not every webhook reaches the service: {', '.join(failed)}"
        raise TransientError(message)


def _meaning(status: int) -> str:
    if status == 0:
        return "Tableau could not connect: name, firewall, or a certificate that is not public"
    if status == 404:  # noqa: PLR2004
        return "HTTP 404: the service has another secret, or a proxy another path"
    return f"HTTP {status}"


@webhooks.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--ours", "all_ours", is_flag=True, help="All that are ours, of whatever secret.")
@click.option("--former", is_flag=True, help="Those of ours that have a former secret.")
@click.confirmation_option(prompt="Remove them from the site?")
@click.pass_obj
def remove(config_path: Path, *, ids: tuple[str, ...], all_ours: bool, former: bool) -> None:
    """Remove webhooks from the site: by id (see list), or ours."""
    settings = load_settings(config_path)
    with needs_extra("listen"):
        from pipeline_ops.listen import hooks  # noqa: PLC0415
    if not (ids or all_ours or former):
        message = "name what to remove: ids, --ours or --former"
        raise click.UsageError(message)
    ours = _Ours(settings)
    with _session(settings) as session:
        there = hooks.listed(session)
        unknown = set(ids) - {one.id for one in there}
        if unknown:
            message = f"the site has no webhook {', '.join(sorted(unknown))}; nothing was removed"
            raise ConfigError(message)
        wanted = [
            one
            for one in there
            if one.id in ids
            or (all_ours and ours.which(one))
            or (former and ours.which(one) == "former")
        ]
        for one in wanted:
            hooks.remove(session, one)
            click.echo(f"{one.name}: removed")
    if not wanted:
        click.echo("there is none to remove")
