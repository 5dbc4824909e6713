"""Route a request to what answers it and write the answer's body."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

import duckdb

from contoso_sandbox.d365.actions import invoke
from contoso_sandbox.d365.batch import parse_batch, write_batch
from contoso_sandbox.d365.csdl import edmx_pieces
from contoso_sandbox.d365.errors import (
    RefusedError,
    no_such_route,
    no_such_row,
    not_allowed,
    reject,
    server_error,
)
from contoso_sandbox.d365.keys import parse_key
from contoso_sandbox.d365.metadata import MetadataService
from contoso_sandbox.d365.names import DATA_ENTITIES
from contoso_sandbox.d365.options import Options, parse_options
from contoso_sandbox.d365.prepared import Prepared
from contoso_sandbox.d365.traits import FINANCE_AND_OPERATIONS, Traits
from contoso_sandbox.d365.wire import Detail, RowForm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from contoso_sandbox.d365.reading import EmptyReader, Page, Reader
    from contoso_sandbox.model import EntitySet

_RESOURCE = re.compile(r"(?P<name>\w+)(?:\((?P<key>.*)\))?(?P<count>/\$count)?", re.DOTALL)
_ACTION = re.compile(rf"(?P<set>\w+)/{re.escape(DATA_ENTITIES)}\.(?P<action>\w+)")


@dataclass(frozen=True, slots=True)
class Call:
    """One request, decoded.

    Attributes:
        path: Percent-decoded, from the leading slash.
        query: As received.
        origin: Scheme, host and port of the environment's URL; links start with it.
    """

    method: str
    path: str
    query: str
    accept: str
    origin: str
    content_type: str = ""
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer before compression.

    Attributes:
        chunks: The body in pieces, to be sent in turn.
        prepared: The body where it was compressed beforehand; then there are no chunks.
    """

    status: int
    chunks: Sequence[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)
    entity_set: str | None = None
    rows: int = 0
    prepared: Prepared | None = None

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(self.chunks if self.prepared is None else self.prepared.plain())


@dataclass
class Service:
    """The services of one environment under ``/data`` and ``/metadata``.

    Attributes:
        traits: May be replaced while serving.
    """

    reader: Reader | EmptyReader
    traits: Traits = FINANCE_AND_OPERATIONS
    _schemas: dict[bool, Prepared] = field(default_factory=dict, repr=False)
    _writing: Lock = field(default_factory=Lock, repr=False)

    def answer(self, call: Call) -> Reply:
        """Answer ``call``; refusals are answers too."""
        try:
            return self._route(call)
        except RefusedError as refusal:
            return Reply(
                refusal.status, [refusal.body], _headers("application/json; charset=utf-8")
            )
        except duckdb.Error as error:
            # A condition that the engine cannot evaluate, such as an overflow: F&O answers a SQL
            # error with a 500 that tells it in passing.
            return Reply(500, [server_error(str(error).partition("\n")[0])], _json(Detail.MINIMAL))

    def _route(self, call: Call) -> Reply:
        _, _, rest = call.path.partition("/")
        head, _, resource = rest.partition("/")
        if head.lower() == "data":
            return self._data(call, resource)
        if head.lower() == "metadata" and self.traits.metadata_service:
            if call.method != "GET":
                raise not_allowed(call.method)
            match = _RESOURCE.fullmatch(resource)
            name, key = (match["name"], match["key"]) if match else (resource, None)
            root = f"{call.origin}/metadata/"
            whole = None if key or call.query else self._metadata.whole(name, root=root)
            if whole is not None:
                return Reply(200, (), _json(Detail.MINIMAL), prepared=whole)
            pieces = self._metadata.answer(name, key, call.query, root=root)
            return Reply(200, pieces, _json(Detail.MINIMAL))
        raise no_such_route(call.origin + call.path)

    def _data(self, call: Call, resource: str) -> Reply:
        if action := _ACTION.fullmatch(resource):
            if call.method != "POST":
                raise not_allowed(call.method)
            body = invoke(action["set"], action["action"], root=f"{call.origin}/data/")
            if body is None:
                raise no_such_route(call.origin + call.path)
            return Reply(200, [body], _json(Detail.MINIMAL))
        if resource == "$batch" and call.method == "POST":
            return self._batch(call)
        if call.method != "GET":
            raise not_allowed(call.method)
        if resource == "":
            return Reply(200, [self._service_document(call)], _json(_detail(call.accept)))
        if resource == "$metadata":
            return Reply(200, (), _headers("application/xml"), prepared=self._schema())
        match = _RESOURCE.fullmatch(resource)
        entity_set = self.reader.environment.entity_sets.get(match["name"]) if match else None
        if match is None or entity_set is None or (match["key"] and match["count"]):
            raise no_such_route(call.origin + call.path)
        return self._read(call, entity_set, match["key"], count=match["count"] is not None)

    def _read(self, call: Call, entity_set: EntitySet, key: str | None, *, count: bool) -> Reply:
        sets = self.reader.environment.entity_sets
        options = parse_options(
            call.query,
            entity_set,
            sets,
            page_size=self.reader.page_size,
            skip_tokens=self.traits.skip_tokens,
        )
        if count:
            total = self.reader.count(entity_set, options)
            return Reply(200, [str(total).encode()], _headers("text/plain"), entity_set.name)
        detail = _detail(call.accept)
        if key is None:
            return self._page(call, entity_set, options, detail)
        return self._row(call, entity_set, key, options, detail)

    def _page(self, call: Call, entity_set: EntitySet, options: Options, detail: Detail) -> Reply:
        root = f"{call.origin}/data/"
        strings = self.traits.strings_for(call.accept)
        form = RowForm(detail, root, options.select, numbers_as_strings=strings)
        page = self.reader.page(entity_set, options, form)
        opening = []
        if detail is not Detail.NONE:
            opening.append(f'"@odata.context":"{root}{_context(entity_set, options)}"')
        if page.total is not None:
            total = f'"{page.total}"' if strings else page.total
            opening.append(f'"@odata.count":{total}')
        opening.append('"value":[')
        closing = "]}"
        if page.rows.more or self._is_followed_by_nothing(page, options):
            query = options.next_query(self.reader.page_size, self.traits)
            link = json.dumps(self.traits.link(root, entity_set.name, query))
            closing = f'],"@odata.nextLink":{link}}}'
        chunks = [("{" + ",".join(opening)).encode()]
        for position, chunk in enumerate(page.rows.chunks):
            chunks.append(b"," + chunk if position else chunk)
        chunks.append(closing.encode())
        headers = _json(detail, strings=strings)
        return Reply(200, chunks, headers, entity_set.name, page.rows.count)

    def _is_followed_by_nothing(self, page: Page, options: Options) -> bool:
        full = page.rows.count == self.reader.page_size
        return self.traits.empty_last_page and full and options.limit is None

    def _row(
        self, call: Call, entity_set: EntitySet, key: str, options: Options, detail: Detail
    ) -> Reply:
        root = f"{call.origin}/data/"
        condition = parse_key(key, entity_set)
        strings = self.traits.strings_for(call.accept)
        form = RowForm(detail, root, options.select, numbers_as_strings=strings)
        row = self.reader.row(entity_set, condition, options, form)
        if row is None:
            raise no_such_row(entity_set.name)
        if detail is not Detail.NONE:
            context = f"{root}{_context(entity_set, options)}/$entity"
            row = f'{{"@odata.context":"{context}",'.encode() + row[1:]
        return Reply(200, [row], _json(detail, strings=strings), entity_set.name, 1)

    def _batch(self, call: Call) -> Reply:
        replies = []
        for operation in parse_batch(call.content_type, call.body):
            target = urlsplit(urljoin(f"{call.origin}/data/$batch", operation.target))
            if target.path.endswith("/$batch"):
                reject("A batch cannot hold a batch.")
            part = replace(
                call,
                method=operation.method,
                path=unquote(target.path),
                query=target.query,
                accept=operation.accept,
            )
            replies.append(self.answer(part))
        parts = [(reply.status, reply.headers, reply.body) for reply in replies]
        content_type, body = write_batch(parts)
        return Reply(200, [body], _headers(content_type), rows=sum(reply.rows for reply in replies))

    def _service_document(self, call: Call) -> bytes:
        value = [
            {"name": name, "kind": "EntitySet", "url": name}
            for name in self.reader.environment.entity_sets
        ]
        context = f"{call.origin}/data/$metadata"
        document = {"@odata.context": context, "value": value}
        return json.dumps(document, separators=(",", ":")).encode()

    def _schema(self) -> Prepared:
        """Return ``$metadata``, written at the first call."""
        facets = self.traits.facets
        with self._writing:
            if facets not in self._schemas:
                pieces = edmx_pieces(self.reader.environment, facets=facets)
                self._schemas[facets] = Prepared.of(pieces)
            return self._schemas[facets]

    def prepare(self, origin: str) -> None:
        """Write now what is large, instead of at the first request for it."""
        self._metadata.whole("PublicEntities", root=f"{origin}/metadata/")
        self._metadata.whole("DataEntities", root=f"{origin}/metadata/")
        self._schema()

    @cached_property
    def _metadata(self) -> MetadataService:
        return MetadataService(self.reader.environment)


def _context(entity_set: EntitySet, options: Options) -> str:
    """Name the shape: under ``$select`` it is ``$metadata#CustomerGroups(dataAreaId,...)``."""
    nested = [
        f"{expansion.navigation.name}({','.join(expansion.select)})"
        for expansion in options.expand
        if expansion.select
    ]
    parts = [*options.select, *nested]
    columns = f"({','.join(parts)})" if parts else ""
    return f"$metadata#{entity_set.name}{columns}"


def _detail(accept: str) -> Detail:
    wanted = accept.lower().replace(" ", "")
    for detail in (Detail.FULL, Detail.NONE):
        if f"odata.metadata={detail}" in wanted:
            return detail
    return Detail.MINIMAL


def _json(detail: Detail, *, strings: bool = False) -> dict[str, str]:
    exact = "; IEEE754Compatible=true" if strings else ""
    return _headers(f"application/json; odata.metadata={detail}; odata.streaming=true{exact}")


def _headers(content_type: str) -> dict[str, str]:
    return {"content-type": content_type, "odata-version": "4.0"}
