"""Kraken's REST answers, names and settings. Answers after the documents' examples of "Spot REST"."""

import json
from typing import Any

import pytest

from tapeline.clock import parse_iso
from tapeline.config import VenueSettings
from tapeline.engine.pipeline import Pipeline
from tapeline.errors import ConfigError, MalformedFrame
from tapeline.events import Bar, Flag, Trade
from tapeline.frames import HttpAnswer
from tapeline.instruments import Registry
from tapeline.venues.base import BookMessage, Past
from tapeline.venues.kraken import Kraken
from tests.engine.feeds import T0, answer, opened, play, statuses
from tests.venues.kraken_feeds import book, decoder

PAIRS: dict[str, Any] = {
    "XXBTZUSD": {"altname": "XBTUSD", "wsname": "XBT/USD", "aclass_base": "currency", "base": "XXBT", "quote": "ZUSD", "pair_decimals": 1,
                 "cost_decimals": 5, "lot_decimals": 8, "lot_multiplier": 1, "ordermin": "0.0001", "costmin": "0.5",
                 "tick_size": "0.1", "status": "online"},
    "XDGEUR": {"altname": "XDGEUR", "wsname": "XDG/EUR", "base": "XXDG", "quote": "ZEUR", "pair_decimals": 7, "lot_decimals": 8,
               "status": "post_only"},
    "XBTUSD.d": {"altname": "XBTUSD.d", "base": "XXBT", "quote": "ZUSD", "pair_decimals": 1, "lot_decimals": 8},
    "NEWSHAPE": {"wsname": 5},
}  # fmt: skip


def asked(purpose: str, body: Any, native: str = "BTC/USD") -> Any:
    head = HttpAnswer(venue="kraken", purpose=purpose, url="x", status=200, native=native)
    return decoder().decode_answer(head, json.dumps(body).encode() if not isinstance(body, bytes) else body, T0)


def test_pairs_have_our_names() -> None:
    """BTC and DOGE, not XBT and XDG; dark pools are not on the feed; what cannot be read hides no other."""
    listed = {i.id: i for i in Kraken().read_instruments(json.dumps({"error": [], "result": PAIRS}).encode(), "kraken")}
    assert set(listed) == {"kraken:BTC-USD", "kraken:DOGE-EUR"}
    bitcoin, doge = listed["kraken:BTC-USD"], listed["kraken:DOGE-EUR"]
    assert (bitcoin.native, bitcoin.base, bitcoin.quote, bitcoin.kind) == ("BTC/USD", "BTC", "USD", "spot")
    assert (bitcoin.tick, bitcoin.lot, bitcoin.status) == (0.1, 1e-8, "online")
    assert (doge.native, doge.tick, doge.status) == ("DOGE/EUR", 1e-7, "post_only")


@pytest.mark.parametrize("body", [b"", b"[]", b'{"error":["EService:Unavailable"]}', b'{"error":[],"result":{"X":1}}', b"\xff",
                                  b'{"error":["EGeneral:Too many requests"],"result":{}}'])  # fmt: skip
def test_answers_that_are_no_list(body: bytes) -> None:
    """Kraken refuses with status 200."""
    with pytest.raises(MalformedFrame):
        Kraken().read_instruments(body, "kraken")
    assert (
        len(statuses(play([opened(venue="kraken"), answer(T0, body, purpose="instruments", venue="kraken")]), "rejected")) == 1
    )


@pytest.mark.parametrize(
    ("symbol", "native"), [("BTC-USD", "BTC/USD"), ("btc-usd", "BTC/USD"), ("XBT-EUR", "BTC/EUR"), ("DOGE-BTC", "DOGE/BTC")]
)
def test_names_both_ways(symbol: str, native: str) -> None:
    assert Kraken().native_of(symbol) == native
    assert Kraken().native_of(Kraken().derive(native, "kraken").symbol) == native
    assert Kraken().derive(native.replace("BTC", "XBT"), "kraken").id == Kraken().derive(native, "kraken").id


def test_recent_trades() -> None:
    """Times are JSON numbers with more decimals than a float holds."""
    request = Kraken().trades_request("BTC/USD", 5, 9, 2, 77)
    assert request is not None
    assert request.url == "https://api.kraken.com/0/public/Trades?pair=XBTUSD&count=1000"
    assert (request.purpose, request.native, request.attempt, request.not_before) == ("trades", "BTC/USD", 2, 77)
    rows = b'["30243.40000","0.34507674",1688669597.827736912,"b","m","",61044953],["30243.30000","0.00376960",1688669598.2804112,"s","l","",61044952]'
    (past,) = asked("trades", b'{"error":[],"result":{"XXBTZUSD":[' + rows + b'],"last":"1688671969993150842"}}')
    assert isinstance(past, Past)
    assert past.asked
    assert past.trades == [
        Trade("kraken:BTC-USD", parse_iso("2023-07-06T18:53:18.2804112Z"), T0, 0, 30243.3, 0.0037696, "sell", "61044952"),
        Trade("kraken:BTC-USD", parse_iso("2023-07-06T18:53:17.827736912Z"), T0, 0, 30243.4, 0.34507674, "buy", "61044953"),
    ]


def test_candles_of_before() -> None:
    """The last row is of the interval that is still open: T0 is 10:05:00."""
    kraken = Kraken()
    requests = kraken.past_requests("DOGE/EUR", 5)
    more = kraken.past_requests("BTC/EUR", 5)
    assert [r.not_before for r in (*requests, *more)] == [5 + n * 10**9 for n in range(12)]
    assert [r.purpose for r in requests] == ["bars 1m", "bars 5m", "bars 15m", "bars 1h", "bars 4h", "bars 1d"]
    assert requests[3].url == "https://api.kraken.com/0/public/OHLC?pair=XDGEUR&interval=60"
    ten = parse_iso("2026-11-21T10:00:00Z") // 10**9
    rows = [
        [ten, "30306.1", "30306.2", "30305.7", "30305.7", "30306.1", "3.39243896", 23],
        [ten + 300, "1", "1", "1", "1", "1", "1", 1],
    ]
    bars = asked("bars 5m", {"error": [], "result": {"XXBTZUSD": rows, "last": ten}})
    assert bars == [
        Bar("kraken:BTC-USD", T0, T0, Flag.RECOVERED, "5m", ten * 10**9, 30306.1, 30306.2, 30305.7, 30305.7, 3.39243896, None, None,
            30306.1, 23, True, 0, "venue"),
    ]  # fmt: skip


@pytest.mark.parametrize("purpose", ["trades", "bars 5m"])
@pytest.mark.parametrize("body", [b"", b"{}", b'{"error":["EQuery:Unknown asset pair"]}', b'{"error":[],"result":{"last":1}}',
                                  b'{"error":[],"result":{"X":[[1]]}}', b'{"error":[],"result":{"X":{}}}'])  # fmt: skip
def test_answers_that_cannot_be_read(purpose: str, body: bytes) -> None:
    with pytest.raises(MalformedFrame):
        asked(purpose, body)


def test_other_streams_by_settings() -> None:
    kraken = Kraken(VenueSettings(streams={"book": "book-10", "bars": "ohlc-5", "quotes": "ticker"}, ws_url="ws://mirror/"))
    (plan,) = kraken.plan([kraken.derive("BTC/USD", "kraken")], ["book", "bars", "quotes"])
    assert [s.name for s in plan.streams] == ["book-10:BTC/USD", "ohlc-5:BTC/USD", "ticker:BTC/USD"]
    assert plan.url == "ws://mirror/v2"


@pytest.mark.parametrize(
    "streams", [{"book": "book-20"}, {"book": "trade"}, {"bars": "ohlc-2"}, {"trades": "ticker"}, {"quotes": "book-10"}]
)
def test_streams_that_do_not_exist(streams: dict[str, str]) -> None:
    (channel,) = streams
    with pytest.raises(ConfigError, match=f"venues.kraken.streams.{channel}"):
        Kraken(VenueSettings(streams=streams)).plan([Kraken().derive("BTC/USD", "kraken")], [channel])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("levels", "acked", "cut"),
    [(10, None, 10), (37, None, 100), (101, None, 500), (700, None, 1000), (37, 1000, 1000), (8, 10, 10), (8, None, 100), (25, 10, 25),
     (37, 20, 100)],
)  # fmt: skip
@pytest.mark.parametrize("set_to", [10, 1000])
def test_the_depth_that_a_book_is_cut_at(levels: int, acked: int | None, cut: int, set_to: int) -> None:
    """As acknowledged; else the smallest depth that holds the snapshot and the usual. A full side is exactly the depth.

    What is set plays no part: a replay does not know it.
    """
    reader = Kraken(VenueSettings(streams={"book": f"book-{set_to}"})).decoder(Registry("kraken"), simulated=False)
    if acked is not None:
        result = {"channel": "book", "depth": acked, "symbol": "BTC/USD", "snapshot": True}
        reader.decode(json.dumps({"method": "subscribe", "result": result, "success": True}).encode(), T0)
    (whole,) = reader.decode(book("snapshot", [f"{1000 - n}.5@1.0" for n in range(levels)], []), T0)
    (update,) = reader.decode(book("update", ["7.5@1.0"]), T0)
    assert isinstance(whole, BookMessage) and isinstance(update, BookMessage)
    assert (whole.cut, whole.limit, update.cut) == (cut, cut, cut)


def test_times_of_raw_messages() -> None:
    """For recordings without receive times."""
    kraken = Kraken()
    assert kraken.event_time(book("update")) == T0
    assert kraken.event_time(b'[0,{"b":[["1.0","2.0","1795255500.000001"]]},"book-10","XBT/USD"]') == T0 + 1000
    assert kraken.event_time(b'{"channel":"heartbeat"}') is None
    assert kraken.event_time(b'{"timestamp":"2026-99-21T10:05:00.000000Z"}') is None


def test_a_book_asks_for_its_stream_anew_not_for_a_snapshot() -> None:
    pipeline = Pipeline()
    play([opened(venue="kraken", streams=["book-100:BTC/USD"])], pipeline)
    assert pipeline.feed_of("kraken", simulated=False).decoder.snapshot_request("BTC/USD", 0, 0) is None
