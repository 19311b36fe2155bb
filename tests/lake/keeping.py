"""What the tests of the lake's readers share: events put into a lake as a live session does, in many small commits."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tapeline.events import Bar, Event, Trade
from tapeline.frames import Frame, FrameKind
from tapeline.lake import catalogue
from tapeline.lake.catalogue import Catalogue
from tapeline.sinks.lake import LakeSink
from tests.engine.feeds import MS, SECOND, answer, closed, opened, play, recv, trade

NAME = "binance:BTC-USDT"
STREAMS = ("btcusdt@trade",)
WIDTHS = {"1s": 1, "5s": 5, "15s": 15, "1m": 60, "5m": 300, "15m": 900, "1h": 3600, "4h": 14400, "1d": 86400}


def keep(data: Path, events: Sequence[Event], session: str = "s1", commit: int = 300) -> Catalogue:
    """The lake under `data` with these events of one session, `commit` at a time."""
    sink = LakeSink(data)
    sink.open()
    try:
        for i in range(0, len(events), commit):
            sink.commit(session, i, events[i : i + commit])
    finally:
        sink.close()
    return catalogue.read(data)


def end(ts: int) -> Frame:
    return Frame(ts, FrameKind.END, 0, b"")


def market(r: Any, t0: int, count: int, pause_ms: int) -> list[tuple[int, int, str, str, bool]]:
    """(id, time in ms, price, size, maker) of trades, one id after the other, times nearly so."""
    found, ms = [], t0 // MS
    for number in range(1, count + 1):
        ms += r.choice((0, 1, r.randrange(pause_ms)))
        price, size = f"{r.uniform(90, 110):.{r.choice((0, 1, 2, 2))}f}", f"{r.uniform(0.00001, 30):.{r.choice((1, 3, 5))}f}"
        found.append((number, ms, price, size, r.random() < 0.5))
    return found


def session(r: Any, trades: Sequence[tuple[int, int, str, str, bool]], *, ends: bool = True, **on: Any) -> list[Event]:
    """What the pipeline makes of them: some come late, some too late, some are lost and fetched, others lost for good, and the
    connection breaks now and then. `on`: settings of the pipeline.
    """
    frames: list[Frame] = [opened(trades[0][1] * MS, streams=STREAMS)]
    now, conn, waiting = trades[0][1] * MS, 1, []
    for n, ms, price, size, maker in trades:
        now = max(now + 1, ms * MS + r.randrange(5) * MS)
        message = recv(now, trade(n, ms, price, size, maker=maker), conn)
        fate = r.random()
        if fate < 0.03:
            waiting.append((now + r.choice((2, 90, 1000)) * SECOND, n, ms, price, size, maker))
        elif fate < 0.95:
            frames.append(message)
        for late in [w for w in waiting if w[0] <= now]:
            waiting.remove(late)
            frames.append(recv(now, trade(late[1], late[2], late[3], late[4], maker=late[5]), conn))
        if fate > 0.99:
            frames.append(closed(now, conn))
            conn += 1
            frames.append(opened(now + SECOND, conn, streams=STREAMS))
            now += SECOND
        if fate > 0.97:
            known = [row for row in trades if n - 20 <= row[0] <= n and r.random() < 0.9]
            frames.append(answer(now, [_row(t) for t in known], purpose="trades", url="http://venue/api/v3/historicalTrades"))
    return play([*frames, end(now + SECOND)] if ends else frames, **{"metrics": (), **on})


def _row(t: tuple[int, int, str, str, bool]) -> dict[str, Any]:
    return {"id": t[0], "price": t[2], "qty": t[3], "quoteQty": "1", "time": t[1], "isBuyerMaker": t[4]}


def final(*sessions: Iterable[Event]) -> dict[tuple[str, int], Bar]:
    """(interval, ts_open) → the bar that stands in the end, of sessions in their order."""
    found: dict[tuple[str, int], tuple[Any, Bar]] = {}
    for number, events in enumerate(sessions):
        mine: dict[tuple[str, int], Bar] = {}
        for e in events:
            if isinstance(e, Bar) and e.origin == "trades":
                key = e.interval, e.ts_open
                if key not in mine or e.revision >= mine[key].revision:
                    mine[key] = e
        for key, bar in mine.items():
            rank = bar.complete, bar.trades, number
            if key not in found or rank > found[key][0]:
                found[key] = rank, bar
    return {key: bar for key, (_, bar) in found.items()}


def trades_of(events: Iterable[Event]) -> list[Trade]:
    return [e for e in events if isinstance(e, Trade)]
