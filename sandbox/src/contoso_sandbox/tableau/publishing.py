"""Publish a file: look into it, decide whether it may replace or extend a data source."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from contoso_sandbox.tableau import errors
from contoso_sandbox.tableau.document_checks import why_not_fitting
from contoso_sandbox.tableau.hyper_actions import SOURCE, TARGET, Action, Verb, to_steps
from contoso_sandbox.tableau.hyper_schema import (
    file_version,
    newest_file_version,
    why_not_publishable,
)
from contoso_sandbox.tableau.hyperd import HyperError
from contoso_sandbox.tableau.packages import PackageError, extract_hyper, read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from contoso_sandbox.tableau.datasource import Datasource
    from contoso_sandbox.tableau.datasources import Datasources
    from contoso_sandbox.tableau.hyper_schema import HyperContent
    from contoso_sandbox.tableau.hyperd import Hyperd
    from contoso_sandbox.tableau.projects import Projects

_HEAD_BYTES = 16


class Mode(StrEnum):
    """What to do about a data source of the same name."""

    CREATE = "create"
    OVERWRITE = "overwrite"
    APPEND = "append"


class Refusal(StrEnum):
    """Where every packaged data source is refused, whatever it holds."""

    NEVER = "never"
    AT_ONCE = "at once"
    IN_JOB = "in job"


@dataclass(frozen=True, slots=True)
class Publication:
    """A publish request.

    Attributes:
        file: What was uploaded; consumed.
        kind: ``hyper`` or ``tdsx``.
        description: ``None`` leaves an overwritten data source's as it is.
    """

    file: Path
    kind: str
    name: str
    project_id: str
    owner_id: str
    description: str | None
    mode: Mode


@dataclass(frozen=True, slots=True)
class Examined:
    """A publication that can be used.

    Attributes:
        hyper: Its .hyper file.
        package: Its .tdsx, unless it is a raw .hyper file.
        live: Whether it is live-to-Hyper.
    """

    hyper: Path
    package: Path | None
    live: bool
    content: HyperContent


class Publisher:
    """Turns files into data sources."""

    def __init__(
        self, datasources: Datasources, projects: Projects, hyperd: Hyperd, product_version: str
    ) -> None:
        """Wire it; ``product_version`` decides which file formats and shapes are taken."""
        self._datasources = datasources
        self._projects = projects
        self._hyperd = hyperd
        self._product_version = product_version
        #: Whether packaged data sources are refused, as a server may do with documents that
        #: Desktop did not write.
        self.refusal = Refusal.NEVER

    def refuse(self, kind: str, when: Refusal) -> None:
        """Turn a package away, if that is wanted at this point.

        Raises:
            RestError: 400011.
        """
        if kind == "tdsx" and self.refusal is when:
            detail = "the document was not written by Tableau Desktop"
            raise errors.unusable_file(detail)

    def check_name(self, publication: Publication) -> Datasource | None:
        """The data source that the publication replaces or extends, if any.

        Raises:
            RestError: 403007, the name is taken; 404005, no such project; 400000, nothing to
                append to.
        """
        self._projects.get(publication.project_id)
        existing = self._datasources.find(publication.name, publication.project_id)
        if existing is not None and publication.mode is Mode.CREATE:
            raise errors.datasource_exists(publication.name)
        if existing is None and publication.mode is Mode.APPEND:
            detail = f"There is no data source '{publication.name}' to append to."
            raise errors.bad_request(detail)
        return existing

    def prepare(self, publication: Publication) -> Callable[[], Datasource]:
        """Examine the file and return what publishes it, in short time.

        Raises:
            RestError: 400011, the file is unusable; and what `check_name` raises.
        """
        existing = self.check_name(publication)
        examined = self._examine(publication)
        hyper = examined.hyper
        if publication.mode is Mode.APPEND and existing is not None:
            hyper = self._appended(existing, examined)
            examined = replace(examined, package=None)
        return lambda: self._commit(publication, examined, hyper)

    def _commit(self, publication: Publication, examined: Examined, hyper: Path) -> Datasource:
        item = self.check_name(publication) or self._datasources.create(
            publication.name,
            publication.project_id,
            publication.owner_id,
            kind=publication.kind,
            live_to_hyper=examined.live,
        )
        if publication.description is not None:
            item = replace(item, description=publication.description)
        if publication.mode is not Mode.APPEND:
            item = replace(item, type=publication.kind, live_to_hyper=examined.live)
        return self._datasources.save_data(item, hyper, examined.package)

    def _examine(self, publication: Publication) -> Examined:
        file = publication.file
        self.refuse(publication.kind, Refusal.IN_JOB)
        if publication.kind == "hyper":
            content = self._look_into(file)
            if reason := why_not_publishable(content, self._product_version):
                raise errors.unusable_file(reason)
            return Examined(file, None, live=True, content=content)
        hyper = file.with_name(f"{file.name}.extracted")
        try:
            manifest = read_manifest(file)
            extract_hyper(file, manifest, hyper)
        except PackageError as error:
            raise errors.unusable_file(str(error)) from error
        content = self._look_into(hyper)
        if manifest.content is not None and (reason := why_not_fitting(manifest.content, content)):
            raise errors.unusable_file(reason)
        return Examined(hyper, file, live=manifest.live, content=content)

    def _look_into(self, hyper: Path) -> HyperContent:
        with hyper.open("rb") as file:
            version = file_version(file.read(_HEAD_BYTES))
        if version is None:
            detail = "it is not a .hyper file"
            raise errors.unusable_file(detail)
        newest = newest_file_version(self._product_version)
        if version > newest:
            detail = (
                f"the .hyper file has format version {version};"
                f" this server reads versions up to {newest}"
            )
            raise errors.unusable_file(detail)
        copy = hyper.with_name(f"{hyper.name}.inspected")
        shutil.copyfile(hyper, copy)
        try:
            with self._hyperd.open(inspected=copy) as files:
                return files.content("inspected")
        except HyperError as error:
            raise errors.unusable_file(str(error)) from error
        finally:
            copy.unlink()

    def _appended(self, existing: Datasource, examined: Examined) -> Path:
        """A copy of the existing data with the new rows behind.

        Appending needs one table on both sides, with the same columns.
        """
        merged = examined.hyper.with_name(f"{uuid.uuid4()}.merged")
        shutil.copyfile(self._datasources.hyper_file(existing), merged)
        try:
            with self._hyperd.open(**{TARGET: merged, SOURCE: examined.hyper}) as files:
                target = files.content(TARGET)
                if len(target.tables) != 1 or len(examined.content.tables) != 1:
                    detail = "only a single-table extract can be appended to"
                    raise errors.unusable_file(detail)
                to, of = target.tables[0], examined.content.tables[0]
                if to.columns != of.columns:
                    detail = "its columns differ from the data source's"
                    raise errors.unusable_file(detail)
                action = Action(Verb.INSERT, to.name, to.schema, of.name, of.schema, None)
                for step in to_steps(action, target, examined.content):
                    files.run(step.sql)
        except HyperError as error:
            raise errors.unusable_file(str(error)) from error
        return merged
