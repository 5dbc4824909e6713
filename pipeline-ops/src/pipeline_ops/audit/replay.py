"""Repeat a run, from its pages, its extracts or its delivery, and compare what comes of it.

Pages are emitted by ``meltano run``, not by the two programs alone: so mappers, selection and the
state are those of the project, and the state that the replay ends with is stored where the next run
looks for it. After a replay of the latest run it is the same as before. After that of an older one
it is older, and the next ordinary run reads everything since then again: Tableau converges.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline_core import errors
from pipeline_core.errors import ConfigError, IntegrityError, PipelineError
from pipeline_ops.audit.plugins import run_meltano, run_target, variable
from pipeline_ops.audit.replay_plan import Way, unconfirmed
from pipeline_ops.audit.story import tell
from tap_d365fo.access.archive import RUN, run_folder
from target_tableau_hyper.extract.content import content_of
from target_tableau_hyper.extract.manifest import sha256_of
from target_tableau_hyper.extract.store import stores_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pipeline_core.ledger import Ledger
    from pipeline_ops.audit.choose import Runs
    from pipeline_ops.audit.replay_plan import Plan
    from pipeline_ops.audit.story import Extract, Story
    from target_tableau_hyper.extract.content import Content
    from target_tableau_hyper.extract.manifest import Manifest

_NAMED = (
    errors.ConfigError,
    errors.AuthError,
    errors.TransientError,
    errors.DataError,
    errors.IntegrityError,
    errors.BusyError,
)


@dataclass(frozen=True, slots=True)
class Compared:
    """One stream, as the run left it and as the replay does.

    Attributes:
        records: Sent by the replay; ``None`` where nothing was emitted.
        figures_same: Records, deletions and every sum are those of the run; ``None`` where one of
            them does not tell.
        rows: Of the extract now.
        digest: Of all its rows.
        rows_same: The extract's rows are those of before, each of them; ``None`` without one.
        sealed_same: Rows and sums of the seal are those that the run sealed.
    """

    stream: str
    records: int | None = None
    figures_same: bool | None = None
    rows: int | None = None
    digest: str | None = None
    rows_same: bool | None = None
    sealed_same: bool | None = None

    @property
    def differs(self) -> bool:
        """Whether anything is not as it was."""
        return False in {self.figures_same, self.rows_same, self.sealed_same}


@dataclass(slots=True)
class Replayed:
    """What a replay came to.

    Attributes:
        run_id: Its own id.
        delivered: Data source, outcome and job of each delivery.
    """

    run_id: str
    replay_of: str
    way: str
    compared: list[Compared] = field(default_factory=list)
    delivered: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON and for the ledger."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Project:
    """The user's project, and what it sets.

    Attributes:
        tap, target: Names of the plugins.
        settings: Gives the settings of a plugin.
        state_id_suffix: Of the state that the runs use.
        into: Another place for extracts, of which neither Tableau nor the state gets to know.
    """

    folder: Path
    tap: str
    target: str
    settings: Callable[[str], Mapping[str, Any]]
    state_id_suffix: str | None = None
    into: Path | None = None

    def path(self, plugin: str, setting: str) -> Path | None:
        """A setting that is a path; plugins run in the project's folder."""
        value = self.settings(plugin).get(setting)
        return self.folder / str(value) if value else None

    @property
    def run_options(self) -> list[str]:
        """What `meltano run` is given before the plugins."""
        if self.into is not None:
            return ["--no-state-update"]
        return [f"--state-id-suffix={self.state_id_suffix}"] if self.state_id_suffix else []

    @property
    def variables(self) -> dict[str, str]:
        """Settings of the target that differ for this once."""
        if self.into is None:
            return {}
        changed = {"output_dir": str(self.into), "publish": "none"}
        return {variable(self.target, name): value for name, value in changed.items()}

    @property
    def output_dir(self) -> Path:
        """Where the extracts lie."""
        return self.into or self.own_output_dir

    @property
    def own_output_dir(self) -> Path:
        """Where those lie that ordinary runs write."""
        return self.path(self.target, "output_dir") or self.folder / "output"


def concerned(plan: Plan, way: Way, project: Project, runs: Runs) -> list[str]:
    """The streams that a replay is about; none where no delivery waits. Nothing is touched yet.

    Raises:
        ConfigError: pages or extracts are not there any more.
        IntegrityError: an extract is not what was sealed.
    """
    if way is Way.EXTRACT:
        return _still_there(plan, project)
    if way is Way.DELIVERY:
        return _due(plan, project, runs)
    _check_pages(plan, project)
    if project.into is not None and project.into == project.own_output_dir.resolve():
        message = "--into must name another directory than the target's output_dir"
        raise ConfigError(message)
    return list(dict.fromkeys([*plan.streams, *(part.stream for part in plan.story.read)]))


def replay(
    plan: Plan, way: Way, streams: Sequence[str], *, project: Project, ledger: Ledger, run_id: str
) -> Replayed:
    """Do it.

    Args:
        plan: What is repeated; its order was checked.
        way: From which step on.
        streams: What :func:`concerned` found.
        project: Where.
        ledger: Already has the intent.
        run_id: Of the replay.

    Raises:
        IntegrityError: what came of it is not what the run had.
        PipelineError: the replay itself failed.
    """
    contents = _Contents(project)
    before = contents.of(streams)
    if way is Way.PAGES:
        return _from_pages(plan, streams, project, ledger, run_id, contents)
    options = ["--force"] if way is Way.EXTRACT else []
    code = run_target(
        project.folder,
        project.settings(project.target),
        ["publish", *options, *streams],
        {"MELTANO_RUN_ID": run_id},
    )
    story = story_of(ledger, run_id, code)
    result = Replayed(run_id, plan.run_id, way.value)
    result.compared = [
        _compared(stream, plan, None, before, contents.of(streams), same_rows=True)
        for stream in streams
    ]
    return _judged(result, story)


def _check_pages(plan: Plan, project: Project) -> None:
    """Refuse before anything is begun.

    Raises:
        ConfigError: the pages are not there.
    """
    archive = project.path(project.tap, "archive_path")
    if archive is None:
        message = (
            f"the pages of run {plan.recorded_as} were not kept: {project.tap} has no archive_path"
        )
        raise ConfigError(message)
    if not (run_folder(archive, plan.recorded_as) / RUN).is_file():
        message = (
            f"the pages of run {plan.recorded_as} are not in {archive}: it was not archived, or "
            "its folder was removed"
        )
        raise ConfigError(message)


def _due(plan: Plan, project: Project, runs: Runs) -> list[str]:
    """Streams whose delivery waits, of those that the run sealed.

    Raises:
        ConfigError: a later run has sealed one of them anew: its delivery is the one that waits.
    """
    manifests = _manifests(project)
    sealed = {extract.stream: extract for extract in plan.story.extracts}
    waiting = [s for s in sealed if s in manifests and manifests[s].pending]
    names = list(dict.fromkeys([*waiting, *unconfirmed(runs, plan)]))
    _check_same(plan, manifests, [sealed[name] for name in names if name in sealed])
    return names


def _from_pages(  # noqa: PLR0917 - all of one call
    plan: Plan,
    streams: Sequence[str],
    project: Project,
    ledger: Ledger,
    run_id: str,
    contents: _Contents,
) -> Replayed:
    before = contents.of(streams)
    code = run_meltano(
        project.folder,
        ["run", *project.run_options, project.tap, project.target],
        {
            "MELTANO_RUN_ID": run_id,
            "MELTANO_JOB_TRIGGER": f"replay:{plan.recorded_as}",
            variable(project.tap, "replay_run_id"): plan.recorded_as,
            **project.variables,
        },
    )
    story = story_of(ledger, run_id, code)
    after = contents.of(streams)
    # Where the run never got so far as to seal, the replay brings what it could not.
    same_rows = not plan.later and project.into is None
    finished = {extract.stream for extract in plan.story.extracts}
    result = Replayed(run_id, plan.run_id, Way.PAGES.value)
    result.compared = [
        _compared(stream, plan, story, before, after, same_rows=same_rows and stream in finished)
        for stream in streams
    ]
    return _judged(result, story)


def _compared(
    stream: str,
    plan: Plan,
    story: Story | None,
    before: Mapping[str, Content],
    after: Mapping[str, Content],
    *,
    same_rows: bool,
) -> Compared:
    now = after.get(stream)
    was = before.get(stream)
    sent = (story.sent or {}).get(stream) if story else None
    once = (plan.story.sent or {}).get(stream)
    seals = [
        next((e for e in told.extracts if e.stream == stream), None) if told else None
        for told in (plan.story, story)
    ]
    return Compared(
        stream=stream,
        records=int(sent["records"]) if sent else None,
        figures_same=sent == once if sent and once else None,
        rows=now.rows if now else None,
        digest=now.digest if now else None,
        rows_same=now == was if same_rows and now and was else None,
        sealed_same=_same_seal(*seals) if same_rows else None,
    )


def _same_seal(one: Extract | None, other: Extract | None) -> bool | None:
    if one is None or other is None:
        return None
    return (one.rows, one.totals) == (other.rows, other.totals)


def _judged(result: Replayed, story: Story) -> Replayed:
    """Take up the deliveries.

    Raises:
        IntegrityError: a stream is not what it was.
    """
    result.delivered = [
        {
            "datasource": d.what,
            "outcome": d.outcome,
            "job_id": d.confirmed.get("job_id"),
            "why": d.why,
        }
        for d in story.outside
        if d.kind == "delivery"
    ]
    different = [compared.stream for compared in result.compared if compared.differs]
    if different:
        message = (
            f"the replay {result.run_id} of run {result.replay_of} does not give the same again: "
            f"{', '.join(different)}; see `d365fo-tableau runs show` of both"
        )
        raise IntegrityError(message)
    return result


def _still_there(plan: Plan, project: Project) -> list[str]:
    """The extracts of the run.

    Raises:
        ConfigError: one is not there as the run left it.
    """
    if not plan.story.extracts:
        message = f"run {plan.run_id} sealed no extract; replay it from its pages"
        raise ConfigError(message)
    _check_same(plan, _manifests(project), plan.story.extracts)
    return plan.streams


def _check_same(plan: Plan, manifests: Mapping[str, Manifest], extracts: list[Extract]) -> None:
    for extract in extracts:
        manifest = manifests.get(extract.stream)
        if manifest is not None and manifest.sha256 == extract.sha256:
            continue
        what = f"run {manifest.run_id} has sealed it since" if manifest else "it is gone"
        message = (
            f"{extract.file} is no longer as run {plan.run_id} left it: {what}; replay that run, "
            "or this one from its pages"
        )
        raise ConfigError(message)


def _manifests(project: Project) -> dict[str, Manifest]:
    """What is on disk, by stream, read only; an extract must be what its manifest says.

    Raises:
        IntegrityError: one is not.
    """
    found = {}
    for stream, store in stores_in(project.output_dir).items():
        digest = sha256_of(store.extract) if store.extract.is_file() else None
        fitting = [m for m in store.candidates() if m.sha256 == digest]
        if digest is not None and not fitting:
            message = (
                f"{store.extract.name} is not what was sealed; see `target-tableau-hyper verify`"
            )
            raise IntegrityError(message)
        if fitting:
            found[stream] = fitting[0]
    return found


class _Contents:
    """Rows and digests of extracts; a file of which they are known is not read again."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._known: dict[str, Content] = {}

    def of(self, streams: Sequence[str]) -> dict[str, Content]:
        """Those of the extracts that are there."""
        if not self._project.output_dir.is_dir():
            return {}
        manifests = _manifests(self._project)
        return {stream: self._one(manifests[stream]) for stream in streams if stream in manifests}

    def _one(self, manifest: Manifest) -> Content:
        if manifest.sha256 not in self._known:
            self._known[manifest.sha256] = content_of(
                self._project.output_dir / manifest.file,
                [column["name"] for column in manifest.columns],
            )
        return self._known[manifest.sha256]


def story_of(ledger: Ledger, run_id: str, code: int) -> Story:
    """What tap and target wrote of the replay, after a program that ended with ``code``.

    Raises:
        PipelineError: it failed, with the sentence that the ledger has.
        ConfigError: they wrote nothing.
    """
    story = tell(list(ledger.events(run_id=run_id)))
    own = [actor for actor in story.actors if actor.outcome != "no end known" or actor.error]
    if code == 0 and own:
        return story
    if code == 0:
        message = "the replay wrote nothing into this ledger; is --ledger the plugins' ledger_path?"
        raise ConfigError(message)
    # Who fails first knows why: a target whose tap has died only knows that its input ended.
    failed = sorted((a for a in story.actors if a.error), key=lambda actor: actor.ended)
    why = next((a.error for a in failed if a.error and "told to stop" not in a.error), None)
    kind, _, sentence = (why or "").partition(": ")
    error = next(
        (one for one in _NAMED if one.__name__ == kind or one.exit_code == code), PipelineError
    )
    message = f"the replay failed: {sentence or 'see the lines above'}"
    raise error(message)
