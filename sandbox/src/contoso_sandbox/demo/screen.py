"""What the demonstration shows."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from contoso_sandbox.contoso import Contoso
    from contoso_sandbox.demo.afterwards import Said
    from contoso_sandbox.demo.compare import Comparison, Figure
    from contoso_sandbox.demo.pipeline import Line
    from contoso_sandbox.world import AdvanceSummary

#: Bytes in a megabyte, as Tableau counts them.
_MB = 1024 * 1024

#: The narrowest terminal in which rows and sums stand side by side.
_WIDE = 176

#: Lines that say nothing to someone who watches: the SDK's metrics and start-up remarks.
_NOISE = ("METRIC", "Skipping parse", "Beginning ", "Skipping deselected")


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
        """Show the plugins' latest words in one moving line, warnings and failures for good."""
        with self._console.status("starting Meltano") as status:

            def show(line: Line) -> None:
                if not line.text or line.text.startswith(_NOISE):
                    return
                if line.level in {"warning", "error", "critical"}:
                    self._line(f"[yellow]{escape(line.text)}[/yellow]")
                elif line.logger and self._console.is_terminal:
                    status.update(escape(line.text[: self._console.width - 8]))
                elif line.logger:
                    self._line(f"[dim]{escape(line.text)}[/dim]")

            yield show

    def ended(self, code: int, seconds: float, log: Path, last_words: Iterable[str]) -> None:
        """Say how a run ended, with its last lines where it failed."""
        place = log.relative_to(self._project)
        if code == 0:
            self._console.print(f"   done in {seconds:.1f} s (log: {place})")
        else:
            for text in last_words:
                self._line(f"[yellow]{escape(text)}[/yellow]")
            self._line(f"[red]failed with exit code {code}; all of it stands in {place}[/red]")

    def comparison(self, comparisons: list[Comparison]) -> None:
        """Draw one row a data source: rows and one sum in D365, in the extract, in Tableau."""
        self._console.print()
        if self._console.width >= _WIDE or not self._console.is_terminal:
            self._table(_comparison_table(comparisons, rows=True, sums=True))
        else:
            self._table(_comparison_table(comparisons, rows=True, sums=False))
            self._console.print()
            self._table(_comparison_table(comparisons, rows=False, sums=True))

    def advance(self, summary: AdvanceSummary) -> None:
        """Say what happened at Contoso."""
        days = ", ".join(day.isoformat() for day in summary.days)
        self._line(f"posted {days}")
        table = _plain_table("entity set", "new", "changed", "deleted")
        changes = (summary.inserted, summary.updated, summary.deleted)
        for name in dict.fromkeys(name for kind in changes for name in kind):
            table.add_row(name, *(f"{kind.get(name, 0):,}" for kind in changes))
        self._table(table)

    def travelled(self, contoso: Contoso, extracts: Path, run_id: str) -> None:
        """Say what the run moved, on both sides."""
        names = sorted(source.name for source in contoso.tableau.datasources())
        read = contoso.d365.requests.rows_by_set()
        table = _plain_table(
            "data source", "rows read", "inserted", "updated", "deleted", "delivered"
        )
        for name in names:
            several = extracts / f"{name}.datasource.json"
            if several.exists():
                # Its tables are entity sets; what was read and changed stands with these.
                delivered = json.loads(several.read_text("utf-8"))["delivered"]
                touched = delivered["run_id"] == run_id
                table.add_row(name, *[""] * 4, delivered["how"] if touched else "nothing to send")
                continue
            manifest = json.loads((extracts / f"{name}.manifest.json").read_text("utf-8"))
            touched = manifest["run_id"] == run_id
            delta = manifest["delta"] if touched else {}
            changes = [f"{delta.get(kind, 0):,}" for kind in ("inserted", "updated", "deleted")]
            how = manifest["delivered"]["how"] if touched else "nothing to send"
            table.add_row(name, f"{read.get(name, 0):,}", *changes, how)
        sent = sum(request.request_bytes for request in contoso.tableau.requests)
        size = sum(file.stat().st_size for file in extracts.glob("*.hyper"))
        self._console.print()
        self._line("What travelled in the second run:")
        self._table(table)
        self._line(f"{sent / _MB:.1f} MB went to Tableau; the extracts hold {size / _MB:.1f} MB")

    def said(self, said: Said) -> None:
        """A command of the operator's, and what it printed."""
        self.command(said.line)
        for line in said.output.rstrip().splitlines():
            self._console.print(f"   {line}", soft_wrap=True, markup=False)
        if said.code:
            self._line(f"it ended with {said.code}")

    def farewell(self, extracts: Path, state: Path) -> None:
        """Say what is left and where to go from here."""
        ledger = (state / "ledger.db").relative_to(self._project)
        self.step("What is left")
        self._line(f"extracts      {extracts.relative_to(self._project)}/*.hyper")
        self._line(f"audit ledger  {ledger}")
        self._line(f"preview       file://{extracts}/preview.html")
        self._line(f"status page   file://{extracts}/status.html")
        self._line("Contoso is stopped. To play on, in one terminal and in another:")
        self.command(".venv/bin/contoso-sandbox serve")
        self.command('eval "$(.venv/bin/contoso-sandbox env)"')
        self.command(".venv/bin/meltano run tap-d365fo target-tableau-hyper")

    def _line(self, text: str) -> None:
        self._console.print(f"   {text}", soft_wrap=True)

    def _table(self, table: Table) -> None:
        # A table wider than the terminal is wrapped there, not cut here.
        wide = Console(file=self._console.file, width=max(self._console.width, _WIDE))
        wide.print(table, highlight=False)


def _plain_table(*columns: str) -> Table:
    """Names to the left, figures to the right, no lines."""
    table = Table(box=None, pad_edge=True, padding=(0, 1, 0, 1))
    for column in columns:
        left = column in {"data source", "entity set", "sum of", "delivered", ""}
        table.add_column(column, justify="left" if left else "right", no_wrap=True)
    return table


def _comparison_table(comparisons: list[Comparison], *, rows: bool, sums: bool) -> Table:
    columns = ["data source"]
    columns += ["rows D365", "extract", "Tableau"] if rows else []
    columns += ["sum of", "D365", "extract", "Tableau"] if sums else []
    table = _plain_table(*columns, "")
    for c in comparisons:
        places = (c.d365, c.extract, c.tableau)
        cells = [_rows(figure) for figure in places] if rows else []
        cells += [c.amount or "", *(_sum(figure) for figure in places)] if sums else []
        verdict = "[green]equal[/green]" if c.equal else "[red]DIFFERENT[/red]"
        table.add_row(c.name, *cells, verdict)
    return table


def _rows(figure: Figure | None) -> str:
    return "-" if figure is None else f"{figure.rows:,}"


def _sum(figure: Figure | None) -> str:
    if figure is None or figure.total is None:
        return ""
    return f"{figure.total:,.2f}"
