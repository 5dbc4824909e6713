"""How metadata are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_d365fo.access.links import LinkRebaser
    from tap_d365fo.reading.pages import PageReader

T = TypeVar("T")


class Downloader(Protocol):
    """What fetches a large document to disk: the client."""

    def download(
        self, url: str, into: IO[bytes], parse: Callable[[IO[bytes]], T], *, accept: str = ...
    ) -> T:
        """Fetch ``url`` into a file, and what ``parse`` makes of it."""


@dataclass(frozen=True, slots=True)
class Access:
    """The environment as metadata are read from it.

    Attributes:
        reader: Small documents and pages.
        client: Large ones.
        links: Where a nextLink may lead.
        threads: Requests under way at the same time.
    """

    environment_url: str
    reader: PageReader
    client: Downloader
    links: LinkRebaser
    threads: int
