"""Coinbase Exchange's recorded session (10 products, 30 s of 2021) through the pipeline, against the plainest program that could read it.

A feed without numbers proves nothing but its order, so the oracle is a second implementation: dictionaries, the wire's texts, each
level set to its size. What the venue tells beside the book agrees as well: no book is crossed after any of the 9,719 updates, and
tickers, whose side is the taker's, contradict the maker's side of the match with their trade id, every time.
"""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tapeline.clock import parse_iso
from tapeline.engine.lines import decode_lines
from tapeline.engine.pipeline import Pipeline
from tapeline.events import BookUpdate, Event, Flag, Quote, Status, Ticker, Trade
from tapeline.venues.registry import venue_class
from tests.engine.feeds import play, recv

FILE = "coinbase-exchange/products10_20210417.jsonl.gz"
UPDATES, MATCHES, TICKERS, PRODUCTS = 9719, 97, 107, 10


@cache
def lines(frames: Path) -> list[tuple[int, dict[str, Any]]]:
    """(receive time in ns, message) of each message."""
    entries = [json.loads(line) for line in gzip.decompress((frames / "recorded" / FILE).read_bytes()).splitlines()]
    return [(round(e["ts"] * 1e9), json.loads(e["data"])) for e in entries if e["t"] == "recv"]


def raw(line: tuple[int, dict[str, Any]]) -> bytes:
    return b"%d %s" % (line[0], json.dumps(line[1]).encode())


@pytest.fixture(scope="module")
def played(shared_frames: Path) -> tuple[list[Event], Pipeline]:
    pipeline = Pipeline()
    return list(decode_lines(venue_class("coinbase")(), map(raw, lines(shared_frames)), FILE, pipeline)), pipeline


def books(frames: Path) -> Iterator[tuple[str, dict[str, dict[str, str]]]]:
    """(product, its book) after each snapshot and update: texts by text. One book a product, changed in place."""
    kept: dict[str, dict[str, dict[str, str]]] = {}
    for _, m in lines(frames):
        if m["type"] == "snapshot":
            kept[m["product_id"]] = {"buy": dict(m["bids"]), "sell": dict(m["asks"])}
            yield m["product_id"], kept[m["product_id"]]
        elif m["type"] == "l2update":
            book = kept[m["product_id"]]
            for side, price, size in m["changes"]:
                book[side][price] = size
                if float(size) == 0:
                    del book[side][price]
            yield m["product_id"], book


def touch(book: dict[str, dict[str, str]]) -> tuple[float, float, float, float]:
    bid, ask = max(book["buy"], key=float), min(book["sell"], key=float)
    return float(bid), float(book["buy"][bid]), float(ask), float(book["sell"][ask])


def test_every_touch_equals_the_plain_books_and_none_is_crossed(
    shared_frames: Path, played: tuple[list[Event], Pipeline]
) -> None:
    wanted = [(f"coinbase:{product}", touch(book)) for product, book in books(shared_frames)]
    quotes = [q for q in played[0] if isinstance(q, Quote) and q.origin == "book"]
    assert [(q.instrument, (q.bid, q.bid_size, q.ask, q.ask_size)) for q in quotes] == wanted
    assert len(wanted) == UPDATES + PRODUCTS
    assert all(bid < ask for _, (bid, _, ask, _) in wanted)


def test_the_whole_books_are_right_in_the_end(shared_frames: Path, played: tuple[list[Event], Pipeline]) -> None:
    last = dict(books(shared_frames))
    assert len(last) == PRODUCTS
    for product, plain in last.items():
        book = played[1].lanes[f"coinbase:{product}"].sync.book
        assert book.bids == {float(p): float(s) for p, s in plain["buy"].items()}
        assert book.asks == {float(p): float(s) for p, s in plain["sell"].items()}


def test_nothing_is_reported_but_the_books_beginning(played: tuple[list[Event], Pipeline]) -> None:
    events, pipeline = played
    assert Counter(e.kind for e in events if isinstance(e, Status)) == {"connected": 1, "synced": PRODUCTS}
    assert not any(pipeline.stats().values())
    assert Counter(type(e).__name__ for e in events if isinstance(e, BookUpdate | Trade | Ticker)) == {
        "BookUpdate": UPDATES + PRODUCTS,
        "Trade": MATCHES,
        "Ticker": TICKERS,
    }


def test_trades_bear_the_aggressors_side_and_the_last_match_is_none(
    shared_frames: Path, played: tuple[list[Event], Pipeline]
) -> None:
    matches = [m for _, m in lines(shared_frames) if m["type"] == "match"]
    other = {"buy": "sell", "sell": "buy"}
    assert [(e.id, e.price, e.size, e.side, e.ts_event) for e in played[0] if isinstance(e, Trade)] == [
        (str(m["trade_id"]), float(m["price"]), float(m["size"]), other[m["side"]], parse_iso(m["time"])) for m in matches
    ]
    takers = {m["trade_id"]: m["side"] for _, m in lines(shared_frames) if m["type"] == "ticker"}
    sides = {m["trade_id"]: m["side"] for _, m in lines(shared_frames) if m["type"] in {"match", "last_match"}}
    assert len(takers) == TICKERS
    assert all(sides[number] != side for number, side in takers.items())


def test_a_match_that_is_left_out_is_found_by_its_id(shared_frames: Path) -> None:
    """Each of one product's matches in turn; the one before is the `last_match`, so not even the first can be missed."""
    ids = [(i, m) for i, (_, m) in enumerate(lines(shared_frames)) if m["type"] == "match" and m["product_id"] == "SKL-USD"]
    assert len(ids) > 20
    for left_out, (index, m) in enumerate(ids[:20]):
        kept = [line for i, line in enumerate(lines(shared_frames)) if i != index and line[1]["type"] != "l2update"]
        events = list(decode_lines(venue_class("coinbase")(), map(raw, kept), FILE))
        found = [(e.kind, e.from_seq, e.to_seq) for e in events if isinstance(e, Status) and e.channel == "trades"]
        assert found == [("gap", m["trade_id"], m["trade_id"])], left_out


def test_an_update_that_is_left_out_cannot_be_found(shared_frames: Path) -> None:
    """Updates bear no numbers: docs/venues.md says so. It shows only where it leaves the book crossed."""
    kept = [line for i, line in enumerate(lines(shared_frames)) if line[1]["type"] != "l2update" or i % 100]
    pipeline = Pipeline()
    list(decode_lines(venue_class("coinbase")(), map(raw, kept), FILE, pipeline))
    assert not pipeline.stats()["gaps"]


def test_levels_that_the_venue_has_sent_with_impossible_sizes(shared_frames: Path) -> None:
    """Seen in 2020: `0.-10000`. Left out of a snapshot, taken off the book by an update."""
    pipeline = Pipeline()
    first = lines(shared_frames)[0][0]
    from tests.engine.feeds import opened

    play([opened(first, venue="coinbase", streams=())], pipeline)
    snapshot = {"type": "snapshot", "product_id": "YFI-USD", "bids": [["9", "1"], ["8", "0.-10000"]], "asks": [["10", "-2"]]}
    update = {
        "type": "l2update",
        "product_id": "YFI-USD",
        "changes": [["buy", "9", "0.-10000"], ["sell", "11", "3"]],
        "time": "",
    }
    whole, *_ = [e for e in play([recv(first, snapshot)], pipeline) if isinstance(e, BookUpdate)]
    assert (whole.bids, whole.asks) == ([(9.0, 1.0)], [])
    diff, *_ = [e for e in play([recv(first, update)], pipeline) if isinstance(e, BookUpdate)]
    assert (diff.bids, diff.asks, diff.flags) == ([(9.0, 0.0)], [(11.0, 3.0)], Flag.NO_VENUE_TIME)
    assert not pipeline.rejected
