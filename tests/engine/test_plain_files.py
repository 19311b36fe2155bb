"""CSV files as sessions: rows in order, books put together, and what cannot be used told by line."""

import gzip
from pathlib import Path
from typing import Any

import pytest

from tapeline.config import TapeSettings
from tapeline.engine import plain_files
from tapeline.engine.plain_files import PlainRows, Wanted, is_of_simulated, look
from tapeline.engine.replay import replay
from tapeline.errors import UsageError
from tapeline.events import Bar, BookUpdate, Event, Flag, Liquidation, Quote, Status, Trade
from tapeline.frames import FrameKind, Session
from tapeline.lake import export_tardis, exporting
from tapeline.lake.rows import Selection
from tapeline.tape import intake, reader
from tests.lake.exports import BTC, events_of, lake_of, market

S = 1_000_000_000
AT = 1_618_677_816 * S


def imported(data: Path, *contents: bytes, reject: Any = None, **wanted: Any) -> tuple[list[Event], PlainRows]:
    """Its events, by the tape."""
    files = []
    data.mkdir(parents=True, exist_ok=True)
    for i, content in enumerate(contents):
        (data / f"f{i}.csv").write_bytes(content)
        files.append(look(data / f"f{i}.csv", f"f{i}.csv", Wanted(**wanted)))
    rows = PlainRows(files, data, reject)
    ordered = list(rows.ordered())
    sources = [f.source for f in files]
    session = Session(id=intake.session_id(ordered[0][0], sources), version="1", sources=sources)
    with intake.staged(data) as place:
        frames = rows.frames(iter(ordered), is_of_simulated(ordered[0][1]))
        intake.write(place, session, ordered[0][0], frames, TapeSettings())
        intake.settle(place, data, session.id)
    assert not reader.verify(data)
    return list(replay(data)), rows


def of(kind: type[Event], events: list[Event]) -> list[Any]:
    return [e for e in events if type(e) is kind]


def test_trades_become_trades_and_bars(tmp_path: Path) -> None:
    content = b"ts,px,qty,side,id\n1618677816,100.5,2,buy,a\n1618677817.25,101,0.5,sell,b\n1618677940,99,1,buy,c\n"
    events, rows = imported(tmp_path, content, instrument="binance:BTC-USDT")
    assert of(Trade, events) == [
        Trade(BTC, AT, AT, 0, 100.5, 2.0, "buy", "a"),
        Trade(BTC, AT + S + S // 4, AT + S + S // 4, 0, 101.0, 0.5, "sell", "b"),
        Trade(BTC, AT + 124 * S, AT + 124 * S, 0, 99.0, 1.0, "buy", "c"),
    ]
    (minute, *_) = [b for b in of(Bar, events) if b.interval == "1m"]
    assert (minute.open, minute.close, minute.volume, minute.buy_volume, minute.trades) == (100.5, 101.0, 2.5, 2.0, 2)
    assert rows.tally.messages == 3 and rows.files[0].said() == "f0.csv: trades, times in seconds (judged by their size)"


def test_trades_without_sides_make_bars_without_buyers(tmp_path: Path) -> None:
    events, _ = imported(tmp_path, b"time,price,size\n1618677816,100,2\n1618677940,99,1\n", instrument=BTC)
    assert {t.side for t in of(Trade, events)} == {"unknown"}
    assert {b.buy_volume for b in of(Bar, events)} == {None}


def test_simulated_instruments_stay_simulated(tmp_path: Path) -> None:
    events, _ = imported(tmp_path, b"time,price,size\n1618677816,100,2\n", instrument="sim:BTC-USDT")
    assert all(e.flags & Flag.SIMULATED for e in events)


def test_rows_are_put_in_order_in_memory_and_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Newest first, as many a site gives them; in two files; rows of one time stay as they were."""
    lines = [b"%d,100,1,%d" % (1618677816 + i // 2, i) for i in range(40)]
    files = [b"time,price,size,id\n" + b"\n".join(part) + b"\n" for part in (lines[20:], lines[:20])]
    whole, _ = imported(tmp_path / "a", *files, instrument=BTC)
    monkeypatch.setattr(plain_files, "SORTED", 7)
    pieces, _ = imported(tmp_path / "b", *files, instrument=BTC)
    assert [t.id for t in of(Trade, whole)] == [str(i) for i in range(40)] == [t.id for t in of(Trade, pieces)]
    turned, _ = imported(tmp_path / "c", b"time,price,size,id\n" + b"\n".join(reversed(lines)), instrument=BTC)
    assert [t.ts_event for t in of(Trade, turned)] == [t.ts_event for t in of(Trade, whole)]


def test_rows_that_cannot_be_used_are_told_by_line(tmp_path: Path) -> None:
    rejected = []
    content = (
        b"time,price,size,side\n1618677816,100,1,buy\n1618677816,0,1,buy\n1618677816,100,x,buy\n1618677816841,1,1,buy\n"
        b"1618677817,1,1,up\n1618677818\n\n1618677819,100,1,sell\n"
    )
    events, rows = imported(tmp_path, content, instrument=BTC, reject=lambda *a: rejected.append(a))
    assert len(of(Trade, events)) == 2 and rows.tally.bad == 5
    assert rows.tally.named == [
        "f0.csv:3: price is 0", "f0.csv:4: size 'x' is no number", "f0.csv:5: time 1618677816841 would be ms, those before it are s",
        "f0.csv:6: side 'up' is neither buy nor sell", "f0.csv:7: it has 1 columns, and price would be number 2",
    ]  # fmt: skip
    assert rejected[0] == ("f0.csv", 3, "price is 0", ["1618677816", "0", "1", "buy"])


@pytest.mark.parametrize(
    ("content", "interval"),
    [
        (b"Date,Open,High,Low,Close,Volume\n2021-04-17 16:43,1,3,0.5,2,10\n2021-04-17 16:44,2,3,1,1,5\n", "1m"),
        (b"1618677780000,1,3,0.5,2,10,1618677839999,15,7,4,6,0\n1618677840000,2,3,1,1,5,1618677899999,9,3,2,4,0\n", "1m"),
    ],
)
def test_bars(tmp_path: Path, content: bytes, interval: str) -> None:
    events, rows = imported(tmp_path, content, instrument=BTC)
    first, second = of(Bar, events)
    assert (first.interval, first.ts_open, first.ts_event, first.origin) == (interval, 1618677780 * S, 1618677840 * S, "venue")
    assert (first.open, first.high, first.low, first.close, first.volume, second.close) == (1, 3, 0.5, 2, 10, 1)
    assert (first.trades, first.vwap, first.buy_volume) in ((None, None, None), (7, 1.5, 4.0))
    assert f"bars of {interval}" in rows.files[0].said()


def test_a_trade_that_stands_twice_is_taken_once(tmp_path: Path) -> None:
    """Within a file and across files: `verify` calls two trades of one id broken."""
    first = b"time,price,size,id\n1618677816,100,1,7\n1618677816,100,1,7\n1618677817,101,1,8\n1618677818,101,1,\n1618677818,101,1,\n"
    second = b"time,price,size,id\n1618677817,101,1,8\n1618677819,102,1,9\n"
    events, rows = imported(tmp_path, first, second, instrument="binance:BTC-USDT")
    assert [t.id for t in of(Trade, events)] == ["7", "8", "", "", "9"]
    assert rows.tally.named == ["f0.csv:3: trade 7 is there already", "f1.csv:2: trade 8 is there already"]


def test_a_quotation_mark_that_is_never_closed_and_strange_ends_of_lines_cost_their_own_line_only(tmp_path: Path) -> None:
    content = b'time,price,size\r\n1618677816,100,1\r1618677817,"101,1\n1618677818,102,1\r\n\n1618677819,103,1'
    events, rows = imported(tmp_path, content, instrument="binance:BTC-USDT")
    assert [t.price for t in of(Trade, events)] == [100.0, 102.0, 103.0]
    assert rows.tally.named == ["f0.csv:3: price '101,1' is no number"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (gzip.compress(b"time,price,size\n1618677816,100,1\n", mtime=0)[:12], "is damaged before its first row: "),
        ("time,price,size\n".encode("utf-16"), "is text in UTF-16: save it as UTF-8"),
        (b"", "is empty"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(UsageError, match=f"^f0.csv {words}"):
        imported(tmp_path, content, instrument="binance:BTC-USDT")


def test_bars_that_cannot_be(tmp_path: Path) -> None:
    content = b"time,open,high,low,close,volume\n2021-04-17 16:43,1,3,0.5,2,10\n2021-04-17 16:44,5,3,1,1,5\n"
    _, rows = imported(tmp_path, content, instrument=BTC)
    assert rows.tally.named == ["f0.csv:3: high 3.0 and low 1.0 do not hold open and close"]
    with pytest.raises(UsageError, match="--interval 1m"):
        imported(tmp_path / "one", content[:65], instrument=BTC)


def test_what_the_file_does_not_say_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--instrument binance:BTC-USDT"):
        imported(tmp_path, b"time,price,size\n1,2,3\n")
    with pytest.raises(UsageError, match="is empty"):
        imported(tmp_path, b"", instrument=BTC)
    with pytest.raises(UsageError, match="no instrument"):
        imported(tmp_path, b"time,price,size\n1,2,3\n", instrument="BTC")


def test_a_file_of_several_symbols_is_not_given_one_name(tmp_path: Path) -> None:
    content = b"symbol,time,price,size\nA,1618677816,1,1\nB,1618677817,1,1\n"
    events, rows = imported(tmp_path, content, instrument=BTC)
    assert len(of(Trade, events)) == 1 and rows.tally.named == ["f0.csv:3: it is of B, the rows before it of A"]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    data = tmp_path_factory.mktemp("lake")
    return data, lake_of(data, events_of(market()))


def tardis(lake: tuple[Path, list[Event]], kind: str) -> bytes:
    target = lake[0] / f"{kind}.csv"
    export_tardis.export(lake[0], kind, BTC, None, None, str(target))
    return target.read_bytes()


def cut(ns: int) -> int:
    return ns // 1000 * 1000


def test_tardis_trades_there_and_back(lake: tuple[Path, list[Event]], tmp_path: Path) -> None:
    """All but what lies below a microsecond."""
    events, rows = imported(tmp_path, tardis(lake, "trades"))
    wanted = [
        Trade(e.instrument, cut(e.ts_event), cut(e.ts_recv), e.flags, e.price, e.size, e.side, e.id) for e in of(Trade, lake[1])
    ]
    assert of(Trade, events) == wanted and rows.tally.bad == 0


def test_tardis_books_there_and_back(lake: tuple[Path, list[Event]], tmp_path: Path) -> None:
    """All but update ids, what lies below a microsecond, and updates that were never proved. What waited for a snapshot comes with
    it, since a tape's times do not run back.
    """
    events, _ = imported(tmp_path, tardis(lake, "incremental_book_L2"))
    proved = [e for e in of(BookUpdate, lake[1]) if (e.snapshot or not e.flags & Flag.BOOK_UNPROVEN) and (e.bids or e.asks)]
    first = next(e for e in proved if e.snapshot)
    wanted = [(cut(e.ts_event), e.bids, e.asks, e.snapshot) for e in proved if e.ts_recv >= first.ts_recv]
    found = [(e.ts_event, e.bids, e.asks, e.snapshot) for e in of(BookUpdate, events) if not e.flags & Flag.BOOK_UNPROVEN]
    assert found == wanted and len(found) > 300
    quotes = {
        cut(e.ts_recv): (e.bid, e.bid_size, e.ask, e.ask_size) for e in of(Quote, lake[1]) if e.origin == "book" and not e.flags
    }
    again = {e.ts_recv: (e.bid, e.bid_size, e.ask, e.ask_size) for e in of(Quote, events) if e.origin == "book" and not e.flags}
    assert again == {at: touch for at, touch in quotes.items() if at in again} and len(again) > 300


def test_tardis_snapshots_and_quotes_there_and_back(lake: tuple[Path, list[Event]], tmp_path: Path) -> None:
    content = tardis(lake, "book_snapshot_5")
    events, _ = imported(tmp_path / "b", content)
    updates = of(BookUpdate, events)
    assert [u.snapshot for u in updates] == [True, *[False] * (content.count(b"\n") - 2)]
    last = content.splitlines()[-1].split(b",")
    (touch,) = [q for q in of(Quote, events) if q.origin == "book"][-1:]
    assert [touch.ask, touch.ask_size, touch.bid, touch.bid_size] == [float(x) for x in last[4:8]]
    quotes, _ = imported(tmp_path / "q", tardis(lake, "quotes"))
    assert len(of(Quote, quotes)) == tardis(lake, "quotes").count(b"\n") - 1


def test_our_own_csv_there_and_back(lake: tuple[Path, list[Event]], tmp_path: Path) -> None:
    for view, kind in (("trades", Trade), ("book_updates", BookUpdate)):
        target = tmp_path / f"{view}.csv"
        exporting.export(lake[0], Selection(view), "csv", str(target))
        events, rows = imported(tmp_path / view, target.read_bytes())
        assert rows.tally.bad == 0
        mine = of(kind, lake[1])
        if kind is Trade:
            assert sorted(t.id for t in of(kind, events)) == sorted(t.id for t in mine)
            assert {(t.ts_event, t.price) for t in of(kind, events)} == {(t.ts_event, t.price) for t in mine}
        else:
            assert rows.tally.messages == len(mine)


def test_liquidations_and_frames(tmp_path: Path) -> None:
    content = b"exchange,symbol,timestamp,local_timestamp,id,side,price,amount\nbinance-futures,BTCUSDT,1618677816000000,1618677816000500,x,sell,100,2\n"
    events, rows = imported(tmp_path, content, kind="liquidations")
    assert of(Liquidation, events) == [
        Liquidation("binance-usdm:BTC-USDT-PERP", AT, AT + 500_000, 0, 100.0, 2.0, "sell", None, "x")
    ]
    assert [s.kind for s in of(Status, events)][0] == "connected"
    kinds = [f.kind for f in rows.frames(iter([(5, b"{}")]), False)]
    assert kinds == [FrameKind.OPENED, FrameKind.RECV, FrameKind.CLOSED, FrameKind.END]
