"""What a capture counts and writes, without a session around it: recorded frames of a real venue, and a disk that fills up."""

import asyncio
import errno
import gzip
import json
from itertools import islice
from pathlib import Path

import pytest

from tapeline.cli import capture as module
from tapeline.cli.capture import Capture, CsvFile
from tapeline.cli.capture_report import lines, report, sum_of
from tapeline.cli.spool import Spool
from tapeline.clock import ReplayClock
from tapeline.engine.bus import Batch
from tapeline.engine.engine import Engine
from tapeline.engine.lines import frames
from tapeline.engine.pipeline import Pipeline
from tapeline.events import Event, Flag, Quote, Status, Trade
from tapeline.venues.registry import venue_class

BTC = "binance:BTC-USDT"
T0 = 1_795_132_800_000_000_000
SOME = 20_000


def trade(n: int, price: float = 100.0, size: float = 1.0, flags: int = 0, instrument: str = BTC) -> Trade:
    return Trade(instrument, T0 + n, T0 + n, flags, price, size, "buy", str(n))


def ids(path: Path) -> list[str]:
    header, *rows = path.read_text().splitlines()
    return [row.split(",")[header.split(",").index("id")] for row in rows]


async def test_of_a_recorded_session_every_trade_is_in_the_file_and_every_message_is_counted(shared_frames, tmp_path):
    path = shared_frames / "recorded" / "binance-usdm" / "btcusdt_20240808.gz"
    with gzip.open(path) as file:
        recorded = list(islice(file, SOME))
    said = [json.loads(line.partition(b" ")[2]).get("data", {}) for line in recorded]
    trades = [d for d in said if d.get("e") == "trade"]
    again = recorded[-100:]  # as if a second connection had said the last of it, too
    doubles = sum(b'"e":"trade"' in line for line in again)
    assert len(trades) > 1000
    assert doubles > 3

    made = Capture(str(tmp_path / "out.csv"))
    pipeline = Pipeline()
    pipeline.carriers.watch = made.tally.watch
    engine = Engine(pipeline, "s", ReplayClock(T0), "replay")
    engine.bus.tap(made.tap)
    for seq, frame in enumerate(frames(venue_class("binance-usdm")(), [*recorded, *again], "ws://x/stream")):
        engine.handle(seq, [frame])
    await made.close()

    assert ids(tmp_path / "out.csv") == [str(d["t"]) for d in trades]
    told = report(made, engine)
    assert told["trades"]["seen"] == len(trades) + doubles
    assert told["trades"]["kept"] == len(trades)
    assert told["trades"]["dropped"] == {"zero_price_or_size": 0, "off_book": 0, "duplicate": doubles}
    assert told["messages"]["seen"] == SOME + len(again)
    assert told["messages"]["by_content"]["trade"] == len(trades) + doubles
    assert told["messages"]["by_content"]["quote"] == sum(
        '"e":"bookTicker"' in r for r in map(bytes.decode, [*recorded, *again])
    )


async def test_what_is_left_out_is_counted_once_and_the_rest_is_kept(tmp_path):
    made = Capture(str(tmp_path / "out.csv"))
    other = "okx:ETH-USDT"
    made.tap(
        Batch(
            "s",
            0,
            0,
            [
                trade(1),
                trade(2, price=0.0, flags=int(Flag.OFF_BOOK)),
                trade(3, size=0.0),
                trade(4, flags=int(Flag.OFF_BOOK)),
                trade(5, flags=int(Flag.RPI | Flag.LATE)),
                trade(6, flags=int(Flag.RECOVERED), instrument=other),
                Quote(BTC, T0, T0, 0, 1.0, 1.0, 2.0, 1.0, 1, "venue"),
                Status(BTC, T0, T0, 0, "gap", "binance", "trades", "trade ids missing", 7, 9, 3),
                Status("", T0, T0, 0, "gap", "binance", "", "messages missing", None, None, None),
                Status(BTC, T0, T0, 0, "connected", "binance", "", "", None, None, None),
            ],
        )
    )
    made.tally.trades.update({BTC: 7, other: 1})
    made.tally.skipped.update({(BTC, "zero"): 2, (BTC, "ADL"): 1})
    made.tally.rejected[BTC] += 2
    await made.close()
    assert ids(tmp_path / "out.csv") == ["1", "5", "6"]
    one, two = made.counts[BTC], made.counts[other]
    assert (one.seen, one.kept, one.zero, one.duplicate, one.rejected) == (10, 2, 4, 2, 2)
    assert one.off_book == {"OFF_BOOK": 1, "ADL": 1}
    assert (one.first, one.last) == (T0 + 1, T0 + 5)
    assert (two.seen, two.kept, two.recovered, two.duplicate) == (1, 1, 1, 1)
    for counts in (one, two, sum_of(made.counts.values())):
        assert counts.seen + counts.recovered == counts.kept + counts.zero + counts.duplicate + counts.off_book.total()
    assert [(g.channel, g.count) for g in one.gaps] == [("trades", 3)]
    assert len(made.lost) == 1
    engine = Engine(Pipeline(), "s", ReplayClock(T0), "live")
    said = "\n".join(lines(report(made, engine)))
    assert "gap: 2026-11-20T00:00:00.000000000Z trades: trade ids missing (3)" in said
    assert "1 of those kept were missing and fetched" in said


async def test_a_disk_that_is_full_for_a_while_costs_no_row(tmp_path, monkeypatch, capsys):
    file = CsvFile(str(tmp_path / "out.csv"))
    spool = Spool("out.csv", file.write)
    write, failing = file._file.write, [True]

    class HalfFull:
        def __getattr__(self, name):
            return getattr(file_beneath, name)

        def write(self, data):
            if failing:
                write(data[: len(data) // 2])
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(data)

    file_beneath, file._file = file._file, HalfFull()
    spool.start(asyncio.Event())
    spool.put(trade(1))
    while "No space left" not in capsys.readouterr().err:
        await asyncio.sleep(0.01)
    spool.put(trade(2))
    failing.clear()
    await spool.close()
    file.finish()
    assert ids(tmp_path / "out.csv") == ["1", "2"]


async def test_a_disk_that_stays_full_is_an_error_at_the_end_and_the_part_is_left(tmp_path, monkeypatch):
    made = Capture(str(tmp_path / "out.csv"))

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(made.spool, "_write", full)
    made.tap(Batch("s", 0, 0, [trade(1)]))
    with pytest.raises(OSError, match="No space left"):
        await made.close()
    assert [p.name for p in tmp_path.iterdir()] == [".out.csv.part"]


async def test_rows_that_wait_are_bounded_and_those_left_out_are_said(tmp_path, monkeypatch):
    monkeypatch.setattr("tapeline.cli.spool.MOST", 3)
    made = Capture(str(tmp_path / "out.csv"))
    made.tap(Batch("s", 0, 0, [trade(n) for n in range(5)]))
    await made.close()
    assert ids(tmp_path / "out.csv") == ["0", "1", "2"]
    told = report(made, Engine(Pipeline(), "s", ReplayClock(T0), "live"))
    assert told["not_written"] == 2
    assert "2 trades kept and NOT WRITTEN: the disk was too slow" in lines(told)


async def test_gaps_without_end_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_GAPS", 3)
    made = Capture(str(tmp_path / "out.csv"))
    gaps: list[Event] = [Status(BTC, T0 + n, T0, 0, "gap", "binance", "trades", "", n, n, 1) for n in range(8)]
    made.tap(Batch("s", 0, 0, gaps))
    await made.close()
    assert (made.gaps, len(made.counts[BTC].gaps)) == (8, 3)
