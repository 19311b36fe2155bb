"""Bars the slow and plain way: Decimal, dictionaries, one pass an interval. Nothing is shared with the code under test."""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal, localcontext
from typing import Any

from tapeline.events import Bar, Event, Trade

INTERVALS = {"1s": 1, "5s": 5, "15s": 15, "1m": 60, "5m": 300, "15m": 900, "1h": 3600, "4h": 14400, "1d": 86400}
SECOND = 1_000_000_000


def figures(trades: Iterable[tuple[int, str, str, bool]]) -> tuple[Any, ...]:
    """(open, high, low, close, volume, buy volume, notional, vwap, trades) of (ts, price, size, buy), in order of arrival."""
    rows = sorted(trades, key=lambda t: t[0])  # stable: ties by arrival
    with localcontext(prec=200):
        prices, sizes = [Decimal(p) for _, p, _, _ in rows], [Decimal(s) for _, _, s, _ in rows]
        volume, notional = sum(sizes), sum(p * s for p, s in zip(prices, sizes, strict=True))
        buy = sum((s for s, r in zip(sizes, rows, strict=True) if r[3]), Decimal(0))
        return (
            float(prices[0]), float(max(prices)), float(min(prices)), float(prices[-1]),
            float(volume), float(buy), float(notional), float(notional / volume), len(rows),
        )  # fmt: skip


def grouped(trades: Iterable[tuple[int, str, str, bool]], interval: str) -> dict[int, tuple[Any, ...]]:
    """ts_open → figures; right-open."""
    width = INTERVALS[interval] * SECOND
    groups: dict[int, list[tuple[int, str, str, bool]]] = defaultdict(list)
    for t in trades:
        groups[t[0] // width * width].append(t)
    return {start: figures(group) for start, group in groups.items()}


def told(bar: Bar) -> tuple[Any, ...]:
    return (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.buy_volume, bar.notional, bar.vwap, bar.trades)


def last_bars(events: Iterable[Event], interval: str) -> dict[int, Bar]:
    """The last revision of each bar; revisions must count up from 0."""
    found: dict[int, Bar] = {}
    for e in events:
        if isinstance(e, Bar) and e.interval == interval:
            assert e.revision == (found[e.ts_open].revision + 1 if e.ts_open in found else 0)
            assert e.ts_event == e.ts_open + INTERVALS[interval] * SECOND
            assert e.origin == "trades"
            found[e.ts_open] = e
    return found


def make(ts: int, price: str, size: str, buy: bool, ts_recv: int | None = None, flags: int = 0) -> Trade:
    recv = ts if ts_recv is None else ts_recv
    return Trade("binance:BTC-USDT", ts, recv, flags, float(price), float(size), "buy" if buy else "sell", "")
