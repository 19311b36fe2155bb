"""Yahoo: documented frames, expected frames, what a sample becomes, what it must not become, what is malformed.

Deliberate differences from `frames/expected/yahoo.jsonl` (an own decode of the plain fields, and what other libraries assert):

    prices       the file has float32 widened to float64 (94745.078125); we give the shortest decimal of the same float32 (94745.08), as
                 one of its sources does
    day_volume   of crypto assets is the ticker's notional: it is a rolling window in dollars, as `vol_24hr` repeats
    change, price_hint, circulating_supply, market_cap, last_size    are in no event
"""

import base64
import json
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeline.config import VenueSettings
from tapeline.errors import ConfigError, MalformedFrame
from tapeline.events import Flag, Quote, Ticker, Trade
from tapeline.instruments import Registry
from tapeline.plans import carrying
from tapeline.venues.base import Asked
from tapeline.venues.yahoo import Yahoo
from tapeline.venues.yahoo_names import EXCHANGES, day_of
from tapeline.venues.yahoo_wire import YahooDecoder, event_time, shortest
from tests.venues.yahoo_frames import bare, framed, message, varint

MILLI, SECOND = 1_000_000, 1_000_000_000
NOW = 1_795_255_500 * SECOND
OPEN_MS = 1_785_936_600_000  # 2026-08-05 13:30 UTC: the New York opening of a Wednesday
SAMPLED, AGGREGATED = int(Flag.SAMPLED), int(Flag.AGGREGATED)


def decoder(*, simulated: bool = False) -> YahooDecoder:
    found = Yahoo().decoder(Registry("yahoo"), simulated=simulated)
    assert isinstance(found, YahooDecoder)
    return found


def sample(seconds: float = 0, volume: int | None = None, price: float = 100.0, **other: Any) -> bytes:
    fields: dict[str, Any] = {"id": "AAPL", "price": price, "time": OPEN_MS + int(seconds * 1000), "exchange": "NMS"}
    fields |= {"quote_type": 8, "market_hours": 1} | other
    if volume is not None:
        fields["day_volume"] = volume
    return framed(**fields)


def trades(*frames: bytes) -> list[tuple[int, float]]:
    """(seconds after the opening, size) of what frames make."""
    d = decoder()
    found = [e for f in frames for e in d.decode(f, NOW) if isinstance(e, Trade)]
    return [((t.ts_event // MILLI - OPEN_MS) // 1000, t.size) for t in found]


# Documents


def payload(frames: Path, name: str) -> Any:
    return json.loads((frames / "documented" / "yahoo" / name).read_text())["payload"]


def test_subscriptions_are_those_of_the_documents(shared_frames: Path) -> None:
    venue = Yahoo()
    both = [venue.derive(s, "yahoo") for s in ("AAPL", "BTC-USD")]
    (plan,) = venue.plan(both, ["trades", "ticker", "book"])
    assert [json.loads(m) for m in plan.hello] == [payload(shared_frames, "subscribe.json")]
    (gone,) = venue.unsubscribe([s for s in plan.streams if s.instrument == "yahoo:AAPL"], 1)
    assert json.loads(gone) == payload(shared_frames, "unsubscribe.json")
    assert plan.url == "wss://streamer.finance.yahoo.com/?version=2"
    assert plan.acks == 0 == venue.acks(plan.hello)
    assert plan.client_ping == plan.hello[0]  # yfinance says it again every 15 s
    assert plan.limits.client_ping_seconds == 15
    assert [(s.name, s.channel) for s in plan.streams] == [("AAPL", "trades"), ("BTC-USD", "ticker")]
    assert venue.plan(both, ["book"]) == []


def test_the_documented_frame(shared_frames: Path) -> None:
    raw = json.dumps(payload(shared_frames, "frame_v2.json")).encode()
    ts = 1_736_509_140_000 * MILLI
    wanted = Ticker(
        "yahoo:BTC-USD", ts, NOW, SAMPLED, last=94745.08, open=92529.99, high=95227.555, low=92517.22,
        notional=59_712_028_672.0, change_pct=1.5344921, session="regular",
    )  # fmt: skip
    d = decoder()
    assert d.decode(raw, NOW) == [wanted]
    assert decoder().decode(json.loads(raw)["message"].encode() + b"\n", NOW) == [wanted]  # the older form
    assert event_time(raw) == ts
    known = d.registry.by_id["yahoo:BTC-USD"]
    assert (known.kind, known.base, known.quote, known.session) == ("spot", "BTC", "USD", "")


def test_the_field_numbers_are_those_of_the_proto(shared_frames: Path) -> None:
    from tapeline.venues.yahoo_wire import FIELDS

    text = (shared_frames / "documented" / "yahoo" / "pricing.proto").read_text()
    declared = [line.split() for line in text.splitlines() if "=" in line and not line.startswith("syntax")]
    assert [f"{name}:{kind}" for kind, name, *_ in declared] == FIELDS.split()
    assert [int(line[3].rstrip(";")) for line in declared] == list(range(1, 34))


def test_every_expected_frame(shared_frames: Path) -> None:
    lines = [json.loads(line) for line in (shared_frames / "expected" / "yahoo.jsonl").read_text().splitlines()]
    assert len(lines) == 6
    for line in lines:
        (wanted,) = line["expected"]
        ticker = decoder().decode(json.dumps(line["raw"]).encode(), NOW)[-1]
        assert isinstance(ticker, Ticker)
        assert (ticker.instrument, ticker.ts_event) == (f"yahoo:{wanted['id']}", wanted["time"] * MILLI)
        for ours, theirs in (("last", "price"), ("open", "open_price"), ("high", "day_high"), ("low", "day_low")):
            assert as_float32(getattr(ticker, ours)) == as_float32(wanted.get(theirs)), theirs
        assert as_float32(ticker.change_pct) == as_float32(wanted["change_percent"])
        crypto = wanted["exchange"] == "CCC"
        volume = wanted.get("day_volume")
        assert (ticker.volume, ticker.notional) == ((None, volume) if crypto else (volume, None))
        assert ticker.session == {0: "pre", 1: "regular"}[wanted["market_hours"]]
        asserted = line["asserted_by_source"].get("price")
        if asserted is not None and len(str(asserted)) < 10:
            assert ticker.last == asserted


def as_float32(x: float | None) -> bytes | None:
    return None if x is None else struct.pack("<f", x)


def test_two_frames_of_one_day_give_the_volume_between_them(shared_frames: Path) -> None:
    """Lines 2 and 3 of the file: AAPL five seconds apart, 17,557,274 and 17,557,426."""
    lines = (shared_frames / "expected" / "yahoo.jsonl").read_text().splitlines()[1:3]
    d = decoder()
    found = [e for line in lines for e in d.decode(json.dumps(json.loads(line)["raw"]).encode(), NOW)]
    ts = 1_589_820_938_000 * MILLI
    assert [type(e) for e in found] == [Ticker, Trade, Ticker]
    assert found[1] == Trade("yahoo:AAPL", ts, NOW, SAMPLED | AGGREGATED, 314.79, 152.0, "unknown", "")


# Samples


@given(st.floats(width=32, min_value=2.0**-100, max_value=2.0**100))
def test_shortest_is_the_same_float32_and_none_is_shorter(x: float) -> None:
    short = shortest(x)
    assert struct.pack("<f", short) == struct.pack("<f", x)
    digits = len(f"{short:e}".partition("e")[0].rstrip("0").replace(".", ""))
    text = repr(short)
    significant = len(text.partition("e")[0].replace(".", "").strip("0"))
    assert significant <= 9 and digits <= 9
    for fewer in range(1, significant):
        assert struct.pack("<f", float(f"{x:.{fewer}g}")) != struct.pack("<f", x)


@pytest.mark.parametrize("x", [0.1, 94745.08, 1.15327, 305.76, 0.00001234, 64000.0, 5.0, 123456.7])
def test_prices_as_they_are_written_come_back(x: float) -> None:
    assert shortest(struct.unpack("<f", struct.pack("<f", x))[0]) == x


def test_volume_is_differenced_within_a_day() -> None:
    day = 86_400
    assert trades(sample(0, 1000), sample(2, 1500), sample(4, 1500), sample(6, 1501)) == [(2, 500), (6, 1)]
    assert trades(sample(0, 1000)) == []  # the first may be days old
    assert trades(sample(0, 1000), sample(day, 5000), sample(day + 2, 5010)) == [(day + 2, 10)]  # another day, though it grew
    assert trades(sample(0, 1000), sample(day, 10), sample(day + 2, 25)) == [(day + 2, 15)]
    assert trades(sample(0, 1000), sample(2, 400), sample(4, 450)) == [(4, 50)]  # it fell: begun anew


def test_a_volume_that_is_not_said_is_not_zero() -> None:
    assert trades(sample(0, 1000), sample(2), sample(4, 1100)) == [(4, 100)]
    assert trades(sample(0), sample(2, 1100)) == []


def test_what_is_old_or_said_again_moves_nothing() -> None:
    assert trades(sample(0, 1000), sample(4, 1400), sample(2, 1200), sample(6, 1500)) == [(4, 400), (6, 100)]
    d = decoder()
    first, second = d.of_connection("ws://a"), d.of_connection("ws://b")
    assert len(first(sample(0, 1000), NOW)) == 1
    assert first(sample(0, 1000), NOW) == []  # the whole message once more: asked for anew
    assert [type(e) for e in second(sample(0, 1000), NOW)] == [Ticker]  # after a reconnect it shows that the stream speaks
    assert [type(e) for e in second(sample(4, 1400), NOW)] == [Trade, Ticker]
    assert [type(e) for e in first(sample(4, 1400), NOW)] == [Ticker]  # by the other connection: traded once


@given(st.lists(st.tuples(st.integers(0, 3 * 86_400), st.integers(0, 10**9)), max_size=40))
def test_no_size_is_negative_and_no_volume_is_invented(samples: list[tuple[int, int]]) -> None:
    """Within a day, what is given out is never more than the rises of the volume, and each rise counts once."""
    found = trades(*(sample(s, v) for s, v in samples))
    assert all(size > 0 for _, size in found)
    rises: dict[int, int] = {}
    newest, volume, day = -1, 0, -1
    for s, v in samples:
        if s > newest:
            today = day_of((OPEN_MS // 1000 + s) * SECOND, "NMS")
            if today == day:
                rises[today] = rises.get(today, 0) + max(0, v - volume)
            newest, volume, day = s, v, today
    assert sum(size for _, size in found) == sum(rises.values())


def test_the_day_of_new_york_goes_on_past_midnight_of_greenwich() -> None:
    """Post-market trading ends at 20:00 in New York, which is 01:00 of the next day in winter's UTC."""
    january = 1_767_976_200_000  # 2026-01-09 16:30 UTC
    at = [sample((january - OPEN_MS) / 1000 + h * 3600, v) for h, v in ((0, 10), (8, 20), (8.4, 30), (17, 50))]
    assert [size for _, size in trades(*at)] == [10, 10]


def test_crypto_assets_currencies_and_indices_give_no_trades() -> None:
    rolling: dict[str, Any] = {"id": "BTC-USD", "exchange": "CCC", "quote_type": 41}
    assert trades(sample(0, 10, vol_24hr=10, **rolling), sample(2, 20, vol_24hr=20, **rolling)) == []
    index: dict[str, Any] = {"id": "^GSPC", "exchange": "SNP", "quote_type": 9}
    assert trades(sample(0, 10, **index), sample(2, 20, **index)) == []
    assert {Yahoo().stream(s) for s in ("BTC-USD", "EURUSD=X", "^GSPC")} == {
        ("ticker", "BTC-USD"), ("ticker", "EURUSD=X"), ("ticker", "^GSPC"),
    }  # fmt: skip


@pytest.mark.parametrize(("hours", "session"), list(enumerate(["pre", "regular", "post", "extended", "overnight", None])))
def test_the_part_of_the_day(hours: int, session: str | None) -> None:
    (ticker,) = decoder().decode(sample(market_hours=hours), NOW)
    assert isinstance(ticker, Ticker)
    assert ticker.session == session


def test_a_part_of_the_day_that_is_not_said_is_not_the_first() -> None:
    (ticker,) = decoder().decode(framed(id="AAPL", price=100.0, time=OPEN_MS), NOW)
    assert isinstance(ticker, Ticker)
    assert (ticker.session, ticker.open, ticker.volume) == (None, None, None)


def test_bid_and_ask_only_where_they_are_sent() -> None:
    quote, _ = decoder().decode(sample(bid=99.5, bid_size=3, ask=100.5), NOW)
    ts = OPEN_MS * MILLI
    assert quote == Quote("yahoo:AAPL", ts, NOW, SAMPLED, 99.5, 3.0, 100.5, None, None, "venue")


def test_a_sample_without_a_time_and_one_from_the_future() -> None:
    (ticker,) = decoder().decode(framed(id="AAPL", price=100.0), NOW)
    assert (ticker.ts_event, ticker.flags) == (NOW, SAMPLED | Flag.NO_VENUE_TIME)  # type: ignore[union-attr]
    d = decoder()
    frames = [sample(0, 10), sample(10**9, 20), sample(2, 30)]
    found = [e for f in frames for e in d.decode(f, NOW)]
    assert [e.size for e in found if isinstance(e, Trade)] == [20]
    assert [bool(e.flags & Flag.BAD_TIME) for e in found if isinstance(e, Ticker)] == [False, True, False]


def test_the_first_message_tells_what_the_symbol_does_not() -> None:
    d = decoder(simulated=True)
    known = d.registry.by_id[d.instrument("XYZ")]
    assert (known.kind, known.session) == ("stock", "XNYS")
    (ticker,) = d.decode(sample(id="XYZ", exchange="LSE", quote_type=20, currency="GBp"), NOW)
    assert ticker.flags == SAMPLED | Flag.SIMULATED  # type: ignore[union-attr]
    assert d.registry.by_id["yahoo:XYZ"].session == "XLON"
    assert not d.registry.listed


def test_other_messages_are_counted() -> None:
    d = decoder()
    assert d.decode(b'{"type":"news","story":1}', NOW) == []
    assert d.decode(framed(id="", quote_type=7), NOW) == []
    assert d.unknown == {"news": 1, "heartbeat": 1}


@pytest.mark.parametrize(
    "frame",
    [
        b"", b"{", b"[]", b"{}", b'{"type":"pricing","message":7}', b'{"type":"pricing","message":"%%%"}', b"not base64",
        b'{"type":"pricing","message":"CgRBQVBM!"}', b'{"type":"pricing","message":""}', b"\xff\xfe", b"CgRBQVB",
        base64.b64encode(message(id="AAPL", price=100.0)[:-2]),  # cut off
        base64.b64encode(b"\x0a\x04AAP\xff"),  # no UTF-8
        base64.b64encode(b"\x0a" + varint(2**40)),  # a length past the end
        bare(price=100.0), bare(id="AAPL", price=float("nan")), bare(id="AAPL", price=float("inf")), bare(id="AAPL", price=-1.0),
        bare(id="AAPL", price=0.0), bare(id="A B", price=1.0), bare(id="AAPL", day_volume=-5), bare(id="x" * 65, price=1.0),
        bare(id="AAPL", price=1.0, bid=1.0, bid_size=-1), bare(id="AAPL", price=1.0, open_price=float("nan")),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(frame: bytes) -> None:
    with pytest.raises(MalformedFrame):
        decoder().decode(frame, NOW)


def test_extremes_stay_in_bounds() -> None:
    (ticker,) = decoder().decode(sample(time=2**63 - 1, volume=2**63 - 1), NOW)
    assert (ticker.ts_event, ticker.flags) == (NOW, SAMPLED | Flag.BAD_TIME | Flag.INEXACT)  # type: ignore[union-attr]
    (ticker,) = decoder().decode(sample(time=-(2**63)), NOW)
    assert ticker.ts_event == NOW  # type: ignore[union-attr]
    unknown = base64.b64encode(message(id="AAPL", price=100.0) + varint(99 << 3) + varint(7))  # a field of next year
    assert len(decoder().decode(unknown, NOW)) == 1


@given(st.binary(max_size=60))
def test_no_bytes_do_harm(data: bytes) -> None:
    for frame in (data, base64.b64encode(data)):
        with suppress(MalformedFrame):
            decoder().decode(frame, NOW)
        assert event_time(frame) is None or isinstance(event_time(frame), int)


# Connections and names


def test_a_hundred_symbols_a_connection() -> None:
    venue = Yahoo(VenueSettings(ws_url="ws://127.0.0.1:1/yahoo"))
    plans = venue.plan([venue.derive(f"S{i}", "yahoo") for i in range(250)], ["trades", "ticker"])
    asked = [json.loads(p.hello[0])["subscribe"] for p in plans]
    assert [len(a) for a in asked] == [100, 100, 50]
    assert sorted(s for a in asked for s in a) == sorted(f"S{i}" for i in range(250))
    assert plans[0].url == "ws://127.0.0.1:1/yahoo/?version=2"
    assert [[s.name for s in p.streams] for p in plans] == asked
    fewer = Yahoo(VenueSettings(most_streams=40))
    assert [len(p.streams) for p in fewer.plan([venue.derive(f"S{i}", "yahoo") for i in range(50)], ["trades"])] == [40, 10]


def test_what_is_said_again_every_15_seconds_is_what_is_asked_for_now() -> None:
    """Symbols are added and removed on an open connection: the ping must not bring back one that was removed."""
    venue = Yahoo()
    (plan,) = venue.plan([venue.derive(s, "yahoo") for s in ("AAPL", "MSFT")], ["ticker"])
    other = carrying(plan, [plan.streams[1]], venue)
    assert other.client_ping == other.hello[0] == b'{"subscribe":["MSFT"]}'
    assert carrying(other, [], venue).client_ping == b'{"subscribe":[]}'


def test_streams_and_control_messages_read_back() -> None:
    venue = Yahoo()
    assert venue.stream("AAPL") == ("trades", "AAPL")
    assert venue.stream("") is None
    assert venue.asked(b'{"subscribe":["AAPL","A"]}') == Asked(None, ("AAPL", "A"), acked=False)
    assert venue.asked(b'{"unsubscribe":["A"]}') == Asked(None, ("A",), gone=True, acked=False)
    assert venue.asked(b"{}") is venue.asked(b"[") is None
    assert not venue.is_ack(framed(id="AAPL", price=1.0))
    with pytest.raises(ConfigError, match=r"venues\.yahoo\.streams\.trades"):
        Yahoo(VenueSettings(streams={"trades": "x"})).plan([], ["trades"])


@pytest.mark.parametrize(
    ("native", "kind", "base", "quote", "session"),
    [
        ("AAPL", "stock", "AAPL", "USD", "XNYS"),
        ("BRK-B", "stock", "BRK-B", "USD", "XNYS"),
        ("VOD.L", "stock", "VOD.L", "", "XLON"),
        ("7203.T", "stock", "7203.T", "", "XTKS"),
        ("BTC-USD", "spot", "BTC", "USD", ""),
        ("EURUSD=X", "fx", "EUR", "USD", "FX"),
        ("JPY=X", "fx", "USD", "JPY", "FX"),
        ("^GSPC", "index", "^GSPC", "", "XNYS"),
        ("^N225", "index", "^N225", "", "XTKS"),
        ("^XYZ", "index", "^XYZ", "", ""),
        ("ES=F", "future", "ES", "", "CMES"),
        ("ODD.ZZ", "stock", "ODD.ZZ", "", ""),
    ],
)
def test_names_are_yahoos(native: str, kind: str, base: str, quote: str, session: str) -> None:
    made = Yahoo().derive(native, "yahoo")
    assert (made.id, made.native) == (f"yahoo:{native}", native)
    assert (made.kind, made.base, made.quote, made.session) == (kind, base, quote, session)
    assert Yahoo().native_of(made.symbol.lower()) == native


def test_every_exchange_names_a_calendar_that_there_is() -> None:
    import exchange_calendars

    names = set(exchange_calendars.get_calendar_names())
    assert {e.session for e in EXCHANGES.values()} - names == {"", "FX"}


def test_search_finds_and_the_probe_lists_nothing() -> None:
    body = json.dumps({
        "count": 2,
        "quotes": [
            {"exchange": "NMS", "shortname": "Apple Inc.", "quoteType": "EQUITY", "symbol": "AAPL", "score": 1.0},
            {"exchange": "GER", "quoteType": "EQUITY", "symbol": "APC.DE"},
            {"index": "x"},
        ],
        "news": [],
    }).encode()  # fmt: skip
    venue = Yahoo()
    found = venue.read_search(body, "yahoo")
    assert [(i.id, i.kind, i.session) for i in found] == [("yahoo:AAPL", "stock", "XNYS"), ("yahoo:APC.DE", "stock", "XETR")]
    assert venue.read_instruments(body, "yahoo") == []
    (probe,) = venue.instruments_requests()
    assert "quotesCount=0" in probe.url
    assert venue.search_request("a&b").url == (
        "https://query1.finance.yahoo.com/v1/finance/search?q=a%26b&quotesCount=25&newsCount=0"
    )
    with pytest.raises(MalformedFrame):
        venue.read_instruments(b"<html>", "yahoo")
