"""What a session that was opened by a connected app may do: the scopes of its token.

Names of the help page "Access Scopes for Connected Apps". What Tableau answers without the scope is
not documented; here it is what any request with bad credentials gets.
"""

from __future__ import annotations

import re

#: The first rule that fits a request names the scope that it needs.
_RULES: tuple[tuple[str, str, str | None], ...] = (
    ("POST", r"/auth/", None),
    ("PUT", r"/datasources/[^/]+/tags", "tableau:datasource_tags:update"),
    ("PATCH", r"/datasources/[^/]+/data", "tableau:hyper_data:update"),
    ("POST", r"/(datasources|workbooks)/[^/]+/refresh", "tableau:tasks:run"),
    ("POST", r"/datasources", "tableau:datasources:create"),
    ("PUT", r"/datasources/", "tableau:datasources:update"),
    ("PUT", r"/workbooks/", "tableau:workbooks:update"),
    ("POST|PUT", r"/fileUploads", "tableau:file_uploads:create"),
    ("POST", r"/projects", "tableau:projects:create"),
    ("GET", r"/jobs", "tableau:jobs:read"),
    ("PUT", r"/jobs/", "tableau:jobs:update"),
    ("GET", r"", "tableau:content:read"),
)


def scope_of(method: str, path: str) -> str | None:
    """The scope that a request needs; ``None`` for none.

    Raises:
        LookupError: nothing says which; the endpoint is not for connected apps.
    """
    for methods, pattern, scope in _RULES:
        if re.fullmatch(methods, method) and re.search(pattern, path):
            return scope
    raise LookupError(method, path)


def allows(scopes: frozenset[str], method: str, path: str) -> bool:
    """Whether a session with ``scopes`` may send a request; ``tableau:jobs:*`` is any of jobs."""
    try:
        needed = scope_of(method, path)
    except LookupError:
        return False
    if needed is None:
        return True
    return needed in scopes or f"{needed.rpartition(':')[0]}:*" in scopes
