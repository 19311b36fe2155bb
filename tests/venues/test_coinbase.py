"""What Coinbase's two feeds are asked, how their answers are understood, and what they list; aliases, contracts, the disputed side."""

import json
from typing import Any

import msgspec
import pytest

from tapeline.config import VenueSettings
from tapeline.engine.pipeline import Pipeline
from tapeline.errors import ConfigError, MalformedFrame
from tapeline.events import Bar, BookUpdate, Flag, Quote, Trade
from tapeline.frames import Frame, FrameKind, HttpAnswer, Session, pack
from tapeline.instruments import Instrument, Registry
from tapeline.venues.base import Ack, BookMessage, Past, Stream
from tapeline.venues.coinbase import Coinbase
from tapeline.venues.coinbase_advanced import CoinbaseAdvanced
from tapeline.venues.registry import venue_class
from tests.engine.feeds import SECOND, T0, closed, opened, play, recv, sent, statuses

VENUES = ("coinbase", "coinbase-advanced")
NOW = "2026-11-21T10:05:00.123456Z"


def instruments(venue: str, *natives: str) -> list[Instrument]:
    return [venue_class(venue)().derive(native, venue) for native in natives]


def test_exchange_asks_for_everything_in_one_message_of_all_channels() -> None:
    (plan,) = Coinbase().plan(instruments("coinbase", "BTC-USD", "ETH-USD"), ["trades", "book", "quotes"])
    assert plan.url == "wss://ws-feed.exchange.coinbase.com"
    assert plan.acks == 1
    (message,) = plan.hello
    both = ["BTC-USD", "ETH-USD"]
    assert json.loads(message) == {
        "type": "subscribe",
        "channels": [{"name": name, "product_ids": both} for name in ("matches", "level2_batch", "ticker", "heartbeat")],
    }


def test_advanced_asks_for_heartbeats_first_and_one_channel_a_message() -> None:
    (plan,) = CoinbaseAdvanced().plan(instruments("coinbase-advanced", "BTC-USD", "ETH-USD"), ["trades", "book"])
    assert [json.loads(m) for m in plan.hello] == [
        {"type": "subscribe", "channel": "heartbeats"},
        {"type": "subscribe", "product_ids": ["BTC-USD", "ETH-USD"], "channel": "market_trades"},
        {"type": "subscribe", "product_ids": ["BTC-USD", "ETH-USD"], "channel": "level2"},
    ]
    assert plan.acks == 3


@pytest.mark.parametrize("venue", VENUES)
def test_what_was_subscribed_can_be_ended_by_the_same_names(venue: str) -> None:
    of = venue_class(venue)()
    streams = [Stream(f"{of.plan(instruments(venue, 'BTC-USD'), ['book'])[0].streams[0].name}", "book", f"{venue}:BTC-USD")]
    (begin,), (end,) = of.subscribe(streams, 1), of.unsubscribe(streams, 2)
    assert json.loads(end) == {**json.loads(begin), "type": "unsubscribe"}
    asked, gone = of.asked(begin), of.asked(end)
    assert asked is not None
    assert gone is not None
    assert (asked.names, asked.gone, asked.acked) == ((streams[0].name,), False, True)
    assert (gone.names, gone.gone, gone.acked) == ((streams[0].name,), True, False)


@pytest.mark.parametrize("venue", VENUES)
def test_many_products_are_spread_over_messages_and_connections(venue: str) -> None:
    of = venue_class(venue)()
    plans = of.plan(instruments(venue, *(f"A{n}-USD" for n in range(150))), ["trades", "book"])
    assert [len(p.streams) for p in plans] == [200, 100]
    for plan in plans:
        assert max(map(len, plan.hello)) < 8192
        named = [name for m in plan.hello if (asked := of.asked(m)) for name in asked.names]
        assert sorted(named) == sorted(s.name for s in plan.streams)


@pytest.mark.parametrize("venue", VENUES)
def test_another_stream_by_the_settings(venue: str) -> None:
    with pytest.raises(ConfigError, match=f"venues.{venue}.streams.book.*fitting: level2"):
        venue_class(venue)(VenueSettings(streams={"book": "ticker"})).plan(instruments(venue, "BTC-USD"), ["book"])
    other = {"coinbase": "level2_50", "coinbase-advanced": "level2"}[venue]
    (plan,) = venue_class(venue)(VenueSettings(streams={"book": other})).plan(instruments(venue, "BTC-USD"), ["book"])
    assert [s.name for s in plan.streams] == [f"{other}:BTC-USD"]


@pytest.mark.parametrize("venue", VENUES)
def test_what_is_no_control_message(venue: str) -> None:
    of = venue_class(venue)()
    assert [of.asked(raw) for raw in (b"", b"[]", b'{"type":"ping"}', b'{"type":"subscribe","channels":7,"channel":7}')] == [
        None
    ] * 4
    assert [of.stream(name) for name in ("book", "matches:", "nothing:BTC-USD", "")] == [None] * 4


@pytest.mark.parametrize("named", ["level2", "level2_50", "level2_batch"])
def test_a_book_is_acknowledged_by_any_of_its_names(named: str) -> None:
    (plan,) = Coinbase().plan(instruments("coinbase", "BTC-USD"), ["book", "trades"])
    pipeline = Pipeline()
    play([opened(venue="coinbase", streams=[s.name for s in plan.streams])], pipeline)
    play([sent(T0, json.loads(m)) for m in plan.hello], pipeline)
    connection = pipeline.connections[1]
    channels = [{"name": named, "product_ids": ["BTC-USD"], "account_ids": None}]
    play([recv(T0, {"type": "subscriptions", "channels": channels})], pipeline)
    assert connection.pending  # the matches are still to come: the next list has both
    channels += [{"name": "matches", "product_ids": ["BTC-USD"]}, {"name": "heartbeat", "product_ids": ["BTC-USD"]}]
    play([recv(T0, {"type": "subscriptions", "channels": channels})], pipeline)
    assert not connection.pending
    assert all(silence.acked for silence in connection.silences.values())


def test_an_empty_list_answers_nothing() -> None:
    """The answer to the end of the last stream; what was asked meanwhile still waits for its own."""
    assert Coinbase().decoder(Registry("coinbase"), simulated=False).decode(b'{"type":"subscriptions","channels":[]}', T0) == []


def test_a_refusal_is_of_everything_that_waits() -> None:
    (plan,) = Coinbase().plan(instruments("coinbase", "NOT-REAL"), ["book"])
    pipeline = Pipeline()
    play([opened(venue="coinbase", streams=["level2_batch:NOT-REAL"])], pipeline)
    play([sent(T0, json.loads(m)) for m in plan.hello], pipeline)
    error = {"type": "error", "message": "Failed to subscribe", "reason": "NOT-REAL is not a valid product"}
    (said,) = statuses(play([recv(T0, error)], pipeline), "rejected")
    assert said.reason == "coinbase refused level2_batch:NOT-REAL: Failed to subscribe: NOT-REAL is not a valid product"


# Lists

PRODUCTS = [
    {"id": "BTC-USD", "base_currency": "BTC", "quote_currency": "USD", "base_increment": "0.00000001", "quote_increment": "0.01",
     "status": "online", "trading_disabled": False, "cancel_only": False, "max_slippage_percentage": "0.02"},
    {"id": "OXT-USD", "base_currency": "OXT", "quote_currency": "USD", "base_increment": "1", "quote_increment": "0.0001",
     "status": "online", "cancel_only": True},
    {"id": "NEW-THING", "base_currency": 7},
]  # fmt: skip
ADVANCED = [
    {"product_id": "BTC-USDC", "base_currency_id": "BTC", "quote_currency_id": "USDC", "base_increment": "0.00000001",
     "quote_increment": "0.01", "price_increment": "0.01", "product_type": "SPOT", "status": "online", "alias": "BTC-USD", "alias_to": []},
    {"product_id": "BTC-PERP-INTX", "base_currency_id": "", "quote_currency_id": "USDC", "base_increment": "0.0001",
     "price_increment": "0.1", "product_type": "FUTURE", "status": "",
     "future_product_details": {"contract_size": "1", "contract_root_unit": "BTC", "contract_expiry_type": "PERPETUAL", "contract_expiry": None}},
    {"product_id": "BIT-28JUN24-CDE", "base_currency_id": "", "quote_currency_id": "USD", "base_increment": "1", "price_increment": "5",
     "product_type": "FUTURE", "status": "", "trading_disabled": True,
     "future_product_details": {"contract_size": "0.01", "contract_root_unit": "BTC", "contract_expiry_type": "EXPIRING",
                                "contract_expiry": "2024-06-28T15:00:00Z", "contract_code": "BIT"}},
    {"product_id": "BTI-28JUN24-CDE", "quote_currency_id": "USD", "base_increment": "1", "price_increment": "5", "product_type": "FUTURE",
     "future_product_details": {"contract_size": "1", "contract_root_unit": "BTC", "contract_expiry_type": "EXPIRING",
                                "contract_expiry": "2024-06-28T15:00:00Z", "contract_code": "BTI"}},
]  # fmt: skip


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_exchange_lists_its_products() -> None:
    def listed(native: str, base: str, tick: float, lot: float, status: str) -> Instrument:
        return Instrument(
            id=f"x:{native}", venue="x", native=native, kind="spot", base=base, quote="USD", tick=tick, lot=lot, status=status
        )

    assert Coinbase().read_instruments(encoded(PRODUCTS), "x") == [
        listed("BTC-USD", "BTC", 0.01, 1e-8, "online"),
        listed("OXT-USD", "OXT", 0.0001, 1.0, "cancel_only"),
    ]
    with pytest.raises(MalformedFrame, match="none can be read"):
        Coinbase().read_instruments(encoded(PRODUCTS[2:]), "x")


def test_advanced_lists_spot_perpetuals_and_futures() -> None:
    made = CoinbaseAdvanced().read_instruments(encoded({"products": ADVANCED, "num_products": 4}), "x")
    assert [(i.symbol, i.kind, i.base, i.quote, i.contract_size, i.tick, i.lot, i.status) for i in made] == [
        ("BTC-USDC", "spot", "BTC", "USDC", 1.0, 0.01, 1e-8, "online"),
        ("BTC-USDC-PERP", "perpetual", "BTC", "USDC", 1.0, 0.1, 0.0001, ""),
        ("BTC-USD-240628", "future", "BTC", "USD", 0.01, 5.0, 0.01, "trading_disabled"),
        ("BTI-USD-240628", "future", "BTI", "USD", 1.0, 5.0, 1.0, ""),
    ]


@pytest.mark.parametrize(
    ("native", "symbol", "kind"),
    [
        ("BTC-USD", "BTC-USD", "spot"),
        ("BTC-PERP-INTX", "BTC-USDC-PERP", "perpetual"),
        ("BIT-28JUN24-CDE", "BIT-USD-240628", "future"),
        ("BIT-5JAN27-CDE", "BIT-USD-270105", "future"),
    ],
)
def test_names_both_ways_without_the_list(native: str, symbol: str, kind: str) -> None:
    of = CoinbaseAdvanced()
    derived = of.derive(native, "x")
    assert (derived.symbol, derived.kind, derived.native) == (symbol, kind, native)
    assert of.native_of(symbol) == native


# Questions over HTTP


def test_missing_trades_are_asked_for_by_id_the_oldest_first() -> None:
    def url(first: int | None, last: int | None) -> str:
        request = Coinbase().trades_request("BTC-USD", first, last, 0, 0)
        assert request is not None
        assert (request.purpose, request.native) == ("trades", "BTC-USD")
        return request.url.removeprefix("https://api.exchange.coinbase.com/products/BTC-USD/trades?")

    assert url(5000, 5009) == "limit=10&after=5010"
    assert url(5000, 9999) == "limit=1000&after=6000"
    assert url(5000, None) == "limit=1000&before=4999"
    assert url(None, None) == "limit=1000"
    of = CoinbaseAdvanced().trades_request("BTC-USD", 5, 9, 0, 0)
    assert of.url == "https://api.coinbase.com/api/v3/brokerage/market/products/BTC-USD/ticker?limit=1000"


def asked(venue: str, purpose: str, body: Any, settings: VenueSettings | None = None, ts: int = T0) -> Any:
    of = venue_class(venue)(settings)
    answer = HttpAnswer(venue=venue, purpose=purpose, url="", status=200, native="BTC-USD")
    return of.decoder(Registry(venue), simulated=False).decode_answer(answer, encoded(body), ts)


def test_answers_with_trades_are_turned_round() -> None:
    """Newest first on the wire; `side` is the maker's at both."""
    told = T0 + 123_456_000
    rows = [
        {"time": NOW, "trade_id": n, "price": "10.5", "size": "0.25", "side": side} for n, side in ((75, "sell"), (74, "buy"))
    ]
    expected = [("74", "sell"), ("75", "buy")]
    (past,) = asked("coinbase", "trades", rows)
    assert isinstance(past, Past)
    assert (past.instrument, past.asked, past.last_id) == ("coinbase:BTC-USD", True, None)
    assert [(t.id, t.side) for t in past.trades] == expected
    assert past.trades[0] == Trade("coinbase:BTC-USD", told, T0, 0, 10.5, 0.25, "sell", "74")
    prints = [
        {**row, "trade_id": str(row["trade_id"]), "product_id": "BTC-USD", "side": str(row["side"]).upper()} for row in rows
    ]
    (past,) = asked("coinbase-advanced", "trades", {"trades": prints, "best_bid": "10", "best_ask": "11"})
    assert [(t.id, t.side) for t in past.trades] == expected


def test_candles_of_before_without_the_one_that_is_open() -> None:
    start = T0 // SECOND - T0 // SECOND % 60
    rows = [[start - 60 * n, 9.5, 11.5, 10, 11, 100.25] for n in range(3)]  # newest first: time, low, high, open, close, volume
    made = asked("coinbase", "bars 1m", rows)
    candles = [
        {"start": str(start - 60 * n), "low": "9.5", "high": "11.5", "open": "10", "close": "11", "volume": "100.25"}
        for n in range(3)
    ]
    assert [msgspec.structs.replace(b, instrument="coinbase:BTC-USD") for b in asked(
        "coinbase-advanced", "bars 1m", {"candles": candles}
    )] == list(made)  # fmt: skip
    assert [(b.ts_open // SECOND, b.ts_event - b.ts_open) for b in made] == [
        (s, 60 * SECOND) for s in (start - 120, start - 60)
    ]
    assert made[0] == Bar(
        "coinbase:BTC-USD", (start - 60) * SECOND, T0, Flag.RECOVERED, "1m", (start - 120) * SECOND,
        10.0, 11.5, 9.5, 11.0, 100.25, None, None, None, None, True, 0, "venue",
    )  # fmt: skip


@pytest.mark.parametrize("venue", VENUES)
def test_past_candles_are_asked_for_in_the_venues_words(venue: str) -> None:
    asked_for = {r.purpose: r.url for r in venue_class(venue)().past_requests("BTC-USD", T0)}
    if venue == "coinbase":
        assert set(asked_for) == {"bars 1m", "bars 5m", "bars 15m", "bars 1h", "bars 1d"}
        assert asked_for["bars 15m"].endswith("/products/BTC-USD/candles?granularity=900")
    else:
        end = T0 // SECOND
        assert asked_for["bars 4h"].endswith(f"/candles?start={end - 300 * 14400}&end={end}&granularity=FOUR_HOUR")


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("purpose", ["trades", "bars 1m"])
def test_answers_that_are_none(venue: str, purpose: str) -> None:
    with pytest.raises(MalformedFrame, match=purpose):
        asked(venue, purpose, {"message": "NotFound"})


# Advanced: aliases, contracts, the disputed side


def message(channel: str, event: dict[str, Any], number: int = 0) -> dict[str, Any]:
    return {"channel": channel, "timestamp": NOW, "sequence_num": number, "events": [event]}


def print_of(product: str, number: int, side: str = "BUY", price: str = "100.2", size: str = "3") -> dict[str, Any]:
    return {"product_id": product, "trade_id": str(number), "price": price, "size": size, "time": NOW, "side": side}


def book_of(product: str) -> dict[str, Any]:
    levels = [("bid", "100.1", "7"), ("offer", "100.2", "3")]
    updates = [{"side": s, "event_time": "1970-01-01T00:00:00Z", "price_level": p, "new_quantity": q} for s, p, q in levels]
    return {"type": "snapshot", "product_id": product, "updates": updates}


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        (["BTC-USDC"], ["coinbase-advanced:BTC-USDC"]),
        (["BTC-USD"], ["coinbase-advanced:BTC-USD"]),
        (["BTC-USDC", "BTC-USD"], ["coinbase-advanced:BTC-USD", "coinbase-advanced:BTC-USDC"]),
        ([], ["coinbase-advanced:BTC-USD"]),
    ],
)
def test_a_usdc_product_is_told_by_the_name_of_its_usd_book(wanted: list[str], given: list[str]) -> None:
    pipeline = Pipeline()
    streams = [f"{channel}:{native}" for native in wanted for channel in ("level2", "market_trades", "ticker")]
    events = play(
        [
            opened(venue="coinbase-advanced", streams=streams),
            recv(T0, message("l2_data", book_of("BTC-USD"))),
            recv(T0, message("market_trades", {"type": "update", "trades": [print_of("BTC-USD", 5)]}, 1)),
            recv(
                T0,
                message("ticker", {"type": "update", "tickers": [{"product_id": "BTC-USD", "price": "1", "best_bid": "1"}]}, 2),
            ),
        ],
        pipeline,
    )
    for kind in (BookUpdate, Trade):
        assert [e.instrument for e in events if isinstance(e, kind)] == given
    assert [e.instrument for e in events if isinstance(e, Quote) and e.origin == "venue"] == given
    whole = next(e for e in events if isinstance(e, BookUpdate))
    assert whole.ts_event == T0 + 123_456_000  # the envelope's, as the levels' own time is 1970


def test_a_product_with_a_book_of_its_own_keeps_its_name() -> None:
    events = play(
        [opened(venue="coinbase-advanced", streams=["level2:EURC-USDC"]), recv(T0, message("l2_data", book_of("EURC-USDC")))]
    )
    assert [e.instrument for e in events if isinstance(e, BookUpdate)] == ["coinbase-advanced:EURC-USDC"]


def test_contracts_become_units_of_the_base_asset() -> None:
    registry = Registry("coinbase-advanced")
    registry.fill(CoinbaseAdvanced().read_instruments(encoded({"products": ADVANCED}), registry.label))
    decoder = CoinbaseAdvanced().decoder(registry, simulated=False)
    native = "BIT-28JUN24-CDE"
    _, book = decoder.decode(encoded(message("l2_data", book_of(native))), T0)
    assert isinstance(book, BookMessage)
    assert (book.bids, book.asks) == ([(100.1, 0.07)], [(100.2, 0.03)])
    _, trade = decoder.decode(encoded(message("market_trades", {"type": "update", "trades": [print_of(native, 1)]})), T0)
    assert isinstance(trade, Trade)
    assert (trade.instrument, trade.size) == ("coinbase-advanced:BTC-USD-240628", 0.03)


def test_trades_of_several_products_in_one_message() -> None:
    trades = [print_of("BTC-USD", 8), print_of("ETH-USD", 3), print_of("BTC-USD", 7)]
    decoder = CoinbaseAdvanced().decoder(Registry("x"), simulated=False)
    _, *made = decoder.decode(encoded(message("market_trades", {"type": "update", "trades": trades})), T0)
    assert [(t.instrument, t.id) for t in made if isinstance(t, Trade)] == [
        ("x:BTC-USD", "7"),
        ("x:BTC-USD", "8"),
        ("x:ETH-USD", "3"),
    ]
    _, *made = decoder.decode(encoded(message("market_trades", {"type": "snapshot", "trades": trades})), T0)
    assert [(p.instrument, [t.id for t in p.trades]) for p in made if isinstance(p, Past)] == [
        ("x:BTC-USD", ["7", "8"]),
        ("x:ETH-USD", ["3"]),
    ]
    assert decoder.decode(encoded(message("market_trades", {"type": "update", "trades": []})), T0)[1:] == []


@pytest.mark.parametrize(("told", "side"), [("maker", "sell"), ("taker", "buy")])
def test_whose_side_trades_bear_is_a_setting_that_a_replay_knows(told: Any, side: str) -> None:
    settings = VenueSettings(trade_side=told)
    frames = [
        opened(venue="coinbase-advanced", streams=()),
        recv(T0, message("market_trades", {"type": "update", "trades": [print_of("BTC-USD", 1)]})),
    ]
    live = play(frames, Pipeline(venues={"coinbase-advanced": settings}))
    assert [e.side for e in live if isinstance(e, Trade)] == [side]
    head = Session(id="s", version="1", venues={"coinbase-advanced": {"trade_side": told}})
    replayed = play(frames, Pipeline.of_session(Frame(T0, FrameKind.SESSION, 0, pack(head))))
    assert replayed == live


def test_lists_of_subscriptions_name_both_of_an_alias() -> None:
    decoder = CoinbaseAdvanced().decoder(Registry("x"), simulated=False)
    raw = message("subscriptions", {"subscriptions": {"heartbeats": ["heartbeats"], "level2": ["BTC-USD"], "ticker": None}})
    _, ack = decoder.decode(encoded(raw), T0)
    assert ack == Ack(None, names=("heartbeats:heartbeats", "level2:BTC-USD", "level2:BTC-USDC"))


@pytest.mark.parametrize("lost", [False, True])
def test_acknowledgements_that_are_heard_ahead_of_held_messages_keep_their_place_in_the_count(lost: bool) -> None:
    """A successor's messages are held until its predecessor is gone, but for the acknowledgements among them."""
    update = {**book_of("BTC-USD"), "type": "update"}
    granted = [{"subscriptions": {"level2": ["BTC-USD"]}}, {"subscriptions": {"level2": ["BTC-USD"], "ticker": ["BTC-USD"]}}]
    successor = [
        message("l2_data", book_of("BTC-USD"), 0),
        message("subscriptions", granted[0], 1),
        message("subscriptions", granted[1], 2),
        message("l2_data", update, 3 + lost),
        message("l2_data", update, 4 + lost),
    ]
    streams = ["level2:BTC-USD", "ticker:BTC-USD"]
    pipeline = Pipeline()
    before = play(
        [
            opened(venue="coinbase-advanced", streams=streams),
            recv(T0, message("l2_data", book_of("BTC-USD"), 0)),
            recv(T0, message("l2_data", update, 1)),
            opened(conn=2, venue="coinbase-advanced", streams=streams, replaces=1),
            *(sent(T0, {"type": "subscribe", "product_ids": ["BTC-USD"], "channel": c}, conn=2) for c in ("level2", "ticker")),
            *(recv(T0, m, conn=2) for m in successor),
        ],
        pipeline,
    )
    after = play(
        [closed(T0 + SECOND, code=1000, planned=True), recv(T0 + SECOND, message("l2_data", update, 5 + lost), 2)], pipeline
    )
    assert not statuses(before, "gap")
    assert [(s.channel, s.from_seq, s.to_seq) for s in statuses(after, "gap")] == (
        [("", 3, 3), ("book", None, None)] if lost else []
    )
    assert len([e for e in after if isinstance(e, BookUpdate)]) == 4


@pytest.mark.parametrize("levels", [1, 3, 49, 50, 300])
def test_levels_of_both_sides_in_any_order_keep_their_order(levels: int) -> None:
    updates = [
        {"side": "bid" if n % 3 else "offer", "event_time": NOW, "price_level": f"{100 + n}.5", "new_quantity": f"{n}.25"}
        for n in range(levels)
    ]
    event = {"type": "update", "product_id": "BTC-USD", "updates": updates}
    _, book = CoinbaseAdvanced().decoder(Registry("x"), simulated=False).decode(encoded(message("l2_data", event)), T0)
    assert isinstance(book, BookMessage)
    assert book.bids == [(100.5 + n, n + 0.25) for n in range(levels) if n % 3]
    assert book.asks == [(100.5 + n, n + 0.25) for n in range(levels) if not n % 3]
