"""What the demonstration shows."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rich.console import Console

    from contoso_sandbox.contoso import Contoso
    from contoso_sandbox.demo.compare import Comparison, Figure
    from contoso_sandbox.demo.pipeline import Line
    from contoso_sandbox.world import AdvanceSummary

#: Bytes in a megabyte, as Tableau counts them.
_MB = 1024 * 1024

#: Loggers of the plugins whose lines tell of progress.
_PLUGIN = "meltano.plugin"

#: What is left out of the progress line: the SDK's metrics and start-up remarks.
_NOISE = ("METRIC", "INFO METRIC", "Skipping parse", "Beginning full_table", "Beginning incremental")


class Screen:
    """Prints steps, follows a run in one moving line, and draws the tables."""

    def __init__(self, console: Console, project: Path) -> None:
        """Write to ``console``; paths are shown relative to ``project``."""
        self._console = console
        self._project = project
        self._steps = 0

    def step(self, title: str) -> None:
        """Begin a chapter."""
        self._steps += 1
        self._console.print(f"\n[bold]{self._steps}. {escape(title)}[/bold]")

    def contoso(self, contoso: Contoso, seconds: float) -> None:
        """Say where the sandbox listens."""
        rows = [
            ("Entra ID", contoso.entra_url),
            ("D365 F&O", contoso.d365_url),
            ("Tableau", contoso.tableau_url),
        ]
        for name, url in rows:
            self._console.print(f"   {name:9} {url}")
        companies = ", ".join(contoso.world.companies)
        self._console.print(f"   companies {companies}; up in {seconds:.1f} s")

    def command(self, text: str) -> None:
        """Show what a user would type."""
        self._console.print(f"   [cyan]$ {escape(text)}[/cyan]")

    @contextmanager
    def following(self) -> Iterator[Callable[[Line], None]]:
        """Show the latest words of a plugin in one line, and warnings for good."""
        with self._console.status("starting Meltano") as status:

            def show(line: Line) -> None:
                text = line.text
                if line.level in {"warning", "error", "critical"} and text:
                    self._console.print(f"   [yellow]{escape(text)}[/yellow]")
                elif line.logger.startswith(_PLUGIN) and text and not text.startswith(_NOISE):
                    status.update(escape(text[:110]))
                    if self._console.is_terminal is False:
                        self._console.print(f"   {escape(text[:160])}")

            yield show

    def ended(self, code: int, seconds: float, log: Path) -> None:
        """Say how a run ended."""
        place = log.relative_to(self._project)
        if code == 0:
            self._console.print(f"   done in {seconds:.1f} s (log: {place})")
        else:
            self._console.print(f"   [red]failed with exit code {code}; see {place}[/red]")

    def comparison(self, comparisons: list[Comparison]) -> None:
        """Draw one row a data source: D365, extract, Tableau."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("data source", no_wrap=True)
        for place in ("D365", "extract", "Tableau"):
            table.add_column(f"rows {place}", justify="right", no_wrap=True)
        table.add_column("sum of", no_wrap=True)
        for place in ("D365", "extract", "Tableau"):
            table.add_column(place, justify="right", no_wrap=True)
        table.add_column("")
        for c in comparisons:
            verdict = "[green]equal[/green]" if c.equal else "[red]DIFFERENT[/red]"
            places = (c.d365, c.extract, c.tableau)
            rows = [_rows(figure) for figure in places]
            sums = [_sum(figure) for figure in places]
            table.add_row(c.name, *rows, c.amount or "", *sums, verdict)
        self._console.print()
        self._console.print(table, soft_wrap=True)

    def advance(self, summary: AdvanceSummary) -> None:
        """Say what happened at Contoso."""
        for line in str(summary).splitlines():
            self._console.print(f"   {escape(line)}")

    def travelled(self, contoso: Contoso, extracts: Path, names: list[str]) -> None:
        """Say what the second run moved, on both sides."""
        read = contoso.d365.requests.rows_by_set()
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for title in ("data source", "rows read", "inserted", "updated", "deleted", "delivered"):
            justify = "left" if title in {"data source", "delivered"} else "right"
            table.add_column(title, justify=justify, no_wrap=True)
        for name in names:
            manifest = json.loads((extracts / f"{name}.manifest.json").read_text("utf-8"))
            delta = manifest["delta"]
            changes = [f"{delta[kind]:,}" for kind in ("inserted", "updated", "deleted")]
            how = manifest["delivered"]["how"] if any(delta.values()) else "nothing to send"
            table.add_row(name, f"{read.get(name, 0):,}", *changes, how)
        sent = sum(request.request_bytes for request in contoso.tableau.requests)
        size = sum(file.stat().st_size for file in extracts.glob("*.hyper"))
        self._console.print("\n   What travelled in the second run:")
        self._console.print(table, soft_wrap=True)
        self._console.print(f"   {sent / _MB:.1f} MB went to Tableau; the extracts hold {size / _MB:.1f} MB")

    def farewell(self, extracts: Path, state: Path) -> None:
        """Say what is left and where to go from here."""
        ledger = (state / "ledger.db").relative_to(self._project)
        self._console.print(
            f"\nThe extracts lie in {extracts.relative_to(self._project)}/ (open them in Tableau or "
            f"with any Hyper client), the audit ledger in {ledger}:\n"
            f"   [cyan]$ .venv/bin/d365fo-tableau runs --ledger {ledger} list[/cyan]\n"
            "Contoso has been stopped. To play on: [cyan]contoso-sandbox serve[/cyan]."
        )


def _rows(figure: Figure | None) -> str:
    return "-" if figure is None else f"{figure.rows:,}"


def _sum(figure: Figure | None) -> str:
    if figure is None or figure.total is None:
        return ""
    return f"{figure.total:,.2f}"
