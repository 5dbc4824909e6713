"""Take the values out of one entry of the setting ``controls``, and tell what is wrong with it."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from pipeline_core.errors import ConfigError

#: Stands for each stream of the run.
EVERY = "*"


class Entry:
    """One entry; each method takes a value out of it.

    Raises:
        ConfigError: in every method: the value is wrong.
    """

    def __init__(self, name: str, kind: str, given: dict[str, Any]) -> None:
        """Read ``given``, which is used up."""
        self._name = name
        self._kind = kind
        self._given = given

    def text(self, key: str) -> str:
        """A name."""
        value = self._given.pop(key, None)
        if not isinstance(value, str) or not value:
            self.refuse(key, "must be a name")
        return value

    def stream(self, key: str = "stream") -> str:
        """The name of one stream."""
        value = self.text(key)
        self.one_stream(key, value)
        return value

    def one_stream(self, key: str, *streams: str) -> None:
        """Refuse ``*``.

        Raises:
            ConfigError: it is among ``streams``.
        """
        if EVERY in streams:
            self.refuse(key, f"must name one stream; {EVERY!r} is for max_drop and not_empty")

    def names(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """Names; one may stand without a list."""
        value = self._given.pop(key, None)
        if value is None and default is not None:
            return default
        listed = [value] if isinstance(value, str) else value
        if (
            not isinstance(listed, list)
            or not listed
            or not all(isinstance(v, str) for v in listed)
        ):
            self.refuse(key, "must be a list of names")
        return tuple(listed)

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false."""
        value = self._given.pop(key, default)
        if not isinstance(value, bool):
            self.refuse(key, "must be true or false")
        return value

    def whole(self, key: str, default: int) -> int:
        """A whole number of zero or more."""
        value = self._given.pop(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self.refuse(key, "must be a whole number")
        return value

    def number(self, key: str) -> Decimal | None:
        """A number of zero or more, where there is one."""
        return self._decimal(key, self._given.pop(key)) if key in self._given else None

    def share(self, key: str) -> Decimal | None:
        """A number from 0 to 1, where there is one."""
        return self._share(key, self._given.pop(key)) if key in self._given else None

    def shares(self, key: str) -> dict[str, Decimal]:
        """Numbers from 0 to 1 by column."""
        value = self._given.pop(key, {})
        if not isinstance(value, dict):
            self.refuse(key, "must map columns to shares such as 0.5")
        return {column: self._share(f"{key}.{column}", share) for column, share in value.items()}

    def done(self) -> None:
        """Nothing may be left over.

        Raises:
            ConfigError: a word means nothing here.
        """
        if self._given:
            self.refuse(", ".join(self._given), f"means nothing to type {self._kind}")

    def refuse(self, key: str, what: str) -> NoReturn:
        """Raise the error for a value that is wrong.

        Raises:
            ConfigError: always.
        """
        message = f"controls.{self._name}: {key} {what}"
        raise ConfigError(message)

    def _share(self, key: str, value: object) -> Decimal:
        share = self._decimal(key, value)
        if share > 1:
            self.refuse(key, "must be a share from 0 to 1, such as 0.2")
        return share

    def _decimal(self, key: str, value: object) -> Decimal:
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            self.refuse(key, "must be a number")
        if isinstance(value, bool) or not number.is_finite() or number < 0:
            self.refuse(key, "must be a number of zero or more")
        return number
