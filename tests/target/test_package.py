"""Packages: what lies in them, equal files for equal contents, little memory for large ones."""

from __future__ import annotations

import os
import tracemalloc
import zipfile
from typing import TYPE_CHECKING

from target_tableau_hyper.delivery.package import hyper_member, write_package

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENT = "<datasource formatted-name='Größe'/>".encode()


def packed(directory: Path, content: bytes, name: str = "x.tdsx") -> Path:
    hyper = directory / "source.hyper"
    hyper.write_bytes(content)
    target = directory / name
    write_package(target, stem="Payables", document=DOCUMENT, hyper=hyper)
    return target


def test_package_holds_document_and_data(tmp_path: Path) -> None:
    content = os.urandom(100_000) + bytes(3_000_000)
    with zipfile.ZipFile(packed(tmp_path, content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["Payables.tds", "Data/Extracts/Payables.hyper"]
        assert archive.read("Payables.tds") == DOCUMENT
        assert archive.read(hyper_member("Payables")) == content


def test_equal_contents_are_equal_files(tmp_path: Path) -> None:
    first = packed(tmp_path, b"rows" * 1000, "a.tdsx")
    os.utime(tmp_path / "source.hyper", (0, 0))
    second = packed(tmp_path, b"rows" * 1000, "b.tdsx")
    assert first.read_bytes() == second.read_bytes()


def test_unused_space_of_the_file_does_not_travel(tmp_path: Path) -> None:
    assert packed(tmp_path, bytes(4_000_000)).stat().st_size < 50_000


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    block = os.urandom(2**20)
    (tmp_path / "warm").mkdir()
    packed(tmp_path / "warm", block)
    hyper = tmp_path / "large.hyper"
    with hyper.open("wb") as file:
        for _ in range(64):
            file.write(block)
    tracemalloc.start()
    write_package(tmp_path / "large.tdsx", stem="L", document=DOCUMENT, hyper=hyper)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 2**20
