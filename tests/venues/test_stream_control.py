"""What the wire and the pipeline rely on, of every venue: streams can be begun and ended on an open connection, and messages tell which."""

import pytest

from tapeline.plans import Channel, Stream, carrying
from tapeline.venues.base import Venue
from tapeline.venues.registry import VENUES, venue_class

NATIVES = {
    "binance": ("BTCUSDT", "ETHUSDT"),
    "binance-usdm": ("BTCUSDT", "ETHUSDT"),
    "binance-coinm": ("BTCUSD_PERP", "ETHUSD_PERP"),
    "coinbase": ("BTC-USD", "ETH-USD"),
    "coinbase-advanced": ("BTC-USD", "ETH-USD"),
    "kraken": ("BTC/USD", "ETH/USD"),
    "bybit": ("BTCUSDT", "ETHUSDT"),
    "okx": ("BTC-USDT", "ETH-USDT"),
    "finnhub": ("AAPL", "MSFT"),
    "yahoo": ("AAPL", "MSFT"),
}


def venue_of(name: str) -> Venue:
    kind = venue_class(name)
    return kind(None, "a-key-of-no-worth") if kind.secret else kind()


def planned(venue: Venue, *natives: str) -> list[tuple[str, Stream]]:
    """(address, stream) of all that the venue has of these."""
    channels: tuple[Channel, ...] = venue.channels
    instruments = [venue.derive(native, venue.name) for native in natives]
    return [(plan.url, stream) for plan in venue.plan(instruments, channels) for stream in plan.streams]


@pytest.mark.parametrize("name", VENUES)
def test_a_plan_begins_with_what_subscribe_says_of_its_streams(name: str) -> None:
    venue = venue_of(name)
    instruments = [venue.derive(native, name) for native in NATIVES[name]]
    for plan in venue.plan(instruments, venue.channels):
        assert carrying(plan, plan.streams, venue) == plan
        fewer = carrying(plan, plan.streams[:1], venue)
        assert [n for m in fewer.hello if (a := venue.asked(m)) and not a.gone for n in a.names if venue.stream(n)] == [
            plan.streams[0].name
        ]
        assert carrying(fewer, plan.streams, venue) == plan
        assert carrying(carrying(plan, (), venue), plan.streams, venue).hello == plan.hello


@pytest.mark.parametrize("name", VENUES)
def test_messages_tell_which_streams_they_begin_and_end(name: str) -> None:
    venue = venue_of(name)
    by_url: dict[str, list[Stream]] = {}
    for url, stream in planned(venue, *NATIVES[name]):
        by_url.setdefault(url, []).append(stream)
    for streams in by_url.values():
        names = sorted(s.name for s in streams)
        for number, messages, gone in ((7, venue.subscribe(streams, 7), False), (9, venue.unsubscribe(streams, 9), True)):
            said = [asked for m in messages if (asked := venue.asked(m)) is not None]
            assert len(said) == len(messages), "each message is one of ours, whoever reads it later"
            assert {a.gone for a in said} == {gone}
            assert sorted(n for a in said for n in a.names if venue.stream(n)) == names, number
            assert venue.acks(messages) >= 0


@pytest.mark.parametrize("name", VENUES)
def test_one_stream_is_ended_without_the_others(name: str) -> None:
    """Each channel of an instrument can go alone: no two streams are begun, or ended, by the same words."""
    venue = venue_of(name)
    streams = [stream for _, stream in planned(venue, NATIVES[name][0])]
    assert len({s.name for s in streams}) == len(streams)
    said = [venue.unsubscribe([s], 1) for s in streams]
    assert len(set(said)) == len(said)
    for stream, messages in zip(streams, said, strict=True):
        ended = {n for m in messages if (a := venue.asked(m)) for n in a.names if venue.stream(n)}
        assert ended == {stream.name}
