"""Raw messages with the result that an independent, maintained mapper gives for them (`frames/expected/binance*.jsonl`).

The mapper is stateful: the lines of one `instance` are fed in `seq` order to one pipeline. Where Tapeline says something else
on purpose, the difference is named here:

    aggTrade             the mapper ignores it, as it reads `trade`; we give a trade flagged AGGREGATED
    24hrTicker           the mapper folds last price, mark, index, funding and interest into one running derivative ticker, and for
                         spot drops the ticker; we give each message's own figures and leave the rest null. It says nothing of
                         an older ticker that repeats the last price; we give what the venue sent
    depth before the snapshot   the mapper merges the buffered diffs into its snapshot event; we give the snapshot, then the diffs:
                         the books that result are compared
    snapshot's time      both take the receive time where the venue gives none
    a crossed book       the futures' first snapshot is made up (best bid 8488.36, best ask 4095.99). The mapper does not look; we
                         report it as crossed, ask for another and have no book until then. So it is not compared
    X = INSURANCE_FUND   both drop it
    a second instrument that begins in one instance   nothing is shared between instruments
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tapeline.clock import parse_iso
from tapeline.engine.pipeline import Pipeline
from tapeline.events import BookUpdate, Event, Flag, Liquidation, Quote, Ticker, Trade
from tapeline.frames import Frame
from tests.engine.feeds import book_updates, opened, play, recv, statuses

VENUES = {"binance": "binance", "binance-futures": "binance-usdm"}


def instances(frames: Path, exchange: str) -> list[list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for line in (frames / "expected" / f"{exchange}.jsonl").read_text().splitlines():
        entry = json.loads(line)
        found[entry["instance"]].append(entry)
    return [sorted(lines, key=lambda e: e["seq"]) for lines in found.values()]


def received(entry: dict[str, Any]) -> Frame:
    return recv(parse_iso(entry["local_timestamp"]), entry["raw"])


def run(lines: list[dict[str, Any]], venue: str) -> list[list[Event]]:
    """The events of each line."""
    first = parse_iso(lines[0]["local_timestamp"])
    pipeline = Pipeline()
    play([opened(first, venue=venue, streams=())], pipeline)
    return [play([received(e)], pipeline) for e in lines]


def common(event: Event) -> tuple[int, int]:
    return event.ts_event, event.ts_recv


def normalised(e: dict[str, Any]) -> tuple[Any, ...]:
    times = parse_iso(e["timestamp"]), parse_iso(e["localTimestamp"])
    match e["type"]:
        case "trade":
            return ("trade", *times, e["id"], e["price"], e["amount"], e["side"])
        case "book_ticker":
            return ("quote", *times, e["bidPrice"], e["bidAmount"], e["askPrice"], e["askAmount"])
        case "liquidation":
            return ("liquidation", *times, e["price"], e["amount"], e["side"])
    return ()


def ours(event: Event) -> tuple[Any, ...]:
    match event:
        case Trade():
            return ("trade", *common(event), event.id, event.price, event.size, event.side)
        case Quote(origin="venue"):
            return ("quote", *common(event), event.bid, event.bid_size, event.ask, event.ask_size)
        case Liquidation():
            return ("liquidation", *common(event), event.price, event.size, event.side)
    return ()


@pytest.mark.parametrize("exchange", VENUES)
def test_trades_quotes_and_liquidations(shared_frames: Path, exchange: str) -> None:
    compared = 0
    for lines in instances(shared_frames, exchange):
        for entry, events in zip(lines, run(lines, VENUES[exchange]), strict=True):
            wanted = [n for e in entry["expected"] if (n := normalised(e))]
            made = [o for e in events if not e.flags & Flag.AGGREGATED and (o := ours(e))]
            assert made == wanted, entry["raw"]
            compared += len(wanted)
    assert compared == {"binance": 3, "binance-futures": 4}[exchange]


def test_what_the_mapper_folds_into_a_derivative_ticker(shared_frames: Path) -> None:
    """Every figure that a message itself carries equals the mapper's running ticker after it."""
    names = {
        "last": "lastPrice",
        "open_interest": "openInterest",
        "mark": "markPrice",
        "index": "indexPrice",
        "funding_rate": "fundingRate",
    }
    compared = 0
    for lines in instances(shared_frames, "binance-futures"):
        for entry, events in zip(lines, run(lines, "binance-usdm"), strict=True):
            tickers = [e for e in events if isinstance(e, Ticker)]
            for wanted in (e for e in entry["expected"] if e["type"] == "derivative_ticker"):
                (made,) = tickers
                told = {theirs: v for mine, theirs in names.items() if (v := getattr(made, mine)) is not None}
                assert told, entry["raw"]
                assert {k: wanted[k] for k in told} == told
                if made.next_funding is not None:
                    assert made.next_funding == parse_iso(wanted["fundingTimestamp"])
                if not made.flags & Flag.NO_VENUE_TIME:
                    assert made.ts_event == parse_iso(wanted["timestamp"])
                compared += 1
    assert compared == 5


Books = dict[str, tuple[dict[float, float], dict[float, float]]]


def fold(books: Books, symbol: str, bids: Any, asks: Any, *, whole: bool) -> None:
    sides = ({}, {}) if whole else books.setdefault(symbol, ({}, {}))
    for side, changes in zip(sides, (bids, asks), strict=True):
        for price, size in changes:
            if size:
                side[price] = size
            else:
                side.pop(price, None)
    books[symbol] = sides


def without(books: Books, names: set[str]) -> Books:
    return {name: book for name, book in books.items() if name not in names}


@pytest.mark.parametrize("exchange", VENUES)
def test_the_books_that_result_are_equal(shared_frames: Path, exchange: str) -> None:
    compared, crossed = 0, 0
    for lines in instances(shared_frames, exchange):
        theirs: Books = {}
        mine: Books = {}
        worthless: set[str] = set()
        for entry, events in zip(lines, run(lines, VENUES[exchange]), strict=True):
            assert not statuses(events, "rejected")
            assert not statuses(events, "gap", channel="book")
            worthless |= {
                e.instrument.rpartition(":")[2].replace("-", "").removesuffix("PERP") for e in statuses(events, "crossed")
            }
            for e in entry["expected"]:
                if e["type"] == "book_change":
                    sides = [[(lv["price"], lv["amount"]) for lv in e[side]] for side in ("bids", "asks")]
                    fold(theirs, e["symbol"], *sides, whole=e["isSnapshot"])
                    compared += 1
            for update in book_updates(events):
                native = entry["raw"]["data"].get("s") or entry["raw"]["stream"].partition("@")[0].upper()
                fold(mine, native, update.bids, update.asks, whole=update.snapshot)
            assert without(mine, worthless) == without(theirs, worthless), entry["raw"]
        crossed += len(worthless)
    assert (compared, crossed) == {"binance": (4, 0), "binance-futures": (3, 1)}[exchange]


def test_the_deliberate_differences(shared_frames: Path) -> None:
    """So that a change of mind on either side shows: these are all the lines on which the mapper is silent and we are not."""
    talk = []
    for exchange, venue in VENUES.items():
        for lines in instances(shared_frames, exchange):
            for entry, events in zip(lines, run(lines, venue), strict=True):
                said = sorted(
                    {type(e).__name__ for e in events if not isinstance(e, BookUpdate) and type(e).__name__ != "Status"}
                )
                if said and not entry["expected"]:
                    talk.append((entry["raw"]["stream"], said))
    assert talk == [("dogebnb@ticker", ["Ticker"]), ("btcusdt@aggTrade", ["Trade"]), ("btcusdt@ticker", ["Ticker"])]
