"""A story as text for people, section by section, and as JSON for machines."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING, Any

from pipeline_ops.audit.story import totals_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pipeline_ops.audit.story import Actor, Checked, Extract, Outside, PartRead, Story

_WIDTH = 110

#: Characters of a digest that are shown; JSON has all.
_DIGEST = 12


def as_text(story: Story) -> Iterator[str]:
    """Lines, without their ends."""
    yield from _head(story)
    for title, lines in (
        ("Read", list(_read(story))),
        ("Checked", list(_checked(story))),
        ("Sealed", list(_sealed(story))),
        ("Published", list(_published(story))),
        ("Failed, and what was tried again", list(_failed(story))),
        ("Time", list(_time(story))),
    ):
        yield ""
        yield title
        yield from (f"  {line}" if line else "" for line in lines or ["nothing"])


def as_json(story: Story) -> dict[str, Any]:
    """Everything of it; amounts are exact text."""
    return {
        **asdict(story),
        "seconds": story.seconds,
        "figures_agree": story.figures_agree,
    }


def day_and_time(ts: str) -> str:
    """An instant of the ledger in UTC, to the second."""
    return datetime.fromisoformat(ts).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def clock(ts: str | None) -> str:
    """Its time of day."""
    return day_and_time(ts)[11:] if ts else "?"


def amount(text: str) -> str:
    """A sum with groups of thousands, every digit kept."""
    return f"{Decimal(text):,f}"


def _head(story: Story) -> Iterator[str]:
    yield f"Run {story.run_id}: {story.outcome}"
    yield f"  began {day_and_time(story.began)} UTC, took {_span(story.seconds)}"
    for other in story.also:
        yield f"  in the target and in extracts it is run {other}"
    if story.environment:
        version = f", tap {story.version}" if story.version else ""
        yield f"  D365 environment {story.environment}{version}"
    if story.companies:
        yield from _wrapped(f"companies {', '.join(story.companies)}", "  ", "    ")
    if story.replay_of:
        yield f"  a replay of run {story.replay_of}"
    for asked in story.replay:
        by = f" by {asked['user']}" if asked.get("user") else ""
        reason = f', because "{asked["reason"]}"' if asked.get("reason") else ""
        if asked["event"] == "replay.intent":
            yield f"  asked for{by}{reason}"


def _read(story: Story) -> Iterator[str]:
    for stream, parts in groupby(
        sorted(story.read, key=lambda part: (part.stream, part.company or "")),
        lambda part: part.stream,
    ):
        several = list(parts)
        for part in several:
            yield from _part(part, sums=len(several) < 2 or part.company is not None)  # noqa: PLR2004
        if len(several) > 1:
            rows = sum(part.rows for part in several)
            yield f"{stream}, all companies: {rows:,} rows"
            yield from _sums(totals_of(several))
    if story.read:
        pages, rows = (sum(getattr(p, name) for p in story.read) for name in ("pages", "rows"))
        yield f"together {rows:,} rows in {pages:,} pages"
    if story.archived:
        digest = str(story.archived["index_sha256"])[:_DIGEST]
        yield f"archived: {story.archived['pages']:,} answers, index {digest}"
    yield from _agreement(story)


def _part(part: PartRead, *, sums: bool) -> Iterator[str]:
    where = f"{part.stream} [{part.company}]" if part.company else part.stream
    gone = f", {part.deletes:,} gone" if part.deletes else ""
    pages = f"{part.pages:,} page{'' if part.pages == 1 else 's'}"
    line = f"{where}: {part.rows:,} rows{gone}, {pages}"
    if part.strategy:
        line += f", {part.strategy}"
    if part.first_page_at:
        line += f", {clock(part.first_page_at)} to {clock(part.last_page_at)}"
    if part.seconds is not None:
        line += f", {_span(part.seconds)}"
    if part.retries:
        line += f"; {part.retries} asked again after {_span(part.waited_s)} of waiting"
    if part.error:
        line += "; NOT READ TO ITS END"
    yield line
    if sums:
        yield from _sums(part.totals)


def _agreement(story: Story) -> Iterator[str]:
    if story.received is None:
        if story.sent is not None:
            yield "the target's figures are not in this ledger"
        return
    records = sum(int(figures.get("records", 0)) for figures in story.received.values())
    proved = "complete, as the tap says" if story.proved else "completeness was not proved"
    agree = {True: "sent and received agree", False: "SENT AND RECEIVED DIFFER", None: ""}
    told = "; ".join(filter(None, [agree[story.figures_agree], proved]))
    yield f"the target received {records:,} records: {told}"


def _checked(story: Story) -> Iterator[str]:
    for control in story.checked:
        yield from _control(control)


def _control(control: Checked) -> Iterator[str]:
    shown = control.outcome.replace("_", " ")
    shown = shown if control.outcome == "passed" else shown.upper()
    yield from _wrapped(f"{shown}: {control.name} ({control.kind}): {control.saying}", "", "  ")


def _sealed(story: Story) -> Iterator[str]:
    for extract in story.extracts:
        yield _extract(extract)
        yield from _sums(extract.totals)
    for stream, records in story.quarantined.items():
        yield f"{stream}: {records:,} records were set aside and are in no extract"


def _extract(extract: Extract) -> str:
    digest = extract.sha256[:_DIGEST]
    line = f"{extract.file}: {extract.rows:,} rows, sha256 {digest}"
    if extract.sealed_by:
        return f"{line}, unchanged since run {extract.sealed_by}"
    delta = [
        f"{extract.delta[name]:,} {name}"
        for name in ("inserted", "updated", "deleted")
        if extract.delta.get(name)
    ]
    seconds = f", {_span(extract.seconds)}" if extract.seconds is not None else ""
    return f"{line}, {', '.join(delta) or 'rows as before'}{seconds}"


def _published(story: Story) -> Iterator[str]:
    for done in story.outside:
        yield from _outside(done)
    for done in story.later:
        yield from _outside(done, by=f" by run {done.run_id}")
    for state in story.states:
        yield f"the state went out at {clock(state['at'])}, after everything was {state['after']}"


def _outside(done: Outside, *, by: str = "") -> Iterator[str]:
    verb = "refresh of " if done.kind == "refresh" else ""
    project = done.facts.get("project")
    name = f"{verb}{project}/{done.what}" if project else f"{verb}{done.what}"
    if done.outcome == "skipped":
        yield f"{name}: nothing sent, {done.why}"
        return
    rows = f", {done.facts['rows']:,} rows" if "rows" in done.facts else ""
    way = f" ({done.facts['way']})" if "way" in done.facts else ""
    job = done.confirmed.get("job_id")
    confirmed = f", job {job}" if job else ""
    took = f", {_span(done.seconds)}" if done.seconds is not None else ""
    when = f"{clock(done.began)}{took}"
    match done.outcome:
        case "done":
            yield f"{name}{way}{rows}: confirmed{by}{confirmed}, {when}"
        case "failed":
            yield f"{name}{way}{rows}: FAILED{by}, {when}"
        case _:
            yield f"{name}{way}{rows}: BEGUN, END UNKNOWN{by}, {when}; look at the server"


def _failed(story: Story) -> Iterator[str]:
    retried = [part for part in story.read if part.retries and not part.error]
    if retried:
        waited = sum(part.waited_s for part in retried)
        count = sum(part.retries for part in retried)
        yield f"{count} requests to D365 were made again after {_span(waited)} of waiting"
    for part in story.read:
        if part.error:
            where = f"{part.stream} [{part.company}]" if part.company else part.stream
            yield from _wrapped(f"{where}: {part.error}", "", "  ")
    for done in story.outside:
        if done.outcome == "failed":
            again = any(
                later.what == done.what and later.outcome == "done" and later.began > done.began
                for later in [*story.outside, *story.later]
            )
            end = "; it was done after all, see above" if again else ""
            yield from _wrapped(f"{done.kind} of {done.what}: {done.why}{end}", "", "  ")
    for actor in story.actors:
        if actor.error:
            yield from _wrapped(f"{actor.name}: {actor.error}", "", "  ")


def _time(story: Story) -> Iterator[str]:
    for actor in story.actors:
        yield _actor(actor)
    reading = [part.seconds for part in story.read if part.seconds is not None]
    if reading:
        yield f"reading took {_span(sum(reading))} over all companies, several at a time"
    sealing = [extract.seconds for extract in story.extracts if extract.seconds is not None]
    if sealing:
        yield f"merging and sealing {_span(sum(sealing))}"
    for kind in ("delivery", "refresh"):
        took = [d.seconds for d in story.outside if d.kind == kind and d.seconds is not None]
        if any(took):
            yield f"{kind} {_span(sum(took))}, several at a time"


def _actor(actor: Actor) -> str:
    return (
        f"{actor.name}: {clock(actor.began)} to {clock(actor.ended)}, {_span(actor.seconds)}, "
        f"{actor.outcome}"
    )


def _sums(totals: Mapping[str, str]) -> Iterator[str]:
    """Sums that are not zero, as many in a line as fit."""
    told = [f"{name} {amount(total)}" for name, total in totals.items() if Decimal(total)]
    if told:
        yield from _wrapped("; ".join(told), "    ", "    ")


def _wrapped(text: str, first: str, rest: str) -> Sequence[str]:
    return textwrap.wrap(
        text,
        width=_WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _span(seconds: float) -> str:
    """Some seconds; hours and minutes where there are so many."""
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
