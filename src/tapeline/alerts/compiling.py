"""From a rule's tree to functions: one set for each instrument that it is looked at for.

A number is a function that gives a float, NaN where it is not known. A condition gives true, false or None where it is not known;
`and`, `or` and `not` follow Kleene's logic: `mid > 5 or status is gap` is true in a gap, whatever the mid. What has a memory
(windows, crossings, `for`) is a *watcher*: it observes every change, in the order of how they stand within each other, so that a
condition may be asked or not without changing what will be true later.

`holds` is the condition that raises; `stays` the one that must become false for the alert to end: the same with the thresholds moved
back by the hysteresis, and without `for`.
"""

import operator
from collections.abc import Callable
from typing import Any

from tapeline.alerts import fields
from tapeline.alerts.board import Board
from tapeline.alerts.syntax import (
    Abs,
    And,
    Arithmetic,
    Change,
    Compare,
    Condition,
    Cross,
    Expression,
    Is,
    Lasting,
    Minus,
    Name,
    Node,
    Not,
    Number,
    Or,
    children,
    names,
)
from tapeline.alerts.syntax import Window as WindowNode
from tapeline.alerts.values import NAN, Cell
from tapeline.alerts.watchers import Crossing, Held, Moments, Now, Truth, Watcher
from tapeline.alerts.windows import Extremes, Happenings, Window

Read = Callable[[], float]
BoardOf = Callable[[str], Board]
NEARLY = 1 - 1e-12  # of a change: 1 % of 0.3 is not missed by the last digit
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_BACK = {">": -1, ">=": -1, "<": 1, "<=": 1, "==": 0, "!=": 0}
"""Which way the threshold moves so that what is true stays so for longer."""


class Compiled:
    """`boards`: finds the board of an instrument as the rule writes it, `` for its own. `lenient`: what is incomplete counts, too.

    `watchers` in the order in which they observe; `cells` what has to be looked at; `lead` gives the value of an alert.
    """

    def __init__(
        self, boards: BoardOf, now: Now, hysteresis: Number | None, *, lenient: bool, with_venue: BoardOf | None
    ) -> None:
        self._boards, self._now, self._hysteresis, self._lenient = boards, now, hysteresis, lenient
        self._with_venue = with_venue
        self.watchers: list[Watcher] = []
        self.cells: dict[Cell, None] = {}
        self._made: dict[tuple[str, Node], Any] = {}

    # Numbers

    def lead(self, node: Node) -> Read:
        """The left side of the first comparison; NaN where there is none."""
        if isinstance(node, Compare | Cross):
            return self.number(node.left)
        if isinstance(node, Change):
            return self.number(node.of)
        parts = [child for child in children(node) if isinstance(child, Condition)]
        return next((self.lead(part) for part in parts if not isinstance(part, Is)), lambda: NAN)

    def number(self, node: Expression) -> Read:
        if isinstance(node, Number):
            amount = node.amount
            return lambda: amount
        if isinstance(node, Name):
            return self._value(self.cell(node))
        if isinstance(node, Minus | Abs):
            of = self.number(node.of)
            return (lambda: -of()) if isinstance(node, Minus) else (lambda: abs(of()))
        if isinstance(node, Arithmetic):
            return self._arithmetic(node.op, self.number(node.left), self.number(node.right))
        if isinstance(node, WindowNode):
            found: Window | Happenings = self._once("window", node, lambda: self._window(node))
            return found.result
        raise TypeError(node)

    def cell(self, name: Name) -> Cell:
        found = self._boards(name.instrument).cell(name.field)
        self.cells[found] = None
        return found

    def _value(self, cell: Cell) -> Read:
        return (lambda: cell.any) if self._lenient else (lambda: cell.sure)

    @staticmethod
    def _arithmetic(op: str, left: Read, right: Read) -> Read:
        if op == "+":
            return lambda: left() + right()
        if op == "-":
            return lambda: left() - right()
        if op == "*":
            return lambda: left() * right()

        def divided() -> float:
            below = right()
            return left() / below if below else NAN

        return divided

    def _window(self, node: WindowNode) -> Window | Happenings:
        told = [name for name in names(node.of) if fields.find(name.field).happening or node.function == "count"]
        if not told:
            return Window(node.function, self.number(node.of), node.span, lenient=self._lenient)
        cell = self.cell(told[0])
        read = self._counting(cell) if node.function == "count" else self.number(node.of)
        return Happenings(node.function, cell, read, node.span, lenient=self._lenient)

    def _counting(self, cell: Cell) -> Read:
        value = self._value(cell)
        return lambda: 1.0 if value() == value() else NAN

    def _once(self, what: str, node: Node, make: Callable[[], Any]) -> Any:
        """The same memory wherever the same stands: the condition that raises and the one that stays share it."""
        found = self._made.get((what, node))
        if found is None:
            found = self._made[what, node] = make()
            self.watchers.append(found)
        return found

    # Conditions

    def condition(self, node: Condition, back: int = 0, *, staying: bool = False) -> Truth:
        """`back`: 1 with the thresholds moved so that it is true for longer, −1 for shorter; 0 as it is written."""
        if isinstance(node, Compare):
            return self._compare(node, back)
        if isinstance(node, Cross):
            return self._cross(node, back)
        if isinstance(node, Change):
            return self._change(node, back)
        if isinstance(node, Is):
            return self._is(node)
        if isinstance(node, Not):
            of = self.condition(node.of, -back)
            return lambda: None if (found := of()) is None else not found
        if isinstance(node, And | Or):
            parts = [self.condition(part, back, staying=staying) for part in node.parts]
            return _all(parts) if isinstance(node, And) else _any(parts)
        if isinstance(node, Lasting):
            inner = self.condition(node.of, back, staying=staying)
            if staying:
                return inner
            held: Held = self._once(f"held{back}", node, lambda: Held(inner, node.span, self._now))
            return held.holds
        raise TypeError(node)

    def _compare(self, node: Compare, back: int) -> Truth:
        holds = _COMPARE[node.op]
        moved = self._moved(_BACK[node.op] * back)
        if isinstance(node.left, Name) and isinstance(node.right, Number) and not self._lenient:
            cell, threshold = self.cell(node.left), moved(node.right.amount)

            def simply() -> bool | None:
                value = cell.sure
                return holds(value, threshold) if value == value else None

            return simply
        left, right = self.number(node.left), self.number(node.right)

        def compared() -> bool | None:
            a, b = left(), right()
            return holds(a, moved(b)) if a == a and b == b else None

        return compared

    def _moved(self, way: int) -> Callable[[float], float]:
        h = self._hysteresis
        if h is None or not way:
            return lambda x: x
        by = way * h.amount
        if h.unit in {"%", "bps"}:
            return lambda x: x + by * abs(x)
        return lambda x: x + by

    def _cross(self, node: Cross, back: int) -> Truth:
        left, right = self.number(node.left), self.number(node.right)
        crossing: Crossing = self._once("cross", node, lambda: Crossing(node.direction, left, right))
        if not back:
            return crossing.holds
        return crossing.within(self._moved(-back if node.direction == "above" else back))

    def _change(self, node: Change, back: int) -> Truth:
        read = self.number(node.of)
        extremes: Extremes = self._once("extremes", node, lambda: Extremes(read, node.span, lenient=self._lenient))
        relative, up, down = node.by.unit in {"%", "bps"}, node.move != "falls", node.move != "rises"
        by = self._moved(-back)(node.by.amount) * NEARLY

        def changed() -> bool | None:
            value = read()
            if value != value:
                return None
            low, high = extremes.extremes()
            if up and value - low >= (by * abs(low) if relative else by):
                return True
            return bool(down and high - value >= (by * abs(high) if relative else by))

        return changed

    def _is(self, node: Is) -> Truth:
        words, negated = frozenset(node.words), node.negated
        if node.what.field != "status":
            cell = self.cell(node.what)
            value: Callable[[], Any] = self._value(cell)

            def said() -> bool | None:
                word = value()
                return (word in words) != negated if isinstance(word, str) else None

            return said
        boards = [self._boards(node.what.instrument)]
        if self._with_venue is not None:
            boards.append(self._with_venue(node.what.instrument))
        self.cells.update(dict.fromkeys(board.status for board in boards))
        moments: Moments = self._once("status", node, lambda: Moments([board.standing for board in boards], words, self._now))
        return (lambda: None if (found := moments.holds()) is None else not found) if negated else moments.holds


def _all(parts: list[Truth]) -> Truth:
    def holds() -> bool | None:
        found: bool | None = True
        for part in parts:
            one = part()
            if one is False:
                return False
            if one is None:
                found = None
        return found

    return holds


def _any(parts: list[Truth]) -> Truth:
    def holds() -> bool | None:
        found: bool | None = False
        for part in parts:
            one = part()
            if one:
                return True
            if one is None:
                found = None
        return found

    return holds
