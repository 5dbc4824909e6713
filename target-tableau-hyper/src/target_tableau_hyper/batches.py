"""BATCH messages: the records of files, as the RECORD messages that they stand for.

Whatever a file holds means what the same RECORD messages mean, so both modes give the same rows.
Files are read once and left where they are, as the SDK's own targets do: whoever wrote them knows
when they are no longer needed.
"""

from __future__ import annotations

import gzip
import zlib
from contextlib import contextmanager
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from pipeline_core.errors import DataError
from target_tableau_hyper.extract.arrow_rows import NoRecordError, json_values, structured
from target_tableau_hyper.extract.schema import columns_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Record = dict[str, Any]

#: Rows of a Parquet file that are in memory at a time.
_ROWS = 20_000

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
    ValueError,  # no UTF-8, no date
    OverflowError,
)


def check_form(message: Mapping[str, Any]) -> bool:
    """Whether the files of a BATCH message are Parquet; otherwise they are lines of JSON.

    Raises:
        DataError: they are something else.
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
    return form == "parquet"


def jsonl_records(
    message: Mapping[str, Any], storage: Mapping[str, Any] | None = None
) -> Iterator[tuple[Record, int, str]]:
    """The records of all files of a BATCH message, each with its size in bytes and its file's name.

    Args:
        message: The BATCH message.
        storage: The setting ``batch_config.storage``: where the files are, whatever the message
            says of their folder, and ``params`` of the file system.

    Raises:
        DataError: a file is missing, cut off or of another format; names stream and file.
    """
    for url in message["manifest"]:
        with _named(str(message["stream"]), str(url)), _opened(str(url), storage) as file:
            # The SDK's encoder packs every file, whatever its settings and its messages say.
            packed = file.read(len(_GZIP)) == _GZIP
            file.seek(0)
            for line in gzip.GzipFile(fileobj=file) if packed else file:
                if line.strip():
                    record = _DECODER.decode(line)
                    if not isinstance(record, dict):
                        reason = "a line of it is no object"
                        raise NoRecordError(reason)
                    yield record, len(line), str(url).rpartition("/")[2]


def parquet_batches(
    message: Mapping[str, Any], storage: Mapping[str, Any] | None = None
) -> Iterator[tuple[pa.RecordBatch, str]]:
    """The rows of all files of a BATCH message in groups, each with its file's name.

    The arguments are those of :func:`jsonl_records`.

    Raises:
        DataError: a file is missing, cut off or of another format; names stream and file.
    """
    for url in message["manifest"]:
        with _named(str(message["stream"]), str(url)), _opened(str(url), storage) as file:
            for batch in pq.ParquetFile(file).iter_batches(batch_size=_ROWS):
                yield batch, str(url).rpartition("/")[2]


def rows_of(
    batch: pa.RecordBatch, stream: str, schema: Mapping[str, Any], file: str
) -> Iterator[tuple[Record, int]]:
    """The rows of a batch as records, each with about its size in bytes.

    Args:
        batch: Of a Parquet file.
        stream: For messages.
        schema: Of the stream. Arrow has no type for "any object", so an object or array may come as
            its JSON text.
        file: For messages.

    Raises:
        DataError: a value has no form in JSON.
    """
    texts = structured(schema)
    never_null = frozenset(one.name for one in columns_of(stream, schema) if not one.nullable)
    size = batch.nbytes // max(1, batch.num_rows)
    names = batch.schema.names
    with _named(stream, file):
        columns = [
            json_values(column, is_structured=name in texts)
            for name, column in zip(names, batch.columns, strict=True)
        ]
    hollow = {name for name, column in zip(names, batch.columns, strict=True) if column.null_count}
    absent = hollow & never_null  # null is how a file says that a row lacks a property
    for values in zip(*columns, strict=True):
        record = dict(zip(names, values, strict=True))
        for name in absent:
            if record[name] is None:
                del record[name]
        yield record, size


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
    except NoRecordError as error:
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
