"""Raw messages with the result that an independent, maintained mapper gives for them (`frames/expected/bybit*.jsonl`).

Only v5's shapes are Tapeline's; those of the older APIs (2019 to 2022: `orderBookL2_25`, `instrument_info`, `trade`, spot's v1) are counted
as unknown and give nothing. Where Tapeline says something else on purpose:

    tickers          the mapper gives nothing for a delta that names none of its figures; we carry the change over 24 hours, so a delta
                     with `price24hPcnt` gives a ticker. We also give the quote of bid1 and ask1, which it leaves out
    allLiquidation   the mapper takes it from 2025-02-26 on only and ignores an earlier one; we take it whenever it comes
    orderbook.1      a delta of it without the snapshot it belongs to (the sixth line of 2023-04-21): both give the touch that it sets
    names            the mapper has the venue's symbols
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tapeline.clock import parse_iso
from tapeline.engine.pipeline import Pipeline
from tapeline.events import BookUpdate, Event, Liquidation, Quote, Status, Ticker, Trade
from tests.engine.feeds import opened, play, recv

V5 = ("publicTrade.", "orderbook.", "tickers.", "kline.", "allLiquidation.", "liquidation.")
COMPARED = {"bybit": 14, "bybit-spot": 6}
FIGURES = {
    "last": "lastPrice", "open_interest": "openInterest", "mark": "markPrice", "index": "indexPrice", "funding_rate": "fundingRate",
}  # fmt: skip


def is_v5(raw: dict[str, Any]) -> bool:
    return raw.get("topic", "").startswith(V5) and "ts" in raw


def instances(frames: Path, exchange: str) -> list[list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for line in (frames / "expected" / f"{exchange}.jsonl").read_text().splitlines():
        entry = json.loads(line)
        found[entry["instance"]].append(entry)
    return [sorted(lines, key=lambda e: e["seq"]) for lines in found.values()]


def run(lines: list[dict[str, Any]]) -> list[list[Event]]:
    """The events of each line."""
    first, pipeline = parse_iso(lines[0]["local_timestamp"]), Pipeline()
    play([opened(first, venue="bybit", streams=())], pipeline)
    return [play([recv(parse_iso(e["local_timestamp"]), e["raw"])], pipeline) for e in lines]


def wanted(e: dict[str, Any]) -> tuple[Any, ...]:
    times = parse_iso(e["timestamp"]), parse_iso(e["localTimestamp"])
    match e["type"]:
        case "trade":
            return ("trade", *times, e["id"], e["price"], e["amount"], e["side"])
        case "book_ticker":
            return ("quote", *times, e["bidPrice"], e["bidAmount"], e["askPrice"], e["askAmount"])
        case "liquidation":
            return ("liquidation", *times, e["price"], e["amount"], e["side"])
        case "book_change":
            sides = ([(level["price"], level["amount"]) for level in e[side]] for side in ("bids", "asks"))
            return ("book", *times, e["isSnapshot"], *sides)
        case "derivative_ticker":
            funding = e["fundingTimestamp"] and parse_iso(e["fundingTimestamp"])
            return ("ticker", *times, *(e[theirs] for theirs in FIGURES.values()), funding)
    raise AssertionError(e["type"])


def ours(event: Event) -> tuple[Any, ...]:
    times = event.ts_event, event.ts_recv
    match event:
        case Trade():
            return ("trade", *times, event.id, event.price, event.size, event.side)
        case Quote(origin="venue") if event.seq is not None:
            return ("quote", *times, event.bid, event.bid_size, event.ask, event.ask_size)
        case Liquidation():
            return ("liquidation", *times, event.price, event.size, event.side)
        case BookUpdate():
            return ("book", *times, event.snapshot, event.bids, event.asks)
        case Ticker():
            return ("ticker", *times, *(getattr(event, mine) for mine in FIGURES), event.next_funding)
    return ()


@pytest.mark.parametrize("exchange", COMPARED)
def test_every_line_gives_what_the_mapper_gives(shared_frames: Path, exchange: str) -> None:
    compared = 0
    silent = []
    for lines in instances(shared_frames, exchange):
        for entry, events in zip(lines, run(lines), strict=True):
            raw = entry["raw"]
            made = [o for e in events if (o := ours(e))]
            if not is_v5(raw):
                assert events == [], raw
            elif entry["expected"]:
                assert made == [wanted(e) for e in entry["expected"]], raw
                compared += 1
            else:
                silent.append((raw["topic"], [o[0] for o in made]))
    assert compared == COMPARED[exchange]
    assert (
        silent
        == {
            "bybit": [("tickers.BTCUSDU23", ["ticker"]), ("allLiquidation.PIPPINUSDT", ["liquidation"])],
            "bybit-spot": [],
        }[exchange]
    )


def test_their_names_in_ours(shared_frames: Path) -> None:
    """Nothing but the message tells the category here, and it is enough."""
    names: dict[str, set[str]] = {}
    for exchange in COMPARED:
        for lines in instances(shared_frames, exchange):
            for entry, events in zip(lines, run(lines), strict=True):
                if is_v5(entry["raw"]):
                    symbol = entry["raw"]["topic"].rpartition(".")[2]
                    names.setdefault(f"{exchange} {symbol}", set()).update(
                        e.instrument for e in events if not isinstance(e, Status)
                    )
    assert names == {
        "bybit BTCUSD": {"bybit:BTC-USD-PERP"},
        "bybit LTCUSDT": {"bybit:LTC-USDT-PERP"},
        "bybit BTCUSDT": {"bybit:BTC-USDT-PERP"},
        "bybit BTCPERP": {"bybit:BTC-USDC-PERP"},
        "bybit BTCUSDU23": {"bybit:BTC-USD-230929"},
        "bybit GALAUSDT": {"bybit:GALA-USDT-PERP"},
        "bybit XRPUSD": {"bybit:XRP-USD-PERP"},
        "bybit PIPPINUSDT": {"bybit:PIPPIN-USDT-PERP"},
        "bybit-spot BTCUSDT": {"bybit:BTC-USDT"},
        "bybit-spot BTCUSDC": {"bybit:BTC-USDC"},
    }
