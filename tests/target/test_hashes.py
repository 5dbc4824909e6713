"""Hashes that were begun early count only for the file that is there when they are asked for."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from tests.target.messages import record, schema

from pipeline_core.errors import IntegrityError
from target_tableau_hyper.extract import hashes
from target_tableau_hyper.extract.hashes import Hashes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.target.harness import Extracts


@pytest.fixture
def found() -> Iterator[Hashes]:
    one = Hashes()
    yield one
    one.close()


def in_place(path: Path) -> None:
    """As whoever wants to hide it would: same size, same time of change."""
    before = path.stat()
    path.write_bytes(b"b" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced(path: Path) -> None:
    other = path.with_suffix(".other")
    other.write_bytes(b"b" * path.stat().st_size)
    other.replace(path)


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def test_what_was_begun_is_not_read_again(
    found: Hashes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.hyper"
    path.write_bytes(b"a" * 3_000_000)
    found.begin(path)
    found.begin(path)
    monkeypatch.setattr(hashes, "sha256_of", None)
    assert found.sha256(path) == digest(path)


@pytest.mark.parametrize("change", [in_place, replaced])
def test_what_changed_since_is_read_again(
    found: Hashes, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    path = tmp_path / "x.hyper"
    path.write_bytes(b"a" * 100)
    found.begin(path)
    change(path)
    assert found.sha256(path) == digest(path)


def test_nothing_is_begun_where_there_is_nothing(found: Hashes, tmp_path: Path) -> None:
    path = tmp_path / "x.hyper"
    found.begin(path)
    path.write_bytes(b"a")
    assert found.sha256(path) == digest(path)


def test_an_extract_that_is_altered_while_records_come_is_refused(
    extracts: Extracts, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [schema("gl", {"id": {"type": "integer"}}), record("gl", {"id": 1})]
    extracts.run(messages)
    path = extracts.path("gl")
    real = Hashes.begin

    def begin(self: Hashes, asked: Path) -> None:
        real(self, asked)
        self._begun[asked][1].result()  # it was whole when it was hashed
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 255
        path.write_bytes(content)

    monkeypatch.setattr(Hashes, "begin", begin)
    with pytest.raises(IntegrityError, match="was altered since run"):
        extracts.run([messages[0], record("gl", {"id": 2})])
