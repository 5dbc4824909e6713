"""Ask Entra ID and F&O what the tap would ask, through the tap's own code."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError, PipelineError
from pipeline_core.run_id import current_run_id
from pipeline_ops.check.clock import check_clock
from pipeline_ops.check.findings import StopCheckingError
from tap_d365fo.access.auth import TokenProvider
from tap_d365fo.access.retry import Backoff
from tap_d365fo.access.session import new_session
from tap_d365fo.companies import check_requested, existing_companies, require_list
from tap_d365fo.entities import PRESETS, resolve_entities
from tap_d365fo.environment import Environment
from tap_d365fo.metadata.checks import check_published, check_settings, wanted_part
from tap_d365fo.metadata.model import COMPANY_PROPERTY
from tap_d365fo.reading.plan import Strategy, plan_reading
from tap_d365fo.reading.query import Query, text_literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline_ops.check.findings import Checklist
    from tap_d365fo.metadata.model import Entity, Published
    from tap_d365fo.settings import Settings

AREA = "D365"

#: A check is no run: whoever waits for it is told soon that nobody answers.
_FIRST_ANSWER_S = 30

#: Limits of one answer, and of all: a large environment counts for a while.
_REQUEST_TIMEOUT_S = 120
_RUN_TIMEOUT_S = 1800

#: Reading this many rows whole in every run is worth a remark.
_MANY_ROWS = 100_000


def check_d365(checks: Checklist, settings: Settings, *, counts: bool) -> None:
    """Token, registration, companies and entities; nothing is written, not even a cache.

    Args:
        checks: Gets the findings.
        settings: The tap's.
        counts: Whether F&O counts the rows of each entity, which takes it a while on large ones.
    """
    settings = replace(
        settings,
        metadata_cache_path=None,
        archive_path=None,
        replay_run_id=None,
        label_language=None,
        ledger_path=None,
        request_timeout_s=min(settings.request_timeout_s, _REQUEST_TIMEOUT_S),
        run_timeout_s=min(settings.run_timeout_s, _RUN_TIMEOUT_S),
    )
    check_clock(checks, AREA, f"{settings.environment_url}/data", settings.ca_bundle)
    try:
        _Environment(checks, settings, counts=counts).check()
    except StopCheckingError:
        checks.warn(
            AREA, "everything else", "not asked, because it needs what failed", "see the row above"
        )


class _Environment:
    """One environment under the eyes of one checklist."""

    def __init__(self, checks: Checklist, settings: Settings, *, counts: bool) -> None:
        self._checks = checks
        self._settings = settings
        self._counts = counts
        self._environment = Environment(settings, current_run_id())

    def check(self) -> None:
        self._token()
        published = self._registration()
        readable = self._entities(published)
        self._companies(published, [e for e in readable if e.per_company])

    def _token(self) -> None:
        settings = self._settings
        with self._checks.part(AREA, "Entra ID token"):
            tokens = TokenProvider(
                settings, new_session(settings.ca_bundle), backoff=Backoff(attempts=2)
            )
            tokens.token()
        credential = "client_secret" if settings.client_secret else "client_certificate"
        self._checks.ok(
            AREA, "Entra ID token", f"tenant {settings.tenant_id} issued one by {credential}"
        )

    def _registration(self) -> Published:
        subject = "application in F&O"
        hurried = replace(self._settings, run_timeout_s=_FIRST_ANSWER_S)
        with self._checks.part(AREA, subject):
            published = Environment(hurried, current_run_id()).metadata.published()
        self._checks.ok(
            AREA,
            subject,
            f"{self._settings.environment_url} answers it, "
            f"{len(published.listings):,} entity sets are published",
        )
        return published

    def _entities(self, published: Published) -> list[Entity]:
        """Every entity in scope; those that can be read."""
        with self._checks.trying(AREA, "entity_settings"):
            check_published(self._settings.entity_settings, published, where="entity_settings")
        names: set[str] = set()
        for wanted in self._settings.entities or ("*",):
            with self._checks.trying(AREA, f"entities {wanted}"):
                names.update(
                    resolve_entities((wanted,), published.listings, published.packages_only)
                )
            self._missing_concepts(wanted, published)
        found = [self._entity(name, published) for name in sorted(names)]
        return [entity for entity in found if entity is not None]

    def _missing_concepts(self, preset: str, published: Published) -> None:
        for concept, candidates in PRESETS.get(preset, {}).items():
            if not any(name in published.listings for name in candidates):
                self._checks.warn(
                    AREA,
                    f"entities {preset}",
                    f"nothing is published for {concept} (looked for {', '.join(candidates)})",
                    "publish one of them (DataServiceEnabled), or go without",
                )

    def _entity(self, name: str, published: Published) -> Entity | None:
        subject, settings = f"entity {name}", self._settings.of(name)
        try:
            (entity,) = self._environment.metadata.entities([published.listings[name]])
            check_settings(entity, settings)
            entity = wanted_part(entity, settings)
            plan = plan_reading(
                entity, settings, has_snapshots=self._settings.snapshot_path is not None
            )
            query = Query(
                name,
                conditions=(settings.filter,) if settings.filter else (),
                select=entity.key,
                count=self._counts,
                top=1,
            )
            page = self._environment.reader.page(query.url(self._settings.environment_url))
        except PipelineError as error:
            self._checks.fail(AREA, subject, error)
            return None
        rows = "readable" if page.count is None else f"{page.count:,} rows"
        if not page.rows:
            self._checks.warn(
                AREA,
                subject,
                f"no row is visible; would be read by {plan.strategy}",
                "F&O shows no rows and no error where the user has no access: look at it in F&O",
            )
        elif plan.strategy is Strategy.FULL and (page.count or 0) > _MANY_ROWS:
            self._checks.warn(
                AREA, subject, f"{rows}, all read in every run: {plan.reason}", "set snapshot_path"
            )
        else:
            self._checks.ok(AREA, subject, f"{rows}, {plan.strategy}: {plan.reason}")
        return entity

    def _companies(self, published: Published, entities: Sequence[Entity]) -> None:
        """Each company must show a row of some entity: F&O gives no error where it is closed."""
        if not entities:
            return
        named = self._settings.companies
        try:
            existing = existing_companies(
                self._environment.reader, self._settings.environment_url, published.listings
            )
            if existing is None:
                companies = require_list(named)
            else:
                companies = tuple(company for company in named or existing if company in existing)
        except PipelineError as error:
            self._checks.fail(AREA, "companies", error)
            return
        for company in named:
            if existing is not None and company not in existing:
                with self._checks.trying(AREA, f"company {company}"):
                    check_requested((company,), existing)
        for company in companies:
            self._company(company, entities, is_named=company in named)

    def _company(self, company: str, entities: Sequence[Entity], *, is_named: bool) -> None:
        subject = f"company {company}"
        for entity in entities:
            query = Query(
                entity.entity_set,
                conditions=(f"{COMPANY_PROPERTY} eq {text_literal(company)}",),
                select=entity.key,
                top=1,
            )
            try:
                page = self._environment.reader.page(query.url(self._settings.environment_url))
            except PipelineError as error:
                self._checks.fail(AREA, subject, error)
                return
            if page.rows:
                self._checks.ok(AREA, subject, f"its rows are visible ({entity.entity_set})")
                return
        found = "no row of it is visible in any entity"
        if is_named:
            message = f"{found}; give the application's user access to it, or leave it out"
            self._checks.fail(AREA, subject, ConfigError(message))
        else:
            todo = "it is empty, or the application's user has no access: look at it in F&O"
            self._checks.warn(AREA, subject, found, todo)
