"""Raw messages with the result that an independent, maintained mapper gives for them (`frames/expected/kraken.jsonl`), v1 and v2.

Where Tapeline says something else on purpose, the difference is named here:

    symbols              the mapper keeps v1's names (XBT/EUR); we give ours (kraken:BTC-EUR)
    a zero quote         the mapper drops a spread or ticker of zeros; we give a quote whose sides are None: the book is empty
    the line with a `null`   made up: the mapper takes "book-1000" for its symbol (the file's own note); the book is compared
    updates before a snapshot   the mapper gives them out; so do we, flagged BOOK_UNPROVEN
    a wrong checksum     the mapper checks none; `123456` is made up, so that the book is given out unproven, with a gap
"""

import json
from pathlib import Path
from typing import Any

from tapeline.clock import parse_iso
from tapeline.engine.pipeline import Pipeline
from tapeline.events import BookUpdate, Event, Flag, Quote, Trade
from tests.engine.feeds import opened, play, recv, statuses


def ours(event: Event) -> tuple[Any, ...] | None:
    times = event.ts_event, event.ts_recv
    match event:
        case Trade():
            return ("trade", event.instrument, *times, event.id, event.price, event.size, event.side)
        case Quote(origin="venue") if event.bid is not None or event.ask is not None:
            return ("quote", event.instrument, *times, event.bid, event.bid_size, event.ask, event.ask_size)
        case BookUpdate():
            return ("book", event.instrument, *times, event.snapshot, event.bids, event.asks)
    return None


def theirs(e: dict[str, Any], symbol: str) -> tuple[Any, ...]:
    name = f"kraken:{symbol.replace('XBT', 'BTC').replace('/', '-')}"
    times = parse_iso(e["timestamp"]), parse_iso(e["localTimestamp"])
    match e["type"]:
        case "trade":
            return ("trade", name, *times, e["id"] or "", e["price"], e["amount"], e["side"])
        case "book_ticker":
            return ("quote", name, *times, e["bidPrice"], e["bidAmount"], e["askPrice"], e["askAmount"])
    sides = ([(level["price"], level["amount"]) for level in e[side]] for side in ("bids", "asks"))
    return ("book", name, *times, e["isSnapshot"], *sides)


def test_every_line(shared_frames: Path) -> None:
    """One pipeline an instance, as the mapper keeps its state."""
    lines = [json.loads(line) for line in (shared_frames / "expected" / "kraken.jsonl").read_text().splitlines()]
    pipelines: dict[int, Pipeline] = {}
    for entry in sorted(lines, key=lambda e: (e["instance"], e["seq"])):
        ts = parse_iso(entry["local_timestamp"])
        if entry["instance"] not in pipelines:
            pipelines[entry["instance"]] = Pipeline()
            play([opened(ts, venue="kraken", streams=())], pipelines[entry["instance"]])
        events = play([recv(ts, entry["raw"])], pipelines[entry["instance"]])
        symbol = entry["raw"][-1] if isinstance(entry["raw"], list) else ""
        wanted = [theirs(e, symbol or e["symbol"]) for e in entry["expected"]]
        assert [found for e in events if (found := ours(e)) is not None] == wanted, entry["raw"]
        assert not statuses(events, "rejected")
    assert len(lines) == 14
    assert len(pipelines) == 2


def test_the_made_up_checksum_is_found_wrong(shared_frames: Path) -> None:
    lines = [json.loads(line) for line in (shared_frames / "expected" / "kraken.jsonl").read_text().splitlines()]
    (entry,) = [e for e in lines if "123456" in json.dumps(e["raw"]) and "AAPLx" in json.dumps(e["raw"])]
    ts = parse_iso(entry["local_timestamp"])
    events = play([opened(ts, venue="kraken", streams=()), recv(ts, entry["raw"])])
    assert [s.kind for s in statuses(events)] == ["connected", "gap", "resyncing"]
    assert [e.flags & Flag.BOOK_UNPROVEN for e in events if isinstance(e, BookUpdate)] == [Flag.BOOK_UNPROVEN]


def test_quotes_without_a_side() -> None:
    """What the mapper drops: here it is told that nobody stands there."""
    raw = [545, ["0.000000000", "0.000000000", "0.000000", "0.00000000", "0.00000000"], "spread", "LINK/ETH"]
    (quote,) = [e for e in play([opened(venue="kraken", streams=()), recv(1_800_000_000 * 10**9, raw)]) if isinstance(e, Quote)]
    assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == (None, None, None, None)
    assert quote.flags & Flag.BAD_TIME
