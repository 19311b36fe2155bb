"""Raw messages with the result that an independent, maintained mapper gives for them (`frames/expected/coinbase.jsonl`).

Where Tapeline says something else on purpose:

    book before its snapshot   the mapper gives updates of products whose snapshot it never saw; we give them too, flagged
                               BOOK_UNPROVEN, with a status that says so
    ticker                     the mapper gives the touch; we give the touch and the 24-hour figures
    a time of year 1           both take the product's last time; we flag it BAD_TIME
    a time to come             two tickers of 2021 and 2022 bear a receive time of 2019, made up with the fixture: flagged BAD_TIME
"""

import json
from pathlib import Path
from typing import Any

from tapeline.clock import parse_iso
from tapeline.engine.pipeline import Pipeline
from tapeline.events import BookUpdate, Event, Flag, Quote, Ticker, Trade
from tests.engine.feeds import opened, play, recv


def normalised(e: dict[str, Any]) -> tuple[Any, ...]:
    times = parse_iso(e["timestamp"]), parse_iso(e["localTimestamp"])
    if e["type"] == "trade":
        return ("trade", e["symbol"], *times, e["id"], e["price"], e["amount"], e["side"])
    if e["type"] == "book_ticker":
        return ("quote", e["symbol"], *times, e["bidPrice"], e["bidAmount"], e["askPrice"], e["askAmount"])
    sides = [[(level["price"], level["amount"]) for level in e[side]] for side in ("bids", "asks")]
    return ("book", e["symbol"], *times, e["isSnapshot"], *sides)


def ours(e: Event) -> tuple[Any, ...] | None:
    head = (e.instrument.partition(":")[2], e.ts_event, e.ts_recv)
    match e:
        case Trade():
            return ("trade", *head, e.id, e.price, e.size, e.side)
        case Quote(origin="venue"):
            return ("quote", *head, e.bid, e.bid_size, e.ask, e.ask_size)
        case BookUpdate():
            return ("book", *head, e.snapshot, e.bids, e.asks)
    return None


def test_every_line_gives_what_is_expected(shared_frames: Path) -> None:
    lines = [json.loads(line) for line in (shared_frames / "expected" / "coinbase.jsonl").read_text().splitlines()]
    assert len(lines) == 9
    assert len({line["instance"] for line in lines}) == 1
    pipeline = Pipeline()
    play([opened(parse_iso(lines[0]["local_timestamp"]), venue="coinbase", streams=())], pipeline)
    extra: list[str] = []
    unproven: list[str] = []
    for line in sorted(lines, key=lambda e: e["seq"]):
        events = play([recv(parse_iso(line["local_timestamp"]), line["raw"])], pipeline)
        assert [made for e in events if (made := ours(e))] == [normalised(e) for e in line["expected"]], line["raw"]
        extra += [type(e).__name__ for e in events if isinstance(e, Ticker)]
        unproven += [e.instrument for e in events if isinstance(e, BookUpdate) and e.flags & Flag.BOOK_UNPROVEN]
        bad = [e for e in events if e.flags & Flag.BAD_TIME]
        assert bool(bad) == line["raw"].get("time", "").startswith(("0001", "2021", "2022")), line["raw"]
    assert extra == ["Ticker"] * 3
    assert unproven == ["coinbase:BTC-EUR", "coinbase:ETH-USD", "coinbase:BTC-EUR"]
    assert not pipeline.rejected
