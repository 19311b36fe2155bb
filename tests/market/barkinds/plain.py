"""Bars of every kind that goes by what was traded, the slow and plain way: Fraction, lists, one pass a kind. Nothing is shared
with the code under test.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from tapeline.events import Bar, Event, Trade

BAD_TIME, MINUTE = 256, 60_000_000_000
HANDED_ON = 2 | 4 | 16 | 128
KINDS = (
    "tick:7", "volume:12.5", "notional:900", "tick_imbalance:3", "volume_imbalance:6", "notional_imbalance:450.5",
    "tick_run:4", "volume_run:8", "notional_run:700", "tick_imbalance:4:adaptive", "volume_run:9:adaptive",
    "notional_imbalance:500:adaptive", "renko:5", "renko:0.25",
)  # fmt: skip


class Row(NamedTuple):
    """What is compared of a bar."""

    ts_event: int
    ts_recv: int
    flags: int
    ts_open: int
    prices: tuple[float, float, float, float]
    volume: float
    buy: float
    sell: float
    notional: float
    vwap: float | None
    trades: int
    complete: bool


def row(bar: Bar) -> Row:
    assert bar.buy_volume is not None
    assert bar.sell_volume is not None
    assert bar.notional is not None
    assert bar.trades is not None
    return Row(
        bar.ts_event, bar.ts_recv, bar.flags, bar.ts_open, (bar.open, bar.high, bar.low, bar.close), bar.volume,
        bar.buy_volume, bar.sell_volume, bar.notional, bar.vwap, bar.trades, bar.complete,
    )  # fmt: skip


def rows(out: Sequence[Event], kind: str) -> list[Row]:
    return [row(e) for e in out if isinstance(e, Bar) and e.interval == kind]


def exact(x: float) -> Fraction:
    return Fraction(repr(x))


def sides(trades: Sequence[Trade]) -> list[int]:
    found: list[int] = []
    for i, t in enumerate(trades):
        if t.side != "unknown":
            found.append(1 if t.side == "buy" else -1)
        elif i == 0:
            found.append(0)
        elif t.price != trades[i - 1].price:
            found.append(1 if t.price > trades[i - 1].price else -1)
        else:
            found.append(found[-1])
    return found


def when(t: Trade) -> int:
    return t.ts_recv if t.flags & BAD_TIME or t.ts_event > t.ts_recv + MINUTE else t.ts_event


def groups(trades: Sequence[Trade], kind: str) -> list[tuple[list[Trade], list[tuple[Fraction, Fraction]]]]:
    """The trades of each bar, and the bricks that it is given out as; the last group may be unfinished, with no bricks at all."""
    if kind.startswith("renko"):
        return _renko(trades, Fraction(kind.split(":")[1]))
    what, number, *adaptive = kind.split(":")
    measure, _, how = what.partition("_")
    first = limit = Fraction(number)
    averages: tuple[float, float, float] | None = None
    found: list[tuple[list[Trade], list[tuple[Fraction, Fraction]]]] = []
    group: list[Trade] = []
    up = down = everything = Fraction(0)
    for t, b in zip(trades, sides(trades), strict=True):
        group.append(t)
        size, price = exact(t.size), exact(t.price)
        value = {"tick": Fraction(1), "volume": size, "notional": size * price}[measure]
        everything += value
        up += value * (b > 0)
        down += value * (b < 0)
        if {"": everything, "imbalance": abs(up - down), "run": max(up, down)}[how] < limit:
            continue
        if adaptive:
            now = (float(len(group)), float(up) / len(group), float(down) / len(group))
            a = 2 / 21
            averages = now if averages is None else tuple(a * x + (1 - a) * y for x, y in zip(now, averages, strict=True))
            n, u, d = averages
            limit = Fraction(n * (max(u, d) if how == "run" else abs(u - d)))
            limit = max(min(limit, first * 4), first / 4)
        found.append((group, [(exact(group[0].price), exact(t.price))]))
        group, up, down, everything = [], Fraction(0), Fraction(0), Fraction(0)
    return [*found, (group, [])] if group else found


def _renko(trades: Sequence[Trade], brick: Fraction) -> list[tuple[list[Trade], list[tuple[Fraction, Fraction]]]]:
    found: list[tuple[list[Trade], list[tuple[Fraction, Fraction]]]] = []
    group: list[Trade] = []
    at, way = Fraction(0), 0
    for i, t in enumerate(trades):
        price = exact(t.price)
        if i == 0:
            at = price // brick * brick
        group.append(t)
        bricks: list[tuple[Fraction, Fraction]] = []
        while True:
            if way >= 0 and price >= at + brick:
                bricks.append((at, at + brick))
                way = 1
            elif way < 0 and price >= at + 2 * brick:
                bricks.append((at + brick, at + 2 * brick))
                way = 1
            elif way <= 0 and price <= at - brick:
                bricks.append((at, at - brick))
                way = -1
            elif way > 0 and price <= at - 2 * brick:
                bricks.append((at - brick, at - 2 * brick))
                way = -1
            else:
                break
            at = bricks[-1][1]
        if bricks:
            found.append((group, bricks))
            group = []
    return [*found, (group, [])] if group else found


def bars(trades: Sequence[Trade], kind: str, ended: int | None = None) -> list[Row]:
    """`ended`: our clock when the input ended; None: it goes on."""
    found: list[Row] = []
    before = -1
    for group, bricks in groups(trades, kind):
        if not bricks and ended is None:
            continue
        for place, brick in enumerate(bricks or [(exact(group[0].price), exact(group[-1].price))]):
            before = max(before + 1, when(group[0]))
            found.append(_bar(group, before, kind, brick, place, ended if not bricks else None))
    return found


def _bar(group: list[Trade], start: int, kind: str, brick: tuple[Fraction, Fraction], place: int, ended: int | None) -> Row:
    counted = group if place == 0 else []
    prices = [exact(t.price) for t in group]
    if kind.startswith("renko") and ended is None:
        shape: list[Any] = [brick[0], max(brick), min(brick), brick[1]]
    else:
        shape = [prices[0], max(prices), min(prices), prices[-1]]
    flags = 0
    for t in group:
        flags |= t.flags & HANDED_ON
    volume = sum((exact(t.size) for t in counted), Fraction(0))
    by = {s: sum((exact(t.size) for t in counted if t.side == s), Fraction(0)) for s in ("buy", "sell")}
    notional = sum((exact(t.size) * exact(t.price) for t in counted), Fraction(0))
    return Row(
        max(start, *map(when, group)), group[-1].ts_recv if ended is None else ended, flags, start,
        tuple(map(float, shape)), float(volume), float(by["buy"]), float(by["sell"]), float(notional),  # type: ignore[arg-type]
        float(notional / volume) if volume else None, len(counted), ended is None,
    )  # fmt: skip
