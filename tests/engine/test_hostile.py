"""A venue that lies or is broken: whatever it says, what we keep of it stays bounded, and the pipeline goes on."""

from typing import Any

import pytest

from tapeline.clock import ReplayClock
from tapeline.engine import lanes as room
from tapeline.engine.engine import Engine
from tapeline.engine.pipeline import Pipeline
from tapeline.events import Bar, Trade
from tapeline.market.bars import Bars
from tests.engine.feeds import MS, SECOND, SPOT, T0, answer, opened, play, recv, statuses, tick, trade

NS = T0 // MS


def listing(*symbols: tuple[str, str], tick_size: str = "0.01", step: str = "0.001") -> dict[str, Any]:
    filters = [{"filterType": "PRICE_FILTER", "tickSize": tick_size}, {"filterType": "LOT_SIZE", "stepSize": step}]
    return {
        "symbols": [
            {"symbol": b + q, "status": "TRADING", "baseAsset": b, "quoteAsset": q, "filters": filters} for b, q in symbols
        ]
    }


@pytest.mark.parametrize("symbol", ["X" * 10_000, "A/B", "../../ETC", "A\nB", '<IMG SRC="X">', "A B", "\u202eUSDT"])
def test_a_name_that_cannot_be_one_is_rejected(symbol: str) -> None:
    pipeline = Pipeline()
    events = play([opened(), recv(T0 + 1, trade(1, NS, symbol=symbol)), recv(T0 + 2, trade(1, NS))], pipeline)
    assert [e.instrument for e in events if isinstance(e, Trade)] == ["binance:BTC-USDT"]
    (rejected,) = statuses(events, "rejected")
    assert len(rejected.reason) < 600
    assert list(pipeline.lanes) == ["binance:BTC-USDT"]


def test_instruments_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_LANES", 5)
    pipeline = Pipeline()
    events = play([opened(), *(recv(T0 + i, trade(1, NS, symbol=f"X{i}USDT")) for i in range(1, 9))], pipeline)
    assert len(pipeline.lanes) == 5
    assert pipeline.rejected == len(statuses(events, "rejected")) == 4


def test_a_list_with_wild_names_and_steps_is_taken_for_the_rest() -> None:
    body = listing(("BTC", "USDT"), ("A/B", "USDT"), ("X" * 9000, "USDT"))
    pipeline = Pipeline()
    events = play([opened(), answer(T0 + 1, body, purpose="instruments", native="")], pipeline)
    assert list(pipeline.feeds[SPOT, False].registry.by_id) == ["binance:BTC-USDT"]
    (rejected,) = statuses(events, "rejected")
    assert rejected.count == 2
    assert rejected.channel == "instruments"


@pytest.mark.parametrize("step", ["0", "-1", "inf", "nan", "Infinity", "1e-30", "1e300"])
def test_steps_that_cannot_be_true_are_unknown(step: str) -> None:
    engine = Engine(Pipeline(), "s", ReplayClock(T0), "replay")
    engine.handle(0, [opened(), answer(T0 + 1, listing(("BTC", "USDT"), tick_size=step, step=step), purpose="instruments")])
    engine.handle(2, [recv(T0 + 2, trade(1, NS, price="100.25", size="0.5"))])
    (known,) = engine.listed()
    assert known.tick is known.lot is None
    (row,) = engine.status()["instruments"]
    assert (row["price_decimals"], row["size_decimals"]) == (2, 0)


def test_what_the_venue_says_is_quoted_in_short() -> None:
    long = "E" * 2_000_000
    pipeline = Pipeline()
    candle = {
        "t": NS,
        "T": NS,
        "i": long,
        "o": "1",
        "c": "1",
        "h": "1",
        "l": "1",
        "v": "1",
        "n": 1,
        "x": True,
        "q": "1",
        "V": "1",
    }
    said: list[Any] = [
        {"error": {"code": 1, "msg": long}, "id": 1},
        {"code": 2, "msg": long},
        {"stream": "btcusdt@kline_1m", "data": {"e": "kline", "E": NS, "s": "BTCUSDT", "k": candle}},
        {"e": long},
        *({"e": f"kind {n}"} for n in range(1000)),
    ]
    events = play([opened(), *(recv(T0 + i, message) for i, message in enumerate(said, 1))], pipeline)
    assert max(len(s.reason) for s in statuses(events)) < 700
    assert not [e for e in events if isinstance(e, Bar)]
    unknown = pipeline.feeds[SPOT, False].decoder.unknown
    assert sum(unknown.values()) == 1001
    assert len(unknown) <= 101
    assert max(map(len, unknown)) <= 40


def test_a_clock_that_leaps_does_not_stop_the_feed() -> None:
    """A machine without a battery begins in 1970, until it has asked for the time: 56 years of checks would take hours."""
    checks = 0

    class Counted(Pipeline):
        def _check(self, now: int, out: list[Any]) -> None:
            nonlocal checks
            checks += 1
            super()._check(now, out)

    events = play([opened(5 * SECOND), tick(20 * SECOND), tick(T0), recv(T0 + SECOND, trade(1, NS))], Counted())
    assert checks < 5000
    assert len(statuses(events, "stale")) == 3
    assert [e.price for e in events if isinstance(e, Trade)] == [100.1]


def test_timers_of_many_instruments_cost_no_more_than_their_own() -> None:
    """Each instrument's bars close at their own nanosecond: looking at all of them each time would be quadratic."""
    n, pipeline = 300, Pipeline()
    out: list[Any] = []
    pipeline.feed(opened(), out)
    for i in range(n):
        pipeline.feed(recv(T0 + 1000 * i, trade(1, NS, symbol=f"X{i}USDT")), out)
    watched = [_Watched(lane.trades.bars) for lane in pipeline.lanes.values()]
    for lane, bars in zip(pipeline.lanes.values(), watched, strict=True):
        lane.trades.bars = bars  # type: ignore[assignment]
    pipeline.feed(tick(T0 + 3 * SECOND), out)
    assert sum(isinstance(e, Bar) and e.interval == "1s" for e in out) == n
    assert sum(bars.looked for bars in watched) < 20 * n


class _Watched:
    """Bars that count how often they are asked when they are due; everything else is their own."""

    def __init__(self, bars: Bars) -> None:
        self._bars, self.looked = bars, 0

    def __getattr__(self, name: str) -> Any:
        self.looked += name == "due"
        return getattr(self._bars, name)


def test_a_timer_that_is_set_earlier_and_back_again() -> None:
    """A trade that came quicker than all before it lets the bar close earlier; both times stand in the queue."""
    frames = [recv(T0 + SECOND + lag, trade(i, (T0 + SECOND) // MS)) for i, lag in enumerate((900 * MS, 901 * MS, 902 * MS), 1)]
    frames += [recv(T0 + 3 * SECOND + i, trade(3 + i, NS + 3000)) for i in range(1, 4)]
    events = play([opened(), *frames, tick(T0 + 90 * SECOND)])
    bars = [e for e in events if isinstance(e, Bar) and e.interval == "1s"]
    assert [b.trades for b in bars] == [3, 3]
    times = [e.ts_recv for e in events]
    assert times == sorted(times)
