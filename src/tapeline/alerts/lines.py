"""The prices that a rule watches for, to be drawn as lines on a chart.

A line is a constant that a price is compared with, or that it crosses: `mid crosses above 100000`, `bid > 99k and ask < 101k`.
The price stands bare on one side: of an average over a window, a difference of two venues or a change in percent there is no
one price to draw. What ends an alert (`until`) is a price of the rule too.
"""

from collections.abc import Iterator
from functools import lru_cache

import msgspec

from tapeline.alerts.parsing import parse, parse_condition
from tapeline.alerts.syntax import (
    Arithmetic,
    Compare,
    Condition,
    Cross,
    Expression,
    Minus,
    Name,
    Node,
    Number,
    Sentence,
    children,
)
from tapeline.errors import UsageError

PRICES = frozenset({"mid", "price", "last", "bid", "ask"})
ANY = "*"
MOST_KEPT = 2000  # texts whose lines are remembered: twice the rules that there may be


class Line(msgspec.Struct, frozen=True):
    """`instrument` as the rule writes it: one, or a beginning and `*`."""

    instrument: str
    field: str
    value: float


@lru_cache(MOST_KEPT)
def lines_of(rule: str, until: str = "") -> tuple[Line, ...]:
    """In the order of writing, each once. A text that cannot be read has none: whoever checks rules says why."""
    try:
        sentence = parse(rule)
        ends = parse_condition(until) if until else sentence.until
    except UsageError:
        return ()
    parts = [sentence.condition, *([] if ends is None else [ends])]
    return tuple(dict.fromkeys(line for part in parts for line in _lines(part, sentence)))


def _lines(node: Node, sentence: Sentence) -> Iterator[Line]:
    if isinstance(node, Compare | Cross):
        for name, other in ((node.left, node.right), (node.right, node.left)):
            value = constant(other)
            if isinstance(name, Name) and name.field in PRICES and value is not None:
                for instrument in (name.instrument,) if name.instrument else sentence.scope or (ANY,):
                    yield Line(instrument, name.field, value)
        return
    for child in children(node):
        if isinstance(child, Condition):
            yield from _lines(child, sentence)


def constant(node: Expression) -> float | None:
    """What an expression without names comes to; None where it has one, or is a share of something."""
    if isinstance(node, Number):
        return node.amount if node.unit not in {"%", "bps"} else None
    if isinstance(node, Minus):
        of = constant(node.of)
        return None if of is None else -of
    if not isinstance(node, Arithmetic):
        return None
    left, right = constant(node.left), constant(node.right)
    if left is None or right is None or (node.op == "/" and right == 0):
        return None
    return {"+": left + right, "-": left - right, "*": left * right, "/": left / (right or 1.0)}[node.op]
