"""The lake asked: a day of 10 M trades and a day of books, beside SQLite and CSV by pandas for the same questions.

    python -m bench.lake [--frames ../shared/frames] [--short] [--json]

Aims: an instrument's day of 10 M trades to its 1-minute bars in 50 ms, all 10 M trades read and added up in 0.5 s, the book at any
instant of a day in 200 ms. Every figure is the median of several runs in one process, after one that is not counted; the same
question is put to SQLite and to pandas reading a CSV file in the same run. The trades are made up; the books are the recorded
futures session's, repeated over a day. A query while events arrive: one thread commits 50,000 trades a second in commits of half a
second, the other asks.
"""

import argparse
import csv
import json
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd

import tapeline as tl
from bench.days import DAY, NAME, SECOND, T0, bars_of, book_day, compact, fill, recorded_books, trades
from tapeline.config import Settings
from tapeline.events import Trade
from tapeline.lake.lake import Lake
from tapeline.sinks.lake import LakeSink

RUNS = 5
MINUTES = "SELECT ts_event // 60000000000 AS minute, max(price), min(price), sum(size), count(*) FROM trades GROUP BY 1"
TOTAL = "SELECT count(*), sum(price * size) FROM trades"


def timed(function: Callable[[], Any], runs: int = RUNS) -> float:
    """Median seconds, after one run that is not counted."""
    function()
    taken = []
    for _ in range(runs):
        began = time.perf_counter()
        function()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def beside(folder: Path, count: int) -> dict[str, float]:
    """The same trades in SQLite and CSV, asked the same."""
    with closing(sqlite3.connect(folder / "trades.sqlite", isolation_level=None)) as db:
        db.execute("CREATE TABLE trades (ts_event INTEGER, price REAL, size REAL, side TEXT, id TEXT)")
        db.execute("BEGIN")
        db.executemany(
            "INSERT INTO trades VALUES (?, ?, ?, ?, ?)", ((t.ts_event, t.price, t.size, t.side, t.id) for t in trades(count))
        )
        db.execute("COMMIT")
        found = {
            "sqlite minutes": timed(lambda: db.execute(MINUTES.replace("//", "/")).fetchall(), 1),
            "sqlite total": timed(lambda: db.execute(TOTAL).fetchall(), 1),
        }
    with (folder / "trades.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("ts_event", "price", "size", "side", "id"))
        writer.writerows((t.ts_event, t.price, t.size, t.side, t.id) for t in trades(count))

    def minutes() -> Any:
        day = pd.read_csv(folder / "trades.csv")
        return day.groupby(day["ts_event"] // (60 * SECOND)).agg({"price": ["first", "max", "min", "last"], "size": "sum"})

    def total() -> float:
        day = pd.read_csv(folder / "trades.csv", usecols=["price", "size"])
        return float((day["price"] * day["size"]).sum())

    return {**found, "pandas minutes": timed(minutes, 1), "pandas total": timed(total, 1)}


def of_trades(folder: Path, count: int) -> dict[str, float]:
    data = folder / "day"
    began = time.perf_counter()
    rows = fill(data, bars_of(trades(count), Settings()))
    filled = time.perf_counter()
    compact(data)
    compacted = time.perf_counter()
    lake = tl.open(data)
    size = sum(f.bytes for f in lake.catalogue().files if f.kind == "trade")
    minutes = lake.bars(NAME, "1m")
    assert len(minutes) == min(1440, DAY // (60 * SECOND)), len(minutes)
    return {
        "trades": count,
        "written a second": rows / (filled - began),
        "compacted a second": rows / (compacted - filled),
        "bytes a trade": size / count,
        "minutes": timed(lambda: lake.bars(NAME, "1m")),
        "minutes from trades": timed(lambda: _from_trades(lake)),
        "odd interval": timed(lambda: lake.bars(NAME, "7m")),
        "minutes by sql": timed(lambda: lake.sql(MINUTES)),
        "total": timed(lambda: lake.sql(TOTAL)),
    }


def _from_trades(lake: Lake) -> Any:
    from tapeline.lake import bars

    return bars.bars(lake.catalogue(), NAME, "1m", source="trades")


def of_books(folder: Path, frames: Path, count: int) -> dict[str, float]:
    from tapeline.config import KeepSettings, LakeSettings  # noqa: F401 - what upkeep is given

    path = frames / "recorded" / "binance-usdm" / "btcusdt_20240808.gz"
    if not path.exists():
        return {}
    data = folder / "books"
    fill(data, iter(book_day(recorded_books(path), count)))
    compact(data)
    lake, r = tl.open(data), random.Random(3)
    taken = []
    for _ in range(20):
        at = T0 + r.randrange(DAY)
        began = time.perf_counter()
        lake.book("binance-usdm:BTC-USDT-PERP", at=at)
        taken.append(time.perf_counter() - began)
    files = lake.catalogue().files
    books = sum(f.bytes for f in files if f.kind == "book")
    return {
        "updates": count,
        "bytes an update": books / count,
        "snapshots, share of bytes": sum(f.bytes for f in files if f.kind == "book_snapshot") / books,
        "book at": statistics.median(taken),
        "book at, worst": max(taken),
    }


def while_they_arrive(folder: Path, seconds: float) -> dict[str, float]:
    """A question about the last minute while 50,000 trades a second are committed."""
    data, rate, stop = folder / "busy", 50_000, threading.Event()
    sink = LakeSink(data)
    sink.open()
    made = trades(10_000_000)
    sink.commit("s", 0, [next(made) for _ in range(rate)])
    behind: list[float] = []

    def write() -> None:
        began, n = time.perf_counter(), 0
        while not stop.is_set():
            n += 1
            now = T0 + n * SECOND // 2
            chunk = [
                Trade(t.instrument, now + i, now + i, 0, t.price, t.size, t.side, t.id)
                for i, t in enumerate(_take(made, rate // 2))
            ]
            sink.commit("s", n, chunk)
            left = began + n / 2 - time.perf_counter()
            behind.append(max(0.0, -left))
            stop.wait(max(0.0, left))

    writer = threading.Thread(target=write)
    writer.start()
    lake, taken, ends = tl.open(data), [], time.perf_counter() + seconds
    while time.perf_counter() < ends:
        began = time.perf_counter()
        last = lake.span(NAME, "trade")
        lake.sql(
            f"SELECT count(*), avg(price) FROM trades WHERE instrument = '{NAME}' AND ts_event > {(last or (0, 0))[1] - 60 * SECOND}"
        )
        taken.append(time.perf_counter() - began)
        time.sleep(0.05)
    stop.set()
    writer.join()
    sink.close()
    return {
        "asked": len(taken),
        "asked while writing": statistics.median(taken),
        "worst": max(taken),
        "writer behind": max(behind),
    }


def _take(made: Any, n: int) -> list[Trade]:
    return [next(made) for _ in range(n)]


def main() -> None:
    parser = argparse.ArgumentParser(description="The lake asked, beside SQLite and CSV by pandas.")
    default = Path(os.environ.get("TAPELINE_SHARED") or Path(__file__).parents[2] / "shared") / "frames"
    parser.add_argument("--frames", type=Path, default=default, help="folder of the recorded sessions")
    parser.add_argument("--short", action="store_true", help="small days, one run of each")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    count, updates, seconds = (100_000, 20_000, 1.0) if options.short else (10_000_000, 864_000, 15.0)
    with tempfile.TemporaryDirectory(prefix="tapeline-bench-") as name:
        folder = Path(name)
        found = {
            "trades": of_trades(folder, count),
            "beside": beside(folder, count),
            "books": of_books(folder, options.frames, updates),
            "busy": while_they_arrive(folder, seconds),
        }
    if options.json:
        print(json.dumps({"lake": found}))
        return
    if not found["books"]:
        print(f"{options.frames} is not there: no books were asked for", file=sys.stderr)
    for part, rows in found.items():
        for what, value in rows.items():
            print(f"{part:8}{what:28}{value:16,.4f}", flush=True)


if __name__ == "__main__":
    main()
