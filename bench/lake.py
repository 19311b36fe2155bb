"""The lake asked: a day of 10 M trades and a day of books, beside SQLite and CSV by pandas for the same questions.

    python bench/lake.py [--short] [--json]

Aims: an instrument's day of 10 M trades to its 1-minute bars in 50 ms, all 10 M trades read and added up in 0.5 s, the book at any
instant of a day in 200 ms. Every figure of the lake is the median of several runs, after one that is not counted, so files are in
the system's cache; SQLite and pandas get one run that is not counted and one that is. They keep five columns where the lake keeps
eleven, and make no open and close.

The trades are made up; the books are the recorded futures session's, repeated over a day, ten updates a second. A question while
events arrive: one thread commits 50,000 trades a second in commits of half a second, ten times as often as a live session would
at that pace; another asks about the last minute by SQL. Both in one process, as in `tapeline run` with its API.
"""

import argparse
import csv
import json
import random
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import rows
from days import CHUNK, DAY, NAME, SECOND, T0, bars_of, book_day, fill, keep, trades

import tapeline as tl
from tapeline.events import Trade
from tapeline.sinks.lake import LakeSink

RUNS, ASKED_BOOKS, RATE = 7, 50, 50_000
MINUTE = 60 * SECOND
MINUTES = "SELECT ts_event // 60000000000 AS minute, max(price), min(price), sum(size), count(*) FROM trades GROUP BY 1"
TOTAL = "SELECT count(*), sum(price * size) FROM trades"
Found = dict[str, float]


def timed(function: Callable[[], Any], runs: int = RUNS) -> float:
    """Median seconds, after one run that is not counted."""
    function()
    taken = []
    for _ in range(runs):
        began = time.perf_counter()
        function()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def of_trades(folder: Path, count: int) -> Found:
    """The lake's answers."""
    data = folder / "day"
    filled = fill(data, bars_of(trades(count)))
    small = timed(lambda: tl.open(data).sql(TOTAL), 1)
    kept = keep(data)
    lake = tl.open(data)
    minutes = lake.bars(NAME, "1m")
    assert len(minutes) == 1440, len(minutes)
    heard = ["ts_recv"]  # a stored bar has the time of the trade that closed it
    assert lake.bars(NAME, "1m", source="trades").drop_columns(heard).equals(minutes.drop_columns(heard))
    return {
        "trades": count,
        "written": filled.rows / filled.wall,
        "written, a core-second": filled.rows / filled.cpu,
        "compacted": filled.rows / kept,
        "bytes a trade": sum(f.bytes for f in lake.catalogue().files if f.kind == "trade") / count,
        "minutes": timed(lambda: lake.bars(NAME, "1m")),
        "minutes from trades": timed(lambda: lake.bars(NAME, "1m", source="trades")),
        "an hour from trades": timed(
            lambda: lake.bars(NAME, "1m", source="trades", start=T0 + DAY // 2, end=T0 + DAY // 2 + 60 * MINUTE)
        ),
        "minutes by sql": timed(lambda: lake.sql(MINUTES)),
        "total": timed(lambda: lake.sql(TOTAL)),
        "total, not compacted": small,
    }


def beside(folder: Path, count: int) -> Found:
    """The same trades in SQLite and CSV, asked the same."""
    made = trades(count)
    with (
        closing(sqlite3.connect(folder / "trades.sqlite", isolation_level=None)) as db,
        (folder / "trades.csv").open("w", newline="") as file,
    ):
        db.execute("CREATE TABLE trades (ts_event INTEGER, price REAL, size REAL, side TEXT, id TEXT)")
        db.execute("BEGIN")
        writer = csv.writer(file)
        writer.writerow(("ts_event", "price", "size", "side", "id"))
        while chunk := [(t.ts_event, t.price, t.size, t.side, t.id) for t in islice(made, CHUNK)]:
            db.executemany("INSERT INTO trades VALUES (?, ?, ?, ?, ?)", chunk)
            writer.writerows(chunk)
        db.execute("COMMIT")
        file.flush()
        return {
            "sqlite minutes": timed(lambda: db.execute(MINUTES.replace("//", "/")).fetchall(), 1),
            "sqlite total": timed(lambda: db.execute(TOTAL).fetchall(), 1),
            "pandas minutes": timed(lambda: _minutes(folder / "trades.csv"), 1),
            "pandas total": timed(lambda: _total(folder / "trades.csv"), 1),
        }


def _minutes(path: Path) -> pd.DataFrame:
    day = pd.read_csv(path, usecols=["ts_event", "price", "size"])
    return day.groupby(day["ts_event"] // MINUTE).agg({"price": ["max", "min"], "size": ["sum", "count"]})


def _total(path: Path) -> float:
    day = pd.read_csv(path, usecols=["price", "size"])
    return float((day["price"] * day["size"]).sum())


def of_books(folder: Path, count: int, *, short: bool) -> Found:
    """The book at instants of a day, each time another one."""
    kinds, _ = rows.of("binance-usdm", 4_000 if short else None)
    data, instrument = folder / "books", kinds["books"][0].instrument
    filled = fill(data, book_day(kinds["books"], count))
    kept = keep(data)
    lake, r = tl.open(data), random.Random(3)
    taken = []
    for _ in range(5 if short else ASKED_BOOKS):
        at = T0 + r.randrange(DAY)
        began = time.perf_counter()
        book = lake.book(instrument, at=at)
        taken.append(time.perf_counter() - began)
        assert book.seq is not None, at
    files = lake.catalogue().files
    books = sum(f.bytes for f in files if f.kind == "book")
    return {
        "updates": count,
        "written": filled.rows / filled.wall,
        "kept in order": filled.rows / kept,
        "bytes an update": books / count,
        "snapshots, share of bytes": sum(f.bytes for f in files if f.kind == "book_snapshot") / books,
        "book at": statistics.median(taken),
        "book at, worst": max(taken),
    }


class Arriving:
    """50,000 trades a second, made and committed by a thread of its own, until `stop`."""

    def __init__(self, data: Path) -> None:
        self.sink = LakeSink(data)
        self.sink.open()
        self.stop = threading.Event()
        self.like = list(islice(trades(10_000_000), RATE // 2))
        self.behind, self.n, self.took = 0.0, 0, 0.0
        self.commit()

    def commit(self) -> None:
        now = T0 + self.n * SECOND // 2
        step = SECOND // RATE
        chunk = [Trade(NAME, now + i * step, now + i * step, 0, t.price, t.size, t.side, t.id) for i, t in enumerate(self.like)]
        self.sink.commit("s", self.n, chunk)
        self.n += 1

    def run(self) -> None:
        began = time.perf_counter()
        while not self.stop.is_set():
            self.commit()
            left = began + (self.n - 1) / 2 - time.perf_counter()
            self.behind = max(self.behind, -left)
            self.stop.wait(max(0.0, left))
        self.took = time.perf_counter() - began
        self.sink.close()


def while_they_arrive(folder: Path, seconds: float) -> Found:
    """A question about the last minute, while they arrive and right after."""
    arriving = Arriving(folder / "busy")
    lake, taken = tl.open(folder / "busy"), []

    def ask() -> None:
        span = lake.span(NAME, "trade")
        assert span is not None
        lake.sql(
            "SELECT count(*), avg(price) FROM trades WHERE instrument = $name AND ts_event > $since",
            name=NAME,
            since=span[1] - MINUTE,
        )

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(arriving.run)
        ends = time.perf_counter() + seconds
        while time.perf_counter() < ends:
            began = time.perf_counter()
            ask()
            taken.append(time.perf_counter() - began)
            time.sleep(0.05)
        arriving.stop.set()
        writing.result()
    return {
        "asked": len(taken),
        "while they arrive": statistics.median(taken),
        "worst": max(taken),
        "when none arrive": timed(ask),
        "writer behind": arriving.behind,
        "arrived a second": (arriving.n - 1) * (RATE // 2) / arriving.took,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="The lake asked, beside SQLite and CSV by pandas.")
    parser.add_argument("--short", action="store_true", help="small days")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    count, updates, seconds = (50_000, 5_000, 1.0) if options.short else (10_000_000, 864_000, 15.0)
    found: dict[str, Found] = {}
    with tempfile.TemporaryDirectory(prefix="tapeline-bench-") as name:
        folder = Path(name)
        parts: dict[str, Callable[[], Found]] = {
            "busy": lambda: while_they_arrive(folder, seconds),
            "trades": lambda: of_trades(folder, count),
            "beside": lambda: beside(folder, count),
            "books": lambda: of_books(folder, updates, short=options.short),
        }
        for part, measure in parts.items():
            found[part] = measure()
            for what, value in found[part].items():
                print(f"{part:8}{what:28}{value:16,.4f}", file=sys.stderr if options.json else sys.stdout, flush=True)
    if options.json:
        print(json.dumps({"lake": found}))


if __name__ == "__main__":
    main()
