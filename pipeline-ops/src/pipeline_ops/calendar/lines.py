"""YAML whose values remember the line they stand on, so that an error can name it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, TypeVar

import yaml

from pipeline_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

_T = TypeVar("_T")

#: Names offered for a misspelt one.
_SUGGESTIONS = 1
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Value:
    """One node of the file: text, a list or a mapping, and where it stands.

    Every scalar is text as written: YAML 1.1 would turn ``12:30`` into 750 and ``no`` into false.
    """

    node: yaml.Node
    source: str
    name: str

    @property
    def line(self) -> int:
        """Line in the file, from 1."""
        return int(self.node.start_mark.line) + 1

    def fail(self, complaint: str) -> NoReturn:
        """Refuse this value.

        Raises:
            ConfigError: always; file, line, name and ``complaint``.
        """
        message = f"{self.source}, line {self.line}: {self.name} {complaint}"
        raise ConfigError(message)

    def text(self) -> str:
        """A scalar that is not empty.

        Raises:
            ConfigError: it is something else.
        """
        if not isinstance(self.node, yaml.ScalarNode) or not self.node.value.strip():
            self.fail("must be a text")
        return str(self.node.value).strip()

    def parsed(self, parse: Callable[[str], _T]) -> _T:
        """The text as ``parse`` understands it; its ``ValueError`` says what is wanted.

        Raises:
            ConfigError: ``parse`` refused it.
        """
        text = self.text()
        try:
            return parse(text)
        except ValueError as error:
            self.fail(f"is {text!r}: {error}")

    def items(self) -> tuple[Value, ...]:
        """The members of a list; a scalar or mapping is a list of one.

        Raises:
            ConfigError: the value is empty.
        """
        if isinstance(self.node, yaml.SequenceNode):
            return tuple(Value(member, self.source, self.name) for member in self.node.value)
        if isinstance(self.node, yaml.ScalarNode):
            self.text()
        return (self,)

    def parsed_name(self, parse: Callable[[str], object]) -> None:
        """Check the name under which this stands, as :meth:`parsed` does the value.

        Raises:
            ConfigError: ``parse`` refused it.
        """
        try:
            parse(self.name)
        except ValueError as error:
            self.fail(f"cannot be a name here: {error}")

    @property
    def is_scalar(self) -> bool:
        """Whether it is one text."""
        return isinstance(self.node, yaml.ScalarNode)

    @property
    def is_list(self) -> bool:
        """Whether it is a list."""
        return isinstance(self.node, yaml.SequenceNode)

    @property
    def is_mapping(self) -> bool:
        """Whether it has named parts."""
        return isinstance(self.node, yaml.MappingNode)

    def entries(self) -> Iterator[tuple[str, Value]]:
        """Names and values of a mapping, in the order of the file.

        Raises:
            ConfigError: it is no mapping, or a name stands there twice.
        """
        if not isinstance(self.node, yaml.MappingNode):
            self.fail("must be a mapping of names to values")
        seen: dict[str, int] = {}
        for key, node in self.node.value:
            name = str(key.value)
            line = int(key.start_mark.line) + 1
            if name in seen:
                message = (
                    f"{self.source}, line {line}: {name} stands a second time (first in line "
                    f"{seen[name]})"
                )
                raise ConfigError(message)
            seen[name] = line
            yield name, Value(node, self.source, name)

    def section(self, known: Iterable[str]) -> dict[str, Value]:
        """A mapping that may only have the ``known`` names.

        Raises:
            ConfigError: names the line of the unknown one and the nearest known.
        """
        known = tuple(known)
        found = dict(self.entries())
        for name in found:
            if name not in known:
                line = self._line_of(name)
                message = f"{self.source}, line {line}: {self.name} has no {name!r}"
                raise ConfigError(message + nearest(name, known))
        return found

    def _line_of(self, name: str) -> int:
        keys = (key for key, _ in self.node.value if key.value == name)
        return int(next(keys).start_mark.line) + 1


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean …?``, or what there is to choose from."""
    known = tuple(known)
    folded = {each.casefold(): each for each in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=_SUGGESTIONS, cutoff=0.6)
    if close:
        return f"; did you mean {folded[close[0]]!r}?"
    shown = ", ".join(known[:_SHOWN]) + (", …" if len(known) > _SHOWN else "")
    return f" (known: {shown})"


def read_yaml(path: Path) -> Value:
    """The root of a YAML file.

    Raises:
        ConfigError: the file is missing, unreadable, empty or no YAML; with the line.
    """
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except FileNotFoundError as error:
        message = f"there is no {path}; docs/calendar.md has one to begin with"
        raise ConfigError(message) from error
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path} cannot be read: {error}"
        raise ConfigError(message) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        message = f"{path}, line {line}: this is no YAML: {error.problem}"
        raise ConfigError(message) from error
    except yaml.YAMLError as error:
        message = f"{path} is no YAML: {error}"
        raise ConfigError(message) from error
    if root is None:
        message = f"{path} is empty; docs/calendar.md has one to begin with"
        raise ConfigError(message)
    return Value(root, path.name, path.name)
