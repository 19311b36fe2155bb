"""A rule with its options, checked when it is made.

    Rule.of(name="btc-high", text="binance:BTC-USDT mid crosses above 100000", cooldown="5m")

Every text of it is read here, so that whoever has a `Rule` has one that can run. A mistake raises `RuleError` with the place and the
fix: of an option, the text of that option is its source.
"""

import math
from typing import Any

import msgspec

from tapeline.alerts.lexing import tokens
from tapeline.alerts.names import NAME, NEEDS
from tapeline.alerts.parsing import parse, parse_condition, span_of
from tapeline.alerts.problems import RuleError
from tapeline.alerts.schedule import Schedule
from tapeline.alerts.syntax import AMOUNTS, Change, Condition, Node, Number, Sentence, children
from tapeline.config import RuleSettings, Severity


class Rule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """As it is written. `text` is the rule, `until` a condition that ends the alert in place of its contrary; `hysteresis` how
    far back the value must go before it ends: `50` in the value's unit, `0.5%` or `25bps` of the threshold. `cooldown`: how
    long it is not raised again. `once`: raised once, for whichever instrument, then no more until it was muted and unmuted.
    `schedule`: when it may be raised, as in `mon-fri 09:30-16:00 America/New_York`. `incomplete`: also on data that is known to
    be incomplete. `notify`: names of targets; `resolved`: tell them the end, too.
    """

    name: str
    text: str
    severity: Severity = "warning"
    hysteresis: str = ""
    until: str = ""
    cooldown: str = ""
    once: bool = False
    schedule: str = ""
    incomplete: bool = False
    resolved: bool = False
    notify: tuple[str, ...] = ()

    @classmethod
    def of(cls, **options: Any) -> "Rule":
        """A rule that was checked. Raises RuleError."""
        rule = cls(**options)
        rule.checked()
        return rule

    @classmethod
    def of_settings(cls, name: str, kept: RuleSettings) -> "Rule":
        """Of the section `[alerts.rules.NAME]`. Raises RuleError."""
        options = {key: value for key, value in msgspec.structs.asdict(kept).items() if key != "rule"}
        return cls.of(name=name, text=kept.rule, **options)

    def checked(self) -> "Checked":
        """What it says, read. Raises RuleError."""
        if not NAME.fullmatch(self.name):
            raise RuleError("this is no name of a rule", self.name, 0, f"write {NEEDS}", len(self.name))
        sentence = parse(self.text)
        if self.until and sentence.until is not None:
            at = self.text.rfind("until")
            raise RuleError("it says until, and has the option until", self.text, at, "leave one of the two out", 5)
        until = parse_condition(self.until) if self.until else sentence.until
        if self.hysteresis and until is not None:
            raise RuleError("hysteresis means nothing beside until", self.hysteresis, 0, "leave one of the two out")
        hysteresis = _amount(self.hysteresis)
        if hysteresis is not None and not hysteresis.unit and _in_percent(sentence.condition):
            raise RuleError(
                "the change is in percent, and the hysteresis is not", self.hysteresis, 0, "write it as in 10%: of it"
            )
        return Checked(
            sentence,
            until,
            hysteresis,
            span_of(self.cooldown) if self.cooldown else 0,
            Schedule.of(self.schedule),
        )


class Checked(msgspec.Struct, frozen=True):
    """`hysteresis`: None for none. `cooldown`: ns."""

    sentence: Sentence
    until: Condition | None
    hysteresis: Number | None
    cooldown: int
    schedule: Schedule


def _in_percent(node: Node) -> bool:
    return (isinstance(node, Change) and node.by.unit in {"%", "bps"}) or any(map(_in_percent, children(node)))


def _amount(text: str) -> Number | None:
    if not text.strip():
        return None
    first, *rest = tokens(text)
    if first.kind != "number" or len(rest) != 1 or first.unit not in AMOUNTS or math.isinf(float(first.text)):
        raise RuleError("this is no hysteresis", text, 0, "write a number, in the value's unit or as 0.5% or 25bps", len(text))
    return Number(float(first.text), first.unit)
