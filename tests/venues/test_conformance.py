"""What holds at every venue of the registry, whatever its language: the contract of `venues/base.py`, seen from outside.

Each venue's own tests say what its documents' messages mean; here each is only held to saying something, or to a reason in a table.
What a venue says to us comes from its simulator over a real socket (`wire_talk.py`) and from the documents.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tapeline.clock import SECOND
from tapeline.engine.connections import label_of
from tapeline.errors import MalformedFrame
from tapeline.instruments import Registry
from tapeline.plans import carrying
from tapeline.sim.registry import simulated, wire_class
from tapeline.venues.base import Ack, Asked, BookMessage
from tapeline.venues.registry import VENUES, venue_class
from tests.venues.wire_talk import T, heard, instruments, make, natives_of

NAMES = tuple(VENUES)
DOCUMENTS = {
    "binance": "binance_spot",
    "binance-usdm": "binance_usdm",
    "binance-coinm": "binance_usdm",
    "coinbase": "coinbase_exchange",
    "coinbase-advanced": "coinbase_advanced",
    "kraken": "kraken_v2",
    "bybit": "bybit_v5",
    "okx": "okx_v5",
    "finnhub": "finnhub",
    "yahoo": "yahoo",
}
NOTHING_NEW = {
    "heartbeat": "only says that the connection lives",
    "pong": "answers a ping",
    "ping": "what we send, or the venue's own way to ask whether we live",
    "status": "the venue's state, told when it changes",
    "instrument": "a list of instruments: it goes into the registry",
    "subscri": "a list of what is subscribed, or what we send ourselves",
    "request": "what we send ourselves",
    "connect": "what we send ourselves, and answers to it",
    "filters": "what we send ourselves",
    "activate": "what we send ourselves",
    "specifying": "what we send ourselves",
    "properties": "connection settings, which are not ours",
    "url_examples": "addresses",
    "fields": "words about fields",
    "combined": "an envelope, its message left out",
    "auth": "private channels, which are not ours",
    "l3": "level 3, which is not ours",
    "level3": "level 3, which is not ours",
    "futures": "another feed, which is not ours",
    "examples": "parts of a message, to explain the checksum",
    "connection_count": "about private channels",
    "error": "an answer, told where we asked",
}
"""Part of a document's name → why its message may give no record and need not be counted as unknown."""
NO_LIST = {"yahoo": "there is no list: names are its own"}
RECORDED = {
    "binance": "tests/engine/test_recorded.py",
    "binance-usdm": "tests/engine/test_recorded.py",
    "coinbase": "tests/venues/test_coinbase_recorded.py::test_every_touch_equals_the_plain_books_and_none_is_crossed",
    "kraken": "tests/venues/test_kraken_recorded.py::test_every_checksum_is_right_and_every_touch_is_the_plain_books",
    "bybit": "tests/venues/test_bybit_recorded.py::test_every_touch_is_right_and_nothing_else_is_said",
    "okx": "tests/venues/test_okx_recorded.py",
}
"""Where the recorded session of a venue is replayed and held to its oracle."""
NEVER_RECORDED = {
    "binance-coinm": "the messages are those of binance-usdm",
    "coinbase-advanced": "there is no recording",
    "finnhub": "there is no recording; expected/finnhub.jsonl has real frames",
    "yahoo": "there is no recording; expected/yahoo.jsonl has real frames",
}
simulator = pytest.mark.parametrize("name", simulated())
every = pytest.mark.parametrize("name", NAMES)


# What is asked


@every
def test_plans_name_streams_that_the_venue_knows_and_messages_that_it_can_read_back(name: str) -> None:
    venue = make(name)
    listed = instruments(venue, natives_of(name)) if name in simulated() else []
    plans = venue.plan(listed, venue.channels)
    for plan in plans:
        assert (plan.venue, plan.limits) == (name, venue.limits)
        assert len({s.name for s in plan.streams}) == len(plan.streams) <= venue.limits.streams_per_connection
        for s in plan.streams:
            found = venue.stream(s.name)
            assert found is not None, s.name
            assert (found[0], venue.derive(found[1], label_of(name, simulated=True)).id) == (s.channel, s.instrument)
        asked = [a for m in plan.hello if (a := venue.asked(m)) is not None]
        assert {n for a in asked for n in a.names} == {s.name for s in plan.streams}
        assert not any(a.gone for a in asked)
        assert plan.acks == venue.acks(plan.hello)
        assert carrying(plan, plan.streams, venue) == plan, "hello ends with what `subscribe` says"
        ends = [a for m in venue.unsubscribe(plan.streams, 1) if (a := venue.asked(m)) is not None]
        assert {n for a in ends for n in a.names} == {s.name for s in plan.streams}
        assert all(a.gone for a in ends)
    asked_for = {s.channel for plan in plans for s in plan.streams}
    assert asked_for <= set(venue.channels)
    assert {s.instrument for plan in plans for s in plan.streams} == {i.id for i in listed}


@every
def test_what_is_no_message_of_ours_asks_for_nothing_and_names_no_stream(name: str) -> None:
    venue = make(name)
    for junk in (b"", b"{}", b"[]", b"null", b"ping", b"\xff", b'{"op":"subscribe"}', b'{"method":1}', b'{"id":{}}'):
        asked = venue.asked(junk)
        assert asked is None or not asked.names
        assert venue.event_time(junk) is None
    for junk in ("", ":", "@", "no such stream", "book:", "x" * 500):
        found = venue.stream(junk)
        assert found is None or name in {"yahoo", "finnhub"}, "there a stream is a symbol, and any text may be one"


@simulator
def test_each_subscription_is_answered_as_the_plan_says_and_each_stream_speaks_until_it_is_ended(name: str) -> None:
    found = heard(name)
    for talk in found.talks:
        decode = found.decoder().of_connection(talk.plan.url)
        assert sum(map(found.venue.is_ack, talk.answers)) == talk.plan.acks
        acks = [r for m in talk.answers for r in decode(m, T) if isinstance(r, Ack)]
        assert not [a for a in acks if a.error]
        asked = [a for m in talk.plan.hello if (a := found.venue.asked(m)) is not None and a.acked]
        assert [a for a in asked if not _answered(a, acks)] == []
        records = [r for m in talk.data for r in decode(m, T)]
        assert records, "the market plays"
        later = [r for m in talk.after for r in decode(m, T) if type(r).__name__ != "Counted"]
        assert later == [], "what was ended says nothing more"


def _answered(asked: Asked, acks: list[Ack]) -> bool:
    """By its id, by the names of its streams, or by an answer that has neither."""
    named = {n for a in acks for n in a.names}
    return any(a.id is None and not a.names for a in acks) or asked.id in {a.id for a in acks} or named.issuperset(asked.names)


@every
def test_subscriptions_have_the_documents_shape(name: str, shared_frames: Path) -> None:
    """The keys of ours are those of a documented one of the same kind, and each value is of the same type."""
    venue = make(name)
    if name not in simulated():
        pytest.fail(f"{name} has no simulator yet")
    (plan, *_) = venue.plan(instruments(venue, natives_of(name)), venue.channels)
    for ours, word in ((plan.hello, "subscribe"), (venue.unsubscribe(plan.streams, 1), "unsubscribe")):
        theirs = [s for s in documented_shapes(shared_frames, name) if word in str(s.values()).lower() or word in s]
        for message in ours:
            shape = shape_of(json.loads(message))
            if shape.get("op") == "ping":
                continue
            assert not theirs or any(compatible(shape, t) for t in theirs), (message, theirs)


def shape_of(value: Any) -> Any:
    """Keys, words that are commands, and types: numbers and names apart."""
    if isinstance(value, dict):
        return {k: shape_of(v) if k not in {"op", "method", "type"} else str(v).lower() for k, v in value.items()}
    if isinstance(value, list):
        return [shape_of(value[0])] if value else []
    return type(value).__name__


def compatible(ours: Any, theirs: Any) -> bool:
    """Ours says no more than theirs, but for a number of the message; lists of names may be lists of channels."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        extra = set(ours) - set(theirs) - {"id", "req_id", "product_ids", "symbol", "params", "snapshot", "depth", "interval"}
        both = set(ours) & set(theirs) - {"id", "req_id"}
        return not extra and all(compatible(ours[k], theirs[k]) for k in both)
    if isinstance(ours, list) and isinstance(theirs, list):
        return True
    return bool(ours == theirs)


def documents(frames: Path, name: str) -> list[Path]:
    if name not in DOCUMENTS:
        pytest.skip(f"DOCUMENTS names no folder with documented messages of {name}")
    return sorted((frames / "documented" / DOCUMENTS[name]).glob("*.json"))


def documented_shapes(frames: Path, name: str) -> list[dict[str, Any]]:
    found = []
    for path in documents(frames, name):
        payload = json.loads(path.read_text()).get("payload")
        if isinstance(payload, dict) and (
            {"op", "method", "subscribe", "unsubscribe"} & set(payload) or "subscri" in path.name
        ):
            found.append(shape_of(payload))
    return found


# What is understood


@every
def test_each_documented_message_says_something_or_has_a_reason(name: str, shared_frames: Path) -> None:
    venue = make(name)
    silent = []
    for path in documents(shared_frames, name):
        payload = json.loads(path.read_text()).get("payload")
        for message in payload if isinstance(payload, list) and payload and isinstance(payload[0], dict) else [payload]:
            raw = message.encode() if isinstance(message, str) else json.dumps(message, separators=(",", ":")).encode()
            decoder = venue.decoder(Registry(name), simulated=False)
            if not isinstance(message, dict) and not (isinstance(message, str) and name == "yahoo"):
                continue  # words, addresses
            try:
                said = bool(decoder.decode(raw, T)) or sum(decoder.unknown.values()) > 0
            except MalformedFrame:
                said = False
            if not (said or venue.is_ack(raw) or any(part in path.name for part in NOTHING_NEW)):
                silent.append(path.name)
    assert silent == []


@simulator
def test_each_message_of_a_market_is_read_and_none_is_unknown(name: str) -> None:
    found = heard(name)
    for talk in found.talks:
        decoder = found.decoder()
        decode = decoder.of_connection(talk.plan.url)
        for message in [*talk.answers, *talk.data]:
            decode(message, T)
        assert decoder.unknown == {}


@simulator
def test_books_begin_with_a_snapshot_where_they_are_not_fetched(name: str) -> None:
    found = heard(name)
    venue = found.venue
    for talk in found.talks:
        decoder = found.decoder()
        decode = decoder.of_connection(talk.plan.url)
        first: dict[str, BookMessage] = {}
        for message in [*talk.answers, *talk.data]:
            for r in decode(message, T):
                if isinstance(r, BookMessage):
                    first.setdefault(r.native, r)
        for native, message in first.items():
            fetched = decoder.snapshot_request(native, 0, 0) is not None
            assert message.kind == "snapshot" or fetched, f"{venue.name} {native} begins with a {message.kind}"


@simulator
def test_the_venues_time_is_found_in_raw_messages(name: str) -> None:
    found = heard(name)
    times = [t for _, m in found.messages if (t := found.venue.event_time(m)) is not None]
    assert times
    assert max(times) - min(times) < 86_400 * SECOND
    assert all(isinstance(t, int) and 10**18 < t < 4 * 10**18 for t in times)


# Names


@simulator
def test_the_list_gives_each_instrument_the_name_that_is_derived_from_its_native_one(name: str) -> None:
    found = heard(name)
    label = label_of(name, simulated=True)
    listed = {i.native: i for body in found.lists for i in found.venue.read_instruments(body, label)}
    for spec in (s for s in wire_class(name).specs if s.native in natives_of(name)):
        derived = found.venue.derive(spec.native, label)
        assert found.venue.native_of(derived.symbol) == spec.native
        ours = listed.get(spec.native, derived)
        assert ours.id == derived.id
        assert ours.base == spec.base, "one name for one asset"
        assert (ours.quote or spec.quote) == spec.quote
        if name not in NO_LIST and listed:
            assert spec.native in listed
            assert ours.kind == {"perp": "perpetual"}.get(spec.kind, spec.kind)
            assert ours.inverse is spec.inverse
            assert ours.contract_size == spec.contract_size


def test_no_venue_says_xbt_or_xdg() -> None:
    bases = {venue_class(v)().derive(n, v).base for v in simulated() if not venue_class(v).secret for n in natives_of(v)}
    assert "BTC" in bases
    assert bases.isdisjoint({"XBT", "XDG", "XXBT", "BTC.P"})


@every
def test_a_page_that_is_no_list_is_refused(name: str) -> None:
    if name in NO_LIST:
        return
    for page in (b"<html>", b"", b"\xff", b"null", b'"x"', b"[1]"):
        with pytest.raises(MalformedFrame):
            make(name).read_instruments(page, name)


# Recorded sessions


def test_each_venue_is_replayed_from_a_recording_or_has_a_reason() -> None:
    root = Path(__file__).parents[2]
    assert RECORDED.keys() | NEVER_RECORDED.keys() >= VENUES.keys()
    for name in VENUES.keys() & RECORDED.keys():
        path, _, test = RECORDED[name].partition("::")
        text = (root / path).read_text()
        assert f"def {test}(" in text or not test, RECORDED[name]
        assert "def test_" in text
