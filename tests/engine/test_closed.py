"""Silence and sessions in the whole pipeline: what is closed, what is stale, and which of two streams is silent."""

from datetime import datetime
from zoneinfo import ZoneInfo

from tapeline.clock import ReplayClock
from tapeline.engine.engine import Engine
from tapeline.engine.pipeline import Pipeline
from tapeline.events import Bar, Event, Status
from tapeline.frames import Frame
from tests.engine.feeds import FUTURES, MS, SECOND, T0, opened, recv, session, tick
from tests.venues.yahoo_frames import framed

MINUTE = 60 * SECOND


def new_york(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("America/New_York")).timestamp()) * SECOND


def apple(ts: int, volume: int, hours: int = 1) -> Frame:
    ms = ts // MS
    return recv(
        ts, framed(id="AAPL", price=300.5, time=ms, exchange="NMS", quote_type=8, market_hours=hours, day_volume=volume)
    )


class Watched:
    """An engine and what it published."""

    def __init__(self, clock: int) -> None:
        self.engine = Engine(Pipeline.of_session(session()), "s", ReplayClock(clock), "live")
        self.events: list[Event] = []
        self.engine.bus.tap(lambda batch: self.events.extend(batch.events))

    def play(self, *frames: Frame) -> str:
        """The state of the only instrument afterwards."""
        self.engine.handle(0, frames)
        (row,) = self.engine.status()["instruments"]
        return str(row["state"])

    def statuses(self, kind: str) -> list[Status]:
        return [e for e in self.events if isinstance(e, Status) and e.kind == kind]


def test_a_stock_at_night_is_closed_and_at_the_open_it_must_speak() -> None:
    close, morning = new_york("2026-11-19 16:00"), new_york("2026-11-20 09:30")
    began = close - 10 * MINUTE
    watched = Watched(began)
    play = watched.play
    assert play(opened(began, venue="yahoo", streams=("AAPL",))) == "waiting"
    trading = [apple(began + n * 2 * SECOND, 1000 + n) for n in range(1, 300)]
    assert play(*trading) == "live"
    assert play(tick(close + 20 * SECOND)) == "live"  # within what is allowed
    assert (
        play(apple(close + 10 * MINUTE, 1301, hours=2), tick(close + 11 * MINUTE)) == "live"
    )  # it speaks, so it is no closed one
    assert play(tick(close + 60 * MINUTE)) == "closed"
    assert play(tick(morning - SECOND)) == "closed"
    assert watched.statuses("stale") == []
    assert play(tick(morning + 2 * SECOND)) == "live"
    assert play(tick(morning + 20 * MINUTE)) == "stale"
    (stale,) = watched.statuses("stale")
    assert morning < stale.ts_event < morning + 6 * MINUTE
    assert play(apple(morning + 20 * MINUTE, 50), tick(morning + 20 * MINUTE + SECOND)) == "live"
    assert len(watched.statuses("recovered")) == 1


def test_bars_of_trades_without_a_side_have_no_volume_of_buyers() -> None:
    start = new_york("2026-11-20 10:00")
    watched = Watched(start)
    watched.play(
        opened(start, venue="yahoo", streams=("AAPL",)), *(apple(start + n * SECOND, 1000 + 5 * n) for n in range(1, 5))
    )
    watched.play(tick(start + 10 * SECOND))
    bars = [e for e in watched.events if isinstance(e, Bar) and e.interval == "5s"]
    assert [(b.volume, b.buy_volume, b.trades) for b in bars] == [(15.0, None, 3)]


def test_what_is_subscribed_on_a_sunday_is_closed_at_once() -> None:
    sunday = new_york("2026-11-22 12:00")
    watched = Watched(sunday)
    watched.play(opened(sunday, venue="yahoo", streams=("AAPL",)))
    assert watched.play(tick(sunday + 2 * SECOND)) == "closed"
    old = framed(id="AAPL", price=300.5, time=new_york("2026-11-20 19:59") // MS, exchange="NMS", quote_type=8, market_hours=2)
    assert watched.play(recv(sunday + 3 * SECOND, old), tick(sunday + 30 * MINUTE)) == "closed"
    assert watched.statuses("stale") == []


def test_crypto_assets_have_no_night() -> None:
    sunday = new_york("2026-11-22 12:00")
    watched = Watched(sunday)
    bitcoin = framed(id="BTC-USD", price=90000.0, time=sunday // MS, exchange="CCC", quote_type=41, market_hours=1)
    watched.play(opened(sunday, venue="yahoo", streams=("BTC-USD",)), recv(sunday + SECOND, bitcoin))
    assert watched.play(tick(sunday + MINUTE)) == "stale"


def test_the_mark_price_does_not_hide_that_the_ticker_is_silent() -> None:
    """Two streams of one channel and one instrument."""
    watched = Watched(T0)
    streams = ("btcusdt@markPrice@1s", "btcusdt@ticker")
    mark = {"e": "markPriceUpdate", "s": "BTCUSDT", "p": "1.0", "i": "1.0", "P": "1.0", "r": "0.0001", "T": 0}
    day = {"e": "24hrTicker", "s": "BTCUSDT", "p": "0", "P": "0", "w": "1", "c": "1", "Q": "1", "o": "1", "h": "1", "l": "1", "v": "1",
           "q": "1", "O": 0, "C": 0, "F": 0, "L": 0, "n": 1}  # fmt: skip
    frames = [opened(T0, venue=FUTURES, streams=streams)]
    for n in range(1, 41):
        ts = T0 + n * SECOND
        frames.append(recv(ts, {"stream": streams[0], "data": mark | {"E": ts // MS}}))
        if n <= 10:
            frames.append(recv(ts, {"stream": streams[1], "data": day | {"E": ts // MS}}))
    assert watched.play(*frames) == "stale"
    (stale,) = watched.statuses("stale")
    assert stale.reason.startswith("btcusdt@ticker: silent for ")
    assert (stale.channel, stale.ts_event) == ("ticker", T0 + 20 * SECOND)
