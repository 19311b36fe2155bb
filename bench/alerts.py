"""What 1,000 rules on 100 instruments cost at 20,000 events a second, beside a loop that asks every rule at every event.

    python bench/alerts.py [--short] [--json]

Ten rules an instrument, of ten kinds: levels, crossings, spans, windows, changes, statuses. The stream is what books and trades
make: two quotes, a metrics row and a trade in turn, prices on a random walk; each second a sample of metrics of every instrument.
`core`: of one core at that rate, from CPU time. `delay`: of an event, from when it comes, at that rate, until its turn is over: what
each turn took of CPU time, with the wait for those before it (the samples come all at once). `naive` asks the same compiled
conditions of all rules at every event, without an index of who reads what; it is given fewer events, as it takes longer.
"""

import argparse
import json
import random
import statistics
import time

from tapeline.alerts.engine import Engine
from tapeline.alerts.rule import Rule
from tapeline.clock import SECOND
from tapeline.events import Event, Metrics, Quote, Trade

INSTRUMENTS, RATE = 100, 20_000
TEXTS = (
    "{i} mid crosses above 100.5",
    "{i} spread_bps > 30 for 10s",
    "{i} volume_1m > 3 * avg(volume_1m, 60m)",
    "{i} price changes by 1% within 5m",
    "{i} status is gap or stale",
    "{i} imbalance > 0.9 and mid < 99",
    "{i} bid < 98 or ask > 102",
    "{i} sum(size, 1m) > 100k",
    "{i} mid > avg(mid, 5m) * 1.01",
    "{i} microprice - mid > 0.4",
)


def rules() -> list[Rule]:
    return [
        Rule.of(name=f"r{n}-{i}", text=text.format(i=f"binance:A{i}-USDT"))
        for i in range(INSTRUMENTS)
        for n, text in enumerate(TEXTS)
    ]


def stream(count: int) -> list[Event]:
    random.seed(1)
    prices = [100.0] * INSTRUMENTS
    out: list[Event] = []
    for n in range(count):
        t = 10**18 + n * SECOND // RATE
        i = random.randrange(INSTRUMENTS)
        name, price = f"binance:A{i}-USDT", prices[i]
        kind = n % 4
        if kind == 3:
            out.append(Trade(name, t, t, 0, price, random.random(), "buy", str(n)))
        elif kind == 2:
            out.append(Metrics(name, t, t, 0, price, 0.1, 10.0, random.uniform(-1, 1), price, n))
        else:
            prices[i] = price = round(price + random.gauss(0, 0.005), 3)
            out.append(
                Quote(
                    name, t, t, 0, round(price - 0.05, 3), random.random(), round(price + 0.05, 3), random.random(), n, "book"
                )
            )
        if n % RATE == 0:
            out += [
                Metrics(f"binance:A{k}-USDT", t, t, 0, *[None] * 6, {"volume_1m": random.random()}) for k in range(INSTRUMENTS)
            ]
    return out


def indexed(events: list[Event]) -> tuple[float, list[float]]:
    """CPU seconds an event, and the delay of each event."""
    engine, delays = Engine(rules()), []
    engine.feed(events[: len(events) // 4])
    left = events[len(events) // 4 :]
    done, began = 0.0, time.process_time()
    for e in left:
        start = time.thread_time()
        engine.feed((e,))
        came = (e.ts_recv - left[0].ts_recv) / SECOND
        done = max(done, came) + time.thread_time() - start
        delays.append(done - came)
    return (time.process_time() - began) / len(left), delays


def naive(events: list[Event]) -> float:
    """CPU seconds an event."""
    engine = Engine(rules())
    engine.feed(events)
    every = [binding for watched in engine.rules.values() for binding in watched.bindings.values()]
    boards, some = engine._boards, events[-max(200, len(events) // 500) :]  # noqa: SLF001
    began = time.process_time()
    for e in some:
        take = boards[e.instrument].takes.get(type(e))
        if take is not None:
            take(e)
        for binding in every:
            binding.look(e.ts_recv, [])
    return (time.process_time() - began) / len(some)


def measure(seconds: int, rounds: int) -> dict[str, float]:
    events = stream(seconds * RATE)
    costs, loops, delays = [], [], list[float]()
    for _ in range(rounds):
        cost, took = indexed(events)
        costs.append(cost)
        delays += took
        loops.append(naive(events))
    cost = statistics.median(costs)
    return {
        "rules": INSTRUMENTS * len(TEXTS),
        "core": cost * RATE,
        "delay": statistics.median(delays),
        "p99": statistics.quantiles(delays, n=100)[98],
        "naive": statistics.median(loops) / cost,
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    arguments.add_argument("--short", action="store_true", help="a second of events, one round")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    found = measure(1, 1) if given.short else measure(20, given.rounds)
    if given.json:
        print(json.dumps({"alerts": found}))
        return
    delay = f"median {found['delay'] * 1e3:.3f} ms, 99 % {found['p99'] * 1e3:.3f} ms"
    beside = f"asking all rules at every event takes {found['naive']:.0f} ×"
    print(f"{found['rules']} rules, {RATE:,} events/s: {found['core']:.1%} of a core; delay {delay}; {beside}")


if __name__ == "__main__":
    main()
