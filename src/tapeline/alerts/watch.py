"""The engine of rules beside a live session."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tapeline.alerts.room import Wanted
from tapeline.config import AlertsSettings
from tapeline.engine.engine import Engine
from tapeline.events import Alert

Take = Callable[[Sequence[Alert], Mapping[str, bytes]], None]


class Watcher:
    """Knows the rules, and raises none yet."""

    def __init__(self) -> None:
        self._rules: list[Wanted] = []

    def check(self, rule: Wanted) -> None:
        pass

    def replace(self, rules: Sequence[Wanted], states: Mapping[str, bytes]) -> None:  # noqa: ARG002
        self._rules = list(rules)

    def states(self) -> dict[str, bytes]:
        return {}

    def rows(self) -> dict[str, dict[str, Any]]:
        return {}


def beside(engine: Engine, settings: AlertsSettings, take: Take) -> Watcher:  # noqa: ARG001
    """Watch what `engine` publishes; `take` gets what is found, on the loop."""
    return Watcher()
