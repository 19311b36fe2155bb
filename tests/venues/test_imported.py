"""The protocol of imported data: our own events as messages, and none of the venues that users see."""

import pytest

from tapeline.errors import MalformedFrame
from tapeline.events import Alert, Bar, BookUpdate, Flag, Metrics, Quote, Status, Ticker, Trade, to_json
from tapeline.instruments import Registry
from tapeline.venues.base import UNNUMBERED, BookMessage
from tapeline.venues.imported import Imported, ImportedDecoder
from tapeline.venues.registry import INTERNAL, VENUES, venue_class

BTC = "binance:BTC-USDT"


@pytest.fixture
def decoder() -> ImportedDecoder:
    found = Imported().decoder(Registry("imported"), simulated=False)
    assert isinstance(found, ImportedDecoder)
    return found


def test_it_is_no_venue_that_anybody_sees() -> None:
    assert venue_class("imported") is Imported
    assert "imported" not in VENUES and not VENUES.keys() & INTERNAL.keys()
    assert Imported().plan([], ["trades"]) == [] and Imported().instruments_requests() == []


@pytest.mark.parametrize(
    "event",
    [
        Trade(BTC, 5, 9, int(Flag.AGGREGATED), 1.5, 2.0, "buy", "7"),
        Quote(BTC, 5, 9, 0, 1.5, 2.0, None, None, None, "venue"),
        Bar(BTC, 60, 9, 0, "1m", 0, 1.0, 2.0, 0.5, 1.5, 10.0, None, None, None, None, True, 0, "venue"),
        Ticker(BTC, 5, 9, 0, last=1.0),
    ],
)
def test_an_event_is_itself_received_with_its_frame(decoder: ImportedDecoder, event: Trade) -> None:
    (found,) = decoder.decode(to_json(event), 9)
    assert found == event
    (later,) = decoder.decode(to_json(event), 10)
    assert later.ts_recv == 10 and later.ts_event == event.ts_event  # type: ignore[union-attr]
    assert decoder.registry.by_id[BTC].kind == "spot"


def test_a_book_is_a_message_without_numbers(decoder: ImportedDecoder) -> None:
    (found,) = decoder.decode(to_json(BookUpdate(BTC, 5, 9, 1, [(1.0, 2.0)], [], True, 7, 6)), 9)
    assert isinstance(found, BookMessage)
    assert (found.native, found.kind, found.seq, found.prev_seq, found.bids) == (
        BTC,
        "snapshot",
        UNNUMBERED,
        UNNUMBERED,
        [(1.0, 2.0)],
    )


@pytest.mark.parametrize(
    "event",
    [
        Status(BTC, 5, 5, 0, "gap", "binance", "", "", None, None, None),
        Metrics(BTC, 5, 5, 0, None, None, None, None, None, None),
        Alert(BTC, 5, 5, 0, "", "", None, ""),
    ],
)
def test_what_is_made_here_is_not_imported(decoder: ImportedDecoder, event: Status) -> None:
    with pytest.raises(MalformedFrame, match="is made here"):
        decoder.decode(to_json(event), 5)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"type":"trade"}', b'{"type":"x"}'])
def test_what_is_no_event(decoder: ImportedDecoder, raw: bytes) -> None:
    with pytest.raises(MalformedFrame):
        decoder.decode(raw, 5)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("x:BTC-USD-PERP", "perpetual"), ("x:BTC-USD-261225", "future"), ("x:BTC-USD", "spot"), ("x:AAPL", "stock")],
)
def test_kinds_by_their_names(name: str, kind: str) -> None:
    assert Imported().derive(name, "imported").kind == kind
