"""What goes wrong on this machine: disks, hyperd, strange values and lines.

Other faults of the target's side stand beside what they concern: L01 in test_completeness; L02,
L06, L10 and L13 in test_process; L03 in test_kills and test_together; L05 in test_seal; L07 to L11
and L16 in test_sign_in, test_upload, test_confirm, test_jobs and test_delivery; L14 in
test_store_names.
"""

from __future__ import annotations

import errno
import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from tests.target.messages import dump, record, schema, state

from pipeline_core.errors import DataError, TransientError
from pipeline_core.ledger import Ledger
from target_tableau_hyper.extract import merge as merging
from target_tableau_hyper.extract import rows as row_changes
from target_tableau_hyper.extract.engine import start_engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.target.harness import Extracts, Rows

SCHEMA = schema("gl", {"id": {"type": "integer"}, "text": {"type": "string"}}, keys=["id"])
FIRST = [SCHEMA, record("gl", {"id": 1, "text": "one"}), state({"run": 1})]
SECOND = [SCHEMA, record("gl", {"id": 2, "text": "two"}), state({"run": 2})]


def unharmed(extracts: Extracts, rows: Rows) -> None:
    """The first run's extract is what it was, and the next run brings it up to date."""
    assert extracts.said == ""
    assert rows(extracts.path("gl")) == [(1, "one")]
    assert extracts.left_over() == []
    assert extracts.run(SECOND) == ['{"run":2}']
    assert rows(extracts.path("gl")) == [(1, "one"), (2, "two")]


# -- L04 -------------------------------------------------------------------------------------------


def test_l04_a_full_disk_ends_the_run_and_harms_nothing(
    extracts: Extracts, rows: Rows, tmp_path: Path
) -> None:
    """The system lets no file of the process grow beyond a megabyte."""
    extracts.run(FIRST)
    extracts.said = ""
    lines = [dump(record("gl", {"id": i, "text": f"{i}" * 2_000})) for i in range(2_000)]
    (tmp_path / "config.json").write_text(json.dumps({"output_dir": str(extracts.directory)}))
    done = subprocess.run(
        [Path(sys.executable).with_name("target-tableau-hyper"), "--config", "config.json"],
        cwd=tmp_path,
        input="\n".join([dump(SCHEMA), *lines, dump(state({"run": 9}))]),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (75, "")
    assert "run again" in done.stderr.strip().splitlines()[-1]
    unharmed(extracts, rows)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_l04_a_disk_that_fails_while_extracts_are_replaced(
    extracts: Extracts, rows: Rows, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    extracts.run(FIRST)

    def broken(*_: object) -> None:
        raise OSError(number, "scripted")

    monkeypatch.setattr("target_tableau_hyper.extract.commit.replace_durably", broken)
    with pytest.raises(TransientError, match="nothing more was replaced or published"):
        extracts.run(SECOND)
    monkeypatch.undo()
    unharmed(extracts, rows)


def test_l04_a_ledger_that_takes_no_more(
    extracts: Extracts,
    rows: Rows,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The extract is replaced by then: nobody is told so, and the next run finds it as it is."""
    extracts.run(FIRST)
    real = Ledger.append

    def full(ledger: Ledger, event: str, **body: object) -> object:
        if event in {"extract.sealed", "run.failed"}:
            ledger._db.execute("PRAGMA max_page_count=1")  # noqa: SLF001 - no more than it has
            body["filler"] = "x" * 100_000
        return real(ledger, event, **body)

    monkeypatch.setattr(Ledger, "append", full)
    with pytest.raises(TransientError, match=r"ledger\.db .*extract\.sealed.* full; free space"):
        extracts.run(SECOND, ledger_path=str(tmp_path / "ledger.db"))
    assert "a failure is not recorded" in caplog.text
    monkeypatch.undo()
    assert extracts.said == ""
    assert extracts.left_over() == []
    assert extracts.run(SECOND) == ['{"run":2}']
    assert rows(extracts.path("gl")) == [(1, "one"), (2, "two")]


def before_the_merge(monkeypatch: pytest.MonkeyPatch, act: Callable[[Any], None]) -> None:
    real = merging.merge

    def merge(engine: Any, staged: Any, **more: Any) -> Any:  # noqa: ANN401
        act(staged)
        return real(engine, staged, **more)

    monkeypatch.setattr("target_tableau_hyper.loading.merge", merge)


def test_l04_the_staging_area_vanishes(
    extracts: Extracts, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    extracts.run(FIRST)
    before_the_merge(monkeypatch, lambda staged: shutil.rmtree(staged.directory))
    with pytest.raises(TransientError):
        extracts.run(SECOND)
    monkeypatch.undo()
    unharmed(extracts, rows)


def in_the_merge(monkeypatch: pytest.MonkeyPatch, act: Callable[[psutil.Process], object]) -> None:
    """Let a run have a hyperd of its own, and something happen to that when rows are changed."""
    known = {child.pid for child in psutil.Process().children(recursive=True)}
    real = row_changes.apply

    def apply(*arguments: Any, **more: Any) -> Any:  # noqa: ANN401
        own = [c for c in psutil.Process().children(recursive=True) if c.pid not in known]
        assert own, "the run has a hyperd of its own"
        for child in own:
            act(child)
        return real(*arguments, **more)

    monkeypatch.setattr("target_tableau_hyper.loading.start_engine", start_engine)
    monkeypatch.setattr(row_changes, "apply", apply)


def test_l04_hyperd_is_killed_in_the_middle_of_a_merge(
    extracts: Extracts, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    extracts.run(FIRST)
    in_the_merge(monkeypatch, lambda hyperd: hyperd.kill())
    with pytest.raises(TransientError, match="hyperd failed on"):
        extracts.run(SECOND)
    monkeypatch.undo()
    unharmed(extracts, rows)


def test_l04_hyperd_may_not_have_the_disk(
    extracts: Extracts, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system lets hyperd's files grow to a megabyte; the target's own may have any size."""
    extracts.run(FIRST)
    extracts.said = ""
    in_the_merge(
        monkeypatch,
        lambda hyperd: resource.prlimit(hyperd.pid, resource.RLIMIT_FSIZE, (2**20, 2**20)),
    )
    texts = [record("gl", {"id": i, "text": f"{i}" * 1_000}) for i in range(2, 5_000)]
    with pytest.raises(TransientError, match=r"hyperd failed on .*; nothing was published, check"):
        extracts.run([SCHEMA, *texts])
    monkeypatch.undo()
    unharmed(extracts, rows)


def test_l04_hyperd_may_not_have_the_memory(
    extracts: Extracts, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    extracts.run(FIRST)
    extracts.said = ""
    monkeypatch.setattr("target_tableau_hyper.loading.start_engine", start_engine)
    many = [record("gl", {"id": i, "text": f"{i}" * 100}) for i in range(2, 100_000)]
    with pytest.raises(TransientError, match=r"hyperd failed on .*memory limit"):
        extracts.run([SCHEMA, *many], memory_limit="20m")
    unharmed(extracts, rows)


# -- L05, L06 --------------------------------------------------------------------------------------


def test_l05_extracts_that_were_swapped_are_refused(extracts: Extracts) -> None:
    other = {**SCHEMA, "stream": "other"}
    extracts.run([*FIRST, other, record("other", {"id": 7, "text": "x"})])
    one, two = extracts.path("gl"), extracts.path("other")
    one.rename(one.with_suffix(".x"))
    two.rename(one)
    one.with_suffix(".x").rename(two)
    with pytest.raises(Exception, match=r"gl\.hyper was altered since run"):
        extracts.run(SECOND)


def test_l06_a_line_of_a_hundred_megabytes_is_a_line(extracts: Extracts, rows: Rows) -> None:
    extracts.run([SCHEMA, record("gl", {"id": 1, "text": "x" * 100_000_000})])
    assert rows(extracts.path("gl"), '"id", octet_length("text")') == [(1, 100_000_000)]


def test_l06_half_a_line_says_nothing_of_its_content(extracts: Extracts) -> None:
    line = dump(record("gl", {"id": 1, "text": "canary-in-a-line"}))[:-5]
    with pytest.raises(DataError, match="line 2 of the input is no JSON") as caught:
        extracts.run([SCHEMA, line])
    assert "canary" not in str(caught.value)


# -- L15 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "'="])
def test_l15_what_a_spreadsheet_would_run_is_stored_as_it_is(
    extracts: Extracts, rows: Rows, start: str
) -> None:
    text = f'{start}HYPERLINK("https://contoso.example")'
    extracts.run([SCHEMA, record("gl", {"id": 1, "text": text})])
    assert rows(extracts.path("gl")) == [(1, text)]
