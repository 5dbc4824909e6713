"""One page of rows, and the walk from page to page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from pipeline_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tap_d365fo.access.client import Answer
    from tap_d365fo.access.links import LinkRebaser


#: Where F&O's nextLink says at which row to go on.
_POSITION = re.compile(r"([?&](?:\$|%24)skip=)(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one answer.

    Attributes:
        rows: As received, ``@odata`` annotations included.
        count: Rows that match the whole query, where it was asked for.
        next_url: Address of the next page on our own origin; None on the last one.
        size_bytes: Length of the unpacked answer.
        received_at: When its last byte had come.
    """

    url: str
    rows: list[dict[str, Any]]
    count: int | None
    next_url: str | None
    size_bytes: int
    received_at: datetime


class Fetcher(Protocol):
    """What gets a document: the network, or the archive of an earlier run."""

    def get(self, url: str) -> Answer:
        """Fetch and parse the document at ``url``."""


def overlapping(next_url: str, rows: int, *, current: str) -> str:
    """The next page, begun so many ``rows`` earlier, so that it can be seen to join on.

    F&O writes the position into its links (``$skip=10000``). A link of another form is left alone,
    and so is one that would then not get past the ``current`` page.
    """
    position = _POSITION.search(next_url)
    if position is None:
        return next_url
    here = _POSITION.search(current)
    earlier = int(position[2]) - rows
    if earlier <= (int(here[2]) if here else 0):
        return next_url
    return f"{next_url[: position.start(2)]}{earlier}{next_url[position.end(2) :]}"


class PageReader:
    """Reads documents and pages through one client.

    Attributes:
        received_at: When the latest page had come.
    """

    received_at: datetime | None = None

    def __init__(self, client: Fetcher, links: LinkRebaser) -> None:
        """Fetch by ``client``; trust links only as far as ``links`` does."""
        self._client = client
        self._links = links

    def document(self, url: str) -> dict[str, Any]:
        """One JSON document that is no page of rows."""
        return self._client.get(url).document

    def page(self, url: str) -> Page:
        """One page.

        Raises:
            DataError: the answer has no rows array: it must not pass for an empty page.
        """
        answer = self._client.get(url)
        rows, link = answer.document.get("value"), answer.document.get("@odata.nextLink")
        if not isinstance(rows, list) or not (link is None or isinstance(link, str)):
            message = f"{urlsplit(url).path} answered with JSON that is no page of rows"
            raise DataError(message)
        count = answer.document.get("@odata.count")
        self.received_at = answer.received_at
        return Page(
            url=url,
            rows=rows,
            count=count if isinstance(count, int) else None,
            next_url=self._links.rebase(link, current=url) if link else None,
            size_bytes=answer.size_bytes,
            received_at=answer.received_at,
        )

    def walk(self, url: str) -> Iterator[Page]:
        """All pages from ``url`` on; only a missing nextLink ends them, an empty page does not.

        Raises:
            DataError: a nextLink leads to a page that was already read.
        """
        visited: set[str] = set()
        following: str | None = url
        while following is not None:
            if following in visited:
                message = (
                    f"{urlsplit(url).path}: after {len(visited)} pages the nextLink leads back to "
                    "one that was already read"
                )
                raise DataError(message)
            visited.add(following)
            page = self.page(following)
            yield page
            following = page.next_url
