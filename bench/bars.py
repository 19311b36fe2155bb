"""Trades a core-second into bars: of the nine usual intervals, and of ten kinds at once that go by what was traded; each in a run
(`add_many`, of trades and of columns) and one by one (`add`).

    python bench/bars.py [--short] [--json]

Trades of the recorded sessions, repeated with later times so that bars close as they do live. Counted is CPU time, medians of
several rounds that take turns.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

from sessions import FILES, load, trades

from tapeline.config import PipelineSettings
from tapeline.events import Event, Trade
from tapeline.market.barkinds.chunks import Columns
from tapeline.market.barkinds.kinds import Kinds
from tapeline.market.bars import Bars

TEN = (
    "tick:500", "volume:10", "notional:1000000", "tick_imbalance:100", "volume_imbalance:20", "notional_imbalance:1000000",
    "tick_run:200", "volume_run:20", "notional_run:1000000", "renko:10",
)  # fmt: skip


def repeated(given: list[Trade], count: int) -> list[Trade]:
    span = given[-1].ts_event - given[0].ts_event + 1
    out: list[Trade] = []
    for n in range(count // len(given) + 1):
        move = n * span
        out += [Trade(t.instrument, t.ts_event + move, t.ts_recv + move, 0, t.price, t.size, t.side, t.id) for t in given]
    return out[:count]


def in_a_run(given: list[Trade], _: Columns, out: list[Event]) -> None:
    Bars(given[0].instrument, PipelineSettings()).add_many(given, out)


def one_by_one(given: list[Trade], _: Columns, out: list[Event]) -> None:
    bars = Bars(given[0].instrument, PipelineSettings())
    for trade in given:
        bars.add(trade, out)


def ten_in_a_run(given: list[Trade], _: Columns, out: list[Event]) -> None:
    Kinds.of(TEN, given[0].instrument).add_many(given, out)


def ten_of_columns(given: list[Trade], columns: Columns, out: list[Event]) -> None:
    Kinds.of(TEN, given[0].instrument).add_columns(columns, out)


def ten_one_by_one(given: list[Trade], _: Columns, out: list[Event]) -> None:
    kinds = Kinds.of(TEN, given[0].instrument)
    for trade in given:
        kinds.add(trade, out)


CASES: dict[str, Callable[[list[Trade], Columns, list[Event]], None]] = {
    "in a run": in_a_run,
    "one by one": one_by_one,
    "ten kinds, in a run": ten_in_a_run,
    "ten kinds, from columns": ten_of_columns,
    "ten kinds, one by one": ten_one_by_one,
}


def measure(given: list[Trade], rounds: int) -> dict[str, float]:
    rates: dict[str, list[float]] = {name: [] for name in CASES}
    columns = Columns.of(given)
    for _ in range(rounds):
        for name, case in CASES.items():
            out: list[Event] = []
            began = time.process_time()
            case(given, columns, out)
            rates[name].append(len(given) / (time.process_time() - began))
    return {name: statistics.median(r) for name, r in rates.items()}


def run(about: str, what: str, measure: Callable[[list[Trade], int], dict[str, float]], rounds: int) -> None:
    """The command line of a benchmark of trades, and what it prints. `measure(trades, rounds)` gives rates by name."""
    arguments = argparse.ArgumentParser(description=about.split("\n", 1)[0])
    arguments.add_argument("--short", action="store_true", help="few trades, one round")
    arguments.add_argument("--rounds", type=int, default=rounds)
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    results: dict[str, dict[str, float | str]] = {}
    for venue in FILES:
        frames, where = load(venue, 20_000 if given.short else None)
        made = repeated(trades(frames), 5_000 if given.short else 300_000)
        results[venue] = {"session": where, **measure(made, 1 if given.short else given.rounds)}
    if given.json:
        print(json.dumps({what: results}))
        return
    for venue, rates in results.items():
        text = "   ".join(f"{name} {rate:>9,.0f}" for name, rate in rates.items() if not isinstance(rate, str))
        print(f"{venue:13} {rates['session']}, trades a core-second: {text}")


if __name__ == "__main__":
    run(__doc__ or "", "bars", measure, rounds=7)
