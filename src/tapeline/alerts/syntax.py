"""What a rule says, as a tree. `str(node)` writes it back in the language, so that parsing that gives an equal tree.

Numbers are float64, spans of time integer nanoseconds. An expression is a number, a condition is true, false or not known; which
of the two a node is, its base class says.
"""

from typing import Literal

import msgspec

from tapeline.clock import MILLI, SECOND

Comparison = Literal[">", ">=", "<", "<=", "==", "!="]
Function = Literal["avg", "min", "max", "sum", "median", "std", "first", "last", "count"]
Direction = Literal["above", "below", "either"]
Move = Literal["changes", "rises", "falls"]

UNITS = {"ms": MILLI, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": 86_400 * SECOND}
AMOUNTS = {"": 1.0, "%": 0.01, "bps": 0.0001, "k": 1e3, "K": 1e3, "M": 1e6, "B": 1e9}


def span_text(ns: int) -> str:
    """`90s`, `5m`: the largest unit of which it is a whole number."""
    unit, size = next((u, size) for u, size in reversed(UNITS.items()) if ns % size == 0)
    return f"{ns // size}{unit}"


class Node(msgspec.Struct, frozen=True, tag=True):
    pass


class Expression(Node, frozen=True):
    pass


class Condition(Node, frozen=True):
    pass


class Number(Expression, frozen=True):
    """`value` in `unit`: 1 % is 1.0, "%"."""

    value: float
    unit: str = ""

    @property
    def amount(self) -> float:
        return self.value * AMOUNTS[self.unit]

    def __str__(self) -> str:
        text = repr(self.value)
        return (text.removesuffix(".0") if "e" not in text else text) + self.unit


class Name(Expression, frozen=True):
    """A field of an instrument; `instrument` empty: of that which the rule is looked at for."""

    field: str
    instrument: str = ""

    def __str__(self) -> str:
        return f"{self.instrument}.{self.field}" if self.instrument else self.field


class Minus(Expression, frozen=True):
    of: Expression

    def __str__(self) -> str:
        return f"-{_within(self.of, 3)}"


class Abs(Expression, frozen=True):
    of: Expression

    def __str__(self) -> str:
        return f"abs({self.of})"


class Arithmetic(Expression, frozen=True):
    op: Literal["+", "-", "*", "/"]
    left: Expression
    right: Expression

    def __str__(self) -> str:
        level = 1 if self.op in "+-" else 2
        return f"{_within(self.left, level)} {self.op} {_within(self.right, level + 1)}"


class Window(Expression, frozen=True):
    function: Function
    of: Expression
    span: int

    def __str__(self) -> str:
        return f"{self.function}({self.of}, {span_text(self.span)})"


class Compare(Condition, frozen=True):
    op: Comparison
    left: Expression
    right: Expression

    def __str__(self) -> str:
        return f"{self.left} {self.op} {self.right}"


class Cross(Condition, frozen=True):
    direction: Direction
    left: Expression
    right: Expression

    def __str__(self) -> str:
        way = "" if self.direction == "either" else f"{self.direction} "
        return f"{self.left} crosses {way}{self.right}"


class Change(Condition, frozen=True):
    """`by` with the unit % or bps: of what it was; else in the unit of the value."""

    move: Move
    of: Expression
    by: Number
    span: int

    def __str__(self) -> str:
        return f"{self.of} {self.move} by {self.by} within {span_text(self.span)}"


class Is(Condition, frozen=True):
    """`what`: `status`, or a field that is a word: `side`."""

    what: Name
    words: tuple[str, ...]
    negated: bool = False

    def __str__(self) -> str:
        return f"{self.what} is {'not ' if self.negated else ''}{' or '.join(self.words)}"


class Not(Condition, frozen=True):
    of: Condition

    def __str__(self) -> str:
        return f"not {_within(self.of, 3)}"


class And(Condition, frozen=True):
    parts: tuple[Condition, ...]

    def __str__(self) -> str:
        return " and ".join(_within(part, 2) for part in self.parts)


class Or(Condition, frozen=True):
    parts: tuple[Condition, ...]

    def __str__(self) -> str:
        return " or ".join(_within(part, 1) for part in self.parts)


class Lasting(Condition, frozen=True):
    """`of` has held for `span` without a break."""

    of: Condition
    span: int

    def __str__(self) -> str:
        return f"{self.of} for {span_text(self.span)}"


class Sentence(msgspec.Struct, frozen=True):
    """`scope`: the instruments it is looked at for, each by itself, `*` for any text at the end; none: every instrument.
    `until`: what ends the alert, None: the condition's contrary.
    """

    scope: tuple[str, ...]
    condition: Condition
    until: Condition | None = None

    def __str__(self) -> str:
        before = f"{', '.join(self.scope)} " if self.scope else ""
        return f"{before}{self.condition}{f' until {self.until}' if self.until is not None else ''}"


def level(node: Node) -> int:
    """How tightly a node holds together: one of a lower level needs parentheses within one of a higher."""
    if isinstance(node, Arithmetic):
        return 1 if node.op in "+-" else 2
    if isinstance(node, Or | Lasting):
        return 0 if isinstance(node, Lasting) else 1
    return 2 if isinstance(node, And) else 3


def _within(node: Node, least: int) -> str:
    """Chains of `and` and `or` are one node, so the same again within it stands in parentheses."""
    loose = level(node) <= least if isinstance(node, And | Or) else level(node) < least
    return f"({node})" if loose else str(node)


def children(node: Node) -> tuple[Node, ...]:
    if isinstance(node, Arithmetic | Compare | Cross):
        return node.left, node.right
    if isinstance(node, And | Or):
        return node.parts
    if isinstance(node, Is):
        return (node.what,)
    of = getattr(node, "of", None)
    return () if of is None else (of,)


def names(node: Node) -> list[Name]:
    """Every name in it, in the order of writing."""
    return [node] if isinstance(node, Name) else [name for child in children(node) for name in names(child)]
