"""The recorded session of 2022-05-13 (30 s, three instruments) through the pipeline: lists, subscriptions, acknowledgements, books.

Its books have no sequence numbers, but a checksum each: 290 of them, all right. Beside that stands a second implementation, in the
plainest Python, that shares nothing with Tapeline.
"""

import gzip
import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tapeline.engine.pipeline import Pipeline
from tapeline.events import BookUpdate, Event, Flag, Quote, Status, Ticker, Trade
from tapeline.frames import Frame, FrameKind
from tests.engine.feeds import answer, opened, play, recv, statuses

NAMES = {"BTC-USD-220527": "okx:BTC-USD-220527", "UNI-USD-SWAP": "okx:UNI-USD-PERP", "BTC-USDT": "okx:BTC-USDT"}

REPEATED = {"7849": "26 s old", "12883020": "10 s old"}


@cache
def entries(frames: Path) -> list[dict[str, Any]]:
    raw = gzip.decompress((frames / "recorded" / "okx" / "v5_20220513.jsonl.gz").read_bytes())
    return [json.loads(line) for line in raw.splitlines()]


def session(frames: Path, *, listed: bool = True) -> list[Frame]:
    """What crossed the wire, the lists of options left out as they are never asked for."""
    made: list[Frame] = []
    for e in entries(frames):
        ts = round(e.get("ts", 0) * 1e6) * 1000
        if e["t"] == "http" and listed and "OPTION" not in e["url"]:
            made.append(answer(ts, e["data"].encode(), venue="okx", purpose="instruments", native="", url=e["url"]))
        elif e["t"] == "connect":
            made.append(opened(ts, venue="okx", streams=[f"{c}:{n}" for c in ("tickers", "trades", "books") for n in NAMES]))
        elif e["t"] == "send":
            made.append(Frame(ts, FrameKind.SENT, 1, e["data"].encode()))
        elif e["t"] == "recv":
            made.append(recv(ts, e["data"].encode()))
    return made


@pytest.fixture(scope="module")
def played(shared_frames: Path) -> tuple[list[Event], Pipeline]:
    pipeline = Pipeline()
    return play(session(shared_frames), pipeline), pipeline


def messages(frames: Path, channel: str) -> list[dict[str, Any]]:
    found = [json.loads(e["data"]) for e in entries(frames) if e["t"] == "recv"]
    return [m for m in found if "data" in m and m["arg"]["channel"] == channel]


def test_every_checksum_is_right_and_no_book_is_crossed(shared_frames: Path, played: tuple[list[Event], Pipeline]) -> None:
    """A wrong one would be a gap, and the book begun anew."""
    events, pipeline = played
    books = [m for m in messages(shared_frames, "books") if m["data"][0]["checksum"]]
    assert len(books) == len([e for e in events if isinstance(e, BookUpdate)]) == 290
    rested = ("stale", "ticker")  # one of the two contracts was not traded for ten seconds
    assert [(s.kind, s.channel) for s in statuses(events)] == [("connected", ""), *[("synced", "book")] * 3, rested]
    assert all(not n for n in pipeline.stats().values())
    assert not any(e.flags & Flag.BOOK_UNPROVEN for e in events)


def test_every_touch_and_the_whole_books_equal_the_plain_ones(
    shared_frames: Path, played: tuple[list[Event], Pipeline]
) -> None:
    plain: dict[str, tuple[dict[float, float], dict[float, float]]] = {}
    touches = []
    for m in messages(shared_frames, "books"):
        native, row = m["arg"]["instId"], m["data"][0]
        if m["action"] == "snapshot":
            plain[native] = ({}, {})
        for side, key in zip(plain[native], ("bids", "asks"), strict=True):
            for price, size, *_ in row[key]:
                side[float(price)] = float(size)
                if not float(size):
                    del side[float(price)]
        bids, asks = plain[native]
        touches.append((NAMES[native], max(bids), bids[max(bids)], min(asks), asks[min(asks)]))
    quotes = [e for e in played[0] if isinstance(e, Quote)]
    assert [(q.instrument, q.bid, q.bid_size, q.ask, q.ask_size) for q in quotes] == touches
    for native, name in NAMES.items():
        book = played[1].lanes[name].sync.book
        assert (book.bids, book.asks) == plain[native]


def test_a_book_keeps_itself_to_400_levels(shared_frames: Path, played: tuple[list[Event], Pipeline]) -> None:
    """Why nothing is cut and nothing renewed: the venue tells of levels that leave the 400, and of those that enter."""
    book = played[1].lanes["okx:BTC-USDT"].sync.book
    assert (len(book.bids), len(book.asks)) == (400, 400)
    assert len(book.depth(1000)[0]) == 400


def test_trades_and_tickers(shared_frames: Path, played: tuple[list[Event], Pipeline]) -> None:
    trades = [e for e in played[0] if isinstance(e, Trade)]
    pushed = [row for m in messages(shared_frames, "trades") for row in m["data"]]
    assert len(pushed) == 74
    rows = [r for i, r in enumerate(pushed) if r["tradeId"] not in REPEATED]  # the last trades of before the subscription
    assert len(rows) == 72
    assert [(t.id, t.price, t.size, t.side, t.ts_event, t.instrument) for t in trades] == [
        (r["tradeId"], float(r["px"]), float(r["sz"]), r["side"], int(r["ts"]) * 1_000_000, NAMES[r["instId"]]) for r in rows
    ]
    tickers = [e for e in played[0] if isinstance(e, Ticker)]
    assert [t.last for t in tickers] == [float(m["data"][0]["last"]) for m in messages(shared_frames, "tickers")]


def test_each_subscription_was_answered(played: tuple[list[Event], Pipeline]) -> None:
    """The recorder asked for nine streams in three messages that repeat one another, without ids: eighteen answers."""
    (connection,) = played[1].connections.values()
    assert connection.pending == {}
    assert all(s.acked for s in connection.silences.values())


def test_the_lists(played: tuple[list[Event], Pipeline]) -> None:
    """500-odd rows of three lists, each kind with what one contract is worth."""
    registry = next(iter(played[1].feeds.values())).registry
    linear, inverse = registry.by_id["okx:BTC-USDT-PERP"], registry.by_id["okx:BTC-USD-220527"]
    assert (linear.contract_size, linear.inverse, linear.lot, linear.tick, linear.kind) == (0.01, False, 0.01, 0.1, "perpetual")
    assert (inverse.contract_size, inverse.inverse, inverse.lot, inverse.kind) == (100.0, True, 1.0, "future")
    assert registry.by_id["okx:DOGE-USDT-PERP"].contract_size == 1000.0
    spot = registry.by_id["okx:BTC-USDT"]
    assert (spot.lot, spot.tick, spot.base, spot.quote, spot.status) == (1e-08, 0.1, "BTC", "USDT", "live")
    assert Counter(i.kind for i in registry.by_id.values())["option"] == 0


def test_a_removed_update_is_found(shared_frames: Path) -> None:
    """By its checksum, at the next message, for each instrument: the book is invalid until the stream begins anew."""
    for native, name in NAMES.items():
        frames = session(shared_frames)
        updates = [
            i for i, f in enumerate(frames) if b'"action":"update"' in f.data and f'"instId":"{native}"'.encode() in f.data
        ]
        del frames[updates[3]]
        pipeline = Pipeline()
        told = [s for s in statuses(play(frames, pipeline), channel="book") if s.instrument == name]
        assert [s.kind for s in told] == ["synced", "gap", "resyncing"]
        assert "checksum" in told[1].reason
        assert [r.attempt for r in pipeline.requests] == [0]


def test_without_the_lists_what_is_in_contracts_says_so(shared_frames: Path) -> None:
    events = play(session(shared_frames, listed=False))
    said = statuses(events, "rejected")
    assert [s.instrument for s in said] == ["okx:BTC-USD-220527", "okx:UNI-USD-PERP"]
    assert all("contracts" in s.reason for s in said)
    assert sum(isinstance(e, BookUpdate) for e in events) == 290
    assert not any(isinstance(e, Status) and e.kind == "gap" for e in events)
