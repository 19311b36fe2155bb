"""REST snapshots without a symbol among recorded lines: each must land in its own book, in no other, or be reported."""

import json
from collections.abc import Iterable, Iterator

from tapeline.engine.lines import decode_lines
from tapeline.engine.pipeline import Pipeline
from tapeline.events import BookUpdate, Event, Quote, Status
from tapeline.venues.binance import Binance

START = 1_723_161_253_937_085_768


def diff(symbol: str, first: int, last: int, price: float) -> str:
    levels = [[f"{price:.2f}", "1.00000000"]]
    data = {"e": "depthUpdate", "E": 1_723_161_255_208, "s": symbol, "U": first, "u": last, "b": levels, "a": []}
    return json.dumps({"stream": f"{symbol.lower()}@depth@100ms", "data": data}, separators=(",", ":"))


def snapshot(last: int, bid: float) -> str:
    book = {"lastUpdateId": last, "bids": [[f"{bid:.2f}", "2"]], "asks": [[f"{bid + 5:.2f}", "3"]]}
    return json.dumps(book, separators=(",", ":"))


def decode(lines: Iterable[str]) -> tuple[list[Event], Pipeline]:
    pipeline = Pipeline()

    def raw() -> Iterator[bytes]:
        for n, line in enumerate(lines):
            yield f"{START + n * 1_000_000} {line}".encode()

    return list(decode_lines(Binance(), raw(), "test", pipeline)), pipeline


def test_two_books_with_close_ids_are_told_apart_by_price() -> None:
    events, pipeline = decode(
        [
            diff("BTCUSDT", 1001, 1010, 60_000.0),
            diff("ETHUSDT", 1001, 1010, 3_000.0),
            snapshot(1005, 2_999.0),
            snapshot(1006, 59_999.0),
            diff("BTCUSDT", 1011, 1020, 59_998.0),
            diff("ETHUSDT", 1011, 1020, 2_998.0),
        ]
    )
    books = {e.instrument: e for e in events if isinstance(e, BookUpdate) and e.snapshot}
    assert books["binance:ETH-USDT"].seq == 1005
    assert books["binance:BTC-USDT"].seq == 1006
    assert pipeline.stats()["gaps"] == 0
    touches = {e.instrument: e.bid for e in events if isinstance(e, Quote)}
    assert touches == {"binance:BTC-USDT": 60_000.0, "binance:ETH-USDT": 3_000.0}


def test_a_snapshot_of_another_symbol_does_not_get_into_the_only_waiting_book() -> None:
    events, _ = decode([diff("ETHUSDT", 1001, 1010, 3_000.0), snapshot(5000, 60_000.0)])
    assert not [e for e in events if isinstance(e, BookUpdate) and e.snapshot]
    assert [e.reason for e in events if isinstance(e, Status) and e.kind == "rejected"] == [
        "a book snapshot at 5000 names no instrument and fits no book, or several"
    ]


def test_a_snapshot_before_the_first_diff_waits_for_its_book() -> None:
    events, _ = decode([snapshot(1005, 2_999.0), diff("ETHUSDT", 1001, 1010, 3_000.0)])
    assert [e.kind for e in events if isinstance(e, Status)][-1] == "synced"


def test_snapshots_of_a_book_that_stands_are_neither_used_nor_reported() -> None:
    lines = [diff("ETHUSDT", 1001, 1010, 3_000.0), snapshot(1005, 2_999.0)]
    for n in range(40):
        lines += [diff("ETHUSDT", 1011 + n, 1011 + n, 3_000.0), snapshot(1008 + n, 1.0 + 2_999.0)]
    events, pipeline = decode(lines)
    assert sum(isinstance(e, BookUpdate) and e.snapshot for e in events) == 1
    assert not [e for e in events if isinstance(e, Status) and e.kind == "rejected"]
    assert pipeline.stats()["gaps"] == 0


def test_two_books_that_cannot_be_told_apart_take_nothing() -> None:
    events, _ = decode([diff("USDCUSDT", 1001, 1010, 1.0), diff("FDUSDUSDT", 1001, 1010, 1.0), snapshot(1005, 1.0)])
    assert not [e for e in events if isinstance(e, BookUpdate) and e.snapshot]
    assert [e.kind for e in events if isinstance(e, Status)].count("rejected") == 1
