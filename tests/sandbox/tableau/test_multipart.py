"""Multipart bodies, split anywhere, come out byte for byte."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.fields import RequestField
from urllib3.filepost import encode_multipart_formdata

from contoso_sandbox.tableau.errors import RestError
from contoso_sandbox.tableau.multipart import MultipartReader

#: Bytes that look like what separates parts.
TRICKY = st.lists(
    st.one_of(st.binary(max_size=50), st.sampled_from([b"\r\n", b"--", b"\r\n--", b"--frontier"])),
    max_size=8,
).map(b"".join)


def encode(parts: list[tuple[str, str, bytes]]) -> tuple[bytes, str]:
    """As tableauserverclient does it."""
    fields = []
    for name, filename, content in parts:
        field = RequestField(name, content, filename)
        field.make_multipart(content_type="application/octet-stream")
        fields.append(field)
    body, content_type = encode_multipart_formdata(fields)
    return body, content_type.replace("form-data", "mixed")


def read(body: bytes, content_type: str, directory: Path, piece: int) -> MultipartReader:
    reader = MultipartReader(content_type, directory, "part", 1000)
    for start in range(0, len(body), piece):
        reader.feed(body[start : start + piece])
    return reader


@given(document=TRICKY, file=TRICKY, piece=st.integers(1, 200))
def test_parts_come_out_byte_for_byte(document: bytes, file: bytes, piece: int) -> None:
    body, content_type = encode([("request_payload", "", document), ("tableau_file", "f", file)])
    with tempfile.TemporaryDirectory() as folder:
        reader = read(body, content_type, Path(folder), piece)
        reader.finish()
        first, second = reader.parts
        assert (first.name, bytes(first.content)) == ("request_payload", document)
        assert second.path is not None
        assert (second.name, second.filename) == ("tableau_file", "f")
        assert second.path.read_bytes() == file


@given(cut=st.integers(0, 200))
def test_a_body_that_was_cut_is_refused(cut: int) -> None:
    body, content_type = encode([("tableau_file", "f", bytes(100))])
    end = body.rindex(b"--")  # of the closing boundary
    with tempfile.TemporaryDirectory() as folder:
        reader = read(body[: min(cut, end)], content_type, Path(folder), 64)
        with pytest.raises(RestError, match="closing boundary"):
            reader.finish()
        reader.abandon()
        assert list(Path(folder).iterdir()) == []


def test_a_file_above_the_limit_is_not_written_further(tmp_path: Path) -> None:
    body, content_type = encode([("tableau_file", "f", bytes(5000))])
    reader = read(body, content_type, tmp_path, 100)
    with pytest.raises(RestError) as caught:
        reader.finish()
    assert caught.value.code == "413000"
    (part,) = reader.parts
    assert part.path is not None
    assert part.path.stat().st_size <= 1000


@pytest.mark.parametrize("content_type", ["", "multipart/mixed", "application/json; boundary=x"])
def test_a_header_without_boundary_is_refused(tmp_path: Path, content_type: str) -> None:
    with pytest.raises(RestError) as caught:
        MultipartReader(content_type, tmp_path, "part", 1000)
    assert caught.value.code == "400000"


def test_a_file_name_in_other_letters_is_understood(tmp_path: Path) -> None:
    body, content_type = encode([("tableau_datasource", "Bücher 日本.hyper", b"x")])
    reader = read(body, content_type, tmp_path, 7)
    assert reader.parts[0].filename == "Bücher 日本.hyper"
    reader.abandon()
