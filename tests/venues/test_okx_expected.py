"""Raw messages with the result that an independent, maintained mapper gives for them (`frames/expected/okex*.jsonl`), and the vectors of
the book's checksum.

The lines of one `instance` are fed in `seq` order to one pipeline. Where Tapeline says something else on purpose:

    `table` messages      of the v3 feed, which was retired: not decoded, and counted by name
    tickers               the mapper makes a quote of their best bid and offer; we give the 24-hour figures, and take quotes from
                          `bbo-tbt`. Its derivative ticker is one running sum of last price, mark, index, funding and interest; each
                          of our tickers has the figures of its own message
    bbo-tbt               the mapper's older version (instance 11) ignores it
    index-tickers         an index is no instrument here: counted
    a book update without its snapshot   the mapper gives it out; so do we, flagged BOOK_UNPROVEN
    snapshots with a checksum that is wrong   these are cut examples: the mapper does not look, we say so and mark the book
"""

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from tapeline.clock import parse_iso
from tapeline.engine.pipeline import Pipeline
from tapeline.events import BookUpdate, Event, Flag, Quote, Ticker, Trade
from tapeline.venues.okx import Okx, checksum
from tests.engine.feeds import opened, play, recv, statuses

EXCHANGES = ("okex", "okex-swap")


def instances(frames: Path, exchange: str) -> list[list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for line in (frames / "expected" / f"{exchange}.jsonl").read_text().splitlines():
        entry = json.loads(line)
        found[entry["instance"]].append(entry)
    return [sorted(lines, key=lambda e: e["seq"]) for lines in found.values()]


def lines(frames: Path, exchange: str) -> list[tuple[dict[str, Any], list[Event], Pipeline]]:
    """Each line, the events that it makes, and the pipeline of its instance."""
    found = []
    for entries in instances(frames, exchange):
        pipeline = Pipeline()
        play([opened(parse_iso(entries[0]["local_timestamp"]), venue="okx", streams=())], pipeline)
        for entry in entries:
            events = play([recv(parse_iso(entry["local_timestamp"]), entry["raw"])], pipeline)
            found.append((entry, events, pipeline))
    return found


def native(instrument: str) -> str:
    return instrument.partition(":")[2].replace("PERP", "SWAP")


@pytest.mark.parametrize(("exchange", "count"), [("okex", 2), ("okex-swap", 1)])
def test_trades(shared_frames: Path, exchange: str, count: int) -> None:
    compared = 0
    for entry, events, _ in lines(shared_frames, exchange):
        if "table" in entry["raw"]:
            continue
        wanted = [
            (
                e["symbol"],
                e["id"],
                e["price"],
                e["amount"],
                e["side"],
                parse_iso(e["timestamp"]),
                parse_iso(e["localTimestamp"]),
            )
            for e in entry["expected"]
            if e["type"] == "trade"
        ]
        made = [
            (native(e.instrument), e.id, e.price, e.size, e.side, e.ts_event, e.ts_recv) for e in events if isinstance(e, Trade)
        ]
        assert made == wanted, entry["raw"]
        compared += len(made)
    assert compared == count


def test_quotes(shared_frames: Path) -> None:
    compared = 0
    for entry, events, _ in lines(shared_frames, "okex-swap"):
        made = [e for e in events if isinstance(e, Quote) and e.origin == "venue"]
        if entry["raw"].get("arg", {}).get("channel") != "bbo-tbt":
            assert made == []
            continue
        (quote,) = made
        assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == (38632.3, 990.0, 38632.4, 727.0)
        for e in entry["expected"]:
            assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == (
                e["bidPrice"], e["bidAmount"], e["askPrice"], e["askAmount"],
            )  # fmt: skip
            assert quote.ts_event == parse_iso(e["timestamp"])
            compared += 1
    assert compared == 1


def test_books(shared_frames: Path) -> None:
    """Levels and times of every book message; what they prove is another matter."""
    compared = 0
    for exchange in EXCHANGES:
        for entry, events, _ in lines(shared_frames, exchange):
            wanted = [e for e in entry["expected"] if e["type"] == "book_change" and "arg" in entry["raw"]]
            made = [e for e in events if isinstance(e, BookUpdate)]
            assert len(made) == len(wanted)
            for mine, theirs in zip(made, wanted, strict=True):
                for side in ("bids", "asks"):
                    assert getattr(mine, side) == [(lv["price"], lv["amount"]) for lv in theirs[side]]
                assert (mine.snapshot, mine.ts_event) == (theirs["isSnapshot"], parse_iso(theirs["timestamp"]))
                assert native(mine.instrument) == theirs["symbol"]
                assert mine.flags & Flag.BOOK_UNPROVEN
                compared += 1
    assert compared == 3


def test_what_the_mapper_folds_into_a_derivative_ticker(shared_frames: Path) -> None:
    """Every figure that a message itself carries equals the mapper's running ticker after it."""
    names = {"last": "lastPrice", "open_interest": "openInterest", "mark": "markPrice", "funding_rate": "fundingRate"}
    compared: Counter[str] = Counter()
    for entry, events, _ in lines(shared_frames, "okex-swap"):
        if "arg" not in entry["raw"]:
            continue
        for wanted in (e for e in entry["expected"] if e["type"] == "derivative_ticker"):
            (made,) = (e for e in events if isinstance(e, Ticker))
            told = {theirs: v for mine, theirs in names.items() if (v := getattr(made, mine)) is not None}
            assert {k: wanted[k] for k in told} == told
            if made.next_funding is not None:
                assert made.next_funding == parse_iso(wanted["fundingTimestamp"])
            compared[entry["raw"]["arg"]["channel"]] += 1
    assert compared == {"funding-rate": 2, "tickers": 5, "mark-price": 1, "open-interest": 1}


def test_the_deliberate_differences(shared_frames: Path) -> None:
    """So that a change of mind on either side shows: what the mapper knows and we count, and what we say where it is silent."""
    unknown: Counter[str] = Counter()
    talk = []
    for exchange in EXCHANGES:
        seen = set()
        for entry, events, pipeline in lines(shared_frames, exchange):
            said = {type(e).__name__ for e in events if type(e).__name__ not in {"Status", "BookUpdate", "Bar"}}
            if said and not entry["expected"]:
                talk.append((entry["raw"]["arg"]["channel"], said))
            if id(pipeline) not in seen:
                seen.add(id(pipeline))
                (feed,) = pipeline.feeds.values()
                unknown.update(feed.decoder.unknown)
            assert pipeline.rejected == pipeline.faults == 0
    assert talk == [("bbo-tbt", {"Quote"})]
    assert unknown == {
        "v3 spot/trade": 2, "v3 spot/depth": 1, "v3 spot/ticker": 3, "v3 spot/depth_l2_tbt": 1,
        "v3 swap/trade": 2, "v3 swap/depth": 2, "v3 swap/ticker": 3, "v3 swap/funding_rate": 1, "v3 swap/mark_price": 1,
        "v3 swap/depth_l2_tbt": 2, "v3 swap/liquidation": 2, "index-tickers": 4,
    }  # fmt: skip


def test_contracts_of_unknown_value_are_named_once_an_instance(shared_frames: Path) -> None:
    named = [
        s.instrument
        for _, events, _ in lines(shared_frames, "okex-swap")
        for s in statuses(events, "rejected", channel="instruments")
    ]
    assert Counter(named) == {
        "okx:REN-USDT-PERP": 1, "okx:WNCG-USDT-PERP": 2, "okx:BTC-USDT-PERP": 2, "okx:SOS-USDT-PERP": 1, "okx:BTC-USDC-PERP": 2,
    }  # fmt: skip


# Checksums


def test_the_checksum_vectors(shared_frames: Path) -> None:
    """One book of four messages, the checksum after each; its text is given, so that the order of levels shows, too."""
    sides: tuple[dict[float, tuple[str, str]], dict[float, tuple[str, str]]] = ({}, {})
    vectors = json.loads((shared_frames / "expected" / "okx_checksum_vectors.json").read_text())
    for vector in vectors:
        row = json.loads(vector["raw"])["data"][0]
        for side, key in zip(sides, ("bids", "asks"), strict=True):
            for price, size, *_ in row[key]:
                side.pop(float(price), None)
                if float(size):
                    side[float(price)] = (price, size)
        bids = [sides[0][p] for p in sorted(sides[0], reverse=True)][:25]
        asks = [sides[1][p] for p in sorted(sides[1])][:25]
        assert ":".join(f"{b[0]}:{b[1]}:{a[0]}:{a[1]}" for b, a in zip(bids, asks, strict=True)) == vector["checksum_string"]
        assert checksum(bids, asks) == vector["checksum"]
    assert len(vectors) == 4


@pytest.mark.parametrize(
    ("bids", "asks", "text"),
    [
        ([("3366.1", "7"), ("3366", "6")], [("3366.8", "9"), ("3368", "8")], "3366.1:7:3366.8:9:3366:6:3368:8"),
        ([("3366.1", "7")], [("3366.8", "9"), ("3368", "8"), ("3372", "8")], "3366.1:7:3366.8:9:3368:8:3372:8"),
        ([("3366.1", "7"), ("3366", "6")], [], "3366.1:7:3366:6"),
    ],
)
def test_the_documents_strings(bids: Any, asks: Any, text: str) -> None:
    """The document prints the strings without their sums; CRC32 as zlib has it, made signed."""
    import zlib

    value = zlib.crc32(text.encode())
    assert checksum(bids, asks) == (value if value < 2**31 else value - 2**32)


def test_the_vectors_through_the_pipeline(shared_frames: Path) -> None:
    """In order they are one book; without the second the third's checksum is wrong, and that is a gap."""
    raws = [v["raw"].encode() for v in json.loads((shared_frames / "expected" / "okx_checksum_vectors.json").read_text())]
    start = 1652459225_000_000_000
    good = play([opened(start, venue="okx", streams=()), *(recv(start + i, raw) for i, raw in enumerate(raws))])
    assert [s.kind for s in statuses(good, channel="book")] == ["synced"]
    pipeline = Pipeline()
    bad = play([opened(start, venue="okx", streams=()), *(recv(start + i, raws[i]) for i in (0, 2, 3))], pipeline)
    assert [s.kind for s in statuses(bad, channel="book")] == ["synced", "gap", "resyncing"]
    assert "checksum" in statuses(bad, "gap")[0].reason
    assert len(pipeline.requests) == 1
    assert Okx.book_checksum is not None and Okx.book_checksum.levels == 25
