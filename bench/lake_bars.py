"""One instrument-day of 10 M trades out of the lake: stored 1-minute bars, and bars of other intervals folded from all of it.

    python -m bench.lake_bars [--short] [--json]

Aims: 1-minute bars of the day in under 50 ms; all 10 M trades folded in under 0.5 s. The day is made up (prices and sizes with the
venue's digits), goes through the live `Bars`, and lies in the lake as compaction leaves it. Medians of seven; files are in the page
cache.
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from tapeline.config import PipelineSettings
from tapeline.events import Bar, Event, Trade
from tapeline.lake import catalogue, tables
from tapeline.lake.bars import bars
from tapeline.lake.layout import STATE_FILE, root
from tapeline.lake.state import LakeState
from tapeline.market.bars import Bars

NAME = "binance:BTC-USDT"
DAY0 = 1_795_219_200_000_000_000  # 2026-11-21
DAY = 86_400_000_000_000
MILLI = 1_000_000
CHUNK = 250_000
ROW_GROUP = 500_000


def day(count: int) -> list[pa.Table]:
    """Tables of trades and of bars, as the sink makes them, a chunk at a time."""
    r, live, found, n = random.Random(1), Bars(NAME, PipelineSettings()), [], 0
    price = 60_000.0
    for first in range(0, count, CHUNK):
        trades: list[Event] = []
        for i in range(first, min(first + CHUNK, count)):
            ts = (DAY0 + i * (DAY // count)) // MILLI * MILLI
            price = round(price + r.randrange(-2, 3) * 0.01, 2)
            trades.append(
                Trade(NAME, ts, ts + 3 * MILLI, 0, price, round(r.expovariate(30), 5), r.choice(("buy", "sell")), str(i))
            )
        made: list[Event] = []
        live.add_many(trades, made)  # type: ignore[arg-type]
        if first + CHUNK >= count:
            live.finish(DAY0 + DAY, made)
        found += [p.table for p in tables.parts("s", [*trades, *made], n)]
        n += len(trades) + len(made)
    return found


def write(data: Path, found: list[pa.Table]) -> None:
    place = root(data)
    place.mkdir(parents=True)
    state = LakeState(place / STATE_FILE)
    for kind, event_type in (("trade", Trade), ("bar", Bar)):
        mine = [t for t in found if t.schema.metadata[b"tapeline.event"] == kind.encode()]
        table = pa.concat_tables([t.replace_schema_metadata(None) for t in mine]).unify_dictionaries()
        path = f"kind={kind}/venue=binance/instrument=BTC-USDT/date=2026-11-21/day.parquet"
        (place / path).parent.mkdir(parents=True)
        tables.write(table, place / path)
        part = tables.Part(tables.Partition(kind, "binance", "BTC-USDT", "2026-11-21"), table)
        state.intend("s", 0 if event_type is Trade else 1, len(table), [], [tables.described(part, path, 0)])
    state.close()


def timed(work: Callable[[], pa.Table]) -> float:
    took = []
    for _ in range(7):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    count = 100_000 if given.short else 10_000_000
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        write(data, day(count))
        lake = catalogue.read(data)
        span = {"start": DAY0, "end": DAY0 + DAY}
        result = {
            "trades": count,
            "1m stored": timed(lambda: bars(catalogue.read(data), NAME, "1m", **span)),
            "1m folded": timed(lambda: bars(lake, NAME, "1m", source="trades", **span)),
            "7s folded": timed(lambda: bars(lake, NAME, "7s", **span)),
            "an hour, 1m folded": timed(
                lambda: bars(lake, NAME, "1m", source="trades", start=DAY0 + DAY // 2, end=DAY0 + DAY * 13 // 24)
            ),
        }
    if given.json:
        print(json.dumps(result))
    else:
        for what, took in result.items():
            print(f"{what:20} {took if what == 'trades' else f'{took * 1e3:.1f} ms'}")


if __name__ == "__main__":
    main()
