"""Small pieces of SQL text."""

from __future__ import annotations


def identifier(name: str) -> str:
    """Quote a name that comes from the environment's own description."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """Quote a constant of the server's own (values of a request travel as parameters)."""
    return "'" + value.replace("'", "''") + "'"
