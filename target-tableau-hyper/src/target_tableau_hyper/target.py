"""The Singer target: wires the SDK's messages to a run."""

from __future__ import annotations

import copy
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk.exceptions import RecordsWithoutSchemaException
from singer_sdk.helpers.capabilities import PluginCapabilities, TargetCapabilities
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.singerlib.json import serialize_json
from singer_sdk.target_base import Target

from pipeline_core.errors import ConfigError, DataError, ReaderGoneError, TerminatedError
from pipeline_core.secrets.resolve import resolve_secrets, secret_settings
from target_tableau_hyper.batches import check_form, jsonl_records, parquet_batches, rows_of
from target_tableau_hyper.extract.schema import DELETED_AT, columns_of
from target_tableau_hyper.failpoints import reach
from target_tableau_hyper.finish import finish_run
from target_tableau_hyper.reader import Lines, MessageReader
from target_tableau_hyper.run import Run
from target_tableau_hyper.settings import CONFIG_JSONSCHEMA, Settings
from target_tableau_hyper.settings_check import faults, fill_defaults, unknown_settings
from target_tableau_hyper.sink import HyperSink

if TYPE_CHECKING:
    from concurrent.futures import Future
    from contextlib import AbstractContextManager
    from types import FrameType

    import click
    import pyarrow as pa
    from singer_sdk.helpers.capabilities import CapabilitiesEnum
    from singer_sdk.plugin_base import _ConfigInput

    from target_tableau_hyper.audit import Tally

#: How often progress is told while rows flow.
_PROGRESS_S = 10.0

#: Records between two looks at the clock.
_PROGRESS_RECORDS = 5_000

#: Records that are worth being read as columns: fewer wait for others as they are.
_WORTH_COLUMNS = 500

_HELP = """Load Singer messages into Hyper extracts and publish them to Tableau.

Reads messages from standard input (or --input), merges them by key into one .hyper file a stream,
proves every file by counting and adding it up again, and, where tableau_server_url is set, brings
the published data sources up to date. The last STATE goes to standard output once all of that is
done. A run whose input fails leaves Tableau and the files as they were; one whose delivery
fails keeps the new files, and the next run delivers them.

\b
Examples:
  tap-d365fo --config tap.json | target-tableau-hyper --config target.json
  target-tableau-hyper --config ENV < messages.singer
  target-tableau-hyper --about --format markdown

\b
Commands beside it (each with --help):
  target-tableau-hyper refresh    refresh data sources and workbooks of a site
  target-tableau-hyper publish    deliver sealed extracts without Singer input
  target-tableau-hyper verify     check extracts against their seals
  target-tableau-hyper inspect    show what is in a .hyper file

\b
Settings come from --config FILE (repeatable) and, with --config ENV, from
TARGET_TABLEAU_HYPER_<SETTING>; --about lists them.

\b
Exit codes: 0 done, 65 data do not fit, 70 input incomplete or an extract
altered, 73 another target holds output_dir, 74 nobody reads our STATE, 75 try
again later, 77 identity refused, 78 a setting is wrong, 143 told to stop, 1 anything else.
"""


class RecordBeforeSchemaError(DataError, RecordsWithoutSchemaException):
    """A record came before its stream's SCHEMA; the SDK's own class as well."""


class HyperTarget(Target):
    """Singer target for Tableau: Hyper extracts, published data sources, verified jobs."""

    name = "target-tableau-hyper"
    config_jsonschema: ClassVar[dict[str, Any]] = CONFIG_JSONSCHEMA
    default_sink_class = HyperSink
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        PluginCapabilities.ABOUT,
        PluginCapabilities.BATCH,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
        PluginCapabilities.ACTIVATE_VERSION,
        TargetCapabilities.VALIDATE_RECORDS,
        TargetCapabilities.HARD_DELETE,
    ]

    message_reader: MessageReader

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401 - the SDK's own signature
        """Read the settings; nothing is touched before the first message.

        Raises:
            ConfigError: a setting is wrong.
        """
        kwargs["message_reader"] = kwargs.get("message_reader") or MessageReader(self._guard)
        super().__init__(**kwargs)
        self.run = self._new_run()
        #: ``version`` of the message that is being processed.
        self.version_in_hand: int | None = None
        #: ``_sdc_deleted_at`` of the record that is being mapped.
        self.deleted_at_in_hand: object = None
        self._aliases: dict[str, str] = {}
        self._raw_schemas: dict[str, tuple[Any, Any]] = {}
        self._lanes: dict[str, tuple[HyperSink, Tally]] = {}
        #: A group of lines, and its columns as soon as they are read.
        self._ahead: tuple[Lines, Future[pa.RecordBatch | None] | None] | None = None
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="lines")
        self._counted = 0
        self._told_at = time.monotonic()

    def _new_run(self) -> Run:
        return Run(Settings.from_config(self.config), self.logger, secret_uses=self._secret_uses)

    def _guard(self) -> AbstractContextManager[None]:
        return self.run.guard()

    @classmethod
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        """Add the SDK's settings, without the one that has no function here."""
        super().append_builtin_config(config_jsonschema)
        # Segments have limits of their own, in rows and bytes.
        config_jsonschema["properties"].pop("batch_size_rows", None)

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """The SDK's command with a help text worth reading."""
        command = super().get_singer_command()
        command.help = _HELP
        return command

    @classmethod
    def cb_config(
        cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]
    ) -> _ConfigInput:
        """Read the ``--config`` files.

        Raises:
            ConfigError: one is missing or no JSON.
        """
        try:
            return super().cb_config(ctx, param, value)
        except (OSError, ValueError) as error:
            files = ", ".join(repr(name) for name in value if name != "ENV")
            message = f"--config {files} cannot be read as JSON; check name and content of the file"
            raise ConfigError(message) from error

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Resolve references to secrets, then check the settings without printing a value.

        Raises:
            ConfigError: names every setting that is wrong.
        """
        full = copy.deepcopy(self.config_jsonschema)
        self.append_builtin_config(full)
        self._config, self._secret_uses = resolve_secrets(self._config, secret_settings(full))
        fill_defaults(self._config, full)
        found = faults(self._config, full)
        if found and raise_errors:
            message = f"wrong settings: {'; '.join(found)}"
            raise ConfigError(message)
        for line in unknown_settings(self._config, full):
            self.logger.warning(line)
        return found

    def _process_schema_message(self, message_dict: dict[str, Any]) -> None:
        """Make a stream known, or learn of its new columns and keys."""
        self._assert_line_requires(message_dict, requires={"stream", "schema"})
        stream, schema = message_dict["stream"], message_dict["schema"]
        keys = message_dict.get("key_properties")
        self.run.completeness.something_followed()
        if self._raw_schemas.get(stream) == (schema, keys):
            return
        columns = columns_of(stream, schema)
        self.run.completeness.tally(stream).know(columns)
        self._raw_schemas[stream] = (copy.deepcopy(schema), copy.deepcopy(keys))
        self._lanes.pop(stream, None)
        self.message_reader.take_singly(stream)
        self.mapper.register_raw_stream_schema(stream, copy.deepcopy(schema), keys or [])
        maps = self.mapper.stream_maps[stream]
        for stream_map in maps:
            if not _drops_stream(stream_map):
                self._claim_alias(stream_map.stream_alias, stream)
                self.get_sink(
                    stream_map.stream_alias,
                    schema=stream_map.transformed_schema,
                    key_properties=stream_map.transformed_key_properties,
                )
        if (
            len(maps) == 1
            and type(maps[0]) is SameRecordTransform
            and not maps[0].flattening_enabled
        ):
            sink = self.get_sink(maps[0].stream_alias)
            assert isinstance(sink, HyperSink)  # noqa: S101 - the default sink class
            self._lanes[stream] = (sink, self.run.completeness.tally(stream))
            if sink.takes_lines:
                self.message_reader.take_together(stream, self._process_lines, self._settle_lines)

    def _claim_alias(self, alias: str, stream: str) -> None:
        """Let no two streams feed one table: the second's SCHEMA would shut out the first's rows.

        Raises:
            ConfigError: another stream has the name already.
        """
        owner = self._aliases.setdefault(alias, stream)
        if owner != stream:
            message = (
                f"stream_maps name both {owner!r} and {stream!r} {alias!r}; give each its own "
                "__alias__"
            )
            raise ConfigError(message)

    def _process_record_message(self, message_dict: dict[str, Any]) -> None:
        """Count a record and store it: the short way where no map touches it."""
        try:
            record = message_dict["record"]
            stream = message_dict["stream"]
        except KeyError:
            self._assert_line_requires(message_dict, requires={"stream", "record"})
            raise
        if type(record) is not dict:
            message = (
                f"a RECORD of stream {stream!r} holds no object; the tap breaks the Singer spec"
            )
            raise DataError(message)
        lane = self._lanes.get(stream)
        if lane is not None:
            lane[1].add(record)
            lane[0].take(record, message_dict)
        else:
            if stream not in self._raw_schemas:
                message = f"a record of stream {stream!r} came before its SCHEMA"
                raise RecordBeforeSchemaError(message)
            self.run.completeness.tally(stream).add(copy.copy(record))
            self.version_in_hand = message_dict.get("version")
            self.deleted_at_in_hand = record.get(DELETED_AT)
            super()._process_record_message(message_dict)
        self._count(1)

    def _process_lines(self, lines: Lines) -> None:
        """Let a group be read as columns while the next is collected; that before it is stored."""
        self._settle_lines()
        sink, _ = self._lanes[lines.stream]
        read = sink.writer.reading(lines.records) if len(lines.records) >= _WORTH_COLUMNS else None
        self._ahead = (lines, self._reading.submit(read) if read else None)

    def _settle_lines(self) -> None:
        """Count and store the group that was put off, as columns where that is certain."""
        if self._ahead is None:
            return
        (lines, reading), self._ahead = self._ahead, None
        sink, tally = self._lanes[lines.stream]
        sums = sink.take_lines(reading.result(), lines.version) if reading else None
        if sums is None:
            for message in self.message_reader.messages_of(lines):
                self._process_record_message(message)
            return
        tally.add_batch(len(lines.records), sums)
        self._count(len(lines.records))

    def _count(self, records: int) -> None:
        """Tell of progress every so many records."""
        before = self._counted // _PROGRESS_RECORDS
        self._counted += records
        if self._counted // _PROGRESS_RECORDS != before:
            self._tell_progress()

    def _process_activate_version_message(self, message_dict: dict[str, Any]) -> None:
        """Note that the stream's older rows are to go."""
        self._assert_line_requires(message_dict, requires={"stream", "version"})
        if message_dict["stream"] not in self._raw_schemas:
            message = (
                f"ACTIVATE_VERSION of stream {message_dict['stream']!r} came before its SCHEMA"
            )
            raise RecordBeforeSchemaError(message)
        self.run.completeness.something_followed()
        for stream_map in self.mapper.stream_maps[message_dict["stream"]]:
            if _drops_stream(stream_map):
                continue
            sink = self.get_sink(stream_map.stream_alias)
            if sink.process_activate_version_messages:
                sink.activate_version(message_dict["version"])

    def _process_batch_message(self, message_dict: dict[str, Any]) -> None:
        """Take the records of the files as if each had come in a message of its own."""
        self._assert_line_requires(message_dict, requires={"stream", "encoding", "manifest"})
        stream, version = message_dict["stream"], message_dict.get("version")
        if stream not in self._raw_schemas:
            message = f"a BATCH of stream {stream!r} came before its SCHEMA"
            raise RecordBeforeSchemaError(message)
        storage = (self.config.get("batch_config") or {}).get("storage")
        reader = self.message_reader
        if check_form(message_dict):
            for batch, reader.batch_file in parquet_batches(message_dict, storage):
                self._process_arrow_batch(stream, batch, version, reader.batch_file)
        else:
            for record, reader.line_bytes, reader.batch_file in jsonl_records(
                message_dict, storage
            ):
                self._process_record_of_file(stream, record, version)
        reader.batch_file = None

    def _process_arrow_batch(
        self, stream: str, batch: pa.RecordBatch, version: int | None, file: str
    ) -> None:
        """Count and store the rows of a Parquet file, as they are where nothing touches them."""
        lane = self._lanes.get(stream)
        sums = lane[0].take_batch(batch, version) if lane is not None else None
        if lane is not None and sums is not None:
            lane[1].add_batch(batch.num_rows, sums)
            self._count(batch.num_rows)
            return
        schema = self._raw_schemas[stream][0]
        for record, self.message_reader.line_bytes in rows_of(batch, stream, schema, file):
            self._process_record_of_file(stream, record, version)

    def _process_record_of_file(
        self, stream: str, record: dict[str, Any], version: int | None
    ) -> None:
        """Take a record of a file as if it had come in a message of its own."""
        if record.get(DELETED_AT) is not None:
            # A file has every column for every row; a deletion has but its key.
            record = {name: value for name, value in record.items() if value is not None}
        self._process_record_message(
            {"type": "RECORD", "stream": stream, "record": record, "version": version}
        )

    def _process_state_message(self, message_dict: dict[str, Any]) -> None:
        """Judge the figures of a STATE and keep it: it goes out when its rows are safe."""
        self._assert_line_requires(message_dict, requires={"value"})
        self.run.completeness.judge(message_dict["value"])
        self.run.tell_source()
        reach("input.state")
        self._latest_state = message_dict["value"]

    def process_endofpipe(self) -> None:
        """Load, seal, deliver; and only then pass the STATE on."""
        self._reading.shutdown()
        with self.run.guard():
            finish_run(self.run, self._pass_state_on)
        self.run.close()

    def _handle_max_record_age(self) -> None:
        """Nothing: a STATE never goes out by the clock."""

    def _pass_state_on(self) -> None:
        if self._latest_state:
            self._write_state_message(self._latest_state)

    def _write_state_message(self, state: dict[str, Any]) -> None:
        """One line on stdout, numbers with the digits that they came with."""
        try:
            sys.stdout.write(f"{serialize_json(state)}\n")
            sys.stdout.flush()
        except BrokenPipeError as error:
            # What is still in the buffer must not fail again when the interpreter flushes it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            message = (
                "the process that reads our STATE has gone away; look at its last line, the next "
                "run reads the same again"
            )
            raise ReaderGoneError(message) from error

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        """Stop at once: nothing is merged, published or acknowledged any more."""
        del frame
        signal.signal(signum, signal.SIG_IGN)  # a second one must not disturb the tidying up
        if signum == signal.SIGINT:
            raise KeyboardInterrupt
        message = (
            "told to stop (SIGTERM); nothing more of this run is replaced, published or "
            "acknowledged, run again"
        )
        raise TerminatedError(message)

    def _tell_progress(self) -> None:
        now = time.monotonic()
        if now - self._told_at >= _PROGRESS_S:
            self._told_at = now
            counts = {n: t.records for n, t in self.run.completeness.tallies().items() if t.records}
            told = ", ".join(f"{name} {count:,}" for name, count in list(counts.items())[-5:])
            self.logger.info("received %s records so far (%s)", f"{self._counted:,}", told)


def _drops_stream(stream_map: object) -> bool:
    return type(stream_map).__name__ == "RemoveRecordTransform"
