"""A rule while it is watched: what it says, and what all its bindings share."""

from typing import Any

import msgspec

from tapeline.alerts import fields
from tapeline.alerts.binding import Binding, Kept, of_status
from tapeline.alerts.rule import Rule
from tapeline.alerts.standing import NEVER
from tapeline.alerts.syntax import And, Change, Compare, Cross, Is, Lasting, Node, Not, Or, names

VERSION = 1


class State(msgspec.Struct, omit_defaults=True):
    """What is kept of a rule. `text`: what it said; of another text nothing is taken over. `raised`: how often it was."""

    version: int
    text: str
    spent: bool = False
    raised: int = 0
    since: int = 0
    bindings: dict[str, Kept] = {}


class Watched:
    """`own`: it is looked at for each instrument by itself. `spent`: it was to be raised once, and was."""

    def __init__(self, rule: Rule, *, muted: bool = False, quiet_until: int = 0) -> None:
        self.rule, self.checked, self.muted, self.quiet_until = rule, rule.checked(), muted, quiet_until
        sentence = self.checked.sentence
        until = [] if self.checked.until is None else names(self.checked.until)
        self.names = [*names(sentence.condition), *until]
        self.own = bool(sentence.scope) or any(not name.instrument for name in self.names)
        self.of_group = any(fields.find(name.field).source == "group" for name in self.names)
        self.of_status = of_status(sentence.condition)
        self.said = str(sentence.condition)
        self.subject = _subject(sentence.condition)
        self.bindings: dict[str, Binding] = {}
        self.waiting: dict[str, Kept] = {}  # of a state that was kept, for instruments that did not come yet
        self.spent = False
        self.raised = self.since = 0
        self.changed = False

    def allowed(self, now: int, last: int) -> int:
        """When it may be raised, `now` or later; NEVER."""
        if self.muted or self.spent:
            return NEVER
        at = max(now, self.quiet_until, last + self.checked.cooldown if last else 0)
        opening = self.checked.schedule.next_open(at)
        return NEVER if opening is None else opening

    def was_raised(self, now: int) -> None:
        self.raised, self.since, self.changed = self.raised + 1, now, True
        self.spent = self.spent or self.rule.once

    def was_changed(self) -> None:
        self.changed = True

    def rearm(self) -> None:
        self.spent, self.changed = False, True

    def row(self) -> dict[str, Any]:
        bindings = self.bindings.values()
        on = any(b.alert for b in bindings) or any(kept.alert for kept in self.waiting.values())
        state = "raised" if on else "muted" if self.muted else "spent" if self.spent else "armed" if bindings else "waiting"
        latest = max(bindings, key=lambda b: b.last, default=None)
        return {
            "state": state,
            "since": self.since,
            "value": None if latest is None else latest.value,
            "raised": self.raised,
            "instruments": len(self.bindings),
        }

    @property
    def _identity(self) -> str:
        rule = self.rule
        return f"{rule.text}\n{rule.until}\n{rule.hysteresis}"

    def state(self) -> bytes:
        kept = {key: found for key, binding in self.bindings.items() if (found := binding.kept()) is not None}
        return msgspec.json.encode(
            State(VERSION, self._identity, self.spent, self.raised, self.since, {**self.waiting, **kept})
        )

    def restore(self, raw: bytes) -> bool:
        """Whether it was of this rule, and could be read."""
        try:
            state = msgspec.json.decode(raw, type=State)
        except msgspec.MsgspecError:
            return False
        if state.version != VERSION or state.text != self._identity:
            return False
        self.spent, self.raised, self.since = state.spent and self.rule.once, state.raised, state.since
        self.waiting = dict(state.bindings)
        return True

    def bind(self, binding: Binding) -> None:
        self.bindings[binding.key] = binding
        if (kept := self.waiting.pop(binding.key, None)) is not None:
            binding.restore(kept)


def _subject(node: Node) -> str:
    """What an alert's value is of."""
    if isinstance(node, Compare | Cross):
        return str(node.left)
    if isinstance(node, Change):
        return str(node.of)
    if isinstance(node, Not | Lasting):
        return _subject(node.of)
    if isinstance(node, And | Or):
        return next((_subject(part) for part in node.parts if not isinstance(part, Is)), "")
    return ""
