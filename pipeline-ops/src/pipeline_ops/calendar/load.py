"""Read ``close_calendar.yml``; every complaint names its line."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from pipeline_ops.calendar import scalars
from pipeline_ops.calendar.lines import Value, nearest, read_yaml
from pipeline_ops.calendar.moments import Moment
from pipeline_ops.calendar.periods_setting import D365Periods, read_source
from pipeline_ops.calendar.settings import CloseCalendar, DriverRules, EventRule, Group
from pipeline_ops.calendar.workdays import WorkingDays
from pipeline_ops.calendar.workdays_setting import read_days

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: The group of a calendar that does not tell companies apart.
ALL = "all"

_ROOT = (
    "calendar",
    "zone",
    "starts",
    "environment",
    "periods",
    "weekend",
    "holidays",
    "events",
    "groups",
    "driver",
)
_GROUP = ("companies", "read", "zone", "weekend", "holidays", "events", "environment", "env")
_EVENT = ("at", "run", "job", "max_lateness", "catch_up")
_DRIVER = (
    "max_lateness",
    "catch_up",
    "attempts",
    "backoff",
    "longest_backoff",
    "timeout",
    "after_crash",
)

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_catch_up = scalars.one_of("latest", "all")


def load_calendar(path: Path, *, periods_file: Path | None = None) -> CloseCalendar:
    """Read and check the file; opens no other one.

    Args:
        path: ``close_calendar.yml``.
        periods_file: Where periods fetched from D365 are kept, whatever the file says.

    Raises:
        ConfigError: names the line, the name and what to write there.
    """
    root = read_yaml(path)
    given = root.section(_ROOT)
    _require(root, given, "zone", "periods", "events")
    driver, defaults = _driver(given.get("driver"))
    base = Group(
        name=ALL,
        companies=(),
        zone=given["zone"].parsed(scalars.zone),
        days=read_days(given, WorkingDays()),
        events=_events(given["events"], {}, defaults),
        environment=given["environment"].text() if "environment" in given else None,
    )
    source = read_source(given["periods"], path.parent)
    if periods_file is not None and isinstance(source, D365Periods):
        source = replace(source, cache=periods_file)
    return CloseCalendar(
        name=given["calendar"].parsed(scalars.name) if "calendar" in given else "close",
        starts=given["starts"].parsed(scalars.day) if "starts" in given else None,
        source=source,
        groups=_groups(given["groups"], base, defaults) if "groups" in given else (base,),
        driver=driver,
        path=path,
    )


@dataclass(frozen=True, slots=True)
class _Defaults:
    max_lateness: timedelta = timedelta(hours=12)
    catches_up_all: bool = False


def _require(where: Value, given: Mapping[str, Value], *names: str) -> None:
    lacking = [name for name in names if name not in given]
    if lacking:
        where.fail(f"lacks {', '.join(lacking)}")


def _driver(given: Value | None) -> tuple[DriverRules, _Defaults]:
    parts = given.section(_DRIVER) if given else {}
    rules, defaults = DriverRules(), _Defaults()
    if "backoff" in parts:
        rules = replace(rules, backoff=parts["backoff"].parsed(scalars.duration))
    if "longest_backoff" in parts:
        rules = replace(rules, longest_backoff=parts["longest_backoff"].parsed(scalars.duration))
    if "timeout" in parts:
        rules = replace(rules, timeout=parts["timeout"].parsed(scalars.duration))
    if "attempts" in parts:
        rules = replace(rules, attempts=parts["attempts"].parsed(scalars.whole(1, 20)))
    if "after_crash" in parts:
        word = parts["after_crash"].parsed(scalars.one_of("rerun", "fail"))
        rules = replace(rules, rerun_after_crash=word == "rerun")
    if "max_lateness" in parts:
        defaults = replace(defaults, max_lateness=parts["max_lateness"].parsed(scalars.lateness))
    if "catch_up" in parts:
        defaults = replace(defaults, catches_up_all=parts["catch_up"].parsed(_catch_up) == "all")
    return rules, defaults


def _events(
    given: Value, inherited: Mapping[str, EventRule], defaults: _Defaults
) -> tuple[EventRule, ...]:
    events = dict(inherited)
    for name, value in given.entries():
        value.parsed_name(scalars.name)
        if value.is_scalar and value.text().casefold() == "off":
            if name not in inherited:
                value.fail(f"is no event that could be off{nearest(name, inherited)}")
            del events[name]
        else:
            events[name] = _event(name, value, inherited.get(name), defaults)
    if not events:
        given.fail("names no event, so nothing would ever start")
    return tuple(events.values())


def _event(name: str, given: Value, before: EventRule | None, defaults: _Defaults) -> EventRule:
    parts = given.section(_EVENT)
    if before is None and "at" not in parts:
        given.fail("lacks `at`, such as `at: WD1 06:00`")
    blocks = _blocks(given, parts)
    if before is None and blocks is None:
        given.fail("lacks `job` (of meltano.yml) or `run` (blocks of `meltano run`)")
    rule = before or EventRule(
        name, parts["at"].parsed(Moment.parse), (), defaults.max_lateness, defaults.catches_up_all
    )
    if "at" in parts:
        rule = replace(rule, at=parts["at"].parsed(Moment.parse))
    if blocks is not None:
        rule = replace(rule, blocks=blocks)
    if "max_lateness" in parts:
        rule = replace(rule, max_lateness=parts["max_lateness"].parsed(scalars.lateness))
    if "catch_up" in parts:
        rule = replace(rule, catches_up_all=parts["catch_up"].parsed(_catch_up) == "all")
    return rule


def _blocks(given: Value, parts: Mapping[str, Value]) -> tuple[str, ...] | None:
    if "job" in parts and "run" in parts:
        given.fail("has both `job` and `run`; use one of them")
    value = parts.get("run") or parts.get("job")
    if value is None:
        return None
    if "job" in parts:
        blocks = [value.text()]
    else:
        blocks = [block for item in value.items() for block in item.text().split()]
    for block in blocks:
        if block.startswith("-") or " " in block:
            value.fail(f"has {block!r}, which is no name of a plugin, command or job")
    if not blocks:
        value.fail("names nothing to run")
    return tuple(blocks)


def _groups(given: Value, base: Group, defaults: _Defaults) -> tuple[Group, ...]:
    groups = []
    owners: dict[str, str] = {}
    for name, value in given.entries():
        value.parsed_name(scalars.name)
        parts = value.section(_GROUP)
        group = _group(name, value, parts, base, defaults)
        for company in group.companies:
            if company in owners:
                parts["companies"].fail(f"has {company}, which group {owners[company]} has, too")
            owners[company] = name
        groups.append(group)
    _check_apart(given, groups)
    if not groups:
        given.fail("names no group; leave it out where all companies close together")
    return tuple(groups)


def _check_apart(given: Value, groups: list[Group]) -> None:
    """Who reads some companies only must not write where others do.

    A whole reading ends with the removal of all that it did not bring, other companies' rows too.
    """
    for group in groups:
        shares = [g.name for g in groups if g is not group and g.environment == group.environment]
        if group.reads_only_these and (shares or group.environment is None):
            given.fail(
                f"has group {group.name} with `read: these`, which needs a Meltano environment of "
                "its own, with an output_dir and a Tableau project of its own; give it one, or "
                "leave `read` out"
            )


def _group(
    name: str, value: Value, parts: Mapping[str, Value], base: Group, defaults: _Defaults
) -> Group:
    _require(value, parts, "companies")
    companies = tuple(
        dict.fromkeys(item.parsed(scalars.name).lower() for item in parts["companies"].items())
    )
    if not companies:
        parts["companies"].fail("names no company; write `all` for every one")
    inherited = {event.name: event for event in base.events}
    return Group(
        name=name,
        companies=() if "all" in companies else companies,
        zone=parts["zone"].parsed(scalars.zone) if "zone" in parts else base.zone,
        days=read_days(parts, base.days),
        events=_events(parts["events"], inherited, defaults) if "events" in parts else base.events,
        environment=parts["environment"].text() if "environment" in parts else base.environment,
        env=_variables(parts["env"]) if "env" in parts else {},
        reads_only_these="read" in parts
        and parts["read"].parsed(scalars.one_of("all", "these")) == "these",
    )


def _variables(given: Value) -> dict[str, str]:
    found = {}
    for name, value in given.entries():
        if _VARIABLE.fullmatch(name) is None:
            value.fail("is no name of a variable")
        found[name] = value.text()
    return found
