"""BATCH messages: the records of files, as the RECORD messages that they stand for.

Whatever a file holds goes the way of a RECORD message, through maps, validation and the figures, so
both modes give the same rows. Files are read once and left where they are, as the SDK's own targets
do: whoever wrote them knows when they are no longer needed.
"""

from __future__ import annotations

import gzip
import zlib
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from upath import UPath

from pipeline_core.errors import DataError
from target_tableau_hyper.extract.schema import columns_of, simple_types

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Record = dict[str, Any]

#: Rows of a Parquet file that are in memory at a time.
_ROWS = 10_000

_STRUCTURED = frozenset({"object", "array", "null"})

#: How a gzip file begins (RFC 1952, section 2.3.1).
_GZIP = b"\x1f\x8b"

_DECODER = msgspec.json.Decoder(float_hook=Decimal)

#: What goes wrong with a file that was cut off, or is of another format.
_BROKEN = (
    EOFError,
    zlib.error,
    gzip.BadGzipFile,
    msgspec.DecodeError,
    pa.ArrowException,
    UnicodeDecodeError,
)


def records_of(
    message: Mapping[str, Any],
    schema: Mapping[str, Any],
    storage: Mapping[str, Any] | None = None,
) -> Iterator[tuple[Record, int, str]]:
    """The records of all files of a BATCH message, each with its size in bytes and its file's name.

    Args:
        message: The BATCH message.
        schema: Of the stream. Parquet has no type for "any object", so an object or array may come
            as its JSON text there.
        storage: The setting ``batch_config.storage``: where the files are, whatever the message
            says of their folder, and ``params`` of the file system.

    Raises:
        DataError: a file is missing, cut off or of another format; names stream and file.
    """
    encoding = message["encoding"]
    form, compression = str(encoding.get("format")), encoding.get("compression") or "none"
    if form not in {"jsonl", "parquet"} or (
        form == "jsonl" and compression not in {"gzip", "none"}
    ):
        text = (
            f"stream {message['stream']!r} comes as BATCH files in {form} with {compression}; this "
            "target takes jsonl (gzip or plain) and parquet: change the tap's batch_config"
        )
        raise DataError(text)
    stream, structured = str(message["stream"]), _structured(schema)
    never_null = frozenset(one.name for one in columns_of(stream, schema) if not one.nullable)
    for url in message["manifest"]:
        with _named(stream, str(url)), _opened(str(url), storage) as file:
            parquet = form == "parquet"
            found = _parquet(file, structured, never_null) if parquet else _jsonl(file)
            name = str(url).rpartition("/")[2]
            for record, size in found:
                yield record, size, name


def _jsonl(file: IO[bytes]) -> Iterator[tuple[Record, int]]:
    # The SDK's encoder packs every file, whatever its settings and its messages say.
    packed = file.read(len(_GZIP)) == _GZIP
    file.seek(0)
    lines = gzip.GzipFile(fileobj=file) if packed else file
    for line in lines:
        if line.strip():
            record = _DECODER.decode(line)
            if not isinstance(record, dict):
                reason = "a line of it is no object"
                raise _NoRecordError(reason)
            yield record, len(line)


def _parquet(
    file: IO[bytes], structured: frozenset[str], never_null: frozenset[str]
) -> Iterator[tuple[Record, int]]:
    for batch in pq.ParquetFile(file).iter_batches(batch_size=_ROWS):
        size = batch.nbytes // max(1, batch.num_rows)
        names = batch.schema.names
        columns = [
            _parsed(_values(column)) if name in structured else _values(column)
            for name, column in zip(names, batch.columns, strict=True)
        ]
        hollow = {n for n, column in zip(names, batch.columns, strict=True) if column.null_count}
        absent = hollow & never_null  # null is how a file says that a row lacks a property
        for values in zip(*columns, strict=True):
            record = dict(zip(names, values, strict=True))
            for name in absent:
                if record[name] is None:
                    del record[name]
            yield record, size


def _structured(schema: Mapping[str, Any]) -> frozenset[str]:
    """Properties that are objects or arrays and nothing else."""
    properties: Mapping[str, Any] = schema.get("properties") or {}
    kinds = {name: {kind for kind, _ in simple_types(one)} for name, one in properties.items()}
    return frozenset(n for n, k in kinds.items() if k - {"null"} and k <= _STRUCTURED)


def _parsed(values: list[Any]) -> list[Any]:
    return [_DECODER.decode(value) if isinstance(value, str) else value for value in values]


def _values(column: pa.Array) -> list[Any]:
    """A column as the JSON values that stand for it in a RECORD message."""
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        column = pc.cast(column, pa.timestamp("us", kind.tz), safe=False)  # as Hyper stores them
    elif kind == pa.time64("ns"):
        column = pc.cast(column, pa.time64("us"), safe=False)
    values: list[Any] = column.to_pylist()
    if pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return values
    if pa.types.is_decimal(kind):
        return values
    return [None if value is None else _json(value) for value in values]


def _json(value: Any) -> Any:  # noqa: ANN401, PLR0911 - a value of any type
    """One value as JSON has it; a float by its shortest decimal form, which means the same."""
    if isinstance(value, bool | str | int | Decimal):
        return value
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list):
        # pyarrow gives maps as lists of pairs.
        if value and all(isinstance(each, tuple) for each in value):
            return {str(key): None if one is None else _json(one) for key, one in value}
        return [None if each is None else _json(each) for each in value]
    if isinstance(value, dict):
        return {key: None if each is None else _json(each) for key, each in value.items()}
    reason = f"a column of it holds {type(value).__name__}"
    raise _NoRecordError(reason)


class _NoRecordError(Exception):
    """A file holds something that is no record; the text says what, without any of it."""


@contextmanager
def _opened(url: str, storage: Mapping[str, Any] | None) -> Iterator[IO[bytes]]:
    path = UPath(url) if "://" in url else UPath(url).expanduser()
    if storage and storage.get("root"):
        path = UPath(storage["root"], **(storage.get("params") or {})) / path.name
    elif url.startswith("file://") and not path.exists():
        path = UPath(unquote(urlsplit(url).path))  # some write a path as a URL should be, some not
    with path.open("rb") as file:
        yield file


@contextmanager
def _named(stream: str, url: str) -> Iterator[None]:
    """Say which file of which stream it was."""
    try:
        yield
    except FileNotFoundError:
        reason = "is not there (any more)"
    except _NoRecordError as error:
        reason = f"cannot be taken: {error}"
    except (*_BROKEN, OSError) as error:
        reason = "was cut off, or is not what the message says"
        # What gzip and pyarrow find wrong with content is an OSError as well, but has no number.
        if isinstance(error, OSError) and error.errno is not None:
            reason = f"cannot be read ({error.strerror})"
    else:
        return
    text = f"stream {stream!r}: BATCH file {url} {reason}; let the tap send it again"
    raise DataError(text) from None
