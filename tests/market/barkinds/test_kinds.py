"""Bars that go by what was traded, against a slow and plain second making of each kind; in runs of any length the same."""

import pickle
import random
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeline.events import Bar, Event, Flag, Trade
from tapeline.market.barkinds import kinds as kinds_module
from tapeline.market.barkinds.chunks import Columns
from tapeline.market.barkinds.kinds import Kinds
from tests.market.barkinds.plain import KINDS, bars, rows, sides

SECOND = 1_000_000_000
T0 = 1_795_255_500 * SECOND
SIDES = ("buy", "sell", "unknown")


def walk(seed: int, count: int, places: int = 2, wild: int = 0) -> list[Trade]:
    """A made-up market: prices that wander, sides that come in runs, times that repeat, stand still, or lie."""
    r = random.Random(seed)
    price, ts, side, found = Decimal(100), T0, "buy", []
    for n in range(count):
        price += r.choice([0, 0, 0, 1, -1, 1, -1, 3, -3, 150 if r.random() < 0.01 else 0]) * Decimal(1).scaleb(-places)
        price = max(price, Decimal(1).scaleb(-places))
        ts += r.choice([0, 0, 1, 1000, 10**6, 3 * 10**8])
        if r.random() < 0.3:
            side = r.choice(SIDES)
        size = Decimal(r.randint(0 if r.random() < 0.05 else 1, 500)).scaleb(-r.choice([1, 2, wild or 2]))
        flags = r.choice([0] * 30 + [2, 4, 16, 128, 256, 1024])
        lie = r.choice([0] * 40 + [-5 * SECOND, 61 * SECOND, 3600 * SECOND])
        found.append(Trade("binance:BTC-USDT", ts + lie, ts + 3 * 10**6, flags, float(price), float(size), side, str(n)))
    return found


def scalar(trades: list[Trade], *names: str) -> tuple[Kinds, list[Event]]:
    made, out = Kinds.of(names or KINDS, "binance:BTC-USDT"), []
    for t in trades:
        made.add(t, out)
    return made, out


@settings(max_examples=25)
@given(st.integers(0, 10**9), st.integers(1, 300), st.sampled_from((0, 1, 2, 5)), st.sampled_from((0, 3, 9, 14)))
def test_every_kind_equals_the_plain_making(seed: int, count: int, places: int, wild: int) -> None:
    trades = walk(seed, count, places, wild)
    made, out = scalar(trades)
    made.finish(T0, out)
    for kind in KINDS:
        assert rows(out, kind) == bars(trades, kind, T0), kind


@settings(max_examples=25)
@given(st.integers(0, 10**9), st.integers(1, 700), st.sampled_from((0, 1, 2, 5)), st.sampled_from((0, 3, 9, 14)), st.data())
def test_runs_of_any_length_make_the_same_bars_in_the_same_order(
    seed: int, count: int, places: int, wild: int, data: st.DataObject
) -> None:
    trades = walk(seed, count, places, wild)
    first, expected = scalar(trades)
    first.finish(T0, expected)
    cuts = sorted(data.draw(st.lists(st.integers(0, count), max_size=6)))
    made, out = Kinds.of(KINDS, "binance:BTC-USDT"), []
    for start, end in pairwise([0, *cuts, count]):
        if data.draw(st.booleans()):
            made.add_many(trades[start:end], out)
        elif start < end:
            made.add_columns(Columns.of(trades[start:end]), out)
        made = pickle.loads(pickle.dumps(made))
    made.finish(T0, out)
    assert out == expected


def test_sums_that_pass_64_bits_are_cut_into_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    r = random.Random(5)
    trades = [
        Trade("x:A-B", T0 + n, T0 + n, 0, r.randint(1, 10**7) / 100, r.randint(1, 10**10) / 10**6, r.choice(SIDES), "")
        for n in range(4000)
    ]
    names = ("notional:50000000", "notional_imbalance:90000000", "volume_run:100000", "tick:333")
    _, expected = scalar(trades, *names)
    seen: list[int] = []
    chunks = kinds_module.chunks

    def watched(*given):
        for chunk in chunks(*given):
            seen.append(chunk.n)
            yield chunk

    monkeypatch.setattr(kinds_module, "chunks", watched)
    made, out = Kinds.of(names, "binance:BTC-USDT"), []
    made.add_columns(Columns.of(trades), out)
    assert out == expected
    assert len(seen) > 3
    assert sum(seen) == len(trades)


@settings(max_examples=40)
@given(st.integers(0, 10**9), st.sampled_from([k for k in KINDS if not k.startswith("renko:5")]))
def test_bars_add_up_to_the_trades(seed: int, kind: str) -> None:
    """Every trade counts once, whole, in the order of arrival."""
    trades = walk(seed, 250)
    made, out = scalar(trades, kind)
    made.finish(T0, out)
    found = [e for e in out if isinstance(e, Bar)]
    volume = sum(Decimal(repr(t.size)) for t in trades)
    bought = sum(Decimal(repr(t.size)) for t in trades if t.side == "buy")
    assert sum(Decimal(repr(b.volume)) for b in found) == volume
    assert sum(Decimal(repr(b.buy_volume)) for b in found) == bought
    assert sum(b.trades or 0 for b in found) == len(trades)
    opens = [b.ts_open for b in found]
    assert opens == sorted(set(opens))
    assert all(b.ts_event >= b.ts_open and b.low <= min(b.open, b.close) and b.high >= max(b.open, b.close) for b in found)


def test_a_trade_is_never_split() -> None:
    trades = [Trade("x:A-B", T0 + n, T0 + n, 0, 10.0, size, "buy", "") for n, size in enumerate([4.0, 25.0, 9.0, 1.0])]
    _, out = scalar(trades, "volume:10")
    assert [(b.volume, b.trades) for b in out if isinstance(b, Bar)] == [(29.0, 2), (10.0, 2)]


def test_the_tick_rule_stands_in_for_a_side_that_is_unknown() -> None:
    """A published example of the rule: up, down, and unchanged ones take the sign before (Lee and Ready, 1991)."""
    prices = [10.0, 10.0, 10.1, 10.1, 10.0, 10.0, 10.2]
    trades = [Trade("x:A-B", T0 + n, T0 + n, 0, p, 1.0, "unknown", "") for n, p in enumerate(prices)]
    assert sides(trades) == [0, 0, 1, 1, -1, -1, 1]
    _, out = scalar(trades, "tick_run:2")
    assert [(b.trades, b.buy_volume, b.sell_volume) for b in out if isinstance(b, Bar)] == [(4, 0.0, 0.0), (2, 0.0, 0.0)]


def test_an_inverse_contract_counts_by_its_value() -> None:
    made, out = Kinds("x:A-B", contract_value=100.0), []
    made.also(kinds_module.parse("notional:1000"))
    for n in range(20):
        made.add(Trade("x:A-B", T0 + n, T0 + n, 0, 50_000.5, 3.0, "buy", ""), out)
    assert [(b.trades, b.notional, b.vwap) for b in out if isinstance(b, Bar)] == [(4, 1200.0, 50_000.5)] * 5


def test_without_sides_no_volume_of_them() -> None:
    made, out = Kinds("x:A-B", sides=False), []
    made.also(kinds_module.parse("tick:1"))
    made.add(Trade("x:A-B", T0, T0, 0, 1.0, 1.0, "unknown", ""), out)
    assert [(b.buy_volume, b.sell_volume) for b in out if isinstance(b, Bar)] == [(None, None)]


def test_what_is_open_can_be_seen() -> None:
    made, out = scalar(walk(1, 5), "tick:4")
    made.open_interest = 7.5
    bar = made.open_bar("tick:4", T0)
    assert bar is not None
    assert (bar.trades, bar.complete, bar.open_interest, len(out)) == (1, False, 7.5, 1)
    assert made.open_bar("tick:5", T0) is None


def test_a_leap_is_one_tall_brick() -> None:
    trades = [Trade("x:A-B", T0 + n, T0 + n, 0, p, 1.0, "buy", "") for n, p in enumerate([100.0, 100_000.0])]
    _, out = scalar(trades, "renko:1")
    assert [(b.open, b.close, b.trades) for b in out if isinstance(b, Bar)] == [(100.0, 100_000.0, 2)]


def test_flags_of_trades_are_handed_on() -> None:
    trades = [Trade("x:A-B", T0 + n, T0 + n, int(f), 1.0, 1.0, "buy", "") for n, f in enumerate([Flag.LATE, Flag.INEXACT])]
    _, out = scalar(trades, "tick:2")
    assert [e.flags for e in out] == [int(Flag.LATE)]
