"""Windows of happenings against the list of all that happened, at random times and over holes; what they keep is bounded."""

import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeline.alerts.values import NAN, Cell
from tapeline.alerts.windows import STEPS, Extremes, Happenings, Window, step_of
from tapeline.clock import MILLI, SECOND

TICK = 100 * MILLI
SPAN = 12  # steps of 100 ms
PLAIN = {
    "sum": math.fsum,
    "count": lambda values: float(len(values)),
    "avg": lambda values: math.fsum(values) / len(values),
    "std": statistics.pstdev,
    "min": min,
    "max": max,
    "first": lambda values: values[0],
    "last": lambda values: values[-1],
}


@pytest.mark.parametrize("function", PLAIN)
@settings(max_examples=50, deadline=None)
@given(
    told=st.lists(st.tuples(st.integers(0, 5), st.none() | st.floats(-1e3, 1e3)), min_size=1, max_size=60),
    lenient=st.booleans(),
)
def test_happenings_are_those_of_the_window(function, told, lenient):
    """None: a hole. The window reaches back to the begin of the step that is SPAN − 1 before this one."""
    cell = Cell()
    window = Happenings(function, cell, lambda: cell.sure, SPAN * TICK, lenient=lenient)
    tick, came, holes, began = 1000, [], [], None
    for wait, value in told:
        tick += wait
        began = tick if began is None else began
        if value is None:
            cell.lose()
            holes.append(tick)
        else:
            cell.put(value)
            came.append((tick, value))
        window.observe(tick * TICK + 7)
        first = tick - SPAN + 1
        values = [v for t, v in came if t >= first]
        whole = began < first and all(t < first for t in holes)
        unknown = not whole and not lenient
        if unknown or (not values and function not in {"sum", "count"}):
            assert math.isnan(window.result())
        else:
            expected = PLAIN[function](values)
            assert window.result() == pytest.approx(expected, rel=1e-9, abs=1e-6)
        assert (window.left() == 0) == whole


@pytest.mark.parametrize("span", [100 * MILLI, SECOND, 60 * SECOND, 3600 * SECOND, 31 * 86_400 * SECOND])
def test_a_window_keeps_so_many_steps_and_no_more(span):
    cell = Cell()
    kept = [
        Window("avg", lambda: cell.sure, span, lenient=False),
        Extremes(lambda: cell.sure, span, lenient=False),
        Happenings("sum", cell, lambda: cell.sure, span, lenient=False),
    ]
    for n in range(3000):
        cell.put(float(n))
        for window in kept:
            window.observe(n * step_of(span) * 2 // 3)
    assert all(len(window.steps) <= STEPS for window in kept)
    assert all(window.count * window.step >= span for window in kept)


@pytest.mark.parametrize(
    ("function", "expected"), [("first", 1.0), ("last", 10.0), ("median", 5.5), ("min", 1.0), ("max", 10.0)]
)
def test_levels(function, expected):
    value = NAN
    window = Window(function, lambda: value, SECOND, lenient=False)
    for n in range(1, 11):
        value = 5.0
        window.observe(n * TICK + 1)
    assert math.isnan(window.result())  # the first step was not known from its begin
    for n in range(1, 12):
        value = float(n)
        window.observe((20 + n) * TICK)
    assert window.result() == expected


@pytest.mark.parametrize("function", ["avg", "max", "first"])
def test_a_window_that_says_the_same_throughout_is_not_looked_at_again(function):
    """A machine that slept for hours would else look at each step of them, for each rule."""
    cell, now, looks = Cell(), 1000 * TICK, 0
    window = Window(function, lambda: cell.sure, SPAN * TICK, lenient=False)
    cell.put(5.0)
    window.observe(now)
    while (now := window.wake(now)) < 2000 * TICK:
        window.observe(now)
        looks += 1
    assert looks <= 2 * SPAN
    assert window.result() == 5.0
    later = 500_000 * TICK
    cell.put(7.0)
    window.observe(later)
    assert window.result() == 5.0, "the present is not over yet"
    assert window.wake(later) == later + TICK, "and it changes by time alone again"
    for step in range(1, SPAN + 1):
        window.observe(later + step * TICK)
    assert window.result() == 7.0


def test_happenings_are_not_looked_at_again_once_all_have_left():
    cell, now, looks = Cell(), 1000 * TICK, 0
    window = Happenings("sum", cell, lambda: cell.sure, SPAN * TICK, lenient=False)
    window.observe(now - TICK)
    cell.put(5.0)
    window.observe(now)
    while (now := window.wake(now)) < 2000 * TICK:
        window.observe(now)
        looks += 1
    assert looks <= 2 * SPAN
    assert window.result() == 0.0


def test_what_is_past_every_float_is_no_error():
    cell = Cell()
    windows = [Window(f, lambda: cell.sure, SPAN * TICK, lenient=True) for f in ("avg", "std", "median", "max")]
    windows += [Happenings(f, cell, lambda: cell.sure, SPAN * TICK, lenient=True) for f in ("avg", "std", "sum", "max")]
    for step, value in enumerate((1e308, 1.7e308, -1e308, math.inf, -math.inf, 1e200, 0.0)):
        cell.put(value)
        for window in windows:
            window.observe((1000 + step) * TICK)
            window.result()
