"""A second evaluator, that keeps everything and remembers nothing: at each tenth of a second it asks the whole history.

It knows the language by its own reading of docs/alerts.md: no window, no timer and no tree of the engine's is used. Streams are random,
with holes; batches are random, too, and change nothing.
"""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeline.alerts.engine import Engine
from tapeline.alerts.rule import Rule
from tapeline.clock import MILLI
from tests.alerts.streams import mid, status

TICK = 100 * MILLI
History = list[tuple[int, float | None]]  # tenths of a second, and the mid from then on; None: not known


def at(history: History, tick: int) -> float | None:
    """The value just after `tick`, as far as it has been told."""
    return next((value for when, value in reversed(history) if when <= tick), None)


def over(history: History, first: int, last: int) -> list[float | None]:
    """Every value that held at some time from `first` to `last`, the one that began before included."""
    before = [at([h for h in history if h[0] < first], first)] if first > -1 else []
    return before + [value for when, value in history if first <= when <= last]


def above(history: History, tick: int, level: float) -> bool | None:
    value = at(history, tick)
    return None if value is None else value > level


def lasting(history: History, tick: int, level: float, span: int) -> bool | None:
    now = above(history, tick, level)
    if not now:
        return now
    since = tick
    for when, value in reversed(history):
        if value is None or value <= level:
            break
        since = when
    return tick - since >= span


def changed(history: History, tick: int, part: Fraction, span: int) -> bool | None:
    value = at(history, tick)
    if value is None:
        return None
    seen: list[float] = []
    for old in reversed(over(history, tick - span + 1, tick)):
        if old is None:
            break
        seen.append(old)
    return any(abs(Fraction(value) - Fraction(old)) >= part * Fraction(old) for old in seen)


def above_mean(history: History, tick: int, span: int) -> bool | None:
    value, ends = at(history, tick), []
    if value is None:
        return None
    for step in range(tick - span, tick):
        held = over(history, step, step)
        if any(old is None for old in held):
            return None
        ends.append(at(history, step))
    return value > float(sum(map(Fraction, ends)) / len(ends))


class Crossing:
    """Above, having been at or below before."""

    def __call__(self, history: History, tick: int, level: float) -> bool | None:
        value = at(history, tick)
        if value is None:
            return None
        return value > level and any(old is not None and old <= level for _, old in history)


RULES = {
    "mid > 100": lambda h, t: above(h, t, 100),
    "mid > 100 for 700ms": lambda h, t: lasting(h, t, 100, 7),
    "mid crosses above 100": lambda h, t: Crossing()(h, t, 100),
    "mid changes by 2% within 1s": lambda h, t: changed(h, t, Fraction("0.02"), 10),
    "mid > avg(mid, 500ms)": lambda h, t: above_mean(h, t, 5),
    "(mid > 100 for 300ms) and not mid changes by 2% within 1s": lambda h, t: both(
        lasting(h, t, 100, 3), invert(changed(h, t, Fraction("0.02"), 10))
    ),
}


def invert(found: bool | None) -> bool | None:
    return None if found is None else not found


def both(a: bool | None, b: bool | None) -> bool | None:
    return False if a is False or b is False else None if a is None or b is None else True


def brute(holds, stays, history: History, last: int, cooldown: int) -> list[tuple[int, str]]:
    """Time passes first at each instant, then comes what comes then, one by one."""
    told: list[tuple[int, str]] = []
    raised, allowed = False, 0
    for tick in range(last + 1):
        for n in [sum(when < tick for when, _ in history), *(i + 1 for i, (when, _) in enumerate(history) if when == tick)]:
            seen = history[:n]
            if not raised and tick >= allowed and holds(seen, tick):
                told.append((tick, "raised"))
                raised, allowed = True, tick + cooldown
            elif raised and stays(seen, tick) is False:
                told.append((tick, "resolved"))
                raised = False
    return told


EVENTS = st.lists(
    st.tuples(st.integers(0, 4), st.none() | st.sampled_from([97.0, 98.0, 99.5, 100.0, 100.5, 101.0, 102.0, 103.0])),
    min_size=1,
    max_size=30,
)


@pytest.mark.parametrize("text", RULES)
@settings(max_examples=60, deadline=None)
@given(steps=EVENTS, cooldown=st.sampled_from([0, 10]), cuts=st.lists(st.integers(0, 30), max_size=4))
def test_the_engine_says_what_the_whole_history_says(text, steps, cooldown, cuts):
    history: History = []
    tick = 1
    for wait, value in steps:
        tick += wait
        history.append((tick, value))
    last = tick + 25
    events = [status(t / 10, "gap") if value is None else mid(t / 10, value) for t, value in history]
    made = Engine([Rule.of(name="r", text=text, cooldown="1s" if cooldown else "")])
    alerts, begin = [], 0
    for cut in [*sorted(cuts), len(events)]:
        alerts += made.feed(events[begin:cut])
        begin = max(begin, cut)
    alerts += made.advance(last * TICK)
    holds = RULES[text]
    stays = (lambda h, t: both(above(h, t, 100), invert(changed(h, t, Fraction("0.02"), 10)))) if " and " in text else holds
    stays = (lambda h, t: above(h, t, 100)) if text.endswith("700ms") else stays
    assert [(a.ts_event // TICK, a.state) for a in alerts] == brute(holds, stays, history, last, cooldown)


@settings(max_examples=150, deadline=None)
@given(
    steps=EVENTS,
    text=st.sampled_from(
        [*RULES, "mid > 100 until mid < 99", "mid crosses 100", "status is gap", "mid > 100 or status is gap"]
    ),
    options=st.fixed_dictionaries(
        {"cooldown": st.sampled_from(["", "1s"]), "once": st.booleans(), "incomplete": st.booleans()}
    ),
    restarts=st.lists(st.integers(0, 30), max_size=3),
)
def test_never_raised_twice_whatever_comes_and_however_often_it_restarts(steps, text, options, restarts):
    rule = Rule.of(name="r", text=text, **options)
    made, alerts, tick = Engine([rule]), [], 1
    for n, (wait, value) in enumerate(steps):
        tick += wait
        if n in restarts:
            state = made.states()["r"]
            made = Engine()
            made.add(rule, state)
        alerts += made.feed([status(tick / 10, "gap") if value is None else mid(tick / 10, value)])
    assert [a.state for a in alerts] == (["raised", "resolved"] * len(alerts))[: len(alerts)]
    raised = [a for a in alerts if a.state == "raised"]
    assert len({a.id for a in raised}) == len(raised)
    assert [a.id for a in alerts if a.state == "resolved"] == [a.id for a in raised][: len(alerts) - len(raised)]
    if options["once"]:
        assert len(raised) <= 1
    if options["cooldown"]:
        assert all(b.ts_event - a.ts_event >= 10 * TICK for a, b in pairwise(raised))
