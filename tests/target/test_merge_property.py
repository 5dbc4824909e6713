"""Any sequence of runs leaves the rows that a dictionary would hold, and counts what changed."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from target_tableau_hyper.extract.engine import TABLE, Engine, start_engine
from target_tableau_hyper.extract.merge import Delta, merge
from target_tableau_hyper.extract.rows import Policy
from target_tableau_hyper.extract.schema import columns_of
from target_tableau_hyper.extract.seal import prove
from target_tableau_hyper.extract.staged import StagedStream
from target_tableau_hyper.extract.staging import Budget, SegmentWriter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from target_tableau_hyper.extract.figures import Figures

DELETED_AT = "_sdc_deleted_at"
SCHEMA = {
    "properties": {
        "company": {"type": "string"},
        "id": {"type": "integer"},
        "amount": {"type": ["number", "null"]},
        "text": {"type": ["string", "null"]},
    }
}
KEYS = ("company", "id")

keys = st.tuples(st.sampled_from(["dat", "DAT", "é"]), st.integers(1, 3))
values = st.tuples(
    st.none() | st.decimals(min_value=-9, max_value=9, places=2) | st.just(Decimal("-0.05")),
    st.none() | st.sampled_from(["", " ", "a", "a\0"]),
)
upserts = st.tuples(keys, values)
deletions = st.tuples(keys, st.just("delete"))


@dataclass
class OneRun:
    """What one run sends; with ``full`` it ends by ACTIVATE_VERSION."""

    messages: list[Any]
    full: bool
    chunk: int


runs = st.builds(
    OneRun,
    st.lists(st.one_of(upserts, upserts, deletions), max_size=8),
    st.booleans(),
    st.integers(1, 9),
)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with start_engine(hyper_version=3) as running:
        yield running


@dataclass
class Extract:
    """The real thing, run by run."""

    engine: Engine
    directory: Path
    path: Path | None = None
    figures: Figures | None = None
    count: Iterator[int] = field(default_factory=itertools.count)

    def take(self, run: OneRun, version: int, *, hard: bool) -> Delta:
        number = next(self.count)
        staged = StagedStream("s", self.directory / f"run{number}")
        schema: dict[str, Any] = {"properties": dict(SCHEMA["properties"])}
        if not hard:
            schema["properties"][DELETED_AT] = {"type": ["string", "null"], "format": "date-time"}
        columns = columns_of("s", schema)
        staged.adopt(columns, KEYS)
        writer = SegmentWriter(
            staged, schema, columns, KEYS, validate=True, max_digits=38, budget=Budget()
        )
        for place, (key, value) in enumerate(run.messages):
            record = dict(zip(KEYS, key, strict=True))
            if value == "delete":
                record[DELETED_AT] = "2024-01-01T00:00:00Z"
            else:
                record |= dict(zip(("amount", "text"), value, strict=True))
            writer.add(record, version=version, deleted=value == "delete", size=1)
            if place % run.chunk == run.chunk - 1:
                writer.write_chunk()
        writer.close()
        staged.activated = version if run.full else None
        staged.directory.mkdir(exist_ok=True)
        merged = merge(
            self.engine,
            staged,
            base=self.path,
            before=self.figures,
            directory=staged.directory,
            policy=Policy("upsert", hard, "2024-06-30T00:00:00+00:00"),
            hyper_version=3,
        )
        self.figures = prove("s", merged.path, merged.columns, merged.expected)
        self.path = merged.path
        return merged.delta

    def rows(self) -> dict[Any, Any]:
        assert self.path is not None
        with self.engine.open(self.path) as database:
            found = database.rows(f"SELECT * FROM {TABLE}")  # noqa: S608 - constant
        by_key = {tuple(row[:2]): tuple(row[2:]) for row in found}
        assert len(by_key) == len(found), "a key is there twice"
        return by_key


@given(st.lists(runs, min_size=1, max_size=4))
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_hard_deletes_behave_like_a_dictionary(
    engine: Engine, tmp_path_factory: pytest.TempPathFactory, sequence: list[OneRun]
) -> None:
    extract = Extract(engine, tmp_path_factory.mktemp("extract"))
    model: dict[Any, Any] = {}
    for version, run in enumerate(sequence):
        before = dict(model)
        alive: set[Any] = set()
        for key, value in run.messages:
            if value == "delete":
                model.pop(key, None)
            else:
                model[key] = value
                alive.add(key)
        if run.full:
            model = {key: value for key, value in model.items() if key in alive}
        delta = extract.take(run, version, hard=True)
        assert extract.rows() == model
        assert delta.inserted == len(model.keys() - before.keys())
        assert delta.deleted == len(before.keys() - model.keys())
        assert delta.updated == sum(before[k] != model[k] for k in before.keys() & model.keys())


@given(st.lists(runs, min_size=1, max_size=3))
@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_soft_deletes_keep_rows_and_say_so(
    engine: Engine, tmp_path_factory: pytest.TempPathFactory, sequence: list[OneRun]
) -> None:
    extract = Extract(engine, tmp_path_factory.mktemp("extract"))
    model: dict[Any, Any] = {}
    for version, run in enumerate(sequence):
        last = dict(run.messages)
        arrived = {key for key, value in run.messages if value != "delete"}
        for key, value in last.items():
            if value != "delete":
                model[key] = (*value, False)
            elif key in model:
                model[key] = (*model[key][:2], True)
        if run.full:
            model = {
                key: (*value[:2], value[2] or key not in arrived) for key, value in model.items()
            }
        extract.take(run, version, hard=False)
        found = {k: (*v[:2], v[2] is not None) for k, v in extract.rows().items()}
        assert found == model
