"""When a rule would have been raised: the tape played through the pipeline, and its events through the engine that runs live.

Metrics that the rule reads are switched on for the replay, whether the session had them or not, and the engine sees as much of the
time before `start` as its windows reach back, so what is found is what a session with this rule would have found. One session
follows the other as live: a rule keeps its state, and windows begin anew. What of the tape is not there any more is said in `notes`.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import msgspec

from tapeline.alerts import fields
from tapeline.alerts.engine import Engine
from tapeline.alerts.rule import Rule
from tapeline.alerts.syntax import Change, Lasting, Node, Window, children
from tapeline.clock import SECOND, iso
from tapeline.engine.replay import chosen_sessions, switched_batches
from tapeline.errors import UsageError
from tapeline.events import Alert
from tapeline.market.metrics import registry
from tapeline.tape import reader

MOST = 100_000
"""Alerts that are gathered; past that it ends, and says so."""
MARGIN = 60 * SECOND
QUIET = 5.0


class Found(msgspec.Struct):
    """`alerts` in order, raised and resolved; `notes`: what the answer does not cover; `events`: how many were looked at."""

    alerts: list[Alert]
    notes: list[str]
    events: int = 0


def backtest(
    rules: Rule | Sequence[Rule],
    root: Path,
    start: int | None = None,
    end: int | None = None,
    *,
    session: str = "",
    quiet_seconds: float = QUIET,
) -> Found:
    """The alerts with `start` <= ts < `end` (ns), oldest first. `quiet_seconds`: as `alerts.quiet_start_seconds`.

    Raises UsageError where there is no recording, and RuleError where a rule is wrong.
    """
    rules = [rules] if isinstance(rules, Rule) else list(rules)
    if start is not None and end is not None and end <= start:
        raise UsageError(f"{iso(start)} to {iso(end)} is no span of time: it ends before it begins")
    found, states = Found([], []), dict[str, bytes]()
    before = max((_reach(rule) for rule in rules), default=0) + MARGIN
    infos = [
        s for s in chosen_sessions(root, session) if (start is None or s.last_ts >= start) and (end is None or s.first_ts < end)
    ]
    found.notes += _uncovered(root, infos, start, end)
    for info in infos:
        engine = Engine(quiet_until=info.first_ts + int(quiet_seconds * SECOND))
        for rule in rules:
            engine.add(rule, states.get(rule.name))
        for alert in _played(engine, root, info, None if start is None else start - before, end, found):
            if (start is None or alert.ts_event >= start) and (end is None or alert.ts_event < end):
                found.alerts.append(alert)
            if len(found.alerts) >= MOST:
                found.notes.append(f"{MOST} alerts were found by {iso(alert.ts_event)}: it ends there")
                return found
        states = engine.states()
    return found


def _played(
    engine: Engine, root: Path, info: reader.SessionInfo, begin: int | None, end: int | None, found: Found
) -> Iterator[Alert]:
    for batch in switched_batches(root, info.id, engine.needs().metrics, before=begin):
        events = batch.events
        found.events += len(events)
        if end is not None and events and events[-1].ts_recv >= end:
            yield from engine.feed(e for e in events if e.ts_recv < end)
            yield from engine.advance(end - 1)
            return
        yield from engine.feed(events)
    yield from engine.advance(info.last_ts)


def _uncovered(root: Path, infos: list[reader.SessionInfo], start: int | None, end: int | None) -> Iterator[str]:
    """What of the time that is asked for is not on the tape."""
    if not infos:
        yield "nothing of that time is on the tape: `tapeline tape ls` lists what is there"
        return
    if start is not None and infos[0].first_ts > start:
        yield f"the tape begins at {iso(infos[0].first_ts)}: nothing is known of the time before"
    for one, other in pairwise(infos):
        yield f"nothing was recorded from {iso(one.last_ts)} to {iso(other.first_ts)}: windows begin anew"
    for info in infos:
        if (gone := reader.removed(root, info.id)) >= 0:
            yield f"frames 1 to {gone} of session {info.id} were removed to make room: what they held is not looked at"
    if end is not None and infos[-1].last_ts < end - SECOND:
        yield f"the tape ends at {iso(infos[-1].last_ts)}"


def _reach(rule: Rule) -> int:
    """How far back what a rule reads may go, ns."""
    said = rule.checked()
    conditions = [said.sentence.condition, *([] if said.until is None else [said.until])]
    return max(map(_span, conditions)) + max(map(_metric_reach, conditions))


def _span(node: Node) -> int:
    own = node.span if isinstance(node, Window | Change | Lasting) else 0
    return own + max(map(_span, children(node)), default=0)


def _metric_reach(node: Node) -> int:
    metric = fields.find(field).metric if (field := getattr(node, "field", "")) else ""
    own = registry.metric(metric).reach if metric else 0
    return max(own, max(map(_metric_reach, children(node)), default=0))
