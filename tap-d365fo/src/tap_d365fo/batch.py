"""BATCH messages: the records of a stream in files, with the values of its RECORD messages.

The SDK's own BATCH mode writes what ``get_records`` yields: deselected columns travel, stream maps
do not apply. Here the very records of RECORD mode are written, after selection and maps.

**Versions.** A reading of all rows ends with ACTIVATE_VERSION: what does not carry the version of
this reading is gone in F&O, and the target removes it. The rows of a BATCH carry none, because SDK
targets fill ``_sdc_table_version`` from RECORD messages only. So after a BATCH that message would
do harm: target-postgres (sinks.py, ``activate_version``) then deletes rows without a version, that
is, all that it has just loaded. Without the message, what is gone in F&O stays in the target. Hence
:class:`FullReads`: unless told otherwise such a reading travels as RECORD messages, which is right
with every target.
"""

from __future__ import annotations

import gzip
import importlib.util
import re
import uuid
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from singer_sdk.helpers._batch import (
    DEFAULT_BATCH_SIZE,
    BaseBatchFileEncoding,
    BatchConfig,
    SDKBatchMessage,
    StorageTarget,
)
from upath import UPath

from pipeline_core.errors import ConfigError, TransientError
from pipeline_core.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from singer_sdk.mapper import StreamMap

    from tap_d365fo.audit import RunAudit
    from tap_d365fo.reading.typed_rows import Row

_ENDINGS = {"jsonl": "json.gz", "parquet": "parquet"}

#: What a stream's alias keeps of itself in a file name.
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")

#: The fastest level: the files are read once, soon, and mostly on the same machine.
_GZIP_LEVEL = 1

_LOCAL = "file://"

_encoder = msgspec.json.Encoder(decimal_format="number")


class FullReads(StrEnum):
    """How a reading travels that ends with ACTIVATE_VERSION, where ``batch_config`` is set.

    Attributes:
        RECORDS: As RECORD messages, with their version.
        BATCHES: In files, and without ACTIVATE_VERSION: what is gone in F&O stays in the target.
        VERSIONED_BATCHES: In files whose BATCH message carries the version, and ACTIVATE_VERSION
            follows. Only for a target that gives the message's version to the rows of its files.
    """

    RECORDS = "records"
    BATCHES = "batches"
    VERSIONED_BATCHES = "versioned_batches"

    def applied(
        self, config: BatchConfig | None, version: int | None
    ) -> tuple[BatchConfig | None, int | None]:
        """How one reading travels.

        Args:
            config: None where everything travels as RECORD messages.
            version: Of the reading; None where it brings changes only.

        Returns:
            The files to write, if any, and the version to send, if any.
        """
        if config is None or version is None or self is FullReads.VERSIONED_BATCHES:
            return config, version
        return (None, version) if self is FullReads.RECORDS else (config, None)


def batch_config(config: Mapping[str, Any]) -> BatchConfig | None:
    """The SDK's setting ``batch_config``; None where records travel as RECORD messages.

    Raises:
        ConfigError: it is not complete, or pyarrow is missing.
    """
    given = config.get("batch_config")
    if not given:
        return None
    encoding, storage = given.get("encoding") or {}, given.get("storage") or {}
    size = given.get("batch_size") or DEFAULT_BATCH_SIZE
    if encoding.get("format") not in _ENDINGS or not storage.get("root"):
        message = (
            "batch_config needs encoding.format (jsonl or parquet) and storage.root (a directory "
            "or an fsspec URL)"
        )
        raise ConfigError(message)
    if not isinstance(size, int) or size < 1:
        message = "batch_config.batch_size must be a number of rows"
        raise ConfigError(message)
    if encoding["format"] == "parquet" and importlib.util.find_spec("pyarrow") is None:
        message = (
            "batch_config.encoding.format parquet needs pyarrow: install tap-d365fo[parquet], or "
            "use jsonl"
        )
        raise ConfigError(message)
    return BatchConfig(
        encoding=BaseBatchFileEncoding(encoding["format"], encoding.get("compression")),
        storage=StorageTarget(
            _root(storage["root"]), storage.get("prefix"), storage.get("params") or {}
        ),
        batch_size=size,
    )


class BatchWriter:
    """Writes the records of one stream, as the target is to know it, into files."""

    def __init__(
        self,
        config: BatchConfig,
        stream: str,
        schema: Mapping[str, Any],
        key: Sequence[str],
        audit: RunAudit,
        *,
        version: int | None = None,
    ) -> None:
        """Prepare the name of the files; nothing is written yet.

        Args:
            config: Format, place and largest number of rows of a file.
            stream: Its name after stream maps.
            schema: Its schema after stream maps.
            key: Its key after stream maps.
            audit: Counts what is written, as it counts RECORD messages.
            version: Sent along with every BATCH message.
        """
        self._config = config
        self._stream = stream
        self._schema = schema
        self._key = key
        self._audit = audit
        self._version = version
        # The random part keeps two runs with one id (Meltano's retry) out of each other's files.
        self._name = "--".join(
            _UNSAFE.sub("_", part) for part in (stream, audit.run_id, uuid.uuid4().hex[:8])
        )
        self._files = 0

    def write(self, records: Sequence[Row]) -> list[SDKBatchMessage]:
        """Write ``records``; the files are there when the messages are returned.

        Raises:
            DataError: a value does not fit the column that its schema promises.
            TransientError: the storage does not take a file.
        """
        size = self._config.batch_size
        return [self._file(records[at : at + size]) for at in range(0, len(records), size)]

    def _file(self, records: Sequence[Row]) -> SDKBatchMessage:
        encoding = self._config.encoding
        self._files += 1
        prefix = self._config.storage.prefix or ""
        name = f"{prefix}{self._name}-{self._files}.{_ENDINGS[encoding.format]}"
        if encoding.format == "parquet":
            content = self._parquet(records)
        else:
            content = gzip.compress(_encoder.encode_lines(records), _GZIP_LEVEL, mtime=0)
            # Whatever the setting says, as the SDK writes it: its targets read what this says.
            encoding = BaseBatchFileEncoding("jsonl", "gzip")
        url = _stored(self._config.storage, name, content)
        self._audit.add_all(self._stream, records)
        return SDKBatchMessage(self._stream, encoding, [url], self._version)

    def _parquet(self, records: Sequence[Row]) -> bytes:
        from tap_d365fo.parquet import parquet_bytes  # noqa: PLC0415 - pyarrow is optional

        compression = self._config.encoding.compression or "snappy"
        return parquet_bytes(
            self._stream, self._schema, self._key, records, compression=compression
        )


class StreamBatches:
    """The BATCH messages of one stream: one writer for each of its stream maps."""

    def __init__(
        self,
        config: BatchConfig,
        stream_maps: Iterable[StreamMap],
        audit: RunAudit,
        *,
        version: int | None,
    ) -> None:
        """Write what ``stream_maps`` make of each record."""
        self._writers = [
            (
                stream_map,
                BatchWriter(
                    config,
                    stream_map.stream_alias,
                    stream_map.transformed_schema,
                    stream_map.transformed_key_properties or (),
                    audit,
                    version=version,
                ),
            )
            for stream_map in stream_maps
        ]

    def messages(self, records: Sequence[dict[str, Any]]) -> Iterator[SDKBatchMessage]:
        """The messages for ``records``, which are as the stream reads them."""
        for stream_map, writer in self._writers:
            mapped = (stream_map.transform(record) for record in records)
            yield from writer.write([record for record in mapped if record is not None])

    def messages_of_untouched(self, records: Sequence[Row]) -> Iterator[SDKBatchMessage]:
        """The same, where no stream map changes anything."""
        for _, writer in self._writers:
            yield from writer.write(records)


def _stored(storage: StorageTarget, name: str, content: bytes) -> str:
    """Write one file, whole, and return its URL.

    Not by the SDK's ``StorageTarget.open``: a local file would first come to be in the system's
    temporary directory, and not every file system of fsspec takes the path that it passes on.
    """
    try:
        if storage.root.startswith(_LOCAL):
            path = Path(storage.root.removeprefix(_LOCAL), name)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content, mode=0o600)
            return f"{_LOCAL}{path}"
        root = UPath(storage.root, **storage.params)
        root.mkdir(parents=True, exist_ok=True)
        file = root / name
        file.write_bytes(content)
        return str(file.as_uri())
    except OSError as error:
        reason = error.strerror or type(error).__name__
        message = (
            f"batch_config.storage does not take a file ({reason}); free space or repair it, then "
            "run again"
        )
        raise TransientError(message) from error


def _root(given: str) -> str:
    """The storage's address as a URL.

    A directory becomes ``file://`` as it is spelt: from a path the SDK would make a URL with
    ``%20``, which its targets then look for by that name.
    """
    return given if "://" in given else f"{_LOCAL}{Path(given).expanduser().absolute()}"
