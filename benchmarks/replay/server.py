"""A D365 environment whose pages cost next to nothing: what is measured is the tap, not the server.

    python -m benchmarks.replay.server DIRECTORY '{"entity_set": "VendorsV2", "rows": 20000}'

The sandbox's environment answers for token, metadata and companies. Pages of one entity set are put
in its place: the rows of :mod:`benchmarks.data.pages`, compressed as F&O does it, either before the
server says that it is ready or (``ahead`` false) when asked. Runs until its standard input ends.
"""

from __future__ import annotations

import json
import re
import sys
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from benchmarks.data.pages import FIRST_NUMBER, Pages
from benchmarks.replay.plan import TOKEN, Replay

from contoso_sandbox.compression import GZIP_WINDOW
from contoso_sandbox.entities import contoso_environment
from contoso_sandbox.environment_box import EnvironmentBox
from contoso_sandbox.faults import Action, Answer, Fault, delay

if TYPE_CHECKING:
    from contoso_sandbox.faults import Asked
    from contoso_sandbox.faults.wire import Wire

_COMPANY = re.compile(r"dataAreaId eq '(\w+)'")
_ABOVE = re.compile(r"SourceKey gt (\d+)")
_UP_TO = re.compile(r"SourceKey le (\d+)")
#: As the sandbox compresses, and as fast.
_PACKED = 1
#: gzip without compression, for volumes at which packing would take the tap's processor away.
_STORED = 0


@dataclass(slots=True)
class PageAnswers:
    """Answers requests for the pages of one entity set.

    Attributes:
        replay: What is served.
        sets: Rows by company; the empty name where there are none.
    """

    replay: Replay
    sets: dict[str, Pages]
    _packed: dict[tuple[str, int, int, bool], bytes] = field(default_factory=dict)

    def pack_ahead(self, url: str) -> None:
        """Pack all pages that links lead to."""
        for company in self.sets:
            for start in range(0, self.replay.rows, self.replay.page_rows):
                key = (company, start, self._stop(start, None), False)
                self._packed[key] = self._page(url, *key, level=_PACKED)

    def answer(self, asked: Asked) -> Answer:
        """One page, packed."""
        options = asked.options
        condition = options.get("$filter", "")
        company = match[1] if (match := _COMPANY.search(condition)) else ""
        start = int(options.get("$skip", 0))
        if match := _ABOVE.search(condition):
            start = max(start, int(match[1]) - FIRST_NUMBER + 1)
        counted = options.get("$count") == "true"
        total = self.replay.rows
        if match := _UP_TO.search(condition):
            total = max(0, min(total, int(match[1]) - FIRST_NUMBER + 1))
        stop = min(total, self._stop(start, options.get("$top")))
        key = (company, start, stop, counted)
        body = self._packed.get(key)
        if body is None:
            level = _STORED if self.replay.stored else _PACKED
            body = self._page(f"https://{asked.headers['host']}", *key, level=level, total=total)
        headers = {
            "content-type": "application/json; odata.metadata=minimal",
            "content-encoding": "gzip",
            "odata-version": "4.0",
        }
        return Answer(200, headers, body)

    def _stop(self, start: int, top: str | None) -> int:
        most = self.replay.page_rows if top is None else min(int(top), self.replay.page_rows)
        return max(start, min(self.replay.rows, start + most))

    def _page(
        self,
        url: str,
        company: str,
        start: int,
        stop: int,
        counted: bool,  # noqa: FBT001 - part of the key
        *,
        level: int,
        total: int | None = None,
    ) -> bytes:
        name = self.replay.entity_set
        count = f'"@odata.count":{self.replay.rows if total is None else total},' if counted else ""
        packer = zlib.compressobj(level, wbits=GZIP_WINDOW)
        opening = f'{{"@odata.context":"{url}/data/$metadata#{name}",{count}"value":['
        pieces = [packer.compress(opening.encode())]
        pages = self.sets[company]
        for at in range(start, stop, pages.block_rows):
            comma = b"," if at > start else b""
            rows = pages.rows(at, min(stop, at + pages.block_rows))
            pieces.append(packer.compress(comma + rows))
        closing = "]}"
        if stop < self.replay.rows and stop - start == self.replay.page_rows:
            condition = quote(f"dataAreaId eq '{company}'") if company else ""
            query = f"cross-company=true{f'&$filter={condition}' if company else ''}"
            order = f"dataAreaId,{pages.key}" if company else pages.key
            link = f"{url}/data/{name}?{query}&$orderby={order}&$skip={stop}"
            closing = f'],"@odata.nextLink":"{link}"}}'
        pieces += [packer.compress(closing.encode()), packer.flush()]
        return b"".join(pieces)


async def _send(answer: Answer, wire: Wire) -> None:
    """Send a body that is packed already."""
    length = {"content-length": str(len(answer.body))}
    await wire.start(answer.status, {**answer.headers, **length}, len(answer.body))
    await wire.body(answer.body)
    await wire.end()


def serve(directory: Path, replay: Replay) -> None:
    """Serve until standard input ends; says on standard output where."""
    environment = contoso_environment()
    entity_set = environment.entity_sets[replay.entity_set]
    sets = {
        company: Pages(
            entity_set,
            environment.enums,
            company=company or None,
            block_rows=min(replay.block_rows, replay.page_rows),
        )
        for company in replay.companies or ("",)
    }
    answers = PageAnswers(replay, sets)
    with EnvironmentBox(directory, environment, fixed_tokens=(TOKEN,)) as box:
        for company in replay.companies or ("usmf",):
            box.tables.insert("LegalEntities", {"LegalEntityId": company, "Name": company})
        if replay.delay_s:
            box.d365.faults.add(Fault(delay(replay.delay_s), on=replay.entity_set))
        action = Action("replay", instead=answers.answer, deliver=_send)
        box.d365.faults.add(Fault(action, on=replay.entity_set))
        if replay.ahead:
            answers.pack_ahead(box.d365_url)
        prefix = "TAP_D365FO_"
        config: dict[str, Any] = {
            name.removeprefix(prefix).lower(): value for name, value in box.settings().items()
        }
        print(json.dumps(config), flush=True)  # noqa: T201 - whoever started us waits for it
        sys.stdin.read()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Replay(**json.loads(sys.argv[2])))
