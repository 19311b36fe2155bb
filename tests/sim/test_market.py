"""The market without any wire: pure, seeded, consistent."""

import itertools
import math

import pytest

from tapeline.clock import SECOND
from tapeline.errors import UsageError
from tapeline.sim.latent import STEP
from tapeline.sim.market import Market
from tapeline.sim.registry import choose, wire_class

START = 1_790_000_000 * SECOND
BOTH = ("binance", "binance-usdm")


def market(seed=1, natives=("BTCUSDT", "ETHUSDT"), venues=BOTH, rate=1.0):
    wires = [wire_class(venue) for venue in venues]
    return Market(choose(wires, natives), {w.venue: w.rules for w in wires}, seed=seed, start=START, rate=rate)


def tape(market, seconds, stride=SECOND):
    """Everything that happened, by instrument."""
    out = {key: [] for key in market.instruments}
    to = market.now
    while to < START + seconds * SECOND:
        to += stride
        for _ in market.advance(min(to, START + seconds * SECOND)):
            for key, instrument in market.instruments.items():
                out[key] += [*instrument.trades, *instrument.touches, *instrument.liquidations]
    return out


def test_the_same_seed_is_the_same_market_whatever_the_stride():
    assert tape(market(), 3) == tape(market(), 3, stride=37 * SECOND // 1000) == tape(market(), 3, stride=STEP)


def test_another_seed_is_another_market():
    assert tape(market(), 1) != tape(market(seed=2), 1)


def test_an_instrument_does_not_depend_on_which_others_are_there():
    key = ("binance", "BTCUSDT")
    assert tape(market(), 2)[key] == tape(market(natives=("BTCUSDT",), venues=("binance",)), 2)[key]


def test_books_stand_and_are_never_crossed():
    running = market()
    for _ in running.advance(START + 20 * SECOND):
        for instrument in running.instruments.values():
            bids, asks = instrument.lob.bids, instrument.lob.asks
            assert bids.best < asks.best
            assert len(bids) > 50
            assert len(asks) > 50
    for instrument in running.instruments.values():
        for half in (instrument.lob.bids, instrument.lob.asks):
            assert half.keys == sorted(half.orders)
            assert all(size > 0 for queue in half.orders.values() for size in queue)


def test_prices_follow_the_asset_and_venues_agree():
    running = market()
    for _ in running.advance(START + 20 * SECOND):
        pass
    prices = [i.last_price * i.spec.tick_size for (_, native), i in running.instruments.items() if native == "BTCUSDT"]
    assert all(math.isclose(price, running.latent.prices["BTC"], rel_tol=2e-3) for price in prices)


def test_sizes_have_a_heavy_tail_and_the_rate_is_what_was_asked():
    trades = [t for t in tape(market(), 20)["binance", "BTCUSDT"] if hasattr(t, "buyer_is_maker")]
    sizes = sorted(t.size for t in trades)
    assert sizes[-1] > 20 * sizes[len(sizes) // 2]
    busy = [t for t in tape(market(rate=5.0), 20)["binance", "BTCUSDT"] if hasattr(t, "buyer_is_maker")]
    assert len(busy) > 2 * len(trades)


def test_history_ends_where_the_market_begins():
    instrument = market().instruments["binance", "BTCUSDT"]
    minutes = list(instrument.klines.minutes)
    assert len(minutes) == 1440
    assert minutes[-1].last == instrument.trade_id
    assert minutes[-1].close == instrument.last_price
    assert all(a.last + 1 == b.first and a.close == b.open for a, b in itertools.pairwise(minutes))
    assert all(b.low <= min(b.open, b.close) <= max(b.open, b.close) <= b.high for b in minutes)


def test_longer_bars_are_sums_of_minutes():
    klines = market().instruments["binance", "BTCUSDT"].klines
    hours = klines.recent("1h", START, 24)
    minutes = [b for b in klines.minutes if hours[0].open_time <= b.open_time]
    assert sum(h.volume for h in hours) == sum(m.volume for m in minutes)
    assert [h.open_time % (3600 * SECOND) for h in hours] == [0] * len(hours)
    weeks = klines.recent("1w", START, 1)
    assert (weeks[0].open_time // (86_400 * SECOND) + 3) % 7 == 0  # 1970-01-01, day 0, was a Thursday: Mondays are day 4


def test_a_gap_in_time_leaves_the_books_as_they_were():
    running = market()
    before = running.book("binance", "BTCUSDT")
    running.skip(START + 3600 * SECOND)
    assert running.book("binance", "BTCUSDT") == before
    assert running.now == START + 3600 * SECOND


def test_unknown_instruments():
    with pytest.raises(UsageError, match="not in this simulated market"):
        market().book("binance", "NOPE")


def test_spot_and_perpetual_have_walked_the_same_way_before_the_start() -> None:
    both = market(seed=3, natives=("BTCUSDT",))
    spot, perp = (both.instruments[venue, "BTCUSDT"] for venue in ("binance", "binance-usdm"))
    for a, b in zip(spot.klines.minutes, perp.klines.minutes, strict=True):
        assert a.open_time == b.open_time
        assert abs(a.open * spot.spec.tick_size / (b.open * perp.spec.tick_size) - 1) < 1e-3
