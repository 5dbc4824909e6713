"""Deliveries that failed are made up for, and rows that come again do not stand there twice."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from tests.target.faults import Fault
from tests.target.messages import record, schema, state

from pipeline_core.errors import IntegrityError, PipelineError, TransientError
from pipeline_core.files import sync_directory

if TYPE_CHECKING:
    from pathlib import Path

    from tests.target.harness import Extracts, Rows, Tableau


def stream(name: str, *numbers: int, keyed: bool = True) -> list[dict[str, Any]]:
    keys = ["id"] if keyed else []
    return [
        schema(name, {"id": {"type": "integer"}}, keys=keys),
        *(record(name, {"id": number}) for number in numbers),
    ]


@pytest.fixture
def extracts(extracts: Extracts, tableau: Tableau) -> Extracts:
    extracts.config = tableau.config
    return extracts


def fail(
    extracts: Extracts,
    tableau: Tableau,
    messages: list[dict[str, Any]],
    **config: Any,  # noqa: ANN401
) -> None:
    """A run whose deliveries all fail."""
    tableau.faulty.faults = [Fault("PUT", "/fileUploads/", times=99)]
    with pytest.raises(TransientError):
        extracts.run(messages, **config)
    assert extracts.said == ""
    tableau.faulty.faults.clear()


def there(tableau: Tableau, rows: Rows, name: str) -> list[int]:
    return [row[0] for row in rows(tableau.server.hyper_file(name))]


def test_a_run_without_that_stream_makes_up_for_it(
    extracts: Extracts, tableau: Tableau, rows: Rows
) -> None:
    fail(extracts, tableau, [*stream("gl", 1, 2), state({"run": 1})])
    assert extracts.manifest("gl")["pending"]
    assert extracts.run([*stream("other", 7), state({"run": 2})]) == ['{"run":2}']
    assert there(tableau, rows, "gl") == [1, 2]
    assert there(tableau, rows, "other") == [7]
    assert not extracts.manifest("gl")["pending"]
    tableau.server.requests.clear()
    extracts.run([*stream("other", 7), state({"run": 3})])
    assert tableau.calls("POST", "/datasources") == 0


def test_a_run_without_any_stream_makes_up_for_it(
    extracts: Extracts, tableau: Tableau, rows: Rows
) -> None:
    fail(extracts, tableau, [*stream("gl", 1), state({"run": 1})])
    assert extracts.run([state({"run": 2})]) == ['{"run":2}']
    assert there(tableau, rows, "gl") == [1]


def test_what_was_only_written_is_not_published_later(extracts: Extracts, tableau: Tableau) -> None:
    extracts.run(stream("private", 1), publish="none")
    extracts.run(stream("gl", 1))
    assert [d.name for d in tableau.server.datasources()] == ["gl"]


def test_several_of_them_and_one_that_fails_again(
    extracts: Extracts, tableau: Tableau, rows: Rows
) -> None:
    fail(extracts, tableau, [*stream("a", 1), *stream("b", 2), state({"run": 1})])
    extracts.path("a").write_bytes(extracts.path("b").read_bytes())
    with pytest.raises(IntegrityError, match=r"a\.hyper was altered"):
        extracts.run([*stream("c", 3), state({"run": 2})])
    assert there(tableau, rows, "b") == [2]
    assert there(tableau, rows, "c") == [3]
    assert extracts.said == ""


def test_a_data_source_of_several_streams_is_made_up_for(
    extracts: Extracts, tableau: Tableau
) -> None:
    extracts.config["datasources"] = {
        "Both": {
            "tables": ["head", "line"],
            "relationships": [{"from": "line", "to": "head", "on": {"id": "id"}}],
        }
    }
    fail(extracts, tableau, [*stream("head", 1), *stream("line", 1), state({"run": 1})])
    assert extracts.run([*stream("other", 7), state({"run": 2})]) == ['{"run":2}']
    assert {d.name for d in tableau.server.datasources()} == {"Both", "other"}
    tableau.server.requests.clear()
    extracts.run([*stream("other", 7), state({"run": 3})])
    assert tableau.calls("POST", "/datasources") == 0


# -- rows that are appended ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keyed", "config"),
    [
        pytest.param(False, {}, id="no key"),
        pytest.param(True, {"load_method": "append-only"}, id="append-only"),
    ],
)
def test_rows_that_come_again_after_a_failed_delivery_stand_there_once(
    extracts: Extracts,
    tableau: Tableau,
    rows: Rows,
    keyed: bool,  # noqa: FBT001 - a case
    config: dict[str, Any],
) -> None:
    """The STATE did not go out, so the tap sends the same rows, and perhaps more."""
    extracts.run([*stream("gl", 1, keyed=keyed), state({"run": 1})], **config)
    for _ in range(2):
        fail(extracts, tableau, [*stream("gl", 2, 3, keyed=keyed), state({"run": 2})], **config)
    again = [*stream("gl", 2, 3, 4, keyed=keyed), state({"run": 3})]
    assert extracts.run(again, **config) == ['{"run":3}']
    assert there(tableau, rows, "gl") == [1, 2, 3, 4]
    assert [row[0] for row in rows(extracts.path("gl"))] == [1, 2, 3, 4]
    assert not list((extracts.directory / ".undo").iterdir())
    assert extracts.run([*stream("gl", 5, keyed=keyed), state({"run": 4})], **config)
    assert there(tableau, rows, "gl") == [1, 2, 3, 4, 5]


def test_a_first_load_is_taken_back_as_well(
    extracts: Extracts, tableau: Tableau, rows: Rows
) -> None:
    fail(extracts, tableau, [*stream("gl", 1, 2, keyed=False), state({"run": 1})])
    assert [row[0] for row in rows(extracts.path("gl"))] == [1, 2]
    extracts.run([*stream("gl", 1, 2, keyed=False), state({"run": 2})])
    assert there(tableau, rows, "gl") == [1, 2]


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, set[str]]]:
    """Directories whose names were made durable, with all files that there were below then."""
    seen: list[tuple[str, set[str]]] = []

    def flush(directory: Path) -> None:
        seen.append((directory.name, {path.name for path in directory.rglob("*.*")}))
        sync_directory(directory)

    monkeypatch.setattr("target_tableau_hyper.extract.store.sync_directory", flush)
    return seen


def test_what_was_acknowledged_cannot_be_taken_back_after_a_power_cut(
    extracts: Extracts, flushed: list[tuple[str, set[str]]]
) -> None:
    extracts.run([*stream("gl", 1, keyed=False), state({"run": 1})])
    flushed.clear()
    extracts.run([*stream("gl", 2, keyed=False), state({"run": 2})])
    assert flushed[-1] == (".undo", set())


def test_what_was_taken_back_is_gone_before_its_mark_is(
    extracts: Extracts, tableau: Tableau, flushed: list[tuple[str, set[str]]]
) -> None:
    fail(extracts, tableau, [*stream("gl", 1, keyed=False), state({"run": 1})])
    flushed.clear()
    extracts.run([*stream("gl", 1, keyed=False), state({"run": 2})])
    directory, files = flushed[0]
    assert directory == extracts.directory.name
    assert "gl.nothing" in files
    assert files.isdisjoint({"gl.hyper", "gl.manifest.json"})


def test_it_is_delivered_in_between_and_the_rows_still_come_once(
    extracts: Extracts, tableau: Tableau, rows: Rows
) -> None:
    extracts.run([*stream("gl", 1, keyed=False), state({"run": 1})])
    fail(extracts, tableau, [*stream("gl", 2, keyed=False), state({"run": 2})])
    extracts.run([*stream("other", 7), state({"run": 3})])
    assert there(tableau, rows, "gl") == [1, 2]
    extracts.run([*stream("gl", 2, keyed=False), state({"run": 4})])
    assert there(tableau, rows, "gl") == [1, 2]


def test_a_state_that_went_out_once_sealed_takes_nothing_back(
    extracts: Extracts, tableau: Tableau, rows: Rows
) -> None:
    tableau.faulty.faults = [Fault("PUT", "/fileUploads/", times=99)]
    with contextlib.suppress(PipelineError):
        extracts.run([*stream("gl", 1, keyed=False), state({"run": 1})], state_after="sealed")
    assert extracts.said == '{"run":1}\n'
    tableau.faulty.faults.clear()
    extracts.run([*stream("gl", 2, keyed=False), state({"run": 2})], state_after="sealed")
    assert there(tableau, rows, "gl") == [1, 2]
