"""The recorded sessions through the pipeline, against a second implementation and against the venue's own best bid and offer.

How many books there are. The frames' README counts 3,449 and 6,546 books: one when the snapshot is joined, then one a diff. Tapeline
gives a quote for every diff, those that waited for the snapshot among them. On spot one diff had waited and is newer than the
snapshot (U 50093239208 … u 50093239224, around lastUpdateId 50093239218): 3,449 either way. On futures two had: the one that holds
lastUpdateId 5123107852948 (U 5123107850310 … u 5123107853551) and the next one. Both came over the wire, each is one update with one
touch, so there are 6,547 quotes, all of them right; the README's first book stands for both. The snapshot's own quote, flagged
SNAPSHOT, is one more.
"""

from collections import Counter
from pathlib import Path

import pytest

from tapeline.engine.lines import decode_lines, open_lines
from tapeline.engine.pipeline import Pipeline
from tapeline.events import Bar, BookUpdate, Event, Flag, Metrics, Quote, Trade
from tapeline.venues.registry import venue_class
from tests.engine.feeds import statuses
from tests.engine.recordings import INSTRUMENTS, oracle, recording, touches
from tests.market.reference import INTERVALS, grouped, told

BOOKS = {"binance": 3449, "binance-usdm": 6547}
TRADES = {"binance": 9757, "binance-usdm": 21313}


@pytest.fixture(scope="module", params=["binance", "binance-usdm"])
def venue(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def played(shared_frames: Path, venue: str) -> tuple[list[Event], Pipeline]:
    pipeline = Pipeline()
    path = recording(shared_frames, venue).path
    with open_lines(path) as lines:
        return list(decode_lines(venue_class(venue)(), lines, path.name, pipeline)), pipeline


def updates(events: list[Event]) -> list[Quote]:
    """The touch after each diff."""
    return [e for e in events if isinstance(e, Quote) and e.origin == "book" and not e.flags & Flag.SNAPSHOT]


def touch(q: Quote) -> tuple[float | None, ...]:
    return q.bid, q.bid_size, q.ask, q.ask_size


def test_every_touch_equals_the_venues_own(shared_frames: Path, venue: str, played: tuple[list[Event], Pipeline]) -> None:
    made = [(q.seq, touch(q)) for q in updates(played[0])]
    assert len(made) == BOOKS[venue]
    assert made == list(oracle(shared_frames, venue).items())


def test_every_touch_equals_the_plain_books(shared_frames: Path, venue: str, played: tuple[list[Event], Pipeline]) -> None:
    assert [(q.seq, touch(q)) for q in updates(played[0])] == list(touches(shared_frames, venue).items())


def test_the_readmes_count(shared_frames: Path, venue: str) -> None:
    """One book for the snapshot with all that waited for it, one for each diff after it."""
    file = recording(shared_frames, venue)
    later = sum(i > file.snapshot for i in file.diffs)
    assert 1 + later == {"binance": 3449, "binance-usdm": 6546}[venue]
    waited = [
        file.messages[i]
        for i in file.diffs
        if i < file.snapshot and file.messages[i]["u"] > file.messages[file.snapshot]["lastUpdateId"]
    ]
    assert later + len(waited) == BOOKS[venue]


def test_the_snapshots_quote_is_the_snapshots(shared_frames: Path, venue: str, played: tuple[list[Event], Pipeline]) -> None:
    file = recording(shared_frames, venue)
    (quote,) = [e for e in played[0] if isinstance(e, Quote) and e.flags & Flag.SNAPSHOT]
    whole = file.messages[file.snapshot]
    assert quote.seq == whole["lastUpdateId"]
    assert touch(quote) == tuple(float(x) for x in (*whole["bids"][0], *whole["asks"][0]))


def test_nothing_is_reported_but_the_way_to_the_first_book(venue: str, played: tuple[list[Event], Pipeline]) -> None:
    events, pipeline = played
    assert [s.kind for s in statuses(events)] == ["connected", "resyncing", "synced"]
    assert all(not n for n in pipeline.stats().values())
    assert not pipeline.lanes[INSTRUMENTS[venue]].sync.book.crossed


def test_the_whole_book_is_right_in_the_end(shared_frames: Path, venue: str, played: tuple[list[Event], Pipeline]) -> None:
    book = played[1].lanes[INSTRUMENTS[venue]].sync.book
    *_, (_, plain) = recording(shared_frames, venue).books()
    assert book.bids == {p: float(s) for p, s in plain.sides[0].items()}
    assert book.asks == {p: float(s) for p, s in plain.sides[1].items()}


def test_what_the_venue_said_comes_out_once_and_unchanged(
    shared_frames: Path, venue: str, played: tuple[list[Event], Pipeline]
) -> None:
    file, events = recording(shared_frames, venue), played[0]
    counted = Counter(type(e).__name__ for e in events)
    assert counted["Trade"] == len(file.trades) == TRADES[venue]
    assert counted["BookUpdate"] == counted["Metrics"] == BOOKS[venue] + 1
    trades = [e for e in events if isinstance(e, Trade)]
    assert [(e.id, e.price, e.size, e.side, e.ts_event) for e in trades] == [
        (str(m["t"]), float(m["p"]), float(m["q"]), "sell" if m["m"] else "buy", m["T"] * 1_000_000) for m in file.trades
    ]
    quotes = [e for e in events if isinstance(e, Quote) and e.origin == "venue"]
    assert [(q.seq, *touch(q)) for q in quotes] == [
        (m["u"], float(m["b"]), float(m["B"]), float(m["a"]), float(m["A"])) for m in file.tickers
    ]
    diffs = [e for e in events if isinstance(e, BookUpdate) and not e.snapshot]
    wanted = [file.messages[i] for i in file.diffs if file.messages[i]["u"] in touches(shared_frames, venue)]
    assert [(e.seq, e.bids, e.asks) for e in diffs] == [
        (m["u"], *([(float(p), float(s)) for p, s in m[side]] for side in ("b", "a"))) for m in wanted
    ]


def test_metrics_follow_from_the_touch(played: tuple[list[Event], Pipeline]) -> None:
    quotes = {q.seq: q for q in played[0] if isinstance(q, Quote) and q.origin == "book"}
    metrics = [e for e in played[0] if isinstance(e, Metrics)]
    assert [m.seq for m in metrics] == list(quotes)
    for m in metrics:
        bid, bid_size, ask, ask_size = touch(quotes[m.seq])
        assert m.mid == (bid + ask) / 2
        assert m.spread == pytest.approx(ask - bid, abs=1e-9)
        assert m.spread_bps == pytest.approx((ask - bid) / m.mid * 1e4)
        assert m.microprice == pytest.approx(bid + (ask - bid) * bid_size / (bid_size + ask_size), rel=1e-12)
        assert -1 <= m.imbalance <= 1


def test_imbalance_is_of_five_levels_a_side(shared_frames: Path, venue: str, played: tuple[list[Event], Pipeline]) -> None:
    made = {e.seq: e.imbalance for e in played[0] if isinstance(e, Metrics)}
    for n, (diff, book) in enumerate(recording(shared_frames, venue).books()):
        if n % 50 == 0:
            bids = sum(float(book.sides[0][p]) for p in sorted(book.sides[0])[-5:])
            asks = sum(float(book.sides[1][p]) for p in sorted(book.sides[1])[:5])
            assert made[diff["u"]] == pytest.approx((bids - asks) / (bids + asks))


@pytest.mark.parametrize("interval", INTERVALS)
def test_bars_equal_a_group_by_over_the_trades(
    shared_frames: Path, venue: str, played: tuple[list[Event], Pipeline], interval: str
) -> None:
    rows = [(m["T"] * 1_000_000, m["p"], m["q"], not m["m"]) for m in recording(shared_frames, venue).trades]
    bars = {e.ts_open: e for e in played[0] if isinstance(e, Bar) and e.interval == interval}
    wanted = grouped(rows, interval)
    assert {start: told(bar) for start, bar in bars.items()} == wanted
    complete = {start: bar.complete for start, bar in bars.items() if start != max(wanted)}  # the last may still fill
    assert complete == {start: start > min(wanted) for start in wanted if start != max(wanted)}
