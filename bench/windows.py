"""Trades a core-second into one-minute windows of five aggregates, beside pandas' resample and a plain fold.

    python bench/windows.py [--short] [--json]

Trades of the recorded sessions, repeated with later times so that windows close as they do live. `windows`: tl.windows'
operator, one trade after the other, as they come. `function`: five features by a function of NumPy arrays. `fold`: what a
script would write, a dictionary by minute, float sums, no lateness, no holes. `pandas`: a DataFrame of all of them, resampled
at the end, its making included. Counted is CPU time, medians of several rounds that take turns.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

from bars import run

import tapeline as tl
from tapeline.clock import SECOND
from tapeline.events import Trade

MINUTE = 60 * SECOND


def windows(given: list[Trade]) -> int:
    made = tl.windows(
        given, tl.tumbling("1m"), first="first(price)", last="last(price)", min="min(price)", max="max(price)", volume="volume"
    )
    return sum(1 for _ in made)


def features(_: Any, prices: Any, sizes: Any) -> dict[str, float]:
    return {"first": prices[0], "last": prices[-1], "min": prices.min(), "max": prices.max(), "volume": sizes.sum()}


def function(given: list[Trade]) -> int:
    return sum(1 for _ in tl.windows(given, tl.tumbling("1m"), features))


def fold(given: list[Trade]) -> int:
    found: dict[tuple[str, int], list[float]] = {}
    for t in given:
        key = t.instrument, t.ts_event // MINUTE
        row = found.get(key)
        if row is None:
            found[key] = [t.price, t.price, t.price, t.price, t.size]
        else:
            row[1] = t.price
            row[2] = min(row[2], t.price)
            row[3] = max(row[3], t.price)
            row[4] += t.size
    return len(found)


def pandas(given: list[Trade]) -> int:
    import pandas as pd

    rows = [(t.ts_event, t.price, t.size) for t in given]
    frame = pd.DataFrame(rows, columns=["ts", "price", "size"])
    frame.index = pd.to_datetime(frame["ts"])
    by_minute = frame.resample("1min")
    made = by_minute["price"].agg(["first", "last", "min", "max"]).join(by_minute["size"].sum())
    return int(made["first"].notna().sum())


CASES: dict[str, Callable[[list[Trade]], int]] = {"windows": windows, "function": function, "fold": fold, "pandas": pandas}


def measure(given: list[Trade], rounds: int) -> dict[str, float]:
    rates: dict[str, list[float]] = {name: [] for name in CASES}
    counts = set()
    for case in CASES.values():
        case(given[:100])  # imports
    for _ in range(rounds):
        for name, case in CASES.items():
            began = time.process_time()
            counts.add(case(given))
            rates[name].append(len(given) / (time.process_time() - began))
    if len(counts) != 1:
        raise SystemExit(f"they do not make the same windows: {counts}")
    return {name: statistics.median(r) for name, r in rates.items()}


if __name__ == "__main__":
    run(__doc__ or "", "windows", measure, rounds=5)
