"""A run as OpenLineage events, made of the official client's own classes, which validate them.

OpenLineage is a form to export, not the record: the ledger is. The facets of the standard count
rows; exact sums travel as text in a facet of our own, because the standard's are floats.
"""

from __future__ import annotations

import uuid
from itertools import groupby
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import attr
from openlineage.client.event_v2 import (
    InputDataset,
    Job,
    OutputDataset,
    Run,
    RunEvent,
    RunState,
)
from openlineage.client.facet_v2 import (
    DatasetFacet,
    InputDatasetFacet,
    OutputDatasetFacet,
    RunFacet,
    data_quality_assertions_dataset,
    dataset_version_dataset,
    error_message_run,
    input_statistics_input_dataset,
    output_statistics_output_dataset,
    schema_dataset,
)

from pipeline_ops.audit.story import totals_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pipeline_core.ledger import Event
    from pipeline_ops.audit.story import Checked, Extract, Outside, PartRead, Story

#: Says who made an event; not fetched by anybody.
PRODUCER = "https://pypi.org/project/pipeline-ops/"

#: Job of all runs of one pipeline.
JOB = "tap-d365fo-to-target-tableau-hyper"

_FACET = "https://pypi.org/project/pipeline-ops/#controlTotals"

#: Names runs whose id is no UUID, because a runner set another one.
_NAMESPACE = uuid.UUID("0e0b4f0d-7a6e-5f7c-9a43-5bb0a7e4d6a1")

_ENDS = {
    "complete": RunState.COMPLETE,
    "failed": RunState.FAIL,
    "incomplete": RunState.ABORT,
}


@attr.define
class ReadTotals(InputDatasetFacet):
    """Exact sums of what was read, as decimal text."""

    deletes: int = 0
    totals: dict[str, str] = attr.field(factory=dict)

    @staticmethod
    def _get_schema() -> str:
        return _FACET


@attr.define
class SealedTotals(OutputDatasetFacet):
    """Exact sums of what was sealed, as decimal text, and the file's digest."""

    sha256: str = ""
    totals: dict[str, str] = attr.field(factory=dict)

    @staticmethod
    def _get_schema() -> str:
        return _FACET


def run_uuid(run_id: str) -> str:
    """The run's id, or a UUID that stands for it."""
    try:
        return str(uuid.UUID(run_id))
    except ValueError:
        return str(uuid.uuid5(_NAMESPACE, run_id))


def columns_known(sealed: Iterable[Event], *, until: int) -> dict[str, dict[str, str]]:
    """Columns of each stream's extract, as they were after row ``until`` of the ledger.

    Args:
        sealed: Events ``extract.sealed`` of all runs; they hold columns where these changed.
        until: Row of the ledger.
    """
    known: dict[str, dict[str, str]] = {}
    for event in sealed:
        body = event.body
        if event.seq <= until and body.get("columns"):
            known[str(body["stream"])] = body["columns"]
    return known


def lineage_of(
    story: Story, columns: Mapping[str, Mapping[str, str]], *, namespace: str
) -> list[RunEvent]:
    """The start and the end of a run.

    Args:
        story: Of the run.
        columns: Name and type of each stream's columns, where they are known.
        namespace: Of the job, as the receiver groups them.
    """
    run = Run(runId=run_uuid(story.run_id), facets=_run_facets(story))
    job = Job(namespace=namespace, name=JOB)
    inputs = _inputs(story, columns)
    outputs = [*_extracts(story, columns), *_datasources(story, columns)]
    return [
        RunEvent(
            eventType=state,
            eventTime=when,
            run=run if state is not RunState.START else Run(runId=run.runId),
            job=job,
            producer=PRODUCER,
            inputs=inputs,
            outputs=outputs if state is not RunState.START else [],
        )
        for state, when in ((RunState.START, story.began), (_ENDS[story.outcome], story.ended))
    ]


def _run_facets(story: Story) -> dict[str, RunFacet]:
    errors = [actor.error for actor in story.actors if actor.error]
    if not errors:
        return {}
    message = error_message_run.ErrorMessageRunFacet(
        message=errors[0], programmingLanguage="Python", producer=PRODUCER
    )
    return {"errorMessage": message}


def _inputs(story: Story, columns: Mapping[str, Mapping[str, str]]) -> list[InputDataset]:
    """One dataset a company of an entity set, as one asks D365 for them."""
    namespace = f"d365fo://{story.environment or 'unknown'}"
    ordered = sorted(story.read, key=lambda part: (part.stream, part.company or ""))
    found = []
    for (stream, company), parts in groupby(ordered, lambda p: (p.stream, p.company)):
        found.append(
            InputDataset(
                namespace=namespace,
                name=f"{stream}/{company}" if company else stream,
                facets=_schema(stream, columns),
                inputFacets=_read_facets(list(parts), story.checked),
            )
        )
    return found


def _read_facets(
    parts: Sequence[PartRead], checked: Sequence[Checked]
) -> dict[str, InputDatasetFacet]:
    sizes = [part.size_bytes for part in parts if part.size_bytes is not None]
    facets: dict[str, InputDatasetFacet] = {
        "inputStatistics": input_statistics_input_dataset.InputStatisticsInputDatasetFacet(
            rowCount=sum(part.rows for part in parts),
            size=sum(sizes) if sizes else None,
            producer=PRODUCER,
        ),
        "d365fo_controlTotals": ReadTotals(
            deletes=sum(part.deletes for part in parts),
            totals=totals_of(parts),
            producer=PRODUCER,
        ),
    }
    about = [
        control
        for control in checked
        if parts[0].stream in control.streams and control.outcome != "not_checked"
    ]
    if about:
        facets["dataQualityAssertions"] = (
            data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(
                assertions=[
                    data_quality_assertions_dataset.Assertion(
                        assertion=control.kind,
                        success=control.outcome == "passed",
                        severity="warn" if control.outcome == "warned" else "error",
                        name=control.name,
                        description=control.saying,
                    )
                    for control in about
                ],
                producer=PRODUCER,
            )
        )
    return facets


def _extracts(story: Story, columns: Mapping[str, Mapping[str, str]]) -> list[OutputDataset]:
    folder = (story.output_dir or "").rstrip("/")
    return [
        OutputDataset(
            namespace="file",
            name=f"{folder}/{extract.file}" if folder else extract.file,
            facets={**_schema(extract.stream, columns), **_version(extract.sha256)},
            outputFacets={**_rows(extract.rows), "d365fo_controlTotals": _totals(extract)},
        )
        for extract in story.extracts
    ]


def _datasources(story: Story, columns: Mapping[str, Mapping[str, str]]) -> list[OutputDataset]:
    """What Tableau confirmed; a data source that got nothing is no output of the run."""
    return [
        OutputDataset(
            namespace=f"tableau://{urlsplit(str(done.facts.get('server', ''))).netloc}",
            name="/".join(
                part
                for part in (
                    str(done.facts.get("site") or "default"),
                    str(done.facts.get("project") or ""),
                    done.what,
                )
                if part
            ),
            facets={**_published_schema(done, columns), **_version(str(done.facts["sha256"]))},
            outputFacets=_rows(int(done.facts["rows"])) if "rows" in done.facts else {},
        )
        for done in story.outside
        if done.kind == "delivery" and done.outcome == "done"
    ]


def _published_schema(
    done: Outside, columns: Mapping[str, Mapping[str, str]]
) -> dict[str, DatasetFacet]:
    """Columns of a data source of one stream; one of several has tables, which have no facet."""
    streams = done.facts.get("streams") or []
    return _schema(str(streams[0]), columns) if len(streams) == 1 else {}


def _schema(stream: str, columns: Mapping[str, Mapping[str, str]]) -> dict[str, DatasetFacet]:
    if stream not in columns:
        return {}
    fields = [
        schema_dataset.SchemaDatasetFacetFields(name=name, type=kind)
        for name, kind in columns[stream].items()
    ]
    return {"schema": schema_dataset.SchemaDatasetFacet(fields=fields, producer=PRODUCER)}


def _version(sha256: str) -> dict[str, DatasetFacet]:
    return {
        "version": dataset_version_dataset.DatasetVersionDatasetFacet(
            datasetVersion=sha256, producer=PRODUCER
        )
    }


def _rows(count: int) -> dict[str, OutputDatasetFacet]:
    return {
        "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
            rowCount=count, producer=PRODUCER
        )
    }


def _totals(extract: Extract) -> SealedTotals:
    return SealedTotals(sha256=extract.sha256, totals=extract.totals, producer=PRODUCER)
