"""Fifty real frames of `orderbook.500.XRPUSDT` (2024-12-01), against a book of dictionaries.

The venue keeps 500 levels a side: each message removes by name what it pushes out, so the plain book has 500 after every one, and
so must Tapeline's, whose known range moves with them.
"""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tapeline.engine.lines import decode_lines
from tapeline.engine.pipeline import Pipeline
from tapeline.events import BookUpdate, Event, Quote
from tapeline.venues.bybit import Bybit
from tests.engine.feeds import book_quotes, statuses

NAME = "bybit:XRP-USDT-PERP"


@pytest.fixture(scope="module")
def lines(shared_frames: Path) -> list[bytes]:
    with zipfile.ZipFile(shared_frames / "recorded" / "bybit" / "xrpusdt-ob500.data.zip") as archive:
        (name,) = archive.namelist()
        return archive.read(name).splitlines()


def played(lines: list[bytes], source: str = "xrpusdt-ob500.data") -> tuple[list[Event], Pipeline]:
    pipeline = Pipeline()
    return list(decode_lines(Bybit(), lines, source, pipeline)), pipeline


def plain(lines: list[bytes]) -> Iterator[tuple[dict[str, Any], dict[float, float], dict[float, float]]]:
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}
    for line in lines:
        message = json.loads(line)
        for side, key in ((bids, "b"), (asks, "a")):
            for price, size in message["data"][key]:
                if float(size):
                    side[float(price)] = float(size)
                else:
                    del side[float(price)]  # it was there: the venue removes what it has told
        yield message, bids, asks


def test_the_venue_keeps_500_levels_a_side(lines: list[bytes]) -> None:
    assert [(len(bids), len(asks)) for _, bids, asks in plain(lines)] == [(500, 500)] * 50


def test_every_touch_is_right_and_nothing_else_is_said(lines: list[bytes]) -> None:
    events, pipeline = played(lines)
    touches = [(m["data"]["u"], m["cts"] * 1_000_000, max(b), b[max(b)], min(a), a[min(a)]) for m, b, a in plain(lines)]
    assert [(q.seq, q.ts_event, q.bid, q.bid_size, q.ask, q.ask_size) for q in book_quotes(events)] == touches
    assert [s.kind for s in statuses(events)] == ["connected", "synced"]
    assert {e.instrument for e in events if isinstance(e, BookUpdate | Quote)} == {NAME}
    assert all(not n for n in pipeline.stats().values())


def test_the_whole_book_is_right_and_known_to_its_last_level(lines: list[bytes]) -> None:
    _, pipeline = played(lines)
    *_, (_, bids, asks) = plain(lines)
    book = pipeline.lanes[NAME].sync.book
    assert (book.bids, book.asks) == (bids, asks)
    assert book.depth(1000) == (sorted(bids.items(), reverse=True), sorted(asks.items()))
    assert (book.bid_floor, book.ask_ceiling) == (min(bids), max(asks))


@pytest.mark.parametrize("lost", [1, 25, 48])
def test_a_removed_update_is_found(lines: list[bytes], lost: int) -> None:
    events, pipeline = played(lines[:lost] + lines[lost + 1 :])
    (gap,) = statuses(events, "gap")
    seq = json.loads(lines[lost])["data"]["u"]
    assert (gap.instrument, gap.channel, gap.from_seq, gap.to_seq, gap.count) == (NAME, "book", seq, seq, 1)
    assert len(book_quotes(events)) == lost
    assert pipeline.stats()["gaps"] == 1


def test_the_path_of_a_recording_tells_the_category(lines: list[bytes]) -> None:
    for source, name in (("spot/x.gz", "bybit:XRP-USDT"), ("data-LINEAR.zip", NAME), ("spotless/x", NAME)):
        events, _ = played(lines[:2], source)
        assert {q.instrument for q in book_quotes(events)} == {name}
