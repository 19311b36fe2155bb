"""What the sink tests share: events to give, the same read back without our code, and processes that can be killed.

What differs from sink to sink stands in `subjects/`, one file a sink.
"""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from tapeline.engine.bus import Batch
from tapeline.events import Alert, Bar, BookUpdate, Event, Flag, Liquidation, Metrics, Quote, Status, Ticker, Trade

T0 = 1_795_132_799_000_000_000  # 2026-11-19T23:59:59Z: a second before midnight, so that days change within the tests
BTC, ETH = "binance:BTC-USDT", "sim:ETH-USDT"
MANY = 20_000
Row = tuple[Any, ...]


def one_of_each() -> list[Event]:
    """Every event type; None in every field that allows it; text that is not ASCII; several flags."""
    sim = Flag.SIMULATED | Flag.LATE
    return [
        Trade(BTC, T0, T0 + 5, 0, 61800.3, 0.006, "buy", "5266583935"),
        Trade(ETH, T0 + 1, T0 + 6, int(sim), 1e-7, 123456789.12345, "unknown", "ä-☂'\"\n,"),
        Quote(BTC, T0, T0, 0, 1.5, 2.0, 1.6, 3.0, 77, "venue"),
        Quote(BTC, T0, T0, int(Flag.BOOK_UNPROVEN), None, None, None, None, None, "book"),
        BookUpdate(BTC, T0, T0, int(Flag.SNAPSHOT), [(1.5, 2.0), (1.4, 0.0)], [], True, 9, None),
        BookUpdate(ETH, T0, T0, 0, [], [(0.1, 0.2)], False, None, None),
        Bar(BTC, T0, T0, 0, "1m", T0 - 60, 1.0, 2.0, 0.5, 1.5, 10.0, None, None, None, None, False, 0, "venue"),
        Bar(BTC, T0, T0, 1, "1m", T0 - 60, 1.0, 2.0, 0.5, 1.5, 10.0, 4.0, 15.0, 1.5, 3, True, 2, "trades"),
        Bar(
            BTC,
            T0,
            T0,
            int(Flag.FILLED),
            "tick:500",
            T0,
            1.0,
            2.0,
            0.5,
            1.5,
            10.0,
            4.0,
            15.0,
            1.5,
            3,
            True,
            0,
            "trades",
            5.5,
            1234.5,
        ),
        Metrics(BTC, T0, T0, 0, 1.55, 0.1, 645.16, -0.2, 1.54, None),
        Metrics(BTC, T0, T0, 0, None, None, None, None, None, 4),
        Metrics(
            BTC, T0, T0, 0, 1.55, 0.1, 645.16, -0.2, 1.54, None, {"vwap_5m": 1.5, "volume_1m": 0.0, "profile_1h.poc": -1e-7}
        ),
        Metrics(BTC, T0, T0 + 1, 0, 1.55, 0.1, 645.16, -0.2, 1.54, 7, {"volume_1m": 2.5}, "vwap_5m,volume_1m"),
        Metrics(ETH, T0, T0, int(sim), None, None, None, None, None, None, {"ä'\"\n,": 1.0}, "x"),
        Ticker(BTC, T0, T0, 0),
        Ticker(BTC, T0, T0, 0, *(float(i) for i in range(10)), 1_795_132_800_000_000_000, 3.5),
        Liquidation(BTC, T0, T0, 0, 100.0, 1.0, "sell", None, ""),
        Status("", T0, T0, 0, "disconnected", "binance", "", "closed: 1006 ☠", None, None, None),
        Status(BTC, T0, T0, 0, "gap", "binance", "book", "missing ids", 5, 9, 5),
        Alert(BTC, T0, T0, 0, "price", "firing", None, "über 100 €"),
        Alert(BTC, T0, T0, 0, "price", "raised", 100.5, "", "warning", "price-1ä"),
    ]


@cache
def frames(count: int, seed: int = 1) -> list[list[Event]]:
    """The events of `count` frames: the same for the same seed, as a replay is; some frames make none."""
    r = random.Random(seed)
    made, ts, revision = [], T0, 0
    for i in range(count):
        ts += r.randrange(0, 40_000_000)
        name = r.choice((BTC, ETH))
        flags = 0 if name == BTC else int(Flag.SIMULATED)
        events: list[Event] = [
            Trade(
                name,
                ts - r.randrange(3) * 50_000_000,
                ts,
                flags,
                round(r.uniform(1, 9), 2),
                r.random(),
                "buy",
                f"{seed}-{i}-{k}",
            )
            for k in range(r.randrange(3))
        ]
        if i % 3 == 0:
            bid = float(r.randrange(3))
            events += [
                BookUpdate(name, ts, ts, flags, [(bid, r.random())], [(9.0, 0.0)], i == 0, i, i - 1),
                Quote(name, ts, ts, flags, bid, 1.0, 9.0, 1.0, i, "book"),
                Metrics(name, ts, ts, flags, bid, 1.0, None, None, None, i),
            ]
        if i % 4 == 0:
            values = {"volume_1m": float(r.randrange(2)), "vwap_5m": 1.5}
            events.append(
                Metrics(name, ts, ts, flags, None, None, None, None, None, None, values, None if i % 8 else "vwap_5m")
            )
        if i % 10 == 0:
            revision += 1
            events.append(
                Bar(
                    name,
                    T0,
                    ts,
                    flags,
                    "1m",
                    T0 - T0 % 60,
                    1.0,
                    2.0,
                    1.0,
                    2.0,
                    float(i),
                    0.0,
                    1.0,
                    1.0,
                    i,
                    True,
                    revision,
                    "trades",
                )
            )
        if i % 50 == 7:
            events.append(Status("", ts, ts, flags, "connected", "sim", "", f"frame {i}", None, None, None))
        made.append(events)
    return made


def batches(made: list[list[Event]], session: str, size: int = 1, after: int = -1) -> list[Batch]:
    """Batches of `size` frames, from the frame after `after`."""
    return [
        Batch(session, i, min(i + size, len(made)) - 1, [e for events in made[i : i + size] for e in events])
        for i in range(after + 1, len(made), size)
    ]


def plain(value: Any) -> Any:
    """What can be compared and sorted: levels as tuples, maps as sorted pairs."""
    if isinstance(value, dict):
        return tuple(sorted(value.items()))
    return tuple(map(tuple, value)) if isinstance(value, list) else value


def row(event: Event) -> Row:
    return (type(event).__struct_config__.tag, *(plain(getattr(event, f)) for f in event.__struct_fields__))


class BestBars:
    """The rule of sinks that keep one row a bar, worked out the slow way: the last that a session gave; of several sessions the
    complete one, then the fuller one, then the later one. `add` the bars of one session after the other.
    """

    def __init__(self) -> None:
        self._best: dict[tuple[str, str, str, int], tuple[tuple[bool, int, int], Bar]] = {}
        self._sessions = 0

    def add(self, bars: Iterable[Bar]) -> None:
        own = {(b.instrument, b.interval, b.origin, b.ts_open): b for b in bars}
        for key, bar in own.items():
            rank = (bar.complete, -1 if bar.trades is None else bar.trades, self._sessions)
            if key not in self._best or rank > self._best[key][0]:
                self._best[key] = (rank, bar)
        self._sessions += 1

    def rows(self) -> list[Row]:
        return [row(bar) for _, bar in self._best.values()]


def everything(sessions: Iterable[Iterable[Event]]) -> list[Row]:
    return [row(e) for events in sessions for e in events]


def in_order(rows: list[Row]) -> list[str]:
    return sorted(map(repr, rows))


class Nursery:
    """A process that has imported everything and forks children on demand, so that twenty of them can be killed in seconds."""

    def __enter__(self) -> "Nursery":
        root = Path(__file__).parents[2]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.sinks.child"],
            cwd=root,
            env={**os.environ, "PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def start(self, command: str, *arguments: object) -> int:
        """The child's process id, once it says that it is at work."""
        assert self._process.stdin is not None
        print(command, *arguments, sep="\t", file=self._process.stdin, flush=True)
        while (line := self.hear()).startswith("end "):  # of one that a test which failed did not wait for
            pass
        said, _, pid = line.partition(" ")
        assert said == "working", f"{said} {pid}"
        return int(pid)

    def hear(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the child's parent has died"
        return line.strip()

    def kill(self, pid: int) -> str:
        """SIGKILL; what the parent says of the child's end, `killed` or `ended`."""
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return self.wait()

    def wait(self) -> str:
        self.said = ""
        while not (line := self.hear()).startswith("end "):
            self.said = line
        return line.removeprefix("end ")
