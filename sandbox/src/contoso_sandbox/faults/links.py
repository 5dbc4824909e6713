"""nextLinks that lead astray."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from contoso_sandbox.faults.documents import LINK, document

if TYPE_CHECKING:
    from collections.abc import Callable

    from contoso_sandbox.faults.request import Asked
    from contoso_sandbox.faults.rules import Action

    Document = dict[str, Any]


def next_link(to: str | Callable[[str, Asked], str | None], name: str = "nextLink") -> Action:
    """Replace the nextLink: by a text, also where there was none, or by a function of it.

    Args:
        to: The link; or a callable that gets the real link (empty where there is none) and the
            request, and returns the new one, or ``None`` for none.
        name: For the log.
    """

    def changed(page: Document, asked: Asked) -> None:
        real = page.pop(LINK, "")
        link = to if isinstance(to, str) else to(real, asked)
        if link is not None:
            page[LINK] = link

    return document(changed, name)


def link_to_itself() -> Action:
    """A leads to A."""
    return next_link(lambda _, asked: asked.url, "nextLink to itself")


def link_to_the_first_page() -> Action:
    """Later pages lead back to the start of the walk: A, B, A, B, ..."""
    starts: dict[str, str] = {}

    def back(real: str, asked: Asked) -> str:
        if asked.starts_a_walk:
            starts[asked.path] = asked.url
            return real
        return starts[asked.path]

    return next_link(back, "nextLink to the first page")


def endless_links() -> Action:
    """Every page has a next one, each with an address of its own."""

    def onward(real: str, asked: Asked) -> str:
        if real:
            return real
        # As the server counts on: behind the last row there is always one more empty page.
        options = asked.options
        skip = int(options.get("$skip", "0")) + int(options.get("$top", "1000"))
        kept = [part for part in asked.query.split("&") if not part.startswith(("$skip=", "$top="))]
        query = "&".join(
            [*filter(None, kept), f"$skip={skip}", f"$top={options.get('$top', 1000)}"]
        )
        return urlunsplit(("https", asked.headers["host"], asked.path, query, ""))

    return next_link(onward, "endless nextLinks")


def no_link() -> Action:
    """The walk ends here, whatever rows are left."""
    return next_link(lambda _real, _asked: None, "no nextLink")


def link_at(
    *,
    scheme: str | None = None,
    netloc: str | None = None,
    path: str | None = None,
) -> Action:
    """Lead to another place than the server's own, with the same query.

    Args:
        scheme: Such as ``http``.
        netloc: Such as ``other.example``, ``user:pass@127.0.0.1:443``, ``[::1]:443``,
            ``xn--bcher-kva.example`` or ``bücher.example``.
        path: Such as ``/api/steal``.
    """

    def elsewhere(real: str, _asked: Asked) -> str | None:
        if not real:
            return None
        parts = urlsplit(real)
        return urlunsplit(
            parts._replace(
                scheme=parts.scheme if scheme is None else scheme,
                netloc=parts.netloc if netloc is None else netloc,
                path=parts.path if path is None else path,
            )
        )

    told = netloc or path or scheme or ""
    return next_link(elsewhere, f"nextLink to {told}")


def link_with_userinfo(userinfo: str = "someone:secret") -> Action:
    """Put credentials before the server's own name."""

    def with_userinfo(real: str, _asked: Asked) -> str | None:
        return real.replace("://", f"://{userinfo}@", 1) or None

    return next_link(with_userinfo, "nextLink with userinfo")


def relative_link() -> Action:
    """Lead to ``Set?$skip=...``, to be read against the page's own URL."""

    def relative(real: str, _asked: Asked) -> str | None:
        return real.rpartition("/data/")[2] or None

    return next_link(relative, "relative nextLink")


def percent_encoded_link() -> Action:
    """Write option names as ``%24skip``."""

    def encoded(real: str, _asked: Asked) -> str | None:
        return real.replace("$", "%24") or None

    return next_link(encoded, "percent-encoded nextLink")
