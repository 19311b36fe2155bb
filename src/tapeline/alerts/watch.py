"""The engine of rules beside a live session.

It looks at each batch as it is published, on the loop: an event costs it a microsecond or two, so nothing needs to wait in a queue,
and nothing can be missed. Time that passes without events reaches it by the frames' own times: where it waits for a time,
the collector delivers a TICK frame then, as for the pipeline's own timers. So what it finds follows from the frames alone, and
`alerts.backtest` finds the same on the tape.

Metrics that rules read and the session does not sample are switched on by a SWITCHED frame, for the session's rest. A fault of ours
in here must not stop the feed: it is counted, told once, and the batch is passed over.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from tapeline.alerts.engine import Engine
from tapeline.alerts.room import Wanted
from tapeline.alerts.rule import Rule
from tapeline.clock import SECOND
from tapeline.config import AlertsSettings
from tapeline.engine.bus import Batch
from tapeline.engine.collector import Collector
from tapeline.events import Alert

log = structlog.get_logger("tapeline.alerts")
Take = Callable[[Sequence[Alert], Mapping[str, bytes]], None]
KEEP = 15 * SECOND
"""How often states that changed without an alert (which side of a threshold was seen) are handed on to be kept."""


class Watcher:
    """`faults`: batches that could not be looked at."""

    def __init__(self, collector: Collector, settings: AlertsSettings, take: Take) -> None:
        began = collector.started if collector.tape is None else collector.tape.head.ts_recv
        self.engine = Engine(quiet_until=began + int(settings.quiet_start_seconds * SECOND))
        self.faults = 0
        self._collector, self._take = collector, take
        self._kept: dict[str, bytes] = {}
        self._keep_at = 0
        self._lacking: tuple[str, ...] = ()  # metrics to be switched on with the next batch
        collector.bus.tap(self._look)
        collector.due_also.append(lambda: self.engine.due)

    # Rules

    def check(self, rule: Wanted) -> None:
        """Raises RuleError."""
        Rule.of_settings(rule.name, rule.settings)

    def replace(self, rules: Sequence[Wanted], states: Mapping[str, bytes]) -> None:
        """These and no others. The same rule goes on from where it is; another one begins at its state, if there is one."""
        wanted = {rule.name: rule for rule in rules}
        for name in self.engine.rules.keys() - wanted.keys():
            self.engine.remove(name)
        for name, rule in wanted.items():
            self.engine.replace(Rule.of_settings(name, rule.settings), states.get(name), muted=rule.muted)
        self._lacking = self.engine.needs().metrics

    def states(self) -> dict[str, bytes]:
        return self.engine.states()

    def rows(self) -> dict[str, dict[str, Any]]:
        return self.engine.rows()

    # Events

    def _look(self, batch: Batch) -> None:
        try:
            alerts = self.engine.feed(batch.events)
            alerts += self.engine.advance(self._collector.pipeline.now)
            if alerts:
                self._take(alerts, self.engine.states(changed=True))
            self._tend(batch)
        except Exception:
            self.faults += 1
            if self.faults == 1:
                log.exception("the rules could not look at what came, a fault of Tapeline's own")

    def _tend(self, batch: Batch) -> None:
        now = self._collector.pipeline.now
        if self._lacking and (batch.seq > 0 or self._collector.tape is None):  # the head comes before the tape takes frames
            lacking, self._lacking = self._lacking, ()
            self._collector.switch(lacking)
        if now >= self._keep_at:
            self._keep_at = now + KEEP
            states = self.engine.states()
            if changed := {name: state for name, state in states.items() if self._kept.get(name) != state}:
                self._kept = states
                self._take((), changed)


def beside(collector: Collector, settings: AlertsSettings, take: Take) -> Watcher:
    """Watch what `collector` publishes; `take` gets what is found, on the loop."""
    return Watcher(collector, settings, take)
