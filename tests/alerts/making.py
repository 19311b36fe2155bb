"""Alerts and notifiers whose every detail the test decides."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from tapeline.alerts.message import Message
from tapeline.alerts.room import Wanted
from tapeline.clock import SECOND
from tapeline.errors import UsageError
from tapeline.events import Alert, Flag

T0 = 1_795_132_800 * SECOND


def alert(n: int, state: str = "raised", **changes: Any) -> Alert:
    values: dict[str, Any] = {
        "instrument": "sim:BTC-USDT", "ts_event": T0 + n * SECOND, "ts_recv": T0 + n * SECOND, "flags": int(Flag.SIMULATED),
        "rule": "btc-high", "state": state, "value": 100_000.5 + n, "text": f"mid is over 100000 ({n})", "severity": "warning",
        "id": f"a{n}",
    } | changes  # fmt: skip
    return Alert(**values)


class Recorder:
    """A notifier that keeps what it was sent; `faults` are raised first, one a call; while `gate` is clear, it hangs."""

    def __init__(self, faults: list[BaseException] | None = None) -> None:
        self.messages: list[Message] = []
        self.calls = 0
        self.faults = faults or []
        self.gate = threading.Event()
        self.gate.set()

    def send(self, message: Message) -> None:
        self.calls += 1
        self.gate.wait(30)
        if self.faults:
            raise self.faults.pop(0)
        self.messages.append(message)


class FakeWatch:
    """A watch without an engine: a rule is right unless it says "wrong"; `kept` are the states that it was given."""

    def __init__(self) -> None:
        self.rules: list[Wanted] = []
        self.kept: dict[str, bytes] = {}
        self.mine: dict[str, bytes] = {}
        self.raised: set[str] = set()
        self.faults = 0

    def check(self, rule: Wanted) -> None:
        if "wrong" in rule.settings.rule:
            raise UsageError("column 1: wrong is no rule")

    def replace(self, rules: Sequence[Wanted], states: Mapping[str, bytes]) -> None:
        self.rules = list(rules)
        self.kept.update(states)

    def states(self) -> dict[str, bytes]:
        return self.mine

    def rows(self) -> dict[str, dict[str, Any]]:
        return {
            rule.name: {"state": "raised" if rule.name in self.raised else "quiet", "since": T0, "value": None, "raised": 0}
            for rule in self.rules
        }
