"""The ``contoso-sandbox`` command."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.table import Table

from contoso_sandbox.control import ControlClient, ControlError
from contoso_sandbox.demo.cli import demo
from contoso_sandbox.state import Credentials, RunningBox, meltano_settings

_EXIT_BUSY = 73
_EXIT_NOT_RUNNING = 69
_EXIT_STALE = 65
_DEFAULT_DIRECTORY = Path("var/sandbox")
_DEFAULT_PORT_BASE = 9440
#: What d365fo-client sends to a server on localhost.
_LOCALHOST_TOKEN = "mock-token-for-localhost"  # noqa: S105 - a public constant, no secret

_directory = click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=_DEFAULT_DIRECTORY,
    show_default=True,
    envvar="CONTOSO_SANDBOX_DIR",
    show_envvar=True,
    help="Where the box keeps its data, credentials and certificate authority.",
)


# "\b" keeps click from rewrapping the lines below it.
_HELP = """Contoso in a box: Entra ID, Dynamics 365 F&O and Tableau Server on loopback.

All three speak HTTPS on 127.0.0.1 with a throw-away certificate authority, hold the made-up
books of four Contoso companies, and behave like the real services as far as a reader of D365
and a publisher to Tableau can tell. Nothing leaves this machine.

\b
A first round:
  contoso-sandbox serve                        (in one terminal)
  eval "$(contoso-sandbox env)"                (in another)
  meltano run tap-d365fo target-tableau-hyper
  contoso-sandbox advance --days 3             (new, changed and deleted rows)
  meltano run tap-d365fo target-tableau-hyper
"""


@click.group(help=_HELP)
def main() -> None:
    """Run the command that the arguments name."""


@main.command()
@_directory
@click.option(
    "--scale",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Size of the books when they are first made; 1.0 is the demo's.",
)
@click.option(
    "--seed",
    type=int,
    default=7,
    show_default=True,
    help="Seed of the books when they are first made; equal seeds, equal books.",
)
@click.option(
    "--page-size",
    type=click.IntRange(min=1),
    default=10_000,
    show_default=True,
    help="Most rows in one answer of D365.",
)
@click.option(
    "--port-base",
    type=click.IntRange(1, 65_532),
    default=_DEFAULT_PORT_BASE,
    show_default=True,
    help="First of four ports: control, Entra ID, D365, Tableau.",
)
@click.option("--any-port", is_flag=True, help="Choose free ports instead.")
@click.option(
    "--accept-localhost-token",
    is_flag=True,
    help="Also take the constant token that d365fo-client sends to a local server.",
)
def serve(
    directory: Path,
    scale: float,
    seed: int,
    page_size: int,
    port_base: int,
    *,
    any_port: bool,
    accept_localhost_token: bool,
) -> None:
    """Run the box until Ctrl-C or SIGTERM.

    The first start in a directory makes the books; later ones go on with them, with the same
    credentials and the same certificate authority. Exits with 73 when a port is taken or the
    directory is in use.
    """
    # Here and not above: the other commands answer at once, without loading the servers.
    from contoso_sandbox.contoso import AlreadyRunningError, Contoso, Ports  # noqa: PLC0415
    from contoso_sandbox.serving import PortBusyError  # noqa: PLC0415
    from contoso_sandbox.world import StaleWorldError  # noqa: PLC0415

    try:
        box = Contoso.start(
            directory,
            scale=scale,
            seed=seed,
            page_size=page_size,
            ports=Ports() if any_port else Ports.from_base(port_base),
            fixed_tokens=(_LOCALHOST_TOKEN,) if accept_localhost_token else (),
        )
    except PortBusyError as error:
        _fail(f"{error}; use --port-base N for other ports or --any-port for free ones", _EXIT_BUSY)
    except AlreadyRunningError as error:
        _fail(f"{error}; stop it first or use another --dir", _EXIT_BUSY)
    except StaleWorldError as error:
        _fail(f"{directory}: {error}", _EXIT_STALE)
    stopped = _stop_signal()
    with box:
        _greet(box.running, directory)
        stopped.wait()
        Console().print("Stopping.")


@main.command()
@click.option(
    "--environment",
    "kind",
    type=click.Choice(["synthetic", "odd"]),
    default="synthetic",
    show_default=True,
    help="synthetic: thousands of wide sets without rows; odd: odd keys, names and values.",
)
@click.option(
    "--sets",
    type=click.IntRange(min=1),
    default=4_000,
    show_default=True,
    help="How many entity sets the synthetic environment publishes.",
)
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("var/other"),
    show_default=True,
    help="Where credentials and certificate authority are kept.",
)
def serve_other(kind: str, sets: int, directory: Path) -> None:
    """Run another environment than Contoso's until Ctrl-C or SIGTERM.

    Prints the settings that point tap-d365fo at it, as shell exports; the output holds the
    throw-away secrets. Ports are free ones.
    """
    from contoso_sandbox.entities.odd import odd  # noqa: PLC0415 - as in serve
    from contoso_sandbox.entities.odd_rows import fill  # noqa: PLC0415
    from contoso_sandbox.entities.synthetic import synthetic  # noqa: PLC0415
    from contoso_sandbox.environment_box import EnvironmentBox  # noqa: PLC0415

    stored = kind == "odd"
    environment = odd() if stored else synthetic(sets)
    with EnvironmentBox(directory, environment, stored=stored) as box:
        if stored:
            fill(box.tables)
        box.d365.prepare()
        stopped = _stop_signal()
        for name, value in box.settings().items():
            click.echo(f"export {name}={shlex.quote(value)}")
        stopped.wait()


@main.command()
@_directory
def env(directory: Path) -> None:
    """Print the settings of the running box as shell exports.

    They point tap-d365fo and target-tableau-hyper at the box: eval "$(contoso-sandbox env)".
    The output holds the throw-away secrets.
    """
    settings = meltano_settings(_running(directory), Credentials.kept_in(directory))
    for name, value in settings.items():
        click.echo(f"export {name}={shlex.quote(value)}")


@main.command()
@click.option(
    "--days",
    type=click.IntRange(1, 366),
    default=1,
    show_default=True,
    help="How many business days to post.",
)
@_directory
def advance(days: int, directory: Path) -> None:
    """Let business days pass in the running box.

    Posts journals and invoices, changes vendors, deletes purchase orders, and prints what changed.
    """
    summary = _ask(directory).advance(days)
    changes = {kind: summary[kind] for kind in ("inserted", "updated", "deleted")}
    table = Table("entity set", *changes)
    for name in dict.fromkeys(name for rows in changes.values() for name in rows):
        table.add_row(
            name, *(f"{rows[name]:,}" if name in rows else "" for rows in changes.values())
        )
    _align_numbers(table)
    console = Console()
    console.print(f"Posted {', '.join(summary['days'])}.", soft_wrap=True)
    console.print(table)


@main.command()
@_directory
def status(directory: Path) -> None:
    """Show the running box: addresses, business date, rows held and rows that travelled."""
    facts = _ask(directory).status()
    console = Console()
    console.print(
        f"Running since {facts['started_at']} (process {facts['pid']}), "
        f"business date {facts['business_date']}",
        soft_wrap=True,
    )
    console.print(_addresses(facts))
    table = Table("entity set", "rows", "rows sent")
    for name, rows in facts["rows"].items():
        table.add_row(name, f"{rows:,}", f"{facts['rows_travelled'].get(name, 0):,}")
    _align_numbers(table)
    console.print(table)


def _stop_signal() -> threading.Event:
    """Return what SIGINT and SIGTERM set from now on."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    return stopped


def _running(directory: Path) -> RunningBox:
    running = RunningBox.of(directory)
    if running is None:
        _fail(
            f"no sandbox runs on {directory}; start one: contoso-sandbox serve --dir {directory}",
            _EXIT_NOT_RUNNING,
        )
    return running


def _ask(directory: Path) -> ControlClient:
    return _Asking(_running(directory))


class _Asking(ControlClient):
    """A client whose failures end the command with one line instead of a traceback."""

    def _send(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        try:
            return super()._send(method, path, body)
        except ControlError as error:
            _fail(str(error), _EXIT_NOT_RUNNING)


def _greet(running: RunningBox, directory: Path) -> None:
    console = Console()
    console.print("[bold]Contoso is open.[/bold]")
    facts = {name: getattr(running, name) for name in RunningBox.__dataclass_fields__}
    console.print(_addresses(facts))
    console.print(f"Credentials: {directory / 'credentials.json'} (throw-away, mode 0600)")
    console.print(f"CA bundle:   {running.ca_bundle}", soft_wrap=True)
    option = "" if directory == _DEFAULT_DIRECTORY else f" --dir {shlex.quote(str(directory))}"
    console.print(
        f'Next, in another terminal:  eval "$(contoso-sandbox env{option})"', soft_wrap=True
    )
    console.print("Ctrl-C stops it.")


def _addresses(facts: dict[str, Any]) -> Table:
    table = Table("service", "URL")
    table.add_row("Dynamics 365 F&O", facts["d365_url"])
    table.add_row("Entra ID", facts["entra_url"])
    table.add_row("Tableau Server", facts["tableau_url"])
    table.add_row("control", facts["control_url"])
    return table


def _align_numbers(table: Table) -> None:
    for column in table.columns[1:]:
        column.justify = "right"


def _fail(message: str, code: int) -> NoReturn:
    click.echo(f"contoso-sandbox: {message}", err=True)
    sys.exit(code)


main.add_command(demo)

if __name__ == "__main__":
    main()
