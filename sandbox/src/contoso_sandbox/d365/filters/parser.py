"""Parse ``$filter`` by OData v4's precedence: or, and, comparison, sum, product, unary.

Comparisons are one level (OData orders ``gt`` before ``eq``; without parentheses the difference
only shows in ``a eq b gt c``, which no type allows).
"""

from __future__ import annotations

from decimal import Decimal

from contoso_sandbox.d365.errors import RefusedError, bad_request, reject
from contoso_sandbox.d365.filters.lexer import Token, tokens
from contoso_sandbox.d365.filters.nodes import (
    Binary,
    Chain,
    Function,
    Literal,
    Name,
    Negation,
    Node,
)

_COMPARISONS = {"eq", "ne", "gt", "ge", "lt", "le", "has", "in"}
_SUMS = {"add", "sub"}
_PRODUCTS = {"mul", "div", "divby", "mod"}
#: As in Web API's default ``MaxExpressionDepth``; keeps the descent off Python's stack limit.
_MAX_DEPTH = 100


def parse_filter(text: str) -> Node:
    """Turn ``text`` into a tree.

    Raises:
        RefusedError: 400, with the position of what does not parse.
    """
    parser = _Parser(text)
    node = parser.either()
    parser.expect_end()
    return node


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tuple(tokens(text))
        self._next = 0
        self._depth = 0

    def either(self) -> Node:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            reject(f"The depth limit of '{_MAX_DEPTH}' for '$filter' has been exceeded.")
        operands = [self._both()]
        while self._take_word({"or"}):
            operands.append(self._both())
        self._depth -= 1
        return operands[0] if len(operands) == 1 else Chain("or", tuple(operands))

    def expect_end(self) -> None:
        if self._peek().kind != "end":
            raise self._syntax_error()

    def _both(self) -> Node:
        operands = [self._comparison()]
        while self._take_word({"and"}):
            operands.append(self._comparison())
        return operands[0] if len(operands) == 1 else Chain("and", tuple(operands))

    def _comparison(self) -> Node:
        left = self._sum()
        while word := self._take_word(_COMPARISONS):
            if word in {"has", "in"}:
                # Unsupported by F&O (odata.md, "Supported features from the OData specification").
                reject(f"The query operator '{word}' is not supported.")
            left = Binary(word, left, self._sum())
        return left

    def _sum(self) -> Node:
        left = self._product()
        while word := self._take_word(_SUMS):
            left = Binary(word, left, self._product())
        return left

    def _product(self) -> Node:
        left = self._unary()
        while word := self._take_word(_PRODUCTS):
            left = Binary(word, left, self._unary())
        return left

    def _unary(self) -> Node:
        negations = 0
        while self._take_word({"not"}):
            negations += 1
        operand = self._signed()
        return Negation("not", operand) if negations % 2 else operand

    def _signed(self) -> Node:
        if not self._take_mark("-"):
            return self._primary()
        operand = self._primary()
        value = operand.value if isinstance(operand, Literal) else None
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            return Literal(-value)
        return Negation("-", operand)

    def _primary(self) -> Node:
        token = self._peek()
        if token.literal is not None:
            self._next += 1
            return token.literal
        if self._take_mark("("):
            inner = self.either()
            self._expect_mark(")")
            return inner
        if token.kind != "word":
            raise self._syntax_error()
        self._next += 1
        return self._call(token.text) if self._take_mark("(") else Name(token.text)

    def _call(self, name: str) -> Node:
        arguments = [self.either()]
        while self._take_mark(","):
            arguments.append(self.either())
        self._expect_mark(")")
        return Function(name, tuple(arguments))

    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _take_word(self, words: set[str]) -> str | None:
        token = self._peek()
        if token.kind == "word" and token.text in words:
            self._next += 1
            return token.text
        return None

    def _take_mark(self, mark: str) -> bool:
        token = self._peek()
        found = token.kind == "mark" and token.text == mark
        self._next += found
        return found

    def _expect_mark(self, mark: str) -> None:
        if not self._take_mark(mark):
            raise self._syntax_error()

    def _syntax_error(self) -> RefusedError:
        return bad_request(f"Syntax error at position {self._peek().position} in '{self._text}'.")
