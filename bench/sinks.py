"""Rows a second into each sink and bytes a row, on trades of the recorded Binance sessions.

    python -m bench.sinks [--frames ../shared/frames] [--short] [--json]

Aims: lake over 1,000,000 trades a second from Trade events to fsynced Parquet and under 13 bytes a trade; SQLite over 150,000.
The recorded trades are repeated, shifted in time and with new ids, to commits of the size the runner makes; rates are medians of
seven commits. Bytes are those of one commit of the recording as it is, since repetition would flatter a dictionary. Where the
recordings are missing it says so and measures made-up trades: speed holds, bytes a trade do not.
"""

import argparse
import gzip
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from tapeline.config import Settings, SinkSettings
from tapeline.events import BookUpdate, Event, Quote, Trade
from tapeline.sinks.base import Sink
from tapeline.sinks.registry import SINKS, pace

COMMITS = 7
MILLI = 1_000_000
FILES = {"binance-usdm:BTC-USDT-PERP": "binance-usdm", "binance:BTC-USDT": "binance-spot"}


def recorded(folder: Path) -> dict[str, list[Trade]]:
    found: dict[str, list[Trade]] = {}
    for instrument, name in FILES.items():
        path = folder / "recorded" / name / "btcusdt_20240808.gz"
        if path.exists():
            with gzip.open(path, "rb") as lines:
                found[instrument] = [trade(instrument, line) for line in lines if b'@trade"' in line]
    return found


def trade(instrument: str, line: bytes) -> Trade:
    ts, _, raw = line.partition(b" ")
    d = msgspec.json.decode(raw)["data"]
    side = "sell" if d["m"] else "buy"
    return Trade(instrument, d["T"] * MILLI, int(ts), 0, float(d["p"]), float(d["q"]), side, str(d["t"]))


def made_up() -> dict[str, list[Trade]]:
    r, ts, trades = random.Random(1), 1_723_161_256_000_000_000, []
    for i in range(20_000):
        ts += r.randrange(20) * MILLI
        price, size = round(61_000 + r.random() * 100, 1), round(r.random(), 3)
        trades.append(Trade("binance:BTC-USDT", ts, ts + r.randrange(MILLI), 0, price, size, "buy", str(5_266_583_935 + i)))
    return {"binance:BTC-USDT": trades}


def repeated(trades: list[Trade], count: int) -> list[Event]:
    """`count` trades going on where the recording ends: later times, new ids."""
    span = trades[-1].ts_event - trades[0].ts_event + MILLI
    step = int(trades[-1].id) - int(trades[0].id) + 1
    out: list[Event] = []
    for n in range(count // len(trades) + 1):
        out += [
            msgspec.structs.replace(
                t, ts_event=t.ts_event + n * span, ts_recv=t.ts_recv + n * span, id=str(int(t.id) + n * step)
            )
            for t in trades
        ]
    return out[:count]


def quotes(trades: list[Event]) -> list[Event]:
    return [
        Quote(t.instrument, t.ts_event, t.ts_recv, 0, t.price, t.size, t.price + 0.1, 1.5, i, "venue")
        for i, t in enumerate(trades)
        if isinstance(t, Trade)
    ]


def books(trades: list[Event]) -> list[Event]:
    """Updates of ten levels a side."""
    return [
        BookUpdate(
            t.instrument,
            t.ts_event,
            t.ts_recv,
            0,
            [(round(t.price - i / 10, 1), t.size) for i in range(10)],
            [(round(t.price + i / 10, 1), t.size) for i in range(1, 11)],
            False,
            n,
            n - 1,
        )
        for n, t in enumerate(trades)
        if isinstance(t, Trade)
    ]


def size_of(data: Path, name: str) -> int:
    files = data.rglob("*.parquet") if name == "lake" else data.glob("*.sqlite*")
    return sum(f.stat().st_size for f in files)


def commits(name: str, events: list[Event], count: int) -> tuple[float, float]:
    """(events a second: median commit, bytes an event after closing)."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        sink: Sink = SINKS[name](data, Settings())
        sink.open()
        rates = []
        for n in range(count):
            began = time.perf_counter()
            sink.commit("bench", n, events)
            rates.append(len(events) / (time.perf_counter() - began))
        sink.close()
        return statistics.median(rates), size_of(data, name) / (count * len(events))


def cases(name: str, sources: dict[str, list[Trade]], *, short: bool = False) -> Iterator[dict[str, Any]]:
    kinds: dict[str, Callable[[list[Event]], list[Event]]] = {"trades": list, "quotes": quotes, "books": books}
    for kind, convert in kinds.items():
        if (name, kind) == ("sqlite", "books"):
            continue
        size = pace(name, SinkSettings()).events // (10 if kind == "books" else 1) // (10 if short else 1)
        for instrument, trades in sources.items():
            rate, _ = commits(name, convert(repeated(trades, size)), 1 if short else COMMITS)
            _, each = commits(name, convert(list(trades)), 1)
            yield {
                "sink": name,
                "kind": kind,
                "instrument": instrument,
                "rows_per_second": round(rate),
                "bytes": round(each, 2),
            }


def main() -> None:
    parser = argparse.ArgumentParser(description="Rows a second into each sink and bytes a row.")
    default = Path(os.environ.get("TAPELINE_SHARED") or Path(__file__).parents[2] / "shared") / "frames"
    parser.add_argument("--frames", type=Path, default=default, help="folder of the recorded sessions")
    parser.add_argument("--short", action="store_true", help="small commits, one of each")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    sources = recorded(options.frames)
    if not sources:
        sources = made_up()
        print(f"{options.frames} is not there: made-up trades, so bytes a trade mean little", file=sys.stderr)
    for name in SINKS:
        for case in cases(name, sources, short=options.short):
            line = "{sink:8}{kind:8}{instrument:28}{rows_per_second:12,} rows/s {bytes:8.2f} bytes/row"
            print(json.dumps(case) if options.json else line.format(**case), flush=True)


if __name__ == "__main__":
    main()
